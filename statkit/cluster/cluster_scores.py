"""Scores of a clustering: accuracy under the best matching of labels, and indices of fuzzy partitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import silhouette_samples
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import column_or_1d

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def clustering_accuracy(
    labels_true: ArrayLike, labels_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> Any:
    """Share of objects that are right under the best one-to-one matching of clusters and classes.

    Parameters
    ----------
    labels_true, labels_pred : array-like of shape (n_samples,)
        Classes and clusters, of any type; the names of clusters do not matter. Noise (-1) is a cluster.
    sample_weight : array-like of shape (n_samples,), optional

    Returns
    -------
    float in [0, 1]

    References
    ----------
    Kuhn (1955). The Hungarian method for the assignment problem.

    Examples
    --------
    >>> from statkit.cluster import clustering_accuracy
    >>> clustering_accuracy([0, 0, 1, 1], ["b", "b", "a", "b"])
    0.75
    """
    labels_true, labels_pred = column_or_1d(labels_true), column_or_1d(labels_pred)
    check_consistent_length(labels_true, labels_pred)
    if labels_true.size == 0:
        raise ValueError("labels are empty: there is nothing to score")
    if sample_weight is None:
        table = contingency_matrix(labels_true, labels_pred).astype(float)
    else:
        weight = column_or_1d(np.asarray(sample_weight, dtype=float))
        check_consistent_length(labels_true, weight)
        classes, i = np.unique(labels_true, return_inverse=True)
        clusters, j = np.unique(labels_pred, return_inverse=True)
        table = np.zeros((len(classes), len(clusters)))
        np.add.at(table, (i, j), weight)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / table.sum())


def partition_coefficient(
    probabilities: ArrayLike, normalized: bool = False, sample_weight: ArrayLike | None = None
) -> float:
    """Dunn's partition coefficient: mean over objects of Σ_k p_ik²; 1/K is uniform, 1 is hard.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_clusters)
    normalized : bool, default=False
        Rescale to 0 for uniform and 1 for hard: (K F - 1) / (K - 1).
    sample_weight : array-like of shape (n_samples,), optional

    Returns
    -------
    float

    References
    ----------
    Dunn (1974). Well-separated clusters and optimal fuzzy partitions.

    Examples
    --------
    >>> from statkit.cluster import partition_coefficient
    >>> partition_coefficient([[0.5, 0.5], [1.0, 0.0]])
    0.75
    """
    P = _probabilities(probabilities)
    value = float(np.average((P**2).sum(axis=1), weights=sample_weight))
    K = P.shape[1]
    return (K * value - 1.0) / (K - 1.0) if normalized and K > 1 else value


def partition_entropy(probabilities: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean over objects of -Σ_k p_ik log p_ik, in nats: 0 is hard, log K is uniform.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_clusters)
    sample_weight : array-like of shape (n_samples,), optional

    Returns
    -------
    float

    References
    ----------
    Bezdek (1981). Pattern Recognition with Fuzzy Objective Function Algorithms.

    Examples
    --------
    >>> from statkit.cluster import partition_entropy
    >>> round(partition_entropy([[0.5, 0.5], [1.0, 0.0]]), 4)
    0.3466
    """
    P = _probabilities(probabilities)
    entropy = -np.sum(P * np.log(np.where(P > 0, P, 1.0)), axis=1)
    return float(np.average(entropy, weights=sample_weight))


def xie_beni(
    X: ArrayLike, probabilities: ArrayLike, centers: ArrayLike | None = None, m: float = 2.0
) -> float:
    """Xie and Beni's index: within-cluster scatter per object over the least squared gap of centres.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    probabilities : array-like of shape (n_samples, n_clusters)
    centers : array-like of shape (n_clusters, n_features), optional
        By default the means weighted by ``probabilities ** m``.
    m : float, default=2.0
        Weight exponent.

    Returns
    -------
    float
        Smaller is better; inf where two centres coincide.

    References
    ----------
    Xie and Beni (1991). A validity measure for fuzzy clustering.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.cluster import xie_beni
    >>> xie_beni([[0.0], [2.0], [10.0], [12.0]], np.repeat(np.eye(2), 2, axis=0))
    0.01
    """
    X, P = check_array(X, dtype=float), _probabilities(probabilities)
    check_consistent_length(X, P)
    if P.shape[1] < 2:
        raise ValueError("the Xie-Beni index needs two clusters or more: it compares centres")
    Q = P**m
    if centers is None:
        mass = Q.sum(axis=0)
        centers = (Q.T @ X) / np.where(mass > 0, mass, 1.0)[:, None]
    centers = check_array(centers, dtype=float)
    scatter = sum(float(Q[:, k] @ ((X - c) ** 2).sum(axis=1)) for k, c in enumerate(centers))
    gaps = [((c - centers[k + 1 :]) ** 2).sum(axis=1) for k, c in enumerate(centers[:-1])]
    gap = float(np.min(np.concatenate(gaps)))
    return scatter / (len(X) * gap) if gap > 0 else np.inf


def fuzzy_silhouette(
    X: ArrayLike, probabilities: ArrayLike, alpha: float = 1.0, metric: str | Callable[..., Any] = "euclidean"
) -> Any:
    """Silhouettes of the hard labels, weighted by how clear each object's membership is.

    Objects between clusters, whose two largest probabilities are near, count little. Uses all pairwise
    distances.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows, or distances with ``metric="precomputed"``.
    probabilities : array-like of shape (n_samples, n_clusters)
    alpha : float, default=1.0
        Exponent of the gap between the two largest probabilities; 0 is the plain silhouette.
    metric : str or callable, default="euclidean"

    Returns
    -------
    float in [-1, 1]

    References
    ----------
    Campello and Hruschka (2006). A fuzzy extension of the silhouette width criterion for cluster analysis.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.cluster import fuzzy_silhouette
    >>> round(fuzzy_silhouette([[0.0], [2.0], [10.0], [12.0]], np.repeat(np.eye(2), 2, axis=0)), 3)
    0.798
    """
    P = _probabilities(probabilities)
    if P.shape[1] < 2:
        raise ValueError("a silhouette needs two clusters or more")
    labels = np.argmax(P, axis=1)
    if len(np.unique(labels)) < 2:
        raise ValueError("every object has the same most probable cluster: a silhouette needs two")
    top = np.sort(P, axis=1)[:, -2:]
    weight = (top[:, 1] - top[:, 0]) ** alpha
    if weight.sum() <= 0:
        raise ValueError("every object is undecided between two clusters: the weights are all zero")
    return float(np.average(silhouette_samples(X, labels, metric=metric), weights=weight))


def _probabilities(P):
    P = check_array(P, dtype=float)
    if np.any(P < 0) or np.any(P.sum(axis=1) > 1 + 1e-6):
        i = int(np.argmax((P < 0).any(axis=1) | (P.sum(axis=1) > 1 + 1e-6)))
        raise ValueError(f"row {i} of probabilities is not a probability vector: {P[i]}")
    return P
