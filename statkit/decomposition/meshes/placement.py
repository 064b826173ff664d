"""Which mesh a field is solved on, and how node values become values at the locations and back.

Modes vary no faster than the correlation length, so a mesh a few times finer than it is enough however many
locations there are: the cost of a fit does not grow with them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.interpolate import LinearNDInterpolator
from scipy.sparse.linalg import cg, splu
from scipy.spatial import QhullError, cKDTree

from statkit.decomposition.fields.lengths import Lengths
from statkit.decomposition.meshes.grid import GridMesh
from statkit.decomposition.meshes.latlon import LatLonMesh
from statkit.decomposition.meshes.simplex import triangulate
from statkit.decomposition.meshes.sphere import SphereMesh, icosphere
from statkit.decomposition.meshes.structure import Structure

LOCATION_CELLS = 20_000  # grids up to this size are solved on their own cells
MAX_NODES = 250_000  # in one and two dimensions; factors of three-dimensional meshes fill up sooner
CROWDED = 4  # locations a node, from which on samples may be averaged over those near a node
NEIGHBOURS = 50  # over which the density of scattered points is averaged


@dataclass(frozen=True)
class Placement:
    """A mesh, the interpolation from its nodes to the locations, and the weights as a density.

    ``weights`` (p,) are the weights of the locations; ``density`` (n,) and ``location_density`` (p,) are
    the smooth weight per unit volume at nodes and locations. ``projector`` is None where the nodes are the
    locations, else something that multiplies node values.
    """

    structure: Structure
    mesh: Any
    projector: Any
    weights: np.ndarray
    density: np.ndarray
    location_density: np.ndarray

    @property
    def node_weights(self) -> np.ndarray:
        """Weights of the nodes: those of the locations where these are the nodes."""
        return self.weights if self.projector is None else self.density * self.mesh.mass

    def cells(self) -> np.ndarray | None:
        """Nearest node of each location (p,) where nodes are far fewer than locations, else None."""
        if self.projector is None or self.projector.shape[0] < CROWDED * self.projector.shape[1]:
            return None
        if isinstance(self.projector, TensorInterpolator):
            return self.projector.nearest()
        matrix = sparse.csr_array(self.projector)
        heaviest = np.lexsort((matrix.data, np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))))
        return matrix.indices[heaviest[matrix.indptr[1:] - 1]]

    def to_locations(self, values: np.ndarray) -> np.ndarray:
        """Interpolate node values (n,) or (n, k)."""
        return values if self.projector is None else self.projector @ values

    def to_nodes(self, values: np.ndarray, *, log: bool = False) -> np.ndarray:
        """Average location values (p,) over the nodes near them; nodes between locations interpolate.

        With ``log`` the interpolation between locations (not the averaging) is linear in the logarithm, as
        fits variances.
        """
        return values if self.projector is None else spread(self, values, log)


class TensorInterpolator:
    """Interpolation from one full grid to another: one sparse matrix an axis, never the whole matrix."""

    def __init__(self, matrices):
        self.matrices = matrices
        self.shape = (
            int(np.prod([m.shape[0] for m in matrices])),
            int(np.prod([m.shape[1] for m in matrices])),
        )

    def __matmul__(self, values: np.ndarray) -> np.ndarray:
        if values.ndim == 2:
            return np.column_stack([self @ column for column in values.T])
        return self._apply(self.matrices, values)

    @staticmethod
    def _apply(matrices, values):
        block = values.reshape([m.shape[1] for m in matrices])
        for axis, matrix in enumerate(matrices):
            rest = np.moveaxis(block, axis, 0)
            out = matrix @ rest.reshape(rest.shape[0], -1)
            block = np.moveaxis(out.reshape(-1, *rest.shape[1:]), 0, axis)
        return block.ravel()

    def nearest(self) -> np.ndarray:
        """Node of the largest weight for each location."""
        each = [matrix.toarray().argmax(axis=1) for matrix in self.matrices]
        return np.ravel_multi_index(np.ix_(*each), [m.shape[1] for m in self.matrices]).ravel()

    def restrict(self, values: np.ndarray) -> np.ndarray:
        """Mean of the fine values that each node takes part in."""
        transposed = [sparse.csr_array(abs(m).T) for m in self.matrices]
        averages = [sparse.diags_array(1 / np.maximum(m.sum(axis=1), 1e-300)) @ m for m in transposed]
        return self._apply(averages, values)


def place(
    structure: Structure,
    lengths: Lengths,
    weights=None,
    *,
    mesh="auto",
    resolution: float = 3.0,
    max_nodes: int = MAX_NODES,
) -> Placement:
    """Choose the mesh for a field of these correlation lengths and prepare the transfer to the locations."""
    if not resolution >= 1:
        raise ValueError(
            f"resolution must be at least 1 node a correlation length (3 is good), got {resolution}"
        )
    if isinstance(mesh, str) and mesh not in ("auto", "locations", "grid"):
        raise ValueError(f"mesh must be auto, locations, grid or (vertices, cells), got {mesh!r}")
    p = structure.n_locations
    nodes = None
    if structure.kind == "graph" or (structure.kind == "mesh" and not isinstance(mesh, str)):
        if isinstance(mesh, str) and mesh == "grid":
            raise ValueError('mesh="grid" needs locations with coordinates, and a graph has none')
        nodes, projector = structure.mesh, None
    elif isinstance(mesh, tuple):
        from statkit.decomposition.meshes.structure import mesh_class

        nodes = mesh_class(structure.metric)(*mesh)
        if nodes.nodes.shape[1] != structure.points.shape[1]:
            raise ValueError(
                f"the vertices of the mesh have {nodes.nodes.shape[1]} coordinates, the locations "
                f"{structure.points.shape[1]}"
            )
        projector = nodes.interpolator(structure.coordinates)
    elif structure.kind == "grid":
        nodes, projector = _grid_nodes(structure, lengths, mesh, resolution, max_nodes)
    elif mesh == "locations":
        if structure.metric == "sphere":
            raise ValueError('scattered stations on the sphere are solved on an icosphere: use mesh="auto"')
        nodes, projector = triangulate(structure.points), None
    elif structure.dimension == 1 and mesh == "auto" and p > 1:
        nodes, projector = _sorted_line(structure)
    elif structure.metric == "sphere":
        nodes, projector = _sphere_nodes(structure, lengths, resolution, max_nodes)
    else:
        nodes, projector = _scattered_nodes(structure, lengths, resolution, max_nodes, mesh)
    return _with_density(structure, nodes, projector, weights, lengths)


def _sorted_line(structure):
    """Scattered points on a line: the cells between the mid-points; coinciding points share a node."""
    x, inverse = np.unique(structure.points[:, 0], return_inverse=True)
    nodes = GridMesh((x,))
    if len(x) == len(inverse) and np.array_equal(inverse, np.arange(len(x))):
        return nodes, None
    one = np.ones(len(inverse))
    return nodes, sparse.csr_array((one, (np.arange(len(inverse)), inverse)), shape=(len(inverse), len(x)))


def _cap(counts: np.ndarray, max_nodes: int, dimension: int) -> np.ndarray:
    """Coarsen, with a warning, a mesh that would have too many nodes."""
    limit = max_nodes if dimension < 3 else max_nodes // 2
    total = float(np.prod(counts.astype(float)))
    if total <= limit:
        return counts
    factor = (limit / total) ** (1 / dimension)
    warnings.warn(
        f"a mesh that resolves the correlation length would have {total:.3g} nodes; it is made "
        f"{1 / factor:.1f} times coarser to have {limit}: the faster modes lose accuracy",
        UserWarning,
        stacklevel=2,
    )
    return np.maximum((counts * factor).astype(int), 1)


def _axis_lengths(structure, lengths: Lengths) -> np.ndarray:
    """Shortest correlation length along each axis, in the units of the user's coordinates."""
    if (structure.mesh is not None and structure.mesh.curved) or structure.metric == "sphere":
        return np.full(2, np.rad2deg(float(np.min(lengths.shortest())) / structure.radius))
    if lengths.isotropic:
        return np.full(structure.dimension, float(np.min(lengths.shortest())))
    # An oblique ellipse needs the spacing of its short axis in every direction that is not its own.
    return np.array(
        [
            float(np.min(1 / np.sqrt(np.linalg.inv(lengths.matrix())[..., a, a])))
            for a in range(structure.dimension)
        ]
    )


