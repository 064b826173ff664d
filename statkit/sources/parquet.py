"""Parquet files: a row group is a partition, read by itself, some columns at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from statkit.sources.conform import common_type, conform, is_text
from statkit.sources.handles import drop_handles, lent, open_parquet
from statkit.sources.names import check_distinct
from statkit.sources.partition import Partition
from statkit.sources.paths import File, Files, check_unchanged, find_files, shown_names
from statkit.sources.rows import Rows
from statkit.sources.source import Source, beside_arrays, fresh_token

__all__ = ["ParquetSource", "opened"]


class ParquetSource(Source):
    """Rows of Parquet files.

    Text is read as dictionaries. Columns that only the folders' names hold (``year=2001/part-0.parquet``) are
    there too, as integers where all values are. Every read checks that the file is still the one that was
    opened.

    Parameters
    ----------
    data : str, path-like, or list of them
        Files, a folder, a glob, or a URL that pyarrow's file systems (or fsspec, when installed) open. The
        files must have the same columns; numbers of several widths are read as the widest.
    y, weight, offset, group : array of shape (n_rows, …) or None
        Arrays beside the files, in the order of their rows.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file is no Parquet file, is cut off, or has other columns than the first; on reading, if it
        changed.

    Examples
    --------
    >>> from statkit.datasets import flights_path
    >>> from statkit.sources import ParquetSource
    >>> source = ParquetSource(flights_path())
    >>> source.n_rows, len(source.partitions())
    (3000000, 12)
    >>> rows = source.read(source.partitions()[1], ["delay"])
    >>> rows.first_row, rows.table.num_rows, rows.where
    (250000, 250000, 'flights_2001h1.parquet, row group 1')
    """

    _partitions: tuple[Partition, ...] | None

    def __init__(self, data: Any, y: Any = None, weight: Any = None, offset: Any = None, group: Any = None):
        self._data = data
        files = data if isinstance(data, Files) else find_files(data)
        self._describe(files, None)
        assert self.n_rows is not None
        self._beside = beside_arrays(self.n_rows, y, weight, offset, group)
        if self._beside:
            self.token = fresh_token()

    def _describe(self, files: Files, schema: dict | None) -> None:
        """Read the footers; ``schema`` is what the files' columns are to be read as, None to find out."""
        self._filesystem = files.filesystem
        self._shown_from = shown_names([f.path for f in files.files])
        first = self._shown(files.files[0].path) if files.files else "no file"
        self.name = first if len(files.files) == 1 else f"{first} (and {len(files.files) - 1} more files)"
        footers = self._footers(files.files)
        self._promised = schema
        self.schema = self._common_schema(files.files, footers) if schema is None else schema
        self.token = hashlib.sha1(
            repr([(f.path, f.stamp, f.units) for f in files.files]).encode()
        ).hexdigest()
        partitions: list[Partition] = []
        row = 0
        for file, (_, counts) in zip(files.files, footers, strict=True):
            for unit in range(len(counts)) if file.units is None else file.units:
                if counts[unit]:
                    partitions.append(
                        Partition(
                            len(partitions), file.path, unit, row, counts[unit], file.stamp, file.constants
                        )
                    )
                    row += counts[unit]
        self._partitions = tuple(partitions)
        self.n_rows = row

    def _shown(self, path: str) -> str:
        return path[self._shown_from :]

    def _footers(self, files: Sequence[File]) -> list[tuple[Any, list[int]]]:
        """(Arrow schema, rows of each row group) of every file."""

        def footer(file: File) -> tuple[Any, list[int]]:
            with opened(self._filesystem, file, self._shown(file.path)) as parquet:
                metadata = parquet.metadata
                return parquet.schema_arrow, [
                    metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)
                ]

        if len(files) < 8:
            return [footer(f) for f in files]
        with ThreadPoolExecutor(
            8
        ) as pool:  # waiting for a disk or a network, one file after the other, adds up
            return list(pool.map(footer, files))

    def _common_schema(self, files: Sequence[File], footers: list[tuple[Any, list[int]]]) -> dict:
        import pyarrow as pa

        schema: dict[str, pa.DataType] = {}
        for i, (file, (arrow, _)) in enumerate(zip(files, footers, strict=True)):
            shown = self._shown(file.path)
            constants = dict(file.constants)
            check_distinct(arrow.names, shown)
            own = {n: t for n, t in zip(arrow.names, arrow.types, strict=True) if n not in constants}
            if i == 0:
                schema = dict(own)
                columns = set(own) | set(constants)
                continue
            for name in sorted((set(own) | set(constants)) ^ columns):
                has, lacks = (shown, self._shown(files[0].path))
                if name in columns:
                    has, lacks = lacks, has
                raise ValueError(f"the files differ: {has} has a column {name!r}, which {lacks} lacks")
            for name, kind in own.items():
                common = common_type(schema[name], kind) if name in schema else None
                if common is None:
                    before = schema.get(name, "text in a folder's name")
                    raise ValueError(
                        f"the files differ: column {name!r} is {kind} in {shown}, but {before} in "
                        f"{self._shown(files[0].path)}"
                    )
                schema[name] = common
        for name in dict(files[0].constants) if files else ():
            values = [dict(f.constants)[name] for f in files]
            schema[name] = pa.int64() if all(v is None or _is_integer(v) for v in values) else pa.string()
        return schema

    # -- reading -------------------------------------------------------------------------------------

    def partitions(self) -> tuple[Partition, ...]:
        if self._partitions is None:  # a copy in another process
            token = self.token
            files = self._data if isinstance(self._data, Files) else find_files(self._data)
            self._describe(files, self._promised)
            if self.token != token and not self._beside:
                raise ValueError(
                    f"{self.name} changed between passes: start again once the files are complete"
                )
            self.token = token
        assert self._partitions is not None
        return self._partitions

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        self._check_columns(columns)
        where = self._where(partition)
        table = self._read_table(partition, columns, where)
        first, n = partition.first_row, partition.n_rows
        return Rows(first, n, table, None, self._beside_rows(first, n), where)

    def head(self, partition: Partition, columns: Sequence[str], n_rows: int) -> Rows:
        self._check_columns(columns)
        where = self._where(partition)
        n = min(n_rows, partition.n_rows)
        table = self._read_table(partition, columns, where, n)
        return Rows(partition.first_row, n, table, None, self._beside_rows(partition.first_row, n), where)

    def _where(self, partition: Partition) -> str:
        return f"{self._shown(partition.path or '')}, row group {partition.unit}"

    def _read_table(
        self, partition: Partition, columns: Sequence[str], where: str, n_rows: int | None = None
    ) -> Any:
        import pyarrow as pa

        n = partition.n_rows if n_rows is None else n_rows

        assert partition.path is not None
        check_unchanged(self._filesystem, partition.path, partition.stamp, self._shown(partition.path))
        constants = dict(partition.constants)
        text = tuple(name for name, kind in self.schema.items() if is_text(kind) and name not in constants)
        with lent(self._filesystem, partition.path, partition.stamp, text) as file:
            inside = file.schema_arrow.names if self._promised is not None else self.schema
            names = [c for c in columns if c not in constants and c in inside]
            try:
                if n == partition.n_rows:
                    table = file.read_row_group(partition.unit, columns=names, use_threads=False)
                else:
                    table = _first_rows(file, partition.unit, names, n)
            except (OSError, pa.ArrowException) as error:
                raise ValueError(f"{where} cannot be read, the file seems to be damaged: {error}") from None
        if table.num_rows != n and names:
            raise ValueError(f"{where} has {table.num_rows} rows where its footer says {partition.n_rows}")
        arrays = []
        for name in columns:
            if name in names:
                arrays.append(conform(table.column(name), self.schema[name], name, where))
            else:
                arrays.append(_repeated(constants.get(name), self.schema[name], n))
        return pa.table(arrays, names=list(columns)) if arrays else table.select([])

    def portable(self) -> Source:
        if not self._beside:
            return self
        from statkit.sources.mapped_array import with_mapped_beside

        return with_mapped_beside(self)

    def close(self) -> None:
        drop_handles({p.path for p in self._partitions or () if p.path is not None})
        if hasattr(self._beside, "close"):
            self._beside.close()

    def __getstate__(self) -> dict:
        # Sent with every task: the list of partitions, which may be long, stays at home.
        return vars(self) | {"_partitions": None, "_origin": None}


