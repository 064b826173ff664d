"""What the soft clusterings share: prediction, checks of weights and distances, the state of an input."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from statkit._magnitude import check_magnitude
from statkit.cluster._pac_linear import DenseRows, SparseRows
from statkit.cluster._pac_pairs import AllPairs, RowBlocks, metric_distance, symmetric

#: Metrics whose cost is linear in the number of objects.
LINEAR = ("sqeuclidean", "cosine")


class SoftClusterer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Base of the estimators that keep a ``_predictor`` of probabilities and mean distances."""

    def _check_fitted(self):
        check_is_fitted(self)

    def predict_proba(self, X: Any) -> Any:
        """Probability of every cluster for every row.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n_samples, n_features)
            New rows; with ``metric="precomputed"``, their distances to the fitted objects.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            Rows sum to 1, or to 1 minus the noise probability with a noise cluster.
        """
        self._check_fitted()
        X = self._check_rows(X, reset=False)
        return self._predictor.probabilities(X, getattr(self, "n_jobs", None))[:, : self.n_clusters]

    def predict(self, X: Any) -> Any:
        """Most probable cluster of every row; -1 where noise is more probable than any cluster.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n_samples, n_features)
            New rows; with ``metric="precomputed"``, their distances to the fitted objects.

        Returns
        -------
        ndarray of shape (n_samples,), int32
        """
        self._check_fitted()
        X = self._check_rows(X, reset=False)
        return labels_of(self._predictor.probabilities(X, getattr(self, "n_jobs", None)), self.n_clusters)

    def transform(self, X: Any) -> Any:
        """Mean distance of every row to the members of each cluster, weighted as they are.

        For squared Euclidean distance: the squared distance to the centre plus the cluster's variance.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n_samples, n_features)
            New rows; with ``metric="precomputed"``, their distances to the fitted objects.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
        """
        self._check_fitted()
        return self._predictor.mean_distances(self._check_rows(X, reset=False))

    @property
    def _n_features_out(self):
        return self.n_clusters

    def _check_rows(self, X, reset):
        metric = getattr(self, "metric", "sqeuclidean")
        linear = metric in LINEAR
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr" if linear else False,
            dtype=[np.float64, np.float32],
            order="C",
        )
        check_magnitude(X)
        if sparse.issparse(X) and (X.indices.dtype != np.int32 or X.indptr.dtype != np.int32):
            # One index type, and the common one where it fits: kernels are compiled for each
            small = max(X.nnz, *X.shape) < 2**31
            X = X.copy()
            X.indices = X.indices.astype(np.int32 if small else np.int64)
            X.indptr = X.indptr.astype(np.int32 if small else np.int64)
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        metric = getattr(self, "metric", "sqeuclidean")
        tags.input_tags.pairwise = metric == "precomputed"
        tags.input_tags.sparse = metric in LINEAR
        tags.transformer_tags.preserves_dtype = []
        return tags


def labels_of(P, n_clusters):
    """Column of the largest probability; -1 where it is the noise column."""
    labels = np.argmax(P, axis=1).astype(np.int32)
    labels[labels >= n_clusters] = -1
    return labels


def check_weight(sample_weight, X, n_clusters):
    """Weights as float64, and enough rows of positive weight."""
    n = X.shape[0]
    if n < n_clusters:
        raise ValueError(f"n_samples={n} should be >= n_clusters={n_clusters}.")
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    check_magnitude(weight, "sample_weight")
    present = np.count_nonzero(weight)
    if present < n_clusters:
        raise ValueError(
            f"only {present} of {n} rows have a positive sample_weight: n_clusters={n_clusters} needs as many"
        )
    return weight


def check_distances(D):
    """A square matrix of distances, exactly symmetric, with a zero diagonal.

    Raises
    ------
    ValueError
        Not square, or clearly negative; the message names the entry.
    """
    if D.ndim != 2 or D.shape[0] != D.shape[1]:
        raise ValueError(
            f"metric='precomputed' needs a square matrix of distances, got shape {D.shape}; "
            "pass rows with a metric name instead, or square the matrix"
        )
    check_not_negative(D)
    largest = float(D.max(initial=0.0))
    if float(np.max(np.abs(D - D.T), initial=0.0)) > 1e-8 * largest:
        i, j = np.unravel_index(np.argmax(np.abs(D - D.T)), D.shape)
        warnings.warn(
            f"the distances are not symmetric (entry [{i}, {j}] is {D[i, j]:.6g}, "
            f"[{j}, {i}] is {D[j, i]:.6g}): (D + D.T) / 2 is used",
            UserWarning,
            stacklevel=3,
        )
    return symmetric(D)


def check_not_negative(D):
    """Raise where a distance is negative by more than rounding."""
    if D.size and float(D.min()) < -1e-8 * float(np.abs(D).max()):
        i, j = np.unravel_index(np.argmin(D), D.shape)
        raise ValueError(
            f"distances must not be negative: entry [{i}, {j}] is {D[i, j]:.6g}; "
            "for a kernel use statkit.cluster.kernel_to_distance first"
        )


def state_of(X, weight, metric, metric_params, max_memory):
    """The state that fits the metric and the memory.

    Raises
    ------
    MemoryError
        Not even one row of distances fits.
    """
    if metric in LINEAR:
        rows = SparseRows if sparse.issparse(X) else DenseRows
        return rows(X, weight, metric == "cosine")
    if metric == "precomputed":
        return AllPairs(check_distances(X), weight)
    distance = metric_distance(metric, metric_params)
    n = X.shape[0]
    if 8 * n * n <= max_memory:
        D = distance(X, X)
        check_not_negative(D)
        return AllPairs(symmetric(D), weight, X, distance)
    block = int(max_memory // (16 * n))
    if block < 1:
        raise MemoryError(
            f"one row of distances among {n:,} objects takes {16 * n:,} bytes, more than "
            f"max_memory={max_memory:,}: raise max_memory, or set n_landmarks to fit on a sample"
        )
    return RowBlocks(X, weight, distance, min(block, n))
