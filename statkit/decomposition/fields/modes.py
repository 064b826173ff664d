"""Principal modes of a field from its variance and a correlation length: no data and no covariances."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from statkit.decomposition.fields.covariance import correlation_operator, rayleigh_ritz
from statkit.decomposition.fields.hamiltonian import EMPTY, OPERATORS, solve
from statkit.decomposition.fields.kernel import Kernel
from statkit.decomposition.fields.lengths import Lengths, read_lengths
from statkit.decomposition.meshes.placement import Placement, place
from statkit.decomposition.meshes.structure import count_locations, resolve_structure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


OVERSAMPLE = 6  # modes beyond those asked for, so that a degenerate level is not cut
SPLITTING_LIMIT = 0.2


@dataclass(frozen=True)
class FieldModes:
    """Modes of a field and the mesh they were solved on.

    Attributes
    ----------
    components : ndarray of shape (k, p)
        Mode values at the locations, with Σ_j w_j φ_j² = 1.
    eigenvalues : ndarray of shape (k,)
        Variance of each mode in the weighted metric, descending.
    energies : ndarray of shape (k,)
        Eigenvalues of the operator, ascending.
    node_modes : ndarray of shape (n, k)
        Mode values at the nodes of the mesh.
    placement : Placement
        ``placement.mesh`` has the nodes and their mass, ``placement.weights`` the weights of the locations.
    splitting_error : float
        Mean of |∇log A²|²_Σ / 24, the size of the first term that the log operator leaves out.
    """

    components: np.ndarray
    eigenvalues: np.ndarray
    energies: np.ndarray
    node_modes: np.ndarray
    placement: Placement
    splitting_error: float

    def at(self, coordinates: Any) -> np.ndarray:
        """Mode values (k, m) at new coordinates (m, d)."""
        new = self.placement.structure.placed(coordinates)
        return (self.placement.mesh.interpolator(new) @ self.node_modes).T


def schrodinger_modes(
    variance: float | ArrayLike,
    correlation_length: float | ArrayLike,
    *,
    coordinates: Any = None,
    shape: tuple[int, ...] | None = None,
    graph: Any = None,
    mesh: Any = "auto",
    metric: str = "euclidean",
    radius: float = 1.0,
    n_components: int = 10,
    operator: str = "log",
    boundary: Any = "robin",
    kernel: Any = "gaussian",
    weights: Literal["area"] | ArrayLike | None = None,
    resolution: float = 3.0,
    n_refine: int = 0,
    solver: str = "auto",
) -> FieldModes:
    """Principal modes of a field whose variance and correlation length are known.

    Where samples are few, or locations lie further apart than the field is correlated, the sample covariance
    is noise. Its leading eigenvectors are nevertheless determined by two things that few samples do tell: the
    variance at each location and one correlation length. They are the lowest eigenstates of a sparse
    Schrödinger operator, ½L - log A² with L = -∇·Σ∇ and A² the variance.

    Parameters
    ----------
    variance : float or array-like of shape (p,)
        Variance at each location; NaN takes a cell of a grid, or a node, out of the domain.
    correlation_length : float or array-like
        A number; (d,), one length an axis; (d, d), a matrix of squared lengths; (p,) or (p, d, d), one of
        them a location. In the units of the coordinates; for "latlon" and "sphere" in those of `radius`; on a
        graph ℓ²/2 is the time of the heat kernel.
    coordinates : array-like of shape (p, d), or tuple of axis vectors with `shape`, default=None
        Where the locations are: see `SchrodingerPCA`.
    shape : tuple of int, default=None
        The locations are the cells of a grid.
    graph : sparse array, networkx graph, default=None
        The locations are its nodes.
    mesh : {"auto", "locations", "grid"} or (vertices, cells), default="auto"
        Where the operator is discretised; "auto" takes a background mesh when it has fewer nodes.
    metric : {"euclidean", "latlon", "sphere"}, default="euclidean"
        "latlon" for a grid of latitudes and longitudes, "sphere" for scattered stations, in degrees.
    radius : float, default=1.0
        Radius of the sphere.
    n_components : int, default=10
        Number of modes.
    operator : {"log", "quadratic", "quadratic-sym", "resolvent"}, default="log"
        "quadratic" is the second-order operator, "quadratic-sym" the symmetrised product that its authors
        run; "resolvent" is exact in the interior for Matérn kernels with integer nu + d/2.
    boundary : {"robin", "neumann", "dirichlet", "periodic"} or tuple of them, default="robin"
        Condition at the edge of the domain. "robin" is right for a field that goes on outside of it.
    kernel : str or ("matern", nu), default="gaussian"
        "gaussian", "exponential", "whittle", "matern32", "matern52".
    weights : None, "area" or array-like of shape (p,), default=None
        Weight of each location; None is 1 (the cosine of the latitude on a "latlon" grid).
    resolution : float, default=3.0
        Nodes of a background mesh a correlation length.
    n_refine : int, default=0
        Applications of the exact covariance to the modes: 1 rotates them and corrects their eigenvalues,
        each further one is a subspace iteration.
    solver : {"auto", "dense", "shift-invert", "lanczos", "fft"}, default="auto"
        "fft" solves for the modes of the exact covariance on a regular grid.

    Returns
    -------
    FieldModes
        ``components``, ``eigenvalues``, ``energies``, ``at(coordinates)``.

    References
    ----------
    Z. Liu, S. Qian, Y. Wang, Y. Yan, T. Yang (2021), Schrödinger PCA: on the duality between principal
    component analysis and Schrödinger equation, Physical Review E 104, 025307.

    Examples
    --------
    >>> from statkit.decomposition import schrodinger_modes
    >>> modes = schrodinger_modes([1, 2, 3, 2, 1], 1.0, boundary="neumann", n_components=2)
    >>> modes.eigenvalues.round(6)
    array([5.113914, 2.786408])
    """
    given = np.asarray(variance, dtype=float)
    if given.ndim > 1:
        given = given.ravel()
    n_locations = len(given) if given.ndim else count_locations(coordinates, shape, graph, mesh)
    values = np.broadcast_to(given, (n_locations,)).copy()
    check_variance(values)
    structure = resolve_structure(
        n_locations,
        coordinates=coordinates,
        shape=shape,
        graph=graph,
        mesh=mesh,
        metric=metric,
        radius=radius,
    )
    kept = np.isfinite(values)
    if not kept.any():
        raise ValueError("variance is NaN at every location")
    lengths = structure.mirrored(read_lengths(correlation_length, max(structure.dimension, 1), n_locations))
    structure = structure.kept(kept)
    if weights is not None and not isinstance(weights, str):
        weights = np.asarray(weights, dtype=float)
        weights = weights[kept] if weights.shape == kept.shape else weights
    placement = place(structure, lengths.at(kept), weights, mesh=mesh, resolution=resolution)
    modes = solve_modes(
        placement,
        placement.to_nodes(values[kept], log=True),
        lengths.at(kept),
        Kernel.of(kernel),
        n_components,
        operator=operator,
        boundary=boundary,
        n_refine=n_refine,
        solver=solver,
    )
    warn_if_rough(modes, operator, n_refine, solver, stacklevel=2)
    if kept.all():
        return modes
    components = np.zeros((len(modes.components), n_locations))
    components[:, kept] = modes.components
    return FieldModes(
        components, modes.eigenvalues, modes.energies, modes.node_modes, placement, modes.splitting_error
    )


def check_variance(values: np.ndarray) -> None:
    """Refuse negative and infinite variances."""
    bad = np.flatnonzero((values < 0) | np.isinf(values))
    if bad.size:
        raise ValueError(
            f"variance must be finite and not negative, but location {bad[0]} has {values[bad[0]]:g}"
        )


def solve_modes(
    placement: Placement,
    node_variance: np.ndarray,
    lengths: Lengths,
    kernel: Kernel,
    n_components: int,
    *,
    operator: str = "log",
    boundary="robin",
    n_refine: int = 0,
    solver: str = "auto",
    loose: int = 0,
) -> FieldModes:
    """Modes on a placed mesh; `node_variance` at its nodes, `lengths` at the locations.

    The last `loose` modes may be rough.
    """
    if operator not in OPERATORS:
        raise ValueError(f"operator must be one of {', '.join(OPERATORS)}, got {operator!r}")
    mesh = placement.mesh
    d = mesh.dimension
    node_lengths = lengths.moved(placement.to_nodes)
    if operator != "resolvent" and solver != "fft":
        _warn_if_unresolved(placement, node_lengths)
    scale = float(node_variance.max())
    if scale <= 0:  # nothing varies: the modes of a constant variance, all of eigenvalue 0
        flat = solve_modes(
            placement,
            np.ones_like(node_variance),
            lengths,
            kernel,
            n_components,
            operator=operator,
            boundary=boundary,
            n_refine=0,
            solver="auto",
        )
        zero = np.zeros(len(flat.eigenvalues))
        return FieldModes(flat.components, zero, flat.energies, flat.node_modes, placement, 0.0)
    strength, mass_scale, moment, beyond = _ingredients(placement, node_variance, node_lengths, kernel)
    apply = None
    if n_refine or solver == "fft":
        correlation = correlation_operator(mesh, node_lengths, kernel)
        amplitude = np.sqrt(node_variance * placement.node_weights)[:, None]

        def apply(block):
            return amplitude * (correlation @ (amplitude * block))

    q = min(n_components + OVERSAMPLE, len(mesh.mass))
    if solver == "fft":
        if not mesh.uniform or node_lengths.varying:
            raise ValueError('solver="fft" needs a grid of equal cells and one correlation length')
        eigenvalues, vectors = _lanczos_exact(apply, node_variance, q)
        energies = -np.log(np.maximum(eigenvalues, 1e-300) / mass_scale)
    else:
        resolvent, kinetic = None, node_lengths.scaled(moment)
        if operator == "resolvent":
            if d == 0:
                raise ValueError(
                    'the resolvent operator is for fields in space; on a graph use operator="log"'
                )
            # (1 + L / 2nu)^-α is written with Σ itself; the boundary lies as far away as before.
            resolvent, kinetic, beyond = _resolvent_order(kernel, d), node_lengths, beyond * np.sqrt(moment)
        stiffness = mesh.stiffness(kinetic, boundary, beyond)
        spectrum = solve(
            stiffness,
            mesh.mass,
            strength,
            q,
            operator=operator,
            dimension=d,
            resolvent=resolvent,
            solver=solver,
            loose=loose,
        )
        energies, vectors = spectrum.energies, spectrum.vectors
        eigenvalues = mass_scale * spectrum.share
        if n_refine:
            # From vectors orthonormal by volume and density to the weights that the exact covariance has.
            ratio = np.sqrt(_ratio(placement.node_weights, placement.density * mesh.mass))
            vectors = np.linalg.qr(ratio[:, None] * vectors)[0]
            eigenvalues, vectors = rayleigh_ritz(apply, vectors, n_refine)
            vectors /= np.where(ratio > 0, ratio, 1.0)[:, None]
            relative = np.maximum(eigenvalues, 1e-300) / mass_scale
            energies = -np.log(relative) if operator == "log" else -relative
    k = min(n_components, vectors.shape[1])
    eigenvalues, energies = np.maximum(eigenvalues[:k], 0.0), energies[:k]
    node_modes, components = _to_locations(placement, vectors[:, :k])
    splitting = _splitting_error(mesh, node_variance, node_lengths.scaled(moment))
    return FieldModes(components, eigenvalues, energies, node_modes, placement, splitting)


def warn_if_rough(modes: FieldModes, operator: str, n_refine: int, solver: str, stacklevel: int) -> None:
    """Say that the log operator leaves out terms that matter."""
    if operator == "log" and not n_refine and solver != "fft" and modes.splitting_error > SPLITTING_LIMIT:
        warnings.warn(
            "the variance changes faster than the field is correlated (splitting error "
            f"{modes.splitting_error:.2f}): the modes are rough; smooth the variance, or use n_refine=2",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def _ingredients(placement, node_variance, node_lengths, kernel):
    """Strength B² relative to a reference mass, that mass, the second moment, and the Robin distance."""
    d = placement.mesh.dimension
    if d == 0:
        if not kernel.gaussian:
            raise ValueError('on a graph the kernel is the heat kernel: kernel="gaussian"')
        return node_variance * placement.density, 1.0, 1.0, 0.0
    volume = kernel.mass(d) * node_lengths.root_determinant()
    reference = 1.0 if node_lengths.varying else float(volume)
    strength = node_variance * placement.density * (volume if node_lengths.varying else 1.0)
    return strength, reference, kernel.stretch(d), kernel.extrapolation(d)


def _resolvent_order(kernel: Kernel, dimension: int) -> tuple[float, int]:
    order = kernel.order(dimension)
    if not np.isfinite(order) or abs(order - round(order)) > 1e-9:
        nearest = max(round(order if np.isfinite(order) else 2), dimension // 2 + 1) - dimension / 2
        raise ValueError(
            f"the resolvent operator needs an integer nu + d/2, but the {kernel.name} kernel in {dimension} "
            f'dimension(s) has {order:g}: use operator="log" with n_refine=2, or a kernel ("matern", nu) '
            f"with nu = {nearest:g}"
        )
    return 2 * kernel.nu, round(order)


def _to_locations(placement: Placement, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mode values at nodes and locations, of unit weighted norm over the locations, with a fixed sign."""
    mesh = placement.mesh
    root = np.sqrt(mesh.mass * placement.density)
    node_modes = np.divide(vectors, root[:, None], out=np.zeros_like(vectors), where=root[:, None] > 0)
    components = np.empty((vectors.shape[1], len(placement.weights)))
    for k, mode in enumerate(node_modes.T):
        components[k] = placement.to_locations(np.ascontiguousarray(mode))
        norm = np.sqrt(np.sum(placement.weights * components[k] ** 2))
        sign = np.sign(components[k, np.argmax(np.abs(components[k]))]) or 1.0
        factor = sign / norm if norm > 0 else 1.0
        components[k] *= factor
        node_modes[:, k] *= factor
    return node_modes, components


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


