"""Cox's model on rows anywhere: Newton rounds of two stages, the risk sets' sums and then the rows' information."""

from __future__ import annotations

import warnings

import numpy as np

from statkit.exceptions import SeparationWarning
from statkit.plans._report import report
from statkit.results.survival import SurvivalEstimate
from statkit.rounds.machines import machine_scores
from statkit.rounds.tasks import Kept, Want, linear_predictor, score_products
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult, newton

__all__ = ["concordance_of", "cox_report", "exact_cox"]

# Up to so many rows the concordance of the fitted rows is computed: it takes all of them at once.
_CONCORDANCE_ROWS = 500_000


def exact_cox(plan, problem, start=None):
    """The maximum (or ridge) partial likelihood estimate over all rows, from zero or from ``start``."""
    theta = np.zeros(problem.size) if start is None else start
    first = [] if start is None else [problem.evaluate(np.zeros(problem.size), Want(sums=True))]

    def evaluate(theta, nearly_done):
        e = problem.evaluate(theta, Want(sums=True))
        first.append(e)
        del first[1:]
        return e

    if problem.size:
        result = newton(
            evaluate, theta, tol=plan.tol, max_rounds=plan.max_rounds, may_separate=problem.may_separate,
            predict=not plan.certify,
        )  # fmt: skip
    else:
        e = evaluate(theta, True)
        nothing = Factor(np.ones((1, 1)), keep=np.zeros(1, bool))
        nothing.size, nothing.keep = 0, np.zeros(0, bool)
        result = NewtonResult(theta, e, nothing, 0.0, True, np.zeros(0, bool), [])
    if result.separated.any():
        _warn_monotone(problem, result)
    elif not result.converged:
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"no convergence in {plan.max_rounds} rounds: the last step was still {result.decrement:.2g} standard "
            "errors; raise Exact(max_rounds=…), or look for a column that orders the events (monotone likelihood)",
            ConvergenceWarning,
            stacklevel=5,
        )
    return cox_report(problem, plan, result, first[0])


def _warn_monotone(problem, result):
    from statkit.plans.exact import _column_names

    names = _column_names(problem, np.flatnonzero(result.separated))
    warnings.warn(
        f"the partial likelihood is monotone along {names}: it has no maximum at finite coefficients, and the "
        "coefficients and errors of these columns mean nothing (a level without events, or a column that orders the "
        "events); leave them out, merge levels, or set alpha > 0 for a ridge estimate",
        SeparationWarning,
        stacklevel=6,
    )


def cox_report(problem, plan, result, first, *, covariance=None, extra=None, **known):
    """The estimate at ``result``, with baseline, scores and tests from a round at the estimate itself.

    ``first`` is the evaluation without columns.
    """
    theta = np.where(np.isnan(result.theta), 0.0, result.theta)
    hazard = problem.context(theta)
    e = result.at
    out = problem.session.round(
        _at_estimate, problem.family, theta, problem.shape, problem.center, problem.scale, hazard.rows
    )
    problem.family.close(out, hazard)
    final = problem._penalised(theta, out)
    e = _with(e, loss=final.loss, information=final.information, sums=final.sums, null={"deviance": np.nan})
    if problem.size and not result.separated.any():
        result.factor = Factor(e.information, keep=result.factor.keep)
    result.at = e
    if problem.meat and covariance is None and problem.size:
        answer = problem.session.round(
            score_products, problem.family, theta, problem.center, problem.scale, hazard.rows, hazard.tables(),
            problem.meat,
        )  # fmt: skip
        e.meat = answer["meat"]
    null = first.sums["loss"]
    score = Factor(first.information).solve(first.gradient) @ first.gradient if problem.size else 0.0
    values = {
        "n_events": int(hazard.n_events), "ties": problem.family.ties, "loglik_null": -float(null),
        "score_statistic": float(score), "concordance": concordance_of(problem, theta), **(extra or {}),
    }  # fmt: skip
    problem.baseline = baseline_of(problem, theta, hazard)
    return report(
        problem, plan, result, kind=SurvivalEstimate, extra=values, covariance=covariance,
        deviance=np.nan, pearson_chi2=np.nan, **known,
    )  # fmt: skip


