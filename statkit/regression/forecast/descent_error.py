"""Averaged stochastic gradient descent rehearsed on the pilot's rows: how far it ends, and how long a row takes.

In standard errors of n rows the mean of the iterates is about n^−s from the exact estimate; two lengths tell s.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from statkit.regression.forecast.pilot import Pilot
from statkit.solvers.newton import newton

__all__ = ["Descent", "rehearse"]

#: Rows of the long rehearsals, how much shorter the short ones are, and how many there are of each.
_LONG, _SHORTER, _REPEATS = 65_536, 8, 2
#: Coefficients from which rehearsals are shorter by as much.
_WIDE = 100
#: Excess of rows in order over rows at random, in squared distance, that is more than chance.
_MORE, _AT_LEAST = 3.0, 0.02
#: Exponents of the squared distance of averages with falling rates; others may not converge at all.
_FALLING, _OTHERS = (0.4, 0.8), (0.0, 1.0)


@dataclass
class Descent:
    """What the rehearsals say.

    Attributes
    ----------
    squared : float
        Squared distance in standard errors after ``n`` rows; it falls as n^−exponent.
    n : int
    exponent : float
    seconds : float
        Processor seconds a row and pass.
    drifting : bool
        Whether rows in order end farther off than chance explains. By how much they will is not to be told from a
        pilot: it depends on when the descent meets what its first rows lack.
    """

    squared: float
    n: int
    exponent: float
    seconds: float
    drifting: bool

    def distance(self, n_rows: int) -> float:
        """After as many rows."""
        return float(np.sqrt(self.squared * (n_rows / self.n) ** -self.exponent))


def rehearse(plan: Any, pilot: Pilot, n_rows: int, seed: int) -> Descent:
    """Let a plan descend over random rows of the pilot, of two lengths."""
    long = min(pilot.n, _LONG)
    if len(pilot.theta) >= _WIDE:
        long = min(long, max(_LONG // 4, 40 * len(pilot.theta)))
    short = max(long // _SHORTER, min(long, 2 * len(pilot.theta) + 100))
    first = plan.pilot_rows
    if first == "auto":
        first = min(max(1_000, 20 * len(pilot.theta), n_rows // 200), 20_000)
    own = clone(plan).set_params(pilot_rows=int(min(first, max(short // 2, 1))), refine=None, inference=None)
    timed = clone(own).set_params(inference=plan.inference)
    rng = np.random.default_rng([seed, 4])
    # In order the first rows, from which the descent starts, may lack what comes later.
    in_order = _squared(clone(own).set_params(pilot_rows=int(min(first, pilot.n // 2))), pilot, None, rng)
    squared: dict[int, list[float]] = {long: [], short: []}
    for number in range(_REPEATS):
        order = rng.permutation(pilot.n)
        squared[long].append(_squared(own, pilot, np.sort(order[:long]), rng))
        for k in range(2 * number, 2 * number + 2):
            part = order[k * short : (k + 1) * short]
            if len(part) == short:
                squared[short].append(_squared(own, pilot, np.sort(part), rng))
    far, near = np.mean(squared[short]), np.mean(squared[long])
    falling = plan.learning_rate in ("auto", "power", "xu") and plan.average
    exponent = np.clip(
        np.log(far / near) / np.log(long / short) if long > short and near > 0 else 0.6,
        *(_FALLING if falling else _OTHERS),
    )
    drifting = not plan.shuffle and not in_order < _MORE * near + _AT_LEAST
    return Descent(float(near), long, float(exponent), _seconds(timed, pilot, long, short), drifting)


def _squared(plan: Any, pilot: Pilot, index: np.ndarray | None, rng: np.random.Generator) -> float:
    """Squared distance to the fit of the same rows, in its standard errors, mean over coefficients.

    ``index`` are rows that are taken at random order; None is all of the pilot's in theirs.
    """
    values, block, share = pilot.estimate.values, pilot.block, 1.0
    if index is not None:
        block, share = pilot.block.take(index), len(index) / pilot.n
        problem = pilot.problem.local(block)
        with np.errstate(all="ignore"):
            exact = newton(
                lambda theta, _: problem.evaluate(theta), pilot.theta, tol=1e-3, max_rounds=20,
                dispersion=problem.dispersion,
            ).theta  # fmt: skip
        values, block = problem.public_values(exact), block.take(rng.permutation(len(index)))
    found = _descended(plan, pilot, block)
    squared = (found - values) ** 2 / pilot.estimate.bse.to_numpy() ** 2 * share
    squared = squared[np.isfinite(squared)]
    return float(squared.mean()) if len(squared) else np.nan


def _descended(plan: Any, pilot: Pilot, block: Any) -> np.ndarray:
    problem = pilot.problem.local(block)
    problem.engine_name = "serial"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return plan.estimate(problem).values


def _seconds(plan: Any, pilot: Pilot, long: int, short: int) -> float:
    """Of a row and pass: from two lengths, so that what is done once does not count."""
    spent = []
    for rows in (short, short, long):
        block = pilot.block.take(np.arange(rows))
        started = time.process_time()
        _descended(plan, pilot, block)
        spent.append(time.process_time() - started)
    return max(spent[2] - spent[1], 0.1 * spent[2]) / max(long - short, 1) / plan.n_passes
