"""Graph PAC: probability aggregation on a neighbour graph, for groups that are not balls."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from statkit._magnitude import check_magnitude
from statkit._unchanged import unchanged_on_error
from statkit.cluster._graph_affinity import check_affinity, nearest, neighbour_graph, reach, walk
from statkit.cluster._pac_base import check_weight
from statkit.cluster._pac_fit import AnnealedClusterer
from statkit.cluster._pac_linear import unit_rows
from statkit.cluster._pac_pairs import Graph
from statkit.cluster._pac_state import Predictor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


class GraphPAC(AnnealedClusterer):
    """Probability aggregation clustering of a neighbour graph.

    Distances are ``1 - a_ij`` for a sparse affinity a: every object votes for its neighbours' clusters, and
    the mass of a cluster counts against it. Groups may have any shape, but they should be of similar size.

    Parameters
    ----------
    n_clusters : int, default=8
    n_neighbors : int, default=10
        Nearest neighbours of each object, itself excluded.
    n_hops : int or "auto", default="auto"
        ``affinity="reach"``: objects within this many steps of each other are joined. "auto" goes on while
        the mean reach stays within half a cluster.
    affinity : {"reach", "walk", "precomputed"}, default="reach"
        "reach" is binary; "walk" weighs pairs by how likely three random steps join them (try it with
        ``n_neighbors=15``); "precomputed" takes a symmetric matrix with values in [0, 1].
    metric : {"cosine", "euclidean"}, default="cosine"
        Of the neighbours.
    m : float or "auto", default="auto"
        Weight exponent. The critical exponent of a graph is close to 1, so "auto" is strongly advised.
    size_exponent : float in [0, 1], default=0.0
    init : {"anneal", "uniform", "k-means++", "random"} or array of shape (n_samples, n_clusters)
    n_init : int, default=3
        Starts; the one of lowest objective is kept. Graphs have more local optima than distances.
    max_iter : int, default=100
    tol : float, default=1e-3
    order : {"random", "data"}, default="random"
    subsample : "auto", int or None, default="auto"
        Start on the graph among this many random objects, the best of four, then sweep over all; ``n_init``
        such subsamples are drawn. "auto" is ``max(3000, 200 n_clusters)`` where there are more than twice as
        many and those objects still have ten neighbours each among themselves.
    noise : float or None, default=None
    balanced_labels : bool, default=False
        These as for :class:`PAC`.
    neighbors_algorithm : callable or None, default=None
        ``neighbors_algorithm(X_fit, X_query, k)`` returning (distances, indices), each (n_query, k): an
        approximate index. Under cosine the rows it gets have length one.
    max_memory : int, default=2**30
        Bytes that the affinity may take.
    random_state : int, RandomState or None, default=None
    n_jobs : int or None, default=None
    verbose : int, default=0

    Attributes
    ----------
    labels_, probabilities_, m_, m_critical_, objective_, objective_path_, objective_stages_, change_path_, \
