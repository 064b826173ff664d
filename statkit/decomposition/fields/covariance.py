"""The exact correlation operator of a field times blocks of vectors: by FFT, by pairs, by the heat kernel.

This is what the sparse operators approximate: it refines their modes and is the reference for tests.
"""

from __future__ import annotations

import numpy as np
from scipy import fft
from scipy.sparse.linalg import expm_multiply

from statkit.decomposition.fields import _kernels
from statkit.decomposition.fields.kernel import Kernel
from statkit.decomposition.fields.lengths import Lengths

_CLOSED = (0.5, 1.5, 2.5)


class GridCorrelation:
    """ρ on the cells of a uniform grid: a convolution, zero-padded where the axis does not close."""

    def __init__(self, mesh, lengths: Lengths, kernel: Kernel):
        self.mesh = mesh
        reach = lengths.longest() * kernel.reach(1e-8)
        self.padded, offsets = [], []
        for axis, n in enumerate(mesh.shape):
            step = float(mesh.widths[axis][0])
            if mesh.periodic[axis]:
                size = n
            else:
                size = fft.next_fast_len(min(2 * n - 1, n + int(np.ceil(reach / step)) + 1), real=True)
            k = np.arange(size)
            self.padded.append(size)
            offsets.append(np.where(k <= size // 2, k, k - size) * step)
        shifts = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1)
        inverse = np.linalg.inv(lengths.matrix())
        r = np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", shifts, inverse, shifts), 0))
        self.symbol = fft.rfftn(kernel.correlation(r))

    def __matmul__(self, block: np.ndarray) -> np.ndarray:
        one = block.ndim == 1
        columns = block[:, None] if one else block
        out = np.empty_like(columns, dtype=float)
        grid = np.zeros(self.mesh.shape)
        inside = tuple(slice(n) for n in self.mesh.shape)
        for column in range(columns.shape[1]):
            grid[self.mesh.mask] = columns[:, column]
            spectrum = fft.rfftn(grid, s=self.padded)
            spectrum *= self.symbol
            out[:, column] = fft.irfftn(spectrum, s=self.padded)[inside][self.mesh.mask]
        return out[:, 0] if one else out


class PairCorrelation:
    """ρ between scattered positions; pairs whose correlation is below a millionth are left out."""

    def __init__(self, positions: np.ndarray, lengths: Lengths, kernel: Kernel):
        n, d = positions.shape
        self.nu = kernel.nu
        self.reach = kernel.reach(1e-6)
        self.table, self.step = np.zeros(0), 1.0
        if not kernel.gaussian and kernel.nu not in _CLOSED:
            self.step = self.reach / 20_000
            self.table = kernel.correlation(np.arange(20_002) * self.step)
            self.table[0] = 1.0
        self.varying = lengths.varying
        if self.varying:
            sigma = lengths.sigma[:, None, None] * np.eye(d) if lengths.isotropic else lengths.sigma
            self.points = np.ascontiguousarray(positions)
            self.sigma = np.ascontiguousarray(sigma)
            self.root = np.linalg.det(self.sigma) ** 0.25
            return
        if lengths.isotropic:
            white = positions / np.sqrt(float(lengths.sigma))
        else:
            white = np.linalg.solve(np.linalg.cholesky(lengths.sigma), positions.T).T
        points = np.zeros((n, 3))
        points[:, :d] = white
        low = points.min(axis=0)
        # No more cells than points, however far apart these are.
        side = np.maximum(self.reach * 1.000001, np.ptp(points, axis=0) / max(8.0, n ** (1 / d)))
        cell = np.floor((points - low) / side).astype(np.int64)
        self.counts = cell.max(axis=0) + 1
        key = (cell[:, 0] * self.counts[1] + cell[:, 1]) * self.counts[2] + cell[:, 2]
        self.order = np.argsort(key, kind="stable")
        occupied, first = np.unique(key[self.order], return_index=True)
        self.starts = np.append(first, n)
        self.cells = cell[self.order][first]
        self.points = np.ascontiguousarray(points[self.order])
        assert len(occupied) == len(self.cells)

    def __matmul__(self, block: np.ndarray) -> np.ndarray:
        columns = np.ascontiguousarray(block.reshape(len(block), -1), dtype=float)
        out = np.zeros_like(columns)
        reach2 = self.reach**2
        if self.varying:
            _kernels.apply_varying(
                self.points, self.sigma, self.root, self.nu, self.table, self.step, reach2, columns, out
            )
            return out.reshape(block.shape)
        sorted_out = np.zeros_like(columns)
        _kernels.apply_stationary(
            self.points,
            self.starts,
            self.cells,
            self.counts,
            reach2,
            self.nu,
            self.table,
            self.step,
            columns[self.order],
            sorted_out,
        )
        out[self.order] = sorted_out
        return out.reshape(block.shape)


class GraphCorrelation:
    """The heat kernel of a graph, e^(-τL) with τ = ℓ²/2."""

    def __init__(self, mesh, lengths: Lengths):
        self.generator = mesh.laplacian * (-0.5 * float(lengths.sigma))

    def __matmul__(self, block: np.ndarray) -> np.ndarray:
        return expm_multiply(self.generator, block, traceA=float(self.generator.diagonal().sum()))


def correlation_operator(mesh, lengths: Lengths, kernel: Kernel):
    """The correlation over the nodes of a mesh, as something that multiplies blocks of vectors."""
    if mesh.nodes is None:
        if not kernel.gaussian:
            raise ValueError('on a graph the kernel is the heat kernel: kernel="gaussian"')
        return GraphCorrelation(mesh, lengths)
    if mesh.uniform and not lengths.varying:
        return GridCorrelation(mesh, lengths, kernel)
    if lengths.varying and mesh.curved:
        return PairCorrelation(mesh.nodes, Lengths(lengths.sigma, mesh.nodes.shape[1], True), kernel)
    return PairCorrelation(mesh.nodes, lengths, kernel)


def rayleigh_ritz(apply, vectors: np.ndarray, n_applications: int) -> tuple[np.ndarray, np.ndarray]:
    """After n - 1 subspace iterations rotate a block to the covariance's best eigenvectors in its span."""
    for _ in range(n_applications - 1):
        vectors = np.linalg.qr(apply(vectors))[0]
    small = vectors.T @ apply(vectors)
    value, rotation = np.linalg.eigh(0.5 * (small + small.T))
    return value[::-1], vectors @ rotation[:, ::-1]
