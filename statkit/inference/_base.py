"""What methods of many small samples share: calling a statistic, seeds, parallel work, intervals."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from statkit._magnitude import check_magnitude
from statkit.engines.engine import one_blas_thread

__all__ = ["ManySamples", "evaluate_statistic"]

_SALT = 0x696E_6665


def evaluate_statistic(statistic, X, y, weight=None) -> np.ndarray:
    """Coefficients (intercept first) of an estimator fitted on rows, or the value of a callable."""
    if hasattr(statistic, "fit"):
        model = clone(statistic)
        if weight is None:
            model.fit(X, y)
        else:
            model.fit(X, y, sample_weight=weight)
        coef = np.ravel(model.coef_)
        if not getattr(model, "fit_intercept", False):
            return coef
        return np.concatenate([np.ravel(model.intercept_), coef])
    data = (X,) if y is None else (X, y)
    value = statistic(*data) if weight is None else statistic(*data, sample_weight=weight)
    return np.atleast_1d(np.asarray(value, dtype=float)).ravel()


class ManySamples(BaseEstimator):
    """Base: ``_one(X, y, rng, number)`` is one sample's work, ``_summarise(results, n)`` sets the
    attributes."""

    def _check(self, X, y):
        first = self.statistic if hasattr(self, "statistic") else self.estimator
        if not (hasattr(first, "fit") or callable(first)):
            raise TypeError(f"the first parameter must be an estimator or a callable, not {first!r}")
        X = check_array(X, ensure_2d=False, dtype=None, ensure_all_finite=False)
        if X.dtype == object:
            with contextlib.suppress(
                ValueError, TypeError
            ):  # what is no number is for the statistic to judge
                X = X.astype(float)
        check_magnitude(X)
        if y is not None:
            y = np.asarray(y)
            if len(y) != len(X):
                raise ValueError(f"y has {len(y)} values for {len(X)} rows")
            check_magnitude(y, "y")
        return X, y

    @staticmethod
    def _positive(**values):
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")

    def _size(self, n, default):
        size = default if self.size is None else self.size
        self._positive(size=size)
        if size > n:
            raise ValueError(f"size={size} is more than the {n} rows there are")
        return int(size)

    def _seed(self):
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _run(self, work, count):
        """``work(number, generator)`` for every number; the answers do not depend on ``n_jobs``."""
        from joblib import Parallel, delayed

        seed = self._seed()

        def one(i):
            return work(i, np.random.default_rng([seed, i, _SALT]))

        numbers = range(count)
        if getattr(self, "verbose", 0):
            from rich.progress import track

            numbers = track(numbers, description=type(self).__name__, transient=True)
        with one_blas_thread():  # the last bits of a product depend on the number of threads
            return Parallel(n_jobs=self.n_jobs, prefer="threads")(delayed(one)(i) for i in numbers)

    def conf_int(self, alpha: Any = 0.05) -> np.ndarray:
        """Confidence limits at level ``1 − alpha``.

        Returns
        -------
        limits : ndarray of shape (k, 2)
            From the quantiles of the roots where the method has them, else from the normal distribution.
        """
        check_is_fitted(self, "coef_")
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {alpha!r}")
        roots = getattr(self, "roots_", None)
        if roots is not None:
            high, low = np.quantile(roots, [1 - alpha / 2, alpha / 2], axis=0)
            return np.column_stack([self.coef_ - high, self.coef_ - low])
        from scipy import stats

        half = stats.norm.ppf(1 - alpha / 2) * self.bse_
        return np.column_stack([self.coef_ - half, self.coef_ + half])
