"""Streams that can be read once are written to a temporary Parquet file first, with bounded memory.

A query that could be run again is spooled too: without ORDER BY it need not give its rows in the same order
twice, and passes over the data rely on that.
"""

from __future__ import annotations

import os

from statkit.sources.parquet import ParquetSource
from statkit.sources.source import TemporaryFolder

__all__ = ["SpooledSource", "spool"]

ROWS = 131_072


class SpooledSource(ParquetSource):
    """A Parquet source on a temporary file of its own."""

    def __init__(self, folder, path, beside, name):
        super().__init__([path], beside=beside)
        self._spool = folder
        self._name = name

    def read(self, partition, columns=()):
        rows = super().read(partition, columns)
        rows.where = f"{self._name}, rows {rows.first_row}–{rows.first_row + rows.n_rows - 1}"
        return rows

    def close(self):
        super().close()
        self._spool.close()


def spool(batches, schema, beside=None, name: str = "stream") -> SpooledSource:
    """Write record batches to a temporary file and return a source on it.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch or Table
        Read once.
    schema : pyarrow.Schema or None
        None takes that of the first batch.
    beside : dict of ndarray or None
    name : str
        What the rows are called in messages.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = TemporaryFolder()
    path = os.path.join(folder.path, "spool.parquet")
    writer, plain, waiting, rows = None, None, [], 0
    try:
        for batch in batches:
            table = pa.table(batch) if not isinstance(batch, pa.Table) else batch
            schema = table.schema if schema is None else schema
            plain = plain or plain_schema(schema, pa)
            if set(table.column_names) != set(plain.names):
                odd = sorted(set(table.column_names) ^ set(plain.names))
                raise ValueError(
                    f"a batch of the {name} has other columns than the first one: {', '.join(odd)}"
                )
            try:
                table = table.select(plain.names).cast(plain)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                what = f"a batch of the {name} has other column types than the first one"
                raise ValueError(f"{what}: {error}") from None
            writer = writer or pq.ParquetWriter(path, plain, compression="lz4")
            waiting.append(table)
            rows += table.num_rows
            while rows >= ROWS:
                joined = pa.concat_tables(waiting)
                writer.write_table(joined.slice(0, ROWS), row_group_size=ROWS)
                waiting, rows = [joined.slice(ROWS)], rows - ROWS
        if writer is None:
            if schema is None:
                raise ValueError(f"the {name} is empty: it has no batch and no columns")
            writer = pq.ParquetWriter(path, plain_schema(schema, pa), compression="lz4")
        if rows:
            writer.write_table(pa.concat_tables(waiting), row_group_size=ROWS)
        writer.close()
        return SpooledSource(folder, path, beside, name)
    except BaseException:
        if writer is not None:
            writer.close()
        folder.close()
        raise


def plain_schema(schema, pa):
    """Types that a Parquet file keeps: text and categories as strings."""
    fields = []
    for field in schema:
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
            kind = pa.string()
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields)
