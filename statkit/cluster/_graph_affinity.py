"""From rows to a sparse affinity: nearest neighbours, reach within a few hops, random-walk weights."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors


def nearest(X_fit, X_query, n_neighbors, algorithm=None):
    """Indices (n_query, n_neighbors) of the nearest fitted rows, by ``algorithm`` or scikit-learn's trees."""
    if algorithm is None:
        return NearestNeighbors(n_neighbors=n_neighbors).fit(X_fit).kneighbors(X_query, return_distance=False)
    _, indices = algorithm(X_fit, X_query, n_neighbors)
    indices = np.asarray(indices)
    if indices.shape != (X_query.shape[0], n_neighbors):
        raise ValueError(
            f"neighbors_algorithm must return indices of shape {(X_query.shape[0], n_neighbors)}, "
            f"got {indices.shape}"
        )
    return indices


def neighbour_graph(X, n_neighbors, algorithm=None):
    """Binary symmetric CSR graph: i and j are joined if either is among the other's nearest; no loops."""
    n = X.shape[0]
    k = min(n_neighbors, n - 1)
    found = nearest(X, X, k + 1, algorithm)
    own = found == np.arange(n)[:, None]
    # Among duplicates a row need not find itself first, or at all: then its last neighbour goes.
    own[~own.any(axis=1), -1] = True
    rows = np.repeat(np.arange(n), k)
    graph = sparse.csr_array((np.ones(n * k, dtype=np.float32), (rows, found[~own])), shape=(n, n))
    return binary(graph + graph.T)


def binary(graph):
    """All stored values one, no diagonal, sorted indices."""
    graph = sparse.csr_array(graph)
    graph.setdiag(0)
    graph.eliminate_zeros()
    graph.sort_indices()
    graph.data = np.ones(graph.nnz, dtype=np.float32)
    return graph


def reach(graph, n_hops, n_clusters, limit):
    """Objects within ``n_hops`` hops of each other, and the number of hops.

    "auto": the most hops whose mean reach stays within half a cluster, but at least 2, and 1 where 2 hops
    reach more than one and a half clusters. ``limit`` bounds the stored values.

    Raises
    ------
    MemoryError
        A number of hops that was asked for needs more than ``limit``.
    """
    n = graph.shape[0]
    auto = n_hops == "auto"
    hops, current = 1, graph
    while auto or hops < n_hops:
        # The sum over neighbours of their degree in `current` bounds the next graph's stored values.
        bound = float(np.diff(graph.indptr) @ np.diff(current.indptr)) + current.nnz
        if bound > 4.0 * limit and min(bound, float(n) ** 2) > limit:
            following = None
        else:
            following = binary(current @ graph + current)
        if following is None or following.nnz > limit:
            if auto:
                break
            raise MemoryError(
                f"{hops + 1} hops join more than {limit:,} pairs ({8 * limit:,} bytes): lower n_hops or "
                "n_neighbors, or raise max_memory"
            )
        if following.nnz == current.nnz:
            break  # every component is joined already
        mean_reach = following.nnz / n
        if auto and hops == 1 and mean_reach > 1.5 * n / n_clusters:
            break
        if auto and hops >= 2 and mean_reach > 0.5 * n / n_clusters:
            break
        hops, current = hops + 1, following
    return current, hops


def walk(graph):
    """min(1, W³ / its 99th percentile) with W = D^-1/2 (A + I) D^-1/2: three random steps."""
    n = graph.shape[0]
    loops = graph + sparse.eye_array(n, dtype=np.float32, format="csr")
    scale = sparse.diags_array(1.0 / np.sqrt(loops.sum(axis=1)))
    W = (scale @ loops @ scale).tocsr()
    three = sparse.csr_array(W @ W @ W)
    three = sparse.csr_array(0.5 * (three + three.T))  # exactly symmetric
    three.setdiag(0)
    three.eliminate_zeros()
    three.sort_indices()
    if three.nnz:
        three.data = np.minimum(1.0, three.data / np.percentile(three.data, 99))
    return sparse.csr_array(three, dtype=np.float32)


def check_affinity(A):
    """A symmetric CSR affinity with values in [0, 1] and no diagonal.

    Raises
    ------
    ValueError
        Not square, not symmetric, or a value outside [0, 1].
    """
    A = sparse.csr_array(A)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"affinity='precomputed' needs a square matrix, got shape {A.shape}")
    if A.nnz and (A.data.min() < 0 or A.data.max() > 1):
        worst = A.data.min() if A.data.min() < 0 else A.data.max()
        raise ValueError(f"affinities must lie in [0, 1], found {worst:.6g}: divide by the largest")
    A = A.copy()
    A.setdiag(0)
    A.eliminate_zeros()
    A.sort_indices()
    if A.nnz and abs(A - A.T).max() > 1e-6:
        raise ValueError("the affinity is not symmetric: use (A + A.T) / 2, or A.maximum(A.T)")
    return A
