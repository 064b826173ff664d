"""Co-regularised spectral clustering: the embeddings of the views are pulled towards each other."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy.sparse.linalg import LinearOperator
from sklearn.utils._param_validation import Interval, StrOptions

from statkit.cluster._graphs import clipped_neighbors, neighbor_graph
from statkit.cluster._memory import require
from statkit.cluster._multiview_base import (
    COMMON_CONSTRAINTS,
    SCALE_CONSTRAINT,
    AffinityInput,
    BaseMultiViewClusterer,
)
from statkit.cluster._scaling import fit_scaler
from statkit.cluster._spectral import cluster_rows, normalized_affinity, top_eigenvectors, unit_rows
from statkit.cluster.kernels import KernelFunction, KernelOptions

if TYPE_CHECKING:
    from statkit._typing import Seed
_ROUND_TOL = 1e-8  # of the eigenvectors of a round: the objective is known to its square


class CoRegularizedSpectralClustering(BaseMultiViewClusterer):
    """Spectral clustering of several graphs whose embeddings are made to agree.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    method : {"pairwise", "centroid"}, default="pairwise"
        Embeddings agree with each other, or with one consensus embedding.
    reg : float, default=1.0
        Strength λ of the agreement.
    affinity : {"rbf", "nearest_neighbors", "precomputed"}, default="rbf"
        Graph of a view: rbf kernel over all pairs; symmetric graph of nearest neighbours, sparse, for many
        samples; or X holds non-negative affinities (n_samples, n_samples).
    gamma : {"mean", "median", "scale"} or float, default="mean"
        Width of the rbf kernel, see `kernel_stack`.
    n_neighbors : int, default=15
        For ``affinity="nearest_neighbors"``.
    scale : {"block", "standard", "minmax", None}, default="block"
        Scaling of the columns.
    n_init : int, default=20
        Starts of the k-means on the embedding; the least inertia is kept.
    max_iter : int, default=30
        Most rounds over the views.
    tol : float, default=1e-6
        Ends when the objective changes by less, relatively.
    random_state : int, RandomState or None, default=None
        For the k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    view_embeddings_ : list of ndarray of shape (n_samples, n_clusters)
        U_v, orthonormal columns.
    embedding_ : ndarray
        What is clustered: unit rows of [U_1 … U_V], or of the consensus (``"centroid"``).
    objective_path_ : ndarray of shape (n_iter_,)
        Never falls: the objective is maximised.
    n_iter_ : int
    view_names_ : list of str
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    Notes
    -----
    Pairwise: max Σ_v tr U_vᵀL_vU_v + λ Σ_{v<w} ‖U_vᵀU_w‖², with L_v = D^{-1/2}W_vD^{-1/2}; U_v are the
    leading eigenvectors of L_v + λ Σ_{w≠v} U_wU_wᵀ, which is never formed: it is applied. The algebraically
    largest eigenvalues are taken, which matters for graphs that are not positive semi-definite.

    References
    ----------
    A. Kumar, P. Rai, H. Daumé III (2011). Co-regularized multi-view spectral clustering. NIPS.

    Examples
    --------
    >>> from statkit.cluster import CoRegularizedSpectralClustering
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(120, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> fit = CoRegularizedSpectralClustering(3, random_state=0).fit(blobs.views)
    >>> fit.embedding_.shape
    (120, 6)
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **SCALE_CONSTRAINT,
        "method": [StrOptions({"pairwise", "centroid"})],
        "reg": [Interval(Real, 0, None, closed="left")],
        "affinity": [StrOptions({"rbf", "nearest_neighbors", "precomputed"})],
        "gamma": [StrOptions({"mean", "median", "scale"}), Interval(Real, 0, None, closed="neither")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        method: Literal["pairwise", "centroid"] = "pairwise",
        reg: float = 1.0,
        affinity: Literal["rbf", "nearest_neighbors", "precomputed"] = "rbf",
        gamma: Literal["mean", "median", "scale"] | float = "mean",
        n_neighbors: int = 15,
        scale: Literal["block", "standard", "minmax", None] = "block",
        n_init: int = 20,
        max_iter: int = 30,
        tol: float = 1e-6,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.method = method
        self.reg = reg
        self.affinity = affinity
        self.gamma = gamma
        self.n_neighbors = n_neighbors
        self.scale = scale
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def _read(self, X):
        if self.affinity == "precomputed":
            return AffinityInput(X, self)
        return super()._read(X)

    def _fit_views(self, read, rng):
        k = min(self.n_clusters, read.n_samples)
        L = [normalized_affinity(W) for W in self._affinities(read)]
        U = [top_eigenvectors(L_v, k)[1] for L_v in L]
        if len(U) == 1:
            path, consensus = [_fit_of(L, U)], U[0]
        elif self.method == "pairwise":
            path, consensus = self._pairwise(L, U, k)
        else:
            path, consensus = self._centroid(L, U, k)
        embedding = unit_rows(consensus)
        labels, _ = cluster_rows(embedding, self.n_clusters, self.n_init, rng, unit=False)
        return {
            "labels_": labels,
            "view_embeddings_": U,
            "embedding_": embedding,
            "objective_path_": np.array(path),
            "n_iter_": len(path),
        }

    def _affinities(self, read):
        if isinstance(read, AffinityInput):
            return read.stack
        n = read.n_samples
        scaled = [
            fit_scaler(array, name, self.scale)(array)
            for name, array in zip(read.names, read.arrays, strict=True)
        ]
        if self.affinity == "nearest_neighbors":
            n_neighbors = clipped_neighbors(self.n_neighbors, n, n - 1)
            return [neighbor_graph(X, n_neighbors) for X in scaled]
        require(8 * n * n * (len(scaled) + 1), f"{len(scaled)} affinities of {n:,} × {n:,} numbers")
        rbf = KernelOptions()
        return [
            KernelFunction("rbf", self.gamma, rbf, X, name)(X, X)
            for X, name in zip(scaled, read.names, strict=True)
        ]

    def _pairwise(self, L, U, k):
        path = [_fit_of(L, U) + self.reg * _closeness(U)]
        for _ in range(self.max_iter):
            for v in range(len(L)):
                others = np.hstack([U[w] for w in range(len(L)) if w != v])
                U[v] = top_eigenvectors(_pulled(L[v], self.reg, others), k, start=U[v], tol=_ROUND_TOL)[1]
            path.append(_fit_of(L, U) + self.reg * _closeness(U))
            if abs(path[-1] - path[-2]) <= self.tol * abs(path[-1]):
                break
        return path, np.hstack(U)

    def _centroid(self, L, U, k):
        path = []
        consensus = None
        for _ in range(self.max_iter):
            stacked = np.hstack(U) * np.sqrt(self.reg)
            # The leading eigenvectors of λ Σ U_vU_vᵀ are the left singular vectors of the stack.
            consensus = np.linalg.svd(stacked, full_matrices=False)[0][:, :k] if self.reg > 0 else U[0]
            for v in range(len(L)):
                U[v] = top_eigenvectors(_pulled(L[v], self.reg, consensus), k, start=U[v], tol=_ROUND_TOL)[1]
            path.append(_fit_of(L, U) + self.reg * sum(np.square(u.T @ consensus).sum() for u in U))
            if len(path) > 1 and abs(path[-1] - path[-2]) <= self.tol * abs(path[-1]):
                break
        return path, consensus

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.affinity == "precomputed"
        tags.input_tags.sparse = self.affinity != "precomputed"
        return tags


def _pulled(L, reg, others):
    """x ↦ Lx + λ G(Gᵀx): n × n numbers are never added up."""
    if reg == 0:
        return L
    n = L.shape[0]
    if n <= 300 and isinstance(L, np.ndarray):
        return L + reg * others @ others.T
    return LinearOperator((n, n), matvec=lambda x: L @ x + reg * (others @ (others.T @ x)), dtype=np.float64)


def _fit_of(L, U):
    return float(sum(np.vdot(u, L_v @ u) for L_v, u in zip(L, U, strict=True)))


def _closeness(U):
    return float(sum(np.square(U[v].T @ U[w]).sum() for v in range(len(U)) for w in range(v)))
