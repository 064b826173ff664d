"""Families with a shape parameter that is estimated: alternate coefficient rounds and shape steps.

Coefficients and shape are orthogonal in expected information, so that alternating converges fast.
"""

from __future__ import annotations

import numpy as np

from statkit.rounds.tasks import linear_predictor

__all__ = ["with_estimated_shape"]

_START = 0.5
_MOST = 30
_SMALLEST = 1e-8


def shape_sums(block, family, theta, shape, center, scale) -> dict:
    """Score and information of log α at θ, and what a moment estimate of α needs."""
    block = block.scaled(center, scale)
    eta = linear_predictor(block, theta, family.predictors)
    return family.shape_sums(eta, block.y, block.weight, shape[0])


def with_estimated_shape(plan, problem):
    """Fit coefficients and shape of a family with one shape parameter."""
    alpha = _START
    problem.shape = np.array([alpha])
    start = plan.start(problem)
    null = start[1]
    for _ in range(_MOST):
        problem.shape = np.array([alpha])
        result, null = plan.solve(problem, start)
        theta = np.where(np.isnan(result.theta), 0.0, result.theta)
        step, information, alpha = _improve(problem, theta, alpha)
        if step * step * information < plan.tol**2 or alpha <= _SMALLEST:
            break
        start = (theta, null)
    problem.shape = np.array([alpha])
    result, null = plan.solve(problem, (theta, null))
    error = alpha / np.sqrt(information) if information > 0 and alpha > _SMALLEST else np.nan
    return plan.finish(problem, result, null, shape={"alpha": alpha}, shape_bse={"alpha": error})


def _improve(problem, theta, alpha):
    """Newton steps on log α at fixed coefficients; the first step, the last information, and α."""
    first = None
    for _ in range(_MOST):
        sums = problem.session.round(
            shape_sums, problem.family, theta, np.array([alpha]), problem.center, problem.scale
        )
        score, information = sums["score"], sums["information"]
        step = score / information if information > 0 else np.sign(score)
        step = float(np.clip(step, -2.0, 2.0))
        first = step if first is None else first
        alpha = max(alpha * np.exp(step), _SMALLEST)
        if step * step * abs(information) < 1e-10 or alpha <= _SMALLEST:
            break
    return first, information, alpha
