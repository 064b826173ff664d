"""Spark: a job of one stage for every round; only places of rows and small summaries travel."""

from __future__ import annotations

from functools import partial

from statkit.engines.engine import CACHE_BYTES, Engine, Session, fresh_token
from statkit.engines.worker import work

__all__ = ["SparkEngine"]


def _one(token, cache_bytes, load, task, args, item):
    index, partition = item
    try:
        return index, work(token, cache_bytes, load, partition, task, args)
    except (ValueError, TypeError, FileNotFoundError) as error:
        # Raised here, it would be tried again three times and come back as text inside a Java exception.
        return index, error


class SparkSessionOfRounds(Session):
    def __init__(self, spark, load, partitions, cache_bytes, progress):
        super().__init__(load, partitions, cache_bytes, progress)
        self._context = spark.sparkContext
        self.token = fresh_token("spark")

    def _answers(self, task, args, chosen):
        items = self._context.parallelize(list(enumerate(chosen)), len(chosen))
        answer = partial(_one, self.token, self.cache_bytes, self.load, task, args)
        # A tree in Spark would be a second stage and another order of sums.
        for index, summary in items.map(answer).collect():
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
        self._spark = spark
        self.cache_bytes = cache_bytes

    def open(self, load, partitions, *, progress=None, cache=True):
        return SparkSessionOfRounds(self._spark, load, partitions, self.cache_bytes if cache else 0, progress)

    def __repr__(self):
        return f"spark({self._spark.sparkContext.defaultParallelism} slots)"
