"""Data as something to look at: what is known without reading them, and a source for the look."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Opened", "open_data"]


@dataclass
class Opened:
    """Rows that can be looked at.

    Attributes
    ----------
    source : Source
        Of all rows, or of a sample of them (CSV).
    n_rows : int
        Rows in all, estimated where no footer says it.
    exact : bool
        Whether ``n_rows`` is a count.
    n_bytes : int or None
        Of the files.
    kind : str
        "Parquet", "CSV", "Arrow" or "in memory".
    parts : tuple of int
        Rows of the partitions that a fit works on.
    columns : dict
        For Parquet: column to bytes (compressed, uncompressed, dictionary-encoded or not).
    copy_seconds : float
        What it takes to copy the rows before the first pass (CSV).
    owned : bool
        Whether the source is to be closed.
    """

    source: Any
    n_rows: int
    exact: bool
    n_bytes: int | None
    kind: str
    parts: tuple[int, ...]
    columns: dict = field(default_factory=dict)
    copy_seconds: float = 0.0
    owned: bool = True
    notes: list = field(default_factory=list)


def open_data(data: Any, beside: dict[str, Any]) -> Opened:
    """Open data for a look; nothing but footers, and for CSV some blocks of lines, is read."""
    from statkit.sources import Source, as_source

    given = {name: value for name, value in beside.items() if value is not None}
    if isinstance(data, Source):
        if given:
            raise ValueError(
                "arrays beside a Source are not read: give columns' names, or make the Source with them"
            )
        return _of_source(data, owned=False)
    if _is_path(data):
        return _of_files(data, beside)
    _refuse_single_use(data)
    if hasattr(data, "get_fragments") or hasattr(data, "to_pyarrow_dataset"):
        from statkit.sources import DatasetSource

        dataset = data.to_pyarrow_dataset() if hasattr(data, "to_pyarrow_dataset") else data
        return _of_source(DatasetSource(dataset, **beside))
    return _of_source(as_source(data, **beside))


def _is_path(data: Any) -> bool:
    if isinstance(data, (str, os.PathLike)):
        return data != "-"
    return isinstance(data, (list, tuple)) and bool(data) and isinstance(data[0], (str, os.PathLike))


def _refuse_single_use(data: Any) -> None:
    """What can be read once must not be used up by a look at it."""
    package = type(data).__module__.partition(".")[0]
    if package in ("dask", "pyspark", "ray") or "dask" in package:
        raise TypeError(
            f"explain reads files and tables in memory, not a {package} {type(data).__name__}: give the files "
            "that it reads"
        )
    lazy = hasattr(data, "sink_parquet") or hasattr(data, "read_next_batch")
    shows = ("get_fragments", "to_pyarrow_dataset", "columns", "schema", "__array__")
    if (isinstance(data, str) and data == "-") or lazy or not any(hasattr(data, name) for name in shows):
        shown = "standard input" if isinstance(data, str) else f"a {type(data).__name__}"
        raise TypeError(
            f"explain looks at data before they are read, and {shown} can be read only once, or is no table: "
            "write it to a Parquet file and give the path"
        )


def _of_source(source: Any, owned: bool = True) -> Opened:
    parts = tuple(p.n_rows for p in source.partitions())
    return Opened(source, sum(parts), True, None, "in memory", parts, owned=owned)


def _of_files(data: Any, beside: dict[str, Any]) -> Opened:
    from statkit.sources.paths import find_files

    files = find_files(data)
    n_bytes = sum(f.stamp[0] for f in files.files)
    if files.kind == "csv":
        from statkit.regression.forecast.csv_sample import sample_csv

        return sample_csv(files, n_bytes, beside)
    if files.kind == "arrow":
        from statkit.sources import ArrowFileSource

        opened = _of_source(ArrowFileSource(data, **beside))
        opened.kind, opened.n_bytes = "Arrow", n_bytes
        return opened
    from statkit.sources import ParquetSource

    opened = _of_source(ParquetSource(data, **beside))
    opened.kind, opened.n_bytes = "Parquet", n_bytes
    opened.columns = parquet_columns(files, opened.source)
    return opened


#: Files whose footers are looked at for the size of columns.
_FOOTERS = 16


def parquet_columns(files: Any, source: Any) -> dict[str, dict]:
    """Size of each column from the footers: compressed and decoded bytes a row, and dictionary pages.

    Parameters
    ----------
    files : Files
    source : ParquetSource

    Returns
    -------
    columns : dict of str to dict
        ``bytes``, ``decoded`` (both a row), ``dictionary`` (whether every chunk has a dictionary page).
    """
    from statkit.sources.parquet import opened

    sizes: dict[str, dict] = {}
    rows = 0
    step = max(1, len(files.files) // _FOOTERS)
    for file in files.files[::step]:
        with opened(files.filesystem, file, file.path) as parquet:
            footer = parquet.metadata
            rows += footer.num_rows
            for group in range(footer.num_row_groups):
                chunks = footer.row_group(group)
                for j in range(chunks.num_columns):
                    chunk = chunks.column(j)
                    name = chunk.path_in_schema.partition(".")[0]
                    size = sizes.setdefault(name, {"bytes": 0, "decoded": 0, "dictionary": True})
                    size["bytes"] += chunk.total_compressed_size
                    size["decoded"] += chunk.total_uncompressed_size
                    size["dictionary"] &= bool(chunk.has_dictionary_page)
    for size in sizes.values():
        size["bytes"] /= max(rows, 1)
        size["decoded"] /= max(rows, 1)
    return {name: size for name, size in sizes.items() if name in source.schema}
