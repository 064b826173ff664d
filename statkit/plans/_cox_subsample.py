"""Cox's model from all events and a few censored rows, chosen by what they do to the score.

Events carry the information; a censored row only adds to the risk sets, and its residual says how much. The sums
over the risk sets of all rows, one round at a pilot, give both the rows' residuals and the score that calibrates.
"""

from __future__ import annotations

import numpy as np

from statkit.plans._cox import baseline_of, exact_cox
from statkit.plans._report import report
from statkit.plans._subsample_estimate import SubsampleEstimate
from statkit.plans._subsample_fit import solve_weighted
from statkit.plans._subsample_pass import (
    PILOT_STREAM,
    KeptRows,
    PoissonDraw,
    PriorityDraw,
    TotalsDraw,
    weighted,
)
from statkit.plans._subsample_report import all_rows
from statkit.results.survival import SurvivalEstimate
from statkit.rounds.tasks import Want, linear_predictor, response_sums
from statkit.sampling.probabilities import water_level
from statkit.sampling.uniforms import uniforms_of_rows
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult

__all__ = ["CoxSubsampleEstimate", "subsample_cox"]

_CRITERIA = ("uniform", "optL", "optLs", "optA")
_TILE = 8_192


class CoxSubsampleEstimate(SubsampleEstimate, SurvivalEstimate):
    """Proportional hazards from all events and drawn censored rows."""


