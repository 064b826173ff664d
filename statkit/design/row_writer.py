"""Writing the rows of one block: dense columns, and integer codes for categorical factors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import cast

import numpy as np

from statkit.design._kernels import side_by_side
from statkit.design.block import CodePart
from statkit.design.coding import Categorical, CodedGroup, Contrast, DenseGroup, Numeric
from statkit.design.columns import Coded, Instants, as_rows
from statkit.design.expressions import column_names
from statkit.design.grow import UnknownLevel
from statkit.design.levels import UNKNOWN, level_keys

__all__ = ["RowWriter"]


class RowWriter:
    """Writes the values of factors into columns.

    Parameters
    ----------
    factors : dict of str to Numeric or Categorical
    values : dict of str to value
        Values of every factor, n rows each.
    n : int
    where : callable
        Row → its place in words, for messages.
    """

    def __init__(
        self,
        factors: dict[str, Numeric | Categorical],
        values: dict[str, Coded | Instants | np.ndarray],
        n: int,
        where: Callable[[int], str],
    ):
        self._factors = factors
        self._values = values
        self._n = n
        self._where = where
        self._cells_of: dict[tuple[str, bool, bool], np.ndarray] = {}

    def part(self, group: CodedGroup) -> CodePart:
        """Codes and multiplier of one coded group."""
        alone = len(group.factors) == 1 and not group.multipliers
        codes = self._cells(*group.factors[0], alone=alone)
        stride = 1
        for before, (text, reduced) in itertools.pairwise(group.factors):
            stride *= len(self._categorical(before[0]).kept(before[1]))
            cells = self._cells(text, reduced, alone=False)
            below = (codes < 0) | (cells < 0)
            codes = np.where(below, -1, codes.astype(np.int64) + stride * cells.astype(np.int64))
        multiplier = None
        for text, reduced, column in group.multipliers:
            picked = self._column(self._numeric(text, reduced), column)
            multiplier = picked if multiplier is None else multiplier * picked
        if group.scale != 1:
            multiplier = np.full(self._n, group.scale) if multiplier is None else multiplier * group.scale
        return CodePart(codes.astype(_code_type(group.width), copy=False), group.width, multiplier)

    def dense(self, groups: tuple[DenseGroup, ...]) -> np.ndarray | None:
        """All dense columns in C order, None when there are none."""
        width = sum(group.width for group in groups)
        if width == 0:
            return None
        columns: list[np.ndarray] = []
        for group in groups:
            found = [self._numeric(text, reduced) for text, reduced in group.factors]
            if len(found) == 1 and group.scale == 1:
                if len(groups) == 1 and isinstance(found[0], Coded):
                    return _table_rows(found[0])
                columns += _split(as_rows(found[0]))
                continue
            product = [np.full(self._n, group.scale)]
            for value in found:
                product = [a * b for b in _split(as_rows(value)) for a in product]
            columns += product
        return _side_by_side(columns, self._n)

    def _categorical(self, text: str) -> Categorical:
        return cast(Categorical, self._factors[text])

    def _cells(self, text: str, reduced: bool, *, alone: bool) -> np.ndarray:
        """Indicator column of every row: −1 for the reference level and for missing values.

        Levels set aside have no column where the factor stands alone.
        """
        key = (text, reduced, alone)
        if key not in self._cells_of:
            factor, value = self._categorical(text), cast(Coded, self._values[text])
            level = factor.row_lookup(value.values)
            kept = [i for i in factor.kept(reduced) if not (alone and i in factor.removed)]
            column = np.full(len(factor.levels.keys) + 1, -1)
            column[kept] = np.arange(len(kept))
            column = column.astype(_code_type(len(kept)))
            lookup = np.where(level == UNKNOWN, column.dtype.type(UNKNOWN), column[level])
            codes = np.take(lookup, value.codes, mode="wrap")
            if (level == UNKNOWN).any() and len(codes) and codes.min() == UNKNOWN:
                self._unknown_level(factor, value, codes == UNKNOWN)
            self._cells_of[key] = codes
        return self._cells_of[key]

    def _unknown_level(self, factor: Categorical, value: Coded, unknown: np.ndarray) -> None:
        at = int(np.flatnonzero(unknown)[0])
        level = str(value.values[value.codes[at]])
        names = ", ".join(repr(c) for c in column_names(factor.text))
        why = "is not in the formula" if factor.given else "did not occur in the data of the fit"
        occurring = np.unique(value.codes[unknown])
        raise UnknownLevel(
            f"level {level!r} of {factor.shown} (column {names}), {self._where(at)}, {why}",
            factor.text, level_keys(value.values[occurring]),
        )  # fmt: skip

    def _numeric(self, text: str, reduced: bool):
        """Columns of a factor that is not written as codes: rows, or Coded with a table of columns."""
        factor = self._factors[text]
        if isinstance(factor, Numeric):
            columns = cast(Coded | np.ndarray, self._values[text])
            if factor.fields is None or not reduced:
                return columns
            if isinstance(columns, Coded):
                return Coded(columns.values[:, 1:], columns.codes, columns.complete)
            return columns[:, 1:]
        value = cast(Coded, self._values[text])
        level = factor.row_lookup(value.values)
        unknown = np.take(level == UNKNOWN, value.codes, mode="wrap")
        if unknown.any():
            self._unknown_level(factor, value, unknown)
        matrix = cast(Contrast, factor.contrast(reduced)).matrix
        matrix = np.vstack([matrix, np.zeros(matrix.shape[1])])
        return Coded(matrix[np.where(level == UNKNOWN, -1, level)], value.codes)

    def _column(self, value, column: int) -> np.ndarray:
        table = value.values if isinstance(value, Coded) else value
        picked = (table if table.ndim == 1 else table[:, column]).astype(np.float64)
        return as_rows(Coded(picked, value.codes, value.complete)) if isinstance(value, Coded) else picked


def _side_by_side(columns: list[np.ndarray], n: int) -> np.ndarray:
    dense = np.empty((n, len(columns)))
    if n:
        columns = [np.asarray(c, np.float64) for c in columns]
        addresses = np.array([c.ctypes.data for c in columns], np.uintp)
        strides = np.array([c.strides[0] // c.itemsize for c in columns])
        side_by_side(addresses, strides, dense)
    return dense


def _split(array: np.ndarray) -> list[np.ndarray]:
    return [array] if array.ndim == 1 else [array[:, k] for k in range(array.shape[1])]


def _table_rows(value: Coded) -> np.ndarray:
    table = value.values if value.values.ndim == 2 else value.values[:, None]
    return as_rows(Coded(np.ascontiguousarray(table, dtype=np.float64), value.codes, value.complete))


def _code_type(width: int) -> type:
    return np.int8 if width < 2**7 else np.int16 if width < 2**15 else np.int32
