"""Parquet files: every row group is a partition, read by whoever needs it."""

from __future__ import annotations

import os
import threading

from statkit.sources.partition import Partition
from statkit.sources.rows import Rows
from statkit.sources.source import Beside, Source, TemporaryFolder, column_not_found

__all__ = ["ParquetSource", "open_parquet"]

# Open files of this thread: a handle must not be shared between threads, and parsing a footer for every row
# group would cost more than reading small ones.
_open = threading.local()
_MOST_OPEN = 8


class ParquetSource(Source):
    """One or more Parquet files with the same columns.

    Parameters
    ----------
    paths : list of str
    filesystem : pyarrow.fs.FileSystem or None
        None for local files.
    beside : dict of ndarray

    Raises
    ------
    ValueError
        If a file is not a readable Parquet file, or the files' columns do not agree.
    """

    def __init__(self, paths, filesystem=None, beside=None):
        import pyarrow as pa

        self._filesystem = filesystem
        schema = None
        partitions: list[Partition] = []
        first = 0
        for path in paths:
            stamp = file_stamp(path, filesystem)
            file, mine = open_parquet(path, filesystem, stamp)
            if schema is None:
                schema = mine
            elif not mine.equals(schema):
                schema = _agreed(schema, mine, path, pa)
            for unit in range(file.metadata.num_row_groups):
                n = file.metadata.row_group(unit).num_rows
                if n:
                    partitions.append(Partition(len(partitions), path, unit, first, n, stamp))
                    first += n
        self.schema = dict(zip(schema.names, schema.types, strict=True))
        self.n_rows = first
        self.token = repr([(p.path, p.stamp) for p in partitions[:1] + partitions[-1:]] + [len(paths), first])
        self._partitions = tuple(partitions)
        self._beside = Beside(beside or {}, first)
        self._folder = None

    def read(self, partition, columns=()):
        import pyarrow as pa

        path, name = partition.path, os.path.basename(partition.path)
        where = f"{name}, row group {partition.unit}"
        for column in columns:
            if column not in self.schema:
                raise column_not_found(column, self.schema)
        if file_stamp(path, self._filesystem) != partition.stamp:
            raise ValueError(f"{path} changed between passes over it: its size or time is not what it was")
        table = None
        if columns:
            file, _ = open_parquet(path, self._filesystem, partition.stamp)
            try:
                table = file.read_row_group(partition.unit, columns=list(columns), use_threads=False)
            except (OSError, pa.ArrowInvalid) as error:
                raise ValueError(f"{path}: row group {partition.unit} cannot be read: {error}") from None
            if table.num_rows != partition.n_rows:
                raise ValueError(f"{path} changed between passes over it: row group {partition.unit}")
            table = _conform(table.select(list(columns)), self.schema)
        return Rows(partition.first_row, partition.n_rows, table, None, self._beside.rows(partition), where)

    def portable(self):
        if not self._beside:
            return self
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._folder = TemporaryFolder()
        other._beside = self._beside.portable(other._folder)
        return other

    def close(self):
        if self._folder is not None:
            self._folder.close()


def file_stamp(path: str, filesystem) -> tuple:
    """Size and time of last change."""
    if filesystem is None:
        try:
            found = os.stat(path)
        except OSError:
            raise FileNotFoundError(f"there is no file {path}") from None
        return found.st_size, found.st_mtime_ns
    info = filesystem.get_file_info(path)
    if not info.is_file:
        raise FileNotFoundError(f"there is no file {path}")
    return info.size, info.mtime_ns


def open_parquet(path: str, filesystem, stamp):
    """A ``ParquetFile`` of this thread that reads strings as dictionaries, and the file's own schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = vars(_open).setdefault("files", {})
    if (path, stamp) not in files:
        try:
            source = path if filesystem is None else filesystem.open_input_file(path)
            file = pq.ParquetFile(source, pre_buffer=False)
            schema = file.schema_arrow.remove_metadata()
            text = [f.name for f in schema if _is_text(f.type, pa)]
            if text:
                source = path if filesystem is None else filesystem.open_input_file(path)
                file = pq.ParquetFile(source, pre_buffer=False, read_dictionary=text, metadata=file.metadata)
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(
                f"{path} is not a readable Parquet file (truncated, or of another format): {error}"
            ) from None
        while len(files) >= _MOST_OPEN:
            files.pop(next(iter(files)))[0].close()
        files[path, stamp] = file, schema
    return files[path, stamp]


def _is_text(kind, pa) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _agreed(schema, mine, path, pa):
    if schema.names != mine.names and set(schema.names) != set(mine.names):
        only = sorted(set(schema.names) ^ set(mine.names))
        raise ValueError(f"{path} has other columns than the first file: {', '.join(only)}")
    try:
        return pa.unify_schemas([schema, mine], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        for field in schema:
            kind = mine.field(field.name).type
            try:
                pa.unify_schemas(
                    [pa.schema([field]), pa.schema([(field.name, kind)])], promote_options="permissive"
                )
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                raise ValueError(
                    f"{path}: column {field.name!r} has type {kind}, in the first file {field.type}"
                ) from None
        raise


def _conform(table, schema):
    """Columns in the source's types, where a file's own are narrower."""
    import pyarrow as pa

    for i, field in enumerate(table.schema):
        wanted = schema[field.name]
        if field.type != wanted and not pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(wanted))
    return table
