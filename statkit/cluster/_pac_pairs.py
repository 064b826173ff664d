"""States over pairwise distances: a matrix in memory, blocks of rows on the fly, an affinity graph."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.metrics import pairwise_distances

from statkit.cluster._pac_critical import SAMPLE, pairs_eigenvalues
from statkit.cluster._pac_pairs_kernels import block_sweep, graph_sweep, graph_votes, pairs_sweep
from statkit.cluster._pac_state import Predictor, State


def seeds_by_distance(column, n, weight, n_clusters, rng):
    """k-means++ seeds from a function that returns one column of distances; nearest seed of each object."""
    present = np.flatnonzero(weight > 0)
    first = rng.choice(present, p=weight[present] / weight.sum())
    nearest = np.zeros(n, dtype=np.intp)
    least = column(first).astype(float)
    for k in range(1, n_clusters):
        mass = weight * least
        chosen = rng.choice(n, p=mass / mass.sum()) if mass.sum() > 0 else rng.choice(present)
        distance = column(chosen)
        nearer = distance < least
        nearest[nearer] = k
        least = np.minimum(least, distance)
    return nearest


class AllPairs(State):
    """A symmetric matrix of non-negative distances with a zero diagonal, float32 or float64."""

    rounding = 1e-14

    def __init__(self, D, weight, X=None, distance=None):
        super().__init__(D.shape[0], weight)
        self.D = D
        self.X, self.distance = X, distance  # for prediction, where D was computed from rows
        self.mean_distance = float(weight @ (D @ weight)) / max(self.total, 1e-300) ** 2

    def take(self, rows):
        """The state over some of the objects."""
        D = np.ascontiguousarray(self.D[np.ix_(rows, rows)])
        return AllPairs(D, self.weight[rows], None if self.X is None else self.X[rows], self.distance)

    def eigenvalues(self, a, k, rng):
        """Largest k eigenvalues of the linearised update at the uniform partition."""
        D, weight = self.D, self.weight
        if self.n > SAMPLE:
            rows = np.sort(rng.choice(self.n, SAMPLE, replace=False))
            D, weight = D[np.ix_(rows, rows)], weight[rows]
        v0 = rng.standard_normal(len(weight))
        return pairs_eigenvalues(lambda v: D @ v, len(weight), weight, a, min(k, len(weight) - 1), v0)

    def seeds(self, n_clusters, rng):
        """Index of the nearest k-means++ seed of every object."""
        return seeds_by_distance(lambda j: self.D[:, j], self.n, self.weight, n_clusters, rng)

    def _allocate(self):
        pass

    def refresh(self):
        """Recompute G = D (w q) and the cluster sums."""
        wQ = self.weight[:, None] * self.Q[:, : self.n_clusters]
        self.S = wQ.sum(axis=0)
        self.G = self.D @ wQ
        self.A = np.maximum(np.einsum("ik,ik->k", wQ, self.G), 0.0)

    def _sweep(self, order, m, s, a, noise, floor):
        sums = (self.S, self.A, self.G)
        return pairs_sweep(self.D, self.weight, order, self.P, self.Q, *sums, m, s, a, noise, floor)

    def distances(self):
        """G_ik / S_k."""
        return self.G / np.maximum(self.S, 1e-300)

    def predictor(self, m, s, a, noise):
        """Prediction from rows of distances to the fitted objects."""
        return PairsPredictor(self, m, s, a, noise)


class PassingPairs(State):
    """Distances that are expensive to go through: ``A`` is summed along a sweep, not after it."""

    rounding = 1e-14

    def _allocate(self):
        pass

    def refresh(self):
        """Recompute the masses; ``A`` waits until it is asked for."""
        self.S = (self.weight[:, None] * self.Q[:, : self.n_clusters]).sum(axis=0)
        self._A = None

    @property
    def A(self):
        """Σ_ij w_i w_j q_ik q_jk d_ij of each cluster; one pass over the distances unless it is known."""
        if self._A is None:
            self.distances()
        return self._A

    def sweep(self, order, m, s, a, noise=np.inf):
        """As for every state; the sums of the sweep are kept, since another pass costs as much as a sweep."""
        A = self.A.copy()
        self._A = A
        change = super().sweep(order, m, s, a, noise)
        self._A = A
        return change


class RowBlocks(PassingPairs):
    """Distances under any metric, a block of rows at a time: n x n is never held.

    Blocks hold at most ``max_bytes``; within one the update is corrected exactly, so the sweep is the same
    Gauss-Seidel sweep as over a matrix in memory.
    """

    def __init__(self, X, weight, distance, block):
        super().__init__(X.shape[0], weight)
        self.X, self.distance, self.block = X, distance, block
        # The scale alone is needed here: a few rows against all
        rows = np.linspace(0, self.n - 1, min(self.n, block, 50)).astype(int)
        self.mean_distance = float(np.mean(distance(X[rows], X)))

    def take(self, rows):
        """The state over some of the objects, with their distances in memory where they fit."""
        if len(rows) ** 2 <= self.block * self.n:
            D = symmetric(self.distance(self.X[rows], self.X[rows]))
            return AllPairs(D, self.weight[rows], self.X[rows], self.distance)
        return RowBlocks(self.X[rows], self.weight[rows], self.distance, self.block)

    def eigenvalues(self, a, k, rng):
        """Those of a random subsample whose distances fit into one block."""
        keep = min(self.n, SAMPLE, int(np.sqrt(self.block * self.n)))
        rows = np.sort(rng.choice(self.n, keep, replace=False))
        return self.take(rows).eigenvalues(a, k, rng)

    def seeds(self, n_clusters, rng):
        """Index of the nearest k-means++ seed of every object."""
        return seeds_by_distance(
            lambda j: self.distance(self.X, self.X[[j]]).ravel(), self.n, self.weight, n_clusters, rng
        )

    def _blocks(self, order):
        for start in range(0, self.n, self.block):
            rows = order[start : start + self.block]
            D = np.asarray(self.distance(self.X[rows], self.X), dtype=float)
            D[np.arange(len(rows)), rows] = 0.0
            yield rows, D

    def _sweep(self, order, m, s, a, noise, floor):
        change = 0.0
        S, A = self.S, self._A
        for rows, D in self._blocks(order):
            G = D @ (self.weight[:, None] * self.Q[:, : self.n_clusters])
            among = np.ascontiguousarray(D[:, rows])
            change += block_sweep(among, rows, self.weight, self.P, self.Q, S, A, G, m, s, a, noise, floor)
        return change

    def distances(self):
        """G_ik / S_k, by one pass over the distances."""
        wQ = self.weight[:, None] * self.Q[:, : self.n_clusters]
        G = np.empty((self.n, self.n_clusters))
        for rows, D in self._blocks(np.arange(self.n)):
            G[rows] = D @ wQ
        self._A = np.maximum(np.einsum("ik,ik->k", wQ, G), 0.0)
        return G / np.maximum(self.S, 1e-300)

    def predictor(self, m, s, a, noise):
        """Prediction from rows of distances to the fitted objects."""
        return PairsPredictor(self, m, s, a, noise)


class Graph(PassingPairs):
    """d_ij = 1 - a_ij for a sparse symmetric affinity with a zero diagonal and values in [0, 1]."""

    refresh_every = 10  # masses and votes are kept up to date by the sweeps

    def __init__(self, affinity, weight):
        super().__init__(affinity.shape[0], weight)
        self.affinity = affinity
        self.mean_distance = 1.0

    def times_D(self, v):
        """D v without D."""
        return v.sum() - v - self.affinity @ v

    def eigenvalues(self, a, k, rng):
        """Largest k eigenvalues of the linearised update at the uniform partition."""
        v0 = rng.standard_normal(self.n)
        return pairs_eigenvalues(self.times_D, self.n, self.weight, a, min(k, self.n - 1), v0)

    def seeds(self, n_clusters, rng):
        """Index of the nearest k-means++ seed of every object."""

        def column(j):
            out = 1.0 - self.affinity[[j]].toarray().ravel()
            out[j] = 0.0
            return out

        return seeds_by_distance(column, self.n, self.weight, n_clusters, rng)

    def _arrays(self):
        return self.affinity.data, self.affinity.indices, self.affinity.indptr

    def _allocate(self):
        self.V = np.empty((self.n, self.n_clusters))

    def refresh(self):
        """Recompute masses and votes, so that no rounding accumulates."""
        super().refresh()
        graph_votes(*self._arrays(), self.weight, self.Q, self.V)

    def _sweep(self, order, m, s, a, noise, floor):
        sums = (self.S, self.A, self.V)
        return graph_sweep(*self._arrays(), self.weight, order, self.P, self.Q, *sums, m, s, a, noise, floor)

    def distances(self):
        """G_ik / S_k."""
        own = self.weight[:, None] * self.Q[:, : self.n_clusters]
        G = np.maximum(self.S - own - self.V, 0.0)
        self._A = np.einsum("ik,ik->k", own, G)
        return G / np.maximum(self.S, 1e-300)


class PairsPredictor(Predictor):
    """Prediction from distances to the fitted objects, weighted by their q."""

    def __init__(self, state, m, s, a, noise):
        super().__init__(state, m, s, a, noise)
        self.wq = state.weight[:, None] * state.Q[:, : state.n_clusters]
        self.X, self.distance = state.X, state.distance  # None: the rows that come in are distances

    def distances(self, X, start, stop):
        """G_ik / S_k of rows ``start:stop``."""
        rows = X[start:stop]
        D = rows if self.distance is None else self.distance(rows, self.X)
        return D @ self.wq / self.S


def symmetric(D):
    """Exactly symmetric, zero diagonal, no tiny negative values; changed in place where it can be."""
    D = 0.5 * (D + D.T)
    np.fill_diagonal(D, 0.0)
    return np.maximum(D, 0.0, out=D)


def metric_distance(metric, metric_params):
    """The function (X, Y) -> distances for the name of a metric or a callable."""
    return partial(pairwise_distances, metric=metric, **(metric_params or {}))
