"""Graph fusion: one graph of all views that falls apart into the clusters, without k-means."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from statkit.cluster._graphs import clipped_neighbors, nearest, squared_distances
from statkit.cluster._memory import require
from statkit.cluster._multiview_base import COMMON_CONSTRAINTS, BaseMultiViewClusterer
from statkit.cluster._multiview_kernels import project_rows
from statkit.cluster._scaling import SCALES, fit_scaler
from statkit.cluster._spectral import cluster_rows, normalized_affinity, top_eigenvectors

if TYPE_CHECKING:
    from statkit._typing import Seed

_ZERO = 1e-10  # an eigenvalue of the Laplacian below this counts as zero
_EPS = np.finfo(float).eps


class GraphFusionClustering(BaseMultiViewClusterer):
    """Learn one graph from the neighbour graphs of the views, with weights of the views.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    method : {"gmc", "amgl"}, default="gmc"
        ``"gmc"``: view graphs, consensus graph and weights are learned together under the constraint that the
        consensus has exactly k connected components, which are the clusters. ``"amgl"``: only the weights of
        fixed graphs are learned; k-means on the embedding.
    n_neighbors : int, default=15
        Neighbours of a sample in a view.
    fusion : {"weighted", "reference"}, default="weighted"
        How view graphs make the consensus (gmc): weighted, which minimises the objective, or their plain
        mean, as in the published code.
    scale : {"sample", "block", "standard", "minmax", None}, default="sample"
        ``"sample"`` standardises every sample across its own features, as the published method, which makes
        sense where these have one unit (pixels) or were standardised before; the others scale columns.
    reg : float, default=1.0
        Where the weight of the rank constraint begins (gmc): it is doubled while the consensus has fewer than k
        components, and halved while it has more.
    n_init : int, default=20
        Starts of the k-means, if one is needed; the least inertia is kept.
    max_iter : int, default=20
        Most rounds.
    random_state : int, RandomState or None, default=None
        For the k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    affinity_ : CSR array of shape (n_samples, n_samples)
        The consensus graph, symmetric.
    view_affinities_ : list of CSR array of shape (n_samples, n_samples)
    view_weights_ : ndarray of shape (n_views,)
        Sum to one.
    embedding_ : ndarray of shape (n_samples, n_clusters)
        Eigenvectors of the least eigenvalues of the Laplacian.
    n_components_ : int
        Connected components of ``affinity_``; where it is not ``n_clusters`` the labels come from k-means on
        the embedding, with a warning (gmc).
    objective_path_ : ndarray of shape (n_iter_,)
        amgl: Σ_v sqrt(tr FᵀL_vF), never rises; gmc: sum of the k least eigenvalues.
    n_iter_ : int
    view_names_, view_columns_ : list
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    References
    ----------
    H. Wang, Y. Yang, B. Liu (2019). GMC: graph-based multi-view clustering. IEEE TKDE 32.

    F. Nie, J. Li, X. Li (2016). Parameter-free auto-weighted multiple graph learning. IJCAI.

    Examples
    --------
    >>> from statkit.cluster import GraphFusionClustering
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(150, 3, n_features=(5, 8), separations=(5.0, 5.0), random_state=0)
    >>> fit = GraphFusionClustering(3, scale="block", random_state=0).fit(blobs.views)
    >>> fit.n_components_
    3
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        "method": [StrOptions({"gmc", "amgl"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "fusion": [StrOptions({"weighted", "reference"})],
        "scale": [StrOptions({"sample", *SCALES}), None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "reg": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        method: Literal["gmc", "amgl"] = "gmc",
        n_neighbors: int = 15,
        fusion: Literal["weighted", "reference"] = "weighted",
        reg: Any = 1.0,
        scale: Literal["sample", "block", "standard", "minmax", None] = "sample",
        n_init: int = 20,
        max_iter: int = 20,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.method = method
        self.n_neighbors = n_neighbors
        self.fusion = fusion
        self.reg = reg
        self.scale = scale
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    def _fit_views(self, read, rng):
        n = read.n_samples
        if n < 3:
            raise ValueError(f"n_samples={n}: a graph of neighbours needs three samples or more")
        require(8 * n * n * 4, f"the Laplacian of {n:,} samples and its eigenvectors")
        n_neighbors = clipped_neighbors(self.n_neighbors, n, n - 2)
        graphs = [
            _ViewGraph(self._scaled(array, name), n_neighbors)
            for array, name in zip(read.arrays, read.names, strict=True)
        ]
        k = min(self.n_clusters, n - 1)
        fitted = self._gmc(graphs, k, rng) if self.method == "gmc" else self._amgl(graphs, k, rng)
        fitted["view_affinities_"] = [graph.matrix() for graph in graphs]
        fitted["n_iter_"] = len(fitted["objective_path_"])
        return fitted

    def _scaled(self, array, name):
        if self.scale != "sample":
            return fit_scaler(array, name, self.scale)(array)
        fit_scaler(array, name, None)  # refuses a constant view
        X = array.toarray() if sparse.issparse(array) else array
        if X.shape[1] < 3:
            # Standardised across one or two features, samples keep at most their sign.
            return fit_scaler(X, name, "standard")(X)
        spread = X.std(axis=1, ddof=1, keepdims=True)
        return (X - X.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, np.inf)

    # -- gmc ------------------------------------------------------------------------------------------------

    def _gmc(self, graphs, k, rng):
        V = len(graphs)
        weights = np.full(V, 1.0 / V)
        U = sum(w * graph.matrix() for w, graph in zip(weights, graphs, strict=True))
        U = _row_normalized(U)
        values, F = _least(U, k + 1)
        F, before = F[:, :k], None
        reg, path, converged = self.reg, [], False
        for _ in range(self.max_iter):
            dense = U.toarray()
            for graph, w in zip(graphs, weights, strict=True):
                graph.update(dense, w, self.fusion == "weighted")
            gaps = np.array([sparse.linalg.norm(U - graph.matrix()) for graph in graphs])
            weights = 0.5 / (gaps + _EPS)
            U = self._consensus(graphs, weights, F, reg)
            before = F
            values, F = _least(U, k + 1)
            F = F[:, :k]
            path.append(float(values[:k].sum()))
            if path[-1] > _ZERO:
                reg *= 2.0
            elif values[k] < _ZERO:  # too many components: halve and go back
                reg *= 0.5
                F = before
            else:
                converged = True
                break
        affinity = sparse.csr_array(0.5 * (U + U.T))
        affinity.eliminate_zeros()
        n_components, labels = connected_components(affinity, directed=False)
        if n_components != self.n_clusters:
            warnings.warn(
                f"the graph has {n_components} connected components, not n_clusters={self.n_clusters}"
                f"{'' if converged else f', after max_iter={self.max_iter} rounds'}: labels are "
                "k-means of its "
                "embedding",
                ConvergenceWarning,
                stacklevel=6,
            )
            labels, _ = cluster_rows(F, self.n_clusters, self.n_init, rng)
        return {
            "labels_": labels.astype(np.intp),
            "affinity_": affinity,
            "view_weights_": weights / weights.sum(),
            "embedding_": F,
            "n_components_": int(n_components),
            "objective_path_": np.array(path),
        }

    def _consensus(self, graphs, weights, F, reg):
        """Rows of the consensus: projections on the simplex over the union of the neighbours of the views."""
        V, n = len(graphs), graphs[0].n
        factor = weights if self.fusion == "weighted" else np.full(V, 1.0 / V)
        mean = sparse.csr_array(_raised(graphs, factor, self.fusion == "weighted"))
        mean.data /= factor.sum()
        # ‖f_i − f_j‖² on the support, with factor λ/(2 Σw); in the plain mean the average of λ/(2 V w_v).
        pull = (
            reg / (2 * weights.sum()) if self.fusion == "weighted" else reg / (2 * V) * (1 / weights).mean()
        )
        rows = np.repeat(np.arange(n), np.diff(mean.indptr))
        squared = np.square(F).sum(axis=1)
        close = squared[rows] + squared[mean.indices] - 2 * np.einsum("ij,ij->i", F[rows], F[mean.indices])
        target = mean.data - pull * close
        width = int(np.diff(mean.indptr).max())
        # Rows of unequal length side by side; what is not there can never be positive.
        place = np.arange(len(target)) - mean.indptr[:-1][rows]
        padded = np.full((n, width), -1e300)
        padded[rows, place] = target
        projected = np.empty_like(padded)
        project_rows(padded, projected)
        return sparse.csr_array((projected[rows, place], mean.indices, mean.indptr), shape=(n, n))

    # -- amgl -----------------------------------------------------------------------------------------------

    def _amgl(self, graphs, k, rng):
        S = [normalized_affinity(sparse.csr_array(0.5 * (g.matrix() + g.matrix().T))) for g in graphs]
        weights, path = np.full(len(S), 1.0 / len(S)), []
        for _ in range(self.max_iter):
            F = top_eigenvectors(
                sparse.csr_array(sum(w * S_v for w, S_v in zip(weights, S, strict=True))), k
            )[1]
            # tr FᵀL_vF with L_v = I − S_v.
            traces = np.array([max(k - np.vdot(F, S_v @ F), _EPS) for S_v in S])
            path.append(float(np.sqrt(traces).sum()))
            weights = 0.5 / np.sqrt(traces)
            weights = weights / weights.sum()  # a common factor does not move F
            if len(path) > 1 and path[-2] - path[-1] <= 1e-8 * path[-1]:
                break
        affinity = sparse.csr_array(sum(w * S_v for w, S_v in zip(weights, S, strict=True)))
        labels, _ = cluster_rows(F, self.n_clusters, self.n_init, rng)
        return {
            "labels_": labels,
            "affinity_": affinity,
            "view_weights_": weights,
            "embedding_": F,
            "n_components_": int(connected_components(affinity, directed=False)[0]),
            "objective_path_": np.array(path),
        }


_KEEP = 1e-300  # added to entries while graphs are summed, so that zeros stay in the pattern


def _raised(graphs, factor, whole):
    """Weighted sum of the graphs, on all their candidates (``whole``) or only where one is positive."""
    total = None
    for f, graph in zip(factor, graphs, strict=True):
        S = graph.matrix()
        if not whole:
            S.eliminate_zeros()
        S.data = f * S.data + _KEEP
        total = S if total is None else total + S
    return total


class _ViewGraph:
    """The graph of one view on its nearest neighbours, with weights that give way to the consensus."""

    def __init__(self, X, n_neighbors):
        D = squared_distances(X)
        self.n, self.tau = len(D), n_neighbors
        self.at = nearest(D, n_neighbors + 1)
        self.d = np.take_along_axis(D, self.at, axis=1)
        self.update(None, 0.0, True)

    def update(self, consensus, weight, exact):
        """Closed form: nearer neighbours, and those close in the consensus, weigh more.

        The costliest of the candidates gets weight zero and sets the scale. Published code takes the farthest
        for it (``exact=False``), and rows stop summing to one where the consensus changes the order.
        """
        cost = self.d
        if consensus is not None:
            cost = cost - 2 * weight * np.take_along_axis(consensus, self.at, axis=1)
        last = cost.max(axis=1, keepdims=True) if exact else cost[:, -1:]
        total = (last - cost).sum(axis=1, keepdims=True)
        self.s = np.maximum((last - cost) / (total + _EPS), 0.0)
        ties = self.s.sum(axis=1) <= 0
        self.s[ties] = 1.0 / self.tau
        self.s[ties, -1] = 0.0

    def matrix(self):
        """CSR of shape (n, n), zeros of the support kept."""
        width = self.tau + 1
        pointers = np.arange(0, self.n * width + 1, width)
        return sparse.csr_array((self.s.flatten(), self.at.flatten(), pointers), shape=(self.n, self.n))


def _row_normalized(U):
    total = np.asarray(U.sum(axis=1)).ravel()
    return sparse.csr_array(U.multiply(1.0 / np.where(total > 0, total, 1.0)[:, None]))


def _least(U, count):
    """Least eigenvalues and eigenvectors of the Laplacian of (U + Uᵀ)/2, ascending."""
    W = U.toarray()
    W = 0.5 * (W + W.T)
    L = -W
    L[np.diag_indices_from(L)] += W.sum(axis=1)
    values, vectors = linalg.eigh(L, subset_by_index=(0, min(count, len(L)) - 1), check_finite=False)
    if len(values) < count:
        values = np.append(values, np.inf)
    return values, vectors
