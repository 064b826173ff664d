"""From whatever holds a user's rows to a source."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from statkit.sources.array import ArraySource, is_labelled_array
from statkit.sources.source import ROWS_PER_PARTITION, Source

__all__ = ["as_source"]

_ACCEPTED = (
    "a two-dimensional array, a scipy sparse matrix, a pandas or polars DataFrame, a polars LazyFrame, "
    "a pyarrow Table, RecordBatch, RecordBatchReader or Dataset, a path, URL, folder, glob or list of paths "
    "(Parquet, CSV, Arrow), an open file, an object with __arrow_c_stream__ (a DuckDB relation, an ibis "
    "table), an iterator of frames, a Dask or Spark DataFrame, a Ray Dataset, or a statkit Source"
)


def as_source(
    X: Any,
    y: Any = None,
    weight: Any = None,
    offset: Any = None,
    group: Any = None,
    *,
    rows_per_partition: int = ROWS_PER_PARTITION,
) -> Source:
    """Return a source of the rows of ``X``, with arrays beside them.

    Parameters
    ----------
    X : object
        A matrix (dense, sparse, or an xarray array, whose labels are not read), a pandas, polars or Arrow
        table, a path, URL, folder, glob or list of paths (Parquet, CSV, Arrow), ``"-"`` for standard input, an
        open file, a ``pyarrow.dataset.Dataset``, or a stream: anything with ``__arrow_c_stream__``, or an
        iterator of frames. Streams are copied once to temporary Parquet files. A Dask or Spark DataFrame or a
        Ray Dataset stays where it is for an engine of its cluster. A `Source` is returned as it is.
    y, weight, offset, group : array of shape (n_rows, …) or None
        Arrays in the order of the rows.
    rows_per_partition : int, default=65_536
        Rows of a partition of data in memory. Files have their own partitions.

    Returns
    -------
    source : Source
        To be closed by the caller.

    Raises
    ------
    TypeError
        If ``X`` is nothing of these.
    ValueError
        If an array beside the data has another length, or a file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sources import as_source
    >>> source = as_source(np.ones((100_000, 2)), y=np.zeros(100_000))
    >>> [p.n_rows for p in source.partitions()]
    [65536, 34464]
    """
    if isinstance(X, np.ndarray) or hasattr(X, "tocsr") or is_labelled_array(X):
        return ArraySource(X, y, weight, offset, group, rows_per_partition=rows_per_partition)
    beside = {"y": y, "weight": weight, "offset": offset, "group": group}
    if isinstance(X, Source):
        given = [name for name, values in beside.items() if values is not None]
        if given:
            raise ValueError(f"{given[0]} beside a Source is not read: make the Source with it")
        return X
    if isinstance(X, str | os.PathLike) or _is_open_file(X):
        return _from_path(X, beside, rows_per_partition)
    if isinstance(X, list | tuple):
        if X and isinstance(X[0], str | os.PathLike):
            return _from_path(X, beside, rows_per_partition)
        if not (X and hasattr(X[0], "columns")):
            return ArraySource(X, rows_per_partition=rows_per_partition, **beside)
        from statkit.sources.stream import spool_stream

        return spool_stream(iter(X), beside)
    return _from_object(X, beside, rows_per_partition)


def _is_open_file(X: Any) -> bool:
    return hasattr(X, "read") and hasattr(X, "readable")  # pandas' reader of chunks has the first alone


def _from_path(X: Any, beside: dict[str, Any], rows_per_partition: int) -> Source:
    from statkit.sources.paths import find_files

    if _is_open_file(X) or X == "-":
        from statkit.sources.open_file import spool_open_file

        return spool_open_file(X, beside)
    files = find_files(X)
    if files.kind == "csv":
        from statkit.sources.csv import CsvSource

        return CsvSource(X, **beside)
    if files.kind == "arrow":
        from statkit.sources.arrow_file import arrow_source

        return arrow_source(X, beside, rows_per_partition)
    from statkit.sources.parquet import ParquetSource

    return ParquetSource(X, **beside)


def _from_object(X: Any, beside: dict[str, Any], rows_per_partition: int) -> Source:
    package = {base.__module__.partition(".")[0] for base in type(X).__mro__}
    if "dask" in package and hasattr(X, "to_delayed") and getattr(X, "ndim", 0) == 2:
        from statkit.sources.dask import DaskSource

        return DaskSource(X, **beside)
    if "pyspark" in package and hasattr(X, "mapInArrow"):
        from statkit.sources.spark import SparkSource

        return SparkSource(X, **beside)
    if "ray" in package and hasattr(X, "to_arrow_refs"):
        from statkit.sources.ray import RaySource

        return RaySource(X, **beside)
    if package & {"pandas", "polars", "pyarrow"}:
        from statkit.sources.frame import FrameSource, table_adapter

        if hasattr(X, "sink_parquet"):
            from statkit.sources.stream import spool_lazy_frame

            return spool_lazy_frame(X, beside)
        if hasattr(X, "get_fragments"):
            from statkit.sources.dataset import dataset_source

            return dataset_source(X, beside)
        if table_adapter(X) is not None:
            return FrameSource(X, rows_per_partition=rows_per_partition, **beside)
    if hasattr(X, "to_pyarrow_dataset"):  # deltalake.DeltaTable
        from statkit.sources.dataset import dataset_source

        return dataset_source(X.to_pyarrow_dataset(), beside)
    if getattr(X, "ndim", 2) == 2:  # a Series has a stream too
        from statkit.sources.stream import is_stream, spool_stream

        if is_stream(X):
            return spool_stream(X, beside)
        if hasattr(X, "__array__"):
            return ArraySource(X, rows_per_partition=rows_per_partition, **beside)
    raise TypeError(f"{type(X).__name__} is no source of rows; statkit reads {_ACCEPTED}")
