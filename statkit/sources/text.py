"""CSV files: typed block by block and spooled once to Parquet."""

from __future__ import annotations

import os
import re
import shutil
import sys

from statkit.sources.source import TemporaryFolder
from statkit.sources.spool import spool

__all__ = ["open_csv", "open_standard_input"]

_BLOCK = 16 * 2**20


def open_csv(paths, beside=None):
    """A source on the rows of CSV files (also .tsv, and compressed by gzip, bzip2, zstd or lz4).

    A column's type is that of its first block; a later block that contradicts it starts the reading again with a
    wider type (whole numbers, numbers, text), so that no value is lost.
    """
    import pyarrow as pa
    from pyarrow import csv

    types: dict[str, pa.DataType] = {}
    while True:
        try:
            return spool(_batches(paths, types, csv), None, beside, name=_name(paths))
        except _Contradiction as found:
            types[found.column] = found.wider


def open_standard_input(beside=None):
    """A source on CSV text from standard input."""
    folder = TemporaryFolder()
    try:
        path = os.path.join(folder.path, "standard input")
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return open_csv([path], beside)
    finally:
        folder.close()


class _Contradiction(Exception):
    def __init__(self, column, wider):
        super().__init__(column)
        self.column, self.wider = column, wider


def _name(paths) -> str:
    return os.path.basename(paths[0]) + (f" and {len(paths) - 1} more files" if len(paths) > 1 else "")


def _batches(paths, types, csv):
    import pyarrow as pa

    seen = None
    for path in paths:
        delimiter = "\t" if re.search(r"\.(tsv|tab)(\.\w+)?$", path) else ","
        try:
            reader = csv.open_csv(
                path,
                read_options=csv.ReadOptions(block_size=_BLOCK, use_threads=False),
                parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True),
            )
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {path}") from None
        except pa.ArrowInvalid as error:
            _raise(error, path, None, pa)
        schema = seen = seen or reader.schema
        if reader.schema.names != seen.names:
            raise ValueError(
                f"{path} has other columns than the first file: {', '.join(reader.schema.names)}"
            )
        for mine, first in zip(reader.schema, seen, strict=True):
            if mine.type != first.type:
                raise _Contradiction(mine.name, _common(first.type, mine.type, pa))
        nothing = [f.name for f in schema if pa.types.is_null(f.type)]
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
            except pa.ArrowInvalid as error:
                _raise(error, path, reader.schema, pa)
            yield batch
        if nothing and len(paths) == 1:
            # Nothing at all in these columns: keep them as numbers that are all missing.
            raise _Contradiction(nothing[0], pa.float64())


def _raise(error, path, schema, pa):
    found = re.search(r"In CSV column #(\d+)", str(error))
    if found and schema is not None:
        field = schema.field(int(found.group(1)))
        raise _Contradiction(field.name, _wider(field.type, pa)) from None
    raise ValueError(f"{path} is not a readable CSV file: {error}") from None


def _wider(kind, pa):
    if pa.types.is_null(kind):
        return pa.int64()
    if pa.types.is_integer(kind):
        return pa.float64()
    return pa.string()


def _common(a, b, pa):
    if pa.types.is_null(a):
        return b
    if pa.types.is_null(b):
        return a
    numbers = (pa.types.is_integer, pa.types.is_floating)
    if any(t(a) for t in numbers) and any(t(b) for t in numbers):
        return pa.float64()
    return pa.string()
