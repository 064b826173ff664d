"""What regression estimators share: fitting on any source with any plan, inference, prediction."""

from __future__ import annotations

import time

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from statkit.engines.engine import one_blas_thread
from statkit.regression._data import Roles, as_vector, is_frame, is_matrix
from statkit.regression._fit import freeze, open_problem, progress_bar, resolve

COV_TYPES = ("nonrobust", "HC0", "HC1", "cluster")


class RegressionBase(BaseEstimator):
    """Fit, inference and prediction; subclasses say which family and what the response means."""

    # -- to be said by subclasses ---------------------------------------------------------------------------

    def _family(self, classes):
        """The family of the model, once the classes of the response are known (None: numeric)."""
        raise NotImplementedError

    def _response(self, y):
        """(y as float64, classes or None) from an array of responses."""
        raise NotImplementedError

    _categorical_response = False

    # -- fit ------------------------------------------------------------------------------------------------

    def _fit(self, X, y, sample_weight, offset, groups):
        started = time.perf_counter()
        self._check_parameters()
        fitted = {}
        roles = Roles(y, sample_weight, offset, groups)
        if self.cov_type == "cluster" and groups is None:
            raise ValueError("cov_type='cluster' needs groups: an array, or a column's name")
        if self.formula is None and is_matrix(X):
            source, design, family = self._plain(X, roles, fitted)
        else:
            source, design, family = self._tabular(X, roles, fitted)
        engine, reading = resolve(self.engine, self.n_jobs, source)
        problem = None
        try:
            progress = progress_bar(self.verbose)
            design, n_profile = freeze(design, reading, engine, progress)
            if family is None:
                fitted["classes_"] = np.asarray(design.classes)
                family = self._family(fitted["classes_"])
            problem = open_problem(
                reading, design, family, engine, alpha=float(self.alpha), cov_type=self.cov_type,
                seed=self._seed(), progress=progress,
            )  # fmt: skip
            problem.started = started
            problem.session.n_rounds += n_profile
            plan = self._plan()
            with one_blas_thread():
                estimate = plan.estimate(problem)
        finally:
            if problem is not None:
                problem.session.close()
            if reading is not source:
                reading.close()
            if source is not X:
                source.close()
        # Only now, after nothing can fail any more, does the estimator change.
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)
        for name, value in fitted.items():
            setattr(self, name, value)
        self.estimate_ = estimate
        self._design = design
        self._fitted_family = family
        self._set_coefficients()
        return self

    def _plan(self):
        if self.plan is None:
            from statkit.plans import Exact

            return Exact()
        from statkit.plans import Plan

        if not isinstance(self.plan, Plan):
            raise TypeError(f"plan must be None or an object of statkit.plans, not {self.plan!r}")
        return self.plan

    def _seed(self) -> int:
        if self.random_state is None:
            return 0
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        from sklearn.utils import check_random_state

        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _check_parameters(self):
        if not (np.isscalar(self.alpha) and float(self.alpha) >= 0):
            raise ValueError(f"alpha must be a number >= 0, not {self.alpha!r}")
        if self.l1_ratio != 0 and self.alpha:
            raise ValueError(
                f"l1_ratio = {self.l1_ratio!r}: this plan fits ridge penalties only; set l1_ratio=0"
            )
        if self.cov_type not in COV_TYPES:
            raise ValueError(f"cov_type must be one of {', '.join(map(repr, COV_TYPES))}, not {self.cov_type!r}")
        if self.na_action not in ("drop", "raise"):
            raise ValueError(f"na_action must be 'drop' or 'raise', not {self.na_action!r}")

    def _plain(self, X, roles, fitted):
        """Source and design of a matrix with arrays beside it."""
        from statkit.design.matrix import MatrixDesign
        from statkit.sources import as_source

        names = roles.names()
        if names:
            role, name = next(iter(names.items()))
            raise ValueError(f"{role} = {name!r} names a column, but X is a plain matrix without column names")
        # `reset` would change the estimator before anything can fail.
        X, y = self._validated(X, roles.y, fitted)
        y, classes = self._response(y)
        n, p = X.shape
        weight = offset = group = None
        if roles.weight is not None:
            weight = as_vector(roles.weight, "sample_weight", n, positive=True)
        if roles.offset is not None:
            offset = as_vector(roles.offset, "offset", n)
        if roles.group is not None:
            group = _codes(roles.group, n)
        if classes is not None:
            fitted["classes_"] = classes
        design = MatrixDesign(
            [f"x{j}" for j in range(p)], intercept=self.fit_intercept, na_action=self.na_action, classes=classes
        )
        return as_source(X, y=y, weight=weight, offset=offset, group=group), design, self._family(classes)

    def _validated(self, X, y, fitted):
        before = getattr(self, "n_features_in_", None), getattr(self, "feature_names_in_", None)
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None"
            )
        try:
            X, y = validate_data(
                self, X, y, accept_sparse="csr", dtype="numeric", ensure_all_finite=False, y_numeric=False,
                multi_output=True, reset=True,
            )  # fmt: skip
            fitted["n_features_in_"] = X.shape[1]
            if X.dtype.kind == "O":
                X = X.astype(float)
        finally:
            for name, value in zip(("n_features_in_", "feature_names_in_"), before, strict=True):
                if value is not None:
                    setattr(self, name, value)
                elif hasattr(self, name):
                    delattr(self, name)
        return X, y

    def _tabular(self, X, roles, fitted):
        """Source and design of a frame or file, with or without a formula."""
        from statkit.regression._tabular import tabular

        return tabular(self, X, roles, fitted)

    # -- what was fitted ------------------------------------------------------------------------------------

    def _set_coefficients(self):
        """``coef_`` and ``intercept_`` from the estimate."""
        values = self.estimate_.values
        first = int(self._design.intercept)
        self.intercept_ = float(values[0]) if first else 0.0
        self.coef_ = np.where(np.isnan(values[first:]), 0.0, values[first:])

    def summary(self, **options):
        """The table of the fit, as text, HTML (in notebooks) or LaTeX.

        Returns
        -------
        summary : statkit.results.Summary
        """
        check_is_fitted(self, "estimate_")
        return self.estimate_.summary(**options)

    def conf_int(self, alpha=0.05):
        """Confidence limits of the parameters at level ``1 − alpha``.

        Returns
        -------
        limits : DataFrame with a row for each parameter
        """
        check_is_fitted(self, "estimate_")
        return self.estimate_.conf_int(alpha)

    # -- prediction -----------------------------------------------------------------------------------------

    def _eta(self, X, offset=None) -> np.ndarray:
        """Linear predictors (n,) or (n, K) of new rows; NaN for rows with missing values."""
        check_is_fitted(self, "estimate_")
        if self._design.columns or not is_matrix(X):
            from statkit.regression._tabular import predicted_eta

            return predicted_eta(self, X, offset)
        X = validate_data(
            self, X, accept_sparse="csr", dtype="numeric", ensure_all_finite="allow-nan", reset=False
        )
        eta = X @ self._slopes() + self._intercepts()
        if offset is not None:
            offset = as_vector(offset, "offset", X.shape[0])
            eta = eta + (offset if eta.ndim == 1 else offset[:, None])
        return np.asarray(eta)

    def _slopes(self):
        """Slopes for η: (p,), or (p, K) with several predictors."""
        values, K = self.estimate_.values, self._fitted_family.predictors
        slopes = values.reshape(K, -1)[:, int(self._design.intercept) :].T
        slopes = np.where(np.isnan(slopes), 0.0, slopes)
        return slopes[:, 0] if K == 1 else slopes

    def _intercepts(self):
        values, K = self.estimate_.values, self._fitted_family.predictors
        if not self._design.intercept:
            return 0.0
        first = values.reshape(K, -1)[:, 0]
        return first[0] if K == 1 else first

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.na_action == "drop"
        return tags


def _codes(groups, n):
    groups = np.asarray(groups)
    if groups.ndim != 1 or len(groups) != n:
        raise ValueError(f"groups must hold one label a row: it has shape {groups.shape} for {n} rows")
    if groups.dtype.kind in "iu":
        return groups.astype(np.int64)
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


__all__ = ["RegressionBase", "is_frame"]