n_iter_, converged_, cluster_weights_, cluster_scatter_
        As for :class:`PAC`.
    affinity_matrix_ : csr_array of shape (n_samples, n_samples)
    n_hops_ : int
        Hops used (1 unless ``affinity="reach"``).

    Raises
    ------
    MemoryError
        ``n_hops`` joins more pairs than ``max_memory`` holds.

    Notes
    -----
    Prediction for new rows is approximate: a new row takes the mean votes of its nearest fitted rows, which
    is also what a fitted row gets from ``predict``; ``labels_`` are those of the fit.

    References
    ----------
    Yan, Lu, Mei, Yan and Du (2025). Graph Probability Aggregation Clustering.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from statkit.cluster import GraphPAC, clustering_accuracy
    >>> X, y = load_digits(return_X_y=True)
    >>> clustering_accuracy(y, GraphPAC(10, random_state=0).fit_predict(X)) > 0.92
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_hops": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "affinity": [StrOptions({"reach", "walk", "precomputed"})],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "m": [StrOptions({"auto"}), Interval(Real, 1, None, closed="left")],
        "size_exponent": [Interval(Real, 0, 1, closed="both")],
        "init": [StrOptions({"anneal", "uniform", "k-means++", "random"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "order": [StrOptions({"random", "data"})],
        "subsample": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), None],
        "noise": [Interval(Real, 0, None, closed="neither"), None],
        "balanced_labels": ["boolean"],
        "neighbors_algorithm": [callable, None],
        "max_memory": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    _linear = False
    _n_starts = 4  # on each subsample

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_neighbors: int = 10,
        n_hops: int | Literal["auto"] = "auto",
        affinity: Literal["reach", "walk", "precomputed"] = "reach",
        metric: Literal["cosine", "euclidean"] = "cosine",
        m: float | Literal["auto"] = "auto",
        size_exponent: float = 0.0,
        init: Literal["anneal", "uniform", "k-means++", "random"] | ArrayLike = "anneal",
        n_init: int = 3,
        max_iter: int = 100,
        tol: float = 1e-3,
        order: Literal["random", "data"] = "random",
        subsample: Literal["auto"] | int | None = "auto",
        noise: float | None = None,
        balanced_labels: bool = False,
        neighbors_algorithm: Callable[..., Any] | None = None,
        max_memory: int = 2**30,
        random_state: Seed = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.n_hops = n_hops
        self.affinity = affinity
        self.metric = metric
        self.m = m
        self.size_exponent = size_exponent
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.order = order
        self.subsample = subsample
        self.noise = noise
        self.balanced_labels = balanced_labels
        self.neighbors_algorithm = neighbors_algorithm
        self.max_memory = max_memory
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Build the graph and find the clusters.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n_samples, n_features)
            Rows; with ``affinity="precomputed"``, a symmetric affinity (n_samples, n_samples).
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
        """
        with unchanged_on_error(self):
            X = self._check_rows(X, reset=True)
            weight = check_weight(sample_weight, X, self.n_clusters)
            rng = check_random_state(self.random_state)
            n_hops = 1
            if self.affinity == "precomputed":
                affinity, rows = check_affinity(X), None
            else:
                rows = self._located(X)
                affinity = neighbour_graph(rows, self.n_neighbors, self.neighbors_algorithm)
                if self.affinity == "walk":
                    affinity = walk(affinity)
                else:
                    limit = max(self.max_memory // 16, affinity.nnz)
                    affinity, n_hops = reach(affinity, self.n_hops, self.n_clusters, limit)
            state = LocatedGraph(affinity, weight, rows, self.n_neighbors, self.neighbors_algorithm)
            self._fit_state(state, X, rng)
            self.affinity_matrix_, self.n_hops_ = affinity, n_hops
            return self

    def _subsample_size(self, state):
        size = max(3000, 200 * self.n_clusters)
        among = state.affinity.nnz / state.n * size / state.n  # mean neighbours in the subsample
        return size if state.n > 2 * size and among >= 10.0 else None

    @property
    def _n_subsamples(self):
        return self.n_init

    def _located(self, X):
        return unit_rows(X)[0] if self.metric == "cosine" else X

    def _check_rows(self, X, reset):
        X = validate_data(
            self, X, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], order="C"
        )
        check_magnitude(X)
        if reset or self.affinity == "precomputed":
            return X
        return self._located(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.affinity == "precomputed"
        tags.input_tags.sparse = True
        return tags


class LocatedGraph(Graph):
    """A graph over rows, or over objects that are known by their affinities alone (``rows`` is None)."""

    def __init__(self, affinity, weight, rows, n_neighbors, algorithm):
        super().__init__(affinity, weight)
        self.rows, self.n_neighbors, self.algorithm = rows, n_neighbors, algorithm

    def is_constant(self):
        """A graph is never constant: without an edge all distances are one, and sizes decide."""
        if self.rows is None:
            return False
        rows = self.rows
        if sparse.issparse(rows):
            return bool(abs(rows - sparse.vstack([rows[[0]]] * rows.shape[0])).max() == 0)
        return bool((rows == rows[0]).all())

    def predictor(self, m, s, a, noise):
        """Prediction by the votes of fitted neighbours."""
        return GraphPredictor(self, m, s, a, noise)

    def take(self, rows):
        """The graph among some of the objects."""
        return SampledGraph(self.affinity[rows][:, rows], self.weight[rows])

    def seen_from(self, rows, X):
        """Affinities of all objects to some of them."""
        return self.affinity[:, rows]


class SampledGraph(Graph):
    """The graph among a sample of objects."""

    rows = n_neighbors = algorithm = None

    def predictor(self, m, s, a, noise):
        """Prediction from the affinities to the sample."""
        return GraphPredictor(self, m, s, a, noise)


class GraphPredictor(Predictor):
    """A new object votes as the mean of its nearest fitted objects, or as its given affinities say."""

    def __init__(self, state, m, s, a, noise):
        super().__init__(state, m, s, a, noise)
        wq = state.weight[:, None] * state.Q[:, : state.n_clusters]
        self.rows, self.algorithm = state.rows, state.algorithm
        if state.rows is None:
            self.votes = wq
        else:
            self.n_neighbors = min(state.n_neighbors, state.n)
            self.votes = state.affinity @ wq + wq

    def distances(self, X, start, stop):
        """G_ik / S_k of rows ``start:stop``."""
        X = X[start:stop]
        if self.rows is None:
            votes = X @ self.votes
        else:
            votes = self.votes[nearest(self.rows, X, self.n_neighbors, self.algorithm)].mean(axis=1)
        return np.maximum(1.0 - votes / self.S, 0.0)
