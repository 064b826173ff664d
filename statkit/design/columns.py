"""Raw Arrow columns as numpy: plain arrays, or a small table of values and a code a row.

Whatever an expression does to a column with few distinct values is done to the table of these values, so that
``poly(distance, 2)`` of three million rows costs three million look-ups and five thousand evaluations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Coded", "Columns", "Instants", "all_finite", "as_rows", "bad_rows", "missing_rows", "table_field"]

# An integer column becomes Coded when its range within a block is below this, or below a share of its rows.
SMALL_RANGE = 4096


@dataclass(slots=True)
class Coded:
    """A column as ``values[codes]``.

    Parameters
    ----------
    values : ndarray of shape (L,) or (L, K)
        Table of values; it may hold values that no row has.
    codes : integer ndarray of shape (n,)
        Row of the table, −1 where the value is missing.
    complete : bool
        True when no code is −1.
    categorical : bool
        True for strings and for columns that arrived as categories.
    ordered : bool
        True when the order of the table is the order of the categories.
    """

    values: np.ndarray
    codes: np.ndarray
    complete: bool = True
    categorical: bool = False
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def of_rows(self) -> Coded:
        """The same numbers with NaN for those that no row has, which may be what nothing was fitted to."""
        there = np.zeros(len(self.values) + 1, dtype=bool)
        there[self.codes] = True  # the last for −1
        if there[:-1].all():
            return self
        return replace(self, values=np.where(there[:-1], self.values, np.nan))


@dataclass(slots=True)
class Instants:
    """A timestamp column in local time: integers since 1970 in ``unit``, and where it is missing."""

    values: np.ndarray
    unit: str
    missing: np.ndarray | None

    def __len__(self) -> int:
        return len(self.values)


def as_rows(value) -> np.ndarray:
    """One value a row: float64 with NaN where missing (other types stay as they are when complete)."""
    if not isinstance(value, Coded):
        return value
    table = value.values
    if not value.complete:
        if table.dtype.kind in "biuf":
            table = table.astype(np.float64)
            blank = np.full((1, *table.shape[1:]), np.nan)
        else:
            blank = np.full((1, *table.shape[1:]), None, dtype=object)
        table = np.concatenate([table, blank])
    elif len(table) == 0:
        return np.empty((len(value.codes), *table.shape[1:]), table.dtype)
    return np.take(table, value.codes, axis=0, mode="wrap")


def missing_rows(value) -> np.ndarray | None:
    """Mask of the rows without a value (null or NaN), None when there are none."""
    if isinstance(value, Instants):
        return value.missing
    if isinstance(value, Coded):
        table = value.values
        blank = _any_nan(table)
        if blank is None:
            if value.complete:
                return None
            mask = value.codes < 0
        else:
            mask = np.take(np.append(blank, True), value.codes, mode="wrap")
        return mask if mask.any() else None
    return _any_nan(value)


def bad_rows(value) -> np.ndarray | None:
    """Mask of the rows whose value is infinite, None when there are none."""
    if isinstance(value, Instants):
        return None
    table = value.values if isinstance(value, Coded) else value
    if all_finite(table):
        return None
    infinite = np.isinf(table)
    if infinite.ndim == 2:
        infinite = infinite.any(axis=1)
    if isinstance(value, Coded):
        infinite = np.take(np.append(infinite, False), value.codes, mode="wrap")
    return infinite if infinite.any() else None


def all_finite(array: np.ndarray) -> bool:
    """Whether no value is NaN or infinite; False also when finite values add up to more than a float holds."""
    # A finite sum has neither among its terms, and summing costs a fraction of a mask.
    return array.dtype.kind != "f" or bool(np.isfinite(np.add.reduce(array, axis=None)))


def _any_nan(array: np.ndarray) -> np.ndarray | None:
    if all_finite(array):
        return None
    mask = np.isnan(array)
    if mask.ndim == 2:
        mask = mask.any(axis=1)
    return mask if mask.any() else None


def table_field(kind) -> str:
    """What an Arrow type is to a design: number, boolean, text, categories, time, nothing or unsupported."""
    import pyarrow as pa

    t = pa.types
    if t.is_dictionary(kind):
        return "categories"
    if t.is_boolean(kind):
        return "boolean"
    if t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind):
        return "number"
    if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
        return "text"
    if t.is_timestamp(kind) or t.is_date(kind):
        return "time"
    if t.is_null(kind):
        return "nothing"
    return "unsupported"


class Columns:
    """The columns of one table, converted when first used and kept while a block is encoded."""

    def __init__(self, table, where: str = "the data"):
        self.table = table
        self.where = where
        self.n_rows = 0 if table is None else table.num_rows
        self._kept: dict = {}

    def __getitem__(self, name: str):
        """Coded, Instants or a plain array."""
        if self.table is None or name not in self.table.column_names:
            raise ValueError(f"column {name!r} is not in {self.where}")
        return self.once(name, lambda: _convert(self.table.column(name), name))

    def once(self, key, make):
        """What ``make()`` gave when this key was first asked for."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def _convert(column, name: str):
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    what = table_field(kind)
    if what in ("text", "categories"):
        return _categories(column, what == "categories")
    if what == "nothing":
        return np.full(len(column), np.nan)
    if what == "time":
        return _instants(column)
    if what == "boolean":
        codes = pc.fill_null(column.cast(pa.int8()), -1) if column.null_count else column.cast(pa.int8())
        return Coded(np.array([False, True]), _numpy(codes), column.null_count == 0)
    if what == "unsupported":
        raise ValueError(f"column {name!r} has type {kind}, which a model cannot use")
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if not pa.types.is_integer(column.type):
        values = _numpy(column)
        return values if values.dtype == np.float64 else values.astype(np.float64)
    return _integers(column)