def opened(filesystem: Any, file: File, shown: str) -> Any:
    """The file, or an error that says what is wrong with it."""
    import pyarrow as pa

    if file.stamp[0] == 0:
        raise ValueError(f"{shown} is empty (0 bytes): it is not a Parquet file")
    try:
        return open_parquet(filesystem, file.path)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, f"cannot open: {os.strerror(error.errno)}", file.path) from None
        raise ValueError(
            f"{shown} is not a Parquet file, or is cut off ({file.stamp[0]:,} bytes): {error}"
        ) from None


def _first_rows(file: Any, unit: int | None, names: Sequence[str], n: int) -> Any:
    """The first rows of a row group; of its pages only those that hold them are decoded."""
    import pyarrow as pa

    batches, left = [], n
    for batch in file.iter_batches(
        batch_size=min(n, 65_536), row_groups=[unit], columns=names, use_threads=False
    ):
        batches.append(batch.slice(0, left))
        left -= batches[-1].num_rows
        if left <= 0:
            break
    return pa.Table.from_batches(batches)


def _is_integer(text: str) -> bool:
    # Only what an integer would be written as: "007" is a code.
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and str(int(text)) == text and abs(int(text)) < 2**63


def _repeated(value: Any, kind: Any, n: int) -> Any:
    """A column with one value in all rows."""
    import numpy as np
    import pyarrow as pa

    if value is None:
        return pa.chunked_array([pa.nulls(n, kind)])
    if pa.types.is_integer(kind) and isinstance(value, str):
        value = int(value)
    if pa.types.is_dictionary(kind):
        return conform(_repeated(value, kind.value_type, n), kind, "", "")
    if is_text(kind):
        codes = pa.array(np.zeros(n, np.int32))
        return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, pa.array([value], kind))])
    return pa.chunked_array([pa.repeat(pa.scalar(value, kind), n)])
