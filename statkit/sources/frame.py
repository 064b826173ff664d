"""A table in memory: pandas, polars or Arrow; columns become Arrow when they are read, a slice at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statkit.sources.conform import is_text, take_columns
from statkit.sources.memory import MemorySource
from statkit.sources.names import check_distinct
from statkit.sources.source import ROWS_PER_PARTITION, Source, beside_arrays, fresh_token

__all__ = ["FrameSource", "check_readable", "is_opaque", "plain_text", "table_adapter"]


class FrameSource(MemorySource):
    """Rows of a pandas, polars or Arrow table.

    NaN in a pandas column of floats becomes null. Categories keep their order; those that are intervals
    (``pandas.cut``) become text. Text in a polars ``Categorical`` is text; an ``Enum`` has an order. A column
    of Python objects without a common type can be in the frame but not be read.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table or pyarrow.RecordBatch
        Column names must be text. If none is (as in ``DataFrame(array)``), they are written as text.
    y, weight, offset, group : array of shape (n_rows, …) or None
    rows_per_partition : int, default=65_536

    Raises
    ------
    TypeError
        If some names of columns are text and others are not.
    ValueError
        If two columns share a name, or an array beside the frame has another length.

    Examples
    --------
    >>> import pandas as pd
    >>> from statkit.sources import FrameSource
    >>> source = FrameSource(pd.DataFrame({"a": [1, 2], "b": [0.5, None]}))
    >>> source.read(source.partitions()[0], ["b"]).table["b"].to_pylist()
    [0.5, None]
    """

    def __init__(
        self,
        frame: Any,
        y: Any = None,
        weight: Any = None,
        offset: Any = None,
        group: Any = None,
        *,
        rows_per_partition: int = ROWS_PER_PARTITION,
    ):
        self._check_step(rows_per_partition)
        adapter = table_adapter(frame)
        if adapter is None:
            raise TypeError(f"a pandas, polars or Arrow table is needed, not {type(frame).__name__}")
        self._adapter = adapter
        self.n_rows = adapter.n_rows
        self.schema = adapter.schema
        self.token = fresh_token()
        self._beside = beside_arrays(self.n_rows, y, weight, offset, group)

    def portable(self) -> Source:
        from statkit.sources.spooled_frame import SpooledFrameSource

        return SpooledFrameSource(self)

    def _take(self, rows: slice | np.ndarray, columns: Sequence[str]) -> tuple[Any, Any]:
        self._check_columns(columns)
        where = self._where(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else "the data"
        table = self._adapter.take(rows, columns, where)
        return take_columns(table, columns, self.schema, where), None


def table_adapter(frame: Any) -> _PandasTable | _PolarsTable | _ArrowTable | None:
    """What reads slices of this kind of frame as Arrow; None for what is no table in memory."""
    root, kind = type(frame).__module__.partition(".")[0], type(frame).__name__
    for base in type(frame).__mro__:  # subclasses of DataFrame live in other packages
        if base.__module__.partition(".")[0] in ("pandas", "polars", "pyarrow"):
            root, kind = base.__module__.partition(".")[0], base.__name__
            break
    if root == "pandas" and kind == "DataFrame":
        return _PandasTable(frame)
    if root == "polars" and kind == "DataFrame":
        return _PolarsTable(frame)
    if root == "pyarrow" and kind in ("Table", "RecordBatch"):
        return _ArrowTable(frame)
    return None


class _ArrowTable:
    def __init__(self, table: Any):
        import pyarrow as pa

        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        check_distinct(table.column_names, "the table")
        # One dictionary for all chunks, so that every slice has the same categories in the same order.
        self._table = table.unify_dictionaries()
        self.n_rows = table.num_rows
        self.schema = dict(zip(table.column_names, table.schema.types, strict=True))

    def take(self, rows: slice | np.ndarray, columns: Sequence[str], where: str) -> Any:
        table = self._table.select(list(columns))
        return (
            table.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else table.take(rows)
        )


class _PolarsTable:
    def __init__(self, frame: Any):
        import polars as pl
        import pyarrow as pa

        self._frame = frame
        self.n_rows = frame.height
        self.schema = {}
        for name, dtype in frame.schema.items():
            if dtype == pl.Object:
                self.schema[name] = _opaque("Python objects", "polars")
                continue
            kind = frame.select(name).head(0).to_arrow().schema.types[0]
            # The order of a Categorical is that in which its values were first met, in this frame or another.
            self.schema[name] = pa.large_string() if dtype == pl.Categorical else kind

    def take(self, rows: slice | np.ndarray, columns: Sequence[str], where: str) -> Any:
        for name in columns:
            check_readable(name, self.schema[name])
        frame = self._frame.select(list(columns))
        if isinstance(rows, slice):
            return frame.slice(rows.start, rows.stop - rows.start).to_arrow()
        return frame[rows].to_arrow()


class _PandasTable:
    def __init__(self, frame: Any):
        self._frame = frame
        self.n_rows = len(frame)
        names = _text_names(list(frame.columns))
        self._position = {name: j for j, name in enumerate(names)}
        self.schema = {name: _pandas_type(frame.iloc[:, j]) for name, j in self._position.items()}

    def take(self, rows: slice | np.ndarray, columns: Sequence[str], where: str) -> Any:
        import pyarrow as pa

        arrays = []
        for name in columns:
            kind = self.schema[name]
            check_readable(name, kind)
            series = self._frame.iloc[:, self._position[name]].iloc[rows]
            try:
                arrays.append(_from_pandas(series, kind))
            except (pa.ArrowException, TypeError, ValueError) as error:
                raise ValueError(f"column {name!r} of {where} cannot be read as {kind}: {error}") from None
        return pa.table(arrays, names=list(columns))


def _text_names(names: list) -> list[str]:
    """Names as text: as they are, or each written out when none of them is text."""
    other = next((name for name in names if not isinstance(name, str)), None)
    if other is not None:
        if any(isinstance(name, str) for name in names):
            raise TypeError(
                f"column names must be text: {other!r} is {type(other).__name__}; "
                "rename with frame.columns = frame.columns.astype(str)"
            )
        names = [str(name) for name in names]
    check_distinct(names, "the frame")
    return names


def _pandas_type(series: Any) -> Any:
    import pyarrow as pa

    if series.dtype.kind == "O" and series.dtype.name == "object":
        # Only its values say what a column of objects is: a slice of them could be all missing.
        try:
            return pa.array(series, from_pandas=True).type
        except (pa.ArrowException, OverflowError):
            kinds = sorted({type(v).__name__ for v in series.dropna().iloc[:10_000]})
            return _opaque(f"objects of type {', '.join(kinds)}", "pandas")
    try:
        return _from_pandas(series.iloc[:0], None).type
    except (pa.ArrowException, TypeError):
        return _opaque(str(series.dtype), "pandas")


def _from_pandas(series: Any, kind: Any) -> Any:
    import pyarrow as pa

    name = series.dtype.name
    if name.startswith("Sparse"):
        return pa.array(np.asarray(series), type=kind, from_pandas=True)
    if name == "category":
        if series.cat.categories.dtype.name.startswith("interval"):
            series = series.cat.rename_categories(str)
        return pa.array(series)
    return pa.array(series, type=kind, from_pandas=True)


def _opaque(what: str, vendor: str) -> Any:
    """The type of a column that Arrow cannot hold: it can be in a frame, unused."""
    import pyarrow as pa

    return pa.opaque(pa.null(), what, vendor)


def is_opaque(kind: Any) -> bool:
    """Whether a type is that of a column that Arrow cannot hold."""
    import pyarrow as pa

    return isinstance(kind, pa.OpaqueType) and pa.types.is_null(kind.storage_type)


def check_readable(name: str, kind: Any) -> None:
    """Refuse a column that Arrow cannot hold."""
    if is_opaque(kind):
        raise ValueError(
            f"column {name!r} holds {kind.type_name}, which have no common type: convert it to numbers, "
            "text, categories or times"
        )


def plain_text(table: Any, schema: dict) -> Any:
    """Text as text where it comes as a dictionary, for what keeps columns under their schema's types."""
    import pyarrow as pa

    arrays = [
        c.cast(schema[n]) if is_text(schema[n]) and c.type != schema[n] else c
        for n, c in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.table(arrays, names=table.column_names)
