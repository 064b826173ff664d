"""From a state to a fitted estimator: exponent, starts, annealing, noise, landmarks, what is kept."""

from __future__ import annotations

import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from statkit.cluster._pac_assignment import assign_balanced
from statkit.cluster._pac_base import LINEAR, SoftClusterer, labels_of
from statkit.cluster._pac_critical import exponent_of
from statkit.cluster._pac_descent import (
    Order,
    Path,
    anneal,
    noise_start,
    one_hot,
    power_of,
    seeded_start,
    settle,
)
from statkit.cluster._pac_pairs_kernels import rows_from_costs


class AnnealedClusterer(SoftClusterer):
    """Base of the estimators that bring a state to a minimum from an annealed or given start."""

    # What only some of them let the user choose
    size_exponent = 0.0
    subsample = None
    n_landmarks = None
    noise = None
    balanced_labels = False

    @property
    def _linear(self):
        return self.metric in LINEAR

    def _fit_state(self, state, X, rng):
        """Everything of ``fit`` that does not depend on where the distances come from."""
        a = float(self.size_exponent)
        start = self._start_array(state.n)
        if state.is_constant():
            self._keep_constant(state, a)
            return
        m_critical = exponent_of(state.eigenvalues(a, 1, rng)[0])
        m = self._exponent(m_critical)
        if m >= m_critical and self.n_clusters > 1:
            warnings.warn(
                f"m = {m:.6g} is not below the critical exponent {m_critical:.6g} of these data: every "
                "probability is (near) 1 / n_clusters; lower m, or use m='auto'",
                UserWarning,
                stacklevel=3,
            )
        rows = self._rows_to_start_from(state, rng)
        options = (m, a, m_critical, start, rng)
        if rows is None:
            found = self._best_start(state, self.n_init, *options)
        elif self.n_landmarks is not None:
            found = self._best_start(state.take(rows), self.n_init, *options)
        else:
            found = self._from_subsample(state, X, rows, *options)
            for _ in range(1, self._n_subsamples):
                another = self._from_subsample(
                    state.fresh(), X, self._rows_to_start_from(state, rng), *options
                )
                found = min(found, another, key=lambda result: result[0].objective(a))
        state, path, converged, n_iter = found
        noise = np.inf
        if self.noise is not None:
            noise, converged, n_iter = self._add_noise(state, m, a, path, rng)
        if not converged:
            warnings.warn(
                f"the memberships still change by {path.change[-1]:.3g} a row after {n_iter} sweeps "
                f"(tol={self.tol:g}): raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=3,
            )
        self._keep(state, X, m, a, noise, rows if self.n_landmarks is not None else None)
        self.m_critical_ = m_critical
        self.objective_ = state.objective(a, noise)
        self.objective_path_, self.change_path_ = path.objective, path.change
        self.objective_stages_ = path.stages
        self.converged_, self.n_iter_ = converged, n_iter

    def _start_array(self, n):
        """The start that the user gave, checked; None for a named one."""
        if isinstance(self.init, str):
            return None
        P = np.array(self.init, dtype=float)
        if P.shape != (n, self.n_clusters):
            raise ValueError(
                f"init must be the name of a start or have shape (n_samples, n_clusters) = "
                f"{(n, self.n_clusters)}, got {P.shape}"
            )
        sums = P.sum(axis=1) if P.size else np.ones(0)
        bad = np.flatnonzero(~np.isfinite(sums) | (P < 0).any(axis=1) | (sums <= 0))
        if bad.size:
            raise ValueError(f"row {bad[0]} of init is not a probability vector: {P[bad[0]]}")
        return P / sums[:, None]

    def _exponent(self, m_critical):
        if self.m == "auto":
            return max(1.0 + 0.1 * (min(m_critical, 2.0) - 1.0), 1.0 + 1e-9)
        if not np.isfinite(self.m):
            raise ValueError(f"m must be finite, got {self.m}")
        return float(self.m)

    def _rows_to_start_from(self, state, rng):
        """Rows of the subsample or of the landmarks; None to start from all."""
        K = self.n_clusters
        if self.n_landmarks is not None:
            if self.n_landmarks < K:
                raise ValueError(f"n_landmarks={self.n_landmarks} should be >= n_clusters={K}")
            if self.balanced_labels:
                raise ValueError("balanced_labels needs all objects: leave n_landmarks at None")
            size = self.n_landmarks
        elif self.subsample is None or not isinstance(self.init, str):
            return None
        elif self.subsample == "auto":
            size = self._subsample_size(state)
            if size is None:
                return None
        else:
            size = max(self.subsample, K)
        present = np.flatnonzero(state.weight > 0)
        if size >= present.size:
            return None
        return np.sort(rng.choice(present, size, replace=False))

    def _subsample_size(self, state):
        """Rows of an automatic subsample; None where all rows are no more work."""
        size = max(2000, 200 * self.n_clusters)
        return size if self._linear and self.init == "anneal" and state.n > 10 * size else None

    def _from_subsample(self, state, X, rows, m, a, m_critical, start, rng):
        """Clusters of some rows, then sweeps over all: (state, path, converged, sweeps)."""
        options = (m, a, m_critical, start, rng)
        first, path, _, _ = self._best_start(
            state.take(rows), self._n_starts, *options, varied=not self._linear
        )
        seen = state.seen_from(rows, X)
        P, Q = first.predictor(m, power_of(m), a, np.inf).probabilities(seen, self.n_jobs, weights=True)
        del first, seen
        state.start(P, m, Q=Q)
        converged, n_iter = settle(
            state, m, power_of(m), a, Order(state.n, self.order, rng), path, tol=self.tol,
            max_sweeps=self.max_iter, min_sweeps=1, m_critical=m_critical,
            relative=1e-3 if self._linear else 0.0, verbose=self.verbose,
        )  # fmt: skip
        return state, path, converged, n_iter

    def _best_start(self, state, n_starts, m, a, m_critical, start, rng, varied=False):
        """The best of several starts by the objective: (state, path, converged, sweeps).

        ``varied`` starts skip more and more of the annealing.
        """
        n_starts = 1 if start is not None else n_starts
        seeds = rng.randint(np.iinfo(np.int32).max, size=n_starts)
        run = delayed(self._one_start)
        runs = Parallel(n_jobs=self.n_jobs if n_starts > 1 else 1, prefer="threads")(
            run(state.fresh(), m, a, m_critical, start, check_random_state(int(seed)), skip=number * varied)
            for number, seed in enumerate(seeds)
        )
        return min(runs, key=lambda result: result[0].objective(a))

    # Subsamples to start from, and starts on each
    _n_subsamples = 1

    @property
    def _n_starts(self):
        return self.n_init

    def _one_start(self, state, m, a, m_critical, start, rng, skip):
        K = self.n_clusters
        order = Order(state.n, self.order, rng)
        path = Path()
        min_sweeps = 3
        if start is not None:
            state.start(start.copy(), m)
        elif self.init == "anneal":
            min_sweeps = anneal(state, m, a, order, path, m_critical, K, skip, self.verbose)
        elif self.init == "uniform":
            state.start(noise_start(state.n, K, rng), m)
            min_sweeps = 12
        elif self.init == "random":
            state.start(rng.dirichlet(np.ones(K), size=state.n), m)
        else:
            state.start(seeded_start(state.seeds(K, rng), K), m)
        if m == 1.0:
            one_hot(state)
        converged, n_iter = settle(
            state, m, power_of(m), a, order, path, tol=self.tol, max_sweeps=self.max_iter,
            min_sweeps=min(min_sweeps, self.max_iter), m_critical=m_critical, verbose=self.verbose,
        )  # fmt: skip
        return state, path, converged, n_iter

    def _add_noise(self, state, m, a, path, rng):
        """Settle again with a noise column of constant cost; return (cost, converged, sweeps)."""
        cost = state.costs(a)
        noise = float(self.noise) ** 2 * float(np.average(cost.mean(axis=1), weights=state.weight))
        state.start(np.column_stack([state.P, np.zeros(state.n)]), m, self.n_clusters)
        order = Order(state.n, self.order, rng)
        converged, n_iter = settle(
            state, m, power_of(m), a, order, path, tol=self.tol, max_sweeps=self.max_iter,
            noise=noise, verbose=self.verbose,
        )  # fmt: skip
        return noise, converged, n_iter

    def _keep(self, state, X, m, a, noise, landmarks):
        """Store the clusters, and the probabilities of all objects as prediction gives them."""
        K = self.n_clusters
        predictor = state.predictor(m, power_of(m), a, noise)
        if m == 1.0 and landmarks is None:
            P = state.P
        elif landmarks is not None and self.metric == "precomputed":
            P = predictor.probabilities(X[:, landmarks], self.n_jobs)
        elif landmarks is not None or self._linear:
            P = predictor.probabilities(X, self.n_jobs)
        else:
            P = np.zeros_like(state.P)
            cost = state.costs(a)
            if P.shape[1] > K:
                cost = np.column_stack([cost, np.full(state.n, noise)])
            rows_from_costs(np.ascontiguousarray(cost), m, power_of(m), predictor.floor, P, np.empty((0, 0)))
        labels = labels_of(P, K)
        if self.balanced_labels:
            labels = assign_balanced(state.costs(a), -(-state.n // K))
        self._forget()
        self._predictor = predictor
        self.labels_, self.m_ = labels, m
        self.probabilities_ = P if P.shape[1] == K else np.ascontiguousarray(P[:, :K])
        if P.shape[1] > K:
            self.noise_probabilities_ = P[:, K].copy()
        if landmarks is not None:
            self.landmark_indices_ = landmarks
        S = np.maximum(state.S, 1e-300)
        self.cluster_weights_ = state.S.copy()
        self.cluster_scatter_ = 0.5 * state.scale * state.A / S**2
        if self._linear:
            self.cluster_centers_ = state.C + state.shift

    def _forget(self):
        """Remove what only some settings produce, so that a second fit leaves nothing of the first."""
        for name in ("noise_probabilities_", "landmark_indices_", "cluster_centers_"):
            vars(self).pop(name, None)

    def _keep_constant(self, state, a):
        """All objects coincide: uniform probabilities, one label, and a warning."""
        warnings.warn(
            "all objects coincide: every probability is 1 / n_clusters and every label is 0",
            UserWarning,
            stacklevel=4,
        )
        K = self.n_clusters
        m = 1.5 if self.m == "auto" or self.m == 1.0 else float(self.m)
        state.start(np.full((state.n, K), 1.0 / K), m)
        self._forget()
        self._predictor = state.predictor(m, power_of(m), a, np.inf)
        self.probabilities_ = state.P
        self.labels_ = np.zeros(state.n, dtype=np.int32)
        self.m_, self.m_critical_ = m, 1.0
        self.objective_ = 0.0
        self.objective_path_, self.change_path_, self.objective_stages_ = [0.0], [0.0], [(0, m)]
        self.n_iter_, self.converged_ = 0, True
        self.cluster_weights_ = state.S.copy()
        self.cluster_scatter_ = np.zeros(K)
        if self._linear:
            self.cluster_centers_ = state.C + state.shift
