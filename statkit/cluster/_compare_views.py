"""Views, honest baselines and fitted methods side by side."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.utils.validation import check_is_fitted

from statkit.cluster._multiview_base import dense_views
from statkit.cluster._scaling import fit_scaler
from statkit.cluster.kernel_kmeans import KernelKMeans
from statkit.cluster.views import read_views

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


_KERNEL_ROWS = 10_000  # beyond this the average kernel is left out


def compare_views(
    X: Any,
    n_clusters: int,
    *,
    methods: Any = None,
    labels_true: ArrayLike | None = None,
    views: Any = None,
    scale: Literal["block", "standard", "minmax", None] = "block",
    n_init: int = 10,
    random_state: Seed = None,
) -> pd.DataFrame:
    """Compare each view alone, two baselines and any methods, by agreement with the views.

    Plain k-means on the views side by side, and spectral clustering of the mean kernel, beat most weighting
    methods on many data sets. This table says so before anyone believes a weighting.

    Parameters
    ----------
    X : list or dict of arrays or frames, array or frame
        Views, as for the estimators.
    n_clusters : int
        Number of clusters.
    methods : dict or list, default=None
        Estimators (fitted ones are used as they are, others are fitted to X) or arrays of labels; a dict
        names them.
    labels_true : array-like of shape (n_samples,), default=None
        True labels, if known: adds their columns. They choose nothing.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table.
    scale : {"block", "standard", "minmax", None}, default="block"
        Scaling of the columns for views alone and baselines.
    n_init : int, default=10
        Starts of the k-means of views and baselines.
    random_state : int, RandomState or None, default=None
        For views and baselines.

    Returns
    -------
    pandas.DataFrame
        Index ``partition``: ``"<view> alone"`` for every view, ``"concatenation"`` (k-means), ``"average
        kernel"`` (spectral; up to 10,000 samples), then the methods. Columns: a view each, the adjusted Rand
        index with k-means of that view alone; ``mean``, over the views other than itself; ``largest_weight``
        of a method's views; with ``labels_true`` also ``ari`` and ``nmi``.

    Examples
    --------
    >>> from statkit.cluster import compare_views
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(120, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> table = compare_views(blobs.views, 3, labels_true=blobs.target, random_state=0)
    >>> list(table.index)
    ['view0 alone', 'view1 alone', 'concatenation', 'average kernel']
    """
    import pandas as pd

    read = read_views(X, views)
    n = read.n_samples
    seeds = np.random.RandomState(random_state) if not hasattr(random_state, "randint") else random_state
    seed = int(seeds.randint(np.iinfo(np.int32).max))
    arrays = [
        fit_scaler(array, name, scale)(array)
        for name, array in zip(read.names, dense_views(read), strict=True)
    ]
    if n < n_clusters:
        raise ValueError(f"n_samples={n} should be >= n_clusters={n_clusters}")
    solo = [KMeans(n_clusters, n_init=n_init, random_state=seed).fit_predict(array) for array in arrays]
    partitions = {f"{name} alone": labels for name, labels in zip(read.names, solo, strict=True)}
    weights = {}
    partitions["concatenation"] = KMeans(n_clusters, n_init=n_init, random_state=seed).fit_predict(
        np.hstack(arrays)
    )
    if n <= _KERNEL_ROWS:
        average = KernelKMeans(n_clusters, polish=False, scale=None, n_init=n_init, random_state=seed)
        partitions["average kernel"] = average.fit_predict(arrays)
    for name, method in _named(methods).items():
        labels = _labels_of(method, X, n)
        if not hasattr(method, "fit"):
            partitions[name] = labels
            continue
        partitions[name], diagnostics = labels
        weights[name] = diagnostics.get("largest_weight", np.nan)
    table = pd.DataFrame(
        {
            view: [adjusted_rand_score(own, labels) for labels in partitions.values()]
            for view, own in zip(read.names, solo, strict=True)
        },
        index=pd.Index(partitions, name="partition"),
    )
    # A view agrees with itself: that says nothing.
    others = table.to_numpy(copy=True)
    others[np.arange(len(solo)), np.arange(len(solo))] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a single view has no others
        table["mean"] = np.nanmean(others, axis=1)
    table["largest_weight"] = pd.Series(weights, dtype=np.float64).reindex(table.index)
    if labels_true is not None:
        labels_true = np.asarray(labels_true)
        if labels_true.shape != (n,):
            raise ValueError(
                f"labels_true has shape {labels_true.shape}; it needs one label a sample, ({n},)"
            )
        table["ari"] = [adjusted_rand_score(labels_true, labels) for labels in partitions.values()]
        table["nmi"] = [normalized_mutual_info_score(labels_true, labels) for labels in partitions.values()]
    return table


def _named(methods):
    if methods is None:
        return {}
    if isinstance(methods, Mapping):
        return {str(name): method for name, method in methods.items()}
    named = {}
    for i, method in enumerate(methods):
        name = type(method).__name__ if hasattr(method, "fit") else f"labels{i}"
        named[name if name not in named else f"{name} {i}"] = method
    return named


def _labels_of(method, X, n):
    if not hasattr(method, "fit"):
        labels = np.asarray(method)
        if labels.shape != (n,):
            raise ValueError(f"labels have shape {labels.shape}; there are {n} samples")
        return labels
    try:
        check_is_fitted(method)
    except NotFittedError:
        method = clone(method).fit(X)
    if len(method.labels_) != n:
        raise ValueError(f"{type(method).__name__} was fitted to {len(method.labels_)} samples; X has {n}")
    return method.labels_, getattr(method, "diagnostics_", {})
