"""How far one pass of a stream ends from the exact estimate, learnt by streaming the pilot.

The remainder of a stream is a sum over batches of terms of order p n_b / N_b: in standard errors it falls as
log(N/n_b)/√N. Rows whose model changes on the way add a distance that grows with √N.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from statkit.regression.forecast.pilot import Pilot
from statkit.regression.forecast.splits import Splits

__all__ = ["one_pass_distance"]

_BATCHES = 16
#: Coefficients from which one order tells enough.
_WIDE = 100
_MORE, _AT_LEAST = 3.0, 0.02


def one_pass_distance(plan: Any, pilot: Pilot, n_rows: int, splits: Splits) -> float:
    """Distance in standard errors of the estimate after one pass over ``n_rows`` rows."""
    if pilot.problem.family.quadratic and plan.forgetting == 1.0:
        return 0.0
    rng = np.random.default_rng([splits.seed, 3])
    shuffled = [
        _streamed(plan, pilot, rng.permutation(pilot.n)) for _ in range(1 + (len(pilot.theta) < _WIDE))
    ]
    chance = float(np.mean([s for s in shuffled if np.isfinite(s)] or [np.nan]))
    in_order = _streamed(plan, pilot, np.arange(pilot.n))
    if not np.isfinite(chance):
        return np.nan
    drifting = in_order - chance if in_order > _MORE * chance + _AT_LEAST else 0.0
    longer = max(np.log(max(n_rows / plan.batch_size, 2.0)), 1.0) / np.log(_BATCHES)
    return float(np.sqrt(chance * longer**2 * pilot.n / n_rows + drifting * n_rows / pilot.n))


def _streamed(plan: Any, pilot: Pilot, order: np.ndarray) -> float:
    """Squared distance, in the pilot's standard errors, of a stream of its rows."""
    from sklearn.base import clone

    problem = pilot.problem.local(pilot.block)
    own = clone(plan).set_params(buffer_rows=0, on_drift="ignore", n_passes=1)
    state: Any = None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for part in np.array_split(order, _BATCHES):
            state = own.update(problem, state, pilot.block.take(np.sort(part)))
    if state.theta is None:
        return np.nan
    found = problem.with_scaling(state.center, state.scale).public_values(state.theta)
    difference = (found - pilot.estimate.values) ** 2 / pilot.estimate.bse.to_numpy() ** 2
    difference = difference[np.isfinite(difference)]
    return float(difference.mean()) if len(difference) else np.nan
