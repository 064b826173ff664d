"""Rectilinear grids in any dimension, with masked cells: cell-centred finite volumes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from statkit.decomposition.fields.lengths import Lengths
from statkit.decomposition.meshes.simplex import simplex_stiffness

BOUNDARIES = ("robin", "neumann", "dirichlet", "periodic")


class GridMesh:
    """Cells of a rectilinear grid; the nodes are the centres of the cells that the mask keeps.

    Parameters
    ----------
    axes : sequence of ndarray
        Increasing cell centres, one vector an axis.
    edges : sequence of ndarray, default=None
        Cell edges; None puts them half-way between the centres.
    periodic : sequence of bool, default=None
        Axes that close on themselves.
    mask : ndarray of bool of the grid's shape, default=None
        Cells that belong to the domain.
    """

    curved = False

    def __init__(self, axes, *, edges=None, periodic=None, mask=None):
        self.axes = tuple(np.asarray(a, dtype=float) for a in axes)
        self.edges = tuple(edges) if edges is not None else tuple(map(cell_edges, self.axes))
        self.shape = tuple(len(a) for a in self.axes)
        self.dimension = len(self.axes)
        self.periodic = tuple(periodic) if periodic is not None else (False,) * self.dimension
        self.mask = np.ones(self.shape, bool) if mask is None else np.asarray(mask, bool).reshape(self.shape)
        self.full = bool(self.mask.all())
        self.index = np.where(self.mask, np.cumsum(self.mask).reshape(self.shape) - 1, -1)
        self.mass = self._volumes()[self.mask]

    @property
    def widths(self) -> tuple[np.ndarray, ...]:
        return tuple(np.diff(e) for e in self.edges)

    @property
    def uniform(self) -> bool:
        """All cells are equal, so that a stationary kernel is a convolution."""
        return all(np.ptp(w) <= 1e-6 * w.max() for w in self.widths)

    @property
    def coordinates(self) -> np.ndarray:
        """Centres of the kept cells in the user's coordinates (n, d)."""
        return np.column_stack([g[self.mask] for g in np.meshgrid(*self.axes, indexing="ij")])

    @property
    def nodes(self) -> np.ndarray:
        """Positions between which distances are measured (n, D)."""
        return self.coordinates

    @property
    def spacing(self) -> np.ndarray:
        """Widest side of each cell (n,)."""
        widest = np.zeros(self.shape)
        for axis, width in enumerate(self.widths):
            np.maximum(widest, self._along(axis, width), out=widest)
        return widest[self.mask]

    def restricted(self, mask) -> GridMesh:
        """The same grid with fewer cells."""
        return type(self)(self.axes, edges=self.edges, periodic=self.periodic, mask=mask)

    def _along(self, axis: int, vector: np.ndarray) -> np.ndarray:
        return np.asarray(vector).reshape([-1 if a == axis else 1 for a in range(self.dimension)])

    def _volumes(self) -> np.ndarray:
        volume = np.ones(self.shape)
        for axis, width in enumerate(self.widths):
            volume = volume * self._along(axis, width)
        return volume

    def _face_area(self, axis: int) -> np.ndarray:
        """Area of the n + 1 faces across `axis`; length 1 on that axis when they are all alike."""
        others = [self._along(a, w) for a, w in enumerate(self.widths) if a != axis]
        return math.prod(others) if others else np.ones((1,) * self.dimension)

    def _length(self, axis: int, distance: np.ndarray) -> np.ndarray:
        """Physical length of a coordinate difference along `axis`, broadcastable to the grid."""
        return self._along(axis, distance)

    def stiffness(
        self, lengths: Lengths, boundary: str | Sequence[str], extrapolation: float, coast: str | None = None
    ) -> sparse.csr_array:
        """Matrix of -∇·Σ∇ and its boundary term: symmetric, positive semi-definite.

        `extrapolation` is the distance outside the domain, in units of √Σ_nn, where a Robin mode vanishes;
        `coast` is the condition where masked cells begin (None: as on the outer boundary).
        """
        kinds = (boundary,) * self.dimension if isinstance(boundary, str) else tuple(boundary)
        if len(kinds) != self.dimension or any(kind not in BOUNDARIES for kind in kinds):
            raise ValueError(
                f"boundary must be one of {', '.join(BOUNDARIES)}, or one of them for each of the "
                f"{self.dimension} axes, got {boundary!r}"
            )
        n = len(self.mass)
        diagonal = np.zeros(n)
        rows, cols, values = [], [], []
        tensor = not lengths.isotropic and np.any(lengths.matrix()[..., ~np.eye(self.dimension, dtype=bool)])
        for axis, kind in enumerate(kinds):
            sigma = np.zeros(self.shape)
            sigma[self.mask] = lengths.along(axis)

            def leak(cells, keep, area, half, law, sigma=sigma):
                """Add the boundary term of the faces of `cells` where `keep`."""
                if law in ("neumann", "periodic") or not keep.any():
                    return
                normal = sigma[cells]
                beyond = extrapolation * np.sqrt(normal) if law == "robin" else 0.0
                term = np.divide(normal * area, half + beyond, where=keep, out=np.zeros(keep.shape))
                diagonal[self.index[cells][keep]] += term[keep]

            for low, high, area, distance, half_low, half_high in self._pairs(axis, kind):
                here, there = self.index[low], self.index[high]
                both = (here >= 0) & (there >= 0)
                if not tensor:
                    conductance = (0.5 * (sigma[low] + sigma[high]) * area / distance)[both]
                    a, b = here[both], there[both]
                    diagonal[a] += conductance
                    diagonal[b] += conductance
                    rows += [a, b]
                    cols += [b, a]
                    values += [-conductance, -conductance]
                leak(low, (here >= 0) & (there < 0), area, half_low, coast or kind)
                leak(high, (there >= 0) & (here < 0), area, half_high, coast or kind)
            for cells, area, half in self._ends(axis, kind):
                leak(cells, self.index[cells] >= 0, area, half, kind)
        if tensor:
            matrix = self._tensor_stiffness(lengths) + sparse.diags_array(diagonal)
            return sparse.csr_array(matrix)
        rows.append(np.arange(n))
        cols.append(np.arange(n))
        values.append(diagonal)
        triple = (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols)))
        return sparse.coo_array(triple, shape=(n, n)).tocsr()

    def _cut(self, axis: int, *bounds: int) -> tuple[slice, ...]:
        return tuple(slice(*bounds) if a == axis else slice(None) for a in range(self.dimension))

    def _area_between(self, axis: int, *bounds: int) -> np.ndarray:
        area = self._face_area(axis)
        return area[self._cut(axis, *bounds)] if area.shape[axis] > 1 else area

    def _halves(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Distance from each centre to the edge below it and to the edge above it."""
        centres, edges = self.axes[axis], self.edges[axis]
        return centres - edges[:-1], edges[1:] - centres

    def _pairs(self, axis: int, kind: str):
        """Cells on both sides of the inner faces: slices, face area, distance, and its two parts."""
        n, cut = self.shape[axis], lambda *bounds: self._cut(axis, *bounds)
        below, above = self._halves(axis)
        if n > 1:
            parts = (above[:-1] + below[1:], above[:-1], below[1:])
            yield (cut(0, n - 1), cut(1, n), self._area_between(axis, 1, n), *self._physical(axis, parts))
        if n > 2 and (self.periodic[axis] or kind == "periodic"):
            parts = (above[-1:] + below[:1], above[-1:], below[:1])
            yield (cut(n - 1, n), cut(0, 1), self._area_between(axis, n, n + 1), *self._physical(axis, parts))

    def _ends(self, axis: int, kind: str):
        """Cells at both ends of an axis that does not close: slices, face area, distance to the face."""
        if self.periodic[axis] or kind == "periodic":
            return
        n = self.shape[axis]
        below, above = self._halves(axis)
        yield self._cut(axis, 0, 1), self._area_between(axis, 0, 1), *self._physical(axis, [below[:1]])
        yield (
            self._cut(axis, n - 1, n),
            self._area_between(axis, n, n + 1),
            *self._physical(axis, [above[-1:]]),
        )

    def _physical(self, axis: int, distances):
        return [self._length(axis, distance) for distance in distances]

    def _tensor_stiffness(self, lengths: Lengths) -> sparse.csr_array:
        """Full tensor: linear elements on the simplices between cell centres."""
        if any(self.periodic):
            raise ValueError("a correlation length with off-diagonal terms does not go with a periodic axis")
        return simplex_stiffness(self.coordinates, self.cells(), lengths)

    def cells(self) -> np.ndarray:
        """Simplices whose vertices are kept centres: each box is cut along the orders of its axes."""
        d = self.dimension
        corner = np.stack(np.meshgrid(*[np.arange(n - 1) for n in self.shape], indexing="ij"), -1)
        corner = corner.reshape(-1, d)
        simplices = []
        for order in itertools.permutations(range(d)):
            step = np.zeros(d, int)
            vertices = [corner]
            for axis in order:
                step[axis] = 1
                vertices.append(corner + step)
            simplices.append(np.column_stack([self.index[tuple(v.T)] for v in vertices]))
        cells = np.concatenate(simplices)
        return cells[(cells >= 0).all(axis=1)]

    def interpolator(self, coordinates) -> sparse.csr_array:
        """Multilinear interpolation (len(coordinates), n); near the mask the missing corners are left out."""
        points = np.asarray(coordinates, dtype=float)
        p = len(points)
        bases, fractions = [], []
        for axis in range(self.dimension):
            base, t = self._bracket(axis, points[:, axis])
            bases.append(base)
            fractions.append(t)
        rows = np.arange(p)
        columns, weights = [], []
        for corner in itertools.product((0, 1), repeat=self.dimension):
            weight = np.ones(p)
            index = []
            for axis, side in enumerate(corner):
                n = self.shape[axis]
                weight = weight * (fractions[axis] if side else 1 - fractions[axis])
                index.append((bases[axis] + side) % n if n > 1 else bases[axis])
            node = self.index[tuple(index)]
            columns.append(node)
            weights.append(weight)
        columns, weights = np.stack(columns, 1), np.stack(weights, 1)
        if not self.full:
            weights = np.where(columns >= 0, np.clip(weights, 0, None), 0.0)
            total = weights.sum(axis=1)
            lost = total < 1e-8
            weights[~lost] /= total[~lost, None]
            if lost.any():
                from scipy.spatial import cKDTree

                nearest = cKDTree(self.nodes).query(self.positions(points[lost]))[1]
                columns[lost], weights[lost] = nearest[:, None], 1 / columns.shape[1]
            columns = np.maximum(columns, 0)
        k = columns.shape[1]
        pointers = np.arange(0, p * k + 1, k, dtype=np.int64 if p * k > 2**31 - 2 else np.int32)
        triple = (weights.ravel(), columns.ravel().astype(pointers.dtype), pointers)
        return sparse.csr_array(triple, shape=(len(rows), len(self.mass)))

    def _bracket(self, axis: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower neighbour and fraction; beyond the outer centres the last pair extrapolates half a cell."""
        centres = self.axes[axis]
        n = len(centres)
        if n == 1:
            return np.zeros(len(x), int), np.zeros(len(x))
        if self.periodic[axis]:
            low, high = self.edges[axis][0], self.edges[axis][-1]
            x = centres[0] + (x - centres[0]) % (high - low)
            base = np.searchsorted(centres, x, side="right") - 1
            ends = np.append(centres, centres[0] + high - low)
            return base, (x - ends[base]) / (ends[base + 1] - ends[base])
        x = np.clip(x, self.edges[axis][0], self.edges[axis][-1])
        base = np.clip(np.searchsorted(centres, x, side="right") - 1, 0, n - 2)
        return base, (x - centres[base]) / (centres[base + 1] - centres[base])

    def positions(self, coordinates) -> np.ndarray:
        """Positions of user coordinates in the space of `nodes`."""
        return np.asarray(coordinates, dtype=float)


def cell_edges(centres: np.ndarray) -> np.ndarray:
    """Edges half-way between centres; a single cell has width 1."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = 0.5 * (centres[1:] + centres[:-1])
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])
