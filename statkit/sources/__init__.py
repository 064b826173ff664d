"""Where the rows are: arrays, data frames, files, streams, clusters; as partitions of numbered raw rows.

A source knows nothing of statistics. It lists small picklable partitions, and a worker reads one by itself.
"""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.sources.array import ArraySource as ArraySource
    from statkit.sources.arrow_file import ArrowFileSource as ArrowFileSource
    from statkit.sources.csv import CsvSource as CsvSource
    from statkit.sources.dask import DaskSource as DaskSource
    from statkit.sources.dataset import DatasetSource as DatasetSource
    from statkit.sources.dispatch import as_source as as_source
    from statkit.sources.frame import FrameSource as FrameSource
    from statkit.sources.names import column_not_found as column_not_found
    from statkit.sources.parquet import ParquetSource as ParquetSource
    from statkit.sources.partition import Partition as Partition
    from statkit.sources.ray import RaySource as RaySource
    from statkit.sources.rows import Rows as Rows
    from statkit.sources.source import Source as Source
    from statkit.sources.spark import SparkSource as SparkSource
    from statkit.sources.spooled import SpooledSource as SpooledSource

__all__ = [
    "ArraySource",
    "ArrowFileSource",
    "CsvSource",
    "DaskSource",
    "DatasetSource",
    "FrameSource",
    "ParquetSource",
    "Partition",
    "RaySource",
    "Rows",
    "Source",
    "SparkSource",
    "SpooledSource",
    "as_source",
    "column_not_found",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ArraySource": "statkit.sources.array",
        "ArrowFileSource": "statkit.sources.arrow_file",
        "CsvSource": "statkit.sources.csv",
        "DaskSource": "statkit.sources.dask",
        "DatasetSource": "statkit.sources.dataset",
        "FrameSource": "statkit.sources.frame",
        "ParquetSource": "statkit.sources.parquet",
        "Partition": "statkit.sources.partition",
        "RaySource": "statkit.sources.ray",
        "Rows": "statkit.sources.rows",
        "Source": "statkit.sources.source",
        "SparkSource": "statkit.sources.spark",
        "SpooledSource": "statkit.sources.spooled",
        "as_source": "statkit.sources.dispatch",
        "column_not_found": "statkit.sources.names",
    },
)