def _grid_nodes(structure, lengths, mesh, resolution, max_nodes):
    own = structure.mesh
    target = _axis_lengths(structure, lengths) / resolution
    fine = [float(np.median(w)) for w in own.widths]
    if mesh == "locations":
        return own, None
    if mesh == "auto" and (
        len(own.mass) <= LOCATION_CELLS
        or structure.dimension == 1
        or all(h >= t for h, t in zip(fine, target, strict=True))
    ):
        return own, None
    extent = np.array([e[-1] - e[0] for e in own.edges])
    counts = np.maximum(np.ceil(extent / target - 1e-9).astype(int), 1)
    if mesh == "auto":
        counts = np.minimum(counts, own.shape)  # never finer than the data, unless asked
    counts = _cap(counts, max_nodes, structure.dimension)
    edges = []
    for axis, n in enumerate(counts):
        same = n >= own.shape[axis] and mesh == "auto"
        edges.append(own.edges[axis] if same else np.linspace(own.edges[axis][0], own.edges[axis][-1], n + 1))
    axes = [0.5 * (e[1:] + e[:-1]) for e in edges]
    if isinstance(own, LatLonMesh):
        coarse = LatLonMesh.on_sphere(*axes, radius=own.radius, edges=tuple(edges))
    else:
        coarse = GridMesh(axes, edges=tuple(edges), periodic=own.periodic)
    if own.full:
        matrices = [
            _cubic(coarse.axes[a], own.axes[a], coarse.periodic[a], own.edges[a])
            for a in range(own.dimension)
        ]
        return coarse, TensorInterpolator(matrices)
    index = [
        np.clip(np.searchsorted(e, x, side="right") - 1, 0, len(e) - 2)
        for e, x in zip(edges, structure.coordinates.T, strict=True)
    ]
    cell = np.ravel_multi_index(index, coarse.shape)
    covered = np.bincount(cell, own.mass, int(np.prod(coarse.shape))).reshape(coarse.shape)
    coarse = coarse.restricted(covered >= 0.5 * coarse._volumes())
    return coarse, coarse.interpolator(structure.coordinates)


