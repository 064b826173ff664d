"""State of a stream in information form.

All rows so far are summarised by (A, v): A is their information, each batch's at the estimate of its own time, and
v = S + Aθ with their score S there, so that the estimate solves Aθ = v. Summaries of independent streams add.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statkit.design.grow import moved_block
from statkit.plans._lags import LagSums
from statkit.rounds.tasks import GroupSums

__all__ = ["History", "StreamState", "grown_state", "plus", "rescaled"]

# Batches whose line is kept, so that a stream without end has a bounded history.
_MOST_LINES = 20_000
_COLUMNS = ("batch", "n", "statistic", "df", "p", "loss", "steps")


class History:
    """A line for every batch; adding one gives a new history that shares the old lines.

    Only the last lines of a very long stream are kept.
    """

    __slots__ = ("_lines", "_stop", "total")

    def __init__(self, lines=(), total: int | None = None):
        self._lines = list(lines)
        self._stop = len(self._lines)
        self.total = self._stop if total is None else total

    def add(self, *values) -> History:
        """With a line of n, statistic, df, p, loss and steps."""
        new = object.__new__(History)
        lines = self._lines
        if len(lines) != self._stop:  # another stream went on from here
            lines = lines[: self._stop]
        if len(lines) >= 2 * _MOST_LINES:
            lines = lines[-_MOST_LINES:]
        new.total = self.total + 1
        lines.append((new.total, *values))
        new._lines, new._stop = lines, len(lines)
        return new

    def merge(self, other: History) -> History:
        """The lines of both streams."""
        return History(self.lines() + other.lines(), self.total + other.total)

    def lines(self) -> list[tuple]:
        return self._lines[: self._stop]

    def to_dicts(self) -> list[dict]:
        return [dict(zip(_COLUMNS, line, strict=True)) for line in self.lines()]

    def __len__(self):
        return self.total


@dataclass
class StreamState:
    """What a stream remembers.

    Attributes
    ----------
    theta : ndarray of shape (q,) or None
        Estimate in internal coordinates; None before the first solve.
    A, v : ndarray
        Information and information-weighted estimate of all absorbed rows but those in ``buffer``.
    buffer : Block or None
        First rows, kept as they are; ``buffer_A``, ``buffer_v`` are their summary at the last visit.
    pending : list of Block
        Rows that wait for enough others to start.
    n : int
        Rows of positive weight absorbed.
    spread : float
        Scale of the residuals of the first rows, for losses that need one.
    meat : ndarray, GroupSums, LagSums or None
        Sums of score products, as the covariance wants them.
    squares : ndarray or None
        With forgetting: information with squared factors, for errors that trust the model.
    inverse : ndarray or None
        Inverse information, while rows are absorbed one at a time.
    local : ndarray or None
        CUEE's sum of information times intermediate estimates.
    thick : bool
        Whether every column has enough information to stand without a weak prior.
    counts : ndarray or None
        Rows by internal column, for the columns of levels; kept while rows are retained.
    """

    center: np.ndarray
    scale: np.ndarray
    q: int
    theta: Any = None
    A: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    v: np.ndarray = field(default_factory=lambda: np.zeros(0))
    buffer: Any = None
    buffer_A: Any = None
    buffer_v: Any = None
    visited: int = 0
    pending: list = field(default_factory=list)
    n: int = 0
    n_effective: float = 0.0
    weight: float = 0.0
    n_rows: int = 0
    n_read: int = 0
    n_missing: int = 0
    y: Any = None
    loss: float = 0.0
    pearson: float = 0.0
    sums: dict = field(default_factory=dict)
    meat: Any = None
    n_batches: int = 0
    history: History = field(default_factory=History)
    drifted: int = 0
    spread: float = 1.0
    squares: Any = None
    inverse: Any = None
    local: Any = None
    thick: bool = False
    counts: Any = None

    def total(self) -> tuple[np.ndarray, np.ndarray]:
        """(A, v) of all absorbed rows."""
        if self.buffer_A is None:
            return self.A, self.v
        return self.A + self.buffer_A, self.v + self.buffer_v

    def copy(self, **changes) -> StreamState:
        """The same with some values changed; arrays are shared, and nobody changes them in place."""
        new = object.__new__(StreamState)
        new.__dict__.update(self.__dict__)
        new.__dict__.update(changes)
        return new


def plus(a, b):
    """The sum of two summaries, either of which may be missing."""
    if a is None or b is None:
        return b if a is None else a
    return a.merge(b) if hasattr(a, "merge") else a + b


def rescaled(problem, state, center, scale) -> StreamState:
    """The same summary with other centres and scales of the dense columns."""
    old, new = problem.with_scaling(state.center, state.scale), problem.with_scaling(center, scale)
    K = problem.family.predictors
    # raw = T_old θ_old = T_new θ_new, so θ_old = T_old⁻¹ T_new θ_new
    M = np.linalg.solve(old.unscale(), new.unscale())
    M = np.kron(np.eye(K), M) if K > 1 else M
    A, v = state.total()
    meat = state.meat
    if isinstance(meat, GroupSums):
        meat = GroupSums(meat.labels, meat.sums @ M)
    elif isinstance(meat, LagSums):
        meat = meat.mapped(M)
    elif meat is not None:
        meat = M.T @ meat @ M
    theta = None if state.theta is None else np.linalg.solve(M, state.theta)
    return state.copy(
        center=center, scale=scale, A=M.T @ A @ M, v=M.T @ v, theta=theta, meat=meat, buffer=None,
        buffer_A=None, buffer_v=None, inverse=None, counts=None,
        squares=None if state.squares is None else M.T @ state.squares @ M,
        local=None if state.local is None else M.T @ state.local,
    )  # fmt: skip


def grown_state(state: StreamState, to: np.ndarray, width: int, predictors: int) -> StreamState:
    """The state with columns that no row had so far; old column k of every predictor is ``to[k]`` of ``width``."""
    at = (np.arange(predictors)[:, None] * width + to).ravel()
    q = predictors * width

    def matrix(M):
        out = np.zeros((q, q))
        out[np.ix_(at, at)] = M
        return out

    def rows(M):
        out = np.zeros((len(M), q))
        out[:, at] = M
        return out

    meat = state.meat
    if isinstance(meat, GroupSums):
        meat = GroupSums(meat.labels, rows(meat.sums))
    elif isinstance(meat, LagSums):
        meat = LagSums(meat.lags, matrix(meat.total), rows(meat.head), rows(meat.tail))
    elif meat is not None:
        meat = matrix(meat)
    moved = {"meat": meat, "q": q, "thick": False, "inverse": None}
    for name in ("A", "buffer_A", "squares"):
        value = getattr(state, name)
        moved[name] = None if value is None else matrix(value)
    for name in ("theta", "v", "buffer_v", "local"):
        value = getattr(state, name)
        moved[name] = None if value is None else rows(value[None])[0]
    if state.counts is not None:
        moved["counts"] = np.zeros(width, state.counts.dtype)
        moved["counts"][to] = state.counts
    buffer = state.buffer if state.buffer is None else moved_block(state.buffer, to, width)
    return state.copy(**moved, buffer=buffer, pending=[moved_block(b, to, width) for b in state.pending])
