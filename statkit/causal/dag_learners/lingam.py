"""DirectLiNGAM: a causal order from residuals that are independent of their regressors only in that order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from statkit.causal.knowledge import Knowledge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["direct_lingam"]

# Hyvärinen's approximation of the entropy of a standardised variable.
_GAUSS = 0.5 * (1 + np.log(2 * np.pi))


def direct_lingam(
    X: ArrayLike, *, sample_weight: ArrayLike | None = None, knowledge: Any = None
) -> np.ndarray:
    """Find the causal order of a complete table of non-Gaussian columns.

    At each step the column is taken that is most independent of the residuals of the others on it, and is
    regressed out of them.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Without missing values.
    sample_weight : array-like of shape (n,), default=None
    knowledge : Knowledge, default=None
        What must precede what is respected.

    Returns
    -------
    ndarray of int, shape (d,)
        Column numbers, causes first.

    References
    ----------
    S. Shimizu, T. Inazumi, Y. Sogawa, A. Hyvärinen, Y. Kawahara, T. Washio, P. O. Hoyer, K. Bollen (2011),
    "DirectLiNGAM: a direct method for learning a linear non-Gaussian structural equation model".

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal.dag_learners import direct_lingam
    >>> e = np.random.default_rng(0).exponential(size=(500, 2))
    >>> direct_lingam(np.column_stack([e[:, 0] + e[:, 1], e[:, 0]]))
    array([1, 0])
    """
    X = np.array(X, dtype=float)
    if X.ndim != 2 or not np.isfinite(X).all():
        raise ValueError("X must be a table without missing or infinite values")
    n, d = X.shape
    w = np.full(n, 1.0 / n) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    w = np.ascontiguousarray(w / w.sum())
    precedes = (Knowledge.none(d) if knowledge is None else knowledge).precedes
    return _order(np.ascontiguousarray((X - w @ X).T), w, precedes)


@njit(cache=True, nogil=True)
def _entropy(u, w):
    cosh = 0.0
    bump = 0.0
    for i in range(u.shape[0]):
        a = abs(u[i])
        cosh += w[i] * (a + np.log1p(np.exp(-2.0 * a)) - 0.6931471805599453)
        bump += w[i] * u[i] * np.exp(-0.5 * a * a)
    return _GAUSS - 79.047 * (cosh - 0.37457) ** 2 - 7.4129 * bump * bump


@njit(cache=True, nogil=True)
def _standardise(u, w):
    total = 0.0
    for i in range(u.shape[0]):
        total += w[i] * u[i] * u[i]
    if total > 0.0:
        f = 1.0 / np.sqrt(total)
        for i in range(u.shape[0]):
            u[i] *= f


@njit(cache=True, nogil=True)
def _order(Z, w, precedes):
    """``Z`` (d, n): centred columns as rows; overwritten by residuals."""
    d, n = Z.shape
    left = np.ones(d, np.bool_)
    order = np.empty(d, np.int64)
    H = np.empty(d)
    against = np.empty(d)
    a = np.empty(n)
    b = np.empty(n)
    for t in range(d):
        for j in range(d):
            against[j] = 0.0
            if left[j]:
                _standardise(Z[j], w)
                H[j] = _entropy(Z[j], w)
        for i in range(d):
            if not left[i]:
                continue
            for j in range(i):
                if not left[j]:
                    continue
                r = 0.0
                for k in range(n):
                    r += w[k] * Z[i, k] * Z[j, k]
                for k in range(n):
                    a[k] = Z[i, k] - r * Z[j, k]
                    b[k] = Z[j, k] - r * Z[i, k]
                _standardise(a, w)
                _standardise(b, w)
                D = H[j] + _entropy(a, w) - H[i] - _entropy(b, w)
                if D < 0.0:
                    against[i] += D * D
                else:
                    against[j] += D * D
        best = -1
        for j in range(d):
            if not left[j]:
                continue
            ready = True
            for i in range(d):
                if left[i] and precedes[i, j]:
                    ready = False
            if ready and (best < 0 or against[j] < against[best]):
                best = j
        order[t] = best
        left[best] = False
        for j in range(d):
            if left[j]:
                r = 0.0
                for k in range(n):
                    r += w[k] * Z[j, k] * Z[best, k]
                for k in range(n):
                    Z[j, k] -= r * Z[best, k]
    return order
