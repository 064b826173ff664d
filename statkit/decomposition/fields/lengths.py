"""Correlation lengths as squared-length tensors Σ: one number, one matrix, or a field of either."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lengths:
    """Σ of shape () or (d, d), or with a leading axis of points when it varies."""

    sigma: np.ndarray
    dimension: int
    varying: bool

    @property
    def isotropic(self) -> bool:
        return self.sigma.ndim == int(self.varying)

    @property
    def value(self):
        """What the user reads: ℓ where isotropic (a float or one a point), Σ otherwise."""
        if self.isotropic:
            return np.sqrt(self.sigma) if self.varying else float(np.sqrt(self.sigma))
        return self.sigma

    def scaled(self, factor: float) -> Lengths:
        return Lengths(self.sigma * factor, self.dimension, self.varying)

    def along(self, axis: int):
        """Σ_aa: a scalar, or one value a point."""
        return self.sigma if self.isotropic else self.sigma[..., axis, axis]

    def matrix(self) -> np.ndarray:
        """Σ as (d, d) or (n, d, d)."""
        if self.isotropic:
            return self.sigma[..., None, None] * np.eye(self.dimension)
        return self.sigma

    def root_determinant(self):
        """√|Σ|: a scalar, or one value a point."""
        if self.isotropic:
            return self.sigma ** (self.dimension / 2)
        return np.sqrt(np.linalg.det(self.sigma))

    def shortest(self) -> np.ndarray:
        """Shortest correlation length (at each point, when it varies)."""
        if self.isotropic:
            return np.sqrt(self.sigma)
        return np.sqrt(np.linalg.eigvalsh(self.sigma)[..., 0])

    def longest(self) -> float:
        return float(np.sqrt(np.max(self.sigma if self.isotropic else np.linalg.eigvalsh(self.sigma))))

    def moved(self, transfer) -> Lengths:
        """Σ at other points; `transfer` maps (n, columns) there (averages, so that Σ stays positive)."""
        if not self.varying:
            return self
        flat = self.sigma.reshape(len(self.sigma), -1)
        moved = np.column_stack([transfer(column) for column in flat.T])
        return Lengths(moved.reshape(len(moved), *self.sigma.shape[1:]), self.dimension, True)

    def at(self, rows) -> Lengths:
        return Lengths(self.sigma[rows], self.dimension, True) if self.varying else self


def read_lengths(value, dimension: int, n_points: int) -> Lengths:
    """Check a correlation length and turn it into Σ.

    A number; one length an axis (d,); a squared-length matrix Σ (d, d); one length a location (p,); or one
    matrix a location (p, d, d).
    """
    array = np.asarray(value, dtype=float)
    d = dimension
    if array.shape == (1,):
        array = array[0]
    if not np.all(np.isfinite(array)):
        raise ValueError("correlation_length contains NaN or infinite values")
    if array.ndim < 2 and np.any(array <= 0):
        raise ValueError(f"correlation_length must be positive, got {np.min(array):g}")
    if array.ndim == 0:
        return Lengths(array**2, d, False)
    if array.shape == (d,):
        return Lengths(np.diag(array**2), d, False)
    if array.shape == (n_points,):
        return Lengths(array**2, d, True)
    if array.shape in ((d, d), (n_points, d, d)):
        if not np.allclose(array, np.swapaxes(array, -1, -2), rtol=1e-8, atol=0):
            raise ValueError("correlation_length is a matrix that is not symmetric")
        smallest = np.linalg.eigvalsh(array)[..., 0]
        if np.any(smallest <= 0):
            raise ValueError(
                "correlation_length is a matrix that is not positive definite "
                f"(smallest eigenvalue {np.min(smallest):g})"
            )
        return Lengths(array, d, array.ndim == 3)
    raise ValueError(
        f"correlation_length has shape {array.shape}; with {n_points} locations in {d} dimension(s) it can "
        f"be a number, one length an axis ({d},), a matrix of squared lengths ({d}, {d}), one length a "
        f"location ({n_points},) or one matrix a location ({n_points}, {d}, {d})"
    )
