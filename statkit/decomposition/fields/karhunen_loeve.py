"""Karhunen–Loève modes of a given kernel: the exact reference for the sparse operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.linalg import eigh

from statkit.decomposition.fields.covariance import correlation_operator
from statkit.decomposition.fields.kernel import Kernel
from statkit.decomposition.fields.lengths import Lengths, read_lengths
from statkit.decomposition.fields.modes import check_variance, solve_modes
from statkit.decomposition.meshes.placement import interpolate_scattered, place
from statkit.decomposition.meshes.structure import Structure, count_locations, resolve_structure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


_DENSE = 6_000  # locations whose covariance is stored


@dataclass(frozen=True)
class KarhunenLoeve:
    """Exact modes.

    Attributes
    ----------
    components : ndarray of shape (k, p)
        With Σ_j w_j φ_j² = 1.
    eigenvalues : ndarray of shape (k,)
        Descending.
    weights : ndarray of shape (p,)
    """

    components: np.ndarray
    eigenvalues: np.ndarray
    weights: np.ndarray
    _extend: Callable[[Any], np.ndarray] | None = None

    def at(self, coordinates) -> np.ndarray:
        """Mode values (k, m) at new coordinates: λ⁻¹ Σ_j w_j C(x, x_j) φ_j."""
        if self._extend is None:
            raise ValueError("modes of a graph are known at its nodes only")
        return self._extend(coordinates)


def karhunen_loeve(
    kernel: Any,
    correlation_length: float | ArrayLike = 1.0,
    variance: float | ArrayLike = 1.0,
    *,
    coordinates: Any = None,
    shape: Any = None,
    graph: Any = None,
    mesh: Any = None,
    metric: str = "euclidean",
    radius: float = 1.0,
    n_components: int = 10,
    weights: Literal["area"] | ArrayLike | None = None,
    method: str = "auto",
    n_landmarks: int = 1_000,
    random_state: Seed = None,
) -> KarhunenLoeve:
    """Modes of the covariance A(x) A(y) ρ(x - y) over the given locations.

    Parameters
    ----------
    kernel : str, ("matern", nu) or callable
        A callable takes positions (m, D) and (n, D) and returns the correlations (m, n); then
        `correlation_length` is not used.
    correlation_length : float or array-like, default=1.0
        See `schrodinger_modes`.
    variance : float or array-like of shape (p,), default=1.0
    coordinates, shape, graph, mesh, metric, radius
        Where the locations are: see `SchrodingerPCA`.
    n_components : int, default=10
    weights : None, "area" or array-like of shape (p,), default=None
        None is 1 (the cosine of the latitude on a "latlon" grid).
    method : {"auto", "fft", "dense", "nystrom"}, default="auto"
        "fft" (grids of equal cells): Lanczos with products by FFT. "dense": all eigenpairs of a stored
        covariance. "nystrom": the same over `n_landmarks` locations, extended to the others.
    n_landmarks : int, default=1_000
    random_state : int or None, default=None
        For the landmarks.

    Returns
    -------
    KarhunenLoeve

    Examples
    --------
    >>> from statkit.decomposition import karhunen_loeve
    >>> exact = karhunen_loeve("gaussian", 4.0, shape=(30, 30), n_components=3)
    >>> bool(exact.eigenvalues[0] < 2 * 3.141593 * 4.0**2)
    True
    """
    if method not in ("auto", "fft", "dense", "nystrom"):
        raise ValueError(f"method must be auto, fft, dense or nystrom, got {method!r}")
    values = np.asarray(variance, dtype=float).ravel()
    p = len(values) if np.ndim(variance) else count_locations(coordinates, shape, graph, mesh)
    values = np.broadcast_to(values, (p,)).copy()
    check_variance(values)
    if np.isnan(values).any():
        raise ValueError("variance contains NaN: leave these locations out")
    if not 1 <= n_components <= p:
        raise ValueError(f"n_components must be between 1 and the {p} locations, got {n_components}")
    structure = resolve_structure(
        p, coordinates=coordinates, shape=shape, graph=graph, mesh=mesh, metric=metric, radius=radius
    )
    own = callable(kernel)
    rho = Kernel.of("gaussian" if own else kernel)
    lengths = structure.mirrored(read_lengths(correlation_length, max(structure.dimension, 1), p))
    uniform = structure.kind == "grid" and structure.mesh.uniform and not lengths.varying and not own
    if method == "auto":
        method = "fft" if uniform else "dense" if p <= _DENSE else "nystrom"
    if method == "fft":
        if not uniform:
            raise ValueError(
                'method="fft" needs a grid of equal cells, one correlation length and a named kernel'
            )
        placement = place(structure, lengths, weights, mesh="locations")
        modes = solve_modes(placement, values, lengths, rho, n_components, solver="fft")
        components, eigenvalues, w = modes.components, modes.eigenvalues, placement.weights
        chosen = np.arange(p)
    else:
        w = _weights(structure, weights)
        chosen = np.arange(p)
        if method == "nystrom" and p > n_landmarks:
            chosen = np.sort(np.random.default_rng(random_state).choice(p, n_landmarks, replace=False))
        if len(chosen) > 4 * _DENSE:
            raise ValueError(f'{p} locations are too many for a stored covariance: use method="nystrom"')
        matrix = correlation_matrix(structure, lengths, rho, kernel if own else None, chosen)
        share = w[chosen] * (w.sum() / w[chosen].sum())
        amplitude = np.sqrt(values[chosen] * share)
        k = min(n_components, len(chosen))
        size = len(chosen)
        eigenvalues, vectors = eigh(
            amplitude[:, None] * matrix * amplitude, subset_by_index=(size - k, size - 1)
        )
        eigenvalues, vectors = np.maximum(eigenvalues[::-1], 0), vectors[:, ::-1]
        components = (vectors / np.sqrt(share)[:, None]).T
        if len(chosen) < p:
            loading = (share * np.sqrt(values[chosen]) * components).T
            components = _extension(
                structure, lengths, rho, kernel if own else None, structure.points, chosen, loading
            ).T * np.sqrt(values)
            components /= np.maximum(eigenvalues, 1e-300)[:, None]
            components /= np.sqrt(np.sum(w * components**2, axis=1))[:, None]
    top = components[np.arange(len(components)), np.argmax(np.abs(components), axis=1)]
    components = components * np.where(top < 0, -1.0, 1.0)[:, None]
    extend = None
    if structure.kind != "graph":

        def extend(new):
            placed = structure.placed(new)
            amplitude = np.sqrt(np.maximum(interpolate_scattered(structure, values, coordinates=placed), 0))
            loading = (w * np.sqrt(values) * components).T
            found = _extension(
                structure,
                lengths,
                rho,
                kernel if own else None,
                structure.positions(placed),
                np.arange(p),
                loading,
            )
            return (found * amplitude[:, None]).T / np.maximum(eigenvalues, 1e-300)[:, None]

    return KarhunenLoeve(components, eigenvalues, w, extend)


def _weights(structure: Structure, weights) -> np.ndarray:
    p = structure.n_locations
    if structure.kind != "points":
        lengths = Lengths(np.asarray(1.0), max(structure.dimension, 1), False)
        return place(
            structure, lengths, weights, mesh="locations" if structure.kind == "grid" else "auto"
        ).weights
    if weights is None:
        return np.ones(p)
    if isinstance(weights, str):
        if structure.metric == "sphere":
            raise ValueError(
                'weights="area" needs a grid or a mesh on the sphere: pass the areas of the stations'
            )
        lengths = Lengths(np.asarray(structure.typical_spacing() ** 2), structure.dimension, False)
        return place(structure, lengths, weights, mesh="locations").weights
    w = np.asarray(weights, dtype=float)
    if w.shape != (p,) or np.any(~(w > 0)):
        raise ValueError(f"weights must be {p} positive numbers")
    return w


def correlation_matrix(structure, lengths, rho, own, rows) -> np.ndarray:
    """Correlation matrix of some locations."""
    if own is not None:
        return np.asarray(own(structure.points[rows], structure.points[rows]), dtype=float)
    if structure.kind == "graph":
        return (correlation_operator(structure.mesh, lengths, rho) @ np.eye(structure.n_locations))[
            np.ix_(rows, rows)
        ]
    if lengths.varying:
        from statkit.decomposition.fields.covariance import PairCorrelation

        part = lengths.at(rows)
        d = structure.points.shape[1]
        return PairCorrelation(structure.points[rows], Lengths(part.sigma, d, True), rho) @ np.eye(len(rows))
    return rho.correlation(_distances(structure.points[rows], structure.points[rows], lengths))


def _distances(a, b, lengths: Lengths) -> np.ndarray:
    from scipy.spatial.distance import cdist

    if lengths.isotropic:
        return cdist(a, b) / np.sqrt(float(lengths.sigma))
    factor = np.linalg.cholesky(lengths.sigma)
    return cdist(np.linalg.solve(factor, a.T).T, np.linalg.solve(factor, b.T).T)


def _extension(structure, lengths, rho, own, positions, chosen, loading, chunk: int = 2_000) -> np.ndarray:
    """Correlations of positions with the chosen locations, times a loading, in chunks."""
    if lengths.varying:
        raise ValueError("modes of a varying correlation length are known at their own locations only")
    out = np.empty((len(positions), loading.shape[1]))
    nodes = structure.points[chosen]
    for start in range(0, len(positions), chunk):
        part = positions[start : start + chunk]
        rows = own(part, nodes) if own is not None else rho.correlation(_distances(part, nodes, lengths))
        out[start : start + chunk] = rows @ loading
    return out
