"""Local sample-weighted multiple kernel clustering: a consensus graph, a kernel near it, kernel weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy import linalg, sparse
from sklearn.utils._param_validation import Interval, StrOptions

from statkit.cluster._memory import require
from statkit.cluster._multiview_base import COMMON_CONSTRAINTS, KERNEL_CONSTRAINTS, KernelClusterer
from statkit.cluster._multiview_kernels import factor_entries, project_rows, project_rows_off_diagonal
from statkit.cluster._spectral import cluster_rows, top_eigenvectors, unit_rows
from statkit.cluster.kernels import center_kernel, normalize_kernel

if TYPE_CHECKING:
    from statkit._typing import Seed

_EXACT_UP_TO = 2_000  # samples for which solver="auto" is exact
_STACK_UP_TO = 3_000  # the sparse solver evaluates kernels once up to here, in row blocks twice above
_BLOCK = 256


class LocalSampleWeightedMKC(KernelClusterer):
    """Multiple kernel clustering that trusts each sample's own neighbours.

    Kernels of high-dimensional data are reliable near each sample and noise far away. This method learns a
    consensus graph whose rows are weights of neighbours, a positive semi-definite kernel close to it, and the
    weights of the given kernels, in turn and each exactly.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table: dict name → columns (names, positions, slice, mask or a
        callable), a list of such, or an array with the view of every column.
    alpha : float, default=8.0
        How close the consensus kernel is to the graph. From 1 to 64 is sensible; rows become dense and labels
        poor from 128 on.
    n_neighbors : int, default=5
        Neighbours of a sample in the initial graph, which also fixes its regularisation.
    solver : {"auto", "exact", "sparse"}, default="auto"
        ``"exact"``: graph and kernel over all pairs, one full eigendecomposition an iteration. ``"sparse"``:
        the graph is restricted to ``n_candidates`` neighbours a sample and the kernel to ``rank``; no array
        over all pairs. ``"auto"``: exact up to 2,000 samples. What was used is in ``solver_``.
    rank : int, default=None
        Largest rank of the consensus kernel; None: no limit (exact), ``n_clusters`` (sparse).
    n_candidates : int, default=100
        Possible neighbours of a sample, sparse solver. Labels agree with the dense solver of the same rank
        from about 100 on; fewer are faster and bind the graph more to its first neighbours.
    kernel, gamma, degree, coef0, center, normalize, scale, kernel_shift
        Kernels of the views, see `kernel_stack`. ``kernel="precomputed"``: X holds the kernels.
    n_init : int, default=20
        Starts of the k-means on the embedding; the least inertia is kept.
    max_iter : int, default=100
        Most iterations.
    tol : float, default=1e-5
        Ends when the objective changes by less, relatively.
    stopping : {"objective", "reference"}, default="objective"
        ``"reference"``: the rule of the published code, which looks at changes of the kernel after 20
        iterations.
    random_state : int, RandomState or None, default=None
        For the k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    affinity_ : ndarray or CSR array of shape (n_samples, n_samples)
        The consensus graph Z: rows sum to one, the diagonal is zero.
    consensus_kernel_ : ndarray of shape (n_samples, n_samples) or (n_samples, rank)
        The kernel K*, or a factor F with K* = F Fᵀ (sparse solver).
    kernel_weights_ : ndarray of shape (n_kernels,)
        ω, of Euclidean norm one.
    sample_reg_ : ndarray of shape (n_samples,)
        γ, the regularisation of every sample.
    embedding_ : ndarray of shape (n_samples, n_clusters)
    objective_path_ : ndarray of shape (n_iter_,)
    n_iter_ : int
    solver_ : {"exact", "sparse"}
    view_names_, kernel_names_ : list of str
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    Notes
    -----
    The problem, over graphs Z, kernels K* ⪰ 0 and weights ω ≥ 0 with ‖ω‖ = 1:

        min −Σ_p ω_p ⟨K_p, Z⟩ + Σ_i γ_i ‖z_i‖² + α ‖K* − Z‖²,   rows of Z on the simplex, Z_ii = 0.

    The sparse solver minimises the same over graphs on the candidates and kernels of at most ``rank``: with all
    candidates and the same rank its steps are those of the exact one. Without a limit of the rank the problem has
    many nearly equal optima, and labels may differ more between two values of ``tol`` than between solvers.

    The weights favour kernels in which neighbours are alike, that is smooth ones, which need not be the most
    informative: see ``diagnostics_["agreement"]``. The labels of new samples are an extension of the paper:
    initial graph weights of a new sample, its embedding by them, and the nearest centre.

    References
    ----------
    L. Li, S. Wang, X. Liu, E. Zhu, L. Shen, K. Li, K. Li (2022). Local sample-weighted multiple kernel
    clustering with consensus discriminative graph. IEEE Transactions on Neural Networks and Learning Systems
    35(2).

    Examples
    --------
    >>> from statkit.cluster import LocalSampleWeightedMKC
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(120, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> fit = LocalSampleWeightedMKC(3, random_state=0).fit(blobs.views)
    >>> fit.kernel_weights_.round(1)
    array([0.7, 0.7])
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **KERNEL_CONSTRAINTS,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "solver": [StrOptions({"auto", "exact", "sparse"})],
        "rank": [Interval(Integral, 1, None, closed="left"), None],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "stopping": [StrOptions({"objective", "reference"})],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        alpha: float = 8.0,
        n_neighbors: int = 5,
        solver: Literal["auto", "exact", "sparse"] = "auto",
        rank: int | None = None,
        n_candidates: int = 100,
        kernel: Any = "rbf",
        gamma: Any = "mean",
        degree: Any = 3,
        coef0: Any = 1.0,
        center: bool = True,
        normalize: bool = True,
        scale: Any = "block",
        kernel_shift: Any = 0.0,
        n_init: int = 20,
        max_iter: int = 100,
        tol: float = 1e-5,
        stopping: Literal["objective", "reference"] = "objective",
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.alpha = alpha
        self.n_neighbors = n_neighbors
        self.solver = solver
        self.rank = rank
        self.n_candidates = n_candidates
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
        self.stopping = stopping
        self.random_state = random_state

    def _solver_for(self, n):
        if self.solver == "auto":
            return "exact" if n <= _EXACT_UP_TO else "sparse"
        return self.solver

    def _stacked(self, n_samples):
        return self._solver_for(n_samples) == "exact" or n_samples <= _STACK_UP_TO

    def _fit_views(self, kernels, rng):
        n, k = kernels.n_samples, self.n_clusters
        if n < 3:
            raise ValueError(f"n_samples={n}: a graph of neighbours needs three samples or more")
        n_neighbors = self.n_neighbors
        if n_neighbors > n - 2:
            n_neighbors = n - 2
            warnings.warn(
                f"n_neighbors={self.n_neighbors} is more than {n} samples allow: {n_neighbors} are used",
                UserWarning,
                stacklevel=5,
            )
        solver = self._solver_for(n)
        if solver == "exact":
            require(5 * 8 * n * n, f"the exact solver at {n:,} samples")
            rank = min(self.rank, n) if self.rank is not None else None
            run = _Exact(kernels, n_neighbors, self.alpha, rank)
        else:
            rank = min(self.rank or k, n - 1)
            n_candidates = min(max(self.n_candidates, n_neighbors + 1), n - 1)
            run = _Sparse(kernels, n_neighbors, self.alpha, rank, n_candidates)
        path = self._iterate(run)
        embedding = run.embedding(min(k, n))
        labels, centers = cluster_rows(embedding, k, self.n_init, rng)
        return {
            "labels_": labels,
            "affinity_": run.affinity(),
            "consensus_kernel_": run.kernel,
            "kernel_weights_": run.weights,
            "sample_reg_": run.sample_reg,
            "embedding_": embedding,
            "objective_path_": np.array(path),
            "n_iter_": len(path),
            "solver_": solver,
            "_centers": centers,
            "_n_neighbors": n_neighbors,
        }

    def _iterate(self, run):
        path, changes = [], []
        for iteration in range(1, self.max_iter + 1):
            objective, change, norm = run.step(self.stopping == "reference")
            path.append(objective)
            changes.append(change)
            if self.stopping == "reference":
                if iteration >= 20 and abs(changes[-1] - changes[-2]) / norm < 1e-3:
                    break
            elif iteration > 1 and abs(path[-2] - path[-1]) <= self.tol * abs(path[-1]):
                break
        return path

    def predict(self, X: Any) -> Any:
        """Return the cluster of new samples, by the neighbours that the weighted kernel gives them.

        Parameters
        ----------
        X : as in `fit`
            The same views of other samples; if precomputed, kernels of shape (n_kernels, n_new, n_samples).

        Returns
        -------
        ndarray of shape (n_new,)
        """
        labels = []
        for K, _ in self._cross(X):
            similarity = np.tensordot(self.kernel_weights_, K, axes=1)
            nearest = np.argpartition(-similarity, self._n_neighbors, axis=1)[:, : self._n_neighbors + 1]
            weights, _ = initial_weights(np.take_along_axis(similarity, nearest, axis=1))
            h = unit_rows(np.einsum("ij,ijk->ik", weights, self.embedding_[nearest]))
            labels.append((np.square(self._centers).sum(axis=1) - 2 * h @ self._centers.T).argmin(axis=1))
        return np.concatenate(labels)


def initial_weights(similarity):
    """Closed-form graph weights and γ from the τ + 1 largest similarities of every sample, in any order.

    The least similar of them gets weight zero and sets the scale; rows of ties get equal weights.
    """
    tau = similarity.shape[1] - 1
    lowest = similarity.min(axis=1, keepdims=True)
    gaps = similarity - lowest
    total = gaps.sum(axis=1, keepdims=True)
    weights = gaps / (total + np.finfo(float).eps)
    ties = total[:, 0] <= 0
    weights[ties] = 0.0
    last = similarity.argmin(axis=1)
    weights[ties] = 1.0 / tau
    weights[ties, last[ties]] = 0.0
    return weights, 0.5 * total[:, 0]


def _floored(gamma):
    """γ with a small positive floor: identical neighbours would make it zero."""
    return np.maximum(gamma, 1e-12 * (np.median(gamma) or 1.0))


def _normalized_weights(delta):
    """The maximiser of ωᵀδ over non-negative ω of norm one."""
    delta = np.maximum(delta, 0.0)
    norm = np.linalg.norm(delta)
    return delta / norm if norm > 0 else np.full(len(delta), len(delta) ** -0.5)


class _Exact:
    """Graph and kernel over all pairs."""

    def __init__(self, kernels, n_neighbors, alpha, rank):
        self.stack, self.alpha, self.rank = kernels.stack, alpha, rank
        m, n = self.stack.shape[:2]
        self.kernel = self.stack.sum(axis=0)
        self.kernel *= m**-0.5
        masked = self.kernel.copy()
        np.fill_diagonal(masked, -np.inf)
        nearest = np.argpartition(-masked, n_neighbors, axis=1)[:, : n_neighbors + 1]
        weights, gamma = initial_weights(np.take_along_axis(masked, nearest, axis=1))
        self.Z = np.zeros((n, n))
        np.put_along_axis(self.Z, nearest, weights, axis=1)
        self.sample_reg = _floored(gamma)
        self.flat = self.stack.reshape(m, -1)

    def step(self, measure_change):
        n = len(self.Z)
        self.weights = _normalized_weights(self.flat @ self.Z.ravel())
        for start in range(0, n, _BLOCK):
            rows = slice(start, min(start + _BLOCK, n))
            V = np.tensordot(self.weights, self.stack[:, rows], axes=1)
            if self.alpha > 0:
                V += 2 * self.alpha * self.kernel[rows]
            V /= 2 * (self.alpha + self.sample_reg[rows, None])
            project_rows_off_diagonal(V, start, self.Z[rows])
        before = self.kernel
        self.kernel, kernel_square = _positive_part(0.5 * (self.Z + self.Z.T), self.rank)
        squares = np.einsum("ij,ij->i", self.Z, self.Z)
        objective = (
            -self.weights @ (self.flat @ self.Z.ravel())
            + self.sample_reg @ squares
            + self.alpha * (squares.sum() - kernel_square)
        )
        change = np.linalg.norm(self.kernel - before) if measure_change else np.nan
        return float(objective), change, kernel_square**0.5

    def affinity(self):
        return self.Z

    def embedding(self, k):
        return top_eigenvectors(normalize_kernel(center_kernel(self.kernel)), k)[1]


def _positive_part(S, rank):
    """The nearest positive semi-definite matrix (of at most a rank) and its squared Frobenius norm."""
    values, vectors = linalg.eigh(S, driver="evd", check_finite=False)
    kept = values > 0
    if rank is not None:
        kept[: len(values) - rank] = False
    square = float(np.square(values[kept]).sum())
    if rank is None and np.count_nonzero(kept) > len(values) // 2:
        U = vectors[:, ~kept] * np.sqrt(-values[~kept])
        return S + U @ U.T, square
    U = vectors[:, kept] * np.sqrt(values[kept])
    return U @ U.T, square


@dataclass
class _Support:
    """Candidate neighbours of every sample, (n, c), and the kernels on them, (m, n, c)."""

    candidates: np.ndarray
    entries: np.ndarray


def _find_support(kernels, n_candidates):
    """The most similar samples by the average kernel, from blocks of rows."""
    n, m = kernels.n_samples, len(kernels.names)
    require(m * n * n_candidates * 8, f"{m} kernels on {n_candidates} candidates of {n:,} samples")
    candidates = np.empty((n, n_candidates), dtype=np.int64)
    entries = np.empty((m, n, n_candidates))
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        rows = [kernels.rows(p, start, stop) for p in range(m)]
        average = sum(rows[1:], rows[0].copy())
        average[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        at = np.argpartition(-average, n_candidates - 1, axis=1)[:, :n_candidates]
        order = np.argsort(-np.take_along_axis(average, at, axis=1), axis=1, kind="stable")
        candidates[start:stop] = at = np.take_along_axis(at, order, axis=1)
        for p in range(m):
            entries[p, start:stop] = np.take_along_axis(rows[p], at, axis=1)
    return _Support(candidates, entries)


class _Sparse:
    """Graph on candidate neighbours, kernel of low rank: every update is exact on that set."""

    def __init__(self, kernels, n_neighbors, alpha, rank, n_candidates):
        self.alpha, self.rank = alpha, rank
        support = _find_support(kernels, n_candidates)
        self.candidates, self.entries = support.candidates, support.entries
        m, n, c = self.entries.shape
        self.on_support = self.entries.sum(axis=0) * m**-0.5  # the kernel on the candidates
        weights, gamma = initial_weights(self.on_support[:, : n_neighbors + 1])
        self.Z = np.zeros((n, c))
        self.Z[:, : n_neighbors + 1] = weights
        self.sample_reg = _floored(gamma)
        self.kernel: Any = None
        self.vectors = None
        self.pointers = np.arange(0, n * c + 1, c)

    def step(self, measure_change):
        n = len(self.Z)
        flat = self.entries.reshape(len(self.entries), -1)
        self.weights = _normalized_weights(flat @ self.Z.ravel())
        V = np.tensordot(self.weights, self.entries, axes=1)
        V += 2 * self.alpha * self.on_support
        V /= 2 * (self.alpha + self.sample_reg[:, None])
        project_rows(V, self.Z)
        Z = self.affinity()
        values, self.vectors = top_eigenvectors(0.5 * (Z + Z.T), min(self.rank, n - 1), start=self.vectors)
        kept = values > 0
        before, self.kernel = self.kernel, self.vectors[:, kept] * np.sqrt(values[kept])
        factor_entries(self.kernel, self.candidates, self.on_support)
        kernel_square = float(np.square(values[kept]).sum())
        squares = np.einsum("ij,ij->i", self.Z, self.Z)
        objective = (
            -self.weights @ (flat @ self.Z.ravel())
            + self.sample_reg @ squares
            + self.alpha * (squares.sum() - kernel_square)
        )
        change = np.nan
        if measure_change and before is not None:
            old = np.square(before.T @ before).sum()
            both = np.square(before.T @ self.kernel).sum()
            change = max(kernel_square + old - 2 * both, 0.0) ** 0.5
        return float(objective), change, kernel_square**0.5

    def affinity(self):
        n = len(self.Z)
        Z = sparse.csr_array(
            (self.Z.flatten(), self.candidates.flatten(), self.pointers.copy()), shape=(n, n)
        )
        Z.eliminate_zeros()
        Z.sort_indices()
        return Z

    def embedding(self, k):
        F = unit_rows(self.kernel - self.kernel.mean(axis=0))
        U, _, _ = linalg.svd(F, full_matrices=False)
        signs = np.sign(U[np.abs(U).argmax(axis=0), np.arange(U.shape[1])])
        return np.ascontiguousarray((U * signs)[:, :k])