def _numpy(column) -> np.ndarray:
    import pyarrow as pa

    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if len(chunks) == 1:
        return chunks[0].to_numpy(zero_copy_only=False)
    if not chunks:
        return np.empty(0, column.type.to_pandas_dtype())
    return np.concatenate([c.to_numpy(zero_copy_only=False) for c in chunks])


def _integers(column):
    import pyarrow.compute as pc

    missing = None
    if column.null_count:
        missing = _numpy(pc.is_null(column))
        if missing.all():
            return np.full(len(column), np.nan)
        column = pc.fill_null(column, pc.min(column))
    values = _numpy(column)
    if len(values) == 0:
        return Coded(values.astype(np.int64), np.empty(0, np.intp))
    low, high = int(values.min()), int(values.max())
    if high - low > max(SMALL_RANGE, len(values) // 4):
        if missing is not None:
            values = np.where(missing, np.nan, values.astype(np.float64))
        return values
    codes = np.subtract(values, values.dtype.type(low), dtype=_wide(values.dtype)).astype(np.intp, copy=False)
    if missing is not None:
        codes[missing] = -1
    table = np.arange(low, high + 1, dtype=np.uint64 if high >= 2**63 else np.int64)
    return Coded(table, codes, missing is None)


def _wide(dtype: np.dtype) -> type:
    # Differences within the range that was checked above fit; the dtype must only not wrap around.
    return np.uint64 if dtype == np.uint64 else np.int64


def _categories(column, ordered: bool) -> Coded:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not ordered:
        if pa.types.is_string_view(column.type):
            column = column.cast(pa.large_string())
        column = pc.dictionary_encode(column)
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks > 1:
            column = column.unify_dictionaries()
        chunks = column.chunks
    else:
        chunks = [column]
    if not chunks:
        return Coded(np.empty(0, object), np.empty(0, np.int32), True, True, ordered)
    # ChunkedArray.to_numpy would return a level for a null: the indices are read, with −1 for nulls.
    indices = [_numpy(pc.fill_null(c.indices, -1) if c.null_count else c.indices) for c in chunks]
    codes = indices[0] if len(indices) == 1 else np.concatenate(indices)
    values = chunks[0].dictionary.to_pylist()
    complete = column.null_count == 0
    if codes.dtype.kind == "u":
        codes = codes.astype(np.int64)
    if None in values:
        # A null inside the dictionary is missing as well.
        present = np.array([v is not None for v in values])
        target = np.where(present, np.cumsum(present) - 1, -1)
        codes = np.take(np.append(target, -1), codes, mode="wrap")
        values = [v for v in values if v is not None]
        complete = False
    return Coded(_table(values), codes, complete, True, ordered)


def _table(values: list) -> np.ndarray:
    """Category values as an array: numbers and booleans as such, everything else as objects."""
    if values and all(isinstance(v, bool) for v in values):
        return np.array(values, dtype=bool)
    if values and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return np.array(values)
    table = np.empty(len(values), dtype=object)
    table[:] = values
    return table


def _instants(column) -> Instants:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_date(kind):
        column, unit = column.cast(pa.date32()).cast(pa.int32()), "D"
    else:
        unit = kind.unit
        if kind.tz is not None:
            column = pc.local_timestamp(column)
        column = column.cast(pa.int64())
    missing = None
    if column.null_count:
        missing = _numpy(pc.is_null(column))
        column = pc.fill_null(column, 0)
    return Instants(_numpy(column), unit, missing)
