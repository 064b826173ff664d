"""What regression estimators share: fitting on any source with any plan, inference, prediction."""

from __future__ import annotations

import copy
import time
import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, _clone_parametrized
from sklearn.utils.validation import check_is_fitted, validate_data

from statkit.engines.engine import one_blas_thread
from statkit.regression._again import Again, Rows
from statkit.regression._data import Roles, as_vector, check_labels, group_codes, is_frame, is_matrix
from statkit.regression._fit import columns_without_value, freeze, open_problem, progress_bar, resolve
from statkit.results.maketables import ReadByMaketables
from statkit.rounds import NoRowsLeft
from statkit.sources import close_made

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from statkit.results import Estimate, Summary

COV_TYPES = ("nonrobust", "HC0", "HC1", "HAC", "cluster", "partition", "between", "bootstrap")


class RegressionBase(ReadByMaketables, BaseEstimator):
    """Fit, inference and prediction; subclasses say which family and what the response means."""

    # -- to be said by subclasses ---------------------------------------------------------------------------

    def _family(self, classes):
        """The family of the model, once the classes of the response are known (None: numeric)."""
        raise NotImplementedError

    def _response(self, y, labels=None):
        """(y as float64, classes or None) from an array of responses; ``labels`` are the classes, if known."""
        raise NotImplementedError

    def _frozen_family(self, family, design):
        """The family once the design knows the data's levels and times; here as it is."""
        if not self._categorical_response:
            check_labels(family, design)
        return family

    def _remembered_roles(self, roles, strata):
        """Roles as ``fit`` makes them of what the user gave."""
        return roles

    def _keep(self, problem):
        """Take further results of a fit from its problem."""

    _categorical_response = False

    # -- fit ------------------------------------------------------------------------------------------------

    def _fit(self, X, y, sample_weight, offset, groups, given=None):
        """Fit; ``given`` is what the user gave where it is not what comes here (Cox: times and strata)."""
        started = time.perf_counter()
        self._check_parameters()
        fitted = {}
        roles = Roles(y, sample_weight, offset, groups)
        if self.cov_type == "cluster" and groups is None:
            raise ValueError("cov_type='cluster' needs groups: an array, or a column's name")
        if self.cov_type in ("nonrobust", "HC0", "HC1") and groups is not None:
            warnings.warn(
                f"groups are not used by cov_type={self.cov_type!r}: errors are those of independent rows; "
                "cov_type='cluster' allows for groups",
                stacklevel=3,
            )
        if self.formula is None and is_matrix(X):
            source, design, family = self._plain(X, roles, fitted)
        else:
            source, design, family = self._tabular(X, roles, fitted)
            if hasattr(self.plan, "unknown_level"):
                from statkit.design.declare import with_declared_levels

                design = with_declared_levels(design, self.plan.levels, self.plan.unknown_level == "other")
        problem = None
        plan = self._plan()
        if self.cov_type == "HAC" and not hasattr(plan, "lags"):
            raise ValueError(
                "cov_type='HAC' needs rows in order and a number of lags: plan=Renewable(lags=…)"
            )
        rows = reading = source
        try:
            given = {"y": y, "sample_weight": sample_weight, "offset": offset, "strata": None} | (given or {})
            remembered = Rows(X, **given)
            rows = plan.regrouped(source, self._seed())
            engine, reading = resolve(self.engine, self.n_jobs, rows, design.columns)
            progress = progress_bar(self.verbose)
            design, n_profile = freeze(design, reading, engine, progress)
            if family is None:
                fitted["classes_"] = np.asarray(design.classes)
                family = self._family(fitted["classes_"])
            family = self._frozen_family(family, design)
            problem = open_problem(
                reading, design, family, engine, alpha=float(self.alpha), cov_type=self._covariance(family, plan),
                l1_ratio=float(self.l1_ratio), seed=self._seed(), progress=progress,
            )  # fmt: skip
            problem.started = started
            problem.classes = fitted.get("classes_")
            problem.session.n_rounds += n_profile
            problem.machines = getattr(rows, "machines", None)
            with one_blas_thread():
                estimate = plan.estimate(problem)
        except NoRowsLeft as error:
            names = columns_without_value(reading, design)
            raise ValueError(f"{error}; without any value: {names}" if names else str(error)) from None
        finally:
            if problem is not None:
                problem.session.close()
            close_made(X, source, rows, reading)
        # Only now, after nothing can fail any more, does the estimator change.
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)
        for name, value in fitted.items():
            setattr(self, name, value)
        vars(self).pop("_stream", None)
        if problem.stream is not None:
            from statkit.regression._streaming import Stream

            self._stream = Stream(problem.without_rows(), problem.stream)
        self._design = design
        self._fitted_family = family
        self.estimate_ = estimate
        self._set_coefficients(estimate.values)
        self._keep(problem)
        estimate._again = Again(self, remembered)
        return self

    @property
    def estimate_(self) -> Estimate:
        """The fit's :class:`~statkit.results.Estimate`; that of a stream is made when asked for."""
        estimate = vars(self).get("_estimate")
        if estimate is None:
            stream = vars(self).get("_stream")
            if stream is None:
                raise AttributeError(f"{type(self).__name__} is not fitted: it has no estimate_")
            estimate = self._estimate = self.plan.finish(stream.problem, stream.state)
        if estimate._again is None and hasattr(self, "_design"):  # of a stream, or loaded
            estimate._again = Again(self, None)
        return estimate

    @estimate_.setter
    def estimate_(self, estimate: Estimate) -> None:
        self._estimate = estimate

    def _shown(self):
        return self.estimate_

    def _plan(self):
        if self.plan is None:
            from statkit.plans import Exact

            return Exact()
        from statkit.plans import Plan

        if not isinstance(self.plan, Plan):
            raise TypeError(
                f"plan must be None or an object of statkit.plans, such as Subsample(10_000), not {self.plan!r}"
            )
        return self.plan

    def _covariance(self, family, plan) -> str:
        """``cov_type``, or a sandwich where the loss is no likelihood whose information would serve."""
        return plan.sandwich if self.cov_type == "nonrobust" and not family.likelihood else self.cov_type

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
        if not (np.isscalar(self.l1_ratio) and 0 <= float(self.l1_ratio) <= 1):
            raise ValueError(f"l1_ratio must be a number from 0 to 1, not {self.l1_ratio!r}")
        if self.l1_ratio != 0 and self.alpha and not self._plan().fits_l1:
            raise ValueError(
                f"l1_ratio = {self.l1_ratio!r}: {type(self.plan).__name__} fits ridge penalties only; set l1_ratio=0, "
                "or use Exact()"
            )
        if self.cov_type not in COV_TYPES:
            raise ValueError(
                f"cov_type must be one of {', '.join(map(repr, COV_TYPES))}, not {self.cov_type!r}"
                + ("; after the fit: estimate_.with_cov('HC3')" if self.cov_type in ("HC2", "HC3") else "")
            )
        if self.cov_type == "bootstrap" and not self._plan().bootstraps:
            raise ValueError(
                f"cov_type='bootstrap' is not for {type(self.plan).__name__}: use 'HC0', or Exact()"
            )
        if self.na_action not in ("drop", "raise"):
            raise ValueError(f"na_action must be 'drop' or 'raise', not {self.na_action!r}")

    def _plain(self, X, roles, fitted, labels=None):
        """Source, design and family of a matrix with arrays beside it; ``labels`` are classes known before."""
        from statkit.design.matrix import MatrixDesign
        from statkit.sources import as_source

        names = roles.names()
        if names:
            role, name = next(iter(names.items()))
            raise ValueError(
                f"{role} = {name!r} names a column, but X is a plain matrix without column names"
            )
        # `reset` would change the estimator before anything can fail.
        X, y = self._validated(X, roles.y, fitted)
        y, classes = self._response(y, labels)
        n, p = X.shape
        weight = offset = group = None
        if roles.weight is not None:
            weight = as_vector(roles.weight, "sample_weight", n, positive=True)
        if roles.offset is not None:
            offset = as_vector(roles.offset, "offset", n)
        if roles.group is not None:
            group = group_codes(roles.group)
            if len(group) != n:
                raise ValueError(f"groups has {len(group)} labels for {n} rows")
        if classes is not None:
            fitted["classes_"] = classes
        design = MatrixDesign(
            [f"x{j}" for j in range(p)],
            intercept=self.fit_intercept,
            na_action=self.na_action,
            classes=classes,
            check=not self._plan().finds_missing,
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

    def __getstate__(self):
        # A client of a cluster belongs to its process; what was fitted does not need it.
        state = super().__getstate__()
        return state if isinstance(state.get("engine"), str) else state | {"engine": "threads"}

    def __sklearn_clone__(self):
        if isinstance(self.engine, str):
            return _clone_parametrized(self)
        # A cluster's client cannot be copied: the clone shares it.
        twin = _clone_parametrized(copy.copy(self))
        twin.engine = self.engine
        return twin

    # -- what was fitted ------------------------------------------------------------------------------------

    def _batch_source(self, X, roles):
        """A later batch of a stream of plain matrices; checked in full only where it is not what came before."""
        from statkit.sources import ArraySource

        if not (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype == np.float64
            and X.shape[1] == self.n_features_in_
        ):
            X = validate_data(
                self, X, accept_sparse="csr", dtype="numeric", ensure_all_finite=False, reset=False
            )
        n = X.shape[0]
        y, _ = self._response(np.asarray(roles.y), vars(self).get("classes_"))
        if len(y) != n:
            raise ValueError(f"y has {len(y)} values for {n} rows")
        weight = offset = group = None
        if roles.weight is not None:
            weight = as_vector(roles.weight, "sample_weight", n, positive=True)
        if roles.offset is not None:
            offset = as_vector(roles.offset, "offset", n)
        if roles.group is not None:
            group = group_codes(roles.group)
        return ArraySource(X, y, weight, offset, group, rows_per_partition=max(n, 1))

    def _set_coefficients(self, values):
        """``coef_`` and ``intercept_`` from the public parameters."""
        first = int(self._design.intercept)
        self.intercept_ = float(values[0]) if first else 0.0
        self.coef_ = np.where(np.isnan(values[first:]), 0.0, values[first:])

    def get_state(self) -> bytes:
        """The fitted model, with the state of its stream, as bytes that hold numbers and text alone.

        Unlike a pickle it runs no code when it is read. With ``plan=Renewable()`` a stream goes on from it as if it
        had not been interrupted. The first rows of a stream may be in it as they are (``buffer_rows``).

        Returns
        -------
        state : bytes
            For :meth:`from_state`, of this or a later version.
        """
        from statkit.regression.model_document import model_state

        check_is_fitted(self, "estimate_")
        return model_state(self)

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """The model that :meth:`get_state` described.

        Parameters
        ----------
        state : bytes

        Returns
        -------
        model : estimator of this class

        Raises
        ------
        ValueError
            If the bytes are cut off or damaged, of a newer version, or of another kind of model.
        """
        from statkit.regression.model_document import model_from_state

        model = model_from_state(state)
        if type(model) is not cls:
            raise ValueError(f"the state is of a {type(model).__name__}, not of a {cls.__name__}")
        return model

    def summary(self, full: bool = False, alpha: float = 0.05, adjust: str | None = None) -> Summary:
        """The table of the fit, as text, HTML (in notebooks) or LaTeX.

        Parameters
        ----------
        full, alpha, adjust : as in :meth:`statkit.results.Estimate.summary`

        Returns
        -------
        summary : statkit.results.Summary
        """
        check_is_fitted(self, "estimate_")
        return self.estimate_.summary(full=full, alpha=alpha, adjust=adjust)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
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
        if self._design.columns or not (is_matrix(X) or is_frame(X)):
            from statkit.regression._tabular import eta_of_partition, predicted

            return predicted(eta_of_partition, self, X, offset)
        X = self._checked(X)
        eta = X @ self._slopes() + self._intercepts()
        if offset is not None:
            offset = as_vector(offset, "offset", X.shape[0])
            eta = eta + (offset if eta.ndim == 1 else offset[:, None])
        return np.asarray(eta)

    def _checked(self, X):
        """New rows of a plain matrix."""
        return validate_data(
            self, X, accept_sparse="csr", dtype="numeric", reset=False,
            ensure_all_finite="allow-nan" if self.na_action == "drop" else True,
        )  # fmt: skip

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
