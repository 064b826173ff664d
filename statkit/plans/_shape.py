"""Families with a shape parameter that is estimated: alternate coefficient rounds and shape steps.

Coefficients and shape are orthogonal in expected information, so that alternating converges fast.
"""

from __future__ import annotations

import numpy as np

from statkit.rounds.tasks import linear_predictor

__all__ = ["with_estimated_shape"]

_START = 0.5
_MOST = 30


def shape_sums(block, family, theta, shape, center, scale) -> dict:
    """Score and information of log α at θ, and what a moment estimate of α needs."""
    block = block.scaled(center, scale)
    eta = linear_predictor(block, theta, family.predictors)
    return family.shape_sums(eta, block.y, block.weight, shape[0])


def with_estimated_shape(plan, problem):
    """Fit coefficients and shape of a family with one shape parameter."""
    family = problem.family
    problem.shape = np.array([_START])
    theta, null = plan.start(problem)
    alpha = family.shape_start(_sums(problem, theta, _START))
    for _ in range(_MOST):
        problem.shape = np.array([alpha])
        result, null = plan.solve(problem, (theta, null))
        theta = np.where(np.isnan(result.theta), 0.0, result.theta)
        before = alpha
        alpha, information = _improve(problem, theta, alpha)
        if np.log(alpha / before) ** 2 * information < plan.tol**2:
            break
    problem.shape = np.array([alpha])
    result, null = plan.solve(problem, (theta, null))
    error = alpha / np.sqrt(information) if information > 0 else np.nan
    return plan.finish(problem, result, null, shape={"alpha": alpha}, shape_bse={"alpha": error})


def _sums(problem, theta, alpha):
    arguments = (problem.family, theta, np.array([alpha]), problem.center, problem.scale)
    return problem.session.round(shape_sums, *arguments)


def _improve(problem, theta, alpha):
    """Newton steps on log α at fixed coefficients; α and the information of log α."""
    for _ in range(_MOST):
        sums = _sums(problem, theta, alpha)
        before, alpha = alpha, problem.family.shape_step(alpha, sums)
        if np.log(alpha / before) ** 2 * abs(sums["information"]) < 1e-10:
            break
    return alpha, sums["information"]
