"""Regression for classes in order: ``OrderedClassifier`` (cumulative logit and probit) and the R-style ``polr``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from statkit.regression._base import RegressionBase
from statkit.regression._data import check_no_label_is_missing, covariance_asked, one_class, unknown_label
from statkit.regression._label_score import LabelScore

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from statkit._typing import Column, Data, Seed
    from statkit.engines import Engine
    from statkit.plans import Plan

__all__ = ["OrderedClassifier", "polr"]


class OrderedClassifier(LabelScore, RegressionBase):
    """Classes in order as cuts of a latent predictor, with standard errors, on data of any size.

    P(y ≤ j) = F(c_j − x'β): one coefficient a column, whatever the number of classes, and a threshold between
    neighbours. Coefficients and thresholds are estimated together.

    Parameters
    ----------
    link : {"logit", "probit"}, default="logit"
        F is logistic (proportional odds) or normal.
    classes : sequence or None, default=None
        Labels from the lowest to the highest; None sorts them, or takes the order of a categorical column.
    formula, plan, engine, n_jobs, alpha, cov_type, na_action, random_state, verbose
        As in :class:`GLMRegressor`; ``alpha`` leaves the thresholds free.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        In order.
    coef_ : ndarray of shape (p,)
        Positive: higher classes are likelier as the column grows.
    thresholds_ : ndarray of shape (K − 1,)
    estimate_ : statkit.results.Estimate
        Columns, then thresholds named ``"low|high"``.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.regression import OrderedClassifier
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal(1_000)
    >>> y = np.digitize(x + rng.logistic(size=1_000), [-1, 1])
    >>> fit = OrderedClassifier().fit(x[:, None], y)
    >>> fit.estimate_.params.index.tolist()
    ['x0', '0|1', '1|2']

    References
    ----------
    P. McCullagh (1980), Regression models for ordinal data. J. W. Pratt (1981), Concavity of the log likelihood.
    """

    l1_ratio = 0.0
    fit_intercept = False
    _categorical_response = True

    def __init__(
        self,
        link: str = "logit",
        *,
        classes: ArrayLike | None = None,
        formula: str | None = None,
        plan: Plan | None = None,
        engine: str | Engine = "threads",
        n_jobs: int | None = None,
        alpha: float = 0.0,
        cov_type: str = "nonrobust",
        na_action: str = "raise",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.link = link
        self.classes = classes
        self.formula = formula
        self.plan = plan
        self.engine = engine
        self.n_jobs = n_jobs
        self.alpha = alpha
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
        """Fit the model; parameters as in :meth:`GLMRegressor.fit`, ``y`` holding labels.

        Returns
        -------
        self : OrderedClassifier
        """
        return self._fit(X, y, sample_weight, offset, groups)

    def _plan(self):
        plan = super()._plan()
        if not plan.fits_thresholds:
            raise ValueError(
                f"{type(plan).__name__} does not know thresholds: use Exact(), or a plan of local fits such as "
                "LeastSquaresApproximation()"
            )
        return plan

    def _family(self, classes):
        from statkit.families import Ordered

        if classes is None:
            return None
        return Ordered(len(classes), link=self.link)

    def _given_classes(self):
        if self.classes is None:
            return None
        classes = np.asarray(self.classes)
        if classes.ndim != 1 or len(classes) < 2 or len(set(classes.tolist())) < len(classes):
            raise ValueError(
                f"classes must list at least two different labels in order, not {self.classes!r}"
            )
        return classes

    def _response(self, y, labels=None):
        y = column_or_1d(y, warn=True)
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError(f"Input y contains {'infinity' if np.isinf(y).any() else 'NaN'}")
        if y.dtype.kind == "O":
            check_no_label_is_missing(y)
        if y.dtype.kind not in "biuUS":
            check_classification_targets(y)
        labels = self._given_classes() if labels is None else labels
        if labels is None:
            labels = np.unique(y)
        if len(labels) < 2:
            raise one_class(y[0])
        place = {label: i for i, label in enumerate(np.asarray(labels).tolist())}
        codes = np.array([place.get(label, -1) for label in y.tolist()], dtype=float)
        if len(codes) and codes.min() < 0:
            at = int(np.argmin(codes))
            raise unknown_label(at, y[at], labels)
        return codes, np.asarray(labels)

    def _tabular(self, X, roles, fitted):
        from statkit.design.survival import without_intercept
        from statkit.regression._tabular import tabular

        like = SimpleNamespace(
            formula=self.formula, alpha=self.alpha, na_action=self.na_action, fit_intercept=True,
            _response=self._response, _family=self._family, _categorical_response=True,
        )  # fmt: skip
        source, design, family = tabular(like, X, roles, fitted, self._given_classes())
        return source, without_intercept(design), family

    def _set_coefficients(self, values):
        m = len(self.classes_) - 1
        self.coef_ = np.where(np.isnan(values[:-m]), 0.0, values[:-m])
        self.thresholds_ = values[-m:].copy()

    def _slopes(self):
        return self.coef_

    def _intercepts(self):
        return 0.0

    def predict_latent(self, X: Data, offset: Column = None) -> np.ndarray:
        """Latent predictor x'β of new rows, (n,)."""
        check_is_fitted(self, "estimate_")
        return self._eta(X, offset)

    def predict_proba(self, X: Data, offset: Column = None) -> np.ndarray:
        """Class probabilities, columns in the order of ``classes_``.

        Returns
        -------
        probability : ndarray of shape (n, K)
            NaN for rows with missing values.
        """
        eta = self.predict_latent(X, offset)
        return self._fitted_family.probabilities(eta, self.thresholds_)

    def predict(self, X: Data, offset: Column = None) -> np.ndarray:
        """The likeliest class of every row.

        Raises
        ------
        ValueError
            If a row has missing values: there is no class for it; see ``predict_proba``.
        """
        p = self.predict_proba(X, offset)
        bad = np.isnan(p).any(axis=1)
        if bad.any():
            raise ValueError(
                f"row {int(np.argmax(bad))} has missing values: no class can be predicted (predict_proba gives NaN)"
            )
        return self.classes_[p.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # on classes that are in no order
        return tags


def polr(
    formula: str,
    data: Data,
    *,
    link: str = "logit",
    classes: ArrayLike | None = None,
    weights: Column = None,
    offset: Column = None,
    groups: Column = None,
    plan: Plan | None = None,
    engine: str | Engine = "threads",
    n_jobs: int | None = None,
    alpha: float = 0.0,
    cov_type: str | None = None,
    na_action: str = "drop",
    random_state: Seed = None,
    verbose: int = 0,
) -> OrderedClassifier:
    """Fit a cumulative logit or probit by formula, as R's ``MASS::polr``: on a frame, a file, or files of any size.

    Parameters
    ----------
    formula : str
        For instance ``"rating ~ price + C(origin)"``.
    data : frame, dataset, path, URL, glob, list of paths, or Source
        As in :func:`glm`.
    weights, offset, groups : str, array of shape (n,), or None, default=None
        Columns' names, or arrays.
    link, classes, plan, engine, n_jobs, alpha, cov_type, na_action, random_state, verbose
        As in :class:`OrderedClassifier`; ``cov_type=None`` is "cluster" with ``groups``.

    Returns
    -------
    fit : OrderedClassifier

    References
    ----------
    P. McCullagh (1980), Regression models for ordinal data.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from statkit.regression import polr
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal(500)
    >>> grade = np.array(["a", "b", "c"])[np.digitize(x + rng.logistic(size=500), [-1, 1])]
    >>> polr("grade ~ x", pd.DataFrame({"grade": grade, "x": x})).estimate_.params.index.tolist()
    ['x', 'a|b', 'b|c']
    """
    model = OrderedClassifier(
        link, classes=classes, formula=formula, plan=plan, engine=engine, n_jobs=n_jobs, alpha=alpha,
        cov_type=covariance_asked(cov_type, groups), na_action=na_action, random_state=random_state, verbose=verbose,
    )  # fmt: skip
    return model.fit(data, sample_weight=weights, offset=offset, groups=groups)
