"""A table with holes as the E-step wants it: rows grouped by missing pattern, read block by block.

Complete rows are summed once. Of the others only their numbers and packed patterns are kept: the values stay
where they are (perhaps in a memory map), and a pass over them needs room for one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from statkit.causal._kernels import fill_patterns

BLOCK = 16_384


class Moments(NamedTuple):
    """Expected sufficient statistics of a table, and the log-likelihood of what was observed of it."""

    mean: np.ndarray
    covariance: np.ndarray
    loglik: float


class Block(NamedTuple):
    """Incomplete rows, sorted by pattern: their numbers, pattern starts, packed patterns and weights."""

    rows: np.ndarray
    starts: np.ndarray
    packed: np.ndarray
    weight: np.ndarray


class IncompleteData:
    """A table with missing entries, shifted and scaled while it is read.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        NaN where missing.
    sample_weight : ndarray of shape (n,), default=None
        Rows of weight 0 are left out; None is 1 for each row.
    centre, scale : bool, default=True, False
        Subtract the observed means; divide by the observed standard deviations.

    Attributes
    ----------
    shift, unit : (d,) what is subtracted from a column, then divides it.
    weight : (n,) row weights.
    n : total weight of the rows that have an observed entry.
    n_entries : weighted number of observed entries.
    pair_counts : (d, d) weighted numbers of rows in which two columns are both observed.
    """

    def __init__(self, X, sample_weight=None, *, centre: bool = True, scale: bool = False):
        self.X = X
        self.d = d = X.shape[1]
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        self.pair_counts = np.zeros((d, d))
        sums = np.zeros(d)
        complete_rows, blocks, self.dropped = [], [], []
        for lo in range(0, len(X), BLOCK):
            part = np.asarray(X[lo : lo + BLOCK], dtype=float)
            w = weight[lo : lo + BLOCK]
            seen = ~np.isnan(part)
            used = (w > 0) & seen.any(axis=1)
            full = seen.all(axis=1)
            self.dropped.append(lo + np.flatnonzero(~used))
            sums += w @ np.where(seen, part, 0.0)
            self.pair_counts += (seen * w[:, None]).T @ seen
            complete_rows.append(lo + np.flatnonzero(full & used))
            blocks += _group(lo + np.flatnonzero(~full & used), seen[~full & used], w[~full & used])
        self.blocks = blocks
        self.weight = weight
        self.dropped = np.concatenate([np.empty(0, np.int64), *self.dropped])
        self.complete_rows = np.concatenate([np.empty(0, np.int64), *complete_rows])
        counts = np.diag(self.pair_counts).copy()
        self.counts = counts
        self.n = float(np.delete(weight, self.dropped).sum())
        self.n_entries = float(counts.sum())
        mean = sums / np.where(counts > 0, counts, 1.0)
        squares = np.zeros(d)
        for lo in range(0, len(X), BLOCK):
            part = np.asarray(X[lo : lo + BLOCK], dtype=float) - mean
            squares += weight[lo : lo + BLOCK] @ np.square(np.where(np.isnan(part), 0.0, part))
        self.variances = squares / np.where(counts > 0, counts, 1.0)
        self.means = mean
        self.shift = mean if centre else np.zeros(d)
        self.unit = np.sqrt(np.where(self.variances > 0, self.variances, 1.0)) if scale else np.ones(d)
        self._sum_complete()

    def _sum_complete(self) -> None:
        self._n_complete, self._sum, self._square = 0.0, np.zeros(self.d), np.zeros((self.d, self.d))
        for lo in range(0, len(self.complete_rows), BLOCK):
            rows = self.complete_rows[lo : lo + BLOCK]
            part, w = self._read(rows), self.weight[rows]
            self._n_complete += w.sum()
            self._sum += w @ part
            self._square += (part * w[:, None]).T @ part

    @property
    def has_holes(self) -> bool:
        """True if a row with an observed entry lacks another."""
        return bool(self.blocks)

    @property
    def log_unit(self) -> float:
        """What to subtract from the log-likelihood of the scaled table to have that of the table."""
        return float(np.diag(self.pair_counts) @ np.log(self.unit))

    def _read(self, rows: np.ndarray) -> np.ndarray:
        return (np.asarray(self.X[rows], dtype=float) - self.shift) / self.unit

    def observed_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and diagonal covariance of the observed values, on the scale of the reading."""
        mean = (self.means - self.shift) / self.unit
        return mean, np.diag(np.where(self.variances > 0, self.variances, 1.0) / self.unit**2)

    def filled(self, mean, K, Sigma, *, spread: bool = False) -> Iterator[tuple]:
        """Yield each block with its filled residuals.

        A tuple is (block, residuals, added conditional covariance, log det of the missing blocks, spread).
        """
        logdet = log_determinant(K)
        for block in self.blocks:
            seen = np.unpackbits(block.packed, axis=1, count=self.d).astype(bool)
            R = self._read(block.rows)
            R -= mean
            R[np.isnan(R)] = 0.0
            C = np.zeros((self.d, self.d))
            logdet_missing = np.empty(len(seen))
            variances = np.empty((len(seen), self.d)) if spread else np.empty((0, 0))
            bad = fill_patterns(
                R, R @ K, block.starts, seen, block.weight, K, Sigma, logdet, C, logdet_missing, variances
            )
            if bad >= 0:
                raise np.linalg.LinAlgError(
                    f"the precision of the missing columns of row {block.rows[block.starts[bad]]} "
                    "is not positive definite: some columns are almost linear combinations of others"
                )
            yield block, R, C, logdet_missing, variances

    def estep(self, mean, K, Sigma) -> Moments:
        """Return the expected moments under N(mean, Sigma) and the log-likelihood of the observed entries."""
        first = self._sum - self._n_complete * mean
        scatter = self._square - np.outer(mean, self._sum) - np.outer(first, mean)
        added = np.zeros_like(scatter)
        logdet_missing = 0.0
        for block, R, C, logdets, _ in self.filled(mean, K, Sigma):
            first = first + block.weight @ R
            scatter += (R * block.weight[:, None]).T @ R
            added += C
            logdet_missing += np.add.reduceat(block.weight, block.starts[:-1]) @ logdets
        loglik = -0.5 * (
            self.n_entries * np.log(2 * np.pi)
            - self.n * log_determinant(K)
            + logdet_missing
            + np.sum(K * scatter)
        )
        shift = first / self.n
        S = (scatter + added) / self.n - np.outer(shift, shift)
        return Moments(mean + shift, (S + S.T) / 2, float(loglik))

    def row_loglik(self, mean, K, Sigma) -> np.ndarray:
        """Return the log density of the observed entries of every row; 0 where nothing is observed."""
        out = np.zeros(len(self.X))
        logdet = log_determinant(K)
        const = np.log(2 * np.pi)
        for lo in range(0, len(self.complete_rows), BLOCK):
            rows = self.complete_rows[lo : lo + BLOCK]
            R = self._read(rows) - mean
            out[rows] = -0.5 * (self.d * const - logdet + np.einsum("ij,ij->i", R @ K, R))
        for block, R, _, logdets, _ in self.filled(mean, K, Sigma):
            sizes = np.diff(block.starts)
            n_seen = np.unpackbits(block.packed, axis=1, count=self.d).sum(axis=1)
            each = np.repeat(n_seen * const - logdet + logdets, sizes)
            out[block.rows] = -0.5 * (each + np.einsum("ij,ij->i", R @ K, R))
        seen = ~np.isnan(np.asarray(self.X)) if np.any(self.unit != 1) else None
        return out if seen is None else out - seen @ np.log(self.unit)


def _group(rows: np.ndarray, seen: np.ndarray, weight: np.ndarray) -> list[Block]:
    """Sort the rows of a block by pattern."""
    if not len(rows):
        return []
    packed = np.packbits(seen, axis=1)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(inverse))])
    return [Block(rows[order], starts, packed[first], np.ascontiguousarray(weight[order], dtype=float))]


def log_determinant(K: np.ndarray) -> float:
    """Return log |det K|."""
    return float(np.linalg.slogdet(K)[1])
