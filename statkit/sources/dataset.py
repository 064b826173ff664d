"""``pyarrow.dataset`` objects: Parquet fragments are read by row group, all others are spooled."""

from __future__ import annotations

from statkit.sources.parquet import ParquetSource
from statkit.sources.spool import spool

__all__ = ["open_dataset"]


def open_dataset(dataset, beside=None):
    """A source on the rows of a dataset, with the columns that its folders' names stand for."""
    import pyarrow.dataset as ds

    fragments = list(dataset.get_fragments())
    parquet = bool(fragments) and all(isinstance(f, ds.ParquetFileFragment) for f in fragments)
    plain = parquet and all(not _constants(f) and _whole(f) for f in fragments)
    if plain and set(dataset.schema.names) == set(fragments[0].physical_schema.names):
        filesystem = dataset.filesystem
        if type(filesystem).__name__ == "LocalFileSystem":
            filesystem = None
        return ParquetSource([f.path for f in fragments], filesystem, beside)
    return spool(dataset.to_batches(), dataset.schema, beside, name="dataset")


def _constants(fragment) -> dict:
    from pyarrow.dataset import get_partition_keys

    return get_partition_keys(fragment.partition_expression)


def _whole(fragment) -> bool:
    """Whether a fragment is a whole file rather than some row groups of one."""
    return fragment.num_row_groups == fragment.metadata.num_row_groups
