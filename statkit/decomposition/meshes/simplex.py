"""Simplicial meshes: segments, triangles (in the plane or on a surface) and tetrahedra; linear elements."""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse
from scipy.spatial import Delaunay, cKDTree

from statkit.decomposition.fields.lengths import Lengths


def simplex_gradients(vertices: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of the hat functions (cells, corners, D) and the volume of each cell."""
    edges = vertices[cells[:, 1:]] - vertices[cells[:, :1]]
    gram = edges @ edges.transpose(0, 2, 1)
    inner = np.linalg.solve(gram, edges)
    gradients = np.concatenate([-inner.sum(axis=1, keepdims=True), inner], axis=1)
    size = cells.shape[1] - 1
    return gradients, np.sqrt(np.linalg.det(gram)) / math.factorial(size)


def simplex_stiffness(vertices: np.ndarray, cells: np.ndarray, lengths: Lengths) -> sparse.csr_array:
    """P1 stiffness of -∇·Σ∇ without a boundary term; Σ of a cell is the mean over its vertices."""
    gradients, volume = simplex_gradients(vertices, cells)
    n, k = len(vertices), cells.shape[1]
    if lengths.isotropic:
        sigma = lengths.sigma[cells].mean(axis=1) if lengths.varying else np.asarray(lengths.sigma)
        flux = gradients * sigma[..., None, None]
    else:
        sigma = lengths.sigma[cells].mean(axis=1) if lengths.varying else lengths.sigma
        flux = gradients @ sigma
    local = np.einsum("tad,tbd,t->tab", gradients, flux, volume)
    rows, cols = np.repeat(cells, k, axis=1), np.tile(cells, (1, k))
    return sparse.coo_array((local.ravel(), (rows.ravel(), cols.ravel())), shape=(n, n)).tocsr()


class SimplexMesh:
    """Vertices (n, D) and cells (m, s + 1): a mesh of dimension s in D-space.

    Vertices that no cell uses are left out of the domain: they have no mass.
    """

    full = True
    uniform = False

    def __init__(self, vertices, cells):
        self.nodes = np.asarray(vertices, dtype=float)
        self.cells = np.asarray(cells)
        if self.nodes.ndim != 2 or self.cells.ndim != 2:
            raise ValueError("a mesh is (vertices, cells): two arrays with two dimensions each")
        if not np.issubdtype(self.cells.dtype, np.integer):
            raise ValueError("the cells of a mesh are integer row numbers of its vertices")
        if self.cells.size and (self.cells.min() < 0 or self.cells.max() >= len(self.nodes)):
            raise ValueError(f"a cell of the mesh names a vertex outside 0 … {len(self.nodes) - 1}")
        self.dimension = self.cells.shape[1] - 1
        if not 1 <= self.dimension <= self.nodes.shape[1]:
            raise ValueError(
                f"cells with {self.cells.shape[1]} corners do not fit vertices in "
                f"{self.nodes.shape[1]} dimension(s)"
            )
        self.curved = self.dimension < self.nodes.shape[1]
        try:
            self._gradients, self._volume = simplex_gradients(self.nodes, self.cells)
        except np.linalg.LinAlgError:
            self._volume = np.zeros(1)
        flat = np.flatnonzero(~(self._volume > 0))
        if flat.size:
            raise ValueError(
                f"cell {flat[0]} of the mesh has no volume: its corners are on one line or plane"
            )
        share = np.repeat(self._volume / self.cells.shape[1], self.cells.shape[1])
        self.mass = np.bincount(self.cells.ravel(), share, len(self.nodes))

    @property
    def coordinates(self) -> np.ndarray:
        return self.nodes

    @property
    def spacing(self) -> np.ndarray:
        """Longest edge at each vertex (n,)."""
        longest = np.zeros(len(self.nodes))
        corners = self.cells.shape[1]
        for a in range(corners):
            for b in range(a + 1, corners):
                length = np.linalg.norm(self.nodes[self.cells[:, a]] - self.nodes[self.cells[:, b]], axis=1)
                np.maximum.at(longest, self.cells[:, a], length)
                np.maximum.at(longest, self.cells[:, b], length)
        return longest

    def stiffness(
        self, lengths: Lengths, boundary: str, extrapolation: float, coast=None
    ) -> sparse.csr_array:
        """Matrix of -∇·Σ∇ and its boundary term: symmetric, positive semi-definite."""
        if boundary not in ("robin", "neumann", "dirichlet"):
            raise ValueError(f"boundary must be robin, neumann or dirichlet on a mesh, got {boundary!r}")
        if self.curved and not lengths.isotropic:
            raise ValueError(
                "on a curved surface the correlation length is a number, or one number a location"
            )
        matrix = simplex_stiffness(self.nodes, self.cells, lengths)
        if boundary == "neumann":
            return matrix
        facets, area, normal = self._boundary_facets(lengths)
        if not len(facets):
            return matrix
        share = area / facets.shape[1]
        if boundary == "robin":
            term = np.sqrt(normal) / extrapolation * share
        else:  # so stiff that the mode vanishes there
            term = np.full(len(facets), 1e8 * np.abs(matrix.diagonal()).max())
        leak = np.bincount(facets.ravel(), np.repeat(term, facets.shape[1]), len(self.nodes))
        return sparse.csr_array(matrix + sparse.diags_array(leak))

    def _boundary_facets(self, lengths: Lengths):
        """Facets of one cell only: their vertices, area and nᵀΣn."""
        k = self.cells.shape[1]
        facets = np.concatenate([np.delete(self.cells, i, axis=1) for i in range(k)])
        opposite = np.repeat(np.arange(k), len(self.cells))
        owner = np.tile(np.arange(len(self.cells)), k)
        _, first, count = np.unique(np.sort(facets, axis=1), axis=0, return_index=True, return_counts=True)
        outer = first[count == 1]
        gradient = self._gradients[owner[outer], opposite[outer]]
        steep = np.linalg.norm(gradient, axis=1)
        area = self.dimension * self._volume[owner[outer]] * steep  # volume = area · height / dimension
        direction = gradient / steep[:, None]
        cells = self.cells[owner[outer]]
        if lengths.isotropic:
            sigma = lengths.sigma[cells].mean(axis=1) if lengths.varying else lengths.sigma
            normal = np.broadcast_to(sigma, len(outer))
        else:
            sigma = lengths.sigma[cells].mean(axis=1) if lengths.varying else lengths.sigma
            flux = np.einsum("fij,fj->fi", np.broadcast_to(sigma, (len(outer), *sigma.shape[-2:])), direction)
            normal = np.sum(direction * flux, axis=1)
        return facets[outer], area, normal

    def restricted(self, keep: np.ndarray) -> SimplexMesh:
        """The mesh of the vertices that are kept; a vertex that loses all its cells goes too."""
        cells = self.cells[keep[self.cells].all(axis=1)]
        used = np.unique(cells)
        number = np.full(len(self.nodes), -1)
        number[used] = np.arange(len(used))
        return type(self)(self.nodes[used], number[cells])

    def positions(self, coordinates) -> np.ndarray:
        return np.asarray(coordinates, dtype=float)

    def interpolator(self, coordinates) -> sparse.csr_array:
        """Barycentric interpolation (len(coordinates), n) in the cell that holds, or is near, a point."""
        points = self.positions(coordinates)
        centres = self.nodes[self.cells].mean(axis=1)
        candidates = min(16 if self.dimension < 3 else 48, len(centres))
        near = cKDTree(centres).query(points, k=candidates)[1].reshape(len(points), candidates)
        best = np.full(len(points), -np.inf)
        cell = near[:, 0].copy()
        weights = np.zeros((len(points), self.cells.shape[1]))
        for column in near.T:
            open_ = np.flatnonzero(best < -1e-9)  # still outside every cell tried
            if not open_.size:
                break
            trial = column[open_]
            offset = points[open_] - self.nodes[self.cells[trial, 0]]
            inner = np.einsum("pad,pd->pa", self._gradients[trial], offset)
            inner[:, 0] += 1.0
            better = inner.min(axis=1) > best[open_]
            chosen = open_[better]
            best[chosen], cell[chosen] = inner[better].min(axis=1), trial[better]
            weights[chosen] = inner[better]
        weights = np.clip(weights, 0, None)  # outside the mesh: the nearest point of its cell, nearly
        weights /= weights.sum(axis=1, keepdims=True)
        k = self.cells.shape[1]
        pointers = np.arange(0, len(points) * k + 1, k)
        triple = (weights.ravel(), self.cells[cell].ravel(), pointers)
        return sparse.csr_array(triple, shape=(len(points), len(self.nodes)))


def triangulate(points, max_edge: float | None = None) -> SimplexMesh:
    """Delaunay mesh of scattered points: segments between neighbours in 1-D, triangles, tetrahedra.

    Thin cells on the hull, which join points that are not neighbours in any useful sense, are peeled off as
    long as each of their corners keeps another cell. `max_edge` removes cells with a longer edge.
    """
    points = np.asarray(points, dtype=float)
    n, d = points.shape
    if n < d + 1:
        raise ValueError(f"{n} locations do not make a mesh in {d} dimension(s)")
    if d == 1:
        order = np.argsort(points[:, 0], kind="stable")
        cells = np.column_stack([order[:-1], order[1:]])
    else:
        cells = Delaunay(points).simplices
    distinct = len(np.unique(points, axis=0))
    if distinct < n or len(np.unique(cells)) < n:
        raise ValueError(
            f"{n - min(distinct, len(np.unique(cells)))} of {n} locations coincide with others: a mesh "
            "through the locations needs distinct ones; average them, or use mesh='grid'"
        )
    corners = points[cells]
    pairs = [(a, b) for a in range(d + 1) for b in range(a + 1, d + 1)]
    longest = np.max([np.linalg.norm(corners[:, a] - corners[:, b], axis=1) for a, b in pairs], axis=0)
    if max_edge is not None:
        cells, longest = cells[longest <= max_edge], longest[longest <= max_edge]
        if not len(cells):
            raise ValueError(f"no cell of the mesh has all its edges below max_edge={max_edge:g}")
    elif d > 1:
        cells = _peel(points, cells, longest)
    return SimplexMesh(points, cells)


def _peel(points: np.ndarray, cells: np.ndarray, longest: np.ndarray, thin: float = 0.05) -> np.ndarray:
    d = points.shape[1]
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    volume = np.abs(np.linalg.det(edges)) / math.factorial(d)
    sliver = volume * math.factorial(d) < thin * longest**d
    for _ in range(20):
        k = d + 1
        facets = np.sort(np.concatenate([np.delete(cells, i, axis=1) for i in range(k)]), axis=1)
        _, inverse, count = np.unique(facets, axis=0, return_inverse=True, return_counts=True)
        outer = (count[inverse] == 1).reshape(k, -1).any(axis=0)
        uses = np.bincount(cells.ravel(), minlength=len(points))
        goes = outer & sliver & (uses[cells].min(axis=1) > 1)
        goes &= (
            np.cumsum(goes) <= max(1, goes.sum() // 2) if goes.sum() > 1 else goes
        )  # corners may be shared
        lost = np.bincount(cells[goes].ravel(), minlength=len(points))
        goes &= (uses - lost)[cells].min(axis=1) > 0
        if not goes.any():
            break
        cells, longest, sliver = cells[~goes], longest[~goes], sliver[~goes]
    return cells
