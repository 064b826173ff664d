"""Rows from a pipe, batch by batch, in memory that does not grow: CSV, lines of JSON, or an Arrow stream.

Nothing is kept on disk, so the rows come once. The types of the first rows hold for all: whole numbers are read as
numbers, so that a fraction may follow.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_batches"]

#: Bytes that tell the format and the types.
_HEAD = 2**20
_BLOCK = 2**22
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "NaT", "<NA>"]


def read_batches(
    stream: Any = "-",
    *,
    wanted: Callable[[str], bool] = lambda name: True,
    whole: Callable[[str], bool] = lambda name: False,
    rows: int = 65_536,
) -> Iterator[pa.Table]:
    """Yield the rows of a stream as tables of ``rows`` rows.

    Parameters
    ----------
    stream : binary file object or "-"
        ``"-"`` is standard input.
    wanted : callable
        Whether the column of this name is to be read.
    whole : callable
        Whether the whole numbers of the column of this name stay such (they are labels).
    rows : int

    Raises
    ------
    ValueError
        If the rows are none of these formats, or a value is not of its column's type.
    """
    name = "standard input" if isinstance(stream, str) else getattr(stream, "name", "the stream")
    stream = sys.stdin.buffer if isinstance(stream, str) else stream
    head = _first_bytes(stream)
    if not head.strip():
        raise ValueError(f"{name} is empty")
    if head[:4] == b"PAR1":
        raise ValueError(f"{name} is a Parquet file, which cannot be read as a stream: give its path")
    chained = _Chained(head, stream)
    if head[:6] == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff":
        tables = _arrow(chained, wanted, name)
    elif head.lstrip()[:1] == b"{":
        tables = _json(chained, head, wanted, whole, name)
    else:
        tables = _csv(chained, head, wanted, whole, name)
    yield from _in_batches(tables, rows)


def _first_bytes(stream) -> bytes:
    pieces, size = [], 0
    while size < _HEAD and (piece := stream.read(_HEAD - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


class _Chained(io.RawIOBase):
    """Bytes that were read already, then the rest of their stream."""

    def __init__(self, head: bytes, rest: Any):
        self._head = memoryview(head)
        self._rest = rest

    def readable(self):
        return True

    def readinto(self, buffer):
        if len(self._head):
            piece = self._head[: len(buffer)]
            self._head = self._head[len(piece) :]
        else:
            piece = self._rest.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _types(schema, wanted, whole) -> dict:
    """Column → type for the whole stream, from those of its first rows."""
    import pyarrow as pa

    types = {}
    for field in schema:
        if not wanted(field.name):
            continue
        kind = field.type
        if pa.types.is_integer(kind) and not whole(field.name):
            kind = pa.float64()
        elif pa.types.is_null(kind):
            kind = pa.float64()
        types[field.name] = kind
    return types


def _complete_lines(head: bytes) -> bytes:
    end = head.rfind(b"\n")
    return head if len(head) < _HEAD or end < 0 else head[: end + 1]


def _csv(chained, head, wanted, whole, name):
    import pyarrow as pa
    from pyarrow import csv

    line = head.split(b"\n", 1)[0]
    parse = csv.ParseOptions(
        delimiter="\t" if b"\t" in line and b"," not in line else ",", newlines_in_values=True
    )
    convert = {"null_values": _MISSING, "strings_can_be_null": True, "quoted_strings_can_be_null": False}
    try:
        first = csv.read_csv(
            io.BytesIO(_complete_lines(head)),
            parse_options=parse,
            convert_options=csv.ConvertOptions(**convert),
        )
        types = _types(first.schema, wanted, whole)
        del first
        options = csv.ConvertOptions(column_types=types, include_columns=list(types), **convert)
        reader = csv.open_csv(
            pa.PythonFile(chained, mode="r"), parse_options=parse, convert_options=options,
            read_options=csv.ReadOptions(block_size=_BLOCK, use_threads=False),
        )  # fmt: skip
        for batch in reader:
            yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        raise ValueError(_said(error, name)) from None


def _json(chained, head, wanted, whole, name):
    import pyarrow as pa
    from pyarrow import json

    try:
        first = json.read_json(io.BytesIO(_complete_lines(head)))
        types = _types(first.schema, wanted, whole)
        del first
        parse = json.ParseOptions(
            explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore"
        )
        reader = json.open_json(
            pa.PythonFile(chained, mode="r"), parse_options=parse,
            read_options=json.ReadOptions(block_size=_BLOCK, use_threads=False),
        )  # fmt: skip
        for batch in reader:
            yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        raise ValueError(_said(error, name)) from None


def _arrow(chained, wanted, name):
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(pa.PythonFile(chained, mode="r")) as reader:
            names = [name for name in reader.schema.names if wanted(name)]
            for batch in reader:
                yield pa.Table.from_batches([batch]).select(names)
    except pa.ArrowInvalid as error:
        raise ValueError(_said(error, name)) from None


def _said(error, name) -> str:
    return (
        f"{name} cannot be read further: {error}. The types of the first rows hold for the whole stream; a file of "
        "mixed types can be fitted by its path"
    )


def _in_batches(tables, rows):
    import pyarrow as pa

    held, n = [], 0
    for table in tables:
        held.append(table)
        n += table.num_rows
        if n < rows:
            continue
        joined = pa.concat_tables(held)
        whole = n - n % rows
        for start in range(0, whole, rows):
            yield joined.slice(start, rows)
        held, n = ([joined.slice(whole)], n - whole) if n > whole else ([], 0)
    if n:
        yield pa.concat_tables(held)