def _cubic(nodes: np.ndarray, points: np.ndarray, periodic: bool, edges: np.ndarray) -> sparse.csr_array:
    """Cubic Lagrange interpolation on one axis (linear with fewer than four nodes)."""
    n, width = len(nodes), min(4, len(nodes))
    if len(nodes) == len(points) and np.allclose(nodes, points):
        return sparse.csr_array(sparse.eye_array(n))
    if periodic and n >= 4:
        turn = edges[-1] - edges[0]
        nodes = np.concatenate([nodes[-2:] - turn, nodes, nodes[:2] + turn])
    else:
        periodic = False
    base = np.searchsorted(nodes, points, side="right") - 1 - (width - 1) // 2
    base = np.clip(base, 0, len(nodes) - width)
    columns = base[:, None] + np.arange(width)
    at = nodes[columns]
    weights = np.ones((len(points), width))
    for i in range(width):
        for j in range(width):
            if i != j:
                weights[:, i] *= (points - at[:, j]) / (at[:, i] - at[:, j])
    if periodic:
        columns = (columns - 2) % n
    rows = np.repeat(np.arange(len(points)), width)
    return sparse.csr_array((weights.ravel(), (rows, columns.ravel())), shape=(len(points), n))


def _scattered_nodes(structure, lengths, resolution, max_nodes, mesh):
    """The locations themselves where they resolve the field and are fewer than a background grid's nodes."""
    p, spacing = structure.n_locations, structure.typical_spacing()
    fine = spacing <= 0.5 * float(np.min(lengths.shortest()))
    if mesh == "auto" and fine and p <= LOCATION_CELLS:
        extent = np.ptp(structure.points, axis=0) + spacing
        nodes = np.prod(extent * resolution / _axis_lengths(structure, lengths))
        if nodes >= 0.5 * p:
            try:
                return triangulate(structure.points), None
            except (ValueError, QhullError):
                pass  # coinciding or collinear locations have no mesh of their own
    return _background_grid(structure, lengths, resolution, max_nodes)


def _background_grid(structure, lengths, resolution, max_nodes):
    """A regular grid over scattered points; the domain is what is near a point."""
    points = structure.points
    spacing = structure.typical_spacing()
    low, high = points.min(axis=0) - spacing / 2, points.max(axis=0) + spacing / 2
    target = _axis_lengths(structure, lengths) / resolution
    counts = np.maximum(np.ceil((high - low) / target - 1e-9).astype(int), 1)
    counts = _cap(counts, max_nodes, structure.dimension)
    edges = [np.linspace(a, b, n + 1) for a, b, n in zip(low, high, counts, strict=True)]
    axes = [0.5 * (e[1:] + e[:-1]) for e in edges]
    grid = GridMesh(axes, edges=tuple(edges))
    width = max(float(w[0]) for w in grid.widths)
    near = max(1.5 * spacing, 0.75 * width)
    held = [
        np.clip(np.searchsorted(e, x, side="right") - 1, 0, len(e) - 2)
        for e, x in zip(edges, points.T, strict=True)
    ]
    mask = np.zeros(len(grid.mass), bool)
    mask[np.ravel_multi_index(held, grid.shape)] = True
    empty = np.flatnonzero(~mask)
    if empty.size:
        tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
        mask[empty] = tree.query(grid.nodes[empty], distance_upper_bound=near)[0] < np.inf
    if not mask.all():
        grid = grid.restricted(mask)
    return grid, grid.interpolator(points)


