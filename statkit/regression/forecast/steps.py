"""How Newton's rounds converge on this problem: the distance that a step leaves, learnt from the pilot.

In standard errors of n rows a step from the distance d leaves c d²/√n: the curvature c belongs to the model and the
data, not to n. It is measured by steps on the pilot from fits to parts of it.
"""

from __future__ import annotations

import numpy as np

from statkit.regression.forecast.pilot import Pilot
from statkit.rounds.tasks import Want
from statkit.solvers.cholesky import Factor

__all__ = ["distance_between", "one_step_curvature", "rounds_from_null", "rounds_to_go"]

_MOST = 40


def distance_between(pilot: Pilot, theta: np.ndarray, other: np.ndarray, keep=None) -> float:
    """Root mean square over coefficients of a difference in standard errors of the pilot."""
    squared = (theta - other) ** 2 / pilot.variance
    squared = squared[np.isfinite(squared)] if keep is None else squared[keep & np.isfinite(squared)]
    return float(np.sqrt(squared.mean())) if len(squared) else np.nan


#: Distance of the starts, in standard errors of the pilot.
_AWAY = 3.0


def one_step_curvature(pilot: Pilot, starts: list[np.ndarray], keep: np.ndarray) -> float:
    """c, from one step on the pilot's rows from points in the directions of the starts.

    Parameters
    ----------
    starts : list of ndarray
        Estimates on parts of the pilot.
    keep : ndarray of bool
        Coefficients that the parts have an estimate of; the others stay where they are.
    """
    if pilot.problem.family.quadratic:
        return 0.0
    lengths, left = [], []
    for start in starts:
        away = np.where(keep, start - pilot.theta, 0.0)
        length = distance_between(pilot, away, np.zeros_like(away), keep)
        if not (np.isfinite(length) and length > 0):
            continue
        theta = pilot.theta + away * (_AWAY / length)
        e = pilot.problem.evaluate(theta, Want())
        after = theta + Factor(e.information).solve(e.gradient)
        # What a step from the start itself would leave: starts that happen to be near count for less.
        lengths.append(length)
        left.append(distance_between(pilot, after, pilot.theta, keep) * (length / _AWAY) ** 2)
    if not lengths:
        return 0.7 * np.sqrt(len(pilot.theta))
    return float(np.sqrt(pilot.n * np.mean(np.square(left))) / np.mean(np.square(lengths)))


def _enough(n: int, tol: float) -> float:
    """Distance at which Newton's rounds stop: a step squares it; rows of a small problem cost nothing."""
    return min(np.sqrt(tol), 1e-6 * np.sqrt(n))


def rounds_to_go(distance: float, curvature: float, n: int, tol: float, certify: bool = True) -> int:
    """Newton rounds until the distance is below what stops them."""
    enough = _enough(n, tol)
    for number in range(1, _MOST):
        if distance < enough:
            return number
        left = min(curvature * distance**2 / np.sqrt(n), 0.5 * distance)
        if not certify and number > 1 and left < tol:
            return number
        distance = left
    return _MOST


def rounds_from_null(pilot: Pilot, curvature: float, n: int, tol: float) -> int:
    """The same from the mean response: the pilot's own rounds, whose distances grow with √n."""
    history = [line.get("decrement", np.nan) for line in _lines(pilot)]
    history = [d * np.sqrt(n / pilot.n) for d in history if np.isfinite(d)]
    for number, distance in enumerate(history, 1):
        if distance < _enough(n, tol):
            return number
    last = history[-1] if history else np.sqrt(n)
    left = min(curvature * last**2 / np.sqrt(n), 0.5 * last)
    return len(history) + rounds_to_go(left, curvature, n, tol)


def _lines(pilot: Pilot) -> list[dict]:
    history = pilot.estimate.history
    return history.to_dict("records") if hasattr(history, "to_dict") else list(history)
