"""Feature screening on small samples: which of very many columns go with the response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from statkit._magnitude import check_magnitude
from statkit._unchanged import unchanged_on_error
from statkit.inference.addressing import sequential_blocks

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["SubsampledFeatureScreening"]


class SubsampledFeatureScreening(SelectorMixin, BaseEstimator):
    """Keep the columns whose squared correlation with the response, from small samples, is largest.

    Parameters
    ----------
    n_features_to_select : int, default=10
    size : int, default=1000
        Rows of a sample.
    n_subsamples : int, default=20
    aggregate : {"moments", "average", "jackknife"}, default="moments"
        Average the five moments and then correlate (bias of order 1/(nK)), average the squared correlations
        (1/n), or average jackknifed ones (1/n²).
    addressing : {"random", "sequential"}, default="random"
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    scores_ : ndarray of shape (p,)
        Squared correlations; zero for constant columns.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.inference import SubsampledFeatureScreening
    >>> X = np.random.default_rng(0).standard_normal((5000, 30))
    >>> screen = SubsampledFeatureScreening(1, 500, random_state=0).fit(X, X[:, 7])
    >>> screen.get_support(indices=True)
    array([7])

    References
    ----------
    X. Zhu, R. Pan, S. Wu and H. Wang (2022), Feature Screening for Massive Data Analysis by Subsampling.
    """

    def __init__(
        self,
        n_features_to_select: int = 10,
        size: int = 1000,
        n_subsamples: int = 20,
        *,
        aggregate: Literal["moments", "average", "jackknife"] = "moments",
        addressing: Literal["random", "sequential"] = "random",
        random_state: Seed = None,
    ) -> None:
        self.n_features_to_select = n_features_to_select
        self.size = size
        self.n_subsamples = n_subsamples
        self.aggregate = aggregate
        self.addressing = addressing
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Screen. Returns self."""
        with unchanged_on_error(self):
            for name in ("n_features_to_select", "size", "n_subsamples"):
                value = getattr(self, name)
                if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                    raise ValueError(f"{name} must be a positive integer, not {value!r}")
            for name, allowed in (("aggregate", ("moments", "average", "jackknife")),
                                  ("addressing", ("random", "sequential"))):  # fmt: skip
                if getattr(self, name) not in allowed:
                    raise ValueError(f"{name} must be one of {allowed}, not {getattr(self, name)!r}")
            X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
            check_magnitude(X)
            check_magnitude(y, "y")
            n = len(X)
            rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
            size = min(self.size, n)
            center, origin = X[:size].mean(axis=0), float(np.mean(y[:size]))
            moments, each = [], []
            for _ in range(self.n_subsamples):
                if self.addressing == "sequential":
                    rows = next(iter(sequential_blocks(n, size, 1, rng)))
                else:
                    rows = rng.integers(0, n, size)
                A, t = X[rows] - center, y[rows] - origin
                m = np.vstack(
                    [
                        A.mean(axis=0),
                        (A * A).mean(axis=0),
                        A.T @ t / size,
                        np.full(A.shape[1], t.mean()),
                        np.full(A.shape[1], (t * t).mean()),
                    ]
                )
                moments.append(m)
                if self.aggregate == "average":
                    each.append(_squared(m))
                elif self.aggregate == "jackknife":
                    total = np.zeros(A.shape[1])
                    for j in range(size):
                        row = np.vstack([A[j], A[j] ** 2, A[j] * t[j], np.full(A.shape[1], t[j]),
                                         np.full(A.shape[1], t[j] ** 2)])  # fmt: skip
                        total += _squared((size * m - row) / max(size - 1, 1))
                    each.append(size * _squared(m) - (size - 1) * total / size)
            self.scores_ = (
                _squared(np.mean(moments, axis=0)) if self.aggregate == "moments" else np.mean(each, axis=0)
            )
            return self

    def _get_support_mask(self):
        check_is_fitted(self, "scores_")
        mask = np.zeros(len(self.scores_), bool)
        mask[np.argsort(-self.scores_, kind="stable")[: self.n_features_to_select]] = True
        return mask

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _squared(m):
    x, xx, xy, y, yy = m
    variance = np.maximum(xx - x * x, 0.0) * np.maximum(yy - y * y, 0.0)
    small = 1e-14 * xx * yy
    return np.divide((xy - x * y) ** 2, variance, out=np.zeros_like(variance), where=variance > small)
