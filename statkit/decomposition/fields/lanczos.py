"""Extreme eigenpairs by block Lanczos: a few passes over the basis where one vector at a time takes many.

The operator is the inverse of a shifted sparse matrix. Two things make it fast: a shift close below the spectrum, and
triangular solves that take eight vectors at a time through the factor.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from statkit.decomposition.fields._kernels import lanczos_ground, solve_lower, solve_upper

BLOCK = 8  # vectors at a time: one cache line of a row
_CLOSER = 0.85  # how far the shift moves from its safe place toward the ground state
_STEPS = 400  # of the search for the ground state


class ShiftedInverse:
    """(matrix - shift)⁻¹ of a symmetric sparse matrix, applied to blocks of vectors.

    ``definite`` says whether the matrix less its shift is positive definite, by the signs of its pivots.
    """

    def __init__(self, matrix, shift: float):
        n = matrix.shape[0]
        self.shift = shift
        self.factor = splu(
            sparse.csc_array(matrix - shift * sparse.eye_array(n)),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        self.lower = self.factor.L
        self.lower.sort_indices()
        pivots = self.factor.U.diagonal()
        self.permutation = self.factor.perm_c
        self.symmetric = bool(np.array_equal(self.factor.perm_r, self.permutation))
        self.definite = self.symmetric and bool((pivots > 0).all())
        self.reciprocals = 1 / pivots
        self.order = np.argsort(self.permutation)

    @classmethod
    def below(cls, matrix, bound: float) -> ShiftedInverse:
        """With a shift as close below the spectrum as is cheap to find; `bound` is surely below it.

        The nearer the shift, the better the wanted eigenvalues of the inverse stand apart. A few steps of the plain
        iteration find the ground state from above, and the signs of the pivots tell when that was too far.
        """
        energy = _ground_energy(matrix, bound)
        if energy is not None:
            closer = cls(matrix, bound + _CLOSER * (energy - bound))
            if closer.definite:
                return closer
        return cls(matrix, bound)

    def __matmul__(self, block: np.ndarray) -> np.ndarray:
        if not self.symmetric:  # an off-diagonal pivot: the factors are not each other's transpose
            return self.factor.solve(block)
        width = block.shape[1]
        if width > BLOCK:
            return np.hstack([self @ block[:, start : start + BLOCK] for start in range(0, width, BLOCK)])
        if width < BLOCK:
            block = np.pad(block, ((0, 0), (0, BLOCK - width)))
        out = np.take(block, self.order, axis=0)
        solve_lower(self.lower.indptr, self.lower.indices, self.lower.data, out)
        solve_upper(self.lower.indptr, self.lower.indices, self.lower.data, self.reciprocals, out)
        return np.take(out, self.permutation, axis=0)[:, :width]


def _ground_energy(matrix, bound: float) -> float | None:
    """Lowest eigenvalue from above, to a small part of its distance from `bound`; None if that takes too long."""
    n = matrix.shape[0]
    diagonal, beside = np.zeros(_STEPS), np.zeros(_STEPS)
    vectors = np.empty((3, n))
    # Positive, as the ground state is, and not orthogonal to states of any symmetry.
    vectors[0] = 1 + 0.5 * np.random.default_rng(0).random(n)
    vectors[0] /= np.linalg.norm(vectors[0])
    done = 0
    for done in range(50, min(_STEPS, n) + 1, 50):
        lanczos_ground(matrix.indptr, matrix.indices, matrix.data, vectors, diagonal, beside, done - 50, done)
        value, inside = linalg.eigh_tridiagonal(
            diagonal[:done], beside[: done - 1], select="i", select_range=(0, 0)
        )
        residual = abs(beside[done - 1] * inside[-1, 0])
        if residual <= 0.1 * (value[0] - bound):
            return float(value[0])
    return None


def largest(
    operator, n: int, k: int, *, tol: float = 1e-6, loose: int = 0, block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray]:
    """Largest k eigenvalues, descending, and orthonormal eigenvectors (n, k) of a symmetric operator.

    Block Lanczos with full orthogonalisation, restarted with its best vectors when the basis grows long.

    Parameters
    ----------
    operator : object
        ``operator @ block`` for blocks (n, `block`).
    n, k : int
    tol : float, default=1e-6
        Residual of an eigenpair relative to its eigenvalue.
    loose : int, default=0
        So many of the last eigenpairs need a residual of a hundredth only.
    block : int, default=8
        Vectors at a time; eigenvalues may be as many-fold as this.
    """
    limit = min(n, max(4 * k, k + 200))
    basis = np.empty((limit + block, n))
    projected = np.zeros((limit + block, limit + block))
    required = np.full(k, tol)
    required[max(k - loose, 0) :] = max(tol, 1e-2)
    new = np.random.default_rng(0).standard_normal((n, block))
    new[:, 0] = 1.0
    new = np.linalg.qr(operator @ new)[0]  # the operator damps what is not wanted
    size = step = 0
    near = block  # rows of the basis that the image of the newest lies on, nearly
    while True:
        width = new.shape[1]
        basis[size : size + width] = new.T
        size += width
        step += 1
        seen = basis[:size]
        image = operator @ new
        coupling, image = _orthogonalised(seen, image, near)
        near = 2 * width
        projected[:size, size - width : size] = coupling
        projected[size - width : size, :size] = coupling.T
        full = size + block > limit
        scale = np.abs(coupling).max()
        new, beyond = _orthonormal(seen, image, scale) if size < n else (image[:, :0], np.zeros((0, width)))
        if not full and (step % 2 or size < k + block):
            continue
        value, inside = linalg.eigh(projected[:size, :size])
        value, inside = value[::-1], inside[:, ::-1]
        residual = np.linalg.norm(beyond @ inside[size - width : size, :k], axis=0)
        if size >= n or (residual <= required * np.abs(value[:k])).all():
            return value[:k], (inside[:, :k].T @ seen).T
        if full:  # start again from the best vectors, which keep what was learned
            kept = min(k + 2 * block, size - block)
            basis[:kept] = inside[:, :kept].T @ seen
            projected[:] = 0.0
            projected[np.arange(kept), np.arange(kept)] = value[:kept]
            size = kept
            near = kept + block


def _orthogonalised(basis: np.ndarray, image: np.ndarray, near: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a block on the rows of the basis, and what is left of it.

    Nearly all of it lies on the last `near` rows, by the three-term recurrence. These go first, so that what the whole
    basis then takes off is rounding; in one pass over all of it rounding would grow from step to step.
    """
    rows = basis[-near:]
    first = rows @ image
    image = image - (first.T @ rows).T
    coupling = basis @ image
    image -= (coupling.T @ basis).T
    coupling[-near:] += first
    return coupling, image


def _orthonormal(basis: np.ndarray, block: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal columns with the span of a block, orthogonal to the basis, and its coefficients on them.

    A block without anything new in some direction, next to `scale`, gets any other direction in its place.
    """
    out = block
    try:
        if np.linalg.norm(block, axis=0).min() <= 1e-12 * scale:
            raise np.linalg.LinAlgError
        for _ in range(2):  # the second time for the rounding of the first
            factor = np.linalg.cholesky(out.T @ out)
            out = out @ np.linalg.inv(factor).T
    except np.linalg.LinAlgError:
        out = np.linalg.qr(block)[0]
        for _ in range(2):
            out = np.linalg.qr(out - ((basis @ out).T @ basis).T)[0]
    return out, out.T @ block
