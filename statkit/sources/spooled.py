"""Rows that can be read only once, copied to temporary Parquet files with row groups of a fixed size.

A stream is not asked again in every pass: a query without ORDER BY need not return the same rows in the same
order twice (DuckDB's threads, a LIMIT, a random sample, a table that grows), and a pass that sees other rows
than the one before it gives an estimate that belongs to no data set. Batches are cut anew, so that partitions
depend on the rows alone and not on how they arrived.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from statkit.sources.conform import common_type, without_dictionary
from statkit.sources.names import check_distinct
from statkit.sources.parquet import ParquetSource
from statkit.sources.partition import Partition
from statkit.sources.paths import File, Files, local_stamp
from statkit.sources.source import beside_arrays, fresh_token
from statkit.sources.spool import Spool

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SPOOLED_ROWS", "SpooledSource", "parquet_tables", "write_spool"]

#: Rows of a row group of the copy.
SPOOLED_ROWS = 131_072
_PIECE = 65_536


class SpooledSource(ParquetSource):
    """Rows of a temporary copy, removed when the source is closed or collected.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        The rows, in order; read once, here.
    name : str
        What the rows are, for messages.
    beside : dict of str to array
    token : str or None
        None for rows that have no identity of their own.
    """

    _spool: Spool | None

    def __init__(
        self, tables: Iterable[pa.Table], name: str, beside: dict[str, Any], token: str | None = None
    ):
        spool = Spool()
        with spool.filling():
            schema = write_spool(tables, spool, name)
            self._attach(spool, schema, name, beside, token)

    def _attach(
        self, spool: Spool, schema: dict, name: str, beside: dict[str, Any], token: str | None
    ) -> None:
        self._spool = spool
        paths = sorted(spool.path(n) for n in os.listdir(spool.folder) if n.endswith(".parquet"))
        self._data = Files(tuple(File(path, local_stamp(path)) for path in paths), "parquet")
        self._describe(self._data, schema)
        self.name = name
        assert self.n_rows is not None
        self._beside = beside_arrays(self.n_rows, **beside)
        self.token = token if token is not None and not self._beside else fresh_token()

    def _where(self, partition: Partition) -> str:
        return f"{self.name}, rows {partition.first_row}–{partition.first_row + partition.n_rows - 1}"

    def _read_table(
        self, partition: Partition, columns: Sequence[str], where: str, n_rows: int | None = None
    ) -> Any:
        if self._spool is not None and self._spool.closed:
            raise ValueError(
                f"{self.name}: the source is closed, its temporary copy was removed; make a new one"
            )
        return super()._read_table(partition, columns, where, n_rows)

    def partitions(self) -> tuple[Partition, ...]:
        name, token = self.name, self.token
        if self._partitions is None:
            self._describe(self._data, self._promised)
            self.name, self.token = name, token
        assert self._partitions is not None
        return self._partitions

    def close(self) -> None:
        super().close()
        if self._spool is not None:
            self._spool.close()

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_spool": None}


def parquet_tables(file: Any) -> Iterator[pa.Table]:
    """Tables of an open Parquet file, in bounded memory."""
    import pyarrow as pa

    yield file.schema_arrow.empty_table()
    for batch in file.iter_batches(batch_size=_PIECE):
        yield pa.Table.from_batches([batch])


def write_spool(tables: Iterable[pa.Table], spool: Spool, name: str) -> dict[str, pa.DataType]:
    """Write tables to Parquet files in the spool; returns the types that all of them can be read as.

    Memory is bounded by one row group and one incoming table. When a type turns out too narrow (whole numbers
    before fractions, nothing before something), the next row groups go to a further file with the wider type.

    Raises
    ------
    ValueError
        If a table has other columns than the first, or a type that is not compatible.
    """

    writer = _Writer(spool)
    schema: dict[str, pa.DataType] | None = None
    held: list[pa.Table] = []
    n_held = 0
    blank: set[str] = set()  # columns without a value so far: what type they had says nothing
    for number, table in enumerate(tables):
        if schema is None:
            check_distinct(table.column_names, name)
            blank = set(table.column_names)
        schema = _widened(schema, table, number, name, blank)
        blank = {c for c in blank if table.column(c).null_count == table.num_rows}
        held.append(table)
        n_held += table.num_rows
        while n_held >= SPOOLED_ROWS:
            group, held = _cut(held, SPOOLED_ROWS)
            n_held -= SPOOLED_ROWS
            writer.write(group, schema)
    if schema is None:
        raise ValueError(f"{name} gave no rows and no columns: was it read before? It can be read only once")
    if n_held or not writer.n_files:
        writer.write(held, schema)
    writer.close()
    return schema


def _widened(schema: dict | None, table: pa.Table, number: int, name: str, blank: set[str]) -> dict:
    kinds = dict(zip(table.column_names, table.schema.types, strict=True))
    if schema is None or kinds == schema:
        return kinds if schema is None else schema
    for column in sorted(set(kinds) ^ set(schema)):
        verb = "lacks" if column in schema else "has another"
        raise ValueError(
            f"{name}: batch {number} {verb} column {column!r}: all batches must have the same columns"
        )
    wider = {}
    for column, before in schema.items():
        common = common_type(before, kinds[column])
        if common is None and table.column(column).null_count == table.num_rows:
            common = before
        if common is None and column in blank:
            common = kinds[column]
        if common is None:
            raise ValueError(
                f"{name}: column {column!r} is {kinds[column]} in batch {number}, but was {before} before"
            )
        wider[column] = common
    return wider


def _cut(tables: list[pa.Table], n: int) -> tuple[list[pa.Table], list[pa.Table]]:
    """The first ``n`` rows, and the rest."""
    first: list[pa.Table] = []
    for i, table in enumerate(tables):
        if table.num_rows >= n:
            rest = [table.slice(n)] if table.num_rows > n else []
            return [*first, table.slice(0, n)], rest + tables[i + 1 :]
        first.append(table)
        n -= table.num_rows
    return first, []


class _Writer:
    """Row groups to files, a further one whenever the schema changes."""

    def __init__(self, spool: Spool):
        self._spool = spool
        self._writer: Any = None
        self._schema: Any = None
        self.n_files = 0

    def write(self, tables: list[pa.Table], schema: dict[str, pa.DataType]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = _joined(tables, schema)
        if self._schema != table.schema:
            self.close()
            path = self._spool.path(f"part-{self.n_files:05d}.parquet")
            try:
                self._writer = pq.ParquetWriter(path, table.schema, compression="lz4", write_statistics=False)
            except pa.ArrowNotImplementedError as error:
                raise ValueError(f"a temporary Parquet file cannot hold such a column: {error}") from None
            self._schema = table.schema
            self.n_files += 1
        self._writer.write_table(table, row_group_size=SPOOLED_ROWS)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _joined(tables: list[pa.Table], schema: dict[str, pa.DataType]) -> pa.Table:
    """One table of the schema's types; numbers that are categories are kept as numbers."""
    import pyarrow as pa

    arrays = []
    for name, kind in schema.items():
        chunks = []
        stored = kind
        if pa.types.is_dictionary(kind) and not _is_text_dictionary(kind):
            stored = kind.value_type
        for table in tables:
            column = table.column(name)
            if column.type != stored:
                column = without_dictionary(column)
                column = column if column.type == stored else column.cast(stored)
            chunks += column.chunks
        arrays.append(pa.chunked_array(chunks, stored).unify_dictionaries())
    return pa.table(arrays, names=list(schema)) if arrays else pa.table({})


def _is_text_dictionary(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