def _at_estimate(block, family, theta, shape, center, scale, context):
    from statkit.rounds.tasks import evaluate

    return evaluate(block, family, theta, shape, center, scale, None, Want(sums=True), context)


def _with(evaluation, **changes):
    for name, value in changes.items():
        setattr(evaluation, name, value)
    return evaluation


def baseline_of(problem, theta, hazard) -> dict:
    """Jumps of the cumulative hazard, their variance, and what intervals need, at the predictor ``reference``.

    Returns
    -------
    baseline : dict
        ``times``, ``hazard`` (cumulative in its stratum) and ``variance`` (D,), ``path`` (D, names): the sum of
        a S₁/S₀² in raw units; ``offsets`` and ``labels`` of the strata. A row's hazard is e^(η − reference) times
        these.
    """
    grid = problem.design.grid
    center = problem.center @ (theta[: len(problem.center)] * problem.scale) if problem.center.size else 0.0
    S1, _, T, D1, bb, _ = hazard.moments
    path = S1 * hazard.variance[:, None]
    if len(T):
        path[T] -= D1 * bb[:, None]
    if problem.center.size:
        d = len(problem.center)
        path[:, :d] /= problem.scale
        path[:, :d] += hazard.increments[:, None] * problem.center
    full = np.zeros((len(path), len(problem.design.names)))
    full[:, problem.design.position] = path
    jumps, variance = hazard.increments.copy(), hazard.variance.copy()
    for s in range(len(grid.labels)):
        part = slice(grid.offsets[s], grid.offsets[s + 1])
        for array in (full, jumps, variance):
            array[part] = np.cumsum(array[part], axis=0)
    return {
        "times": grid.times, "hazard": jumps, "variance": variance, "path": full, "offsets": grid.offsets,
        "labels": list(grid.labels), "reference": float(hazard.shift + center),
    }  # fmt: skip


def within_machines(problem, combined, e, extra):
    """What a plan of few rounds reports of risk sets within machines: class, further results, notes."""
    losses = [m.get("null_loss", np.nan) for m in combined.machines]
    if np.isnan(losses).any():  # no local fits were made: one more light round
        none = np.zeros(problem.size)
        options = (problem.shape, problem.center, problem.scale, None, Want(information=False))
        losses = [problem.session.round(machine_scores, problem.family, none, *options)["loss"]]
    values = {
        "n_events": int(e.sums["n_events"]), "ties": problem.family.ties, "loglik_null": -float(np.sum(losses)),
        "score_statistic": np.nan, "concordance": np.nan,
    }  # fmt: skip
    problem.baseline = None
    note = "Risk sets are within machines: the model is stratified by machine."
    return SurvivalEstimate, {**extra, **values}, [note] if len(combined.machines) > 1 else []


class _Pairs(Kept):
    """Columns of rows, joined in order."""

    def merge(self, other):
        return _Pairs(self.pieces + other.pieces)


def _predictors(block, family, theta, center, scale):
    eta = linear_predictor(block.scaled(center, scale), theta, 1)
    weight = np.ones(len(eta)) if block.weight is None else block.weight
    return {"rows": _Pairs([np.column_stack([eta, block.y, weight])])}


def concordance_of(problem, theta) -> float:
    """Harrell's concordance of the rows fitted; NaN where they are too many to gather."""
    from statkit.solvers.concordance import concordance

    if problem.session.n_rows > _CONCORDANCE_ROWS:
        return float("nan")
    out = problem.session.round(_predictors, problem.family, theta, problem.center, problem.scale)
    rows = np.concatenate(out["rows"].pieces)
    return concordance(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4], problem.family.offsets)
