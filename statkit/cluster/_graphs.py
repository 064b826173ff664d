"""Graphs of the samples of one view: distances and neighbours. A sample is never its own neighbour."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors


def squared_distances(X):
    """Squared Euclidean distances between all rows, the diagonal exactly zero."""
    D = pairwise_distances(X, metric="sqeuclidean") if sparse.issparse(X) else _squared(X)
    np.maximum(D, 0.0, out=D)
    np.fill_diagonal(D, 0.0)
    return D


def _squared(X):
    norms = np.einsum("ij,ij->i", X, X)
    D = X @ X.T
    D *= -2.0
    D += norms[:, None]
    D += norms[None, :]
    return 0.5 * (D + D.T)


def clipped_neighbors(wanted, n, most):
    """The number of neighbours that n samples allow; a warning if it is fewer than wanted."""
    if wanted <= most:
        return wanted
    warnings.warn(
        f"n_neighbors={wanted} is more than {n} samples allow: {most} are used", UserWarning, stacklevel=6
    )
    return most


def nearest(distances, count):
    """The ``count`` nearest others of every sample, nearest first, (n, count)."""
    masked = distances.copy()
    np.fill_diagonal(masked, np.inf)
    at = (
        np.argpartition(masked, count - 1, axis=1)[:, :count]
        if count < len(masked)
        else np.argsort(masked, axis=1)
    )
    order = np.argsort(np.take_along_axis(masked, at, axis=1), axis=1, kind="stable")
    return np.take_along_axis(at, order, axis=1)[:, :count]


def neighbor_graph(X, n_neighbors):
    """Symmetric 0, ½, 1 graph of nearest neighbours, CSR: no array over all pairs."""
    graph = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors_graph(mode="connectivity")
    return sparse.csr_array(0.5 * (graph + graph.T))
