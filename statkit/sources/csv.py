"""CSV files, copied once to temporary Parquet files with types that hold in every row."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from typing import Any

from statkit.sources.conform import common_type
from statkit.sources.names import check_distinct
from statkit.sources.paths import File, Files, find_files, shown_names
from statkit.sources.spool import Spool
from statkit.sources.spooled import SpooledSource, write_spool

__all__ = ["CsvSource"]

_BLOCK_BYTES = 4 * 2**20
_LARGEST_BLOCK = 2**30
_CONTRADICTION = re.compile(r"In CSV column #(\d+):.*conversion error to .*?: invalid value '(.*)'", re.S)
# Spellings of a missing value, unless quoted.
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "NaT", "<NA>"]


class CsvSource(SpooledSource):
    """Rows of CSV files, read once as a stream in bounded memory.

    Types are inferred from the first block of rows. When a later row contradicts them, the type is widened
    (whole numbers to numbers, anything to text) and reading starts again, so that no value is lost. Unquoted
    ``NA``, ``NaN``, ``NULL``, ``None`` and empty fields are missing; quoted ones are text.

    Parameters
    ----------
    data : str, path-like, or list of them
        Files, a folder, a glob or a URL; also compressed (.gz, .bz2, .zst, .lz4). The first line holds the
        names of the columns. All files must have the same ones.
    y, weight, offset, group : array of shape (n_rows, …) or None
    delimiter : str or None
        None is a tab for names that end in .tsv or .tab, otherwise a comma.
    encoding : str, default="utf8"

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line has another number of fields than the first, or is not text in ``encoding``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from statkit.sources import CsvSource
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.csv")
    ...     _ = path.write_text("x,name\\n1,a\\n2.5,NA\\n")
    ...     with CsvSource(path) as source:
    ...         source.read(source.partitions()[0], ["x", "name"]).table.to_pylist()
    [{'x': 1.0, 'name': 'a'}, {'x': 2.5, 'name': None}]
    """

    def __init__(
        self,
        data: Any,
        y: Any = None,
        weight: Any = None,
        offset: Any = None,
        group: Any = None,
        *,
        delimiter: str | None = None,
        encoding: str = "utf8",
    ):
        files = data if isinstance(data, Files) else _as_csv(data)
        start = shown_names([f.path for f in files.files])
        first = files.files[0].path[start:]
        name = first if len(files.files) == 1 else f"{first} (and {len(files.files) - 1} more files)"
        reader = _Reader(files, start, delimiter, encoding)
        spool = Spool()
        with spool.filling():
            schema = reader.write(spool, name)
            token = hashlib.sha1(repr([(f.path, f.stamp, delimiter, encoding) for f in files.files]).encode())
            beside = {"y": y, "weight": weight, "offset": offset, "group": group}
            self._attach(spool, schema, name, beside, token.hexdigest())


def _as_csv(data: Any) -> Files:
    """Files to be read as CSV whatever their names."""
    try:
        return find_files(data)
    except ValueError as error:
        if "cannot tell what kind" not in str(error):
            raise
    from statkit.sources.paths import local_stamp

    paths = data if isinstance(data, list | tuple) else [data]
    return Files(tuple(File(str(p), local_stamp(str(p))) for p in paths), "csv")


class _Contradiction(Exception):
    """A value that its column's type cannot hold; the types have been widened."""


