"""What selectors of rows share: ``fit``, ``indices_``, ``weights_`` and ``fit_resample``."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import validate_data

__all__ = ["Selector"]


class Selector(BaseEstimator):
    """Base of the selectors; a subclass has ``_select(X, y, size) -> (indices, weights)``."""

    #: Whether the selection looks at the response.
    _needs_y = False

    def fit(self, X, y=None):
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
        if self._needs_y and y is None:
            raise ValueError(f"{type(self).__name__} needs y: the rows to prefer depend on it")
        size = self.size
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"size must be a positive integer, not {size!r}")
        X = validate_data(self, X, dtype=np.float64)
        if y is not None and len(y) != len(X):
            raise ValueError(f"y has {len(y)} values for {len(X)} rows")
        if size >= len(X):
            self.indices_, self.weights_ = np.arange(len(X)), np.ones(len(X))
        else:
            self.indices_, self.weights_ = self._select(X, y, int(size))
        return self

    def fit_resample(self, X, y):
        """Selected rows of ``X`` and ``y``, as imbalanced-learn's samplers give them; see ``weights_``.

        Returns
        -------
        X_selected, y_selected
        """
        self.fit(X, y)
        return _safe_indexing(X, self.indices_), _safe_indexing(y, self.indices_)
