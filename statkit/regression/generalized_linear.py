"""Generalized linear models with inference: ``GLMRegressor``, ``GLMClassifier`` and the R-style ``glm``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from statkit.regression._base import RegressionBase
from statkit.regression._data import (
    as_vector,
    check_no_label_is_missing,
    covariance_asked,
    one_class,
    unknown_label,
)
from statkit.regression._label_score import LabelScore
from statkit.regression._streaming import can_stream, merge, partial_fit

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd
    from numpy.typing import ArrayLike

    from statkit._typing import Column, Data, Seed
    from statkit.engines import Engine
    from statkit.families import Family
    from statkit.plans import Plan

__all__ = ["GLMClassifier", "GLMRegressor", "glm"]


class GLMRegressor(RegressorMixin, RegressionBase):
    """Generalized linear model of a numeric response, with standard errors, on data of any size.

    The fit is exact by default and reads the data in a few passes of bounded memory; other ``plan`` objects trade
    exactness for fewer rows or passes and say so in the table.

    Parameters
    ----------
    family : str or Family, default="gaussian"
        "gaussian", "binomial", "poisson", "gamma", "inverse_gaussian", "negative_binomial", "tweedie",
        "quasi_binomial", "quasi_poisson", or an object of :mod:`statkit.families`.
    link : str or None, default=None
        Link function; None is the canonical one, but log for gamma, inverse Gaussian, negative binomial and
        tweedie.
    formula : str or None, default=None
        Model formula in formulaic's grammar; ``fit`` then takes the frame or path alone.
    plan : Plan or None, default=None
        How the estimate is made; None is :class:`statkit.plans.Exact`.
    engine : str, client or Engine, default="threads"
        Who computes: "threads", "serial", "processes", a Dask client, Ray, a Spark session; see
        :func:`statkit.engines.resolve_engine`. All give the same bits.
    n_jobs : int or None, default=None
        Workers; None is one for each processor.
    fit_intercept : bool, default=True
        Ignored with a formula, which says it itself (``- 1``).
    alpha : float, default=0.0
        Penalty in units of the mean loss: ``alpha · (l1_ratio · ‖β‖₁ + (1 − l1_ratio)/2 · ‖β‖²)``; the intercept
        is free. See :class:`statkit.plans.RegularizationPath` for its choice.
    l1_ratio : float, default=0.0
        From 0, ridge, to 1, the lasso, whose estimates have exact zeros and no standard errors.
    cov_type : {"nonrobust", "HC0", "HC1", "HAC", "cluster", "partition", "between", "bootstrap"}, default="nonrobust"
        The model's; robust to its variance; to dependence in the order of the rows too (HAC, for
        ``plan=Renewable(lags=…)``); clustered by ``groups``; clustered by partition; from the spread of
        machines' estimates (``plan=OneShot()``); or from random multipliers of rows, with bands for all coefficients
        at once in ``estimate_.simultaneous_conf_int``.
    na_action : {"raise", "drop"}, default="raise"
        Rows with missing values are refused, as in scikit-learn, or left out with a count in the table, as in R.
    random_state : int, RandomState or None, default=None
        For plans that sample.
    verbose : int, default=0
        1 shows a progress bar on terminals.

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
        Coefficients without the intercept; 0 where a column is aliased (``estimate_.params`` has NaN there).
    intercept_ : float
    estimate_ : statkit.results.Estimate
        Parameters, covariance, tests, tables, and what was done.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        When ``X`` has column names.

    Raises
    ------
    ValueError
        For responses outside the family's support, infinite values, unknown columns; with column, row and file.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.regression import GLMRegressor
    >>> X, y, coef = make_glm(1_000, 2, family="poisson", random_state=0)
    >>> fit = GLMRegressor("poisson").fit(X, y)
    >>> fit.estimate_.bse.index.tolist()
    ['Intercept', 'x0', 'x1']

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models.
    """

    def __init__(
        self,
        family: str | Family = "gaussian",
        *,
        link: str | None = None,
        formula: str | None = None,
        plan: Plan | None = None,
        engine: str | Engine = "threads",
        n_jobs: int | None = None,
        fit_intercept: bool = True,
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        cov_type: str = "nonrobust",
        na_action: str = "raise",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.family = family
        self.link = link
        self.formula = formula
        self.plan = plan
        self.engine = engine
        self.n_jobs = n_jobs
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.cov_type = cov_type
        self.na_action = na_action
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Data,
        y: Column = None,
        sample_weight: Column = None,
        offset: Column = None,
        groups: Column = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, CSR matrix, frame, dataset, path, URL, glob or Source
            Rows. With ``formula``, anything with named columns.
        y : array of shape (n,), str or None
            Response, or its column's name; None with a formula.
        sample_weight : array of shape (n,), str or None
            Prior weights, as R's: the variance of a row is dispersion · V(μ) / weight.
        offset : array of shape (n,), str or None
            Added to the linear predictor.
        groups : array of shape (n,), str or None
            Clusters, for ``cov_type="cluster"``.

        Returns
        -------
        self : GLMRegressor
        """
        return self._fit(X, y, sample_weight, offset, groups)

    @available_if(can_stream)
    def partial_fit(
        self,
        X: Data,
        y: Column = None,
        sample_weight: Column = None,
        offset: Column = None,
        groups: Column = None,
    ) -> Self:
        """Absorb a batch of rows; for plans that can update, such as ``plans.Renewable()``.

        A batch may have any number of rows. One that is refused leaves the estimate as it was.

        Parameters
        ----------
        X, y, sample_weight, offset, groups : as in ``fit``
            Later batches have the columns of the first; a categorical column's levels are those of its dtype.

        Returns
        -------
        self : GLMRegressor
        """
        return partial_fit(self, X, y, sample_weight, offset, groups)

    @available_if(can_stream)
    def merge(self, other: Self) -> Self:
        """Absorb the stream of another model that was fitted by ``partial_fit`` to independent rows.

        Returns
        -------
        self : GLMRegressor
        """
        return merge(self, other)

    def _family(self, classes):
        from statkit.families import resolve_family

        family = resolve_family(self.family, self.link)
        if family.context is not None or family.n_thresholds:
            home = "CoxPHRegressor" if family.context is not None else "OrderedClassifier"
            raise ValueError(f"the {family.name} family has an estimator of its own: {home}")
        return family

    def _response(self, y, labels=None):
        y = column_or_1d(y, warn=True)
        try:
            return np.ascontiguousarray(y, dtype=float), None
        except (TypeError, ValueError):
            raise ValueError(
                f"y must be numeric for {type(self).__name__}, it holds values such as {y.tolist()[0]!r}; for "
                "labels use GLMClassifier"
            ) from None

    def predict(self, X: Data, offset: Column = None) -> np.ndarray:
        """Expected response of new rows.

        Parameters
        ----------
        X : as in ``fit``
        offset : array of shape (n,) or None

        Returns
        -------
        mean : ndarray of shape (n,)
            NaN for rows with missing values.
        """
        return self._fitted_family_mean(self._eta(X, offset))

    def _fitted_family_mean(self, eta):
        return self._fitted_family.inverse_link(eta)

    def predict_interval(
        self, X: Data, level: float = 0.95, kind: str = "mean", offset: Column = None
    ) -> pd.DataFrame:
        """Interval for the mean, or for a new observation, of every row.

        Parameters
        ----------
        X : as in ``fit``
        level : float, default=0.95
        kind : {"mean", "observation"}, default="mean"
            "observation" is for the gaussian family with identity link.

        Returns
        -------
        interval : DataFrame with columns ``mean``, ``lower``, ``upper``
        """
        from statkit.regression._interval import interval

        return interval(self, X, level, kind, offset)

    def score(
        self, X: Data, y: ArrayLike | None = None, sample_weight: Column = None, offset: Column = None
    ) -> float:
        """Share of deviance explained, D²; R² for the gaussian family.

        Parameters
        ----------
        X, y, sample_weight, offset : as in ``fit``
            With ``na_action="drop"``, rows that lack a value are left out. A formula's response is read from ``X``.

        Returns
        -------
        score : float
            1 − deviance / deviance of the mean of ``y``.
        """
        mean = self.predict(X, offset)
        if y is None:
            from statkit.regression._tabular import response_of

            observed = response_of(self, X)
        else:
            observed, _ = self._response(y)
        a = (
            np.ones(len(observed))
            if sample_weight is None
            else as_vector(sample_weight, "sample_weight", len(observed), positive=True)
        )
        if self.na_action == "drop":
            there = ~(np.isnan(mean) | np.isnan(observed) | np.isnan(a))
            mean, observed, a = mean[there], observed[there], a[there]
        if self._fitted_family.name == "gaussian":
            null = float(a @ (observed - np.average(observed, weights=a)) ** 2)
            left = float(a @ (observed - mean) ** 2)
            return 1 - left / null if null > 0 else float(left == 0)
        family = self._fitted_family
        shape = self._shape()
        eta0 = np.full(len(observed), family.null_eta(a @ observed, a.sum()))
        left = family.sums(np.asarray(family.link_function(mean)), observed, a, shape)["deviance"]
        return 1 - left / family.sums(eta0, observed, a, shape)["deviance"]

    def _shape(self):
        shape = self.estimate_.shape
        return np.array(list(shape.values())) if shape else None


