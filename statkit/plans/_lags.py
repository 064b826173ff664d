"""Newey and West's meat: score products of rows up to some lags apart, over pieces of the rows that meet in order."""

from __future__ import annotations

import numpy as np

from statkit.rounds.tasks import linear_predictor

__all__ = ["LagSums", "lag_sums"]

_ROWS = 8192


class LagSums:
    """Sum of score products with Bartlett weights for consecutive rows; ``merge`` with the rows that follow.

    Parameters
    ----------
    lags : int
    total : ndarray of shape (q, q)
    head, tail : ndarray of shape (at most ``lags``, q)
        Scores of the first and the last rows.
    """

    def __init__(self, lags: int, total: np.ndarray, head: np.ndarray, tail: np.ndarray):
        self.lags = lags
        self.total = total
        self.head = head
        self.tail = tail

    @classmethod
    def of_scores(cls, scores: np.ndarray, lags: int) -> LagSums:
        """Of the scores (n, q) of consecutive rows."""
        total = scores.T @ scores
        for lag in range(1, min(lags, len(scores) - 1) + 1):
            product = scores[lag:].T @ scores[:-lag]
            total += (1 - lag / (lags + 1)) * (product + product.T)
        return cls(lags, total, scores[:lags].copy(), scores[max(len(scores) - lags, 0) :].copy())

    def merge(self, other: LagSums) -> LagSums:
        """With the rows that come after these."""
        a, b, lags = self.tail, other.head, self.lags
        apart = np.arange(len(b))[None, :] + np.arange(len(a), 0, -1)[:, None]
        product = a.T @ (np.maximum(1 - apart / (lags + 1), 0.0) @ b)
        head = self.head if len(self.head) >= lags else np.concatenate([self.head, other.head])[:lags]
        tail = other.tail if len(other.tail) >= lags else np.concatenate([self.tail, other.tail])
        total = self.total + other.total + product + product.T
        return LagSums(lags, total, head, tail[max(len(tail) - lags, 0) :])

    def scaled(self, factor: float) -> LagSums:
        """Every score times ``factor``."""
        return LagSums(self.lags, factor**2 * self.total, factor * self.head, factor * self.tail)

    def mapped(self, M: np.ndarray) -> LagSums:
        """Every score s as M's."""
        return LagSums(self.lags, M.T @ self.total @ M, self.head @ M, self.tail @ M)

    def meat(self) -> np.ndarray:
        return self.total


def lag_sums(block, family, theta, shape, center, scale, lags) -> dict:
    """The meat of a block's rows at θ, under ``meat``."""
    out = None
    for start in range(0, max(block.n_rows, 1), _ROWS):
        part = block.take(slice(start, start + _ROWS)).scaled(center, scale)
        K = family.predictors
        eta = linear_predictor(part, theta, K)
        r = np.empty_like(eta)
        w = np.empty((len(eta), K * (K + 1) // 2)) if K > 1 else np.empty_like(eta)
        family.link(eta, part.y, part.weight, shape, None, r, w)
        rows = part.to_dense()
        scores = np.hstack([rows * r_k[:, None] for r_k in r.reshape(-1, K).T])
        piece = LagSums.of_scores(scores, lags)
        out = piece if out is None else out.merge(piece)
    return {"meat": out}
