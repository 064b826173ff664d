"""Fuzzy c-means and FANNY: the size-exponent-one members of the family, under the names users know."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.cluster import kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from statkit._unchanged import unchanged_on_error
from statkit.cluster._fuzzy_kernels import fuzzy_pass
from statkit.cluster._pac_base import SoftClusterer, check_weight, labels_of, state_of
from statkit.cluster._pac_critical import exponent_of
from statkit.cluster._pac_descent import power_of
from statkit.cluster._pac_fit import AnnealedClusterer
from statkit.cluster._pac_linear import DenseRows
from statkit.cluster._pac_state import Predictor
from statkit.cluster.cluster_scores import partition_coefficient

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


class FuzzyCMeans(SoftClusterer):
    """Fuzzy c-means: soft k-means with memberships ``∝ |x - c_k|^(-2 / (m - 1))``.

    The usual m = 2 collapses in high dimension: every membership is 1/K and all centres coincide. The default
    stays below the exponent at which that happens; m = 2 remains available, with a warning.

    Parameters
    ----------
    n_clusters : int, default=8
    m : float or "auto", default="auto"
        Weight exponent, above 1. "auto" is ``1 + 0.1 (min(m*, 3) - 1)``, m* the critical exponent, and 1.2
        where there is no bound.
    init : {"k-means++", "random"} or array of shape (n_clusters, n_features), default="k-means++"
        Starting centres.
    n_init : int, default=1
        Number of starts; the one of lowest objective is kept.
    max_iter : int, default=300
    tol : float, default=1e-6
        Stop when the objective falls by less than this part of itself.
    random_state : int, RandomState or None, default=None
    n_jobs : int or None, default=None
        Threads.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
    labels_ : ndarray of shape (n_samples,)
    probabilities_ : ndarray of shape (n_samples, n_clusters)
    objective_ : float
        Σ_i w_i Σ_k p_ik^m |x_i - c_k|².
    objective_path_ : list of float
    m_, m_critical_ : float
    partition_coefficient_ : float
        Dunn's coefficient.
    n_iter_ : int
    converged_ : bool
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    References
    ----------
    Bezdek (1981). Pattern Recognition with Fuzzy Objective Function Algorithms.
    Yu, Cheng and Huang (2004). Analysis of the weighting exponent in the FCM.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from statkit.cluster import FuzzyCMeans
    >>> fcm = FuzzyCMeans(3, m=2.0, tol=1e-12, random_state=0).fit(load_iris().data)
    >>> round(fcm.objective_, 6)
    60.505711
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "m": [StrOptions({"auto"}), Interval(Real, 1, None, closed="neither")],
        "init": [StrOptions({"k-means++", "random"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        m: float | Literal["auto"] = "auto",
        init: Literal["k-means++", "random"] | ArrayLike = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-6,
        random_state: Seed = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.m = m
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centres by alternating memberships and weighted means.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
        """
        with unchanged_on_error(self):
            X = self._check_rows(X, reset=True)
            weight = check_weight(sample_weight, X, self.n_clusters)
            rng = check_random_state(self.random_state)
            rows = DenseRows(X, weight, False)
            if rows.is_constant():
                warnings.warn(
                    "all objects coincide: every probability is 1 / n_clusters", UserWarning, stacklevel=2
                )
                m_critical = 1.0
            else:
                m_critical = exponent_of(rows.eigenvalues(1.0, 1, rng)[0])
            m = self._exponent(m_critical)
            if 1.0 < m_critical <= m and self.n_clusters > 1:
                warnings.warn(
                    f"m = {m:.6g} is not below the critical exponent {m_critical:.6g} of these data: memberships "
                    "are (near) 1 / n_clusters and the centres coincide; lower m, or use m='auto'",
                    UserWarning,
                    stacklevel=2,
                )
            floor = max(1e-22 * rows.mean_distance, 1e-290)
            runs = [
                self._descend(rows, self._centres(X, rows, rng), m, floor) for _ in range(self._n_starts())
            ]
            centres, path, converged = min(runs, key=lambda run: run[1][-1])
            if not converged:
                warnings.warn(
                    f"the objective still falls after max_iter={self.max_iter} passes: raise max_iter or tol",
                    ConvergenceWarning,
                    stacklevel=2,
                )
            self._predictor = CentrePredictor(centres, rows.shift, m, floor)
            self.m_, self.m_critical_ = m, m_critical
            self.cluster_centers_ = centres + rows.shift
            self.probabilities_ = self._predictor.probabilities(X, self.n_jobs)
            self.labels_ = labels_of(self.probabilities_, self.n_clusters)
            self.objective_, self.objective_path_ = path[-1], path
            self.n_iter_, self.converged_ = len(path), converged
            self.partition_coefficient_ = partition_coefficient(self.probabilities_, sample_weight=weight)
            return self

    def _exponent(self, m_critical):
        if self.m != "auto":
            if not np.isfinite(self.m):
                raise ValueError(f"m must be finite, got {self.m}")
            return float(self.m)
        return 1.2 if np.isinf(m_critical) else max(1.0 + 0.1 * (min(m_critical, 3.0) - 1.0), 1.0 + 1e-9)

    def _n_starts(self):
        return self.n_init if isinstance(self.init, str) else 1

    def _centres(self, X, rows, rng):
        K = self.n_clusters
        if not isinstance(self.init, str):
            C = np.array(self.init, dtype=float)
            if C.shape != (K, X.shape[1]):
                raise ValueError(
                    f"init must have shape (n_clusters, n_features) = {(K, X.shape[1])}, got {C.shape}"
                )
            if not np.isfinite(C).all():
                raise ValueError("init has values that are not finite")
        elif self.init == "random":
            C = X[rng.choice(np.flatnonzero(rows.weight > 0), K, replace=False)]
        else:
            C, _ = kmeans_plusplus(X, K, sample_weight=rows.weight, random_state=rng)
        return np.ascontiguousarray(C - rows.shift, dtype=float)

    def _descend(self, rows, C, m, floor):
        """Alternate until the objective stands still: (centres, objective path, converged)."""
        path = []
        n = rows.n
        pieces = max(1, min(effective_n_jobs(self.n_jobs), n // 10_000))
        cuts = np.linspace(0, n, pieces + 1).astype(int)
        nothing = np.empty((0, 0))

        def piece(start, stop, C):
            mass, first = np.zeros(len(C)), np.zeros(C.shape)
            objective = fuzzy_pass(
                rows.X, start, stop, rows.shift, rows.weight, C, m, power_of(m), floor, mass, first, nothing
            )
            return objective, mass, first

        with Parallel(n_jobs=pieces, prefer="threads") as pool:
            for _ in range(self.max_iter):
                parts = pool(delayed(piece)(a, b, C) for a, b in pairwise(cuts))
                path.append(sum(part[0] for part in parts))
                mass, first = sum(part[1] for part in parts), sum(part[2] for part in parts)
                if len(path) > 1 and path[-2] - path[-1] <= self.tol * path[-2]:
                    return C, path, True
                C = np.where(mass[:, None] > 0, first / np.where(mass > 0, mass, 1.0)[:, None], C)
        return C, path, False

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Minus the objective of the rows of ``X`` per unit of weight."""
        self._check_fitted()
        X = self._check_rows(X, reset=False)
        weight = check_weight(sample_weight, X, 1)
        P = self._predictor.probabilities(X, self.n_jobs)
        D = self._predictor.mean_distances(X)
        return -float(weight @ (P**self.m_ * D).sum(axis=1)) / float(weight.sum())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    def _check_rows(self, X, reset):
        if sparse.issparse(X):
            raise TypeError(
                "FuzzyCMeans needs dense rows: for sparse ones use PAC(size_exponent=1), the same objective"
            )
        return super()._check_rows(X, reset)


class CentrePredictor(Predictor):
    """Memberships from distances to centres."""

    def __init__(self, C, shift, m, floor):
        self.C, self.shift, self.floor = C, shift, floor
        self.m, self.s, self.a, self.noise, self.scale = m, power_of(m), 1.0, np.inf, 1.0
        self.S, self.A = np.ones(len(C)), np.zeros(len(C))

    def distances(self, X, start, stop):
        """|x - c_k|² of rows ``start:stop``."""
        X = X[start:stop] - self.shift
        out = np.empty((len(X), len(self.C)))
        for k, c in enumerate(self.C):
            gap = X - c
            out[:, k] = np.einsum("ij,ij->i", gap, gap)
        return out


class Fanny(AnnealedClusterer):
    """FANNY: fuzzy clustering of distances, with R's objective and coefficients.

    The result is a minimum of ``Σ_k Σ_ij p_ik^m p_jk^m d_ij / (2 Σ_j p_jk^m)``, as in R's ``cluster::fanny``.

    Parameters
    ----------
    n_clusters : int, default=8
    m : float or "auto", default=2.0
        R's ``memb.exp``.
    metric : str or callable, default="euclidean"
        Any metric of :func:`sklearn.metrics.pairwise_distances`, or "precomputed".
    init : {"anneal", "uniform", "k-means++", "random"} or array of shape (n_samples, n_clusters)
        "k-means++" by default.
    n_init : int, default=1
    max_iter : int, default=500
    tol : float, default=1e-8
        On the mean change of an object's memberships in a sweep.
    metric_params : dict or None, default=None
    max_memory : int, default=2**30
    random_state : int, RandomState or None, default=None
    n_jobs : int or None, default=None
    verbose : int, default=0

    Attributes
    ----------
    labels_, probabilities_, m_, m_critical_, objective_path_, n_iter_, converged_, cluster_weights_
        As for :class:`PAC`; ``objective_path_`` is twice R's objective.
    objective_ : float
        R's objective.
    coeff_ : tuple of float
        Dunn's partition coefficient, and the same from 0 (uniform) to 1 (hard).

    References
    ----------
    Kaufman and Rousseeuw (1990). Finding Groups in Data. Wiley.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from statkit.cluster import Fanny
    >>> fanny = Fanny(3, m=1.5, random_state=0).fit(load_iris().data)
    >>> round(fanny.objective_, 5)
    61.72513
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "m": [StrOptions({"auto"}), Interval(Real, 1, None, closed="left")],
        "metric": [str, callable],
        "init": [StrOptions({"anneal", "uniform", "k-means++", "random"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "metric_params": [dict, None],
        "max_memory": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    size_exponent = 1.0
    order = "random"

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        m: float | Literal["auto"] = 2.0,
        metric: str | Callable[..., Any] = "euclidean",
        init: Literal["anneal", "uniform", "k-means++", "random"] | ArrayLike = "k-means++",
        n_init: int = 1,
        max_iter: int = 500,
        tol: float = 1e-8,
        metric_params: dict[str, Any] | None = None,
        max_memory: int = 2**30,
        random_state: Seed = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.m = m
        self.metric = metric
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.metric_params = metric_params
        self.max_memory = max_memory
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or distances (n_samples, n_samples) with ``metric="precomputed"``.
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
        """
        with unchanged_on_error(self):
            X = self._check_rows(X, reset=True)
            weight = check_weight(sample_weight, X, self.n_clusters)
            rng = check_random_state(self.random_state)
            state = state_of(X, weight, self.metric, self.metric_params, self.max_memory)
            self._fit_state(state, X, rng)
            self.objective_ *= 0.5
            P = self.probabilities_
            self.coeff_ = (
                partition_coefficient(P, sample_weight=weight),
                partition_coefficient(P, normalized=True, sample_weight=weight),
            )
            return self
