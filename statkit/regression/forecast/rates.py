"""How fast this machine does what a fit consists of, measured on the pilot's rows: seconds a row, one thread.

Work is timed by the processor's clock, so that what else the machine does at this moment does not count. Reading may
wait for a disk: that is what every piece took longer by the wall's clock.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from statkit.engines.engine import one_blas_thread
from statkit.regression.forecast.pilot import Pieces, Pilot
from statkit.rounds.tasks import Want, evaluate

__all__ = ["Rates", "measure"]

#: Rows on which the kernels are timed, and seconds after which a measurement is not repeated.
_ROWS, _ENOUGH, _REPEATS = 65_536, 0.06, 5
_PRODUCTS = 4e7


@dataclass
class Rates:
    """Seconds a row, on one thread.

    Attributes
    ----------
    read, fresh, wait, encode, profile : float
        Reading the columns, what it takes longer into memory not touched before, waiting for them, encoding them, and
        what the design's profile round adds to reading.
    evaluate, light, sums : float
        Gradient and information; gradient alone; both with the sums of the last round.
    norms : float
        The length of a mapped row, as scores and bias terms need it.
    fixed : float
        Seconds of a fit of hardly any rows.
    """

    read: float
    fresh: float
    wait: float
    encode: float
    profile: float
    evaluate: float
    light: float
    sums: float
    norms: float
    fixed: float


def measure(pieces: Pieces, design: Any, unfrozen: Any, pilot: Pilot) -> Rates:
    """Time each kind of work on rows that are there, after a first call that compiles or loads kernels."""
    problem = pilot.problem
    rows: Any = max(pieces.rows, key=lambda r: r.n_rows)
    block = max(pilot.blocks, key=lambda b: b.n_rows)
    part = block if block.n_rows <= _ROWS else block.take(slice(0, _ROWS))
    with one_blas_thread():
        encode = _least(lambda: design.encode(rows), rows.n_rows)
        profile = 0.0
        if unfrozen.profile_columns is not None:
            chosen = type(rows)(
                rows.first_row, rows.n_rows, rows.table.select(list(unfrozen.profile_columns)), None,
                rows.beside, rows.where,
            )  # fmt: skip
            profile = _least(lambda: unfrozen.profile(chosen), rows.n_rows)
        each = {}
        for name, want in (
            ("evaluate", Want()),
            ("light", Want(information=False)),
            ("sums", Want(sums=True)),
        ):
            each[name] = _least(partial(_evaluate, problem, part, want), part.n_rows)
        few = part.take(slice(0, int(np.clip(_PRODUCTS / problem.size**2, 256, part.n_rows))))
        square = np.eye(few.n_columns)
        norms = _least(lambda: few.row_norms(square), few.n_rows)
    return Rates(
        pieces.cpu_per_row, pieces.fresh_per_row, pieces.waiting_per_row, encode, profile, **each, norms=norms,
        fixed=_fixed(problem, part),
    )  # fmt: skip


def _evaluate(problem, block, want):
    if problem.family.context is not None:
        return problem.local(block).evaluate(np.zeros(problem.size), want)
    null = np.zeros(problem.family.predictors)
    theta = np.zeros(problem.size)
    return evaluate(block, problem.family, theta, problem.shape, problem.center, problem.scale, null, want)


def _least(work: Callable[[], object], rows: int) -> float:
    work()
    best, spent = np.inf, 0.0
    for _ in range(_REPEATS):
        started = time.process_time()
        work()
        last = time.process_time() - started
        best, spent = min(best, last), spent + last
        if spent > _ENOUGH:
            break
    return best / max(rows, 1)


def _fixed(problem, block) -> float:
    """Seconds of a fit of so few rows that only its bookkeeping counts."""
    from statkit.plans import Exact

    few = problem.local(block.take(slice(0, min(block.n_rows, 50 + 2 * problem.size))))
    few.engine_name = "serial"

    def work():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Exact(pilot_size=0, max_rounds=3).estimate(few)

    try:
        started = time.process_time()
        work()
        return time.process_time() - started
    except (ValueError, ArithmeticError):  # rows without a fit: the bookkeeping is a few milliseconds
        return 0.005
