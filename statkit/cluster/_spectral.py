"""Leading eigenvectors of a symmetric matrix, and labels from the embedding they make."""

from __future__ import annotations

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from sklearn.cluster import KMeans

_DENSE_BELOW = 300  # a full eigensolver is as fast as Lanczos up to here


def top_eigenvectors(matrix, k, *, start=None, tol=1e-12):
    """Return the ``k`` algebraically largest eigenvalues, descending, and their orthonormal eigenvectors.

    ``matrix`` is symmetric: dense, sparse or a ``LinearOperator``. ``start`` (n, any) are earlier
    eigenvectors, whose sum starts the iteration; it ends at residuals of ``tol``, relatively (eigenvalues are
    known to its square). Signs are fixed: the largest entry of a vector is positive.
    """
    n = matrix.shape[0]
    operator = isinstance(matrix, LinearOperator)
    if n <= _DENSE_BELOW or 4 * k >= n:
        dense = matrix @ np.eye(n) if operator else matrix.toarray() if hasattr(matrix, "toarray") else matrix
        values, vectors = linalg.eigh(dense, subset_by_index=(n - k, n - 1), check_finite=False)
    else:
        v0 = np.random.default_rng(0).standard_normal(n) * 1e-3
        if start is not None:
            v0 += start.sum(axis=1)
        else:
            v0 += 1.0
        try:
            values, vectors = eigsh(matrix, k=k, which="LA", v0=v0, ncv=min(n, max(2 * k + 1, 20)), tol=tol)
        except ArpackNoConvergence:  # many eigenvalues nearly equal: let the dense solver separate them
            dense = (
                matrix @ np.eye(n) if operator else matrix.toarray() if hasattr(matrix, "toarray") else matrix
            )
            values, vectors = linalg.eigh(dense, subset_by_index=(n - k, n - 1), check_finite=False)
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(k)])
    return values, np.ascontiguousarray(vectors * np.where(signs == 0, 1.0, signs))


def unit_rows(H):
    """Scale the rows to norm one; rows of zeros stay zero."""
    norms = np.linalg.norm(H, axis=1, keepdims=True)
    return H / np.where(norms > 0, norms, 1.0)


def cluster_rows(H, n_clusters, n_init, random_state, *, unit=True, sample_weight=None):
    """Labels of the rows of an embedding, and centres: the k-means of least inertia of ``n_init`` starts."""
    points = unit_rows(H) if unit else H
    means = KMeans(n_clusters, n_init=n_init, random_state=random_state)
    labels = means.fit_predict(points, sample_weight=sample_weight)
    return labels.astype(np.intp), means.cluster_centers_


def normalized_affinity(W):
    """D^{-1/2} W D^{-1/2} with D the row sums; isolated samples keep zero rows. Dense or sparse."""
    degree = np.asarray(W.sum(axis=1)).ravel()
    scale = 1.0 / np.sqrt(np.where(degree > 0, degree, np.inf))
    if hasattr(W, "multiply"):
        return W.multiply(scale[:, None]).multiply(scale[None, :]).tocsr()
    return W * scale[:, None] * scale[None, :]
