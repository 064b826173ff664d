"""Arrow IPC files: record batches are partitions; Arrow streams are spooled."""

from __future__ import annotations

import os
import threading

from statkit.sources.parquet import file_stamp
from statkit.sources.partition import Partition
from statkit.sources.rows import Rows
from statkit.sources.source import Beside, Source, column_not_found
from statkit.sources.spool import spool

__all__ = ["ArrowFileSource", "open_arrow"]

_open = threading.local()


def open_arrow(path: str, beside=None):
    """A source on an Arrow IPC file, or on an IPC stream in a file."""
    import pyarrow as pa

    file_stamp(path, None)
    with open(path, "rb") as file:
        random_access = file.read(6) == b"ARROW1"
    if random_access:
        return ArrowFileSource(path, beside)
    try:
        with pa.OSFile(path) as file, pa.ipc.open_stream(file) as reader:
            return spool(reader, reader.schema, beside, name=os.path.basename(path))
    except pa.ArrowInvalid as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error) -> ValueError:
    return ValueError(f"{path} is not a readable Arrow file (truncated, or of another format): {error}")


class ArrowFileSource(Source):
    """An Arrow IPC file, mapped into memory."""

    def __init__(self, path: str, beside=None):
        import pyarrow as pa

        stamp = file_stamp(path, None)
        try:
            reader = _reader(path, stamp)
            schema = reader.schema
            sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
        except (pa.ArrowInvalid, OSError) as error:
            raise _unreadable(path, error) from None
        self.schema = dict(zip(schema.names, schema.types, strict=True))
        partitions: list[Partition] = []
        first = 0
        for unit, n in enumerate(sizes):
            if n:
                partitions.append(Partition(len(partitions), path, unit, first, n, stamp))
                first += n
        self._partitions, self.n_rows = tuple(partitions), first
        self.token = repr((path, stamp))
        self._beside = Beside(beside or {}, first)

    def read(self, partition, columns=()):
        import pyarrow as pa

        for column in columns:
            if column not in self.schema:
                raise column_not_found(column, self.schema)
        if file_stamp(partition.path, None) != partition.stamp:
            raise ValueError(
                f"{partition.path} changed between passes over it: its size or time is not what it was"
            )
        batch = _reader(partition.path, partition.stamp).get_batch(partition.unit)
        table = pa.Table.from_batches([batch]).select(list(columns))
        where = f"{os.path.basename(partition.path)}, record batch {partition.unit}"
        return Rows(partition.first_row, partition.n_rows, table, None, self._beside.rows(partition), where)


def _reader(path, stamp):
    import pyarrow as pa

    if vars(_open).get("key") != (path, stamp):
        _open.reader = pa.ipc.open_file(pa.memory_map(path))
        _open.key = (path, stamp)
    return _open.reader
