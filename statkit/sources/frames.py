"""Frames in memory: pandas, polars, Arrow. Columns become Arrow when they are first asked for."""

from __future__ import annotations

import os
import threading

from statkit.sources.partition import slices
from statkit.sources.rows import Rows
from statkit.sources.source import Beside, Source, TemporaryFolder, column_not_found, fresh_token, row_range

__all__ = ["FrameSource"]


class FrameSource(Source):
    """A frame whose columns are converted once, without copying numbers, and then sliced.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table or pyarrow.RecordBatch
    beside : dict of ndarray
    rows_per_partition : int

    Raises
    ------
    TypeError
        If column names are not all strings.
    ValueError
        If a name occurs twice, or a column holds values of several types.
    """

    def __init__(self, frame, beside: dict, rows_per_partition: int = 65_536):
        self._columns = _columns_of(frame)
        self.n_rows = len(frame) if not hasattr(frame, "num_rows") else frame.num_rows
        self._beside = Beside(beside, self.n_rows)
        self._frame = frame
        self._arrow: dict = {}
        self._lock = threading.Lock()
        self.schema = {name: self._type(name) for name in self._columns}
        self.token = fresh_token()
        self._partitions = slices(self.n_rows, rows_per_partition)

    def _type(self, name):
        kind = _cheap_type(self._frame, name)
        return self._column(name).type if kind is None else kind

    def _column(self, name):
        with self._lock:
            if name not in self._arrow:
                self._arrow[name] = _as_arrow(self._frame, name)
            return self._arrow[name]

    def read(self, partition, columns=()):
        import pyarrow as pa

        for name in columns:
            if name not in self.schema:
                raise column_not_found(name, self.schema)
        a = partition.first_row
        parts = [self._column(name).slice(a, partition.n_rows) for name in columns]
        table = pa.Table.from_arrays(parts, names=list(columns))
        return Rows(a, partition.n_rows, table, None, self._beside.rows(partition), row_range(partition))

    def portable(self):
        return _MappedFrame(self)


class _MappedFrame(Source):
    """A :class:`FrameSource` spooled to an Arrow file, which every process maps into memory."""

    def __init__(self, source: FrameSource):
        import pyarrow as pa

        self.schema, self.n_rows, self.token = source.schema, source.n_rows, source.token
        self._partitions = source._partitions
        self._folder = TemporaryFolder()
        self._beside = source._beside.portable(self._folder)
        self._path = os.path.join(self._folder.path, "frame.arrow")
        table = pa.table({name: source._column(name) for name in self.schema}).unify_dictionaries()
        with pa.OSFile(self._path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        self._table = None

    def __getstate__(self):
        return {**vars(self), "_table": None}

    def read(self, partition, columns=()):
        import pyarrow as pa

        if self._table is None:
            self._table = pa.ipc.open_file(pa.memory_map(self._path)).read_all()
        for name in columns:
            if name not in self.schema:
                raise column_not_found(name, self.schema)
        table = self._table.select(list(columns)).slice(partition.first_row, partition.n_rows)
        beside = self._beside.rows(partition)
        return Rows(partition.first_row, partition.n_rows, table, None, beside, row_range(partition))

    def close(self):
        self._table = None
        self._folder.close()


def _columns_of(frame) -> list[str]:
    names = list(frame.schema.names if hasattr(frame, "num_rows") else frame.columns)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"column names must be strings, {name!r} is {type(name).__name__}: rename the columns"
            )
    twice = (
        [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if len(set(names)) < len(names)
        else []
    )
    if twice:
        raise ValueError(f"the data have more than one column named {twice[0]!r}: rename them")
    return names


def _cheap_type(frame, name):
    """Arrow type of a column if it can be told without converting the column."""
    import pyarrow as pa

    if hasattr(frame, "num_rows"):
        kind = frame.schema.field(name).type
        return None if pa.types.is_string_view(kind) else kind
    dtype = getattr(frame[name], "dtype", None)
    if dtype is not None and type(dtype).__module__.startswith("numpy") and dtype.kind in "biuf":
        return pa.from_numpy_dtype(dtype)
    return None


def _as_arrow(frame, name):
    import pyarrow as pa

    if hasattr(frame, "num_rows"):
        column = frame.column(name)
    elif type(frame).__module__.split(".")[0] == "polars":
        column = frame.get_column(name).to_arrow()
    else:
        try:
            column = pa.array(frame[name], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise ValueError(
                f"column {name!r} holds values of several types or an unknown type: {error}"
            ) from None
    kind = column.type
    if pa.types.is_string_view(kind):
        column = column.cast(pa.large_string())
    elif pa.types.is_floating(kind) and hasattr(frame, "get_column"):
        # polars tells NaN from missing; a model does not.
        import pyarrow.compute as pc

        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if isinstance(column, pa.ChunkedArray) and column.num_chunks == 1:
        column = column.chunk(0)
    return column
