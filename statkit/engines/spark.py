"""Spark: a job of one stage for every round; only places of rows and small summaries travel."""

from __future__ import annotations

import os
import sys
from functools import partial

from statkit.engines.engine import CACHE_BYTES, Engine, Session, fresh_token
from statkit.engines.worker import without_rows, work

__all__ = ["SparkEngine", "session"]


def _one(token, cache_bytes, load, task, args, item, rows=None):
    index, partition = item
    try:
        return index, work(token, cache_bytes, load, partition, task, args, rows)
    except (ValueError, TypeError, FileNotFoundError) as error:
        # Raised here, it would be tried again three times and come back as text inside a Java exception.
        return index, error


def _held(token, cache_bytes, load, task, args, chosen, number, pieces):
    """The answer of a partition of a frame, for those that were chosen."""
    rows = tuple(pieces)  # what is not read would cost the worker, and its blocks, their life
    if number in chosen:
        index, partition = chosen[number]
        yield _one(token, cache_bytes, load, task, args, (index, partition), rows)


def _as_they_are(answers):
    return answers


class SparkSessionOfRounds(Session):
    def __init__(self, spark, load, partitions, cache_bytes, progress):
        super().__init__(load, partitions, cache_bytes, progress)
        self._context = spark.sparkContext
        self.token = fresh_token("spark")

    def _answers(self, task, args, chosen):
        common = (self.token, self.cache_bytes, self.load, task, args)
        # A tree in Spark would be a second stage and another order of sums.
        if chosen[0].held is None:
            items = self._context.parallelize(list(enumerate(chosen)), len(chosen))
            answers = items.map(partial(_one, *common)).collect()
        else:
            rows = chosen[0].held.reference
            places = {p.held.index: (i, without_rows(p)) for i, p in enumerate(chosen)}
            answers = rows.mapPartitionsWithIndex(partial(_held, *common, places))
            answers = self._context.runJob(answers, _as_they_are, sorted(places))
        for index, summary in answers:
            if isinstance(summary, Exception):
                raise summary
            yield index, summary


class SparkEngine(Engine):
    """Rounds as Spark jobs; Python workers must be able to import statkit and read the files.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    cache_bytes : int
        Encoded blocks that a reused Python worker keeps.
    """

    name = "spark"
    in_process = False

    def __init__(self, spark, cache_bytes: int = CACHE_BYTES):
        self.client = spark
        self.cache_bytes = cache_bytes

    def open(self, load, partitions, *, progress=None, cache=True):
        return SparkSessionOfRounds(self.client, load, partitions, self.cache_bytes if cache else 0, progress)

    def __repr__(self):
        return f"spark({self.client.sparkContext.defaultParallelism} slots)"


def session(sql, address: str):
    """The active session, or a new one: of the master at ``spark://host:port``, or as Spark is set up."""
    active = sql.SparkSession.getActiveSession()
    if active is not None:
        return active
    # Workers of this machine must run the Python that has statkit.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.appName("statkit").config("spark.ui.showConsoleProgress", "false")
    builder = builder.config("spark.log.level", "ERROR")
    if address != "spark":
        builder = builder.master(address)
    try:
        return builder.getOrCreate()
    except Exception as error:  # py4j's own, and pyspark's when there is no Java
        said = str(error).strip().splitlines()
        raise ConnectionError(
            f"Spark cannot be started ({address!r}): {said[0] if said else error!r}"
        ) from None