class _Reader:
    """Streams of tables from files, with types that are remembered from one attempt to the next."""

    def __init__(self, files: Files, shown_from: int, delimiter: str | None, encoding: str):
        self._files = files
        self._shown_from = shown_from
        self._delimiter = delimiter
        self._encoding = encoding
        self._kinds: dict[str, Any] = {}
        self._block = _BLOCK_BYTES

    def write(self, spool: Spool, name: str) -> dict:
        import os

        while True:
            try:
                return write_spool(self._tables(), spool, name)
            except _Contradiction:
                for written in os.listdir(spool.folder):
                    if written.endswith(".parquet"):
                        os.remove(spool.path(written))

    def _tables(self) -> Iterator[Any]:
        columns: list[str] | None = None
        for file in self._files.files:
            shown = file.path[self._shown_from :]
            if file.stamp[0] == 0:
                raise ValueError(f"{shown} is empty (0 bytes): it has no line of column names")
            for table in self._tables_of(file, shown):
                if columns is None:
                    columns = table.column_names
                    check_distinct(columns, shown)
                elif set(table.column_names) != set(columns):
                    name = min(set(table.column_names) ^ set(columns))
                    verb = "lacks" if name in columns else "has another"
                    raise ValueError(f"the files differ: {shown} {verb} column {name!r}")
                yield table.select(columns)

    def _tables_of(self, file: File, shown: str) -> Iterator[Any]:
        import pyarrow as pa

        try:
            yield from self._stream(file, shown, threads=True)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            self._learn(error, file, shown)

    def _stream(self, file: File, shown: str, threads: bool) -> Iterator[Any]:
        import pyarrow as pa
        from pyarrow import csv

        options = {
            # A line break inside quotes must not end a block.
            "parse_options": csv.ParseOptions(delimiter=self._delimiter_of(file), newlines_in_values=True),
            "convert_options": csv.ConvertOptions(
                column_types=self._kinds, null_values=_MISSING, strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
            "read_options": csv.ReadOptions(
                block_size=self._block, use_threads=threads, encoding=self._encoding
            ),
        }  # fmt: skip
        with self._bytes(file) as stream, csv.open_csv(stream, **options) as reader:
            for name, kind in zip(reader.schema.names, reader.schema.types, strict=True):
                if pa.types.is_binary(kind):
                    raise ValueError(
                        f"column {name!r} of {shown} is not text in {self._encoding}: "
                        "name its encoding, as in CsvSource(path, encoding='latin1')"
                    )
                self._kinds.setdefault(name, kind)
            yield reader.schema.empty_table()
            for batch in reader:
                yield pa.Table.from_batches([batch])

    def _bytes(self, file: File) -> Any:
        import pyarrow as pa

        if self._files.filesystem is not None:
            return self._files.filesystem.open_input_stream(file.path, compression="detect")
        return pa.input_stream(file.path, compression="detect")

    def _delimiter_of(self, file: File) -> str:
        if self._delimiter is not None:
            return self._delimiter
        return "\t" if re.search(r"\.(tsv|tab)(\.\w+)?$", file.path.lower()) else ","

    def _learn(self, error: Exception, file: File, shown: str) -> None:
        """Change what an error tells to change and ask for another attempt, or raise it for the user."""
        import pyarrow as pa

        text = str(error)
        found = re.search(
            r"In CSV column #(\d+):.*CSV conversion error to .*?: invalid value '(.*)'", text, re.S
        )
        if found:
            name = list(self._names(file))[int(found[1])]
            before = self._kinds[name]
            wider = _wider(before, found[2])
            if wider != before:
                self._kinds[name] = wider
                raise _Contradiction from None
        if "try to increase block size" in text and self._block < _LARGEST_BLOCK:
            self._block *= 8
            raise _Contradiction from None
        if "In CSV column" not in text:  # the line's number is known only when one thread reads
            try:
                for _ in self._stream(file, shown, threads=False):
                    pass
            except (pa.ArrowInvalid, UnicodeDecodeError) as again:
                text = str(again)
        raise ValueError(f"{shown} is not a CSV file that can be read: {text}") from None

    def _names(self, file: File) -> Iterator[str]:
        """Names of the columns in the order of the file."""
        from pyarrow import csv

        with self._bytes(file) as stream:
            parse = csv.ParseOptions(delimiter=self._delimiter_of(file), newlines_in_values=True)
            read = csv.ReadOptions(block_size=self._block, encoding=self._encoding)
            names = {n: "string" for n in self._kinds}
            with csv.open_csv(
                stream, parse_options=parse, read_options=read,
                convert_options=csv.ConvertOptions(column_types=names),
            ) as reader:  # fmt: skip
                yield from reader.schema.names


def _wider(kind: Any, value: str) -> Any:
    """A type that holds what ``kind`` holds and the text ``value`` as well."""
    import pyarrow as pa
    from pyarrow import csv

    quoted = '"' + value.replace('"', '""') + '"'
    table = csv.read_csv(
        io.BytesIO(f"x\n{quoted}\n".encode()), convert_options=csv.ConvertOptions(null_values=[])
    )
    new = table.schema.types[0]
    if (pa.types.is_timestamp(kind) and pa.types.is_date(new)) or (
        pa.types.is_date(kind) and pa.types.is_timestamp(new)
    ):
        return new if pa.types.is_timestamp(new) else kind
    common = common_type(kind, new)
    return pa.string() if common is None or common == kind else common
