"""Spark frames: partitions become Arrow bytes on the executors, which keep them between the jobs of a Spark engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from statkit.sources.cluster import ClusterSource
from statkit.sources.held import Held, Piece, inspect, pack
from statkit.sources.spool import Spool

__all__ = ["SparkSource"]


class SparkSource(ClusterSource):
    """Rows of a ``pyspark.sql.DataFrame``.

    With ``engine=spark`` the executors keep the columns that the model reads (in memory, and on their disks
    what does not fit), one partition a partition, and rounds read them there. Other engines read a temporary
    copy, brought partition by partition.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Of a classic session: Spark Connect has no partitions that Python could reach.
    y, weight, offset, group : array of shape (n_rows, …) or None
        In the order of the partitions; columns' names are better.

    Raises
    ------
    TypeError
        For a frame of Spark Connect.
    ValueError
        If two columns share a name, or rows changed between rounds.

    Examples
    --------
    >>> from statkit.sources import SparkSource
    >>> source = SparkSource(spark.read.parquet("flights"))  # doctest: +SKIP
    """

    system = "spark"

    def __init__(self, frame: Any, y: Any = None, weight: Any = None, offset: Any = None, group: Any = None):
        if ".connect." in type(frame).__module__:
            raise TypeError(
                "a frame of Spark Connect has no partitions that Python could reach: use a classic session, or write "
                "the frame to Parquet and give the path"
            )
        super().__init__(frame, y, weight, offset, group)

    def _types(self) -> dict:
        from pyspark.sql.pandas.types import to_arrow_type

        kinds: dict = {}
        for field in self._frame.schema.fields:
            if field.name in kinds:
                raise ValueError(f"{self.name} has two columns named {field.name!r}: rename one of them")
            kinds[field.name] = to_arrow_type(field.dataType, timezone="UTC")
        return kinds

    def _packed(self, columns: Sequence[str]) -> Any:
        """RDD of the pieces of each partition, computed once."""
        from operator import itemgetter

        from pyspark import StorageLevel

        frame = self._frame.select(*[f"`{name.replace('`', '``')}`" for name in columns])
        packed = frame.mapInArrow(_pieces, "piece binary").rdd.map(itemgetter(0))
        return packed.persist(StorageLevel.MEMORY_AND_DISK)

    def _hold(self, client: Any, columns: Sequence[str]) -> tuple[list[tuple[Held, Piece]], Any]:
        packed = self._packed(columns)

        def release() -> None:
            packed.unpersist()

        try:
            found = packed.mapPartitionsWithIndex(_inspected).collect()
        except BaseException:
            release()
            raise
        return [
            (Held("spark", packed, i, _collected), piece) for i, piece in sorted(found, key=_first)
        ], release

    def _bring(self, columns: Sequence[str], spool: Spool) -> Iterator[tuple[Any, ...]]:
        packed = self._packed(columns)
        try:
            for index in range(packed.getNumPartitions()):
                buffers = _partition(packed, index)
                if buffers:
                    yield buffers
        finally:
            packed.unpersist()


def _pieces(batches: Any) -> Iterator[Any]:
    """Record batches of a partition as one row of bytes, or a few when it is large."""
    import pyarrow as pa

    for buffer in pack(pa.Table.from_batches([batch]) for batch in batches):
        yield pa.record_batch([pa.array([buffer.to_pybytes()], pa.binary())], names=["piece"])


def _inspected(index: int, pieces: Any) -> Iterator[tuple[int, Piece]]:
    buffers = tuple(pieces)
    if buffers:
        yield index, inspect(buffers)


def _first(item: tuple) -> int:
    return item[0]


def _itself(pieces: Any) -> Any:
    return pieces


def _partition(packed: Any, index: int) -> tuple[Any, ...]:
    return tuple(packed.context.runJob(packed, _itself, [index]))


def _collected(held: Held) -> tuple[Any, ...]:
    return _partition(held.reference, held.index)
