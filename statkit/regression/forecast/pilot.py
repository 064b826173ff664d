"""The pilot: the first rows of a few partitions spread over the data, encoded, and the model fitted on them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statkit.engines import SerialEngine
from statkit.rounds import Problem
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import newton
from statkit.sources import Source
from statkit.sources.rows import Rows

__all__ = ["Pieces", "Pilot", "fit_pilot", "held_back", "read_pieces"]

#: Partitions that are looked at, and bytes and rows to read of each at most.
PIECES, PIECE_BYTES, PIECE_ROWS = 8, 16 * 2**20, 131_072
#: Partitions at the end of these that are read whole, to time it, if they have no more rows than this.
_TIMED, _WHOLE = 2, 300_000
#: Share of the data that may be read, but for data so small that this is nothing.
_SHARE, _SMALL = 0.25, 4_096


@dataclass
class Pieces:
    """Rows that were read, and how long it took.

    Attributes
    ----------
    rows : list of Rows
    whole : list of bool
        Whether all of a partition was read, so that the clock says what that takes.
    seconds, cpu : list of float
        By the wall's clock and the processor's; the first opens the file and counts for nothing.
    again : float or None
        Processor seconds a row of a whole partition of a file read once more: in memory that was touched before, as in
        a fit, whose reading is up to three times as fast as into memory that the system must find first.
    """

    rows: list[Rows]
    whole: list[bool]
    seconds: list[float]
    cpu: list[float]
    again: float | None = None

    @property
    def n_rows(self) -> int:
        """Rows that were read."""
        return sum(r.n_rows for r in self.rows)

    @property
    def cpu_per_row(self) -> float:
        """Of reading: that of a partition read again, otherwise the median over pieces."""
        if self.again is not None:
            return self.again
        each = self._each(self.cpu)
        return float(np.median(each[1:] if len(each) > 1 else each))

    @property
    def fresh_per_row(self) -> float:
        """What the first reading of that partition took longer: the price of memory not touched before."""
        if self.again is None:
            return 0.0
        return float(max(self._each(self.cpu)[self.whole.index(True) :].max() - self.again, 0.0))

    @property
    def waiting_per_row(self) -> float:
        """What every piece waited at least: more is that others used the processor."""
        waited = self._each(self.seconds) - self._each(self.cpu)
        return float(max(waited[1:].min() if len(waited) > 1 else waited[0], 0.0))

    def _each(self, seconds: list[float]) -> np.ndarray:
        return np.array(seconds) / np.maximum([r.n_rows for r in self.rows], 1)

    @property
    def bytes_per_row(self) -> float:
        total = sum(r.table.nbytes for r in self.rows if r.table is not None)
        return total / max(sum(r.n_rows for r in self.rows), 1)


def read_pieces(source: Source, columns: Sequence[str]) -> Pieces:
    """The first rows of partitions spread over the data, at most a quarter of the rows; one partition twice."""
    partitions = source.partitions()
    if not partitions:
        raise ValueError("there are no rows to fit")
    n = sum(p.n_rows for p in partitions)
    number = min(PIECES, len(partitions))
    spread = (
        np.linspace(0, len(partitions) - 1, number + 2)[1:-1] if len(partitions) > number else range(number)
    )
    chosen = [partitions[round(i)] for i in spread]
    timed = [p for p in chosen[-_TIMED:] if p.n_rows <= _WHOLE] if number > _TIMED else []
    while timed and sum(p.n_rows for p in timed) > 0.75 * _SHARE * n:
        timed = timed[1:]
    whole = sum(p.n_rows for p in timed)
    each = (int(_SHARE * n) - whole) // (number - len(timed))
    each = min(each, PIECE_ROWS, PIECE_BYTES // (8 * max(len(columns), 1)))
    each = max(each, _SMALL // number, 1)
    pieces = Pieces([], [], [], [])
    for partition in chosen:
        wall, cpu = time.perf_counter(), time.process_time()
        read = source.head(partition, columns, partition.n_rows if partition in timed else each)
        pieces.seconds.append(time.perf_counter() - wall)
        pieces.cpu.append(time.process_time() - cpu)
        pieces.whole.append(partition in timed)
        if partition in timed[-1:] and partition.path is not None:
            del read  # whose memory is used again, as in a fit
            cpu = time.process_time()
            read = source.head(partition, columns, partition.n_rows)
            pieces.again = (time.process_time() - cpu) / partition.n_rows
        pieces.rows.append(read)
    return pieces


class PieceSource(Source):
    """The pieces as a source of their own, under the schema of the data."""

    def __init__(self, source: Source, pieces: Pieces):
        self.schema, self.name = source.schema, source.name
        self.n_rows, self.token = sum(r.n_rows for r in pieces.rows), "pilot of " + source.token
        self._pieces = pieces.rows

    def partitions(self):
        from statkit.sources.partition import Partition

        return tuple(Partition(k, None, None, r.first_row, r.n_rows) for k, r in enumerate(self._pieces))

    def read(self, partition, columns=()):
        self._check_columns(columns)
        rows = self._pieces[partition.key]
        table = rows.table.select(list(columns))
        return Rows(rows.first_row, rows.n_rows, table, None, rows.beside, rows.where)


@dataclass
class Pilot:
    """The model on the pilot's rows.

    Attributes
    ----------
    problem : Problem
        In memory, of the rows of ``block``.
    block : Block
    piece : ndarray of int, shape (n,)
        Which piece each row is from.
    estimate : Estimate
    theta, information : ndarray
        In internal coordinates, at the estimate.
    variance : ndarray
        Squared standard errors on the pilot's rows, internal coordinates.
    public_variance : ndarray
        The same in the order and units of ``estimate.params``.
    read : int
        Complete rows that were read; of these the pilot is a sample.
    used : float
        Share of the rows that are not left out for missing values.
    block_bytes : float
        Of an encoded row.
    whole : list of bool
        Of each piece, whether all rows of a partition were read.
    separated : bool
        Whether the response is separated in these rows, so that a weak prior holds the estimate back.
    """

    problem: Any
    block: Any
    piece: np.ndarray
    estimate: Any
    theta: np.ndarray
    information: np.ndarray
    variance: np.ndarray
    public_variance: np.ndarray
    phi: float
    read: int
    used: float
    block_bytes: float
    blocks: list
    whole: list[bool]
    notes: list[str] = field(default_factory=list)
    separated: bool = False

    @property
    def n(self) -> int:
        return self.block.n_rows


class _Load:
    """Blocks by the partition's key."""

    def __init__(self, blocks):
        self.blocks = blocks

    def __call__(self, partition):
        return self.blocks[partition.key]


