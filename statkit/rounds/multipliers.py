"""Sums of row scores with random signs: what a multiplier bootstrap needs of the rows, in one round."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["DRAWS", "SignedSums", "signed_sums"]

# Signs come 64 to a random word.
_WORDS = 16
DRAWS = 64 * _WORDS
_ROWS = 1024


class SignedSums:
    """Σ ±s_i for every draw, (DRAWS, q); mergeable, and its mean square is the meat of a sandwich."""

    def __init__(self, sums: np.ndarray):
        self.sums = sums

    def merge(self, other: SignedSums) -> SignedSums:
        return SignedSums(self.sums + other.sums)

    def meat(self) -> np.ndarray:
        return self.sums.T @ self.sums / len(self.sums)


def signed_sums(block, r: np.ndarray, predictors: int, seed: int) -> SignedSums:
    """Signed sums of a block's scores ``r_i x_i``; a row's signs depend on the seed and its number alone."""
    rows = block.row_numbers().astype(np.uint64)
    out = np.zeros((DRAWS, predictors * block.n_columns))
    for start in range(0, block.n_rows, _ROWS):
        part = slice(start, min(start + _ROWS, block.n_rows))
        X = block.take(part).to_dense()
        scores = r[part, None] * X if predictors == 1 else np.hstack([c[:, None] * X for c in r[part].T])
        signs = np.empty((DRAWS, len(X)))
        _fill(np.uint64(seed), rows[part], signs)
        out += np.dot(signs, scores)
    return SignedSums(out)


@njit(cache=True, nogil=True)
def _mixed(x):
    """Finaliser of SplitMix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _fill(seed, rows, signs):
    step = np.uint64(0x9E3779B97F4A7C15)
    key = _mixed(seed * step + np.uint64(1))
    for i in range(rows.shape[0]):
        state = _mixed(key ^ _mixed((rows[i] + np.uint64(1)) * step))
        for word in range(signs.shape[0] // 64):
            state += step
            bits = _mixed(state)
            for b in range(64):
                signs[64 * word + b, i] = 1.0 if bits & np.uint64(1) else -1.0
                bits >>= np.uint64(1)
