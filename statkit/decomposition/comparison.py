"""How near two sets of modes are: principal angles and captured variance. Single modes may rotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def _orthonormal(modes, weights) -> np.ndarray:
    modes = np.atleast_2d(np.asarray(modes, dtype=float))
    if weights is not None:
        weights = np.asarray(weights, dtype=float)
        if weights.shape != (modes.shape[1],):
            raise ValueError(f"weights have shape {weights.shape}, the modes have {modes.shape[1]} locations")
        modes = modes * np.sqrt(weights)
    return np.linalg.qr(modes.T)[0]


def subspace_angle(U: ArrayLike, V: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Largest principal angle, in degrees, between the spans of two sets of modes.

    Parameters
    ----------
    U, V : array-like of shape (k, p) and (m, p)
        Modes as rows; when k < m the angle says how much of `U` lies outside the span of `V`.
    weights : array-like of shape (p,), default=None
        Weights of the locations in the inner product.

    Returns
    -------
    float
        Between 0 and 90 degrees.

    References
    ----------
    A. Knyazev, M. Argentati (2002), Principal angles between subspaces in an A-based scalar product.

    Examples
    --------
    >>> from statkit.decomposition import subspace_angle
    >>> round(subspace_angle([[1, 0, 0]], [[1, 1, 0]]), 6)
    45.0
    """
    u, v = _orthonormal(U, weights), _orthonormal(V, weights)
    if len(u) != len(v):
        raise ValueError(f"the modes have {len(u)} and {len(v)} locations")
    if u.shape[1] > v.shape[1]:
        u, v = v, u
    outside = u - v @ (v.T @ u)  # the sine is accurate where the cosine is not
    sine = min(float(np.linalg.norm(outside, 2)), 1.0)
    return float(np.rad2deg(np.arcsin(sine)))


def captured_variance(
    modes: ArrayLike, covariance: Any, weights: ArrayLike | None = None, *, relative: bool = True
) -> float:
    """Variance of a field inside the span of some modes, tr(QᵀCQ).

    Parameters
    ----------
    modes : array-like of shape (k, p)
        Modes as rows; they need not be orthogonal.
    covariance : array-like of shape (p, p), or something that multiplies blocks (p, k)
        Covariance of the field; or samples as a callable product.
    weights : array-like of shape (p,), default=None
        Weights of the locations in the inner product.
    relative : bool, default=True
        Divide by the sum of the k largest eigenvalues of a (dense) covariance, so that 1 is the best that k
        modes can do.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.decomposition import captured_variance
    >>> round(captured_variance([[0, 1.0]], np.diag([3.0, 1.0])), 6)
    0.333333
    """
    q = _orthonormal(modes, weights)
    root = np.ones(len(q)) if weights is None else np.sqrt(np.asarray(weights, dtype=float))
    inside = float(np.sum(q * (root[:, None] * (covariance @ (root[:, None] * q)))))
    if not relative:
        return inside
    dense = root[:, None] * np.asarray(covariance, dtype=float) * root
    return inside / float(np.linalg.eigvalsh(dense)[-q.shape[1] :].sum())