def _sphere_nodes(structure, lengths, resolution, max_nodes):
    """An icosphere as fine as the correlation length asks for, cut to what is near a station."""
    target = float(np.min(lengths.shortest())) / structure.radius / resolution
    wanted = int(np.ceil(np.log2(1.107 / target))) if target < 1.107 else 0  # longest side before subdivision
    s = int(np.clip(wanted, 2, 7))
    if wanted > 7:
        _cap(np.array([10 * 4**wanted]), max_nodes, 1)
    full = SphereMesh(*icosphere(s, structure.radius))
    spacing = structure.typical_spacing()
    near = max(1.5 * spacing, 1.5 * float(np.median(full.spacing)))
    keep = cKDTree(structure.points).query(full.nodes, distance_upper_bound=near)[0] < np.inf
    nodes = full if keep.mean() > 0.98 else full.restricted(keep)
    return nodes, nodes.interpolator(structure.coordinates)


def _with_density(structure, mesh, projector, weights, lengths) -> Placement:
    """Read the weights of the locations as a smooth density over the mesh."""
    p = structure.n_locations
    location_mass = mesh.mass if projector is None else None
    if structure.kind in ("grid", "mesh"):
        location_mass = structure.mesh.mass
    area = isinstance(weights, str)
    if area and weights != "area":
        raise ValueError(f'weights must be None, "area" or an array, got {weights!r}')
    if weights is None:
        w = np.ones(p)
        if structure.metric == "latlon" and structure.kind == "grid":
            w = np.cos(np.deg2rad(structure.coordinates[:, 0]))
            w = np.maximum(w, 1e-3)  # a row at a pole
    elif not area:
        w = np.asarray(weights, dtype=float)
        if w.shape != (p,):
            raise ValueError(f"weights have shape {w.shape}, but there are {p} locations")
        if not np.all(np.isfinite(w)) or np.any(w <= 0):
            at = int(np.argmax(~(np.isfinite(w) & (w > 0))))
            raise ValueError(f"weights must be positive, but weight {at} is {w[at]}")
    if location_mass is not None and (structure.kind != "points" or structure.dimension == 1):
        if area:
            ones = np.ones(len(mesh.mass))
            return Placement(structure, mesh, projector, location_mass.copy(), ones, np.ones(p))
        at_locations = w / location_mass
        if structure.kind == "mesh" and np.ptp(at_locations) > 1e-9 * at_locations.max():
            at_locations = _neighbour_mean(structure, w, location_mass)
        if projector is None:
            return Placement(structure, mesh, projector, w, at_locations, at_locations)
        bare = Placement(structure, mesh, projector, w, mesh.mass, at_locations)
        return Placement(structure, mesh, projector, w, bare.to_nodes(at_locations), at_locations)
    if projector is None:  # scattered points that are their own mesh
        if area:
            return Placement(structure, mesh, None, mesh.mass.copy(), np.ones(p), np.ones(p))
        at_locations = _neighbour_mean(structure, w, mesh.mass)
        return Placement(structure, mesh, None, w, at_locations, at_locations)
    share = np.ones(p) if area else w
    density = _kernel_density(structure, mesh, projector, share)
    at_locations = np.maximum(projector @ density, 1e-12 * density.max())
    if area:
        scale = float(mesh.mass.sum())  # areas of the locations add up to that of the domain
        w = 1 / at_locations
        w *= scale / w.sum()
        return Placement(structure, mesh, projector, w, np.ones(len(mesh.mass)), np.ones(p))
    return Placement(structure, mesh, projector, w, density, at_locations)


def _neighbour_mean(structure, w, mass) -> np.ndarray:
    """Weight per volume, averaged over neighbours: node by node it is far too rough for a logarithm."""
    k = min(NEIGHBOURS, len(w))
    near = cKDTree(structure.points).query(structure.points, k=k)[1].reshape(len(w), k)
    return w[near].sum(axis=1) / mass[near].sum(axis=1)


