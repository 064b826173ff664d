"""Sampling errors of modes by resampling the samples."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch, check_random_state

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


def bootstrap_modes(
    estimator: Any,
    X: ArrayLike,
    *,
    n_resamples: int = 100,
    random_state: Seed = None,
) -> Bunch:
    """Refit on resampled rows and say how far the modes move.

    Modes of a resample are rotated onto those of the full sample (Procrustes), so that a change of sign, of
    order, or within a degenerate level, is not taken for an error. The correlation length stays that of the
    full sample.

    Parameters
    ----------
    estimator : SchrodingerPCA
        Fitted to `X`.
    X : array-like of shape (n_samples, p)
    n_resamples : int, default=100
    random_state : int, RandomState or None, default=None

    Returns
    -------
    Bunch
        ``components_std`` (k, p); ``explained_variance`` (n_resamples, k); ``angles`` (n_resamples,), the
        largest principal angle in degrees between the spans of the modes.

    Examples
    --------
    >>> from statkit.datasets import make_random_field
    >>> from statkit.decomposition import SchrodingerPCA, bootstrap_modes
    >>> X = make_random_field(30, shape=(60,), correlation_length=6.0, random_state=0).data
    >>> model = SchrodingerPCA(3, random_state=0).fit(X)
    >>> bootstrap_modes(model, X, n_resamples=20, random_state=0).components_std.shape
    (3, 60)
    """
    from statkit.decomposition.comparison import subspace_angle

    if n_resamples < 2:
        raise ValueError(f"n_resamples must be at least 2, got {n_resamples}")
    rng = check_random_state(random_state)
    kept = estimator._kept
    root = np.sqrt(estimator.weights_[kept])
    reference = estimator.components_[:, kept] * root
    k = len(reference)
    length = estimator.correlation_length_
    again = clone(estimator).set_params(
        n_components=k, correlation_length=length, nugget=estimator.nugget_, kernel=estimator.kernel_
    )
    n = estimator.n_samples_
    total, squares = np.zeros_like(reference), np.zeros_like(reference)
    variances, angles = np.empty((n_resamples, k)), np.empty(n_resamples)
    for b in range(n_resamples):
        rows = rng.randint(0, n, n)
        part = X[rows] if not hasattr(X, "iloc") else X.iloc[rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            again.fit(part)
        modes = again.components_[:, kept] * root
        left, _, right = np.linalg.svd(reference @ modes.T)
        aligned = (left @ right) @ modes
        total += aligned
        squares += aligned**2
        variances[b] = again.explained_variance_
        angles[b] = subspace_angle(modes, reference)
    spread = (
        np.maximum(squares / n_resamples - (total / n_resamples) ** 2, 0) * n_resamples / (n_resamples - 1)
    )
    std = np.zeros_like(estimator.components_)
    std[:, kept] = np.sqrt(spread) / root
    return Bunch(components_std=std, explained_variance=variances, angles=angles)
