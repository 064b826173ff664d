"""Arrow IPC files: uncompressed ones are mapped into memory and cut into slices, others are copied once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from statkit.sources.conform import take_columns
from statkit.sources.memory import MemorySource
from statkit.sources.names import check_distinct
from statkit.sources.paths import File, Files, check_unchanged, find_files, shown_names
from statkit.sources.source import ROWS_PER_PARTITION, Source, beside_arrays, fresh_token

__all__ = ["ArrowFileSource", "arrow_source", "arrow_tables", "forget", "mapped_table"]


class ArrowFileSource(MemorySource):
    """Rows of a local, uncompressed Arrow IPC file (Feather, version 2), mapped into memory.

    Partitions are slices, whatever the batches of the file. `as_source` copies what cannot be mapped
    (streams, compressed or remote files, several files) to temporary Parquet files instead.

    Parameters
    ----------
    data : str or path-like
    y, weight, offset, group : array of shape (n_rows, …) or None
    rows_per_partition : int, default=65_536

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be mapped; on reading, if it changed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pyarrow as pa
    >>> from statkit.sources import ArrowFileSource
    >>> table = pa.table({"x": [1.0, 2.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.arrow")
    ...     with pa.ipc.new_file(path, table.schema) as writer:
    ...         writer.write_table(table)
    ...     with ArrowFileSource(path) as source:
    ...         source.read(source.partitions()[0], ["x"]).table["x"].to_pylist()
    [1.0, 2.0]
    """

    _path: str
    _stamp: tuple[int, int]

    def __init__(
        self,
        data: Any,
        y: Any = None,
        weight: Any = None,
        offset: Any = None,
        group: Any = None,
        *,
        rows_per_partition: int = ROWS_PER_PARTITION,
    ):
        self._check_step(rows_per_partition)
        files = find_files(data)
        if not _can_be_mapped(files):
            raise ValueError(
                f"{files.files[0].path} is not one local, uncompressed Arrow file: give it to as_source, "
                "which copies it once to temporary Parquet files"
            )
        file = files.files[0]
        self._open(file)
        self.name = file.path[shown_names([file.path]) :]
        self.schema = self._kinds(self.name)
        self._beside = beside_arrays(self.n_rows, y, weight, offset, group)
        identity = hashlib.sha1(repr((file.path, file.stamp)).encode()).hexdigest()
        self.token = fresh_token() if self._beside else identity

    def _open(self, file: File) -> None:
        self._path, self._stamp = file.path, file.stamp
        self.n_rows = mapped_table(file.path, file.stamp).num_rows

    def _kinds(self, name: str) -> dict:
        table = mapped_table(self._path, self._stamp)
        check_distinct(table.column_names, name)
        return dict(zip(table.column_names, table.schema.types, strict=True))

    def _take(self, rows: slice | np.ndarray, columns: Sequence[str]) -> tuple[Any, Any]:
        self._check_columns(columns)
        check_unchanged(None, self._path, self._stamp, self.name)
        table = mapped_table(self._path, self._stamp).select(list(columns))
        where = self.name
        if isinstance(rows, slice):
            n = rows.stop - rows.start
            table, where = table.slice(rows.start, n), self._where(rows.start, n)
        else:
            table = table.take(rows)
        return take_columns(table, columns, self.schema, where), None

    def _where(self, first: int, n: int) -> str:
        return f"{self.name}, {super()._where(first, n)}"

    def portable(self) -> Source:
        if not self._beside:
            return self
        from statkit.sources.mapped_array import with_mapped_beside

        return with_mapped_beside(self)

    def close(self) -> None:
        forget(self._path)
        if hasattr(self._beside, "close"):
            self._beside.close()

    def __getstate__(self) -> dict:
        return vars(self) | {"_partitions": None, "_origin": None}


# Tables are immutable, so that all threads share one; a mapping costs address space alone.
_lock = threading.Lock()
_tables: dict[tuple, Any] = {}
_MOST_TABLES = 16


def mapped_table(path: str, stamp: tuple) -> Any:
    """The table of a file, mapped into memory."""
    import pyarrow as pa

    key = (path, stamp)
    with _lock:
        table = _tables.get(key)
        if table is None:
            check_unchanged(None, path, stamp, path)
            try:
                table = pa.ipc.open_file(pa.memory_map(path)).read_all().unify_dictionaries()
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"{path} is not an Arrow file, or is cut off: {error}") from None
            _tables[key] = table
            if len(_tables) > _MOST_TABLES:
                _tables.pop(next(iter(_tables)))
    return table


def forget(path: str) -> None:
    """Close the mapping of a file."""
    with _lock:
        for key in [k for k in _tables if k[0] == path]:
            del _tables[key]


# -- files that cannot be mapped ------------------------------------------------------


def arrow_source(data: Any, beside: dict[str, Any], rows_per_partition: int) -> Source:
    """The files mapped, or copied where that cannot be."""
    from statkit.sources.spooled import SpooledSource

    files = find_files(data)
    if _can_be_mapped(files):
        return ArrowFileSource(data, rows_per_partition=rows_per_partition, **beside)
    start = shown_names([f.path for f in files.files])
    first = files.files[0].path[start:]
    name = first if len(files.files) == 1 else f"{first} (and {len(files.files) - 1} more files)"
    token = hashlib.sha1(repr([(f.path, f.stamp) for f in files.files]).encode()).hexdigest()
    return SpooledSource(arrow_tables(files, start), name, beside, token)


def _can_be_mapped(files: Files) -> bool:
    """Whether reading a batch gives memory of the file itself."""
    import pyarrow as pa

    if files.filesystem is not None or len(files.files) > 1 or files.files[0].stamp[0] == 0:
        return False
    memory = pa.memory_map(files.files[0].path)
    if memory.read(6) != b"ARROW1":
        return False
    try:
        reader = pa.ipc.open_file(memory)
        if reader.num_record_batches == 0:
            return True
        batch = reader.get_batch(0)
    except (pa.ArrowException, OSError):
        return False
    memory.seek(0)
    whole = memory.read_buffer()
    return all(
        whole.address <= buffer.address <= whole.address + whole.size
        for column in batch.columns
        for buffer in column.buffers()
        if buffer is not None and buffer.size
    )


def arrow_tables(files: Files, start: int) -> Iterator[Any]:
    """Tables of the batches of files; ``start`` characters of their paths are not shown."""
    import pyarrow as pa

    for file in files.files:
        shown = file.path[start:]
        try:
            for reader, batches in _opened(files.filesystem, file):
                yield reader.schema.empty_table()
                for batch in batches:
                    yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"{shown} is not an Arrow file or stream, or is cut off ({file.stamp[0]:,} bytes): {error}"
            ) from None


def _opened(filesystem: Any, file: File) -> Iterator[tuple[Any, Iterator[Any]]]:
    import pyarrow as pa

    opened = pa.OSFile(file.path) if filesystem is None else filesystem.open_input_file(file.path)
    with opened as raw:
        is_file = raw.read(6) == b"ARROW1"
        raw.seek(0)
        if is_file:
            reader = pa.ipc.open_file(raw)
            yield reader, (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            reader = pa.ipc.open_stream(raw)
            yield reader, iter(reader)
