"""Models with thresholds: coefficients and thresholds by Newton rounds together."""

from __future__ import annotations

import numpy as np

from statkit.plans._report import evaluation_points, report
from statkit.rounds.tasks import Want
from statkit.solvers.newton import newton

__all__ = ["exact_ordered"]


def thresholds_first(problem):
    """A constant column depends on the thresholds, and not they on it."""
    q = problem.width
    return np.concatenate([np.arange(q, problem.size), np.arange(q)])


def exact_ordered(plan, problem):
    """The maximum (or ridge) likelihood estimate over all rows."""
    counts, weight = problem.response()
    theta = problem.null_theta(counts, weight)

    def evaluate(theta, nearly_done):
        return problem.evaluate(theta, Want(sums=True, meat=problem.meat if nearly_done else None))

    result = newton(
        evaluate, theta, tol=plan.tol, max_rounds=plan.max_rounds, may_separate=problem.may_separate,
        predict=not plan.certify, order=thresholds_first(problem),
    )  # fmt: skip
    if problem.meat and result.at.meat is None:
        at = np.where(np.isnan(result.theta), 0.0, result.theta)
        result.at.meat = problem.evaluate(at, Want(sums=True, meat=problem.meat)).meat
        result.at.sums_theta = at
    plan.warn(problem, result)
    return report(problem, plan, result, evaluated_at=evaluation_points(problem, result.at))
