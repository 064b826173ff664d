"""Multiple kernel k-means: weights by four rules, with optional localisation, at their exact optimum."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from statkit.cluster._multiview_base import COMMON_CONSTRAINTS, KERNEL_CONSTRAINTS, KernelClusterer
from statkit.cluster._simplex import minimize_on_simplex
from statkit.cluster._spectral import cluster_rows, top_eigenvectors
from statkit.cluster.kernel_kmeans import Assignment, NearestMean, lloyd, objective_of

if TYPE_CHECKING:
    from statkit._typing import Seed


class MultipleKernelKMeans(NearestMean, KernelClusterer):
    """k-means on a weighted sum of kernels whose weights are learned, by one of four rules.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    weighting : {"simple", "average", "mkkm", "mr"}, default="simple"
        ``"average"``: equal weights, the baseline. ``"mkkm"``: weights that minimise the spectral objective;
        they favour kernels of low rank, informative or not. ``"mr"``: the same with a penalty on weights of
        kernels that are alike. ``"simple"``: weights that minimise the largest alignment, a convex problem
        solved to its optimum.
    reg : float, default=1.0
        The penalty λ of ``"mr"``.
    neighborhood : float, default=None
        Localisation: kernels count among the nearest share of samples only, 0.1 to 0.45 is usual. None: off.
    polish : bool, default=False
        Improve the labels by kernel k-means on the weighted kernel.
    kernel, gamma, degree, coef0, center, normalize, scale, kernel_shift
        Kernels of the views, see `kernel_stack`. ``kernel="precomputed"``: X holds the kernels.
    n_init : int, default=20
        Starts of the k-means on the embedding; the least inertia is kept.
    max_iter : int, default=200
        Most updates of the weights.
    tol : float, default=1e-8
        Ends when the optimality conditions hold to this, relatively (``"simple"``) or the objective changes
        by less (``"mkkm"``, ``"mr"``).
    random_state : int, RandomState or None, default=None
        For the k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    kernel_weights_ : ndarray of shape (n_kernels,)
        σ on the simplex. Kernel p enters the sum with σ_p² (with σ_p for ``"average"``).
    embedding_ : ndarray of shape (n_samples, n_clusters)
        Leading eigenvectors of the weighted kernel.
    objective_ : float
    objective_path_ : ndarray
    kkt_residual_ : float
        How far the weights are from satisfying the optimality conditions given the embedding, relatively.
    n_iter_ : int
        Eigendecompositions of the fit.
    converged_ : bool
    view_names_, kernel_names_ : list of str
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    Notes
    -----
    With a_p = tr HᵀK_pH and H the k leading eigenvectors of K_σ = Σ σ_p² K_p:

    - mkkm: min Σ σ_p² (tr K_p − a_p) over H and σ;
    - mr: the same plus (λ/2) σᵀMσ with M_pq = ⟨K_p, K_q⟩; the published code uses σ_p where its objective has
      σ_p², here both are σ_p²;
    - simple: min over σ of max over H of Σ σ_p² a_p, convex. At its optimum σ_p a_p is the same for all p,
      and a damped iteration σ_p ∝ 1/a_p reaches it in some twenty eigendecompositions where reduced gradients
      take hundreds.

    New samples are given to the nearest cluster mean of the weighted kernel, without localisation.

    References
    ----------
    H.-C. Huang, Y.-Y. Chuang, C.-S. Chen (2012). Multiple kernel fuzzy clustering. IEEE TFS 20.

    X. Liu, Y. Dou, J. Yin, L. Wang, E. Zhu (2016). Multiple kernel k-means clustering with matrix-induced
    regularization. AAAI.

    X. Liu, E. Zhu, J. Liu and others (2020). SimpleMKKM: simple multiple kernel k-means. arXiv:2005.04975.

    X. Liu, S. Zhou, L. Liu and others (2021). Localized simple multiple kernel k-means. ICCV.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from statkit.cluster import MultipleKernelKMeans
    >>> X = load_iris().data
    >>> fit = MultipleKernelKMeans(3, random_state=0).fit({"sepal": X[:, :2], "petal": X[:, 2:]})
    >>> fit.kernel_weights_.round(3)
    array([0.531, 0.469])
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **KERNEL_CONSTRAINTS,
        "weighting": [StrOptions({"simple", "average", "mkkm", "mr"})],
        "reg": [Interval(Real, 0, None, closed="left")],
        "neighborhood": [Interval(Real, 0, 1, closed="right"), None],
        "polish": ["boolean"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        weighting: Literal["simple", "average", "mkkm", "mr"] = "simple",
        reg: float = 1.0,
        neighborhood: float | None = None,
        polish: bool = False,
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
        self.weighting = weighting
        self.reg = reg
        self.neighborhood = neighborhood
        self.polish = polish
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

    def _fit_views(self, kernels, rng):
        n, k = kernels.n_samples, self.n_clusters
        stack, whole = kernels.stack, kernels.stack
        if self.neighborhood is not None:
            stack = stack * _localisation(stack, self.neighborhood)
        problem = _Weighting(stack, min(k, n))
        if self.weighting == "average":
            result = problem.average()
        elif self.weighting == "simple":
            result = problem.simple(self.max_iter, self.tol)
        else:
            result = problem.alternate(self.reg if self.weighting == "mr" else 0.0, self.max_iter, self.tol)
        weights, H, path, kkt, converged = result
        if not converged:
            warnings.warn(
                f"weighting={self.weighting!r} did not converge in max_iter={self.max_iter}: the optimality "
                f"conditions hold to {kkt:.1e}",
                ConvergenceWarning,
                stacklevel=5,
            )
        labels, _ = cluster_rows(H, k, self.n_init, rng)
        entering = weights if self.weighting == "average" else weights**2
        ones = np.ones(n)
        if self.polish:
            labels, _ = lloyd(np.tensordot(entering, stack, axes=1), labels, ones, k, 300)
        _, within, mass = objective_of(np.tensordot(entering, whole, axes=1), labels, ones, k)
        return {
            "labels_": labels,
            "kernel_weights_": weights,
            "embedding_": H,
            "objective_": float(path[-1]),
            "objective_path_": np.array(path),
            "kkt_residual_": float(kkt),
            "n_iter_": problem.n_eigen,
            "converged_": bool(converged),
            "_assignment": Assignment(labels, ones, within, mass, entering),
        }


def _localisation(stack, share):
    """How many neighbourhoods two samples share: Σ_i 1{j in N_i} 1{l in N_i}, of the average kernel."""
    average = stack.mean(axis=0)
    n = len(average)
    size = min(max(1, int(np.floor(share * n + 0.5))), n - 1)
    np.fill_diagonal(average, -np.inf)
    nearest = np.argsort(-average, axis=1, kind="stable")[:, :size]
    member = np.zeros((n, n), dtype=np.float32)  # counts up to n are exact
    np.put_along_axis(member, nearest, 1.0, axis=1)
    return (member.T @ member).astype(stack.dtype)


class _Weighting:
    """The weight rules on one stack of kernels; counts eigendecompositions."""

    def __init__(self, stack, k):
        self.stack, self.k = stack, k
        self.flat = stack.reshape(len(stack), -1)
        self.H = None
        self.n_eigen = 0

    def solve(self, entering):
        """Alignments a_p = tr HᵀK_pH for H of the kernel with these factors; its leading eigenvalues' sum."""
        K = (entering @ self.flat).reshape(self.stack.shape[1:])
        values, self.H = top_eigenvectors(K, self.k, start=self.H)
        self.n_eigen += 1
        return np.array([np.vdot(self.H, K_p @ self.H) for K_p in self.stack]), values.sum()

    def average(self):
        m = len(self.stack)
        _, value = self.solve(np.full(m, 1.0 / m))
        return np.full(m, 1.0 / m), self.H, [value], 0.0, True

    def simple(self, max_iter, tol):
        """The optimum of the convex min-max problem, as the fixed point σ ∝ 1/a(σ), damped."""
        m = len(self.stack)
        sigma, damping = np.full(m, 1.0 / m), 0.5
        a, value = self.solve(sigma**2)
        path, residual = [value], _spread(sigma * a)
        H = self.H
        while residual > tol and self.n_eigen < max_iter:
            if damping < 1e-4:
                break
            step = sigma ** (1 - damping) * (1.0 / np.maximum(a, 1e-300)) ** damping
            trial = step / step.sum()
            a_new, value_new = self.solve(trial**2)
            residual_new = _spread(trial * a_new)
            if value_new > value * (1 + 1e-12) or residual_new > 1.5 * residual:
                damping /= 2
                continue
            sigma, a, value, residual, H = trial, a_new, value_new, residual_new, self.H
            path.append(value)
        if residual > tol and self.n_eigen < max_iter:
            sigma, H, residual = self._descend(sigma, a, value, residual, path, max_iter, tol)
        return sigma, H, path, residual, residual <= max(tol, 1e-6)

    def _descend(self, sigma, a, value, residual, path, max_iter, tol):
        """Projected gradient with backtracking, where the fixed point does not settle."""
        H, length = self.H, 0.25 / max(a.max(), 1e-300)
        while self.n_eigen < max_iter and residual > tol:
            gradient = 2 * sigma * a
            trial = _project(sigma - length * gradient)
            a_new, value_new = self.solve(trial**2)
            if value_new > value - 1e-4 / length * np.square(trial - sigma).sum():
                length /= 2
                if length * np.abs(gradient).max() < 1e-12:
                    break
                continue
            sigma, a, value, H = trial, a_new, value_new, self.H
            residual = _spread(sigma * a)
            path.append(value)
            length *= 2
        return sigma, H, residual

    def alternate(self, reg, max_iter, tol):
        """Embedding and weights in turn, each exact: mkkm (reg 0) and mr."""
        m = len(self.stack)
        traces = np.array([np.trace(K) for K in self.stack])
        M = self.flat @ self.flat.T if reg > 0 else np.zeros((m, m))
        sigma, path, converged = np.full(m, 1.0 / m), [], False
        while self.n_eigen < max_iter:
            a, _ = self.solve(sigma**2)
            gap = np.maximum(traces - a, 0.0)
            quadratic = 2 * np.diag(gap) + reg * M
            if reg > 0:
                sigma = minimize_on_simplex(quadratic)
            elif np.any(gap <= 1e-14 * traces):  # a kernel of rank k takes all the weight
                sigma = (gap <= 1e-14 * traces) / np.count_nonzero(gap <= 1e-14 * traces)
            else:
                sigma = (1 / gap) / (1 / gap).sum()
            path.append(0.5 * sigma @ quadratic @ sigma)
            if len(path) >= 3 and abs(path[-2] - path[-1]) <= tol * abs(path[-1]):
                converged = True
                break
        a, _ = self.solve(sigma**2)
        gradient = (2 * np.diag(np.maximum(traces - a, 0.0)) + reg * M) @ sigma
        kkt = (gradient[sigma > 1e-12].max() - gradient.min()) / max(np.abs(gradient).max(), 1e-300)
        return sigma, self.H, path, kkt, converged


def _spread(values):
    return float((values.max() - values.min()) / max(values.max(), 1e-300))


def _project(v):
    from statkit.cluster._simplex import project_row

    out = np.empty_like(v)
    project_row(v, len(v), np.empty_like(v), out)
    return out
