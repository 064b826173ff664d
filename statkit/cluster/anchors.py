"""Anchor graphs: samples are described by a few anchors of every view, in time linear in the samples."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from joblib import Parallel, delayed
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.utils._param_validation import Interval

from statkit.cluster._multiview_base import (
    COMMON_CONSTRAINTS,
    SCALE_CONSTRAINT,
    BaseMultiViewClusterer,
    dense_views,
)
from statkit.cluster._multiview_kernels import simplex_regression
from statkit.cluster._scaling import fit_scaler

if TYPE_CHECKING:
    from statkit._typing import Seed

_ANCHOR_ROWS = 20_000  # anchors are the k-means centres of at most so many rows
_BLOCK = 4_096  # rows of the simplex regressions at a time


class AnchorMultiViewClustering(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseMultiViewClusterer):
    """Subspace clustering of several views through anchors: not linear in the features, linear in the
    samples.

    Each sample of a view is written as a convex combination of ``n_anchors`` centres of that view; the
    weights of all views side by side are a bipartite graph, and its leading singular vectors are clustered.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    n_anchors : int, default=50
        Anchors r of a view; from k to 100 is usual.
    alpha : float, default=1.0
        Ridge on the weights: larger ones spread a sample over more anchors.
    scale : {"standard", "block", "minmax", None}, default="standard"
        Scaling of the columns; ``alpha`` is measured in squared scaled units.
    n_init : int, default=20
        Starts of the k-means on the embedding; the least inertia is kept.
    n_jobs : int, default=None
        Blocks of samples solved at a time, in threads. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        For anchors and k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    anchors_ : list of ndarray of shape (n_anchors, n_features of the view)
        In scaled units.
    anchor_graph_ : ndarray of shape (n_samples, n_views × n_anchors)
        The weights; those of a view sum to 1/√n_views.
    embedding_ : ndarray of shape (n_samples, n_clusters)
        Leading left singular vectors of the graph.
    singular_values_ : ndarray of shape (n_clusters,)
    view_names_, view_columns_ : list
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    Notes
    -----
    Row problems min ‖x − Aᵀz‖² + α‖z‖² over the simplex, all with the Hessian AAᵀ + αI, are solved exactly by
    an active set. Anchors come from k-means on at most 20,000 rows.

    References
    ----------
    Z. Kang, W. Zhou, Z. Zhao, J. Shao, M. Han, Z. Xu (2020). Large-scale multi-view subspace clustering in
    linear time. AAAI.

    Examples
    --------
    >>> from statkit.cluster import AnchorMultiViewClustering
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(300, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> fit = AnchorMultiViewClustering(3, n_anchors=10, random_state=0).fit(blobs.views)
    >>> fit.anchor_graph_.shape
    (300, 20)
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **SCALE_CONSTRAINT,
        "n_anchors": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        n_anchors: int = 50,
        alpha: float = 1.0,
        scale: Literal["standard", "block", "minmax", None] = "standard",
        n_init: int = 20,
        n_jobs: int | None = None,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.n_anchors = n_anchors
        self.alpha = alpha
        self.scale = scale
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _fit_views(self, read, rng):
        n, k = read.n_samples, self.n_clusters
        r = min(self.n_anchors, n)
        V = len(read.names)
        scalers, anchors = [], []
        graph = np.empty((n, V * r))
        for v, array in enumerate(dense_views(read)):
            scaler = fit_scaler(array, read.names[v], self.scale)
            rows = np.arange(n) if n <= _ANCHOR_ROWS else rng.choice(n, _ANCHOR_ROWS, replace=False)
            seed = int(rng.randint(np.iinfo(np.int32).max))
            sample = scaler(array[rows])
            distinct = len(np.unique(sample, axis=0)) if n <= 10 * r else n
            A = KMeans(min(r, distinct), n_init=1, random_state=seed).fit(sample).cluster_centers_
            if len(A) < r:  # fewer distinct rows than anchors: repeat the last
                A = np.vstack([A, np.repeat(A[-1:], r - len(A), axis=0)])
            scalers.append(scaler)
            anchors.append(A)
            self._weights(scaler, array, A, graph[:, v * r : (v + 1) * r])
        graph /= np.sqrt(V)
        values, vectors = linalg.eigh(graph.T @ graph)
        kept = min(k, int((values > 1e-12 * values[-1]).sum()))
        singular = np.sqrt(values[::-1][:kept])
        right = vectors[:, ::-1][:, :kept]
        right = right * np.sign(right[np.abs(right).argmax(axis=0), np.arange(kept)])
        embedding = graph @ (right / singular)
        means = KMeans(k, n_init=self.n_init, random_state=rng).fit(embedding)
        return {
            "labels_": means.labels_.astype(np.intp),
            "anchors_": anchors,
            "anchor_graph_": graph,
            "embedding_": embedding,
            "singular_values_": singular,
            "_scalers": scalers,
            "_right": right / singular,
            "_centers": means.cluster_centers_,
        }

    def _weights(self, scaler, array, A, out):
        """Simplex weights of every row on the anchors, a block of rows at a time."""
        Q = A @ A.T + self.alpha * np.eye(len(A))
        tol = 1e-10 * np.abs(Q).max()

        def solve(start):
            C = scaler(array[start : start + _BLOCK]) @ A.T
            z = np.empty_like(C)
            simplex_regression(Q, C, tol, z)
            out[start : start + _BLOCK] = z

        starts = range(0, len(array), _BLOCK)
        if self.n_jobs in (None, 1) or len(array) <= _BLOCK:
            for start in starts:
                solve(start)
        else:
            Parallel(self.n_jobs, require="sharedmem")(delayed(solve)(start) for start in starts)

    def transform(self, X: Any) -> Any:
        """Return the embedding of new samples.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
        """
        read = self._read_new(X)
        r, V = len(self.anchors_[0]), len(self.anchors_)
        graph = np.empty((read.n_samples, V * r))
        for v, array in enumerate(dense_views(read)):
            self._weights(self._scalers[v], array, self.anchors_[v], graph[:, v * r : (v + 1) * r])
        return (graph / np.sqrt(V)) @ self._right

    def predict(self, X: Any) -> Any:
        """Return the cluster of new samples: the nearest centre in the embedding.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        U = self.transform(X)
        return (np.square(self._centers).sum(axis=1) - 2 * U @ self._centers.T).argmin(axis=1)

    @property
    def _n_features_out(self):
        return self.embedding_.shape[1]
