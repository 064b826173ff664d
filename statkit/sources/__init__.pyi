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
from statkit.sources.source import close_made as close_made
from statkit.sources.spark import SparkSource as SparkSource
from statkit.sources.spooled import SpooledSource as SpooledSource

__all__: list[str]
