"""What each plan does, in rounds: how long it takes, what it holds, how far it ends from the exact estimate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from statkit.regression.forecast.descent_error import rehearse
from statkit.regression.forecast.job import Forecast, Job
from statkit.regression.forecast.rare_error import case_control, rare_distance
from statkit.regression.forecast.sampling_error import cluster_effect, determined, sampling_distance
from statkit.regression.forecast.splits import Splits
from statkit.regression.forecast.steps import rounds_from_null, rounds_to_go
from statkit.regression.forecast.stream_error import one_pass_distance
from statkit.regression.forecast.surrogate_error import rounds_distance

__all__ = ["default_plans", "forecast", "refusal"]

#: Sizes of subsamples, of those that are well below the number of rows.
_SIZES = (10_000, 100_000)
_FEW = 0.2
#: Tolerance of a machine's own fit.
_LOCAL_TOL = 1e-6
#: Share of a partition's rows from which what they lack, it lacks; and how many levels may be lacking.
_WHOLE, _LACKING = 0.9, 0.5
#: Newton steps of a tilted loss, from near its minimum.
_TILTED = 4.0
#: Share of a class below which samples of plans of few rounds keep all of it.
#: and how many of the other class for each of its own.
_RARE_CLASS, _OTHERS = 0.02, 5


def forecast(plan: Any, job: Job, splits: Splits) -> Forecast:
    """What is to be expected of a plan.

    Raises
    ------
    ValueError
        For a plan that has no forecast, or does not fit the family.
    """
    reason = refusal(plan, job)
    if reason is not None:
        raise ValueError(f"{type(plan).__name__}: {reason}")
    return _FORECASTS[type(plan).__name__](plan, job, splits)


def refusal(plan: Any, job: Job) -> str | None:
    """Why a plan cannot be forecast, or fitted, here; None if it can."""
    problem = job.pilot.problem
    family, name = problem.family, type(plan).__name__
    if name not in _FORECASTS:
        return f"there is no forecast of this plan; there is one of {', '.join(_FORECASTS)}"
    if family.context is not None and not plan.fits_context:
        return f"it does not fit the {family.name} family"
    if family.n_thresholds and not plan.fits_thresholds:
        return f"it does not fit the {family.name} family"
    if problem.is_sparse and not plan.fits_l1:
        return "it fits ridge penalties only"
    if not family.curved and name not in ("Exact", "Subsample"):
        return f"there is no forecast of it for the {family.name} family, whose loss has no curvature"
    if name == "RareEvents" and (family.name != "binomial" or family.link_name != "logit"):
        return "it is for logistic regression: the binomial family with logit link"
    if name == "RareEvents" and plan.likelihood == "conditional" and not problem.design.intercept:
        return "it corrects the intercept: the model must have one"
    if name == "SurrogateLikelihood" and (family.predictors > 1 or problem.is_sparse):
        return "there is no forecast of it for several predictors or absolute penalties"
    if family.n_shape and job.pilot.estimate.shape and name not in ("Exact", "Subsample"):
        return f"it needs the shape parameter of the {family.name} family to be known"
    return None


def default_plans(job: Job) -> list:
    """The plans to compare where none are named."""
    from statkit.plans import (
        Exact,
        LeastSquaresApproximation,
        OneShot,
        OneStep,
        RareEvents,
        Renewable,
        Subsample,
    )

    plans: list = [Exact()]
    linear = job.pilot.problem.family.solver == "least_squares"
    for size in _SIZES:
        if size > 2 * job.q and 2 * size < _FEW * job.n:
            plans.append(Subsample(size))
    rare = job.pilot.problem.family.name == "binomial" and np.mean(job.pilot.block.y == 1.0) < _RARE_CLASS
    plans += [RareEvents()] if rare else []
    smallest = next((p.size for p in plans if isinstance(p, Subsample)), None)
    if smallest is not None:
        plans.append(Subsample(smallest, refine=None))
        plans.append(Subsample(smallest, criterion="uniform", refine=None))
    if len(job.parts) > 1:
        plans += [OneShot(), LeastSquaresApproximation()]
        plans += [] if linear else [OneStep()]
    plans += [Renewable()]
    return [p for p in plans if refusal(p, job) is None]


# -- exact


def _exact(plan, job: Job, splits: Splits) -> Forecast:
    problem, rates = job.pilot.problem, job.rates
    family = problem.family
    seconds, passes, sample = job.overhead(), 0.0, 0.0
    special = not family.curved or family.context is not None or family.n_thresholds or problem.is_sparse
    special = special or bool(job.pilot.estimate.shape)
    if family.solver == "least_squares" and not problem.is_sparse:
        rounds = len(job.pilot.estimate.history)
        seconds = seconds + job.round(rates.sums) + (rounds - 1) * job.round(rates.light, kept=job.kept)
        passes = float(rounds)
    elif special:
        # These go through rounds of their own kind; the pilot's fit took as many as the fit of all rows will.
        rounds = int(getattr(job.pilot.estimate, "n_rounds", 0)) or len(job.pilot.estimate.history)
        seconds = (
            seconds + job.round(rates.evaluate) + (rounds - 1) * job.round(rates.evaluate, kept=job.kept)
        )
        passes = float(rounds)
    else:
        first, passes, sample, rounds, warm = _newton_start(plan, job, splits)
        seconds = seconds + first + job.round(rates.evaluate, kept=warm)
        seconds += (rounds - 2) * job.round(rates.evaluate, kept=job.kept) if rounds > 1 else 0.0
        seconds += job.round(rates.sums, kept=job.kept) if rounds > 1 else 0.0
        passes, rounds = passes + rounds, rounds + 1
    memory = job.memory(cached=True, sample_rows=sample)
    return _made(plan, job, passes, rounds + job.profiled, seconds, memory, job.used, 0.0)


def _newton_start(plan, job: Job, splits: Splits):
    """(seconds, passes, pilot rows, rounds that follow, share of rows kept by then) of the start."""
    n, K = job.n, len(job.parts)
    size = plan.pilot_size
    if size == "auto":
        size = max(20_000, 20 * job.q, n // 100)
    c = splits.curvature
    if size == 0 or n < 2 * size or K == 1:
        rounds = min(rounds_from_null(job.pilot, c, job.used, plan.tol), plan.max_rounds)
        return job.round(0.0), 1.0, 0.0, rounds, job.kept
    chosen = min(4, K) if K > 4 else K
    share = chosen / K
    seconds = job.round(0.0, rows=share * n, parts=chosen) + job.serial(job.fit_on(size))
    start = np.sqrt(n / size * cluster_effect(job.pilot, size, chosen, job.largest))
    rounds = min(rounds_to_go(start, c, job.used, plan.tol, plan.certify), plan.max_rounds)
    return seconds, share, float(size), rounds, min(share, job.kept)


# -- subsamples


def _subsample(plan, job: Job, splits: Splits) -> Forecast:
    problem, rates, n = job.pilot.problem, job.rates, job.n
    size = int(plan.size)
    if size < job.q + 2:
        raise ValueError(
            f"Subsample(size={plan.size!r}): so few rows cannot determine {job.q} coefficients; raise size to {20 * job.q}"
        )
    pilot_size = plan.pilot_size
    if pilot_size is None:
        pilot_size = size if plan.refine else max(20 * job.q, size // 5)
    plain = plan.criterion == "uniform" and plan.refine is None
    if n <= plan.repeats * size + (0 if plain else pilot_size):
        return _all_rows(plan, job, splits)
    cheap = job.pilot.block_bytes * n <= job.cache_bytes
    scheme = _scheme(plan, problem, job, cheap)
    seconds, passes, rounds = job.overhead(), 0.0, int(job.profiled)
    if scheme == "windows":
        touched = min(len(job.parts), 8 * (1 + 2 * pilot_size // 8 // max(job.largest, 1)))
        share = min(1.0, touched / len(job.parts))
        seconds = seconds + job.round(0.0, rows=share * n, parts=touched)
        passes, kept = passes + share, min(share, job.kept)
        rounds += 1
    else:
        counted = problem.family.name in ("binomial", "quasi_binomial") and plan.pilot != "uniform"
        seconds = seconds + job.round(0.0)
        if counted:
            seconds += job.round(0.0, kept=1.0)
        passes, kept = passes + (pilot_size / n if cheap else 1.0), job.kept
        rounds += 1 + counted
    more = {"priority": 1, "poisson": 1 if plan.threshold == "pilot" else 2, "replacement": 2}[plan.sampling]
    # A sweep for the gradient, and one for the length of each row's mapped columns.
    scores = (2.0 if plan.criterion in ("optL", "optLs", "LCC", "uniform") else 3.0) * rates.light
    seconds += job.round(scores, kept=kept) + (more - 1) * job.round(scores, kept=job.kept)
    passes, rounds = passes + more, rounds + more
    held = plan.repeats * size + pilot_size
    seconds = seconds + job.serial(1.5 * job.fit_on(held))
    if plan.refine in ("one_step", "newton"):
        extra = 1 if plan.refine == "one_step" else 2
        seconds += extra * job.round(rates.evaluate, kept=job.kept)
        passes, rounds = passes + extra, rounds + extra
    used = plan.repeats * size + (pilot_size if plan.combine != "none" and scheme != "windows" else 0)
    distance = sampling_distance(plan, job.pilot, job.used, pilot_size, scheme)
    memory = job.memory(cached=True, sample_rows=2 * held)
    made = _made(plan, job, passes, rounds, seconds, memory, used, distance)
    if plan.target == "population":
        made.errors = float(np.sqrt(1 + distance**2))
    else:
        made.errors = distance
    return made


def _scheme(plan, problem, job: Job, cheap: bool) -> str:
    """How the plan draws its pilot."""
    if plan.pilot == "windows" or (plan.pilot == "auto" and not cheap):
        return "windows"
    if problem.family.name in ("binomial", "quasi_binomial") and plan.pilot != "uniform" and cheap:
        share = float(np.mean(job.pilot.block.y == 1.0))
        if plan.pilot == "case_control" or min(share, 1 - share) < 0.2:
            return "case_control"
    return "uniform"


# -- few rounds over machines


def _machines(plan, job: Job) -> Job:
    """The job with a partition a machine."""
    if getattr(plan, "partition_by", None) is not None:
        raise ValueError(
            f"{type(plan).__name__}(partition_by=…): how many machines there are is known only after a pass; "
            "give n_partitions"
        )
    if plan.n_partitions is None:
        return job
    if not 1 <= plan.n_partitions <= job.n:
        raise ValueError(
            f"{type(plan).__name__}(n_partitions={plan.n_partitions!r}): there are {job.n:,} rows to cut into machines"
        )
    return job.with_parts(int(plan.n_partitions))


def _one_shot(plan, job: Job, splits: Splits) -> Forecast:
    job = _machines(plan, job)
    seconds = job.overhead() + job.round(_local(job, splits))
    distance = splits.distance(
        "mean", len(job.parts), job.used, plan.bias_correction is not None, plan.shuffle
    )
    notes = []
    if not plan.shuffle and lacking_levels(job):
        distance = np.nan
        notes.append("Some partitions lack levels that others have, and their estimates cannot be averaged.")
    return _made(plan, job, 1.0, 1 + job.profiled, seconds, _machine_memory(job), job.used, distance, notes)


def lacking_levels(job: Job) -> bool:
    """Whether a partition is likely to be without some level of a factor."""
    coded = [b for b in job.pilot.blocks if b.codes is not None]
    if not coded:
        return False
    counts = np.array(
        [np.bincount(b.codes.columns[b.codes.columns >= 0], minlength=b.n_columns) for b in coded]
    )
    counts, rows = counts[:, -coded[0].codes.width :], np.array([b.n_rows for b in coded])
    counts = counts[:, counts.any(axis=0)]
    each = job.used / len(job.parts)
    if (counts[rows >= _WHOLE * each] == 0).any():
        return True
    expected = counts.sum(axis=0) / rows.sum() * each
    return len(job.parts) * float(np.exp(-expected).sum()) > _LACKING


def _least_squares_approximation(plan, job: Job, splits: Splits) -> Forecast:
    job = _machines(plan, job)
    seconds, rounds = job.overhead() + job.round(_local(job, splits)), 1
    if plan.certify:
        seconds, rounds = seconds + job.round(job.rates.sums, kept=job.kept), 2
    distance = splits.distance(
        "wlse", len(job.parts), job.used, plan.bias_correction is not None, plan.shuffle
    )
    return _made(
        plan, job, float(rounds), rounds + job.profiled, seconds, _machine_memory(job), job.used, distance
    )


def _one_step(plan, job: Job, splits: Splits) -> Forecast:
    job = _machines(plan, job)
    n, rates, seconds, sample = job.used, job.rates, job.overhead(), 0.0
    looked, looks = 1.0, 1
    if plan.start == "pilot":
        sample = float(min(_start_size(plan, job), n))
        looked, looks, cost, start, _ = _sample(job, sample)
        seconds = seconds + cost + job.serial(job.fit_on(sample))
    else:
        seconds = seconds + job.round(_local(job, splits))
        kind = "wlse" if plan.start == "least_squares" else "mean"
        start = splits.distance(kind, len(job.parts), n, kind == "wlse")
    distance, steps = start, 0
    for _ in range(plan.n_steps):
        before, distance = distance, min(splits.curvature * distance**2 / np.sqrt(n), distance)
        steps += 1
        if before < plan.tol:
            break
    seconds = seconds + steps * job.round(rates.sums, kept=job.kept)
    memory, notes = job.memory(cached=True, sample_rows=sample), []
    if sample and not determined(job.pilot, np.full(job.pilot.n, min(1.0, sample / job.pilot.n))):
        notes.append(
            "Some levels have so few rows that the sample may not tell them: it may end much farther off."
        )
    return _made(
        plan,
        job,
        looked + steps,
        looks + steps + job.profiled,
        seconds,
        memory,
        job.used,
        float(distance),
        notes,
    )


def _start_size(plan, job: Job) -> int:
    """Rows of the sample that a plan of few rounds starts from."""
    size = plan.pilot_size
    return int(max(7 * np.sqrt(job.used * job.q), 20 * job.q)) if size == "auto" else int(size)


def _sample(job: Job, size: float):
    """(passes, rounds, seconds) of drawing such a sample, the distance of its fit, and its curvature.

    A rare class is counted first, and then kept.
    """
    family, n = job.pilot.problem.family, job.used
    rounds, start, curvature, looked = 1, float(np.sqrt(max(n / size - 1, 0.0))), 1.0, size
    if family.name == "binomial" and family.link_name == "logit" and job.pilot.problem.design.intercept:
        events = float(np.mean(job.pilot.block.y == 1.0))
        few = n * min(events, 1 - events)
        if 0 < few < _RARE_CLASS * n:
            shares = min(1.0, size / few), min(1.0, _OTHERS * min(few, size) / (n - few))
            start, curvature = case_control(job.pilot, n, shares[::-1] if events < 0.5 else shares)
            rounds, looked = 2, size + shares[0] * few + shares[1] * (n - few)
    # Nothing but the samples is looked at of what is kept.
    passes = looked / job.n if job.kept == 1 or job.held else float(rounds)
    seconds = job.round(0.0) + (rounds - 1) * job.round(0.0, kept=job.kept)
    return passes, rounds, seconds, start, curvature


def _surrogate_likelihood(plan, job: Job, splits: Splits) -> Forecast:
    for name, allowed in (
        ("method", ("csl", "dane", "cease")),
        ("start", (None, "reference", "average", "least_squares")),
    ):
        if getattr(plan, name) not in allowed:
            raise ValueError(
                f"{type(plan).__name__}({name}=…) must be one of {allowed}, not {getattr(plan, name)!r}"
            )
    job = _machines(plan, job)
    n, K, rates, seconds = job.used, len(job.parts), job.rates, job.overhead()
    alone = plan.method == "csl"
    begin = plan.start or ("reference" if alone else "least_squares")
    passes, rounds, sample, curvature, notes = 0.0, int(job.profiled), 0.0, 1.0, []
    if alone or begin == "reference":
        if plan.reference == "pilot":
            size = _start_size(plan, job)
            sample = float(min(max(20_000, size) if plan.pilot_size == "auto" else size, n))
            looked, looks, cost, start, curvature = _sample(job, sample)
        else:
            sample = job.used / K
            looked, looks, cost = 1 / K, 1, job.round(0.0, rows=job.n / K, parts=1)
            start = float(np.sqrt(K - 1))
        passes, rounds, seconds = passes + looked, rounds + looks, seconds + cost
    if begin == "reference":
        seconds = seconds + job.serial(job.fit_on(sample))
    else:
        seconds = seconds + job.round(_local(job, splits))
        passes, rounds = passes + 1, rounds + 1
        start = splits.distance("wlse" if begin == "least_squares" else "mean", K, n, False)
    again = _TILTED * rates.evaluate
    seconds = seconds + plan.n_rounds * job.round(rates.light, kept=job.kept)
    if alone:
        seconds = seconds + job.serial(plan.n_rounds * sample * again)
    else:
        seconds = seconds + plan.n_rounds * job.round(again, kept=job.kept)
    each = 1 if alone else 2
    measured = int(bool(plan.certify or job.pilot.problem.meat))
    seconds = seconds + measured * job.round(rates.sums, kept=job.kept)
    passes += each * plan.n_rounds + measured
    rounds += each * plan.n_rounds + measured
    stands = sample if alone else n / K
    distance = rounds_distance(plan, job.pilot, start, stands, n, curvature if alone else 1.0)
    if curvature != 1.0:
        notes.append("The sample keeps all of the rare class, and its curvature is not that of all rows.")
    if curvature == 1.0 and not determined(job.pilot, np.full(job.pilot.n, min(1.0, stands / job.pilot.n))):
        distance = np.nan
        notes.append("Some levels have so few rows that the sample may not tell them: it may diverge.")
    memory = job.memory(cached=True, sample_rows=sample)
    return _made(plan, job, passes, rounds, seconds, memory, n, distance, notes)


# -- rare events


def _rare_events(plan, job: Job, splits: Splits) -> Forecast:
    rates, n = job.rates, job.n
    events = job.used * float(np.mean(job.pilot.block.y == 1.0))
    size = round(events * (1 + plan.negatives_per_event))
    if events < 2:
        raise ValueError(
            f"{type(plan).__name__}: there is about {events:.0f} event in {n:,} rows: a model needs more"
        )
    if size >= job.used or events > job.used / 2:
        return _all_rows(plan, job, splits)
    if size < job.q + 2:
        raise ValueError(
            f"{type(plan).__name__}: about {size} rows would be drawn for {job.q} coefficients: raise "
            "negatives_per_event or drop columns"
        )
    pilot_size = min(plan.pilot_size or max(40 * job.q, 1_000), n)
    cheap = job.pilot.block_bytes * n <= job.cache_bytes
    # Responses, events, the pilot (its responses once more where that is cheap), and the draw.
    seconds = job.overhead() + job.round(0.0) + (1 + cheap) * job.round(0.0, kept=job.kept)
    scores = rates.light + rates.norms
    seconds = seconds + 2 * job.round(scores, kept=job.kept) + job.serial(1.5 * job.fit_on(size))
    looked = pilot_size / n if job.kept == 1 or job.held else 1.0
    passes = (0.0 if job.held else 2.0) + looked + 1
    distance = rare_distance(plan, job.pilot, job.used, events)
    memory = job.memory(cached=True, sample_rows=2 * (size + pilot_size))
    made = _made(plan, job, passes, 4 + cheap + job.profiled, seconds, memory, size, distance)
    made.errors = float(np.sqrt(1 + distance**2))
    made.notes = [
        f"About {events:,.0f} events; its own errors are {made.errors:.3g} times those of all rows."
    ]
    return made


def _all_rows(plan, job: Job, splits: Splits) -> Forecast:
    from statkit.plans import Exact

    made = _exact(Exact(), job, splits)
    made.plan, made.notes = plan, ["The sample would be all rows: they are fitted."]
    return made


def _local(job: Job, splits: Splits) -> float:
    """Seconds a row of a machine's own fit: its Newton steps, its sums, and the terms of its bias."""
    n = job.used / len(job.parts)
    steps = rounds_from_null(job.pilot, splits.curvature, max(int(n), 1), _LOCAL_TOL)
    terms = job.rates.norms if splits.bias is not None else 0.0
    return steps * job.rates.evaluate + job.rates.sums + terms + job.rates.light


