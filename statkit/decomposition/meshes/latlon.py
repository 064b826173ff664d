"""Latitude–longitude grids: finite volumes with the metric of the sphere."""

from __future__ import annotations

import numpy as np

from statkit.decomposition.meshes.grid import GridMesh, cell_edges


def to_cartesian(degrees, radius: float = 1.0) -> np.ndarray:
    """Positions (n, 3) of (latitude, longitude) in degrees."""
    latitude, longitude = np.deg2rad(np.asarray(degrees, dtype=float)).T
    level = np.cos(latitude)
    return radius * np.column_stack([level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)])


class LatLonMesh(GridMesh):
    """Cells between circles of latitude (axis 0) and meridians (axis 1), in degrees, on a sphere."""

    curved = True
    radius = 1.0

    @classmethod
    def on_sphere(cls, latitude, longitude, *, radius=1.0, edges=None, mask=None) -> LatLonMesh:
        """Make the mesh; the longitude closes when it spans the circle."""
        if edges is None:
            edges = (
                np.clip(cell_edges(np.asarray(latitude, float)), -90, 90),
                cell_edges(np.asarray(longitude, float)),
            )
        closed = len(longitude) > 2 and abs(np.ptp(edges[1]) - 360) < 1e-6 * 360
        mesh = cls.__new__(cls)
        mesh.radius = float(radius)
        GridMesh.__init__(mesh, (latitude, longitude), edges=edges, periodic=(False, closed), mask=mask)
        return mesh

    @property
    def uniform(self) -> bool:
        return False

    @property
    def _level(self) -> np.ndarray:
        """Mean cosine of the latitude over each row of cells: also right for a row at a pole."""
        edges = np.deg2rad(self.edges[0])
        return np.diff(np.sin(edges)) / np.diff(edges)

    @property
    def nodes(self) -> np.ndarray:
        return to_cartesian(self.coordinates, self.radius)

    @property
    def spacing(self) -> np.ndarray:
        side = [np.deg2rad(w) * self.radius for w in self.widths]
        return np.maximum(side[0][:, None], self._level[:, None] * side[1][None, :])[self.mask]

    def restricted(self, mask) -> LatLonMesh:
        return self.on_sphere(*self.axes, radius=self.radius, edges=self.edges, mask=mask)

    def _volumes(self) -> np.ndarray:
        band = np.diff(np.sin(np.deg2rad(self.edges[0])))
        return self.radius**2 * band[:, None] * np.deg2rad(self.widths[1])[None, :]

    def _face_area(self, axis: int) -> np.ndarray:
        if axis == 0:
            circle = np.maximum(np.cos(np.deg2rad(self.edges[0])), 0.0)
            return self.radius * circle[:, None] * np.deg2rad(self.widths[1])[None, :]
        return self.radius * np.deg2rad(self.widths[0])[:, None]

    def _length(self, axis: int, distance: np.ndarray) -> np.ndarray:
        arc = self.radius * np.deg2rad(distance)
        return arc[:, None] if axis == 0 else self._level[:, None] * arc[None, :]

    def positions(self, coordinates) -> np.ndarray:
        return to_cartesian(coordinates, self.radius)
