"""Rotations of modes to simple structure: varimax and promax."""

from __future__ import annotations

import numpy as np


def varimax(loadings: np.ndarray, *, tol: float = 1e-8, max_iter: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Rotate loadings so that squared loadings vary as much as possible within each column.

    Parameters
    ----------
    loadings : ndarray of shape (p, k)
    tol : float, default=1e-8
        Relative gain at which the iteration ends.
    max_iter : int, default=500

    Returns
    -------
    rotated : ndarray of shape (p, k)
    rotation : ndarray of shape (k, k)
        Orthogonal; ``rotated = loadings @ rotation``.

    References
    ----------
    H. Kaiser (1958), The varimax criterion for analytic rotation in factor analysis.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.decomposition import varimax
    >>> rotated, rotation = varimax(np.array([[0.8, 0.4], [0.8, 0.3], [0.4, -0.6], [0.3, -0.6]]))
    >>> np.abs(rotated).round(2)
    array([[0.89, 0.  ],
           [0.85, 0.09],
           [0.09, 0.72],
           [0.  , 0.67]])
    """
    loadings = np.asarray(loadings, dtype=float)
    p, k = loadings.shape
    rotation, gain = np.eye(k), 0.0
    for _ in range(max_iter):
        rotated = loadings @ rotation
        target = rotated**3 - rotated * (np.sum(rotated**2, axis=0) / p)
        left, singular, right = np.linalg.svd(loadings.T @ target)
        rotation = left @ right
        if singular.sum() <= gain * (1 + tol):
            break
        gain = singular.sum()
    return loadings @ rotation, rotation


def promax(loadings: np.ndarray, *, power: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Oblique rotation toward the `power` of the varimax loadings.

    Parameters
    ----------
    loadings : ndarray of shape (p, k)
    power : int, default=4

    Returns
    -------
    rotated : ndarray of shape (p, k)
    rotation : ndarray of shape (k, k)
        ``rotated = loadings @ rotation``; not orthogonal.

    References
    ----------
    A. Hendrickson, P. White (1964), Promax: a quick method for rotation to oblique simple structure.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.decomposition import promax
    >>> loadings = np.array([[0.9, 0.3], [0.8, 0.3], [0.3, 0.8], [0.2, 0.9]])
    >>> rotated, rotation = promax(loadings)
    >>> bool(np.allclose(rotated, loadings @ rotation)), bool(np.allclose(rotation.T @ rotation, np.eye(2)))
    (True, False)
    """
    turned, rotation = varimax(loadings)
    target = turned * np.abs(turned) ** (power - 1)
    oblique = np.linalg.lstsq(turned, target, rcond=None)[0]
    scale = np.sqrt(np.diag(np.linalg.inv(oblique.T @ oblique)))
    oblique = oblique * scale
    return turned @ oblique, rotation @ oblique
