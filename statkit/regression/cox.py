"""Proportional hazards regression on data of any size: ``CoxPHRegressor`` and the R-style ``coxph``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from statkit.regression._base import RegressionBase
from statkit.regression._data import as_vector, covariance_asked, is_frame, is_matrix
from statkit.regression._survival import survival_response, survival_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import pandas as pd
    from numpy.typing import ArrayLike

    from statkit._typing import Column, Data, Seed
    from statkit.engines import Engine
    from statkit.plans import Plan

__all__ = ["CoxPHRegressor", "coxph"]


class CoxPHRegressor(RegressionBase):
    """Cox's proportional hazards model, exact and with standard errors, on data of any size.

    The hazard of a row is e^(x'β) times a baseline that is left free. Every round of the fit is two passes: sums of
    e^η and e^η x over the rows at risk at each event time, then the rows' score and information given these; so that
    rows may lie in files or on machines in any order and the estimate is that of all of them.

    Parameters
    ----------
    ties : {"efron", "breslow"}, default="efron"
        How events at the same time share their risk set.
    strata : str, list of str or None, default=None
        Columns of a table whose combinations have baselines of their own; in a formula write ``strata(g)``. For
        plain matrices give codes to ``fit``.
    formula : str or None, default=None
        Such as ``"Surv(time, event) ~ age + C(stage)"`` or ``"Surv(start, stop, event) ~ x + strata(site)"``.
    plan, engine, n_jobs, na_action, random_state, verbose
        As in :class:`GLMRegressor`. One-shot plans compare rows within machines only: the model is then stratified by
        machine.
    alpha : float, default=0.0
        Ridge penalty in units of the mean loss a row, as in :class:`GLMRegressor`.
    cov_type : {"nonrobust", "HC0", "HC1", "cluster", "partition"}, default="nonrobust"
        "HC0" is the robust variance of Lin and Wei; "cluster" sums the scores of rows with one label of ``groups``
        first (several rows a subject), with the factor of few clusters.
    max_times : int or None, default=None
        Round event times up to so many quantiles a stratum, which bounds the memory of the risk sets' sums at so many
        times the number of columns. None keeps every event time.

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
    estimate_ : statkit.results.Estimate
        With ``n_events``, ``lr_test``, ``score_test``, ``wald_test_all``, ``concordance`` and ``hazard_ratios``.
    baseline_hazard_ : DataFrame
        Cumulative hazard of a row of zeros by time and stratum, and its survival function.

    Raises
    ------
    ValueError
        Without an event, for times that are not finite or a start that is not before its stop; with row and file.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.regression import CoxPHRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 2))
    >>> time = rng.exponential(np.exp(-X[:, 0]))
    >>> fit = CoxPHRegressor().fit(X, np.column_stack([time, time < 2]))
    >>> bool(abs(fit.coef_[0] - 1) < 0.2), fit.estimate_.params.index.tolist()
    (True, ['x0', 'x1'])

    References
    ----------
    D. R. Cox (1972), Regression models and life-tables. B. Efron (1977), The efficiency of Cox's likelihood function
    for censored data. D. Y. Lin and L. J. Wei (1989), The robust inference for the Cox proportional hazards model.
    T. M. Therneau and P. M. Grambsch (2000), Modeling Survival Data.
    """

    l1_ratio = 0.0
    fit_intercept = False

    def __init__(
        self,
        ties: str = "efron",
        *,
        strata: str | Sequence[str] | None = None,
        formula: str | None = None,
        plan: Plan | None = None,
        engine: str | Engine = "threads",
        n_jobs: int | None = None,
        alpha: float = 0.0,
        cov_type: str = "nonrobust",
        max_times: int | None = None,
        na_action: str = "raise",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.ties = ties
        self.strata = strata
        self.formula = formula
        self.plan = plan
        self.engine = engine
        self.n_jobs = n_jobs
        self.alpha = alpha
        self.cov_type = cov_type
        self.max_times = max_times
        self.na_action = na_action
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Data,
        y: ArrayLike | str | Sequence[str] | None = None,
        sample_weight: Column = None,
        offset: Column = None,
        groups: Column = None,
        strata: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, CSR matrix, frame, dataset, path, URL, glob or Source
            Rows. With ``formula``, anything with named columns.
        y : array, tuple of str or None
            Two columns (time, event) or three (start, stop, event); a structured array with a boolean field for the
            event, as scikit-survival's; a vector of times, when every row has its event; or the names of such
            columns. None with a formula.
        sample_weight, offset : array of shape (n,), str or None
        groups : array of shape (n,), str or None
            Clusters, for ``cov_type="cluster"``.
        strata : array of shape (n,) or None
            Stratum of each row.

        Returns
        -------
        self : CoxPHRegressor
        """
        given = {"y": y, "strata": strata}
        if y is not None and not _names(y):
            y = survival_response(y)
        if strata is not None:
            y = self._with_strata(y, strata)
        self._coded = strata is not None
        try:
            return self._fit(X, y, sample_weight, offset, groups, given)
        finally:
            del self._coded

    def _with_strata(self, y, strata):
        if y is None or _names(y):
            raise ValueError(
                "strata as an array goes with y as an array; name columns in CoxPHRegressor(strata=…)"
            )
        labels, codes = np.unique(np.asarray(strata), return_inverse=True)
        if len(codes) != len(y):
            raise ValueError(f"strata has {len(codes)} labels for {len(y)} rows")
        self._labels = labels
        return np.column_stack([y, codes.astype(float)])

    def _check_parameters(self):
        super()._check_parameters()
        self._family(None)
        if self.max_times is not None and not (
            isinstance(self.max_times, (int, np.integer)) and self.max_times >= 1
        ):
            raise ValueError(f"max_times must be None or an integer >= 1, not {self.max_times!r}")

    def _family(self, classes):
        from statkit.families import Cox

        return Cox(self.ties)

    def _plan(self):
        plan = super()._plan()
        if not plan.fits_context:
            raise ValueError(
                f"{type(plan).__name__} needs rows that are independent of each other, and risk sets tie them together: "
                "use Exact(), Subsample(), or a plan of local fits such as LeastSquaresApproximation()"
            )
        return plan

    def _frozen_family(self, family, design):
        return family.with_grid(design.grid.offsets, design.grid.tied)

    def _response(self, y, labels=None):
        return survival_response(y, extra=int(self._coded)), None

    def _plain(self, X, roles, fitted, labels=None):
        from statkit.design.survival import SurvivalDesign

        if _names(roles.y):
            raise ValueError(f"y = {roles.y!r} names columns, but X is a plain matrix without column names")
        if self.strata is not None:
            raise ValueError(
                f"strata={self.strata!r} names columns of a table; give codes to fit(…, strata=…)"
            )
        source, design, family = super()._plain(X, roles, fitted, labels)
        design.response_name = "Surv(time, event)"
        return source, SurvivalDesign(design, coded_strata=self._coded, most_times=self.max_times), family

    def _tabular(self, X, roles, fitted):
        from statkit.design.survival import SurvivalDesign

        source, inner, strata, family = survival_table(self, X, roles, fitted)
        return (
            source,
            SurvivalDesign(inner, strata, coded_strata=self._coded, most_times=self.max_times),
            family,
        )

    def _remembered_roles(self, roles, strata):
        if roles.y is not None and not _names(roles.y):
            roles.y = survival_response(roles.y)
        else:
            roles.y = None  # names of columns are the design's
        if strata is not None:
            roles.y = self._with_strata(roles.y, strata)
        self._coded = strata is not None
        return roles

    def _keep(self, problem):
        self._baseline = problem.baseline
        labels = vars(self).pop("_labels", None)
        self._stratum_labels = None if labels is None or not self._coded else labels

    def _set_coefficients(self, values):
        self.coef_ = np.where(np.isnan(values), 0.0, values)

    # -- what was fitted ------------------------------------------------------------------------------------

    @property
    def baseline_hazard_(self) -> pd.DataFrame:
        """Cumulative hazard and survival of a row of zeros, by time and stratum: a DataFrame."""
        check_is_fitted(self, "estimate_")
        import pandas as pd

        b = self._known_baseline()
        cumulative = b["hazard"] * np.exp(-b["reference"])
        frame = pd.DataFrame(
            {"time": b["times"], "cumulative_hazard": cumulative, "survival": np.exp(-cumulative)}
        )
        if len(b["labels"]) > 1 or b["labels"][0] != ():
            names = np.repeat([self._stratum_name(k) for k in b["labels"]], np.diff(b["offsets"]))
            frame.insert(0, "stratum", names)
        return frame

    def _known_baseline(self):
        if self._baseline is None:
            raise AttributeError(
                f"{self.estimate_.plan} compares rows within machines and estimates no common baseline hazard; "
                "use Exact()"
            )
        return self._baseline

    def _stratum_name(self, key) -> str:
        if self._stratum_labels is not None:
            return str(self._stratum_labels[int(key[0])])
        return ", ".join(map(str, key))

    # -- prediction -----------------------------------------------------------------------------------------

    def predict(self, X: Data, kind: str = "log_hazard", offset: Column = None) -> np.ndarray:
        """Log hazard x'β of new rows relative to a row of zeros: higher means earlier events.

        Parameters
        ----------
        X : as in ``fit``
        kind : {"log_hazard", "hazard"}, default="log_hazard"
            "hazard" is its exponential. For survival functions see ``predict_survival``.
        offset : array of shape (n,) or None

        Returns
        -------
        value : ndarray of shape (n,)
            NaN for rows with missing values.
        """
        check_is_fitted(self, "estimate_")
        if kind not in ("log_hazard", "hazard"):
            raise ValueError(
                f"kind must be 'log_hazard' or 'hazard', not {kind!r}; survival functions: predict_survival"
            )
        eta = self._eta(self._without_strata(X), offset)
        return eta if kind == "log_hazard" else np.exp(eta)

    def predict_survival_function(
        self, X: Data, times: ArrayLike | None = None, offset: Column = None, strata: ArrayLike | None = None
    ) -> np.ndarray:
        """Survival functions of new rows.

        Parameters
        ----------
        X : as in ``fit``
        times : array of shape (m,) or None
            None takes all event times.
        offset : array of shape (n,) or None
        strata : array of shape (n,) or None
            Stratum of each row, where strata were given as an array.

        Returns
        -------
        survival : ndarray of shape (n, m)
            NaN for rows with missing values and in strata without events.
        """
        check_is_fitted(self, "estimate_")
        eta, stratum, times = self._to_predict(X, times, offset, strata)
        H, _ = self._hazards(stratum, times)
        with np.errstate(over="ignore"):
            return np.exp(-H * np.exp(eta - self._baseline["reference"])[:, None])

    def predict_survival(
        self,
        X: Data,
        times: ArrayLike | None = None,
        level: float = 0.95,
        offset: Column = None,
        strata: ArrayLike | None = None,
    ) -> pd.DataFrame:
        """Survival functions of new rows with pointwise intervals, on the scale of log survival as R's ``survfit``.

        Parameters
        ----------
        X, times, offset, strata : as in ``predict_survival_function``
        level : float, default=0.95

        Returns
        -------
        table : DataFrame with columns ``row``, ``time``, ``survival``, ``std_err``, ``lower``, ``upper``
            ``std_err`` is that of the cumulative hazard, −log survival.
        """
        import pandas as pd

        from statkit.results.survival import survival_limits

        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, not {level!r}")
        check_is_fitted(self, "estimate_")
        eta, stratum, times = self._to_predict(X, times, offset, strata)
        columns = self._predictor_rows(self._without_strata(X))
        H, at = self._hazards(stratum, times)
        b = self._baseline
        V = np.where(np.isnan(self.estimate_.covariance), 0.0, self.estimate_.covariance)
        with np.errstate(over="ignore", invalid="ignore"):
            rate = np.exp(eta - b["reference"])
        variance = np.empty_like(H)
        for i in range(len(H)):
            here = at[i] >= 0
            d = H[i][:, None] * columns[i] - np.where(here[:, None], b["path"][at[i]], 0.0)
            jumps = np.where(here, b["variance"][at[i]], 0.0)
            variance[i] = rate[i] ** 2 * (jumps + np.einsum("tj,jk,tk->t", d, V, d))
        log_survival, error = -H * rate[:, None], np.sqrt(variance)
        lower, upper = survival_limits(log_survival, error, level)
        n, m = H.shape
        return pd.DataFrame(
            {
                "row": np.repeat(np.arange(n), m), "time": np.tile(times, n),
                "survival": np.exp(log_survival).ravel(), "std_err": error.ravel(), "lower": lower.ravel(),
                "upper": upper.ravel(),
            }
        )  # fmt: skip

    def _to_predict(self, X, times, offset, strata):
        eta = np.asarray(self._eta(self._without_strata(X), offset), dtype=float)
        b = self._known_baseline()
        if strata is not None:
            stratum = self._codes_of(strata, len(eta))
        elif self._stratum_labels is not None:
            raise ValueError("the model has strata given as an array: give the strata of the new rows too")
        else:
            stratum = self._strata_of_rows(X, len(eta))
        times = np.unique(b["times"]) if times is None else np.atleast_1d(np.asarray(times, dtype=float))
        if np.isnan(times).any():
            raise ValueError(f"times[{int(np.argmax(np.isnan(times)))}] is NaN: survival is at numbers")
        return eta, stratum, times

    def _codes_of(self, strata, n):
        if self._stratum_labels is None:
            raise ValueError("the model has no strata that were given as an array")
        strata = np.asarray(strata)
        if len(strata) != n:
            raise ValueError(f"strata has {len(strata)} labels for {n} rows")
        code = {label: i for i, label in enumerate(self._stratum_labels.tolist())}
        place = {key: i for i, key in enumerate(self._baseline["labels"])}
        return np.array([place.get((float(code.get(label, -1)),), -1) for label in strata.tolist()])

    def _strata_of_rows(self, X, n):
        from statkit.regression._tabular import predicted

        if not self._design.strata:
            return np.zeros(n, np.intp)
        from statkit.sources import as_source

        return predicted(_stratum_of_partition, self, as_source(X) if is_frame(X) else X)

    def _without_strata(self, X):
        """A frame's columns of the model: a frame without formula may still hold its strata."""
        if self.formula is not None or not is_frame(X) or not getattr(self._design, "strata", ()):
            return X
        names = list(self.feature_names_in_)
        return X.select(names) if hasattr(X, "select") else X[names]

    def _hazards(self, stratum, times):
        """Cumulative hazards (n, m) at the reference, and their places in the grid, −1 before the first event."""
        b = self._baseline
        H = np.full((len(stratum), len(times)), np.nan)
        at = np.full(H.shape, -1)
        for s in np.unique(stratum[stratum >= 0]):
            first, end = b["offsets"][s], b["offsets"][s + 1]
            place = first + np.searchsorted(b["times"][first:end], times, "right") - 1
            place = np.where(place < first, -1, place)
            H[stratum == s] = np.where(place >= 0, b["hazard"][place], 0.0)
            at[stratum == s] = place
        return H, at

    def _predictor_rows(self, X):
        """Columns of new rows in the order of the parameters, (n, k)."""
        from statkit.regression._tabular import predicted

        if self._design.columns or not is_matrix(X):
            return predicted(_columns_of_partition, self, X)
        X = self._checked(X)
        return X.toarray() if hasattr(X, "toarray") else np.asarray(X, dtype=float)

    def score(
        self,
        X: Data,
        y: ArrayLike | None = None,
        sample_weight: Column = None,
        strata: ArrayLike | None = None,
    ) -> float:
        """Harrell's concordance: the share of comparable pairs that the log hazard orders rightly.

        Parameters
        ----------
        X : as in ``fit``
        y : array
            As in ``fit``: times and events; None reads those that the formula names.
        sample_weight : array of shape (n,) or None
        strata : array of shape (n,) or None
            Pairs within strata only; those that the model has by name are read from ``X``.

        Returns
        -------
        score : float
            1/2 for a useless order; NaN if no pair can be compared.
        """
        from statkit.solvers.concordance import concordance

        risk = self.predict(X)
        if y is None:
            from statkit.regression._tabular import response_of

            y = response_of(self, X)
        y = survival_response(y)
        if len(y) != len(risk):
            raise ValueError(f"y has {len(y)} rows, X has {len(risk)}")
        n = len(y)
        if strata is None and self._design.strata:
            strata = self._strata_of_rows(X, n)
        stop, event = y[:, -2], y[:, -1]
        times = np.unique(stop[event > 0])
        left, right = np.searchsorted(times, stop, "left"), np.searchsorted(times, stop, "right")
        last = np.where(event > 0, left + 1, right)
        first = np.zeros(n, int) if y.shape[1] == 2 else np.searchsorted(times, y[:, 0], "right")
        group = np.zeros(n, int) if strata is None else np.unique(strata, return_inverse=True)[1]
        D = len(times)
        weight = np.ones(n) if sample_weight is None else as_vector(sample_weight, "sample_weight", n, True)
        offsets = np.arange(group.max(initial=0) + 2) * (D + 1)
        base = group * (D + 1)
        return concordance(risk, base + first, base + last, event, weight, offsets)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.target_tags.required = True
        tags.target_tags.multi_output = False
        tags.regressor_tags = _poor_score()
        return tags


