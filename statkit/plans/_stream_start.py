"""The fit of a stream's first rows, on which everything later leans."""

from __future__ import annotations

import warnings

import numpy as np

from statkit.exceptions import SeparationWarning
from statkit.families import Gaussian
from statkit.plans._stream_losses import residual_spread
from statkit.rounds.tasks import response_sums
from statkit.solvers.newton import newton

__all__ = ["fit_first_rows"]

_RESCALINGS = 5


def fit_first_rows(plan, problem, state, block, prior: float) -> tuple[np.ndarray, float]:
    """Estimate from a block, and the scale of its residuals (1 where the loss needs none).

    ``prior`` is the precision that holds separated columns.
    """
    family = problem.family
    sums = response_sums(block, family.predictors + 1)
    if not sums["weight"] > 0:
        raise ValueError("every sample weight of the first rows is zero: at least one must be positive")
    spread = 1.0
    if plan.needs_spread(family):
        theta, spread = _residual_fit(plan, problem, state, block, sums)
        return theta, spread
    local = problem.local_with(block, state.center, state.scale)
    start = local.null_theta(sums["y"], sums["weight"])
    weak = np.full(state.q, 0.0 if plan.newton == "full" or family.quadratic else 1e-6)
    fit = _newton(local, state, start, weak)
    if fit.separated.any():
        design = problem.design
        names = [design.names[design.position[j % problem.width]] for j in np.flatnonzero(fit.separated)]
        named = ", ".join(map(repr, dict.fromkeys(names[:5]))) + (" and others" if len(names) > 5 else "")
        warnings.warn(
            f"the first rows of the stream are separated by {named}: a weak prior holds these columns until later "
            "rows tell more",
            SeparationWarning,
            stacklevel=8,
        )
        fit = _newton(local, state, start, np.where(fit.separated, prior, weak), separates=False)
    return np.where(np.isnan(fit.theta), 0.0, fit.theta), spread


def _newton(local, state, start, diagonal, separates=True):
    """Newton with the stream's prior (A, v) before any row, and a diagonal one."""
    A, v = state.A, state.v
    given = A.any()

    def evaluate(theta, _):
        e = local.evaluate(theta)
        if given:
            e.loss += 0.5 * float(theta @ A @ theta) - float(v @ theta)
            e.gradient = e.gradient + v - A @ theta
            e.information = e.information + A
        return e

    return newton(
        evaluate, start, tol=1e-12, max_rounds=50, prior=diagonal,
        dispersion=local.dispersion, may_separate=separates and local.may_separate and not given,
    )  # fmt: skip


def _residual_fit(plan, problem, state, block, sums):
    """Least squares, then the loss at the scale of the residuals, which its own fit corrects."""
    weak = np.full(state.q, 1e-8)
    squares = problem.with_scaling(state.center, state.scale)
    squares.family = Gaussian()
    local = squares.local(block)
    theta = np.nan_to_num(_newton(local, state, local.null_theta(sums["y"], sums["weight"]), weak).theta)
    scaled = block.scaled(state.center, state.scale)
    quantile = problem.family.solver == "linear_program"
    for _ in range(1 if quantile else _RESCALINGS):
        e = block.y - scaled.matvec(theta)
        spread = residual_spread(e, block.weight)
        if quantile and problem.design.intercept:
            theta[0] += np.quantile(e, problem.family.tau)
        trial = state.copy(theta=theta, spread=spread)
        local = plan.working(problem, trial, n=block.n_rows).local_with(block, state.center, state.scale)
        theta = np.nan_to_num(_newton(local, state, theta, weak).theta)
    return theta, spread
