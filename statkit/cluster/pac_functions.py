"""The bare engine and what it is made of, as functions."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils import Bunch, check_array, check_random_state

from statkit.cluster._pac_assignment import assign_balanced
from statkit.cluster._pac_base import LINEAR, check_distances, check_weight, state_of
from statkit.cluster._pac_critical import exponent_of, pairs_eigenvalues
from statkit.cluster._pac_descent import Order, Path, power_of, settle
from statkit.cluster._pac_linear import unit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


def _state(X, D, metric, sample_weight):
    if (X is None) == (D is None):
        raise ValueError("give either rows X or distances D")
    if D is not None:
        X, metric = check_array(D, dtype=[np.float64, np.float32]), "precomputed"
    else:
        accept = "csr" if metric in LINEAR else False
        X = check_array(X, dtype=[np.float64, np.float32], accept_sparse=accept, order="C")
    weight = check_weight(sample_weight, X, 1)
    return state_of(X, weight, metric, None, 2**30)


def _partition(P, n, name):
    P = check_array(P, dtype=np.float64, order="C", copy=True)
    if P.shape[0] != n:
        raise ValueError(f"{name} has {P.shape[0]} rows for {n} objects")
    bad = np.flatnonzero((P < 0).any(axis=1) | (P.sum(axis=1) <= 0))
    if bad.size:
        raise ValueError(f"row {bad[0]} of {name} is not a probability vector: {P[bad[0]]}")
    return P / P.sum(axis=1, keepdims=True)


def _exponent(m):
    if not isinstance(m, Real) or not np.isfinite(m) or m < 1:
        raise ValueError(f"m must be a number of at least 1 (1 is the hard version), got {m!r}")
    return float(m)


def probability_aggregation(
    X: Any = None,
    D: ArrayLike | None = None,
    *,
    P0: ArrayLike,
    m: float,
    power: float | None = None,
    size_exponent: float = 0.0,
    metric: str | Callable[..., Any] = "sqeuclidean",
    order: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    max_sweeps: int = 100,
    tol: float = 1e-3,
    min_sweeps: int = 12,
) -> Any:
    """Bring given probabilities to a minimum of the objective by Gauss-Seidel sweeps.

    The bare engine of :class:`PAC`, for studying it, for starts of one's own, and for reproducing the
    published code.

    Parameters
    ----------
    X : array-like or CSR matrix of shape (n_samples, n_features), optional
        Rows; give these or ``D``.
    D : array-like of shape (n_samples, n_samples), optional
        Distances: symmetric, non-negative, zero on the diagonal.
    P0 : array-like of shape (n_samples, n_clusters)
        Start; rows are brought to sum 1. Columns that are equal stay equal.
    m : float
        Weight exponent, above 1; 1 is the hard version.
    power : float, optional
        The s of ``p ∝ cost^-s``; by default ``1 / (m - 1)``. The published code truncates it to an integer.
    size_exponent : float in [0, 1], default=0.0
        0 is PAC, 1 is FANNY and fuzzy c-means.
    metric : str or callable, default="sqeuclidean"
        For ``X``.
    order : array-like of shape (n_samples,), optional
        Order in which every sweep visits the objects; by default as they stand.
    sample_weight : array-like of shape (n_samples,), optional
    max_sweeps : int, default=100
    tol : float, default=1e-3
        Stop when the mean over objects of ``Σ_k |change of p|`` in a sweep is below.
    min_sweeps : int, default=12
        Sweeps before ``tol`` is looked at.

    Returns
    -------
    P : ndarray of shape (n_samples, n_clusters)
    history : Bunch
        ``objective`` and ``change`` after each sweep, ``n_iter``, ``converged``.

    References
    ----------
    Yan, Lu and Yan (2024). Deep Online Probability Aggregation Clustering. ECCV.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.cluster import probability_aggregation
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> first = np.array([0.6, 0.55, 0.5, 0.5, 0.45, 0.4])
    >>> P, history = probability_aggregation(X, P0=np.column_stack([first, 1 - first]), m=2.0, tol=1e-10)
    >>> P[:, 0].round(4)
    array([0.9864, 0.9933, 0.9798, 0.0202, 0.0067, 0.0136])
    """
    state = _state(X, D, metric, sample_weight)
    m = _exponent(m)
    if not 0.0 <= size_exponent <= 1.0:
        raise ValueError(f"size_exponent must lie in [0, 1], got {size_exponent}")
    P = _partition(P0, state.n, "P0")
    if order is None:
        order = np.arange(state.n)
    elif sorted(np.asarray(order).tolist()) != list(range(state.n)):
        raise ValueError(f"order must visit each of the {state.n} objects once")
    if m == 1.0:
        P = np.eye(P.shape[1])[np.argmax(P, axis=1)]
    state.start(P, m)
    path = Path()
    s = power_of(m) if power is None else float(power)
    converged, n_iter = settle(
        state, m, s, float(size_exponent), Order(state.n, order, None), path,
        tol=tol, max_sweeps=max_sweeps, min_sweeps=min_sweeps, m_critical=1.0,
    )  # fmt: skip
    return state.P, Bunch(objective=path.objective, change=path.change, n_iter=n_iter, converged=converged)


def pac_objective(
    P: ArrayLike,
    X: Any = None,
    D: ArrayLike | None = None,
    *,
    m: float,
    size_exponent: float = 0.0,
    metric: str | Callable[..., Any] = "sqeuclidean",
    sample_weight: ArrayLike | None = None,
) -> float:
    """Σ_k A_k / S_k^a, with A_k = Σ_ij w_i w_j q_ik q_jk d_ij, S_k = Σ_i w_i q_ik and q = p^m.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_clusters)
    X : array-like or CSR matrix of shape (n_samples, n_features), optional
    D : array-like of shape (n_samples, n_samples), optional
    m : float
    size_exponent : float in [0, 1], default=0.0
    metric : str or callable, default="sqeuclidean"
    sample_weight : array-like of shape (n_samples,), optional

    Returns
    -------
    float
        With ``size_exponent=1``, twice the objective of FANNY (any distance) and of fuzzy c-means (squared
        Euclidean).

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.cluster import pac_objective
    >>> float(pac_objective([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[0.0], [2.0], [9.0]], m=2.0))
    8.0
    """
    state = _state(X, D, metric, sample_weight)
    state.start(_partition(P, state.n, "P"), _exponent(m))
    return state.objective(float(size_exponent))


def critical_exponent(
    X: Any = None,
    D: ArrayLike | None = None,
    metric: str | Callable[..., Any] = "sqeuclidean",
    *,
    size_exponent: float = 0.0,
    exact: bool = False,
    sample_weight: ArrayLike | None = None,
    random_state: Seed = 0,
) -> float:
    """The weight exponent above which the only stable answer is 1/K for every object.

    Fuzzy clustering "does not work in high dimension" because the usual m = 2 lies above it there.

    Parameters
    ----------
    X : array-like or CSR matrix of shape (n_samples, n_features), optional
    D : array-like of shape (n_samples, n_samples), optional
    metric : str or callable, default="sqeuclidean"
    size_exponent : float in [0, 1], default=0.0
        1 is fuzzy c-means.
    exact : bool, default=False
        Linear metrics: the eigenproblem of all pairs instead of the one of the features, which leaves out a
        part that matters in very low dimension only (iris: 4.72 against 4.28).
    sample_weight : array-like of shape (n_samples,), optional
    random_state : int, RandomState or None, default=0
        Of the subsample beyond 20,000 rows (5,000 objects for distances), and of the start of the iteration.

    Returns
    -------
    float
        inf where there is no bound.

    References
    ----------
    Yu, Cheng and Huang (2004). Analysis of the weighting exponent in the FCM.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from statkit.cluster import critical_exponent
    >>> round(critical_exponent(load_digits().data), 3)
    1.173
    """
    state = _state(X, D, metric, sample_weight)
    if state.is_constant():
        return 1.0
    rng = check_random_state(random_state)
    if exact and D is None and metric in LINEAR:
        unit = metric == "cosine"
        rows, extra = (unit_rows(state.X)[0], None) if unit else (state.X, None)
        rows = rows - state.shift if isinstance(rows, np.ndarray) else rows
        square = np.asarray(rows.multiply(rows).sum(axis=1)).ravel() if not isinstance(
            rows, np.ndarray
        ) else np.einsum("ij,ij->i", rows, rows)  # fmt: skip
        extra = (square == 0).astype(float) if unit else np.zeros(state.n)
        square = square + extra

        def times_D(v):
            return square * v.sum() + square @ v - 2.0 * (rows @ (rows.T @ v)) - 2.0 * extra * v

        values = pairs_eigenvalues(
            times_D, state.n, state.weight, size_exponent, 1, rng.standard_normal(state.n)
        )
    else:
        values = state.eigenvalues(float(size_exponent), 1, rng)
    return float(exponent_of(values[0]))


def n_clusters_spectrum(
    X: Any,
    metric: Literal["sqeuclidean", "cosine"] = "sqeuclidean",
    *,
    max_clusters: int = 30,
    n_permutations: int = 5,
    random_state: Seed = 0,
) -> Any:
    """A number of clusters from the spectrum of the first sweep: directions stronger than chance, plus one.

    Each direction along which almost uniform memberships grow faster than in data whose columns are permuted
    independently can tell one more cluster apart. A guide, not a test: clusters that differ along one line
    count once, a direction that is weak beside the others is missed (permuted columns keep all of the variance), and
    strongly dependent columns count without clusters.

    Parameters
    ----------
    X : array-like or CSR matrix of shape (n_samples, n_features)
    metric : {"sqeuclidean", "cosine"}, default="sqeuclidean"
    max_clusters : int, default=30
    n_permutations : int, default=5
    random_state : int, RandomState or None, default=0

    Returns
    -------
    n_clusters : int
    spectrum : Bunch
        ``eigenvalues`` of the data, descending, and the ``level`` that those of permuted columns reach.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from statkit.cluster import n_clusters_spectrum
    >>> X, _ = make_blobs(1000, 20, centers=6, random_state=3)
    >>> n_clusters_spectrum(X)[0]
    6
    """
    if metric not in LINEAR:
        raise ValueError(f"metric must be one of {LINEAR}, got {metric!r}")
    rng = check_random_state(random_state)
    state = _state(X, None, metric, None)
    k = min(max_clusters, state.X.shape[1], state.n - 1)
    values = np.asarray(state.eigenvalues(0.0, k, rng))
    rows = np.sort(rng.choice(state.n, min(state.n, 5_000), replace=False))
    sample = state.X[rows] if isinstance(state.X, np.ndarray) else state.X[rows].toarray()
    level = np.zeros(k)
    for _ in range(n_permutations):
        permuted = np.column_stack([rng.permutation(column) for column in sample.T])
        permuted = _state(np.ascontiguousarray(permuted), None, metric, None)
        level = np.maximum(level, permuted.eigenvalues(0.0, k, rng)[:k])
    above = values > level
    n_clusters = int(k if above.all() else np.argmin(above)) + 1
    return n_clusters, Bunch(eigenvalues=values, level=level)


def kernel_to_distance(K: ArrayLike) -> Any:
    """Squared distances in the space of a kernel: d_ij = k_ii + k_jj - 2 k_ij.

    Parameters
    ----------
    K : array-like of shape (n_samples, n_samples)
        A symmetric positive semi-definite kernel matrix.

    Returns
    -------
    ndarray of shape (n_samples, n_samples)
        Symmetric, non-negative, zero diagonal; for ``PAC(metric="precomputed")``.

    Raises
    ------
    ValueError
        Not square, or not a kernel: some squared distance is clearly negative.

    Examples
    --------
    >>> from statkit.cluster import kernel_to_distance
    >>> kernel_to_distance([[1.0, 0.5], [0.5, 1.0]])
    array([[0., 1.],
           [1., 0.]])
    """
    K = check_array(K, dtype=np.float64)
    if K.shape[0] != K.shape[1]:
        raise ValueError(f"a kernel matrix is square, got shape {K.shape}")
    diagonal = np.diag(K)
    D = diagonal[:, None] + diagonal[None, :] - 2.0 * K
    if D.size and D.min() < -1e-8 * max(float(np.abs(K).max()), 1e-300):
        i, j = np.unravel_index(np.argmin(D), D.shape)
        raise ValueError(
            f"not a positive semi-definite kernel: k[{i},{i}] + k[{j},{j}] - 2 k[{i},{j}] is {D[i, j]:.6g}"
        )
    return check_distances(np.maximum(D, 0.0))


def balanced_assignment(cost: ArrayLike, capacity: int | None = None) -> Any:
    """Labels of least total cost with at most ``capacity`` objects in each cluster, exactly.

    Parameters
    ----------
    cost : array-like of shape (n_samples, n_clusters)
    capacity : int, optional
        By default ``ceil(n_samples / n_clusters)``.

    Returns
    -------
    ndarray of shape (n_samples,), int32

    Notes
    -----
    Successive shortest paths between clusters: memory n K, time n K for each object over capacity.

    Examples
    --------
    >>> from statkit.cluster import balanced_assignment
    >>> balanced_assignment([[0.0, 1.0], [0.0, 5.0], [0.0, 2.0], [0.0, 9.0]])
    array([1, 0, 1, 0], dtype=int32)
    """
    cost = check_array(cost, dtype=np.float64, order="C")
    n, K = cost.shape
    capacity = -(-n // K) if capacity is None else int(capacity)
    if capacity * K < n:
        raise ValueError(f"{K} clusters of at most {capacity} objects cannot hold {n}")
    return assign_balanced(cost, capacity)
