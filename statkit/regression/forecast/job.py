"""What a fit has to do, in rows read, encoded and evaluated, and the seconds and bytes that this takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statkit.regression.forecast.pilot import Pilot
from statkit.regression.forecast.rates import Rates

__all__ = ["Forecast", "Job"]

#: Share of a further thread that is work done: the merge and Python's lock take the rest.
_PARALLEL = 0.75
#: Seconds of handing a task over and merging its answer.
_TASK = {"serial": 5e-5, "threads": 3e-4, "processes": 3e-3}
_REMOTE_TASK = 5e-3
#: Seconds to start the workers.
_START = {"processes": 1.5}
#: Bytes that reading takes beside the table that it gives: pages, dictionaries, what the allocator keeps.
_READING = 1.5
#: Vectors of a row while a block is evaluated: predictor, residual, weight, and what the link needs.
_VECTORS = 6
_MB = 2**20


@dataclass
class Forecast:
    """What is predicted of one plan.

    Attributes
    ----------
    plan : Plan
    passes : float
        Over the data, as ``Estimate.n_passes`` counts them.
    rounds : int
    seconds, cpu_seconds : float
    memory : float
        Bytes by which the fit raises the peak of the process.
    rows : int
        That enter the final fit.
    distance : float
        To the exact estimate, in its standard errors: root mean square over coefficients. NaN where unknown.
    errors : float
        Standard errors that the plan's own table will show, in those of the exact fit.
    """

    plan: Any
    passes: float
    rounds: int
    seconds: float
    cpu_seconds: float
    memory: float
    rows: int
    distance: float
    notes: list[str] = field(default_factory=list)
    errors: float = 1.0


@dataclass
class Job:
    """The data, the model and the machine, as far as seconds and bytes depend on them.

    Attributes
    ----------
    n : int
        Rows in all.
    parts : tuple of int
        Rows of the partitions.
    raw_bytes : float
        Of a row as it is read.
    workers : int
    engine : str
        "serial", "threads", "processes", or another for a cluster.
    cache_bytes : int
        Encoded blocks that are kept between rounds.
    profiled : bool
        Whether the design needs a round of its own.
    held : bool
        Whether the rows are in memory already.
    """

    n: int
    parts: tuple[int, ...]
    raw_bytes: float
    workers: int
    engine: str
    cache_bytes: int
    profiled: bool
    held: bool
    copy_seconds: float
    rates: Rates
    pilot: Pilot

    @property
    def q(self) -> int:
        """Coefficients."""
        return self.pilot.problem.size

    @property
    def used(self) -> int:
        """Rows that enter an exact fit."""
        return max(1, round(self.n * self.pilot.used))

    @property
    def largest(self) -> int:
        return max(self.parts)

    @property
    def kept(self) -> float:
        """Share of the partitions whose blocks stay encoded between rounds."""
        each = self.pilot.block_bytes * self.n / len(self.parts)
        return min(1.0, np.floor(self.cache_bytes / max(each, 1.0)) / len(self.parts))

    def with_parts(self, n: int) -> Job:
        """The same rows in ``n`` partitions."""
        from dataclasses import replace

        n = max(1, min(n, self.n))
        return replace(self, parts=tuple(np.diff(np.linspace(0, self.n, n + 1).astype(int)).tolist()))

    # -- seconds: CPU of one thread, and wall

    @property
    def load(self) -> float:
        """Processor seconds a row to read and encode."""
        return self.rates.read + self.rates.encode

    def speed(self, parts: int) -> float:
        """How many times faster than one thread a round over so many partitions is."""
        workers = min(self.workers, parts)
        waves = -(-parts // workers)
        return (1 + _PARALLEL * (workers - 1)) * parts / (waves * workers)

    def round(
        self, per_row: float, *, rows: float | None = None, parts: int | None = None, kept: float = 0.0
    ):
        """(CPU, wall) seconds of a round: ``per_row`` beside loading what is not kept."""
        rows = self.n if rows is None else rows
        parts = len(self.parts) if parts is None else parts
        cpu = rows * ((1 - kept) * self.load + per_row * self.pilot.used)
        waiting = rows * (1 - kept) * self.rates.wait
        task = _TASK.get(self.engine, _REMOTE_TASK) + 1e-9 * self.q**2
        return np.array([cpu + parts * task, (cpu + waiting) / self.speed(parts) + parts * task])

    def overhead(self):
        """(CPU, wall) seconds before the first round of the plan: copy, workers, the profile round."""
        start = self.copy_seconds + self.rates.fixed
        both = np.array([start, start + _START.get(self.engine, 0.0)])
        fresh = min(self.n, self.memory(cached=True) / max(self.raw_bytes, 1.0)) * self.rates.fresh
        both += np.array([fresh, fresh / self.speed(len(self.parts))])
        if self.profiled:
            cpu = self.n * (self.rates.read + self.rates.profile)
            waiting = self.n * self.rates.wait
            both += np.array([cpu, (cpu + waiting) / self.speed(len(self.parts))])
        return both

    def serial(self, seconds: float):
        """(CPU, wall) of work on one thread."""
        return np.array([seconds, seconds])

    def fit_on(self, rows: float) -> float:
        """Seconds of a Newton fit on rows in memory."""
        steps = max(4, len(self.pilot.estimate.history))
        return steps * rows * self.rates.evaluate

    # -- bytes

    def memory(self, *, cached: bool, sample_rows: float = 0.0, work_bytes: float = 0.0) -> float:
        """Peak growth: blocks in flight and kept, rows sampled, and square matrices of all summaries in flight."""
        rows = self.largest
        flight = 0.0 if self.held else _READING * self.raw_bytes * rows
        flight += self.pilot.block_bytes * rows + 8 * _VECTORS * rows + work_bytes
        local = min(self.workers, len(self.parts))
        kept = (
            min(self.cache_bytes, self.pilot.block_bytes * self.n) if cached and len(self.parts) > 1 else 0.0
        )
        squares = 8 * self.q**2 * (6 + 2 * local + np.log2(len(self.parts) + 1))
        # A sample is gathered in pieces, joined, weighted and fitted.
        sample = 3 * sample_rows * (self.pilot.block_bytes + 48)
        return local * flight + kept + sample + squares + 8 * _MB
