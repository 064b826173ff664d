"""Leverage: how far a row's columns lie from the others, exactly or by random projections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.linalg import cholesky, qr, solve_triangular

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


__all__ = ["leverage_scores"]

# Sketching pays when forming X'X is dear; below this many columns the exact way is as fast.
_WIDE = 150
_CONDITION = 1e6
_CHUNK = 16_384


def leverage_scores(
    X: ArrayLike,
    method: Literal["auto", "exact", "sketch"] = "auto",
    random_state: Seed = None,
) -> np.ndarray:
    """Leverage ``x_i'(X'X)⁻¹x_i`` of every row.

    Parameters
    ----------
    X : array of shape (n, d)
    method : {"auto", "exact", "sketch"}, default="auto"
        "exact" by Cholesky of ``X'X`` (QR if that is ill-conditioned); "sketch" by a count sketch and a
        Gaussian map, with relative errors of 20 to 30 %, for hundreds of columns; "auto" sketches from 150
        columns on.
    random_state : int, RandomState or None
        For "sketch".

    Returns
    -------
    leverage : ndarray of shape (n,)
        In [0, 1], with sum rank(X) (sketched: about).

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import leverage_scores
    >>> leverage_scores(np.array([[1.0, 0], [0, 1], [0, 1]])).round(3).tolist()
    [1.0, 0.5, 0.5]

    References
    ----------
    P. Ma, M. W. Mahoney and B. Yu (2015), A Statistical Perspective on Algorithmic Leveraging. P. Drineas,
    M. Magdon-Ismail, M. W. Mahoney and D. P. Woodruff (2012), Fast Approximation of Matrix Coherence and
    Statistical Leverage.
    """
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or not len(X):
        raise ValueError(f"X must be a matrix with at least one row, it has shape {X.shape}")
    if not np.isfinite(X).all():
        at = np.argwhere(~np.isfinite(X))[0]
        raise ValueError(f"X holds {X[tuple(at)]} in row {at[0]}, column {at[1]}")
    if method not in ("auto", "exact", "sketch"):
        raise ValueError(f"method must be 'auto', 'exact' or 'sketch', not {method!r}")
    n, d = X.shape
    if method == "sketch" or (method == "auto" and d >= _WIDE and n > 40 * d):
        return _sketched(X, random_state)
    return _exact(X)


def _exact(X):
    length = np.sqrt(np.einsum("ij,ij->j", X, X))
    scale = np.where(length > 0, length, 1.0)
    gram = X.T @ X / scale / scale[:, None]
    try:
        L = cholesky(gram, lower=True)
        if np.diag(L).min() * _CONDITION > np.diag(L).max():
            return _norms(X / scale, solve_triangular(L, np.eye(len(L)), lower=True))
    except np.linalg.LinAlgError:
        pass
    Q, R, _ = qr(X / scale, mode="economic", pivoting=True)
    pivot = np.abs(np.diag(R))
    rank = int((pivot > pivot.max(initial=0.0) * len(X) * np.finfo(float).eps).sum())
    return np.einsum("ij,ij->i", Q[:, :rank], Q[:, :rank])


def _norms(X, T):
    out = np.empty(len(X))
    for start in range(0, len(X), _CHUNK):
        mapped = X[start : start + _CHUNK] @ T.T
        out[start : start + _CHUNK] = np.einsum("ij,ij->i", mapped, mapped)
    return np.minimum(out, 1.0)


def _sketched(X, random_state):
    from sklearn.utils import check_random_state

    rng = check_random_state(random_state)
    n, d = X.shape
    buckets = min(20 * d, n)
    bucket = rng.randint(buckets, size=n)
    sign = rng.choice([-1.0, 1.0], size=n)
    from scipy.sparse import csr_array

    sketch = csr_array((sign, (bucket, np.arange(n))), shape=(buckets, n)) @ X
    R = np.linalg.qr(sketch, mode="r")
    pivot = np.abs(np.diag(R))
    if pivot.min() <= pivot.max() * 1e-10:
        return _exact(X)
    omega = rng.standard_normal((d, 32)) / np.sqrt(32)
    return _norms(X, solve_triangular(R, omega).T)
