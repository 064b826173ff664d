"""Who computes: in process, on threads or in processes; a session over partitions, round by round."""

from __future__ import annotations

import sys

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
    """The engine that a parameter ``engine`` stands for.

    Parameters
    ----------
    engine : str, client or Engine
        "threads", "serial", "processes"; a ``distributed.Client``, ``"dask://host:port"``; the initialised module
        ``ray``, ``"ray"`` (the cluster that is found, else one started here) or ``"ray://host:port"``; a
        ``SparkSession``, ``"spark"`` (the active session, else one made here) or ``"spark://host:port"``; the name
        of a joblib backend.
    n_jobs : int or None, default=None
        Workers of a named engine on this machine; None is one for each processor.

    Returns
    -------
    engine : Engine

    Raises
    ------
    ImportError
        If the engine's package is not installed; the message names the extra that installs it.
    ConnectionError
        If nobody answers at an address.
    ValueError
        For anything else.

    Examples
    --------
    >>> from statkit.engines import resolve_engine
    >>> resolve_engine("threads", n_jobs=2)
    threads(2)
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
    cluster = _cluster(engine)
    if cluster is not None:
        return cluster
    # joblib's backend of that name takes the client that there is.
    if engine == "dask" and "distributed" not in sys.modules:
        raise ValueError(
            "engine 'dask' needs a scheduler: give its address, 'dask://host:8786', or a distributed.Client"
        )
    if isinstance(engine, str):
        from joblib.parallel import BACKENDS, EXTERNAL_BACKENDS

        if engine in BACKENDS or engine in EXTERNAL_BACKENDS:
            from statkit.engines.joblib import JoblibEngine

            return JoblibEngine(engine, n_jobs)
    raise ValueError(
        "engine must be 'threads', 'serial', 'processes', a distributed.Client or 'dask://host:port', ray or 'ray', "
        f"a SparkSession or 'spark', a joblib backend's name or an Engine object, not {engine!r}"
    )


def _cluster(engine) -> Engine | None:
    """The adapter of a cluster's client, told by its type's name so that nothing is imported in vain."""
    home = type(engine).__module__.split(".")[0]
    if home == "distributed" or (
        isinstance(engine, str) and engine.startswith(("dask://", "tcp://", "tls://"))
    ):
        from statkit.engines.dask import DaskEngine

        return DaskEngine(engine)
    if isinstance(engine, str) and (engine == "ray" or engine.startswith("ray://")):
        from statkit.engines.ray import RayEngine, connect

        return RayEngine(connect(_imported("ray", "ray"), engine))
    if getattr(engine, "__name__", None) == "ray":
        from statkit.engines.ray import RayEngine

        return RayEngine(engine)
    if home == "pyspark":
        from statkit.engines.spark import SparkEngine

        return SparkEngine(engine)
    if isinstance(engine, str) and (engine == "spark" or engine.startswith("spark://")):
        from statkit.engines.spark import SparkEngine, session

        return SparkEngine(session(_imported("pyspark.sql", "spark"), engine))
    return None


def _imported(module: str, extra: str):
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise ImportError(
            f"engine {extra!r} needs a package: pip install 'statkit-methods[{extra}]'"
        ) from None
