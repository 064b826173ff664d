"""What the columns of a data matrix are: cells of a line or grid, scattered points, stations, graph nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.spatial import ConvexHull, QhullError, cKDTree

from statkit.decomposition.fields.lengths import Lengths
from statkit.decomposition.meshes.graph import GraphMesh, read_graph
from statkit.decomposition.meshes.grid import GridMesh
from statkit.decomposition.meshes.latlon import LatLonMesh, to_cartesian
from statkit.decomposition.meshes.simplex import SimplexMesh
from statkit.decomposition.meshes.sphere import SphereMesh

METRICS = ("euclidean", "latlon", "sphere")


@dataclass(frozen=True)
class Structure:
    """The locations of the columns.

    ``kind`` is "grid", "points", "mesh" or "graph"; ``points`` (p, D) are the positions between which
    distances are measured; ``coordinates`` are the user's, but for the ``signs`` of mirrored axes; ``mesh``
    is the grid, mesh or graph whose nodes are the locations, where there is one.
    """

    kind: str
    metric: str
    dimension: int
    coordinates: np.ndarray | None
    points: np.ndarray | None
    mesh: Any
    radius: float
    signs: np.ndarray | None = None

    @property
    def n_locations(self) -> int:
        return len(self.points) if self.points is not None else len(self.mesh.mass)

    def kept(self, mask: np.ndarray) -> Structure:
        """The locations that `mask` keeps: cells of a grid go out of the domain, points are left out."""
        if mask.all():
            return self
        if self.kind == "graph":
            laplacian = self.mesh.laplacian[mask][:, mask]
            away = laplacian - sparse.diags_array(laplacian.diagonal())
            return self._with(mesh=GraphMesh(sparse.csr_array(sparse.diags_array(-away.sum(axis=1)) + away)))
        points, coordinates = self.points[mask], self.coordinates[mask]
        if self.kind == "grid":
            return self._with(points=points, coordinates=coordinates, mesh=self.mesh.restricted(mask))
        # A station without data is no hole in the domain: a mesh through the others is made anew.
        return self._with(kind="points", points=points, coordinates=coordinates, mesh=None)

    def _with(self, **changes) -> Structure:
        return replace(self, **changes)

    def placed(self, coordinates) -> np.ndarray:
        """Check the coordinates of new locations, and mirror them as the mesh is."""
        if self.kind == "graph":
            raise ValueError("a graph has no coordinates: modes are known at its nodes only")
        new = np.asarray(coordinates, dtype=float)
        if new.ndim == 1 and self.coordinates.shape[1] == 1:
            new = new[:, None]
        if new.ndim != 2 or new.shape[1] != self.coordinates.shape[1]:
            raise ValueError(f"coordinates must have shape (n, {self.coordinates.shape[1]}), got {new.shape}")
        if not np.all(np.isfinite(new)):
            raise ValueError(f"coordinates row {int(np.argmin(np.isfinite(new).all(axis=1)))} is not finite")
        return new if self.signs is None else new * self.signs

    def positions(self, placed: np.ndarray) -> np.ndarray:
        """Positions between which distances are measured, of coordinates that `placed` has checked."""
        return placed if self.metric == "euclidean" else to_cartesian(placed, self.radius)

    def mirrored(self, lengths: Lengths) -> Lengths:
        """Σ for mirrored axes; its own inverse."""
        if self.signs is None or lengths.isotropic:
            return lengths
        return replace(lengths, sigma=lengths.sigma * np.outer(self.signs, self.signs))

    def typical_spacing(self) -> float:
        """Mean distance between neighbours: the d-th root of the volume a location has."""
        return self._spacing

    @cached_property
    def _spacing(self) -> float:
        if self.kind in ("grid", "mesh", "graph"):
            return float(np.median(self.mesh.spacing))
        return point_spacing(self.points, self.dimension)


def point_spacing(points: np.ndarray, dimension: int) -> float:
    """(Volume of the convex hull / number of points)^(1/d)."""
    p = len(points)
    if p < 2:
        return 1.0
    if dimension == 1:
        return float(np.ptp(points[:, 0]) / max(p - 1, 1)) or 1.0
    if points.shape[1] > dimension:  # on a surface: from neighbours, as for a Poisson process
        return 2 * float(np.median(cKDTree(points).query(points, k=2)[0][:, 1])) or 1.0
    try:
        return float((ConvexHull(points).volume / p) ** (1 / dimension))
    except QhullError:
        return float(np.ptp(points, axis=0).max() / p) or 1.0


def count_locations(coordinates, shape, graph, mesh) -> int:
    """Number of locations that a description of them implies."""
    if shape is not None:
        return int(np.prod(shape))
    if graph is not None:
        return graph.shape[0] if hasattr(graph, "shape") else len(graph)
    if coordinates is not None:
        return len(coordinates)
    if isinstance(mesh, tuple):
        return len(mesh[0])
    raise ValueError(
        "a single variance needs coordinates, shape, graph or mesh to say how many locations there are"
    )


def resolve_structure(
    n_locations: int, *, coordinates=None, shape=None, graph=None, mesh=None, metric="euclidean", radius=1.0
) -> Structure:
    """Read the constructor's description of the columns and check it against their number."""
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius!r}")
    own_mesh = mesh if isinstance(mesh, tuple) else None
    given = [
        name for name, value in (("shape", shape), ("graph", graph), ("mesh", own_mesh)) if value is not None
    ]
    if len(given) > 1:
        raise ValueError(f"give one description of the columns, got {' and '.join(given)}")
    if graph is not None:
        if coordinates is not None or metric != "euclidean":
            raise ValueError("graph goes without coordinates and metric: its weights say how near nodes are")
        graph_mesh = read_graph(graph)
        _check_count("graph", len(graph_mesh.mass), "nodes", n_locations)
        return Structure("graph", metric, 0, None, None, graph_mesh, radius)
    if shape is not None:
        return _grid(n_locations, tuple(np.atleast_1d(shape).tolist()), coordinates, metric, radius)
    if coordinates is None:
        if own_mesh is not None:
            return _user_mesh(n_locations, own_mesh, metric, radius)
        if metric != "euclidean":
            raise ValueError(f"metric={metric!r} needs coordinates: latitude and longitude in degrees")
        return _grid(n_locations, (n_locations,), None, metric, radius)
    if metric == "latlon":
        raise ValueError(
            'metric="latlon" is for grids: give shape=(n_latitudes, n_longitudes) with '
            'coordinates=(latitude, longitude) vectors, or metric="sphere" for scattered '
            "(latitude, longitude) rows"
        )
    return _points(n_locations, coordinates, metric, radius)