def _kernel_density(structure, mesh, projector, w) -> np.ndarray:
    """Weight per unit volume at the nodes: deposited, then diffused over about fifty points."""
    deposited = projector.T @ w
    width = max(2 * structure.typical_spacing(), float(np.median(mesh.spacing)))
    density = diffuse(mesh, deposited / mesh.mass, width)
    return np.maximum(density, 1e-6 * density.max())


def diffuse(mesh, values: np.ndarray, width: float, active: np.ndarray | None = None) -> np.ndarray:
    """Smooth node values with a kernel of standard deviation `width` that does not leave the domain.

    (1 + width²/4 · L)^-2 with the Neumann condition keeps constants and the integral. Nodes that are not
    `active` neither give nor take.
    """
    unit = Lengths(np.asarray(1.0), mesh.dimension, False)
    stiffness = mesh.stiffness(unit, "neumann", 0.0)
    mass = mesh.mass
    everywhere = active is None or active.all()
    if not everywhere:
        stiffness = stiffness[active][:, active]
        away = stiffness - sparse.diags_array(stiffness.diagonal())
        stiffness = away + sparse.diags_array(-away.sum(axis=1))
        mass = mass[active]
    shifted = sparse.csc_array(sparse.diags_array(mass) + (width**2 / 4) * stiffness)
    inside = values if everywhere else values[active]
    if len(inside) > LOCATION_CELLS:  # well conditioned: a few steps instead of a large factor
        inverse = sparse.diags_array(1 / shifted.diagonal())

        def solve(right):
            return cg(shifted, right, rtol=1e-11, M=inverse)[0]
    else:
        solve = splu(
            shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        ).solve
    smooth = solve(mass * solve(mass * inside))
    if everywhere:
        return smooth
    out = values.copy()
    out[active] = smooth
    return out


def spread(placement: Placement, values: np.ndarray, log: bool) -> np.ndarray:
    """Location values at the nodes: see `Placement.to_nodes`."""
    projector, mesh, structure = placement.projector, placement.mesh, placement.structure
    if isinstance(projector, TensorInterpolator):
        if projector.shape[0] >= projector.shape[1]:
            return projector.restrict(values)
        return _between(structure, mesh, values, log)
    if structure.n_locations < len(mesh.mass) and structure.typical_spacing() > float(
        np.median(mesh.spacing)
    ):
        return _between(structure, mesh, values, log)
    weights = abs(projector).T
    total = weights @ np.ones(projector.shape[0])
    found = total > 1e-3
    out = np.empty(len(mesh.mass))
    out[found] = (weights @ values)[found] / total[found]
    if not found.all():
        nearest = cKDTree(mesh.nodes[found]).query(mesh.nodes[~found])[1]
        out[~found] = out[found][nearest]
    return out


def _between(structure, mesh, values, log) -> np.ndarray:
    """Nodes between sparse locations: linear interpolation, the nearest location outside their hull."""
    floor = max(float(values.max()), 0.0) * 1e-12
    v = np.log(np.maximum(values, floor)) if log and floor > 0 else values
    out = interpolate_scattered(structure, v, mesh)
    return np.exp(out) if log and floor > 0 else out


def interpolate_scattered(structure, values, mesh=None, coordinates=None) -> np.ndarray:
    """Linear interpolation of location values at the nodes of a mesh, or at coordinates."""
    target = mesh.coordinates if coordinates is None else coordinates
    if structure.kind == "grid":
        return structure.mesh.interpolator(target) @ values
    points = structure.points
    if structure.dimension == 1:
        order = np.argsort(points[:, 0])
        return np.interp(target[:, 0], points[order, 0], values[order])
    position = structure.positions(target)
    tree = cKDTree(points)
    linear = None
    if points.shape[1] == structure.dimension and len(points) > structure.dimension + 1:
        try:
            linear = LinearNDInterpolator(points, values)
        except QhullError:
            pass  # all on one line
    if linear is None:
        k = min(6, len(points))
        distance, near = tree.query(position, k=k)
        distance, near = distance.reshape(len(position), k), near.reshape(len(position), k)
        weight = 1 / np.maximum(distance, 1e-9 * max(distance.max(), 1e-300)) ** 2
        return (weight * values[near]).sum(axis=1) / weight.sum(axis=1)
    out = linear(position)
    outside = np.isnan(out)
    if outside.any():
        out[outside] = values[tree.query(position[outside])[1]]
    return out
