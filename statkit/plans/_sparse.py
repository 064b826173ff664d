"""Lasso and elastic net: what the exact fit needs beside its rounds, and what its table says."""

from __future__ import annotations

import numpy as np

from statkit.plans._report import report
from statkit.rounds.tasks import Want
from statkit.solvers.cholesky import Factor
from statkit.solvers.coordinate_descent import minimise
from statkit.solvers.newton import NewtonResult

__all__ = ["carry_sums", "check_sparse", "lasso_from_gram", "without_errors"]

_WHY = "no standard error, the lasso's estimate is shrunk and its zeros were chosen on these rows"
# Residual share of the sum of squares below which subtracting sums loses digits that matter.
_CANCELLATION = 1e-6


def check_sparse(problem):
    """Refuse what has no lasso."""
    family = problem.family
    if family.predictors > 1:
        raise ValueError(
            "l1_ratio > 0 is for two classes: with more, the zeros would depend on the reference class"
        )
    if not family.curved:
        raise ValueError(f"l1_ratio > 0 needs a smooth loss, the {family.name} family has none")
    if problem.cov_type != "nonrobust":
        raise ValueError(
            f"cov_type={problem.cov_type!r}: there are no standard errors after a penalty with l1_ratio > 0; "
            "DebiasedAverage() has them, and so has a fit of the chosen columns alone"
        )


def without_errors(problem) -> dict:
    """Arguments of the report of an estimate without standard errors."""
    return {
        "covariance": np.full((problem.size, problem.size), np.nan),
        "why_nan": dict.fromkeys(problem.design.names, _WHY),
    }


def carry_sums(problem, result):
    """Carry the sums over the last step, to second order: at the optimum of a lasso the loss itself has a slope."""
    e = result.at
    step, diagonal = result.theta - e.theta, problem.penalty(e.weight)
    ridge = np.zeros(problem.size) if diagonal is None else diagonal
    gain = 2 * float((e.gradient + ridge * e.theta) @ step)
    gain -= float(step @ e.information @ step) - float(ridge @ step**2)
    e.sums = {**e.sums, "loss": e.sums["loss"] - gain / 2, "deviance": e.sums["deviance"] - gain}


def lasso_from_gram(plan, problem):
    """Lasso of a linear model from one round of sums: they are all that the rows have to say."""
    start = np.zeros(problem.size)
    e = problem.evaluate(start, Want(sums=True))
    l1 = problem.l1_penalty(e.weight)
    theta = minimise(e.information, e.gradient, l1)
    history = [{"round": 1, "loss": e.loss, "decrement": np.nan, "halvings": 0, "seconds": np.nan}]
    total, y_sum = e.sums["deviance"], float(np.ravel(e.y)[0])
    null = total - (e.gradient[0] ** 2 / e.weight if problem.design.intercept else 0.0)
    diagonal = problem.penalty(e.weight)
    H = e.information if diagonal is None else e.information - np.diag(diagonal)
    residual = total - 2 * float(e.gradient @ theta) + float(theta @ H @ theta)
    if residual < _CANCELLATION * max(total, y_sum**2 / e.weight):
        last = problem.evaluate(theta, Want(information=False, sums=True))
        theta = minimise(e.information, e.information @ theta + last.gradient, l1, theta)
        e.sums = last.sums
        history.append({**history[0], "round": 2, "loss": last.loss})
    else:
        e.sums = {**e.sums, "deviance": residual, "pearson": residual, "loss": residual / 2}
    e.null = {"deviance": max(null, 0.0)}
    used = (theta != 0) | (l1 == 0)
    result = NewtonResult(
        theta, e, Factor(e.information, keep=used), 0.0, True, np.zeros(len(theta), bool), history
    )
    return report(problem, plan, result, **without_errors(problem))
