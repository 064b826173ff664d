"""Assemble the parts of a fit: source, design, session, problem. What every regression estimator shares."""

from __future__ import annotations

import time
from functools import partial

from statkit.engines import resolve_engine
from statkit.rounds import Problem

__all__ = ["columns_without_value", "freeze", "load_block", "open_problem", "progress_bar"]


def load_block(source, design, family, partition):
    """Read and encode a partition; refuse responses outside the family's support."""
    rows = source.read(partition, design.columns)
    block = design.encode(rows)
    bad = family.check_response(block.y)
    if bad is not None:
        index, reason = bad
        raise ValueError(
            f"response {design.response_name!r}: {reason} in row {block.row_numbers()[index]} ({rows.where})"
        )
    if block.weight is not None and len(block.weight) and block.weight.min() < 0:
        index = int(block.weight.argmin())
        raise ValueError(
            f"weights must not be negative: {block.weight[index]} in row {block.row_numbers()[index]} ({rows.where})"
        )
    return block


def _profile(source, design, partition):
    return design.profile(source.read(partition, design.profile_columns))


def itself(summary):
    """The task of a round whose loads are summaries already."""
    return summary


def freeze(design, source, engine, progress=None):
    """The design with levels and states fixed, after one round over the columns that they need."""
    if design.profile_columns is None:
        return design.freeze(None), 0
    partitions = source.partitions()
    with engine.open(
        partial(_profile, source, design), partitions, progress=progress, cache=False
    ) as session:
        return design.freeze(session.round(itself)), 1


def columns_without_value(source, design) -> str:
    """Names of the columns that miss a value in every row: why no row is left."""
    empty = None
    for partition in source.partitions() if design.columns else ():
        here = design.missing_columns(source.read(partition, design.columns))
        empty = here if empty is None else [name for name in empty if name in here]
    return ", ".join(map(repr, empty or ()))


def open_problem(source, design, family, engine, *, alpha, cov_type, seed, l1_ratio=0.0, progress=None):
    """A problem on a session; the caller closes ``problem.session``."""
    session = engine.open(partial(load_block, source, design, family), source.partitions(), progress=progress)
    problem = Problem(
        family, design, session, alpha=alpha, l1_ratio=l1_ratio, cov_type=cov_type, seed=seed
    )  # fmt: skip
    problem.engine_name = repr(engine)
    return problem


def resolve(engine, n_jobs, source, columns=None):
    """The engine, and the source in a form in which its workers can read these columns (None: all)."""
    engine = resolve_engine(engine, n_jobs)
    return engine, source.on(engine, columns)


def progress_bar(verbose: int):
    """A callback for sessions that draws a bar with rows a second for every pass, on a terminal only."""
    if not verbose:
        return None
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        return None
    bar = Progress(
        TextColumn("pass {task.fields[number]}"), BarColumn(), TextColumn("{task.completed:,.0f} rows"),
        TextColumn("{task.fields[rate]:,.0f} rows/s"), TimeElapsedColumn(), console=console, transient=True,
    )  # fmt: skip
    state = {"number": 0, "task": None}

    def progress(number, done, total):
        if state["task"] is None:  # sessions count from one each: passes are counted here
            state["number"] += 1
            state["task"] = bar.add_task("", total=total, number=state["number"], rate=0.0)
            state["started"] = time.perf_counter()
            bar.start()
        elapsed = time.perf_counter() - state["started"]
        bar.update(state["task"], completed=done, rate=done / max(elapsed, 1e-9))
        if done >= total:
            bar.remove_task(state["task"])
            bar.stop()
            state["task"] = None

    return progress
