"""How far ``RareEvents`` ends from the fit of all rows, its sums taken over the pilot's rows.

Every event is kept, and a non-event with probability π(x). With log π in the offset the kept rows follow a logistic
model with the same coefficients, whose information a row is p(1−p) π / (p + (1−p) π). All rows' estimate is efficient:
the squared distance to it is the difference of the variances. Weighted by 1/π the variance is that of the draw.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statkit.regression.forecast.pilot import Pilot
from statkit.regression.forecast.sampling_error import at_estimate, level, mapped_scores
from statkit.solvers.cholesky import Factor

__all__ = ["case_control", "rare_distance"]


def rare_distance(plan: Any, pilot: Pilot, n_rows: int, events: float) -> float:
    """Distance in the exact estimate's standard errors, root mean square over coefficients."""
    rows, each = at_estimate(pilot), n_rows / pilot.n
    weight = 1.0 if pilot.block.weight is None else pilot.block.weight
    p = pilot.problem.family.inverse_link(rows.eta)
    # As if no row had an event: which one has is not known before.
    factor = p * weight * (1.0 if plan.criterion == "LCC" else np.sqrt(1 - p))
    m = mapped_scores(plan, pilot, rows, factor)
    none = pilot.block.y == 0.0
    mixed = (1 - plan.mixture) * m + plan.mixture * m[none].mean()
    pi = np.minimum(1.0, mixed / level(mixed[none], plan.negatives_per_event * events / each))
    if plan.likelihood == "weighted":
        bread = np.nan_to_num(Factor(each * pilot.information).inverse())
        # Of non-events alone, in expectation.
        spread = (1 - pi) / pi * (1 - p) * (p * weight) ** 2
        variance = np.diag(bread @ (each * rows.scaled.sandwich(np.ascontiguousarray(spread))) @ bread)
    else:
        kept = each * rows.scaled.sandwich(np.ascontiguousarray(rows.w * pi / (p + (1 - p) * pi)))
        variance = np.diag(Factor(kept).inverse()) - np.diag(Factor(each * pilot.information).inverse())
    return _root_mean(variance, pilot, n_rows)


def case_control(pilot: Pilot, n_rows: int, shares: tuple[float, float]) -> tuple[float, float]:
    """Of a sample with these shares of non-events and of events: the distance of its fit, and its curvature.

    The curvature is that of a row of the sample over that of a row of all, mean over directions.
    """
    rows, each = at_estimate(pilot), n_rows / pilot.n
    p = pilot.problem.family.inverse_link(rows.eta)
    none, event = shares
    share = (1 - p) * none + p * event
    kept = each * rows.scaled.sandwich(np.ascontiguousarray(rows.w * none * event / share))
    inverse = np.nan_to_num(Factor(each * pilot.information).inverse())
    variance = np.diag(Factor(kept).inverse()) - np.diag(inverse)
    ratio = float(np.trace(inverse @ kept)) / len(inverse) / float(np.mean(share))
    return _root_mean(variance, pilot, n_rows), ratio


def _root_mean(variance: np.ndarray, pilot: Pilot, n_rows: int) -> float:
    """Of variances relative to those of the exact estimate."""
    exact = pilot.variance * pilot.n / n_rows
    good = np.isfinite(exact) & (exact > 0) & np.isfinite(variance)
    return float(np.sqrt(np.mean(np.maximum(variance[good], 0.0) / exact[good])))
