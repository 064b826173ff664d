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
from statkit.sources import Source
from statkit.sources.rows import Rows

__all__ = ["Pieces", "Pilot", "fit_pilot", "read_pieces"]

#: Partitions that are looked at, and bytes and rows to read of each at most.
PIECES, PIECE_BYTES, PIECE_ROWS = 8, 16 * 2**20, 131_072
#: Share of the data that may be read, but for data so small that this is nothing.
_SHARE, _SMALL = 0.25, 4_096


@dataclass
class Pieces:
    """Rows that were read, and how long it took.

    Attributes
    ----------
    rows : list of Rows
    seconds : list of float
        For each of them; the first opens the file and counts for nothing.
    """

    rows: list[Rows]
    seconds: list[float]

    @property
    def n_rows(self) -> int:
        return sum(r.n_rows for r in self.rows)

    @property
    def seconds_per_row(self) -> float:
        """Of reading, the median over pieces."""
        pairs = list(zip(self.rows, self.seconds, strict=True))
        pairs = pairs[1:] if len(pairs) > 1 else pairs
        return float(np.median([s / max(r.n_rows, 1) for r, s in pairs]))

    @property
    def bytes_per_row(self) -> float:
        total = sum(r.table.nbytes for r in self.rows if r.table is not None)
        return total / max(self.n_rows, 1)


def read_pieces(source: Source, columns: Sequence[str]) -> Pieces:
    """The first rows of partitions spread over the data, at most a quarter of the rows."""
    partitions = source.partitions()
    if not partitions:
        raise ValueError("there are no rows to fit")
    n = sum(p.n_rows for p in partitions)
    number = min(PIECES, len(partitions))
    spread = np.linspace(0, len(partitions) - 1, number + 2)[1:-1] if len(partitions) > number else range(number)
    chosen = [partitions[round(i)] for i in spread]
    each = min(PIECE_ROWS, PIECE_BYTES // (8 * max(len(columns), 1)), int(_SHARE * n) // number)
    each = max(each, _SMALL // number, 1)
    rows, seconds = [], []
    for partition in chosen:
        started = time.perf_counter()
        rows.append(source.head(partition, columns, each))
        seconds.append(time.perf_counter() - started)
    return Pieces(rows, seconds)


class PieceSource(Source):
    """The pieces as a source of their own, under the schema of the data."""

    def __init__(self, source: Source, pieces: Pieces):
        self.schema, self.name = source.schema, source.name
        self.n_rows, self.token = pieces.n_rows, "pilot of " + source.token
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
    used : float
        Share of the rows that are not left out for missing values.
    block_bytes : float
        Of an encoded row.
    """

    problem: Problem
    block: Any
    piece: np.ndarray
    estimate: Any
    theta: np.ndarray
    information: np.ndarray
    variance: np.ndarray
    phi: float
    used: float
    block_bytes: float
    blocks: list
    notes: list[str] = field(default_factory=list)

    @property
    def n(self) -> int:
        return self.block.n_rows


class _Load:
    """Blocks by the partition's key."""

    def __init__(self, blocks):
        self.blocks = blocks

    def __call__(self, partition):
        return self.blocks[partition.key]


def fit_pilot(model: Any, source: Source, design: Any, family: Any, blocks: list, size: int) -> Pilot:
    """Fit the model on about ``size`` rows of the blocks."""
    from statkit.plans import Exact

    read = sum(b.n_rows for b in blocks)
    n_read = sum(b.n_read for b in blocks)
    if not read:
        raise ValueError(f"no row is left to fit: all {n_read:,} rows of the pilot have missing values")
    rng = np.random.default_rng(model._seed())
    share = min(1.0, size / read)
    taken = []
    for block in blocks:
        m = round(share * block.n_rows)
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
    notes = []
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
            "The response is separated in the pilot: errors of the columns concerned are of no use there."
        )
    if cov_type != problem.cov_type:
        notes.append(
            f"cov_type={cov_type!r}: rows drawn at random do not show how clusters hang together; the errors "
            "predicted are the model's, and those of the fit will be larger."
        )
    shape = getattr(estimate, "shape", None) or {}
    problem.shape = np.array(list(shape.values())) if shape else problem.shape
    theta = _internal(problem, estimate)
    e = problem.evaluate(theta)
    phi = 1.0 if problem.dispersion is None else problem.dispersion(e, len(theta))
    from statkit.solvers.cholesky import Factor

    inverse = Factor(e.information).inverse()
    return Pilot(
        problem, block, piece, estimate, theta, e.information, phi * np.diag(inverse), phi,
        read / max(n_read, 1), sum(b.nbytes for b in blocks) / max(read, 1), blocks, notes,
    )  # fmt: skip


def _internal(problem: Problem, estimate: Any) -> np.ndarray:
    """The estimate in internal coordinates; columns without an estimate are zero."""
    values = estimate.values.reshape(problem.family.predictors, -1)[:, problem.position]
    values = np.where(np.isfinite(values), values, 0.0)
    if problem.scale.size:
        values = np.linalg.solve(problem.unscale(), values.T).T
    return values.ravel()
