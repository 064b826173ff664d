"""How fast this machine does what a fit consists of, measured on the pilot's rows: seconds a row, one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from statkit.engines.engine import one_blas_thread
from statkit.regression.forecast.pilot import Pieces, Pilot
from statkit.rounds.machines import LocalOptions, local_fit, portable
from statkit.rounds.tasks import Want, evaluate

__all__ = ["Rates", "measure"]

#: Rows on which the kernels are timed, and seconds after which a measurement is not repeated.
_ROWS, _ENOUGH, _REPEATS = 65_536, 0.06, 5
_LOCAL_ROWS = 16_384


@dataclass
class Rates:
    """Seconds a row, on one thread.

    Attributes
    ----------
    read, encode, profile : float
        Reading the columns, encoding them, and what the design's profile round adds to reading.
    evaluate, light, sums : float
        Gradient and information; gradient alone; both with the sums of the last round.
    local : float
        One machine's whole fit, with its bias terms.
    fixed : float
        Seconds of a fit of hardly any rows.
    """

    read: float
    encode: float
    profile: float
    evaluate: float
    light: float
    sums: float
    local: float
    fixed: float


def measure(pieces: Pieces, design: Any, unfrozen: Any, pilot: Pilot) -> Rates:
    """Time each kind of work on rows that are there, after a first call that compiles or loads kernels."""
    problem = pilot.problem
    rows = max(pieces.rows, key=lambda r: r.n_rows)
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
        for name, want in (("evaluate", Want()), ("light", Want(information=False)), ("sums", Want(sums=True))):
            each[name] = _least(partial(_evaluate, problem, part, want), part.n_rows)
        local = 0.0
        if problem.family.curved and not problem.is_sparse:
            few = part if part.n_rows <= _LOCAL_ROWS else part.take(slice(0, _LOCAL_ROWS))
            local = _least(lambda: local_fit(few, portable(problem), LocalOptions()), few.n_rows)
    return Rates(pieces.seconds_per_row, encode, profile, **each, local=local, fixed=_fixed(problem, part))


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
        started = time.perf_counter()
        work()
        last = time.perf_counter() - started
        best, spent = min(best, last), spent + last
        if spent > _ENOUGH:
            break
    return best / max(rows, 1)


def _fixed(problem, block) -> float:
    """Seconds of a fit of so few rows that only its bookkeeping counts."""
    from statkit.plans import Exact

    few = problem.local(block.take(slice(0, min(block.n_rows, 50 + 2 * problem.size))))
    few.engine_name = "serial"
    import warnings

    def work():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Exact(pilot_size=0, max_rounds=3).estimate(few)

    try:
        return _least(work, 1)
    except (ValueError, ArithmeticError):  # rows without a fit: the bookkeeping is a few milliseconds
        return 0.005