def subsample_cox(plan, problem):
    """The estimate of ``plans.Subsample`` for the Cox family."""
    _check(plan, problem)
    censored = problem.session.n_rows - problem.design.grid.n_events
    pilot_size = plan.pilot_size
    if pilot_size is None:
        pilot_size = plan.size if plan.refine else max(20 * problem.size, plan.size // 5)
    if censored <= plan.size + pilot_size:
        estimate = all_rows(plan, problem)
        estimate.__class__ = CoxSubsampleEstimate
        return estimate
    rate = min(1.0, pilot_size / censored)
    first = problem.session.round(events_and_pilot, problem.seed, rate)
    pilot, pi0 = first["kept"].block(), first["kept"].scores
    penalty = problem.penalty(first["weight"])
    start, _ = solve_weighted(problem, weighted(pilot, 1 / pi0), np.zeros(problem.size), penalty=penalty)
    theta = np.where(np.isnan(start.theta), 0.0, start.theta)
    hazard = problem.context(theta)
    at = (problem.family, theta, problem.center, problem.scale, hazard.rows, hazard.tables())
    T = _map(plan.criterion, problem, start.at.information)
    m = _residual_norms(pilot, *at, T)
    quiet = pilot.y[:, 2] == 0
    if not quiet.any():
        raise ValueError(
            f"the pilot of {pilot_size} rows has no censored row at risk: raise Subsample(pilot_size=…)"
        )
    kept, probability, threshold = _draw(plan, problem, at, T, m[quiet], pi0[quiet])
    block, pi = _union(pilot, pi0, m, kept, probability, quiet, plan.combine == "union")
    rows = weighted(block, 1 / pi)
    shift = None
    local = problem.local(rows)
    local.alpha = 0.0
    if plan.refine == "calibrated":
        shift = local.evaluate(theta, Want(information=False)).gradient - _full_gradient(pilot, *at)
    result, penalty = solve_weighted(problem, rows, theta, shift=shift, penalty=penalty)
    if plan.refine == "newton":
        from statkit.plans.exact import Exact

        final = np.where(np.isnan(result.theta), 0.0, result.theta)
        estimate = exact_cox(Exact(), problem, start=final)
        covariance = estimate.covariance
        target, full = estimate, np.zeros_like(covariance)
        target.extra.update(_extra(problem, theta, block, pi, pilot, threshold, full, covariance, plan))
        target.plan, target.__class__ = repr(plan), CoxSubsampleEstimate
        return target
    return _finish(
        plan, problem, first, pilot, theta, block, pi, rows, local, result, penalty, threshold, shift
    )


def _check(plan, problem):
    plan._check(problem)
    for name, allowed in (
        ("criterion", _CRITERIA), ("sampling", ("priority", "poisson")), ("likelihood", ("weighted",)),
        ("combine", ("union", "none")), ("refine", (None, "calibrated", "newton")),
    ):  # fmt: skip
        if getattr(plan, name) not in allowed:
            known = ", ".join(map(repr, allowed))
            raise ValueError(
                f"for Cox's model Subsample({name}=…) must be one of {known}, not {getattr(plan, name)!r}"
            )
    if problem.cov_type not in ("nonrobust", "HC0"):
        raise ValueError(
            f"Subsample has no covariance {problem.cov_type!r} for Cox's model: 'nonrobust' or 'HC0'"
        )


def events_and_pilot(block, seed: int, rate: float) -> dict:
    """All rows with an event, and a share of the censored ones that are ever at risk."""
    at_risk = block.y[:, 1] > block.y[:, 0]
    if block.weight is not None:
        at_risk &= block.weight > 0
    event = at_risk & (block.y[:, 2] > 0)
    drawn = uniforms_of_rows(seed, PILOT_STREAM, block.rows, block.n_rows) < rate
    index = np.flatnonzero(event | (at_risk & drawn))
    pi = np.where(event[index], 1.0, rate)
    n = block.n_rows if block.weight is None else int(np.count_nonzero(block.weight))
    return {
        "kept": KeptRows(pi, pi, [block.take(index)]), "n": n, "n_rows": block.n_rows, **response_sums(block)
    }  # fmt: skip


def _residual_norms(block, family, theta, center, scale, context, tables, T):
    """‖T u‖ of the rows' part in the risk sets (all ones for a uniform draw)."""
    n = block.n_rows
    out = np.ones(n)
    if T is None:
        return out
    scaled = block.scaled(center, scale)
    for start in range(0, n, _TILE):
        part = scaled.take(slice(start, min(start + _TILE, n)))
        U = family.row_scores(part, linear_predictor(part, theta, 1), context, tables)
        mapped = U * T if T.ndim == 1 else U @ T.T
        out[start : start + _TILE] = np.sqrt(np.einsum("ij,ij->i", mapped, mapped))
    return out


def _map(criterion, problem, H):
    """T of the score ‖T u‖, for residuals in internal coordinates."""
    if criterion == "uniform":
        return None
    units = np.diag(problem.unscale())  # raw coefficients are these times the internal ones
    if criterion == "optL":
        return 1.0 / units
    if criterion == "optLs":
        diagonal = np.diag(H)
        return 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    inverse = Factor(H).inverse()
    return units[:, None] * np.where(np.isnan(inverse), 0.0, inverse)


def draw_censored(block, family, theta, center, scale, context, tables, T, draw) -> dict:
    """Drawn rows among the censored ones that are ever at risk."""
    some = (block.y[:, 2] == 0) & (block.y[:, 1] > block.y[:, 0])
    if block.weight is not None:
        some &= block.weight > 0
    part = block.take(np.flatnonzero(some))
    m = _residual_norms(part, family, theta, center, scale, context, tables, T)
    return draw.gather(part, [(0, draw.take(m, part, draw.uniforms(part)))])


def _draw(plan, problem, at, T, m, pi0):
    """Kept rows with their probabilities, the probability of any score, and the threshold."""
    n, seed = int(plan.size), problem.seed
    mean = float(np.average(m, weights=1 / pi0))
    if plan.sampling == "priority":
        draw = PriorityDraw(seed, n, plan.mixture, mean if mean > 0 else 1.0)
        out = problem.session.round(draw_censored, *at, T, draw)["kept"]
        block, scores, tau = out.priority()

        def probability(m, weight):
            mixed = draw.mixed(m, weight)
            return np.minimum(1.0, mixed / tau) if tau > 0 else np.ones(len(m))

        return (block, np.minimum(1.0, scores / tau) if tau > 0 else np.ones(len(scores))), probability, tau
    out = problem.session.round(draw_censored, *at, T, TotalsDraw(n))
    top, rows = out["top"], sum(count for _, _, count in out["totals"])
    level = water_level(top.rest, top.top, n)
    draw = PoissonDraw(seed, n, plan.mixture, level, n * level, rows)
    kept = problem.session.round(draw_censored, *at, T, draw)["kept"]
    return (kept.block(), kept.scores), draw.probability, level


def _union(pilot, pi0, m, kept, probability, quiet, union):
    """Events, drawn rows and (with ``union``) the pilot's, each once, and their probabilities."""
    block, pi = kept
    events = pilot.take(np.flatnonzero(~quiet))
    if not union:
        whole = events.merge(block)
        pi = np.concatenate([np.ones(events.n_rows), pi])
    else:
        rate = pi0[quiet][0]
        new = np.flatnonzero(quiet & ~np.isin(pilot.row_numbers(), block.row_numbers()))
        extra = pilot.take(new)
        pi1 = np.concatenate([pi, probability(m[new], extra.weight)])
        whole = events.merge(block).merge(extra)
        pi = np.concatenate([np.ones(events.n_rows), pi1 + rate - pi1 * rate])
    order = np.argsort(whole.row_numbers(), kind="stable")
    return whole.take(order), pi[order]


def _full_gradient(pilot, family, theta, center, scale, context, tables):
    """Score of all rows: the events, less the means over their risk sets."""
    events = pilot.take(np.flatnonzero(pilot.y[:, 2] > 0)).scaled(center, scale)
    a = np.ones(events.n_rows) if events.weight is None else events.weight
    return events.transpose_matvec(a) - a @ tables[0][events.y[:, 1].astype(np.intp) - 1]


def _finish(plan, problem, first, pilot, theta0, block, pi, rows, local, result, penalty, threshold, shift):
    theta = np.where(np.isnan(result.theta), 0.0, result.theta)
    hazard = local.context(theta)
    e = local.evaluate(theta, Want(sums=True))
    M = e.information if penalty is None else e.information + np.diag(penalty)
    factor = Factor(M, keep=None if result.factor.keep is None else result.factor.keep)
    U = _scores(local, rows, theta, hazard)
    D = U
    if shift is not None:
        D = U - _scores(local, rows, theta0, local.context(theta0))
    n = len(pi)
    correct = n / (n - len(theta)) if plan.cov_correction and n > len(theta) else 1.0
    meat = correct * (D * np.sqrt(1 - pi)[:, None]).T @ (D * np.sqrt(1 - pi)[:, None])
    own = e.information if problem.cov_type == "nonrobust" else (U * pi[:, None]).T @ U
    inverse = factor.inverse()
    filled = np.where(np.isnan(inverse), 0.0, inverse)
    out = []
    for S in (meat, meat + own):
        V = filled @ S @ filled
        V[np.isnan(inverse)] = np.nan
        out.append(V)
    null = local.evaluate(np.zeros(problem.size), Want(sums=True))
    chosen = out[plan.target == "population"]
    e.n, e.n_read, e.n_missing, e.weight = first["n"], first["n_read"], first["n_missing"], first["weight"]
    e.null, e.n_rows = {"deviance": np.nan}, first["n_rows"]
    solved = NewtonResult(
        result.theta, e, factor, result.decrement, result.converged, result.separated, result.history
    )
    problem.baseline = baseline_of(problem, theta, hazard)
    extra = {
        "n_events": int(hazard.n_events), "ties": problem.family.ties, "loglik_null": -null.sums["loss"],
        "score_statistic": float("nan"), "concordance": float("nan"),
        **_extra(problem, theta0, block, pi, pilot, threshold, *out, plan),
    }  # fmt: skip
    notes = [*problem.design.notes, "All events and drawn censored rows; log-likelihoods are estimates."]
    return report(
        problem, plan, solved, covariance=chosen, kind=CoxSubsampleEstimate, extra=extra, notes=notes,
        rows_used=len(np.unique(block.row_numbers())), cov_type="sandwich", deviance=np.nan, pearson_chi2=np.nan,
        target="population parameter" if plan.target == "population" else "fit of all rows",
    )  # fmt: skip


def _scores(local, rows, theta, hazard):
    scaled = rows.scaled(local.center, local.scale)
    eta = linear_predictor(scaled, theta, 1)
    return local.family.row_scores(scaled, eta, hazard.rows, hazard.tables())


def _extra(problem, theta0, block, pi, pilot, threshold, full, population, plan):
    import pandas as pd

    names = list(problem.design.names)

    def table(V):
        V = V if V.shape[0] == len(names) and plan.refine == "newton" else problem.public_matrix(V)
        return pd.DataFrame(V, names, names)

    quiet = pilot.y[:, 2] == 0
    return {
        "sample_indices": block.row_numbers(), "inclusion_prob": pi, "sample_weights": 1.0 / pi,
        "pilot_params": pd.Series(problem.public_values(theta0), names),
        "pilot_indices": pilot.row_numbers()[quiet], "threshold": float(threshold),
        "expected_size": float(plan.size), "covariance_full_data": table(full),
        "covariance_population": table(population), "design_effects": np.full(len(names), np.nan),
    }  # fmt: skip