def _check_count(what: str, count: int, unit: str, n_locations: int) -> None:
    if count != n_locations:
        raise ValueError(f"{what} has {count} {unit}, but X has {n_locations} columns")


def _grid(n_locations, shape, coordinates, metric, radius) -> Structure:
    if any(not float(n).is_integer() or n < 1 for n in shape):
        raise ValueError(f"shape must be a tuple of positive integers, got {shape}")
    shape = tuple(int(n) for n in shape)
    text = " × ".join(map(str, shape))
    _check_count(f"shape {shape}", int(np.prod(shape)), f"cells ({text})", n_locations)
    if coordinates is None:
        if metric != "euclidean":
            raise ValueError(
                f"metric={metric!r} with shape needs coordinates=(latitude, longitude), two vectors"
            )
        axes = tuple(np.arange(n, dtype=float) for n in shape)
    else:
        if len(coordinates) != len(shape) or any(np.ndim(a) != 1 for a in coordinates):
            raise ValueError(
                f"with shape={shape}, coordinates must be a tuple of {len(shape)} vectors, one an axis, "
                f"of lengths {', '.join(map(str, shape))}"
            )
        axes = tuple(np.asarray(a, dtype=float) for a in coordinates)
        for number, (axis, n) in enumerate(zip(axes, shape, strict=True)):
            if len(axis) != n:
                raise ValueError(f"coordinates[{number}] has {len(axis)} values, shape says {n}")
            if not np.all(np.isfinite(axis)):
                raise ValueError(f"coordinates[{number}] contains NaN or infinite values")
            steps = np.diff(axis)
            if not (np.all(steps > 0) or np.all(steps < 0)):
                raise ValueError(f"coordinates[{number}] must increase, or decrease, from cell to cell")
    # Meshes want increasing axes; a decreasing one (north to south) is mirrored, which changes no distance.
    signs = np.array([-1.0 if len(a) > 1 and a[0] > a[-1] else 1.0 for a in axes])
    axes = tuple(sign * axis for sign, axis in zip(signs, axes, strict=True))
    if metric == "euclidean":
        mesh = GridMesh(axes)
        return Structure("grid", metric, len(shape), mesh.coordinates, mesh.nodes, mesh, radius, signs)
    if len(shape) != 2:
        raise ValueError(f"metric={metric!r} needs a shape (n_latitudes, n_longitudes), got {shape}")
    if np.abs(axes[0]).max() > 90:
        raise ValueError(
            f"latitudes must lie between -90 and 90 degrees, got {axes[0].min():g} … {axes[0].max():g}"
        )
    mesh = LatLonMesh.on_sphere(*axes, radius=radius)
    return Structure("grid", "latlon", 2, mesh.coordinates, mesh.nodes, mesh, radius, signs)


def _user_mesh(n_locations, mesh, metric, radius) -> Structure:
    own = mesh_class(metric)(*mesh)
    _check_count("mesh", len(own.nodes), "vertices", n_locations)
    idle = np.flatnonzero(own.mass == 0)
    if idle.size:
        raise ValueError(f"vertex {idle[0]} of the mesh belongs to no cell: leave it out, with its column")
    return Structure("mesh", metric, own.dimension, own.coordinates, own.nodes, own, radius)


def mesh_class(metric: str):
    return SimplexMesh if metric == "euclidean" else SphereMesh


def _points(n_locations, coordinates, metric, radius) -> Structure:
    points = np.asarray(coordinates, dtype=float)
    if points.ndim == 1:
        points = points[:, None]
    if points.ndim != 2:
        raise ValueError(f"coordinates must have shape (n_locations, d), got {points.shape}")
    _check_count("coordinates", len(points), "rows", n_locations)
    if not np.all(np.isfinite(points)):
        row = int(np.argmin(np.isfinite(points).all(axis=1)))
        raise ValueError(f"coordinates row {row} is not finite")
    if metric == "sphere":
        if points.shape[1] != 2:
            raise ValueError(
                f"on the sphere coordinates are (latitude, longitude) rows, got {points.shape[1]} columns"
            )
        if np.abs(points[:, 0]).max() > 90:
            row = int(np.argmax(np.abs(points[:, 0])))
            raise ValueError(
                f"coordinates row {row}: latitude {points[row, 0]:g} is not between -90 and 90 degrees"
            )
        return Structure("points", metric, 2, points, to_cartesian(points, radius), None, radius)
    if points.shape[1] > 3:
        raise ValueError(f"coordinates have {points.shape[1]} dimensions: fields live in 1, 2 or 3")
    return Structure("points", metric, points.shape[1], points, points, None, radius)
