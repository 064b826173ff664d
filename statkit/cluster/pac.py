"""PAC: probability aggregation clustering, soft, without centres, the same from any seed."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from statkit._unchanged import unchanged_on_error
from statkit.cluster._pac_base import SoftClusterer, check_weight, state_of
from statkit.cluster._pac_fit import AnnealedClusterer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


class PAC(AnnealedClusterer):
    """Probability aggregation clustering.

    Every object gets a probability of each cluster so that objects with similar probabilities are close: the
    sum over clusters of ``Σ_ij w_i w_j q_ik q_jk d_ij``, ``q = p^m``, is brought to a minimum, starting
    almost uniform, so the answer hardly depends on the seed. Clusters tend to be of equal size;
    ``size_exponent`` takes that away step by step.

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
        ``max(2000, 200 n_clusters)`` where there are more than ten times as many and init="anneal".
    n_landmarks : int or None, default=None
        Fit on this many random objects and predict the others: for metrics that need all pairs.
    noise : float or None, default=None
        Adds a noise cluster at constant distance: ``noise ** 2`` times the mean cost of an object in a
        cluster (Davé, 1991). Smaller values call more objects noise; labels of noise are -1.
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

    _parameter_constraints: ClassVar[dict] = {
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
        n_clusters: int = 8,
        *,
        m: float | Literal["auto"] = "auto",
        metric: str | Callable[..., Any] = "sqeuclidean",
        size_exponent: float = 0.0,
        init: Literal["anneal", "uniform", "k-means++", "random"] | ArrayLike = "anneal",
        n_init: int = 1,
        max_iter: int = 100,
        tol: float = 1e-3,
        order: Literal["random", "data"] = "random",
        subsample: Literal["auto"] | int | None = "auto",
        n_landmarks: int | None = None,
        noise: float | None = None,
        balanced_labels: bool = False,
        metric_params: dict[str, Any] | None = None,
        max_memory: int = 2**30,
        random_state: Seed = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
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
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
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
        with unchanged_on_error(self):
            X = self._check_rows(X, reset=True)
            weight = check_weight(sample_weight, X, self.n_clusters)
            rng = check_random_state(self.random_state)
            state = state_of(X, weight, self.metric, self.metric_params, self.max_memory)
            self._fit_state(state, X, rng)
            return self

    def _check_rows(self, X, reset):
        X = super()._check_rows(X, reset)
        if not reset and self.metric == "precomputed" and hasattr(self, "landmark_indices_"):
            return X[:, self.landmark_indices_]
        return X

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
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
        self._check_fitted()
        P = self.predict_proba(X)
        X = SoftClusterer._check_rows(self, X, reset=False)
        weight = check_weight(sample_weight, X, 1)
        state = state_of(X, weight, self.metric, self.metric_params, self.max_memory)
        state.start(P, self.m_)
        return -state.objective(float(self.size_exponent)) / float(weight.sum()) ** 2
