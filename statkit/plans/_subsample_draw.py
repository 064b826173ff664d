"""Rows of the second stage: scores from the pilot, the pass that draws, and what is known of the draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from statkit.plans._subsample_pass import (
    Model,
    PoissonDraw,
    PriorityDraw,
    RepeatedDraw,
    ReplacementDraw,
    TotalsDraw,
    link_rows,
    score_rows,
)
from statkit.plans._subsample_pilot import pilot_level, scoring_of
from statkit.sampling.criteria import Scoring
from statkit.sampling.probabilities import pilot_threshold, water_level

__all__ = ["draw_rows", "pilot_scores", "priority_pass"]

# A key below this share of the threshold that the pilot predicts is left in the worker: the more rows the pilot
# has, the closer it predicts.
_LOWEST, _HIGHEST, _SPREAD = 0.5, 0.9, 10.0


def pilot_scores(block, model, scoring) -> np.ndarray:
    """Scores of a block's rows at the model."""
    eta, r, w, _ = link_rows(block, model)
    return scoring.scores(block, model.family, eta, r, w, block.y)


def priority_pass(problem, model, scoring, draw, level, pilot_rows, repeats=1) -> dict:
    """The pass of ``repeats`` priority draws; rows that ``level``, the predicted threshold, rules out are not
    gathered. ``kept`` lists them."""
    share = min(max(1.0 - _SPREAD / np.sqrt(max(pilot_rows, 1)), _LOWEST), _HIGHEST)

    def drawn(floor):
        draws = tuple(replace(draw, floor=floor, stream=draw.stream + k) for k in range(repeats))
        return problem.session.round(score_rows, model, scoring, RepeatedDraw(draws), True)

    out = drawn(share * level)
    if level > 0 and min(len(kept.keys) for kept in out["kept"]) <= draw.n < out["n"]:
        out = drawn(0.0)
    return out


def draw_rows(plan, problem, pilot) -> dict:
    """Gradient and sums of all rows at the pilot, the drawn rows and how they were drawn."""
    model = Model(problem.family, pilot.theta, problem.shape, problem.center, problem.scale)
    n = int(plan.size)
    scoring = scoring_of(problem, pilot, plan.criterion, plan.contrast, n)
    m = pilot_scores(pilot.block, model, scoring)
    if not m.any():
        scoring = Scoring("uniform")
        m = pilot_scores(pilot.block, model, scoring)
    kind = {"priority": _priority, "poisson": _poisson, "replacement": _replacement}[plan.sampling]
    drawn = kind(plan, problem, pilot, model, scoring, m, n)
    if drawn["block"].n_rows < problem.size + 2:
        raise ValueError(
            f"only {drawn['block'].n_rows} rows were drawn for {problem.size} coefficients: raise size"
        )
    return {**drawn, "model": model, "scoring": scoring, "expected": float(n)}


def _priority(plan, problem, pilot, model, scoring, m, n):
    w = 1.0 / pilot.pi
    draw = PriorityDraw(problem.seed, n, plan.mixture, float(np.average(m, weights=w)))
    level = pilot_level(draw.mixed(m, pilot.block.weight), w, n) if pilot.representative else 0.0
    out = priority_pass(problem, model, scoring, draw, level, len(m), plan.repeats)
    samples = []
    for kept in out.pop("kept"):
        block, scores, tau = kept.priority()
        samples.append((block, np.minimum(1.0, scores / tau) if tau > 0 else np.ones(len(scores))))

    def probability(m, weight):
        return np.minimum(1.0, draw.mixed(m, weight) / tau) if tau > 0 else np.ones(len(m))

    drawn = {**out, "threshold": tau, "probability": probability}
    if len(samples) > 1:
        drawn["samples"] = samples
    return {**drawn, "block": samples[0][0], "pi": samples[0][1]}


def _poisson(plan, problem, pilot, model, scoring, m, n):
    if plan.threshold == "pilot":
        rows = problem.session.n_rows
        level, total = pilot_threshold(m, pilot.pi, n, rows)
        draw = PoissonDraw(problem.seed, n, plan.mixture, level, total, rows)
        out = problem.session.round(score_rows, model, scoring, draw, True)
    else:
        out = problem.session.round(score_rows, model, scoring, TotalsDraw(n), True)
        top, rows = out["top"], sum(count for _, _, count in out["totals"])
        level = water_level(top.rest, top.top, n)
        draw = PoissonDraw(problem.seed, n, plan.mixture, level, n * level, rows)
        out["kept"] = problem.session.round(score_rows, model, scoring, draw, False)["kept"]
    kept = out["kept"]
    return {
        **out,
        "block": kept.block(),
        "pi": kept.scores,
        "threshold": level,
        "probability": draw.probability,
    }


def _replacement(plan, problem, pilot, model, scoring, m, n):
    out = problem.session.round(score_rows, model, scoring, TotalsDraw(n), True)
    top, totals = out["top"], out["totals"]
    total = top.rest + float(top.top.sum())
    rows = sum(count for _, _, count in totals)
    share = [(1 - plan.mixture) * t / total + plan.mixture * count / rows for _, t, count in totals]
    ends = np.concatenate([[0.0], np.cumsum(share)])
    ends[-1] = np.inf
    between = {first: (ends[i], ends[i + 1]) for i, (first, _, _) in enumerate(totals) if first >= 0}
    draw = ReplacementDraw(problem.seed, n, plan.mixture, total, rows, between)
    kept = problem.session.round(score_rows, model, scoring, draw, False)["kept"]
    return {**out, "kept": kept, "block": kept.block(), "pi": n * kept.scores, "threshold": np.nan}
