"""One-step multi-view clustering: projections, representations and labels from one objective, linear in n."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from joblib import Parallel, delayed
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.utils._param_validation import Interval, StrOptions
from threadpoolctl import threadpool_limits

from statkit.cluster._multiview_base import (
    COMMON_CONSTRAINTS,
    SCALE_CONSTRAINT,
    BaseMultiViewClusterer,
    WeightedFit,
    dense_views,
)
from statkit.cluster._multiview_kernels import (
    cluster_totals,
    shrink_to_means,
    space_totals,
    sum_pairwise_pass,
)
from statkit.cluster._scaling import fit_scaler

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


_MAX_PASSES = 100  # of moves in one update of the labels
_START_ROWS = 10_000  # several starts of more samples than this are tried on so many of them
_START_TOL = 1e-4  # and to this precision: the best goes on with all samples


class OneStepMultiViewClustering(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, WeightedFit, BaseMultiViewClusterer
):
    """Clustering of several views in one step, through representations of several dimensions.

    Methods that first embed and then run k-means optimise neither. Here labels, ``n_latent`` consensus
    representations z of dimension k, 2k, … and the projections of every view are found together; each update
    is an exact minimiser, so the objective never rises. Time and memory are linear in the samples, samples
    may lack views, and new samples get labels in closed form.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table: dict name → columns (names, positions, slice, mask or a
        callable), a list of such, or an array with the view of every column.
    n_latent : int, default=3
        Number of representations P, of dimensions k, 2k, …, Pk. For k of 50 and more take 1.
    reg : float, default=0.1
        Strength of the cluster term.
    reg_scale : {"per_cluster", "none"}, default="per_cluster"
        ``"per_cluster"``: λ = reg · V · k / n, so that representations shrink towards the means of their
        clusters by the share reg / (1 + reg) whatever n is. ``"none"``: λ = reg.
    latent_weights : {"equal", "exact", "reference"}, default="equal"
        Weights β of the representations in the cluster term: equal; the exact minimiser, which tends to
        concentrate on one; or the rule of the published code, which does not minimise the objective.
    scale : {"block", "standard", "minmax", None}, default="block"
        Scaling of the columns; ``"block"`` lets every view count the same whatever its width.
    init : {"k-means++"} or array-like of shape (n_samples,), default="k-means++"
        Start: one run of k-means on the scaled views side by side, or labels 0 … k−1.
    n_init : int, default=10
        Number of starts; the fit of least objective is kept. One for ``init`` labels. Starts that come to the
        same partition go on as one. Above 10,000 samples the starts are tried on 10,000 of them, and the best
        goes on with all.
    max_iter : int, default=100
        Most iterations of a start.
    tol : float, default=1e-5
        A start ends when the objective changes by less, relatively.
    missing : {"error", "mask"}, default="error"
        ``"mask"``: a row that is NaN throughout a view lacks that view. Other NaN raise.
    n_jobs : int, default=None
        Starts run at a time, in threads. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        For the starts.
    verbose : int, default=0
        Print the objective of every start.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of every sample; every cluster has members.
    objective_ : float
        The objective J at the end of the best start.
    objective_path_ : ndarray of shape (n_iter_,)
        J after every iteration of the best start.
    n_iter_ : int
        Its iterations.
    latent_weights_ : ndarray of shape (n_latent,)
        β.
    view_residuals_ : ndarray of shape (n_latent, n_views)
        Squared error of every scaled view given each representation.
    projections_ : list of list of ndarray of shape (n_features of the view, k p)
        ``projections_[p][v]`` with orthonormal columns (rows where the view is too narrow).
    embedding_ : ndarray of shape (n_samples, D)
        The representations side by side, D = k P (P + 1) / 2.
    cluster_sizes_ : ndarray of shape (n_clusters,)
        Samples in each cluster.
    n_features_in_ : int
        Columns of all views together.
    view_names_, view_columns_ : list
        Names of the views and of their columns.
    diagnostics_ : dict
        ``agreement`` (view → adjusted Rand index between the labels and k-means of that view alone),
        ``weight_entropy``, ``largest_weight``.

    See Also
    --------
    MultiViewKMeans : The simpler baseline, also linear.
    AnchorMultiViewClustering : Linear in the samples, and not linear in the features.

    Notes
    -----
    With X_v the scaled views and α_p = 1/P the objective is

        J = Σ_p α_p² Σ_v (‖X_v‖² − 2⟨X_v H_pv, Z_p⟩ + ‖Z_p‖²) + λ Σ_p β_p² · ½ Σ_c Σ_{i,j in c} ‖z_pi − z_pj‖²

    The representations of all samples given labels have a closed form and are updated at once (the published
    code sweeps them one by one), H is an orthogonal Procrustes problem, labels are moved one sample at a
    time.

    References
    ----------
    X. Wan, J. Liu, X. Gan, X. Liu, S. Wang, Y. Wen, T. Wan, E. Zhu (2023). One-step multi-view clustering
    with diverse representation. IEEE Transactions on Neural Networks and Learning Systems.

    Examples
    --------
    >>> from statkit.cluster import OneStepMultiViewClustering
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(200, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> fit = OneStepMultiViewClustering(3, random_state=0).fit(blobs.views)
    >>> fit.cluster_sizes_
    array([67, 67, 66])
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **SCALE_CONSTRAINT,
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "reg": [Interval(Real, 0, None, closed="left")],
        "reg_scale": [StrOptions({"per_cluster", "none"})],
        "latent_weights": [StrOptions({"equal", "exact", "reference"})],
        "init": [StrOptions({"k-means++"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "missing": [StrOptions({"error", "mask"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        n_latent: int = 3,
        reg: float = 0.1,
        reg_scale: Literal["per_cluster", "none"] = "per_cluster",
        latent_weights: Literal["equal", "exact", "reference"] = "equal",
        scale: Literal["block", "standard", "minmax", None] = "block",
        init: Literal["k-means++"] | ArrayLike = "k-means++",
        n_init: int = 10,
        max_iter: int = 100,
        tol: float = 1e-5,
        missing: Literal["error", "mask"] = "error",
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.n_latent = n_latent
        self.reg = reg
        self.reg_scale = reg_scale
        self.latent_weights = latent_weights
        self.scale = scale
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.missing = missing
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _fit_views(self, read, rng, sample_weight=None):
        n, V, k = read.n_samples, len(read.names), self.n_clusters
        weight = self._checked_weights(sample_weight, n)
        seen = np.ones((n, V), dtype=bool) if read.seen is None else read.seen
        scalers, edges = [], np.cumsum([0] + [array.shape[1] for array in read.arrays])
        X = np.empty((n, edges[-1]))
        for v, array in enumerate(dense_views(read)):
            scalers.append(fit_scaler(array, read.names[v], self.scale, seen[:, v], weight))
            X[:, edges[v] : edges[v + 1]] = scalers[v](array, seen[:, v])
        lam = self.reg * (V * k / weight.sum() if self.reg_scale == "per_cluster" else 1.0)
        problem = _Problem(
            X, edges, seen.sum(axis=1).astype(np.float64), seen, weight, k, self.n_latent, lam,
            self.latent_weights, self.max_iter, self.tol,
        )  # fmt: skip
        starts = self._starts(n, rng)
        first = None
        if n > _START_ROWS and len(starts) > 1:
            first = problem
            problem = problem.sample(np.sort(rng.choice(n, _START_ROWS, replace=False)))
            problem.tol = max(self.tol, _START_TOL)
        if self.n_jobs in (None, 1):
            runs = _race(problem, starts, lambda work, items: [work(item) for item in items])
        else:
            with threadpool_limits(1), Parallel(self.n_jobs, prefer="threads") as parallel:
                runs = _race(
                    problem, starts, lambda work, items: parallel(delayed(work)(item) for item in items)
                )
        if self.verbose:
            for s, run in enumerate(runs):
                print(f"start {s}: objective {run.path[-1]:.8g} after {len(run.path)} iterations")
        least = min(run.path[-1] for run in runs)
        best = next(
            run for run in runs if run.path[-1] <= least + 1e-10 * abs(least)
        )  # of equal ones the first
        if first is not None:  # the best start of the sample goes on with all samples
            problem = first
            labels = _costs(problem.X @ best.H, problem.n_seen, best.state(), k, self.n_latent).argmin(axis=1)
            best = _Run(problem, labels, best.H).until(problem.tol)
        return {
            "_scalers": scalers,
            "_state": best.state(),
            "labels_": best.labels,
            "objective_": float(best.path[-1]),
            "objective_path_": np.array(best.path),
            "n_iter_": len(best.path),
            "latent_weights_": best.beta,
            "view_residuals_": best.view_residuals,
            "projections_": [
                [best.H[edges[v] : edges[v + 1], at].copy() for v in range(V)] for at in problem.spaces
            ],
            "embedding_": best.Z,
            "cluster_sizes_": np.bincount(best.labels, minlength=k),
            "_residual_shares": best.view_residuals.mean(axis=0) / problem.view_norms,
        }

    def _starts(self, n, rng):
        """Seeds of k-means runs, or the labels that the user gave."""
        if isinstance(self.init, str):
            return [int(seed) for seed in rng.randint(np.iinfo(np.int32).max, size=self.n_init)]
        labels = np.asarray(self.init)
        if labels.shape != (n,):
            raise ValueError(f"init has shape {labels.shape}; as labels it needs one a sample, ({n},)")
        if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= self.n_clusters:
            raise ValueError(
                f"init must hold integer labels from 0 to n_clusters - 1 = {self.n_clusters - 1}"
            )
        return [labels.astype(np.intp)]

    def _view_residuals(self):
        return self._residual_shares

    # -- new samples ----------------------------------------------------------------------------------------

    def _project(self, X):
        """Σ_v H_vᵀx_v of new samples, (n, D), and the number of views that each has."""
        read = self._read_new(X)
        seen = np.ones((read.n_samples, len(read.names)), dtype=bool) if read.seen is None else read.seen
        B = 0.0
        for v, array in enumerate(dense_views(read)):
            H = np.hstack([self.projections_[p][v] for p in range(self.n_latent)])
            B = B + self._scalers[v](array, seen[:, v]) @ H
        return B, seen.sum(axis=1).astype(np.float64)

    def predict(self, X: Any) -> Any:
        """Return the cluster of new samples: where adding them, with their best representation, costs least.

        Parameters
        ----------
        X : as in `fit`
            The same views of other samples; with ``missing="mask"`` they may lack views.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        B, n_seen = self._project(X)
        return _costs(B, n_seen, self._state, self.n_clusters, self.n_latent).argmin(axis=1)

    def transform(self, X: Any) -> Any:
        """Return the representations of new samples, given the clusters that `predict` gives them.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_samples, D)
            D = k P (P + 1) / 2, as ``embedding_``.
        """
        B, n_seen = self._project(X)
        labels = self.predict(X)
        state = self._state
        Z = np.empty_like(B)
        for p, at in enumerate(_spaces(self.n_clusters, self.n_latent)):
            a, pull = state["alpha"] ** 2, state["lam"] * state["beta"][p] ** 2
            top = a * B[:, at] + pull * state["sums"][at].T[labels]
            Z[:, at] = top / (a * n_seen + pull * state["mass"][labels])[:, None]
        return Z

    @property
    def _n_features_out(self):
        return self.embedding_.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags


def _costs(B, n_seen, state, k, n_latent):
    """What it costs to add each row to each cluster, with its best representation there: (n, k)."""
    cost = np.zeros((len(B), k))
    for p, at in enumerate(_spaces(k, n_latent)):
        a, pull = state["alpha"] ** 2, state["lam"] * state["beta"][p] ** 2
        sums = state["sums"][at]  # (q, k)
        # ‖a b + λβ² C‖² expanded, so that nothing of size n × k × q is made.
        norm = (
            a**2 * np.einsum("ij,ij->i", B[:, at], B[:, at])[:, None]
            + 2 * a * pull * (B[:, at] @ sums)
            + pull**2 * np.square(sums).sum(axis=0)
        )
        cost += pull * state["squares"][p] - norm / (a * n_seen[:, None] + pull * state["mass"])
    return cost


def _spaces(k, n_latent):
    """Columns of each representation: k, 2k, …, side by side."""
    edges = np.cumsum([0] + [k * (p + 1) for p in range(n_latent)])
    return [slice(edges[p], edges[p + 1]) for p in range(n_latent)]


@dataclass
class _Problem:
    """The scaled views side by side and the constants of the objective; the same for all starts."""

    X: np.ndarray
    edges: np.ndarray
    n_seen: np.ndarray
    seen: np.ndarray
    weight: np.ndarray
    k: int
    n_latent: int
    lam: float
    rule: str
    max_iter: int
    tol: float

    def __post_init__(self):
        self.spaces = _spaces(self.k, self.n_latent)
        self.D = self.spaces[-1].stop
        self.space_edges = np.array([0] + [at.stop for at in self.spaces])
        self.view_norms = np.array(
            [
                np.einsum("i,ij,ij->", self.weight, self.X[:, a:b], self.X[:, a:b])
                for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)
            ]
        )

    def sample(self, rows):
        """The same problem on some of the samples, with the same shrinkage of representations."""
        weight = self.weight[rows]
        return replace(
            self,
            X=self.X[rows],
            n_seen=self.n_seen[rows],
            seen=self.seen[rows],
            weight=weight,
            lam=self.lam * self.weight.sum() / weight.sum(),
        )

    @property
    def views(self):
        return [slice(a, b) for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]


def _start(problem, start):
    """The labels a start begins with: given, or those of one k-means with this seed."""
    if isinstance(start, np.ndarray):
        return start
    means = KMeans(problem.k, n_init=1, random_state=start)
    return means.fit_predict(problem.X, sample_weight=problem.weight).astype(np.intp)


def _race(problem, starts, run_each):
    """The starts at their end. Equal partitions are one start, before the first step and again after some.

    ``run_each(work, items)`` is the list of ``work(item)``, by threads or not.
    """
    labels = run_each(lambda start: _start(problem, start), starts)
    runs = [_Run(problem, one.copy()) for one in _distinct(labels, lambda one: one)]
    runs = run_each(lambda run: run.until(max(problem.tol, _START_TOL)), runs)
    runs = _distinct(sorted(runs, key=lambda run: run.path[-1]), lambda run: run.labels)
    return run_each(lambda run: run.until(problem.tol), runs)


def _distinct(things, labels_of):
    """Of every partition, however its clusters are numbered, the first thing."""
    known = {}
    for thing in things:
        _, first, number = np.unique(labels_of(thing), return_index=True, return_inverse=True)
        known.setdefault(first.argsort().argsort()[number].astype(np.int32).tobytes(), thing)
    return list(known.values())


class _Run:
    """The state of one start: labels, projections, representations, weights."""

    def __init__(self, problem, labels, H=None):
        self.problem, self.labels = problem, labels
        n, D, P = len(labels), problem.D, problem.n_latent
        self.alpha = 1.0 / P
        self.beta = np.full(P, 1.0 / P)
        self.H = np.zeros((problem.X.shape[1], D)) if H is None else H.copy()
        for view in problem.views if H is None else ():
            for at in problem.spaces:
                d = min(view.stop - view.start, at.stop - at.start)
                self.H[view.start + np.arange(d), at.start + np.arange(d)] = 1.0
        self.Z = np.empty((n, D))
        self.path = []

    def until(self, tol):
        """Step, three times or more, until the objective changes by less than ``tol``, relatively."""
        path = self.path
        while len(path) < self.problem.max_iter:
            if len(path) > 2 and abs(path[-1] - path[-2]) <= tol * abs(path[-1]):
                break
            self.step()
        return self

    def step(self):
        problem = self.problem
        self._representations()
        inner = self._projections()
        norms = self._labels()
        terms = np.array(
            [
                (self.mass * self.squares[p]).sum() - np.square(self.sums[at]).sum()
                for p, at in enumerate(problem.spaces)
            ]
        )
        if problem.rule != "equal":
            s = np.maximum(problem.lam * terms, np.finfo(float).tiny)
            share = 1.0 / s if problem.rule == "exact" else 1.0 / np.sqrt(s)
            self.beta = share / share.sum()
        self.view_residuals = problem.view_norms[None, :] - 2 * inner + norms
        self.path.append(
            float(self.alpha**2 * self.view_residuals.sum() + problem.lam * (self.beta**2 * terms).sum())
        )

    def _representations(self):
        """Z given labels and projections, for all samples at once."""
        problem = self.problem
        np.dot(problem.X, self.H, out=self.Z)  # Σ_v X_v H_v
        mass = np.bincount(self.labels, weights=problem.weight, minlength=problem.k)
        shrink_to_means(
            self.Z, self.labels, problem.weight, problem.n_seen, mass, problem.space_edges,
            self.alpha**2, problem.lam * self.beta**2,
        )  # fmt: skip

    def _projections(self):
        """H given Z: an orthogonal Procrustes problem a view and representation; returns ⟨X_v H, Z⟩."""
        problem = self.problem
        weighted = self.Z if np.all(problem.weight == 1.0) else self.Z * problem.weight[:, None]
        T = np.dot(problem.X.T, weighted)  # not @, which holds the threads of other starts
        inner = np.empty((problem.n_latent, len(problem.edges) - 1))
        for v, view in enumerate(problem.views):
            for p, at in enumerate(problem.spaces):
                U, singular, Wt = linalg.svd(T[view, at], full_matrices=False, check_finite=False)
                self.H[view, at] = np.dot(U, Wt)
                inner[p, v] = singular.sum()
        return inner

    def _labels(self):
        """Move samples until none gains; returns ‖Z_p‖² over the samples that have each view."""
        problem = self.problem
        W = self.Z
        if problem.rule != "equal":  # a common factor moves nobody
            widths = [at.stop - at.start for at in problem.spaces]
            W = self.Z * np.repeat(self.beta, widths)
        totals = cluster_totals(W, problem.weight, self.labels, problem.k)
        for _ in range(_MAX_PASSES):
            if sum_pairwise_pass(W, problem.weight, self.labels, *totals) == 0:
                break
        self.mass = np.bincount(self.labels, weights=problem.weight, minlength=problem.k)
        self.sums, self.squares, norms = space_totals(
            self.Z, problem.weight, self.labels, problem.k, problem.space_edges, problem.seen
        )
        return norms

    def state(self):
        """What predictions need."""
        return {
            "alpha": self.alpha, "beta": self.beta, "lam": self.problem.lam, "sums": self.sums,
            "squares": self.squares, "mass": self.mass,
        }  # fmt: skip
