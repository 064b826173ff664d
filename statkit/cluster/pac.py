"""PAC: probability aggregation clustering, soft, without centres, the same from any seed."""

from __future__ import annotations

import warnings
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from statkit.cluster._pac_assignment import assign_balanced
from statkit.cluster._pac_base import LINEAR, SoftClusterer, check_weight, labels_of, state_of
from statkit.cluster._pac_critical import exponent_of
from statkit.cluster._pac_descent import Order, Path, anneal, noise_start, one_hot, power_of, seeded_start, settle
from statkit.cluster._pac_pairs_kernels import rows_from_costs


class PAC(SoftClusterer):
    """Probability aggregation clustering.

    Every object gets a probability of each cluster so that objects with similar probabilities are close: the
    sum over clusters of ``Σ_ij w_i w_j q_ik q_jk d_ij``, ``q = p^m``, is brought to a minimum, starting almost
    uniform, so the answer hardly depends on the seed. Clusters tend to be of equal size; ``size_exponent``
    takes that away step by step.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    m : float or "auto", default="auto"
        Weight exponent, above 1. "auto" is ``1 + 0.1 (min(m*, 2) - 1)``, m* the critical exponent above which
        the only stable answer is 1/K for every object. 1 is the hard version: each object moves to the
        cluster that lowers the objective most.
    metric : str or callable, default="sqeuclidean"
        "sqeuclidean" and "cosine" cost time linear in the number of rows; "precomputed" takes a matrix of
        distances; every other metric of :func:`sklearn.metrics.pairwise_distances` goes through all pairs.
    size_exponent : float in [0, 1], default=0.0
        Each cluster's sum is divided by this power of its mass: 0 favours equal sizes, 1 is fuzzy c-means
        (with squared distances) and FANNY.
    init : {"anneal", "uniform", "k-means++", "random"} or array of shape (n_samples, n_clusters)
        Start: "anneal" comes down from just below the critical exponent; "uniform" is almost uniform at the
        final exponent; "k-means++" gives 0.9 to the nearest seed (for very unequal sizes, together with
        ``size_exponent`` near 1); "random" draws rows from the simplex; an array of probabilities is a warm
        start, and its columns keep their order.
    n_init : int, default=1
        Number of starts; the one of lowest objective is kept.
    max_iter : int, default=100
        Largest number of sweeps at the final exponent.
    tol : float, default=1e-3
        Stop when the mean over rows of ``Σ_k |change of p|`` in a sweep is below.
    order : {"random", "data"}, default="random"
        Order in which a sweep visits the rows. Rows that are sorted by class need "random".
    subsample : "auto", int or None, default="auto"
        Linear metrics: find the clusters on this many random rows, then make a few sweeps over all. "auto" is
        ``max(2000, 200 n_clusters)`` where there are more than five times as many and init="anneal".
    n_landmarks : int or None, default=None
        Fit on this many random objects and predict the others: for metrics that need all pairs.
    noise : float or None, default=None
        Adds a noise cluster at constant distance: ``noise ** 2`` times the mean cost of an object in a cluster
        (Davé, 1991). Smaller values call more objects noise; labels of noise are -1.
    balanced_labels : bool, default=False
        Make ``labels_`` the cheapest assignment with at most ``ceil(n_samples / n_clusters)`` objects each.
    metric_params : dict or None, default=None
        Keyword arguments of the metric.
    max_memory : int, default=2**30
        Bytes that a distance matrix may take; beyond, distances are computed in blocks, every sweep anew.
    random_state : int, RandomState or None, default=None
        Seed of start, order and subsample.
    n_jobs : int or None, default=None
        Threads for prediction and for the ``n_init`` starts; the answer does not depend on it.
    verbose : int, default=0
        1 prints a line a sweep.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Most probable cluster of each object, -1 for noise.
    probabilities_ : ndarray of shape (n_samples, n_clusters)
        Rows sum to 1 (with a noise cluster: to 1 minus ``noise_probabilities_``).
    noise_probabilities_ : ndarray of shape (n_samples,)
        With ``noise`` only.
    m_, m_critical_ : float
        Weight exponent used, and the one above which the answer is uniform (inf: no bound).
    objective_ : float
        The objective at the end; ``objective_path_`` holds it after every sweep, ``objective_stages_`` the
        pairs (first sweep, exponent) of the annealing.
    change_path_ : list of float
        Mean L1 change of a row in every sweep.
    n_iter_ : int
        Sweeps over all objects at the final exponent.
    converged_ : bool
        Whether ``tol`` was reached.
    cluster_weights_ : ndarray of shape (n_clusters,)
        Mass Σ_i w_i q_ik of each cluster.
    cluster_scatter_ : ndarray of shape (n_clusters,)
        Half the mean distance between two members; for squared Euclidean distance, the variance about the
        centre.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Linear metrics only; under cosine the means of the rows at unit length.
    landmark_indices_ : ndarray
        With ``n_landmarks`` only.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    Raises
    ------
    ValueError
        NaN or infinite values, fewer rows than clusters, ``m`` below 1, a start of the wrong shape, negative
        weights or distances.
    MemoryError
        Not even one row of distances fits into ``max_memory``.

    Notes
    -----
    A sweep visits the objects one at a time and never raises the objective (for ``size_exponent`` > 0 this
    holds for metrics and for squared Euclidean distance).

    References
    ----------
    Yan, Lu and Yan (2024). Deep Online Probability Aggregation Clustering. ECCV.
    Kaufman and Rousseeuw (1990). Finding Groups in Data. Wiley.
    Malinen and Fränti (2023). All-pairwise squared distances lead to more balanced clustering.
    Davé (1991). Characterization and detection of noise in clustering.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from statkit.cluster import PAC, clustering_accuracy
    >>> X, y = load_iris(return_X_y=True)
    >>> pac = PAC(3, metric="cosine", random_state=0).fit(X)
    >>> round(clustering_accuracy(y, pac.labels_), 2)
    0.97
    >>> pac.predict_proba(X[:1]).shape
    (1, 3)
    """

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "m": [StrOptions({"auto"}), Interval(Real, 1, None, closed="left")],
        "metric": [str, callable],
        "size_exponent": [Interval(Real, 0, 1, closed="both")],
        "init": [StrOptions({"anneal", "uniform", "k-means++", "random"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "order": [StrOptions({"random", "data"})],
        "subsample": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), None],
        "n_landmarks": [Interval(Integral, 1, None, closed="left"), None],
        "noise": [Interval(Real, 0, None, closed="neither"), None],
        "balanced_labels": ["boolean"],
        "metric_params": [dict, None],
        "max_memory": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        m="auto",
        metric="sqeuclidean",
        size_exponent=0.0,
        init="anneal",
        n_init=1,
        max_iter=100,
        tol=1e-3,
        order="random",
        subsample="auto",
        n_landmarks=None,
        noise=None,
        balanced_labels=False,
        metric_params=None,
        max_memory=2**30,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.m = m
        self.metric = metric
        self.size_exponent = size_exponent
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.order = order
        self.subsample = subsample
        self.n_landmarks = n_landmarks
        self.noise = noise
        self.balanced_labels = balanced_labels
        self.metric_params = metric_params
        self.max_memory = max_memory
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n_samples, n_features)
            Rows; a square matrix of distances with ``metric="precomputed"``.
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each object; an integer weight is as many copies.

        Returns
        -------
        self
        """
        X = self._check_rows(X, reset=True)
        weight = check_weight(sample_weight, X, self.n_clusters)
        rng = check_random_state(self.random_state)
        state = state_of(X, weight, self.metric, self.metric_params, self.max_memory)
        self._fit_state(state, X, rng)
        return self

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
        first = state if rows is None else state.take(rows)
        first, path, converged, n_iter = self._best_start(first, m, a, m_critical, start, rng)
        if rows is not None and self.n_landmarks is None:
            P = first.predictor(m, power_of(m), a, np.inf).probabilities(X, self.n_jobs)
            state.start(P, m)
            del first
            order = Order(state.n, self.order, rng)
            converged, n_iter = settle(
                state, m, power_of(m), a, order, path, tol=self.tol, max_sweeps=self.max_iter,
                min_sweeps=1, m_critical=m_critical, relative=1e-4, verbose=self.verbose,
            )  # fmt: skip
        else:
            state = first
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
        K, n = self.n_clusters, state.n
        if self.n_landmarks is not None:
            if self.n_landmarks < K:
                raise ValueError(f"n_landmarks={self.n_landmarks} should be >= n_clusters={K}")
            if self.balanced_labels:
                raise ValueError("balanced_labels needs all objects: leave n_landmarks at None")
            size = self.n_landmarks
        elif self.subsample is None or self.metric not in LINEAR or not isinstance(self.init, str):
            return None
        elif self.subsample == "auto":
            size = max(2000, 200 * K)
            if self.init != "anneal" or n <= 5 * size:
                return None
        else:
            size = max(self.subsample, K)
        present = np.flatnonzero(state.weight > 0)
        if size >= present.size:
            return None
        return np.sort(rng.choice(present, size, replace=False))

    def _best_start(self, state, m, a, m_critical, start, rng):
        """The best of ``n_init`` runs by the objective: (state, path, converged, sweeps)."""
        n_init = 1 if start is not None else self.n_init
        seeds = rng.randint(np.iinfo(np.int32).max, size=n_init)
        run = delayed(self._one_start)
        runs = Parallel(n_jobs=self.n_jobs if n_init > 1 else 1, prefer="threads")(
            run(state.fresh(), m, a, m_critical, start, check_random_state(int(seed))) for seed in seeds
        )
        return min(runs, key=lambda result: result[0].objective(a))

    def _one_start(self, state, m, a, m_critical, start, rng):
        K = self.n_clusters
        order = Order(state.n, self.order, rng)
        path = Path()
        min_sweeps = 3
        if start is not None:
            state.start(start.copy(), m)
        elif self.init == "anneal":
            min_sweeps = anneal(state, m, a, order, path, m_critical, K, self.verbose)
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
        elif landmarks is not None or self.metric in LINEAR:
            P = predictor.probabilities(X, self.n_jobs)
        else:
            P = np.zeros_like(state.P)
            cost = state.costs(a)
            if P.shape[1] > K:
                cost = np.column_stack([cost, np.full(state.n, noise)])
            rows_from_costs(np.ascontiguousarray(cost), m, power_of(m), predictor.floor, P)
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
        if self.metric in LINEAR:
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
        if self.metric in LINEAR:
            self.cluster_centers_ = state.C + state.shift

    def _check_rows(self, X, reset):
        X = super()._check_rows(X, reset)
        if not reset and self.metric == "precomputed" and hasattr(self, "landmark_indices_"):
            return X[:, self.landmark_indices_]
        return X

    def score(self, X, y=None, sample_weight=None):
        """Minus the objective of the rows of ``X`` under their predicted probabilities, per squared weight.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n_samples, n_features)
            Rows; with ``metric="precomputed"``, the square matrix of the fitted objects' distances.
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        check_is_fitted(self)
        P = self.predict_proba(X)
        X = SoftClusterer._check_rows(self, X, reset=False)
        weight = check_weight(sample_weight, X, 1)
        state = state_of(X, weight, self.metric, self.metric_params, self.max_memory)
        state.start(P, self.m_)
        return -state.objective(float(self.size_exponent)) / float(weight.sum()) ** 2

