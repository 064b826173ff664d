"""What selectors of rows share: ``fit``, ``indices_``, ``weights_`` and ``fit_resample``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import validate_data

from statkit._unchanged import unchanged_on_error

__all__ = ["Selector"]


class Selector(BaseEstimator):
    """Base of the selectors; a subclass has ``_select(X, y, size) -> (indices, weights)``."""

    #: Whether the selection looks at the response.
    _needs_y = False

    def fit(self, X: Any, y: Any = None) -> Self:
        """Select rows.

        Parameters
        ----------
        X : array of shape (n, p)
        y : array of shape (n,) or None

        Returns
        -------
        self : Selector
            With ``indices_`` (ascending) and ``weights_`` (what to weight the rows with; ones where the
            design needs no weights).
        """
        with unchanged_on_error(self):
            if self._needs_y and y is None:
                raise ValueError(f"{type(self).__name__} needs y: the rows to prefer depend on it")
            size = self._checked_size()
            vars(self).pop("_stream", None)
            X = validate_data(self, X, dtype=np.float64)
            if y is not None and len(y) != len(X):
                raise ValueError(f"y has {len(y)} values for {len(X)} rows")
            if size >= len(X):
                self.indices_, self.weights_ = np.arange(len(X)), np.ones(len(X))
            else:
                self.indices_, self.weights_ = self._select(X, y, size)
            return self

    def _checked_size(self):
        size = self.size
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"size must be a positive integer, not {size!r}")
        return int(size)

    def fit_resample(self, X: Any, y: Any) -> Any:
        """Selected rows of ``X`` and ``y``, as imbalanced-learn's samplers give them; see ``weights_``.

        Returns
        -------
        X_selected, y_selected
        """
        self.fit(X, y)
        return _safe_indexing(X, self.indices_), _safe_indexing(y, self.indices_)

    def fit_linear(self, X: Any = None, y: Any = None) -> Any:
        """Least squares on the selected rows, with an intercept adjusted by the means of all rows.

        Parameters
        ----------
        X : array of shape (n, p) or None
        y : array of shape (n,) or None
            None for both: the rows that were given to ``partial_fit``, for selectors that have it.

        Returns
        -------
        coef : ndarray of shape (p,)
        intercept : float
            ``ȳ − x̄'b``: its error falls with the number of rows, that of the selected rows' own does not.
        covariance : ndarray of shape (p + 1, p + 1)
            Of intercept (the adjusted one first) and slopes: that of least squares where the selection does not
            look at the response and needs no weights, a sandwich where rows are weighted.
        """
        if X is None and hasattr(self, "_selected"):
            chosen, responses, mean, mean_y, n = self._selected()
        else:
            X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
            self.fit(X, y)
            chosen, responses = X[self.indices_], y[self.indices_]
            mean, mean_y, n = X.mean(axis=0), float(y.mean()), len(X)
        w = self.weights_ / self.weights_.mean()
        k, p = chosen.shape
        A = chosen - np.average(chosen, axis=0, weights=w)
        t = responses - np.average(responses, weights=w)
        inverse = np.linalg.pinv((A.T * w) @ A)
        coef = inverse @ (A.T @ (w * t))
        residual = t - A @ coef
        left = k - p - 1
        sigma2 = float(w @ residual**2) / left if left > 0 else np.nan
        if (w == 1).all():
            slopes = sigma2 * inverse
        else:
            slopes = (
                inverse @ ((A.T * (w * residual) ** 2) @ A) @ inverse * (k / left if left > 0 else np.nan)
            )
        V = np.empty((p + 1, p + 1))
        V[1:, 1:] = slopes
        V[0, 1:] = V[1:, 0] = -slopes @ mean
        V[0, 0] = mean @ slopes @ mean + sigma2 / n
        return coef, float(mean_y - mean @ coef), V