def _machine_memory(job: Job) -> float:
    # A record a machine: its information among it.
    return job.memory(cached=True) + 3 * 8 * job.q**2 * len(job.parts)


# -- streams


def _renewable(plan, job: Job, splits: Splits) -> Forecast:
    passes = plan.n_passes
    if passes == "auto":
        passes = 2 if plan.forgetting == 1.0 and plan.on_drift != "skip" else 1
    rates, n = job.rates, job.n
    # The blocks come in order, on one thread; a batch takes one or two evaluations.
    cpu = n * (job.load + rates.wait + 1.7 * rates.evaluate * job.pilot.used)
    batches = sum(-(-part // plan.batch_size) for part in job.parts)
    seconds = job.overhead() + job.serial(cpu + 1e-3 * batches + 2e-9 * job.q**3 * batches)
    distance = one_pass_distance(plan, job.pilot, job.used, splits)
    for _ in range(int(passes) - 1):
        seconds = seconds + job.round(rates.sums, kept=job.kept)
        distance = min(splits.curvature * distance**2 / np.sqrt(job.used), distance)
    notes = [f"{batches:,} batches, in the order of the rows."]
    memory = job.memory(cached=True, sample_rows=plan.buffer_rows)
    return _made(
        plan, job, float(passes), int(passes) + job.profiled, seconds, memory, job.used, distance, notes
    )


def _averaged_sgd(plan, job: Job, splits: Splits) -> Forecast:
    rates, n, passes = job.rates, job.n, int(plan.n_passes)
    descent = rehearse(plan, job.pilot, job.used, splits.seed)
    # In order, on one thread, batch after batch.
    cpu = n * (job.load + rates.wait + descent.seconds * job.pilot.used)
    again = n * ((1 - job.kept) * job.load + descent.seconds * job.pilot.used)
    first = min(max(1_000, 20 * job.q, n // 200), 20_000) if plan.pilot_rows == "auto" else plan.pilot_rows
    seconds = job.overhead() + job.serial(cpu + (passes - 1) * again + job.fit_on(min(first, n)))
    distance, rounds = descent.distance(job.used), passes
    if plan.refine == "newton":
        seconds = seconds + job.round(rates.sums, kept=job.kept)
        distance, rounds = min(splits.curvature * distance**2 / np.sqrt(job.used), distance), rounds + 1
    memory = job.memory(cached=True, sample_rows=first)
    notes = [f"{n * passes / plan.batch_size:,.0f} steps on one thread."]
    if descent.drifting:
        distance = np.nan
        notes.append(
            "Rows in order end far from rows at random, since the first do not stand for the others: "
            "shuffle=True, or Renewable()."
        )
    return _made(plan, job, rounds, rounds + job.profiled, seconds, memory, job.used, distance, notes)


def _made(plan, job: Job, passes, rounds, seconds, memory, rows, distance, notes=()) -> Forecast:
    cpu, wall = (float(s) for s in seconds)
    return Forecast(
        plan, float(passes), int(rounds), wall, cpu, float(memory), int(rows), float(distance), list(notes)
    )


_FORECASTS: dict[str, Callable[[Any, Job, Splits], Forecast]] = {
    "Exact": _exact,
    "Subsample": _subsample,
    "OneShot": _one_shot,
    "LeastSquaresApproximation": _least_squares_approximation,
    "OneStep": _one_step,
    "SurrogateLikelihood": _surrogate_likelihood,
    "RareEvents": _rare_events,
    "Renewable": _renewable,
    "AveragedSGD": _averaged_sgd,
}
