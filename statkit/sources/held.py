"""Rows that a cluster holds: pieces of a distributed frame as Arrow bytes, read by the workers that have them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from statkit.sources.conform import common_type, take_columns
from statkit.sources.partition import Partition
from statkit.sources.rows import Rows
from statkit.sources.source import Source, fresh_token

__all__ = ["Held", "HeldSource", "Piece", "inspect", "pack", "pack_frame", "read_piece", "write_piece"]

#: Bytes of rows that are written as one: clusters refuse single values of two gigabytes.
_CHUNK = 2**28


@dataclass(frozen=True)
class Held:
    """Where a cluster has the rows of a partition; an engine of that cluster turns it into the rows.

    Parameters
    ----------
    system : str
        "dask", "ray" or "spark".
    reference : object
        A future, an object reference, or an RDD.
    index : int
        Number of the partition among those of the reference.
    fetch : callable
        ``fetch(held) -> tuple of buffers`` brings the rows to this process.
    """

    system: str
    reference: Any
    index: int
    fetch: Callable


@dataclass(frozen=True)
class Piece:
    """What is known of a held partition: rows, size, checksum, types of the columns."""

    n_rows: int
    stamp: tuple[int, int]
    schema: tuple[tuple[str, Any], ...]


def pack(tables: Iterable[Any]) -> tuple[Any, ...]:
    """Arrow tables of one partition as buffers, each an Arrow file of at most some hundred megabytes."""
    buffers, waiting, size = [], [], 0
    for table in tables:
        waiting.append(table)
        size += table.nbytes
        if size >= _CHUNK:
            buffers.append(_written(waiting))
            waiting, size = [], 0
    if waiting:
        buffers.append(_written(waiting))
    return tuple(buffers)


def _written(tables: list[Any]) -> Any:
    import pyarrow as pa

    # Files refuse dictionaries that change from batch to batch.
    table = pa.concat_tables(tables).unify_dictionaries()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def pack_frame(frame: Any, columns: Sequence[str]) -> tuple[Any, ...]:
    """A pandas frame or Arrow table, one partition of a distributed frame, as buffers."""
    from statkit.sources.frame import table_adapter

    adapter = table_adapter(frame)
    if adapter is None:
        raise TypeError(f"a partition must be a pandas or Arrow table, not {type(frame).__name__}")
    step = 2**20
    starts = range(0, adapter.n_rows, step) or [0]
    return pack(
        adapter.take(slice(a, min(a + step, adapter.n_rows)), columns, "a partition of the frame")
        for a in starts
    )


def inspect(buffers: tuple[Any, ...]) -> Piece:
    """Rows, checksum and types of a packed partition."""
    tables = [_opened(b) for b in buffers]
    schema: dict[str, Any] = {}
    for table in tables:
        schema = merged_types(
            schema, dict(zip(table.column_names, table.schema.types, strict=True)), "a partition"
        )
    return Piece(sum(t.num_rows for t in tables), _stamp(buffers), tuple(schema.items()))


def merged_types(schema: dict, other: dict, where: str) -> dict:
    """Types that hold the values of both."""
    if not schema:
        return other
    merged = {}
    for name, kind in schema.items():
        common = common_type(kind, other[name])
        if common is None:
            raise ValueError(f"column {name!r} is {other[name]} in {where}, but {kind} in another")
        merged[name] = common
    return merged


def _stamp(buffers: tuple[Any, ...]) -> tuple[int, int]:
    check = 0
    for buffer in buffers:
        check = zlib.crc32(buffer, check)
    return sum(len(b) for b in buffers), check


def _opened(buffer: Any) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.py_buffer(buffer)).read_all()


def write_piece(buffers: tuple[Any, ...], path: str, schema: dict) -> None:
    """Write a packed partition to an Arrow file."""
    if len(buffers) > 1:
        from statkit.sources.machines import joined_tables

        buffers = (_written([joined_tables([_opened(b) for b in buffers], schema)]),)
    with open(path, "wb") as file:
        for buffer in buffers:
            file.write(buffer)


def read_piece(buffers: tuple[Any, ...], columns: Sequence[str], schema: dict, where: str) -> Any:
    """Columns of a packed partition with the types of the schema."""
    tables = [_opened(b).select(list(columns)) for b in buffers]
    if len(tables) == 1:
        table = tables[0].unify_dictionaries()
    else:
        from statkit.sources.machines import joined_tables

        table = joined_tables(tables, schema)
    return take_columns(table, columns, schema, where)


class HeldSource(Source):
    """Partitions that stay on their cluster: only an engine of it reads them without moving them.

    Parameters
    ----------
    source : Source
        The distributed frame.
    pieces : list of (Held, Piece)
        In the order of the rows; those without rows are left out.
    schema : dict
        Types that are promised.
    release : callable
        Lets the cluster forget the pieces.
    """

    def __init__(
        self, source: Source, pieces: list[tuple[Held, Piece]], schema: dict, beside: dict, release: Callable
    ):
        self.schema, self.name = schema, source.name
        self.token = fresh_token()
        self._beside = beside
        partitions: list[Partition] = []
        row = 0
        for held, piece in pieces:
            if piece.n_rows:
                key = len(partitions)
                partitions.append(Partition(key, None, held.index, row, piece.n_rows, piece.stamp, held=held))
                row += piece.n_rows
        self.n_rows = row
        self._partitions = tuple(partitions)
        self._release = release

    def partitions(self) -> tuple[Partition, ...]:
        return self._partitions

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        self._check_columns(columns)
        where = f"{self.name}, partition {partition.unit}"
        rows = partition.held
        if rows is None:
            raise ValueError(
                f"{where}: its rows did not come with the task; the engine is not of their cluster"
            )
        if isinstance(rows, Held):
            rows = rows.fetch(rows)
        if _stamp(rows) != partition.stamp:
            raise ValueError(
                f"{where} changed between rounds: it was computed again with other rows, or in another order; "
                "persist the frame, or write it to Parquet and give the path"
            )
        table = read_piece(rows, columns, self.schema, where)
        first, n = partition.first_row, partition.n_rows
        return Rows(first, n, table, None, self._beside_rows(first, n), where)

    def on(self, engine: Any, columns: Sequence[str] | None = None) -> Source:
        return self

    def close(self) -> None:
        self._partitions = tuple(replace(p, held=None) for p in self._partitions)
        self._release()
        self._release = _nothing
        if hasattr(self._beside, "close"):
            self._beside.close()

    def __getstate__(self) -> dict:
        return vars(self) | {"_partitions": (), "_release": _nothing}


def _nothing() -> None:
    pass
