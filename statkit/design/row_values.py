"""Values that a block needs of one table: factors, response and roles, and the rows that lack one of them."""

from __future__ import annotations

import numpy as np

from statkit.design.columns import Coded, Instants, all_finite, as_rows, bad_rows, missing_rows
from statkit.design.expressions import Evaluator
from statkit.design.levels import as_coded
from statkit.design.roles import NO_GROUP, crossed, group_numbers, response_values

__all__ = ["RowValues", "finite", "pick_rows", "shown"]


class RowValues:
    """The values of one table's expressions, and which rows lack one of them."""

    def __init__(self, design, evaluator: Evaluator, rows, *, fitting: bool):
        beside = rows.beside
        self.missing: np.ndarray | None = None
        #: Expressions whose values were seen to be finite in every row.
        self.finite: set[str] = set()
        self._design, self._rows = design, rows
        self._n = rows.n_rows
        self._refuse = fitting and design.na_action == "raise"
        self.values = {}
        for text, spec in design._specs.items():
            value = self._checked(text, evaluator.value(text))
            self.values[text] = as_coded(value) if spec.categorical else value
        self.offset: np.ndarray | None = None
        for text in design._offsets:
            self._add_offset(as_rows(self._checked(text, evaluator.value(text))))
        if beside.get("offset") is not None:
            self._add_offset(self._array("offset", beside["offset"]))
        if not fitting:
            return
        spec = design._response
        self.response = [
            self._checked(t, evaluator.value(t)) for t in (spec.texts if spec is not None else ())
        ]
        self.y = self.weight = self.group = None
        if spec is not None and spec.kind == "beside":
            if beside.get("y") is None:
                raise ValueError("the design has no response: give a formula with a left side, or y")
            self.y = self._array("y", beside["y"])
        elif self.response and design._factors is not None:
            self.y = response_values(self.response, design._class_levels)
        if design._weight is not None:
            self.weight = as_rows(self._checked(design._weight, evaluator.value(design._weight)))
        elif beside.get("weight") is not None:
            self.weight = self._array("weight", beside["weight"])
        if design._group is not None:
            ways = (design._group,) if isinstance(design._group, str) else design._group
            self.group = crossed([group_numbers(self._checked(t, evaluator.value(t))) for t in ways])
        elif beside.get("group") is not None:
            self.group = group_numbers(np.asarray(beside["group"]))
            without = self.group == NO_GROUP
            self._mark("groups", without if without.any() else None)

    def _add_offset(self, values: np.ndarray) -> None:
        values = values.astype(np.float64)
        self.offset = values if self.offset is None else self.offset + values

    def _array(self, name: str, array) -> np.ndarray:
        array = np.asarray(array, dtype=np.float64)
        self._mark(name, missing_rows(array))
        return array

    def _checked(self, text: str, value):
        if isinstance(value, np.ndarray) and all_finite(value):
            self.finite.add(text)
        else:
            self._mark(text, missing_rows(value))
        return value

    def _mark(self, text: str, mask: np.ndarray | None) -> None:
        if mask is None:
            return
        if self._refuse:
            row = self._rows.first_row + int(np.flatnonzero(mask)[0])
            raise ValueError(
                f"{shown(text)} is missing in row {row} ({self._rows.where}); "
                "na_action='drop' leaves such rows out"
            )
        self.missing = mask if self.missing is None else self.missing | mask


def shown(text: str) -> str:
    """A factor as formulaic writes it: a name in backticks stands without them."""
    return text[1:-1] if text[0] == "`" and text.count("`") == 2 and text[-1] == "`" else text


def finite(values: np.ndarray | None, keep, name: str, where) -> np.ndarray | None:
    """Rows of a role as float64, without infinite values."""
    if values is None:
        return None
    values = (values if keep is None else values[keep]).astype(np.float64, copy=False)
    infinite = bad_rows(values)
    if infinite is not None:
        raise ValueError(f"{name} is infinite in {where(int(np.flatnonzero(infinite)[0]))}")
    # Views of Arrow memory are read-only, for which kernels would be compiled once more.
    return values if values.flags.writeable else values.copy()


def pick_rows(value, keep):
    """Some rows of a value."""
    if keep is None:
        return value
    if isinstance(value, Coded):
        return Coded(value.values, value.codes[keep], True, value.categorical, value.ordered)
    if isinstance(value, Instants):
        return Instants(value.values[keep], value.unit, None)
    return value[keep]
