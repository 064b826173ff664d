"""One row that stands for many: columns at their means, factors at the shares of their levels."""

from __future__ import annotations

import numpy as np

from statkit.design.block import make_block
from statkit.design.coding import Categorical, Numeric
from statkit.design.columns import Coded, as_rows
from statkit.design.counterfactual import Combined, Encoded, changed_evaluator, columns_with, leaf_text
from statkit.design.levels import UNKNOWN, as_coded
from statkit.design.slopes import Slopes, leaves

__all__ = ["ProfileRow", "level_weights", "number_leaves", "text_leaves"]


def number_leaves(rows) -> list:
    """Leaves of the numeric factors and offsets of some rows' design that hold numbers."""
    return [leaf for leaf, number in _leaves(rows) if number]


def text_leaves(rows) -> list:
    """Leaves that numeric factors compare with text."""
    return [leaf for leaf, number in _leaves(rows) if not number]


def _leaves(rows):
    evaluator = rows.evaluator
    texts = [t for t, f in rows.design._factors.items() if isinstance(f, Numeric)]
    for leaf in dict.fromkeys(leaf for text in (*texts, *rows.design._offsets) for leaf in leaves(text)):
        value = evaluator.value(leaf_text(leaf))
        kind = (value.values if hasattr(value, "values") else value).dtype.kind
        yield leaf, kind in "biuf" and not hasattr(value, "unit")


def level_weights(rows, text: str, weight: np.ndarray | None) -> np.ndarray:
    """Weight of every level of a categorical factor."""
    factor, value = rows.design._factors[text], as_coded(rows.evaluator.value(text))
    level = factor.levels.table_codes(value.values)
    weights = np.bincount(value.codes, weight, minlength=len(level))[: len(level)]
    known = level != UNKNOWN
    return np.bincount(level[known], weights[known], minlength=len(factor.levels.keys)).astype(np.float64)


class ProfileRow:
    """A row of a design of terms whose factors are at shares of their levels.

    Parameters
    ----------
    design : TermsDesign
    rows : Rows
        Any one row with a value everywhere: where nothing else is said.
    numbers : dict
        Leaf → its value.
    shares : dict of str to ndarray
        Categorical factor → share of each level.
    """

    n_rows = 1
    weight = None

    def __init__(self, design, rows, numbers: dict, shares: dict[str, np.ndarray]):
        self.design, self.rows, self._numbers, self._shares = design, rows, numbers, shares

    def encoded(self, changes: dict) -> Encoded:
        """The row, some variables of which have one value."""
        evaluator = self._evaluator(changes)
        numeric = {text: self._at(evaluator, text, changes) for text in self._numeric}
        shares, limit = self._shares_at(evaluator, changes)
        offset = None
        if self.design._offsets:
            offset = sum(np.float64(as_rows(evaluator.value(text))[0]) for text in self.design._offsets)
        return Encoded(self._block(numeric, shares, offset), limit)

    def slope(self, key, changes: dict):
        """Derivative of the row in one variable."""
        evaluator = self._evaluator(changes)
        numeric = {text: self._at(evaluator, text, changes) for text in self._numeric}
        shares, _ = self._shares_at(evaluator, changes)
        slopes = Slopes(evaluator, key)
        parts = []
        for text in numeric:
            derivative = slopes.of(text)
            if derivative is not None and ("factor", text) not in changes:
                block = self._block({**numeric, text: derivative.reshape(-1)}, shares, None)
                parts.append(Encoded(block, None, columns_with(self.design, text)))
        added = [s for s in (slopes.of(text) for text in self.design._offsets) if s is not None]
        return Combined(parts, sum(added) if added else None, (1, len(self.design.position)))

    def values(self, key) -> np.ndarray:
        """The value of a leaf, as an array of one."""
        return as_rows(self._evaluator({}).value(leaf_text(key)))

    @property
    def _numeric(self) -> list[str]:
        return [text for text, factor in self.design._factors.items() if isinstance(factor, Numeric)]

    def _evaluator(self, changes: dict):
        return changed_evaluator(self.design, self.rows, {**self._numbers, **changes})

    def _at(self, evaluator, text: str, changes: dict) -> np.ndarray:
        if ("factor", text) in changes:
            return np.array([float(changes["factor", text])])
        return np.asarray(as_rows(evaluator.value(text)), dtype=np.float64).reshape(-1)

    def _shares_at(self, evaluator, changes: dict):
        """Shares of the levels of every factor, all at one level where a variable of it was changed."""
        shares, limit = {}, 0.0
        for text, factor in self.design._factors.items():
            if not isinstance(factor, Categorical):
                continue
            changed = [leaf for leaf in (*leaves(text), ("factor", text)) if leaf in changes]
            if not changed:
                shares[text] = self._shares[text]
                continue
            if ("factor", text) in changes:
                table = np.array([changes["factor", text]])
                table = table.astype(object) if table.dtype.kind == "U" else table
            else:
                value: Coded = as_coded(evaluator.value(text))
                table = value.values[value.codes]
            level = int(factor.levels.table_codes(table)[0])
            if level == UNKNOWN:
                raise ValueError(
                    f"level {table[0]!r} of {factor.shown} did not occur in the data of the fit: its levels are "
                    f"{', '.join(factor.levels.labels[:12])}"
                )
            shares[text] = np.eye(len(factor.levels.keys))[level]
            limit += factor.removed.get(level, 0.0)
        return shares, np.array([limit]) if limit else None

    def _block(self, numeric: dict, shares: dict, offset: float | None):
        """All columns of the row: products of what its factors are."""
        design = self.design

        def columns(text: str, reduced: bool) -> np.ndarray:
            factor = design._factors[text]
            if isinstance(factor, Numeric):
                return numeric[text][1:] if factor.fields is not None and reduced else numeric[text]
            return shares[text] @ factor.contrast(reduced).matrix

        made = [np.ones(int(design.intercept))]
        for group in design._dense:
            product = np.array([group.scale], dtype=np.float64)
            for text, reduced in group.factors:
                product = np.outer(columns(text, reduced), product).ravel()
            made.append(product)
        for group in design._coded:
            alone = len(group.factors) == 1 and not group.multipliers
            product = np.array([group.scale], dtype=np.float64)
            for text, reduced in group.factors:
                factor = design._factors[text]
                kept = [i for i in factor.kept(reduced) if not (alone and i in factor.removed)]
                product = np.outer(shares[text][kept], product).ravel()
            for text, reduced, column in group.multipliers:
                product = product * columns(text, reduced)[column]
            made.append(product)
        row = np.concatenate(made)[None, :]
        return make_block(
            row,
            n_rows=1,
            intercept=False,
            offset=None if offset is None else np.array([offset], dtype=np.float64),
        )
