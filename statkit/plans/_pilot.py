"""A fit on a small sample from all partitions, which draws more of a rare class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from statkit.rounds.tasks import Kept, response_sums, sample_rows
from statkit.solvers.newton import newton

__all__ = ["pilot_fit", "pilot_sample", "pilot_size"]

# A class with a smaller share than this is drawn in full, with this many rows of the other for each of its own.
_RARE = 0.02
_OTHERS = 5


def pilot_size(size, problem) -> int:
    """Rows of a pilot from which one Newton step ends about a tenth of a standard error off."""
    n = problem.session.n_rows
    if size == "auto":
        size = int(max(7 * np.sqrt(n * problem.size), 20 * problem.size))
    return min(size, n)


def pilot_sample(problem, size: int):
    """A sample of about ``size`` rows of all partitions as a problem in memory.

    Where one of two classes is rare in a logistic regression, its rows are all kept and the others are thinned; an
    offset then makes the fit that of the population.
    """
    share = size / max(1, problem.session.n_rows)
    out = problem.session.round(_sample_and_count, problem.seed, share, problem.family.predictors + 1)
    block = _joined(problem, out)
    family = problem.family
    if family.name != "binomial" or family.link_name != "logit" or not problem.design.intercept:
        return problem.local(block)
    events = float(out["y"][0])
    rare = 1.0 if events <= out["weight"] / 2 else 0.0
    few = min(events, out["weight"] - events)
    if not 0 < few < _RARE * out["weight"]:
        return problem.local(block)
    shares = min(1.0, size / few), min(1.0, _OTHERS * min(few, size) / (out["weight"] - few))
    block = _joined(problem, problem.session.round(_case_control, problem.seed, rare, *shares))
    # log odds in the sample are those of the population plus log(share of events / share of non-events)
    shift = np.log(shares[0] / shares[1]) * (1.0 if rare else -1.0)
    offset = np.full(block.n_rows, shift) if block.offset is None else block.offset + shift
    return problem.local(replace(block, offset=offset))


def _joined(problem, out):
    block, session = out["kept"].block(), problem.session
    if session.all_cached or problem.in_memory:
        session.rows_visited -= session.n_rows - block.n_rows  # nothing else was looked at
    return block


def pilot_fit(pilot) -> np.ndarray:
    """Estimate on a pilot, kept finite by a weak prior where its response is separated."""
    theta = pilot.null_theta(*pilot.response())
    result = newton(
        lambda theta, _: pilot.evaluate(theta), theta, tol=1e-2, max_rounds=50,
        dispersion=pilot.dispersion, may_separate=pilot.may_separate,
    )  # fmt: skip
    if result.separated.any() or not result.converged:
        prior = np.full(pilot.size, 1.0)
        if pilot.design.intercept:
            prior[:: pilot.width] = 0.0
        result = newton(
            lambda theta, _: pilot.evaluate(theta), theta, tol=1e-2, max_rounds=50, prior=prior,
            dispersion=pilot.dispersion,
        )  # fmt: skip
    return np.where(np.isnan(result.theta), 0.0, result.theta)


def _sample_and_count(block, seed, share, n_classes) -> dict:
    out = response_sums(block, n_classes)
    return {**out, **sample_rows(block, seed, share, 1)}


def _case_control(block, seed, rare, share, others) -> dict:
    """Rows of the rare class with probability ``share``, others with probability ``others``."""
    from statkit.sampling.uniforms import uniforms_of_rows

    u = uniforms_of_rows(seed, 2, block.rows, block.n_rows)
    index = np.flatnonzero(u < np.where(block.y == rare, share, others))
    return {"kept": Kept([block.take(index)])}
