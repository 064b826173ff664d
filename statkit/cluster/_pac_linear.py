"""States over the rows of a matrix under squared Euclidean or cosine distance: linear cost in n."""

from __future__ import annotations

import copy

import numpy as np
from scipy import sparse
from sklearn.cluster import kmeans_plusplus

from statkit.cluster._pac_critical import LARGE, SAMPLE, linear_eigenvalues
from statkit.cluster._pac_linear_kernels import mean_distances, predict_rows, sum_rows, sweep
from statkit.cluster._pac_sparse_kernels import sparse_sweep, sum_sparse_rows
from statkit.cluster._pac_state import Predictor, State


def unit_rows(X):
    """Rows of length one and which rows are zero."""
    if sparse.issparse(X):
        length = np.sqrt(np.asarray(X.multiply(X).sum(axis=1), dtype=float).ravel())
        scale = np.where(length > 0, 1.0 / np.where(length > 0, length, 1.0), 0.0)
        return sparse.diags_array(scale).dot(X).tocsr(), length == 0.0
    length = np.sqrt(np.einsum("ij,ij->i", X, X, dtype=float))
    return X / np.where(length > 0, length, 1.0)[:, None], length == 0.0


class Rows(State):
    """Common to dense and sparse rows: the critical exponent and k-means++ seeds."""

    def __init__(self, X, weight, unit):
        super().__init__(X.shape[0], weight)
        self.X = X
        self.unit = unit
        if unit:
            self.scale = 0.5

    def eigenvalues(self, a, k, rng):
        """Largest k eigenvalues of the linearised update at the uniform partition."""
        n = self.n
        rows = np.sort(rng.choice(n, SAMPLE, replace=False)) if n > LARGE else slice(None)
        X, weight, extra = self.X[rows], self.weight[rows], 0.0
        if weight.sum() <= 0:
            return np.zeros(k)
        if self.unit:
            X, extra = unit_rows(X)
        if sparse.issparse(X):
            # Dense centred rows of a subsample small enough to hold: the spectrum needs no more.
            keep = max(min(X.shape[0], 20_000_000 // max(X.shape[1], 1)), 50)
            if keep < X.shape[0]:
                pick = np.sort(rng.choice(X.shape[0], keep, replace=False))
                X, weight = X[pick], weight[pick]
                extra = extra[pick] if self.unit else 0.0
            X = X.toarray()
        X = X.astype(float)
        X -= weight @ X / weight.sum()
        square = np.einsum("ij,ij->i", X, X) + extra
        v0 = rng.standard_normal(X.shape[1])
        return linear_eigenvalues(X, square, weight, a, k, v0)

    def seeds(self, n_clusters, rng):
        """Index of the nearest k-means++ seed of every object."""
        X = unit_rows(self.X)[0] if self.unit else self.X
        centers, _ = kmeans_plusplus(X, n_clusters, sample_weight=self.weight, random_state=rng)
        if sparse.issparse(centers):
            centers = centers.toarray()
        # |x|² is the same for every seed and may be left out
        nearest = np.empty(self.n, dtype=np.intp)
        square = np.einsum("ij,ij->i", centers, centers)
        for start in range(0, self.n, 65_536):
            rows = slice(start, start + 65_536)
            nearest[rows] = np.argmin(square - 2.0 * (X[rows] @ centers.T), axis=1)
        return nearest


class DenseRows(Rows):
    """Dense rows, float32 or float64, read as they are: no centred or normalised copy is made."""

    rounding = 1e-22
    refresh_every = 5  # centres and scatters are updated without cancellation

    def __init__(self, X, weight, unit):
        super().__init__(X, weight, unit)
        d = X.shape[1]
        self.shift = np.zeros(d)
        if not unit:
            self.shift = weight @ X / self.total if self.total > 0 else X.mean(axis=0, dtype=float)
            self.shift = self.shift.astype(float)
        whole = [np.zeros(1), np.zeros((1, d)), np.zeros(1), np.zeros(1)]
        sum_rows(X, self.shift, unit, weight, np.ones((self.n, 1)), *whole)
        # Mean over all pairs: 2 (mean |x|² - |mean|²); the mean itself is known to 1e-16 of its size
        self.mean_distance = 2.0 * whole[2][0] / max(self.total, 1e-300)

    def is_constant(self):
        """Whether all rows coincide, to rounding."""
        size = 1.0 if self.unit else float(self.shift @ self.shift)
        return self.mean_distance <= 1e-30 * size

    def take(self, rows):
        """The state over some of the rows."""
        return DenseRows(self.X[rows], self.weight[rows], self.unit)

    def _allocate(self):
        K, d = self.n_clusters, self.X.shape[1]
        self.S, self.T, self.Z = np.zeros(K), np.zeros(K), np.zeros(K)
        self.C = np.zeros((K, d))

    def refresh(self):
        """Recompute the cluster sums from the weights, so that no rounding accumulates."""
        sum_rows(self.X, self.shift, self.unit, self.weight, self.Q, self.S, self.C, self.T, self.Z)

    @property
    def A(self):
        """Σ_ij w_i w_j q_ik q_jk d_ij of each cluster, in squared distances."""
        return np.maximum(2.0 * self.S * self.T - self.Z, 0.0)

    def _sweep(self, order, m, s, a, noise, floor):
        sums = (self.S, self.C, self.T, self.Z)
        return sweep(
            self.X, self.shift, self.unit, self.weight, order, self.P, self.Q, *sums, m, s, a, noise, floor
        )

    def distances(self):
        """G_ik / S_k."""
        out = np.empty((self.n, self.n_clusters))
        S = np.maximum(self.S, 1e-300)
        mean_distances(self.X, 0, self.n, self.shift, self.unit, S, self.C, self.T, out)
        if self.Z.any():
            zero = ~np.any(self.X, axis=1)
            out[zero] -= 2.0 * self.weight[zero, None] * self.Q[zero, : self.n_clusters] / S
        return out

    def predictor(self, m, s, a, noise):
        """Prediction from the clusters as they stand."""
        return LinearPredictor(self, m, s, a, noise, self.shift, self.C, self.T)


class SparseRows(Rows):
    """CSR rows; never centred, never dense."""

    rounding = 1e-14

    def __init__(self, X, weight, unit):
        super().__init__(X, weight, unit)
        square = np.asarray(X.multiply(X).sum(axis=1), dtype=float).ravel()
        self.extra = np.zeros(self.n)
        self.inverse = np.ones(self.n)
        self.square = square
        if unit:
            self.extra = (square == 0.0).astype(float)
            self.inverse = 1.0 / np.sqrt(np.where(square > 0, square, 1.0))
            self.square = np.ones(self.n)
        self.shift = np.zeros(X.shape[1])
        mean = X.T @ (self.weight * self.inverse) / max(self.total, 1e-300)
        self.mean_distance = 2.0 * (
            float(self.weight @ self.square) / max(self.total, 1e-300) - float(mean @ mean)
        )

    def is_constant(self):
        """Whether all rows coincide, to rounding."""
        return self.mean_distance <= 1e-14 * float(np.max(self.square, initial=0.0))

    def take(self, rows):
        """The state over some of the rows."""
        return SparseRows(self.X[rows], self.weight[rows], self.unit)

    def _allocate(self):
        K = self.n_clusters
        self.S, self.S2, self.R, self.Z = np.zeros(K), np.zeros(K), np.zeros(K), np.zeros(K)
        self.S1 = np.zeros((self.X.shape[1], K))

    def _arrays(self):
        X = self.X
        return X.data, X.indices, X.indptr, self.inverse, self.square, self.extra, self.weight

    def refresh(self):
        """Recompute the cluster sums from the weights, so that no rounding accumulates."""
        sum_sparse_rows(*self._arrays(), self.Q, self.S, self.S1, self.S2, self.R, self.Z)

    @property
    def A(self):
        """Σ_ij w_i w_j q_ik q_jk d_ij of each cluster, in squared distances."""
        return np.maximum(2.0 * (self.S * self.S2 - self.R) - self.Z, 0.0)

    @property
    def C(self):
        """Cluster centres, (K, d)."""
        return np.ascontiguousarray((self.S1 / np.maximum(self.S, 1e-300)).T)

    @property
    def T(self):
        """Scatter of each cluster, Σ w q |x - C|²."""
        return np.maximum(self.S2 - self.R / np.maximum(self.S, 1e-300), 0.0)

    def _sweep(self, order, m, s, a, noise, floor):
        sums = (self.S, self.S1, self.S2, self.R, self.Z)
        return sparse_sweep(*self._arrays(), order, self.P, self.Q, *sums, m, s, a, noise, floor)

    def distances(self):
        """G_ik / S_k."""
        S = np.maximum(self.S, 1e-300)
        dot = self.X @ self.S1 * self.inverse[:, None] / S
        own = 2.0 * (self.extra * self.weight)[:, None] * self.Q[:, : self.n_clusters] / S
        return np.maximum(self.square[:, None] - 2.0 * dot + self.S2 / S - own, 0.0)

    def predictor(self, m, s, a, noise):
        """Prediction from the clusters as they stand."""
        return LinearPredictor(self, m, s, a, noise, self.shift, self.C, self.T)


class LinearPredictor(Predictor):
    """Prediction from centres and scatters, for dense and sparse rows."""

    def __init__(self, state, m, s, a, noise, shift, C, T):
        super().__init__(state, m, s, a, noise)
        self.unit, self.shift, self.C, self.T = state.unit, shift, C.copy(), T.copy()
        self.Z = state.Z.copy()

    def moved(self, S, C, T, Z):
        """The same rule with other clusters."""
        new = copy.copy(self)
        new.S, new.C, new.T, new.Z = S, C, T, Z
        new.A = np.maximum(2.0 * S * T - Z, 0.0)
        return new

    def _fill(self, X, start, stop, P, Q):
        if sparse.issparse(X):
            super()._fill(X, start, stop, P, Q)
        else:
            clusters = (self.S, self.C, self.T, self.Z)
            rule = (self.m, self.s, self.a, self.noise, self.floor)
            predict_rows(X, start, stop, self.shift, self.unit, *clusters, *rule, P, Q)

    def distances(self, X, start, stop):
        """G_ik / S_k of rows ``start:stop``; a zero row under cosine is at distance one from all others."""
        if not sparse.issparse(X):
            out = np.empty((stop - start, self.S.shape[0]))
            mean_distances(X[start:stop], 0, stop - start, self.shift, self.unit, self.S, self.C, self.T, out)
            return out
        X = X[start:stop]
        if self.unit:
            X, _ = unit_rows(X)
            square = 1.0
        else:
            square = np.asarray(X.multiply(X).sum(axis=1), dtype=float).reshape(-1, 1)
            square = square - 2.0 * (X @ self.shift)[:, None] + self.shift @ self.shift
        inner = X @ self.C.T - self.C @ self.shift
        gap = square - 2.0 * inner + np.einsum("ij,ij->i", self.C, self.C)
        return np.maximum(gap, 0.0) + self.T / self.S
