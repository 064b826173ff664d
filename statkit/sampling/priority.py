"""Fixed-size weighted sampling in one pass, without knowing the total: keep the rows of largest priority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from statkit.sampling.probabilities import checked_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["PrioritySampler"]

_SMALLEST = 2.0**-60


def priority_keys(scores: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Priorities ``m / u``; zero for rows that cannot be drawn."""
    return scores / np.maximum(u, _SMALLEST)


class PrioritySampler:
    """Exactly ``n`` rows with chances that follow their scores, from data seen in pieces.

    Every row has the key ``score / u``; the n largest keys are kept, and the next one, τ, makes the inclusion
    probabilities ``min(1, score / τ)``. Two samplers over different rows merge into what one over all of them
    would hold.

    Parameters
    ----------
    n : int
        Sample size.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import PrioritySampler
    >>> sampler = PrioritySampler(2)
    >>> sampler.partial_fit(np.array([4.0, 1, 2, 8]), np.array([0.5, 0.2, 0.8, 0.9]), np.arange(4)).result()
    (array([0, 3]), array([0.8, 1. ]), 5.0)

    References
    ----------
    N. Duffield, C. Lund and M. Thorup (2007), Priority Sampling for Estimation of Arbitrary Subset Sums.
    """

    def __init__(self, n: int) -> None:
        if not (isinstance(n, (int, np.integer)) and n >= 1):
            raise ValueError(f"n must be a positive integer, not {n!r}")
        self.n = int(n)
        self.keys = np.empty(0)
        self.scores = np.empty(0)
        self.rows = np.empty(0, np.int64)
        self._floor = 0.0

    def partial_fit(self, scores: ArrayLike, u: ArrayLike, rows: ArrayLike) -> Self:
        """Take rows in.

        Parameters
        ----------
        scores : array of shape (m,)
            Non-negative.
        u : array of shape (m,)
            Uniform numbers, see :func:`row_uniforms`.
        rows : array of shape (m,)
            Row numbers.

        Returns
        -------
        self : PrioritySampler
        """
        scores, u, rows = np.asarray(scores, dtype=float), np.asarray(u, dtype=float), np.asarray(rows)
        if not len(scores) == len(u) == len(rows):
            raise ValueError(
                f"{len(scores)} scores, {len(u)} uniforms and {len(rows)} rows: they must be as many"
            )
        if not len(scores):
            return self
        if scores.any():
            checked_scores(scores)
        keys = priority_keys(scores, u)
        hit = keys > self._floor
        self._add(keys[hit], scores[hit], rows[hit])
        return self

    def merge(self, other: Any) -> Self:
        """Take in what another sampler of the same size holds; returns this one."""
        if other.n != self.n:
            raise ValueError(f"samplers of {self.n} and {other.n} rows do not merge")
        self._add(other.keys, other.scores, other.rows)
        return self

    def _add(self, keys, scores, rows):
        self.keys = np.concatenate([self.keys, keys])
        self.scores = np.concatenate([self.scores, scores])
        self.rows = np.concatenate([self.rows, rows])
        if len(self.keys) > 2 * (self.n + 1):
            self._compact()

    def _compact(self):
        if len(self.keys) > self.n + 1:
            top = largest_keys(self.keys, self.n + 1)
            self.keys, self.scores, self.rows = self.keys[top], self.scores[top], self.rows[top]
            self._floor = float(self.keys.min())

    def result(self) -> Any:
        """The sample so far.

        Returns
        -------
        rows : ndarray of int, ascending
        pi : ndarray
            Inclusion probability of each.
        tau : float
            0 when everything was kept.
        """
        self._compact()
        kept, tau = above_next_key(self.keys, self.n)
        order = np.argsort(self.rows[kept], kind="stable")
        scores = self.scores[kept][order]
        pi = np.minimum(1.0, scores / tau) if tau > 0 else np.ones(len(scores))
        return self.rows[kept][order], pi, tau


def largest_keys(keys: np.ndarray, n: int) -> np.ndarray:
    """Positions of the ``n`` largest keys."""
    return np.arange(len(keys)) if len(keys) <= n else np.argpartition(keys, len(keys) - n)[len(keys) - n :]


def above_next_key(keys: np.ndarray, n: int) -> tuple[np.ndarray, float]:
    """Positions of the ``n`` largest keys in order, and the next key (0 if there is none)."""
    if len(keys) <= n:
        return np.arange(len(keys)), 0.0
    top = largest_keys(keys, n + 1)
    last = top[np.argmin(keys[top])]
    return np.sort(top[top != last]), float(keys[last])