def _poor_score():
    from sklearn.utils import RegressorTags

    return RegressorTags(poor_score=True)


def _names(y) -> bool:
    """Whether ``y`` names columns."""
    return isinstance(y, (tuple, list)) and len(y) > 0 and all(isinstance(part, str) for part in y)


def _stratum_of_partition(source, model, partition):
    design = model._design
    return design.stratum_index(source.read(partition, tuple(design._strata_columns)))


def _columns_of_partition(source, model, partition):
    design = model._design
    block, _ = design.encode_predictors(source.read(partition, design.predictor_columns))
    out = np.zeros((block.n_rows, len(design.names)))
    out[:, design.position] = block.to_dense()
    return out


def coxph(
    formula: str,
    data: Data,
    *,
    ties: str = "efron",
    weights: Column = None,
    offset: Column = None,
    groups: Column = None,
    plan: Plan | None = None,
    engine: str | Engine = "threads",
    n_jobs: int | None = None,
    alpha: float = 0.0,
    cov_type: str | None = None,
    max_times: int | None = None,
    na_action: str = "drop",
    random_state: Seed = None,
    verbose: int = 0,
) -> CoxPHRegressor:
    """Fit Cox's proportional hazards by formula, as R's ``coxph``: on a frame, a file, or files of any size.

    Parameters
    ----------
    formula : str
        ``"Surv(time, event) ~ …"`` or ``"Surv(start, stop, event) ~ …"``, with ``strata(g)`` for baselines by group.
    data : frame, dataset, path, URL, glob, list of paths, or Source
        As in :func:`glm`.
    ties : {"efron", "breslow"}, default="efron"
        What is done with events at one time.
    weights, offset, groups : str, array of shape (n,), or None, default=None
        Columns' names, or arrays; ``groups`` are subjects or other clusters.
    cov_type : str or None, default=None
        None is "cluster" with ``groups`` and "nonrobust" without.
    plan, engine, n_jobs, alpha, max_times, na_action, random_state, verbose
        As in :class:`CoxPHRegressor`.

    Returns
    -------
    fit : CoxPHRegressor

    References
    ----------
    D. R. Cox (1972), Regression models and life-tables.

    Examples
    --------
    >>> import pandas as pd
    >>> from statkit import coxph
    >>> frame = pd.DataFrame({"t": [4.0, 3, 1, 1, 2, 2, 3], "d": [1, 1, 1, 0, 1, 1, 0],
    ...                       "x": [0, 2, 1, 1, 1, 0, 0], "sex": list("aaabbbb")})
    >>> coxph("Surv(t, d) ~ x + strata(sex)", frame).estimate_.params.round(4).tolist()
    [0.7368]
    """
    model = CoxPHRegressor(
        ties, formula=formula, plan=plan, engine=engine, n_jobs=n_jobs, alpha=alpha,
        cov_type=covariance_asked(cov_type, groups), max_times=max_times, na_action=na_action,
        random_state=random_state, verbose=verbose,
    )  # fmt: skip
    return model.fit(data, sample_weight=weights, offset=offset, groups=groups)
