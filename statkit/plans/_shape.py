"""Families with a shape parameter that is estimated: alternate coefficient rounds and shape steps.

Coefficients and shape are orthogonal in expected information, so that alternating converges fast.
"""

from __future__ import annotations

import numpy as np

from statkit.rounds.tasks import linear_predictor

__all__ = ["with_estimated_shape"]

_MOST = 30


def shape_sums(block, family, theta, shape, center, scale) -> dict:
    """What a step of the shape parameter at θ needs, and its first estimate."""
    block = block.scaled(center, scale)
    eta = linear_predictor(block, theta, family.predictors)
    return family.shape_sums(eta, block.y, block.weight, shape[0])


def with_estimated_shape(plan, problem):
    """Fit coefficients and shape of a family with one shape parameter."""
    family = problem.family
    guess = family.shape_guess
    problem.shape = np.array([guess])
    theta, null = plan.start(problem)
    if not family.likelihood:  # the first scale is that of the residuals of a fit, not of the start
        result, null = plan.solve(problem, (theta, null))
        theta = np.where(np.isnan(result.theta), 0.0, result.theta)
    alpha = family.shape_start(_sums(problem, theta, guess))
    for _ in range(_MOST if family.likelihood else 2 * _MOST):
        problem.shape = np.array([alpha])
        result, null = plan.solve(problem, (theta, null))
        theta = np.where(np.isnan(result.theta), 0.0, result.theta)
        before = alpha
        alpha, information = _improve(problem, theta, alpha, result.factor.rank)
        # A scale is no likelihood's and tells its error only roughly: it is followed to the end.
        enough = plan.tol**2 if family.likelihood else plan.tol**5
        if np.log(alpha / before) ** 2 * information < enough:
            break
    problem.shape = np.array([alpha])
    result, null = plan.solve(problem, (theta, null))
    name = family.shape_name
    error = alpha / np.sqrt(information) if information > 0 else np.nan
    errors = {name: error} if family.likelihood else {}
    return plan.finish(problem, result, null, shape={name: alpha}, shape_bse=errors)


def _sums(problem, theta, alpha):
    arguments = (problem.family, theta, np.array([alpha]), problem.center, problem.scale)
    return problem.session.round(shape_sums, *arguments)


def _improve(problem, theta, alpha, rank):
    """Newton steps on log α at fixed coefficients; α and the information of log α."""
    for _ in range(_MOST):
        sums = {**_sums(problem, theta, alpha), "rank": rank}
        before, alpha = alpha, problem.family.shape_step(alpha, sums)
        if np.log(alpha / before) ** 2 * abs(sums["information"]) < 1e-10:
            break
    return alpha, sums["information"]
