"""What every form of the objective shares: the memberships, their clusters, and prediction from them.

A *state* holds probabilities ``P`` (n, K, one column more with a noise cluster), weights ``Q = P^m`` and the
cluster sums that a sweep keeps up to date. Its subclasses know one kind of distance each.
"""

from __future__ import annotations

import copy

import numpy as np
from joblib import Parallel, delayed

from statkit.cluster._pac_pairs_kernels import rows_from_costs
from statkit.cluster._pac_row import power_rows

#: Rows whose costs are computed at once in prediction: they stay in the second-level cache.
CHUNK = 4096


class State:
    """Memberships of n objects in K clusters and the sums over them; subclasses supply the distances.

    Attributes
    ----------
    n : int
        Number of objects.
    weight : ndarray of shape (n,)
        Sample weights.
    scale : float
        Distances of the user per distance of the kernels (1/2 for cosine).
    floor : float
        Costs below it are equal to it: what rounding alone leaves of a zero distance.
    """

    scale = 1.0
    refresh_every = 1  # sweeps after which the sums are computed anew

    def __init__(self, n, weight):
        self.n = n
        self.weight = weight
        self.total = float(weight.sum())

    def fresh(self):
        """A state over the same objects that can be started independently."""
        return copy.copy(self)

    def seen_from(self, rows, X):
        """What the predictor of ``take(rows)`` needs of all objects; ``X`` is what the estimator was given."""
        return X

    def start(self, P, m, n_clusters=None, Q=None):
        """Take the probabilities ``P`` (not copied) and compute the sums at weight exponent ``m``.

        ``Q`` is ``P^m`` where it is known; ``n_clusters`` is told where ``P`` has a noise column.
        """
        self.P = P
        self.n_clusters = P.shape[1] if n_clusters is None else n_clusters
        self.change_exponent(m, Q)

    def change_exponent(self, m, Q=None):
        """Recompute weights and sums at another exponent."""
        self.m = m
        self.Q = Q
        if Q is None:
            self.Q = np.empty_like(self.P)
            power_rows(self.P, m, self.Q)
        self._allocate()
        self._refresh()
        self.sweeps = 0

    def _refresh(self):
        self.refresh()
        np.maximum(self.S, 1e-300, out=self.S)  # an empty cluster has costs, too

    def is_constant(self):
        """Whether all objects coincide, to rounding."""
        return self.mean_distance <= 0.0

    def mean_cost_scale(self, a):
        """Typical cost of the uniform partition, used to scale the floor."""
        return 2.0 * self.mean_distance * (self.total / self.n_clusters) ** (1.0 - a)

    def sweep(self, order, m, s, a, noise=np.inf):
        """One Gauss-Seidel sweep; return the weighted mean L1 change of a row."""
        floor = max(self.rounding * self.mean_cost_scale(a), 1e-290)
        change = self._sweep(order, m, s, a, noise, floor)
        self.sweeps += 1
        if self.sweeps % self.refresh_every == 0:
            self._refresh()
        return change / self.total

    def objective(self, a, noise=np.inf):
        """Σ_k A_k / S_k^a in the user's distances, plus the noise cluster's cost."""
        S = np.maximum(self.S, 1e-300)
        value = float(np.sum(self.A / S**a))
        if np.isfinite(noise):
            value += noise * float(self.weight @ self.Q[:, self.n_clusters])
        return self.scale * value

    def costs(self, a):
        """Cost of every cluster for every object, (n, K)."""
        return costs_of(self.distances(), self.S, self.A, a)


def costs_of(mean_distances, S, A, a):
    """S^-a (2 G - a A / S) from G / S, shape (n, K)."""
    S = np.maximum(S, 1e-300)
    return S ** (1.0 - a) * (2.0 * mean_distances - a * A / S**2)


class Predictor:
    """Fixed clusters: mean distances and probabilities of objects by the rule that fitted them.

    ``scale`` turns kernel distances into the user's.
    """

    def __init__(self, state, m, s, a, noise):
        self.S = np.maximum(state.S, 1e-300)
        self.A = state.A.copy()
        self.scale = state.scale
        self.floor = max(state.rounding * state.mean_cost_scale(a), 1e-290)
        self.m, self.s, self.a, self.noise = m, s, a, noise

    def prepare(self, X):
        """What ``distances`` slices; a subclass may precompute here."""
        return X

    def distances(self, X, start, stop):
        """Mean distance G_ik / S_k of rows ``start:stop`` to the members of each cluster."""
        raise NotImplementedError

    def _fill(self, X, start, stop, P, Q):
        cost = costs_of(self.distances(X, start, stop), self.S, self.A, self.a)
        if P.shape[1] > cost.shape[1]:
            cost = np.column_stack([cost, np.full(stop - start, self.noise)])
        Q = Q if Q.shape[0] == 0 else Q[start:stop]
        rows_from_costs(np.ascontiguousarray(cost), self.m, self.s, self.floor, P[start:stop], Q)

    def probabilities(self, X, n_jobs=None, weights=False):
        """Probabilities of the rows of ``X``, (n, K) or (n, K + 1) with a noise cluster; and their p^m."""
        X = self.prepare(X)
        n = X.shape[0]
        P = np.zeros((n, self.S.shape[0] + int(np.isfinite(self.noise))))
        Q = np.empty(P.shape if weights else (0, 0))
        starts = range(0, n, CHUNK)
        if n_jobs in (None, 1) or n <= CHUNK:
            for start in starts:
                self._fill(X, start, min(start + CHUNK, n), P, Q)
        else:
            Parallel(n_jobs=n_jobs, prefer="threads")(
                delayed(self._fill)(X, start, min(start + CHUNK, n), P, Q) for start in starts
            )
        return (P, Q) if weights else P

    def mean_distances(self, X):
        """Mean distance of every row to the members of each cluster, in the user's distances."""
        X = self.prepare(X)
        n = X.shape[0]
        parts = [self.distances(X, start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
        return self.scale * np.concatenate(parts)