def fit_pilot(
    model: Any, source: Source, design: Any, family: Any, blocks: list, complete: list, size: int
) -> Pilot:
    """Fit the model on about ``size`` rows of the blocks, of which some are ``complete`` partitions."""
    from statkit.plans import Exact

    read = sum(b.n_rows for b in blocks)
    n_read = sum(b.n_read for b in blocks)
    if not read:
        raise ValueError(f"no row is left to fit: all {n_read:,} rows of the pilot have missing values")
    rng = np.random.default_rng(model._seed())
    taken = []
    for block, m in zip(blocks, _shares([b.n_rows for b in blocks], size), strict=True):
        index = np.sort(rng.choice(block.n_rows, m, replace=False))
        taken.append(block if m == block.n_rows else block.take(index))
    from statkit.design.block import concatenate

    block = concatenate([b for b in taken if b.n_rows] or taken[:1])
    piece = np.repeat(np.arange(len(taken)), [b.n_rows for b in taken])
    session = SerialEngine(0).open(_Load(blocks), source.partitions())
    whole = Problem(
        family, design, session, alpha=float(model.alpha), l1_ratio=float(getattr(model, "l1_ratio", 0.0)),
        seed=model._seed(),
    )  # fmt: skip
    problem = whole.local(block)
    cov_type = model._covariance(family, model._plan())
    problem.cov_type = cov_type if cov_type in ("nonrobust", "HC0", "HC1") else "nonrobust"
    problem.engine_name = "serial"
    notes: list[str] = []
    if problem.size >= block.n_rows:
        raise ValueError(
            f"the pilot has {block.n_rows:,} rows for {problem.size:,} coefficients: they cannot tell what the "
            "fit will give; fewer columns or levels, or more rows, are needed"
        )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        estimate = Exact(pilot_size=0, max_rounds=40).estimate(problem)
    if any("separated" in str(w.message) for w in said):
        notes.append(
            "The response is separated in the pilot; errors are those of a fit that a weak prior holds back."
        )
    separated = bool(notes)
    if cov_type != problem.cov_type:
        notes.append(
            f"cov_type={cov_type!r}: rows drawn at random do not show how clusters hang together; the errors "
            "predicted are the model's, and those of the fit will be larger."
        )
    shape = getattr(estimate, "shape", None) or {}
    problem.shape = np.array(list(shape.values())) if shape else problem.shape
    theta = _internal(problem, estimate)
    if separated:
        start = problem.null_theta(*problem.response())
        theta = held_back(problem, start, _PRIOR)
    e: Any = problem.evaluate(theta)
    phi = 1.0 if problem.dispersion is None else problem.dispersion(e, len(theta))
    inverse = phi * Factor(e.information).inverse()
    if problem.meat is None:
        variances = np.diag(problem.public_matrix(inverse))
    else:
        variances = estimate.bse.to_numpy() ** 2
    return Pilot(
        problem, block, piece, estimate, theta, e.information, np.diag(inverse), variances, phi, read,
        read / max(n_read, 1), sum(b.nbytes for b in blocks) / max(read, 1), blocks, complete,
        notes, separated,
    )  # fmt: skip


def _shares(rows: list[int], size: int) -> list[int]:
    """How many rows of each piece make ``size`` in all: as many of each as it has, at most."""
    shares, left = [0] * len(rows), size
    for number, k in enumerate(np.argsort(rows)):
        shares[k] = min(rows[k], left // (len(rows) - number))
        left -= shares[k]
    return shares


#: Precision of the prior on scaled columns where the response is separated.
_PRIOR = 1.0


def held_back(problem: Problem, start: np.ndarray, precision: float) -> np.ndarray:
    """A finite estimate where the response of the pilot's rows is separated, by a prior on all but intercepts."""
    prior = np.full(problem.size, precision)
    if problem.design.intercept:
        prior[:: problem.stride] = 0.0
    fit = newton(
        lambda theta, _: problem.evaluate(theta), start, tol=1e-4, max_rounds=40, prior=prior,
        dispersion=problem.dispersion,
    )  # fmt: skip
    return np.where(np.isnan(fit.theta), 0.0, fit.theta)


def _internal(problem: Problem, estimate: Any) -> np.ndarray:
    """The estimate in internal coordinates; columns without an estimate are zero."""
    values = estimate.values.reshape(problem.family.predictors, -1)[:, problem.position]
    values = np.where(np.isfinite(values), values, 0.0)
    if problem.scale.size:
        values = np.linalg.solve(problem.unscale(), values.T).T
    return values.ravel()
