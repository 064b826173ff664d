"""A ``pyarrow.dataset.Dataset``, and with it Delta and Iceberg tables: row groups of its Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from statkit.sources.parquet import ParquetSource
from statkit.sources.paths import File, Files, local_stamp, remote_stamp
from statkit.sources.source import Source, beside_arrays, fresh_token
from statkit.sources.spooled import SpooledSource

__all__ = ["DatasetSource", "dataset_source"]


class DatasetSource(ParquetSource):
    """Rows of a data set of pyarrow whose fragments are Parquet files, read row group by row group.

    Columns that the partitioning of the data set adds are there too; a column that a file lacks is missing in
    its rows. `as_source` copies data sets of other formats, and filtered ones, to temporary Parquet files.

    Parameters
    ----------
    data : pyarrow.dataset.Dataset
    y, weight, offset, group : array of shape (n_rows, …) or None

    Raises
    ------
    ValueError
        If the data set is filtered or has fragments that are no Parquet files.

    Examples
    --------
    >>> import pyarrow.dataset
    >>> from statkit.datasets import flights_path
    >>> from statkit.sources import DatasetSource
    >>> DatasetSource(pyarrow.dataset.dataset(flights_path())).n_rows
    3000000
    """

    def __init__(self, data: Any, y: Any = None, weight: Any = None, offset: Any = None, group: Any = None):
        files = _parquet_files(data)
        if files is None:
            raise ValueError(
                "the data set is filtered or holds other files than Parquet: give it to as_source, which "
                "copies it once to temporary Parquet files"
            )
        self._data = files
        self._describe(files, dict(zip(data.schema.names, data.schema.types, strict=True)))
        assert self.n_rows is not None
        self._beside = beside_arrays(self.n_rows, y, weight, offset, group)
        if self._beside:
            self.token = fresh_token()


def dataset_source(dataset: Any, beside: dict[str, Any]) -> Source:
    """The data set where it is, or copied where that cannot be."""
    if _parquet_files(dataset) is None:
        return SpooledSource(_batches(dataset), "the data set", beside)
    return DatasetSource(dataset, **beside)


def _batches(dataset: Any) -> Iterator[Any]:
    import pyarrow as pa

    yield dataset.schema.empty_table()
    for batch in dataset.to_batches(use_threads=False):
        yield pa.Table.from_batches([batch])


def _parquet_files(dataset: Any) -> Files | None:
    """Files of the fragments with their columns and row groups; None if they cannot be read alone."""
    import pyarrow.dataset as ds
    from pyarrow import fs

    try:
        fragments = list(dataset.get_fragments())
    except ValueError:  # filtered
        return None
    files, filesystem = [], None
    for number, fragment in enumerate(fragments):
        if not isinstance(fragment, ds.ParquetFileFragment) or not fragment.path:
            return None
        own = None if isinstance(fragment.filesystem, fs.LocalFileSystem) else fragment.filesystem
        if number and own != filesystem:
            return None
        filesystem = own
        stamp = local_stamp(fragment.path) if own is None else remote_stamp(own.get_file_info(fragment.path))
        inside = set(fragment.physical_schema.names)
        # Delta states the range of ordinary columns in the same place.
        keys = ds.get_partition_keys(fragment.partition_expression)
        constants = tuple((n, v) for n, v in keys.items() if n not in inside and n in dataset.schema.names)
        units = tuple(group.id for group in fragment.row_groups)
        files.append(File(fragment.path, stamp, constants, units))
    return Files(tuple(files), "parquet", filesystem)
