"""Late fusion: every view makes an embedding of its own, and rotations of them meet in a consensus."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy import linalg
from sklearn.utils._param_validation import Interval, StrOptions

from statkit.cluster._multiview_base import (
    COMMON_CONSTRAINTS,
    KERNEL_CONSTRAINTS,
    BaseMultiViewClusterer,
    KernelClusterer,
    dense_views,
)
from statkit.cluster._spectral import cluster_rows, top_eigenvectors, unit_rows
from statkit.cluster.kernels import Kernels

if TYPE_CHECKING:
    from statkit._typing import Seed


class LateFusionClustering(KernelClusterer):
    """Consensus of the embeddings (or partitions) of the views, by rotations and weights; linear after them.

    Fusing kernels costs n² numbers an iteration; fusing their k leading eigenvectors costs n k. The views may
    also come as finished embeddings or label columns, from whatever made them.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    partitions : {"kernel", "precomputed"}, default="kernel"
        ``"kernel"``: the embeddings are the k leading eigenvectors of the kernels. ``"precomputed"``: each
        view of X is an embedding (n_samples, any), or one column of integer labels.
    one_pass : bool, default=False
        Find the labels in the same objective, instead of k-means on the consensus at the end.
    reg : float, default=8.0
        Pull of the consensus to the embedding of the average kernel; not used in one pass.
    kernel, gamma, degree, coef0, center, normalize, scale, kernel_shift
        Kernels of the views, see `kernel_stack`. ``kernel="precomputed"``: X holds the kernels.
    n_init : int, default=20
        Starts of the k-means; the least inertia is kept.
    max_iter : int, default=200
        Most iterations.
    tol : float, default=1e-8
        Ends when the objective changes by less, relatively.
    random_state : int, RandomState or None, default=None
        For the k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    embedding_ : ndarray of shape (n_samples, n_clusters)
        The consensus.
    view_weights_ : ndarray of shape (n_views,)
        β, of Euclidean norm one.
    rotations_ : list of ndarray of shape (columns of the embedding, n_clusters)
    objective_path_ : ndarray of shape (n_iter_,)
        Never falls: the objective is maximised.
    n_iter_ : int
    view_names_ : list of str
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    Notes
    -----
    max tr Sᵀ(Σ_p β_p H_p W_p + λH_0) over S, W_p with orthonormal columns and ‖β‖ = 1; in one pass S = Y C
    with Y the indicator of the labels. The published code adds up the sum over iterations; here it is made
    anew, and the objective rises.

    References
    ----------
    S. Wang, X. Liu, E. Zhu and others (2019). Multi-view clustering via late fusion alignment maximization.
    IJCAI.

    X. Liu, L. Liu, Q. Liao and others (2021). One pass late fusion multi-view clustering. ICML.

    Examples
    --------
    >>> from statkit.cluster import LateFusionClustering
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(120, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> LateFusionClustering(3, random_state=0).fit(blobs.views).view_weights_.round(2)
    array([0.8, 0.6])
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **KERNEL_CONSTRAINTS,
        "partitions": [StrOptions({"kernel", "precomputed"})],
        "one_pass": ["boolean"],
        "reg": [Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        partitions: Literal["kernel", "precomputed"] = "kernel",
        one_pass: bool = False,
        reg: float = 8.0,
        kernel: Any = "rbf",
        gamma: Any = "mean",
        degree: Any = 3,
        coef0: Any = 1.0,
        center: bool = True,
        normalize: bool = True,
        scale: Any = "block",
        kernel_shift: Any = 0.0,
        n_init: int = 20,
        max_iter: int = 200,
        tol: float = 1e-8,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.partitions = partitions
        self.one_pass = one_pass
        self.reg = reg
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.center = center
        self.normalize = normalize
        self.scale = scale
        self.kernel_shift = kernel_shift
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def _read(self, X):
        if self.partitions == "precomputed":
            return BaseMultiViewClusterer._read(self, X)
        return super()._read(X)

    def _record(self, read, fitted):
        if isinstance(read, Kernels):
            super()._record(read, fitted)
        else:
            BaseMultiViewClusterer._record(self, read, fitted)

    def _fit_views(self, read, rng):
        k = min(self.n_clusters, read.n_samples)
        if isinstance(read, Kernels):
            H = [top_eigenvectors(K, k)[1] for K in read.stack]
            H_0 = top_eigenvectors(read.stack.mean(axis=0), k)[1]
            view_of = read.view_of
        else:
            H = [_orthonormal(array, k) for array in dense_views(read)]
            H_0, singular, _ = linalg.svd(np.hstack(H), full_matrices=False)
            H_0 = H_0[:, : min(k, int((singular > 1e-10 * singular[0]).sum()))]
            view_of = np.arange(len(H))
        if H_0.shape[1] < k:
            raise ValueError(
                f"the embeddings span {H_0.shape[1]} dimensions together; n_clusters={k} clusters "
                "need as many"
            )
        if self.one_pass:
            fitted = self._one_pass(H, H_0, k, rng)
        else:
            fitted = self._two_steps(H, H_0, k, rng)
        beta = fitted.pop("beta")
        fitted["view_weights_"] = np.sqrt(np.bincount(view_of, weights=beta**2))
        fitted["n_iter_"] = len(fitted["objective_path_"])
        return fitted

    def _two_steps(self, H, H_0, k, rng):
        W = [np.eye(h.shape[1], k) for h in H]
        beta = np.full(len(H), len(H) ** -0.5)
        path = []
        for _ in range(self.max_iter):
            S = _polar(sum(b * h @ w for b, h, w in zip(beta, H, W, strict=True)) + self.reg * H_0)
            W = [_polar(h.T @ S) for h in H]
            beta, total = _fuse(S, H, W)
            path.append(total + self.reg * np.vdot(S, H_0))
            if _settled(path, self.tol):
                break
        labels, _ = cluster_rows(S, k, self.n_init, rng)
        return {
            "labels_": labels,
            "embedding_": S,
            "rotations_": W,
            "beta": beta,
            "objective_path_": np.array(path),
        }

    def _one_pass(self, H, H_0, k, rng):
        labels, centers = cluster_rows(H_0, k, self.n_init, rng)
        C = _polar(centers)
        S = C[labels]
        W = [_polar(h.T @ S) for h in H]
        beta, _ = _fuse(S, H, W)
        path = []
        for _ in range(self.max_iter):
            R = sum(b * h @ w for b, h, w in zip(beta, H, W, strict=True))
            labels = _filled((R @ C.T).argmax(axis=1), R @ C.T)
            sums = np.zeros((k, k))
            np.add.at(sums, labels, R)
            C = _polar(sums)
            S = C[labels]
            W = [_polar(h.T @ S) for h in H]
            beta, total = _fuse(S, H, W)
            path.append(total)
            if _settled(path, self.tol):
                break
        return {
            "labels_": labels,
            "embedding_": unit_rows(R),
            "rotations_": W,
            "beta": beta,
            "objective_path_": np.array(path),
        }


def _polar(T):
    """The orthonormal factor UVᵀ of T: what maximises ⟨·, T⟩."""
    U, _, Vt = linalg.svd(T, full_matrices=False, check_finite=False)
    return U @ Vt


def _fuse(S, H, W):
    """Weights of norm one that maximise the fit of the consensus, and that fit."""
    fit = np.maximum([np.vdot(S, h @ w) for h, w in zip(H, W, strict=True)], 0.0)
    norm = np.linalg.norm(fit)
    return (fit / norm if norm > 0 else np.full(len(H), len(H) ** -0.5)), float(norm)


def _settled(path, tol):
    return len(path) > 1 and abs(path[-1] - path[-2]) <= tol * abs(path[-1])


def _filled(labels, scores):
    """Give an empty cluster the sample that its own cluster holds most loosely."""
    sizes = np.bincount(labels, minlength=scores.shape[1])
    own = scores[np.arange(len(labels)), labels]
    for c in np.flatnonzero(sizes == 0):
        i = int(np.where(sizes[labels] > 1, own, np.inf).argmin())
        sizes[labels[i]] -= 1
        labels[i], sizes[c], own[i] = c, 1, np.inf
    return labels


def _orthonormal(array, k):
    """Orthonormal columns spanning the k leading directions of an embedding, or the indicator of labels."""
    if array.shape[1] == 1 and np.array_equal(array, np.round(array)):
        _, labels = np.unique(array[:, 0], return_inverse=True)
        indicator = np.eye(labels.max() + 1)[labels]
        return indicator / np.sqrt(indicator.sum(axis=0))
    U, singular, _ = linalg.svd(array, full_matrices=False)
    return U[:, : max(1, min(k, int((singular > 1e-12 * singular[0]).sum())))]
