"""The sphere as an icosahedron cut finer and finer."""

from __future__ import annotations

import numpy as np

from statkit.decomposition.meshes.latlon import to_cartesian
from statkit.decomposition.meshes.simplex import SimplexMesh


def icosphere(subdivisions: int = 4, radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Triangulate the sphere by subdividing an icosahedron.

    Parameters
    ----------
    subdivisions : int, default=4
        Each one cuts every triangle in four: 10 · 4^s + 2 vertices; between 0 and 8.
    radius : float, default=1.0
        Radius of the sphere.

    Returns
    -------
    vertices : ndarray of shape (10 · 4^s + 2, 3)
    cells : ndarray of int of shape (20 · 4^s, 3)

    Examples
    --------
    >>> from statkit.decomposition import icosphere
    >>> vertices, cells = icosphere(2)
    >>> vertices.shape, cells.shape
    ((162, 3), (320, 3))
    """
    if not (isinstance(subdivisions, (int, np.integer)) and 0 <= subdivisions <= 8):
        raise ValueError(f"subdivisions must be an integer between 0 and 8, got {subdivisions!r}")
    golden = (1 + 5**0.5) / 2
    corners = [(0, s, t * golden) for s in (1, -1) for t in (1, -1)]
    vertices = np.array([np.roll(c, shift) for shift in range(3) for c in corners], dtype=float)
    vertices /= np.linalg.norm(vertices[0])
    gaps = np.linalg.norm(vertices[:, None] - vertices, axis=2)
    joined = (gaps > 0) & (gaps < 1.1)  # an edge has length 1.051
    cells = np.array(
        [
            (a, b, c)
            for a in range(12)
            for b in range(a + 1, 12)
            for c in range(b + 1, 12)
            if joined[a, b] and joined[b, c] and joined[a, c]
        ]
    )
    for _ in range(subdivisions):
        sides = np.sort(np.concatenate([cells[:, [0, 1]], cells[:, [1, 2]], cells[:, [2, 0]]]), axis=1)
        unique, inverse = np.unique(sides, axis=0, return_inverse=True)
        middle = vertices[unique].sum(axis=1)
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        ab, bc, ca = inverse.reshape(3, -1) + len(vertices)
        a, b, c = cells.T
        cells = np.concatenate(
            [np.column_stack(t) for t in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
        )
        vertices = np.concatenate([vertices, middle])
    return radius * vertices, cells


class SphereMesh(SimplexMesh):
    """A surface mesh of the sphere whose user coordinates are (latitude, longitude) in degrees."""

    def positions(self, coordinates) -> np.ndarray:
        return to_cartesian(coordinates, float(np.linalg.norm(self.nodes[0])))

    @property
    def coordinates(self) -> np.ndarray:
        x, y, z = (self.nodes / np.linalg.norm(self.nodes, axis=1, keepdims=True)).T
        return np.rad2deg(np.column_stack([np.arcsin(np.clip(z, -1, 1)), np.arctan2(y, x)]))