def _lanczos_exact(apply, node_variance, q):
    active = np.flatnonzero(node_variance > EMPTY * node_variance.max())
    n = len(node_variance)

    def matvec(v):
        full = np.zeros((n, 1))
        full[active, 0] = v.ravel()
        return apply(full)[active, 0]

    q = min(q, len(active))
    if len(active) <= max(200, 3 * q):
        full = np.zeros((n, len(active)))
        full[active, np.arange(len(active))] = 1.0
        matrix = apply(full)[active]
        value, inside = np.linalg.eigh(0.5 * (matrix + matrix.T))
        value, inside = value[::-1][:q], inside[:, ::-1][:, :q]
    else:
        size = len(active)
        value, inside = eigsh(
            LinearOperator((size, size), matvec=matvec, dtype=float),
            q,
            which="LA",
            v0=np.ones(size),
            tol=1e-9,
        )
        value, inside = value[::-1], inside[:, ::-1]
    vectors = np.zeros((n, q))
    vectors[active] = inside
    return value, vectors


def _splitting_error(mesh, node_variance, lengths) -> float:
    """A²-weighted mean of |∇log A²|²_Σ / 24, over edges between nodes with some variance."""
    active = node_variance > EMPTY * node_variance.max()
    stiffness = mesh.stiffness(lengths, "neumann", 0.0).tocoo()
    a, b = stiffness.row, stiffness.col
    edge = (a != b) & active[a] & active[b]
    a, b, conductance = a[edge], b[edge], -stiffness.data[edge]
    x = np.log(np.where(active, node_variance, 1.0))
    energy = 0.5 * np.bincount(a, conductance * (x[a] - x[b]) ** 2, len(x))
    total = float(np.sum(node_variance * mesh.mass))
    return float(np.sum(node_variance * energy) / total / 24)


def _warn_if_unresolved(placement: Placement, lengths: Lengths) -> None:
    mesh = placement.mesh
    if mesh.nodes is None:
        return
    ratio = float(np.median(mesh.spacing / lengths.shortest()))
    if ratio > 1.5:
        warnings.warn(
            f"the nodes of the mesh are {ratio:.1f} correlation lengths apart: its modes are not resolved; "
            'use mesh="grid", which puts nodes between the locations',
            UserWarning,
            stacklevel=4,
        )