class GLMClassifier(LabelScore, RegressionBase):
    """Binomial regression for two classes, softmax regression for more, with standard errors.

    Without a penalty this is maximum likelihood; the reference class is ``classes_[0]``.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"}, default="logit"
        Two classes only, except "logit".
    formula, plan, engine, n_jobs, fit_intercept, alpha, l1_ratio, cov_type, na_action, random_state, verbose
        As in :class:`GLMRegressor`.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    coef_ : ndarray of shape (1, p), or (K, p) with more than two classes
        With more than two classes in the symmetric form, columns summing to zero over classes.
    intercept_ : ndarray of shape (1,) or (K,)
    estimate_ : statkit.results.Estimate
        With more than two classes on the reference parametrisation: index (class, name).

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(1_000, 2, family="binomial", random_state=0)
    >>> GLMClassifier().fit(X, y).predict_proba(X).shape
    (1000, 2)

    References
    ----------
    A. Agresti (2013), Categorical Data Analysis, chapters 5 and 8.
    """

    def __init__(
        self,
        link: str = "logit",
        *,
        formula: str | None = None,
        plan: Plan | None = None,
        engine: str | Engine = "threads",
        n_jobs: int | None = None,
        fit_intercept: bool = True,
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        cov_type: str = "nonrobust",
        na_action: str = "raise",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.link = link
        self.formula = formula
        self.plan = plan
        self.engine = engine
        self.n_jobs = n_jobs
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.cov_type = cov_type
        self.na_action = na_action
        self.random_state = random_state
        self.verbose = verbose

    _categorical_response = True

    def fit(
        self,
        X: Data,
        y: Column = None,
        sample_weight: Column = None,
        offset: Column = None,
        groups: Column = None,
    ) -> Self:
        """Fit the model; parameters as in :meth:`GLMRegressor.fit`, ``y`` holding labels of any kind.

        Returns
        -------
        self : GLMClassifier
        """
        return self._fit(X, y, sample_weight, offset, groups)

    @available_if(can_stream)
    def partial_fit(
        self,
        X: Data,
        y: Column = None,
        classes: ArrayLike | None = None,
        sample_weight: Column = None,
        offset: Column = None,
        groups: Column = None,
    ) -> Self:
        """Absorb a batch of rows; for plans that can update, such as ``plans.Renewable()``.

        Parameters
        ----------
        X, y, sample_weight, offset, groups : as in ``fit``
        classes : array or None
            All labels; needed at the first call.

        Returns
        -------
        self : GLMClassifier
        """
        return partial_fit(self, X, y, sample_weight, offset, groups, classes)

    @available_if(can_stream)
    def merge(self, other: Self) -> Self:
        """Absorb the stream of another model that was fitted by ``partial_fit`` to independent rows.

        Returns
        -------
        self : GLMClassifier
        """
        return merge(self, other)

    def _family(self, classes):
        if classes is None:
            return None
        if len(classes) == 2:
            from statkit.families import resolve_family

            return resolve_family("binomial", self.link)
        if self.link != "logit":
            raise ValueError(f"link={self.link!r} is for two classes; the response has {len(classes)}")
        from statkit.families import Softmax

        return Softmax(len(classes))

    def _response(self, y, labels=None):
        if not (type(y) is np.ndarray and y.ndim == 1):
            y = column_or_1d(y, warn=True)
        if labels is not None:
            codes = np.searchsorted(labels, y) if y.dtype.kind == labels.dtype.kind else _looked_up(y, labels)
            codes = np.minimum(codes, len(labels) - 1)
            unknown = labels[codes] != y
            if unknown.any():
                at = int(np.argmax(unknown))
                raise unknown_label(at, y[at], labels)
            return codes.astype(float), labels
        two = _two_values(y)
        if two is not None:
            return two
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            what = "infinity" if np.isinf(y).any() else "NaN"
            raise ValueError(f"Input y contains {what}")
        if y.dtype.kind == "O":
            check_no_label_is_missing(y)
        if y.dtype.kind not in "biuUS":  # whole numbers and text are labels whatever they hold
            check_classification_targets(y)
        classes, codes = _distinct(y)
        if len(classes) < 2:
            raise one_class(y[0])
        return codes.astype(float), classes

    def _set_coefficients(self, values):
        K = len(self.classes_)
        first = int(self._design.intercept)
        if K == 2:
            self.coef_ = np.where(np.isnan(values[first:]), 0.0, values[first:])[None, :]
            self.intercept_ = np.array([values[0] if first else 0.0])
            return
        table = np.vstack([np.zeros(len(values) // (K - 1)), values.reshape(K - 1, -1)])
        table = np.where(np.isnan(table), 0.0, table)
        table -= table.mean(axis=0)
        self.coef_ = table[:, first:]
        self.intercept_ = table[:, 0] if first else np.zeros(K)

    def decision_function(self, X: Data, offset: Column = None) -> np.ndarray:
        """Log-odds of the second class, (n,); with more classes symmetric scores (n, K), rows summing to zero."""
        eta = self._eta(X, offset)
        if eta.ndim == 1:
            return eta
        full = np.column_stack([np.zeros(len(eta)), eta])
        return full - full.mean(axis=1, keepdims=True)

    def predict_proba(self, X: Data, offset: Column = None) -> np.ndarray:
        """Class probabilities, columns in the order of ``classes_``.

        Returns
        -------
        probability : ndarray of shape (n, K)
            NaN for rows with missing values.
        """
        eta = self._eta(X, offset)
        if eta.ndim == 1:
            p = self._fitted_family.inverse_link(eta)
            return np.column_stack([1 - p, p])
        from scipy.special import softmax

        return softmax(np.column_stack([np.zeros(len(eta)), eta]), axis=1)

    def predict_log_proba(self, X: Data, offset: Column = None) -> np.ndarray:
        """Logarithm of :meth:`predict_proba`."""
        eta = self._eta(X, offset)
        if eta.ndim == 1 and self._fitted_family.link_name == "logit":
            from scipy.special import log_expit

            return np.column_stack([log_expit(-eta), log_expit(eta)])
        if eta.ndim == 1:
            return np.log(self.predict_proba(X, offset))
        from scipy.special import log_softmax

        return log_softmax(np.column_stack([np.zeros(len(eta)), eta]), axis=1)

    def predict(self, X: Data, offset: Column = None) -> np.ndarray:
        """The most probable class of every row.

        Raises
        ------
        ValueError
            If a row has missing values: there is no class for it; see ``predict_proba``.
        """
        scores = self.decision_function(X, offset)
        bad = np.isnan(scores) if scores.ndim == 1 else np.isnan(scores).any(axis=1)
        if bad.any():
            raise ValueError(
                f"row {int(np.argmax(bad))} has missing values: no class can be predicted (predict_proba gives NaN)"
            )
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[best]

    def predict_interval(
        self, X: Data, level: float = 0.95, kind: str = "mean", offset: Column = None
    ) -> pd.DataFrame:
        """Interval for the probability of the second class; two classes only. As in :class:`GLMRegressor`."""
        from statkit.regression._interval import interval

        if len(self.classes_) > 2:
            raise ValueError("predict_interval is for two classes; use estimate_.cov_params() for more")
        return interval(self, X, level, kind, offset)


def _two_values(y):
    """(codes, classes) of a response of two whole numbers, in a few plain sweeps; None for any other."""
    if y.dtype.kind not in "biuf" or not len(y):
        return None
    low, high = y.min(), y.max()
    if not (low < high) or (
        y.dtype.kind == "f" and not (float(low).is_integer() and float(high).is_integer())
    ):
        return None
    step = 2**20  # no array as long as the rows
    for part in (y[start : start + step] for start in range(0, len(y), step)):
        if np.count_nonzero(part == high) + np.count_nonzero(part == low) != len(part):
            return None
    coded = y.dtype == np.float64 and low == 0.0 and high == 1.0
    return (y if coded else (y == high).astype(float)), np.array([low, high])


def _distinct(y):
    """Sorted distinct labels and the position of every row's label among them."""
    if y.dtype.kind not in "biuf":
        return np.unique(y, return_inverse=True)
    import pandas as pd

    codes, classes = pd.factorize(y, sort=True)  # by hashing: a few classes need no sort of all rows
    return classes, codes


def _looked_up(y, labels) -> np.ndarray:
    """Positions of labels of another dtype (text among objects, whole numbers among fractions)."""
    position = {label: i for i, label in enumerate(labels.tolist())}
    return np.array([position.get(label, 0) for label in y.tolist()], dtype=int)


def glm(
    formula: str,
    data: Data,
    family: str | Family = "gaussian",
    *,
    link: str | None = None,
    weights: Column = None,
    offset: Column = None,
    groups: Column = None,
    plan: Plan | None = None,
    engine: str | Engine = "threads",
    n_jobs: int | None = None,
    alpha: float = 0.0,
    l1_ratio: float = 0.0,
    cov_type: str | None = None,
    na_action: str = "drop",
    random_state: Seed = None,
    verbose: int = 0,
) -> GLMRegressor:
    """Fit a generalized linear model by formula, as R's ``glm``: on a frame, a file, or files of any size.

    Parameters
    ----------
    formula : str
        For instance ``"late ~ poly(distance, 2) + C(hour(date)) + origin"``.
    data : frame, dataset, path, URL, glob, list of paths, or Source
        Rows with the columns that the formula names: pandas, polars, Arrow, Dask, Spark or Ray; Parquet, CSV or Arrow
        files; whatever speaks the Arrow stream protocol.
    family : str or Family, default="gaussian"
        As in :class:`GLMRegressor`.
    link : str or None, default=None
        Link function; None is the family's own.
    weights, offset, groups : str, array of shape (n,), or None, default=None
        Columns' names, or arrays: prior weights (the variance of a row is dispersion · V(μ) / weight), what is added
        to the linear predictor, and clusters of dependent rows.
    cov_type : str or None, default=None
        As in :class:`GLMRegressor`; None is "cluster" with ``groups`` and "nonrobust" without.
    na_action : {"drop", "raise"}, default="drop"
        Rows with missing values are left out with a count in the table, or refused.
    plan, engine, n_jobs, alpha, l1_ratio, random_state, verbose
        As in :class:`GLMRegressor`.

    Returns
    -------
    fit : GLMRegressor
        Fitted; ``fit.summary()`` is the table, ``fit.estimate_`` has the numbers under statsmodels' names.

    Raises
    ------
    ValueError
        For a formula that cannot be read, columns that do not exist, responses outside the family's support.
    FileNotFoundError
        If there is no such file.

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models.

    Examples
    --------
    >>> from statkit import glm
    >>> from statkit.datasets import make_glm
    >>> frame, y, coef = make_glm(1_000, 2, random_state=0, as_frame=True)
    >>> glm("y ~ x0 + x1", frame.assign(y=y)).estimate_.params.round(1).index.tolist()
    ['Intercept', 'x0', 'x1']
    """
    model = GLMRegressor(
        family, link=link, formula=formula, plan=plan, engine=engine, n_jobs=n_jobs, alpha=alpha,
        l1_ratio=l1_ratio, cov_type=covariance_asked(cov_type, groups), na_action=na_action,
        random_state=random_state, verbose=verbose,
    )  # fmt: skip
    return model.fit(data, sample_weight=weights, offset=offset, groups=groups)
