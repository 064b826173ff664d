"""Consensus of many partitions: how often two samples are together, over views, seeds and methods."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from statkit.cluster._memory import require
from statkit.cluster._multiview_base import COMMON_CONSTRAINTS, SCALE_CONSTRAINT, BaseMultiViewClusterer
from statkit.cluster._scaling import fit_scaler
from statkit.cluster._spectral import cluster_rows, normalized_affinity, top_eigenvectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


def coassociation_matrix(partitions: ArrayLike, weights: ArrayLike | None = None) -> Any:
    """Return how often two samples are in the same cluster, over several partitions.

    Parameters
    ----------
    partitions : array-like of shape (n_partitions, n_samples)
        Integer labels; a negative label means that the partition does not contain the sample.
    weights : array-like of shape (n_partitions,), default=None
        Non-negative weights of the partitions; equal if None.

    Returns
    -------
    ndarray of shape (n_samples, n_samples)
        From 0 to 1, diagonal 1. A pair that no partition contains gets 0.

    Examples
    --------
    >>> from statkit.cluster import coassociation_matrix
    >>> coassociation_matrix([[0, 0, 1], [0, 1, 1]])
    array([[1. , 0.5, 0. ],
           [0.5, 1. , 0.5],
           [0. , 0.5, 1. ]])
    """
    labels = np.asarray(partitions)
    if labels.ndim != 2 or labels.size == 0:
        raise ValueError(f"partitions must have shape (n_partitions, n_samples); got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"partitions must hold integer labels; got {labels.dtype}")
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)
    if (
        weights.shape != (len(labels),)
        or not np.isfinite(weights).all()
        or weights.min() < 0
        or not weights.any()
    ):
        raise ValueError("weights must be one non-negative number a partition, not all zero")
    n = labels.shape[1]
    require(3 * 8 * n * n, f"the co-association matrix of {n:,} samples")
    together, possible = np.zeros((n, n)), np.zeros((n, n))
    whole = 0.0
    for row, weight in zip(labels, weights, strict=True):
        kinds, codes = np.unique(row, return_inverse=True)
        indicator = np.eye(len(kinds))[codes]
        if kinds[0] < 0:
            indicator[:, kinds < 0] = 0.0
            has = (row >= 0).astype(np.float64)
            possible += weight * np.outer(has, has)
        else:
            whole += weight
        together += weight * (indicator @ indicator.T)
    together /= np.maximum(possible + whole, np.finfo(float).tiny)
    np.fill_diagonal(together, 1.0)
    return together


class ConsensusClustering(BaseMultiViewClusterer):
    """Cluster by agreement of many clusterings: of every view, with every estimator, from several seeds.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k of the consensus.
    estimators : list of clusterers, default=None
        Each is fitted to every view alone, ``n_runs`` times with different seeds if it takes
        ``random_state``. None: k-means with ``n_clusters`` clusters from one start each.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    n_runs : int, default=10
        Seeds of every estimator and view.
    weighting : {"equal", "agreement"}, default="equal"
        Weights of the partitions: equal, or their mean adjusted Rand index with the others (at least zero).
    linkage : {"average", "complete", "spectral"}, default="average"
        How the co-association matrix is cut: a tree of it, or its leading eigenvectors.
    scale : {"block", "standard", "minmax", None}, default="block"
        Scaling of the columns.
    n_init : int, default=20
        Starts of the k-means for ``linkage="spectral"``.
    random_state : int, RandomState or None, default=None
        For the seeds.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    affinity_ : ndarray of shape (n_samples, n_samples)
        The co-association matrix.
    partitions_ : ndarray of shape (n_partitions, n_samples)
    partition_weights_ : ndarray of shape (n_partitions,)
        Sum to one.
    view_weights_ : ndarray of shape (n_views,)
        Weights of the partitions of each view together.
    stability_ : ndarray of shape (n_samples,)
        Mean co-association of a sample with its cluster less that with the nearest other cluster.
    view_names_, view_columns_ : list
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    References
    ----------
    A. L. N. Fred, A. K. Jain (2005). Combining multiple clusterings using evidence accumulation. IEEE TPAMI
    27.

    Examples
    --------
    >>> from statkit.cluster import ConsensusClustering
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(120, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> ConsensusClustering(3, random_state=0).fit(blobs.views).partitions_.shape
    (20, 120)
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **SCALE_CONSTRAINT,
        "estimators": [list, tuple, None],
        "n_runs": [Interval(Integral, 1, None, closed="left")],
        "weighting": [StrOptions({"equal", "agreement"})],
        "linkage": [StrOptions({"average", "complete", "spectral"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        estimators: Any = None,
        views: Any = None,
        n_runs: int = 10,
        weighting: Literal["equal", "agreement"] = "equal",
        linkage: Literal["average", "complete", "spectral"] = "average",
        scale: Literal["block", "standard", "minmax", None] = "block",
        n_init: int = 20,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.estimators = estimators
        self.views = views
        self.n_runs = n_runs
        self.weighting = weighting
        self.linkage = linkage
        self.scale = scale
        self.n_init = n_init
        self.random_state = random_state

    def _fit_views(self, read, rng):
        n = read.n_samples
        partitions, view_of = [], []
        for v, (name, array) in enumerate(zip(read.names, read.arrays, strict=True)):
            X = fit_scaler(array, name, self.scale)(array)
            for estimator in self._estimators():
                seeded = "random_state" in estimator.get_params()
                for seed in rng.randint(np.iinfo(np.int32).max, size=self.n_runs if seeded else 1):
                    one = clone(estimator)
                    if seeded:
                        one.set_params(random_state=int(seed))
                    partitions.append(np.asarray(one.fit_predict(X)))
                    view_of.append(v)
        partitions = np.array(partitions, dtype=np.intp)
        weights = np.full(len(partitions), 1.0 / len(partitions))
        if self.weighting == "agreement" and len(partitions) > 2:
            pairs = np.eye(len(partitions))
            for a in range(len(partitions)):
                for b in range(a):
                    pairs[a, b] = pairs[b, a] = adjusted_rand_score(partitions[a], partitions[b])
            agreement = np.maximum((pairs.sum(axis=1) - 1) / (len(partitions) - 1), 0.0)
            if agreement.any():
                weights = agreement / agreement.sum()
        affinity = coassociation_matrix(partitions, weights)
        labels = self._cut(affinity, rng)
        return {
            "labels_": labels,
            "affinity_": affinity,
            "partitions_": partitions,
            "partition_weights_": weights,
            "view_weights_": np.bincount(view_of, weights=weights, minlength=len(read.names)),
            "stability_": _stability(affinity, labels, n),
        }

    def _estimators(self):
        if self.estimators is None:
            return [KMeans(self.n_clusters, n_init=1)]
        if not self.estimators:
            raise ValueError("estimators is empty: give at least one clusterer, or None for k-means")
        for estimator in self.estimators:
            if not hasattr(estimator, "fit_predict") or not hasattr(estimator, "get_params"):
                raise ValueError(f"estimators must be clusterers with fit_predict; got {estimator!r}")
        return list(self.estimators)

    def _cut(self, affinity, rng):
        k = self.n_clusters
        if self.linkage == "spectral":
            check_random_state(rng)
            H = top_eigenvectors(normalized_affinity(affinity), min(k, len(affinity)))[1]
            return cluster_rows(H, k, self.n_init, rng)[0]
        distance = 1.0 - affinity
        np.fill_diagonal(distance, 0.0)
        tree = linkage(squareform(np.maximum(distance, 0.0), checks=False), method=self.linkage)
        return cut_tree(tree, n_clusters=k)[:, 0].astype(np.intp)  # exactly k, also at ties


def _stability(affinity, labels, n):
    indicator = np.eye(labels.max() + 1)[labels]
    sizes = indicator.sum(axis=0)
    near = affinity @ indicator
    own = near[np.arange(n), labels] - 1.0  # without the sample itself
    own /= np.maximum(sizes[labels] - 1, 1)
    near /= sizes
    near[np.arange(n), labels] = -np.inf
    other = near.max(axis=1) if near.shape[1] > 1 else np.zeros(n)
    return own - other
