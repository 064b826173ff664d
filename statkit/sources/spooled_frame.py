"""A frame in memory written once to an Arrow file, which other processes map.

Not to Parquet: an Arrow file keeps every type as it is (categories that are numbers, their order, unused
ones), and mapping it costs a worker neither time nor memory of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statkit.sources.arrow_file import ArrowFileSource
from statkit.sources.frame import FrameSource, check_readable, is_opaque, plain_text
from statkit.sources.mapped_array import map_arrays
from statkit.sources.paths import File, local_stamp
from statkit.sources.spool import Spool

__all__ = ["SpooledFrameSource"]


class SpooledFrameSource(ArrowFileSource):
    """The rows of a `FrameSource` in a temporary file, removed when this source is closed or collected.

    Parameters
    ----------
    source : FrameSource
    """

    _spool: Spool | None

    def __init__(self, source: FrameSource):
        import pyarrow as pa

        self._step, self.schema, self.token = source._step, source.schema, source.token
        readable = {name: kind for name, kind in source.schema.items() if not is_opaque(kind)}
        self._spool = Spool()
        with self._spool.filling():
            path = self._spool.path("frame.arrow")
            schema = pa.schema(list(readable.items()))
            with pa.ipc.new_file(path, schema) as writer:
                for partition in source.partitions():
                    table = source.read(partition, list(readable)).table
                    writer.write_table(plain_text(table, readable).cast(schema))
            self._open(File(path, local_stamp(path)))
            self._beside = map_arrays(source._beside)
        self.n_rows = source.n_rows

    def _take(self, rows: slice | np.ndarray, columns: Sequence[str]) -> tuple[Any, Any]:
        self._check_columns(columns)
        for name in columns:
            check_readable(name, self.schema[name])
        return super()._take(rows, columns)

    def _where(self, first: int, n: int) -> str:
        return super(ArrowFileSource, self)._where(first, n)

    def portable(self) -> SpooledFrameSource:
        return self

    def close(self) -> None:
        super().close()
        if self._spool is not None:
            self._spool.close()

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"_spool": None}
