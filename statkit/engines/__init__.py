"""Who computes: in process, on threads or in processes; a session over partitions, round by round."""

from __future__ import annotations

from statkit.engines.engine import Engine, Session
from statkit.engines.local import SerialEngine, ThreadsEngine
from statkit.engines.summaries import TreeSum, merge_summaries

__all__ = [
    "Engine",
    "SerialEngine",
    "Session",
    "ThreadsEngine",
    "TreeSum",
    "merge_summaries",
    "resolve_engine",
]


def resolve_engine(engine="threads", n_jobs: int | None = None) -> Engine:
    """The engine that a parameter ``engine`` names.

    Parameters
    ----------
    engine : {"threads", "serial", "processes"} or Engine
    n_jobs : int or None
        Workers of a named engine; None is one for each processor.

    Raises
    ------
    ValueError
        For any other name.
    """
    if isinstance(engine, Engine):
        return engine
    if engine == "serial":
        return SerialEngine()
    if engine == "threads":
        return ThreadsEngine(n_jobs)
    if engine == "processes":
        from statkit.engines.processes import ProcessesEngine

        return ProcessesEngine(n_jobs)
    raise ValueError(f"engine must be 'threads', 'serial', 'processes' or an Engine object, not {engine!r}")
