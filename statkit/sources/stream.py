"""Streams: whatever hands out Arrow batches or frames once, as tables to be spooled."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from statkit.sources.frame import plain_text, table_adapter
from statkit.sources.spooled import SpooledSource, parquet_tables

__all__ = ["is_stream", "spool_lazy_frame", "spool_stream"]

_PIECE = 65_536


def is_stream(data: Any) -> bool:
    """Whether this is an object that hands out rows: an Arrow stream, or an iterator of frames."""
    return (
        hasattr(data, "__arrow_c_stream__")
        or hasattr(data, "fetch_record_batch")
        or isinstance(data, Iterator)
    )


def spool_stream(data: Any, beside: dict[str, Any]) -> SpooledSource:
    """Copy the rows of a stream.

    Parameters
    ----------
    data : object
        With ``__arrow_c_stream__`` (a DuckDB relation, an ibis table, a ``RecordBatchReader``),
        ``fetch_record_batch`` (a cursor), or iterable with pandas, polars or Arrow tables as items.
    beside : dict of str to array
    """
    name = f"the {type(data).__name__}"
    tables: Iterator[Any]
    if hasattr(data, "__arrow_c_stream__"):
        tables = _batches(_reader(data))
    elif hasattr(data, "fetch_record_batch"):
        tables = _batches(data.fetch_record_batch())
    else:
        tables = _frames(data, name)
    return SpooledSource(_once(tables, data, name), name, beside)


def _reader(data: Any) -> Any:
    import pyarrow as pa

    return data if isinstance(data, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(data)


def _batches(reader: Any) -> Iterator[Any]:
    import pyarrow as pa

    yield reader.schema.empty_table()  # the columns, even when there are no rows
    for batch in reader:
        yield pa.Table.from_batches([batch])


def _once(tables: Iterator[Any], data: Any, name: str) -> Iterator[Any]:
    """The tables; a reader that was used up gives no rows and no error of its own, so this gives one."""
    import pyarrow as pa

    n = 0
    for table in tables:
        n += table.num_rows
        yield table
    if n == 0 and isinstance(data, pa.RecordBatchReader | Iterator):
        raise ValueError(f"{name} gave no rows: was it read before? It can be read only once")


def _frames(data: Iterable[Any], name: str) -> Iterator[Any]:
    for number, frame in enumerate(data):
        adapter = table_adapter(frame)
        if adapter is None:
            raise TypeError(
                f"{name} must hand out pandas, polars or Arrow tables, but item {number} is "
                f"{type(frame).__name__}"
            )
        columns = list(adapter.schema)
        for start in itertools.chain([0], range(_PIECE, adapter.n_rows, _PIECE)):
            rows = slice(start, min(start + _PIECE, adapter.n_rows))
            table = adapter.take(rows, columns, f"item {number} of {name}")
            yield plain_text(table, adapter.schema)


def spool_lazy_frame(frame: Any, beside: dict[str, Any]) -> SpooledSource:
    """Run a polars query once, in its streaming engine, and copy the rows."""
    import polars as pl
    import pyarrow.parquet as pq

    from statkit.sources.spool import Spool

    query = Spool()
    try:
        path = query.path("query.parquet")
        # The order of a Categorical means nothing, that of an Enum does.
        frame = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
        frame.sink_parquet(path, compression="lz4", statistics=False, maintain_order=True)
        with pq.ParquetFile(path, pre_buffer=False) as file:
            tables = parquet_tables(file)
            return SpooledSource(tables, "the LazyFrame", beside)
    finally:
        query.close()


def _batches_of_file(file: Any) -> Iterator[Any]:
    import pyarrow as pa

    yield file.schema_arrow.empty_table()
    for batch in file.iter_batches(batch_size=_PIECE):
        yield pa.Table.from_batches([batch])
