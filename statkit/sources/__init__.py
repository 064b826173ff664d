"""Where the rows are: arrays, frames, Parquet, CSV, Arrow, streams; read partition by partition.

A source knows nothing of statistics. It lists small partitions that say where rows are, and reads the columns of
one that it is asked for.
"""

from __future__ import annotations

from statkit._lazy import lazy_names

_WHERE = {
    "ArraySource": "arrays",
    "ArrowFileSource": "arrow_file",
    "FrameSource": "frames",
    "ParquetSource": "parquet",
    "Partition": "partition",
    "Rows": "rows",
    "Source": "source",
    "as_source": "open",
    "column_not_found": "source",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{file}" for name, file in _WHERE.items()})
