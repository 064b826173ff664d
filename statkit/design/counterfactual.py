"""Rows as they are, with some variables changed, or differentiated in one: what effects and predictions ask for.

A variable is a column, a part of a timestamp such as ``hour(date)``, or a factor of the formula that is no column
itself, such as ``C(x > 3)``. The rows of every design answer alike: ``encoded(changes)``, ``slope(variable, changes)``.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, replace

import numpy as np

from statkit.design.block import Block, make_block
from statkit.design.coding import Categorical, Numeric
from statkit.design.columns import Coded, Columns, Instants, as_rows, missing_rows
from statkit.design.expressions import Evaluator, parse, quoted
from statkit.design.levels import as_coded
from statkit.design.matrix import MatrixDesign
from statkit.design.row_values import RowValues, shown
from statkit.design.slopes import Slopes, leaf_name, leaves

__all__ = [
    "Combined",
    "Encoded",
    "MatrixRows",
    "TermsRows",
    "Variable",
    "changed_evaluator",
    "columns_with",
    "leaf_text",
    "variables_of",
]


@dataclass(frozen=True)
class Variable:
    """Something that can be changed or differentiated.

    Attributes
    ----------
    name : str
        As users write it.
    key : str, int or tuple
        A column, its number in a matrix, ``("part", text)`` of a timestamp, or ``("factor", text)``.
    kind : {"number", "boolean", "levels", "offset", "other"}
        What its effect is: a derivative, the change from False to True, or contrasts of its levels. Those of an
        offset, or of text inside a comparison, have an effect only when they are asked for.
    levels : tuple
        In the order of the coding.
    base : int
        Position of the reference level.
    """

    name: str
    key: object
    kind: str
    levels: tuple = ()
    base: int = 0


def variables_of(design, schema=None) -> list[Variable]:
    """Variables of a frozen design, in the order in which its terms name them.

    Parameters
    ----------
    design : MatrixDesign or TermsDesign
    schema : dict of str to pyarrow.DataType
        Columns of the table; not needed for a matrix.
    """
    if isinstance(design, MatrixDesign):
        return [Variable(name, j, "number") for j, name in enumerate(design.names[int(design.intercept) :])]
    import pyarrow as pa

    from statkit.sources import column_not_found

    for name in design.predictor_columns:
        if name not in schema:
            raise column_not_found(name, list(schema))
    empty = pa.schema([(name, schema[name]) for name in design.predictor_columns]).empty_table()
    evaluator = Evaluator(Columns(empty), None)
    found: dict = {}
    for text, factor in design._factors.items():
        for variable in _variables_in(text, factor, evaluator):
            before = found.get(variable.key)
            # Levels say more than a number: a column that is both changes from level to level.
            if before is None or _RANK[variable.kind] > _RANK[before.kind]:
                found[variable.key] = variable
    for text in design._offsets:
        for leaf in leaves(text):
            found.setdefault(leaf, Variable(leaf_name(leaf), leaf, "offset"))
    return list(found.values())


_RANK = {"other": 0, "offset": 0, "number": 1, "boolean": 2, "levels": 3}


def _variables_in(text: str, factor, evaluator: Evaluator):
    inside = leaves(text)
    alone = _alone(text, inside)
    if isinstance(factor, Categorical):
        key = inside[0] if alone else ("factor", text)
        name = leaf_name(key) if alone else factor.shown
        yield Variable(name, key, "levels", _level_values(factor.levels), factor.base)
        if not alone:
            yield from (Variable(leaf_name(leaf), leaf, "other") for leaf in inside)
        return
    if _is_boolean(evaluator.value(text)):
        if alone:
            yield Variable(leaf_name(inside[0]), inside[0], "boolean", (False, True))
            return
        yield Variable(shown(text), ("factor", text), "boolean", (False, True))
        yield from (Variable(leaf_name(leaf), leaf, "other") for leaf in inside)
        return
    for leaf in inside:
        value = evaluator.value(leaf_text(leaf))
        if _is_boolean(value):
            yield Variable(leaf_name(leaf), leaf, "boolean", (False, True))
        else:
            text_or_time = isinstance(value, Instants) or (isinstance(value, Coded) and value.categorical)
            yield Variable(leaf_name(leaf), leaf, "other" if text_or_time else "number")


def _level_values(levels) -> tuple:
    """Levels as a column holds them."""
    if levels.kind == "date" or levels.kind.startswith("timestamp"):
        unit = "D" if levels.kind == "date" else levels.kind[len("timestamp[") : -1]
        return tuple(np.array(levels.keys, dtype=f"datetime64[{unit}]"))
    return levels.keys


def leaf_text(leaf) -> str:
    return quoted(leaf) if isinstance(leaf, str) else leaf_name(leaf)


def _alone(text: str, inside: list) -> bool:
    """Whether an expression is a leaf, perhaps inside ``C()``."""
    if len(inside) != 1:
        return False
    node = parse(text)
    while isinstance(node, ast.Call) and ast.unparse(node.func) in ("C", "I") and node.args:
        node = node.args[0]
    leaf = inside[0]
    if isinstance(leaf, tuple):
        return ast.unparse(node) == leaf[1]
    return isinstance(node, ast.Name) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "Q")


def _is_boolean(value) -> bool:
    return isinstance(value, Coded) and value.values.dtype.kind == "b"


# -- what rows answer ---------------------------------------------------------------------------------------------


class Encoded:
    """Rows of a design: their linear predictors, and the adjoint that sums rows into coefficients.

    Parameters
    ----------
    block : Block
    limit : ndarray of shape (n,) or None
        Added to η: ±inf for levels set aside.
    columns : bool ndarray of shape (q,) or None
        The columns that count; None for all.
    """

    def __init__(self, block: Block, limit: np.ndarray | None = None, columns: np.ndarray | None = None):
        self.block, self.limit, self.columns = block, limit, columns

    def eta(self, theta: np.ndarray) -> np.ndarray:
        """Linear predictors (n, K) at coefficients (K, q)."""
        eta = np.empty((self.block.n_rows, len(theta)))
        for k, row in enumerate(theta):
            row = row if self.columns is None else np.where(self.columns, row, 0.0)
            eta[:, k] = self.block.matvec(row, offset=self.columns is None)
        return eta if self.limit is None else eta + self.limit[:, None]

    def adjoint(self, r: np.ndarray) -> np.ndarray:
        """Σ r_ik x_i, (K, q)."""
        sums = np.array([self.block.transpose_matvec(np.ascontiguousarray(column)) for column in r.T])
        return sums if self.columns is None else np.where(self.columns, sums, 0.0)


class Combined:
    """Encoded rows of several pieces, added, and what is added to η besides."""

    def __init__(self, parts: list, offset: np.ndarray | None, shape: tuple[int, int]):
        self.parts, self.offset, self.shape = parts, offset, shape

    def eta(self, theta):
        eta = np.zeros((self.shape[0], len(theta)))
        for part in self.parts:
            eta += part.eta(theta)
        return eta if self.offset is None else eta + self.offset[:, None]

    def adjoint(self, r):
        sums = np.zeros((r.shape[1], self.shape[1]))
        for part in self.parts:
            sums += part.adjoint(r)
        return sums


class _Shifted:
    """Rows of a matrix with an amount added to one column, which is not written out."""

    def __init__(self, base, column: int, amount: np.ndarray, size: int):
        self.base, self.column, self.amount, self.size = base, column, amount, size

    def eta(self, theta):
        eta = self.amount[:, None] * theta[:, self.column]
        return eta if self.base is None else eta + self.base.eta(theta)

    def adjoint(self, r):
        sums = np.zeros((r.shape[1], self.size)) if self.base is None else self.base.adjoint(r)
        sums[:, self.column] += self.amount @ r
        return sums


class MatrixRows:
    """Rows of a plain matrix without missing values."""

    def __init__(self, design: MatrixDesign, rows):
        rows = _numbered(rows)
        missing = design._missing(rows.X, rows)
        for values in rows.beside.values():
            if values.dtype.kind == "f" and np.isnan(values).any():
                missing = np.isnan(values) if missing is None else missing | np.isnan(values)
        if missing is not None:
            rows = _picked(rows, ~missing)
        self.design, self.rows = design, rows
        self.n_rows = rows.n_rows
        self.weight = rows.beside.get("weight")
        self._first = int(design.intercept)

    def split(self, labels: np.ndarray):
        """(label, its rows) of every label that occurs."""
        for label in np.unique(labels):
            yield label, MatrixRows(self.design, _picked(self.rows, labels == label))

    def encoded(self, changes: dict) -> Encoded:
        """The rows, some columns of which have one value."""
        answer = Encoded(self.design.encode_predictors(self.rows)[0])
        for key, value in changes.items():
            amount = float(value) - self.values(key)
            answer = _Shifted(answer, self._first + key, amount, len(self.design.names))
        return answer

    def slope(self, key, changes: dict):
        """Derivative of the rows in one column."""
        return _Shifted(None, self._first + key, np.ones(self.n_rows), len(self.design.names))

    def values(self, key) -> np.ndarray:
        """A column as float64."""
        column = self.rows.X[:, [key]] if hasattr(self.rows.X, "indptr") else self.rows.X[:, key]
        return np.asarray(column.toarray()[:, 0] if hasattr(column, "toarray") else column, dtype=np.float64)


class TermsRows:
    """Rows of a table without missing values in what the design reads."""

    def __init__(self, design, rows, *, weight: str | None = None, extra: tuple[str, ...] = ()):
        rows = _numbered(rows)
        evaluator, read = _values(design, rows)
        missing = read.missing
        for name in ("weight", "group"):
            values = rows.beside.get(name)
            if values is not None and values.dtype.kind == "f" and np.isnan(values).any():
                missing = np.isnan(values) if missing is None else missing | np.isnan(values)
        for text in (*([] if weight is None else [weight]), *extra):
            mask = missing_rows(evaluator.value(text))
            missing = mask if missing is None else missing if mask is None else missing | mask
        if missing is not None:
            rows = _picked(rows, ~missing)
            evaluator, read = _values(design, rows)
        self.design, self.rows = design, rows
        self.n_rows = rows.n_rows
        self._base = (evaluator, read)
        self._kept: tuple = (None, None, None)
        self._weight = weight
        self.weight = rows.beside.get("weight")
        if weight is not None:
            self.weight = np.asarray(as_rows(evaluator.value(weight)), dtype=np.float64)

    def split(self, labels: np.ndarray):
        """(label, its rows) of every label that occurs."""
        for label in np.unique(labels):
            part = _picked(self.rows, labels == label)
            yield label, TermsRows(self.design, part, weight=self._weight)

    def labels(self, texts: tuple[str, ...]) -> tuple[list[tuple], np.ndarray]:
        """Combinations of the values of some expressions that occur, and which of them each row has."""
        evaluator = self.evaluator
        coded = [as_coded(evaluator.value(text)) for text in texts]
        code = np.zeros(self.n_rows, np.int64)
        for value in coded:
            code = code * max(len(value.values), 1) + value.codes
        present, inverse = np.unique(code, return_inverse=True)
        keys, rest = [], present
        for value in reversed(coded):
            rest, at = np.divmod(rest, max(len(value.values), 1))
            keys.append(value.values[at].tolist())
        return list(zip(*reversed(keys), strict=True)), inverse

    def encoded(self, changes: dict) -> Encoded:
        """The rows, some variables of which have one value."""
        _, read = self._read(changes)
        return Encoded(*self.design.encode_values(read, self.rows))

    def slope(self, key, changes: dict) -> Combined:
        """Derivative of the rows in one variable.

        A row is linear in each of its factors, so that the derivative is the sum, over the factors that depend on
        the variable, of the row with that factor's derivative in its place.
        """
        evaluator, read = self._read(changes)
        slopes = Slopes(evaluator, key)
        parts = []
        for text, factor in self.design._factors.items():
            derivative = slopes.of(text) if isinstance(factor, Numeric) else None
            if derivative is None:
                continue
            self._refuse_steep(text, key, derivative)
            values = {**read.values, text: derivative}
            dense, coded = self.design._write(values, self.n_rows, self._where)
            block = make_block(dense, None, coded, n_rows=self.n_rows, intercept=self.design.intercept)
            parts.append(Encoded(block, None, columns_with(self.design, text)))
        offset = None
        for text in self.design._offsets:
            derivative = slopes.of(text)
            if derivative is not None:
                offset = derivative if offset is None else offset + derivative
        return Combined(parts, offset, (self.n_rows, len(self.design.position)))

    def values(self, key) -> np.ndarray:
        """A leaf's values, one a row."""
        return as_rows(self.evaluator.value(leaf_text(key)))

    @property
    def evaluator(self) -> Evaluator:
        """Values of expressions of the rows as they are."""
        return self._base[0]

    def _read(self, changes: dict):
        """Evaluator and values of the rows with some changes; what does not depend on them is that of the rows."""
        if not changes:
            return self._base
        key = tuple(sorted((repr(k), repr(v)) for k, v in changes.items()))
        if self._kept[0] != key:
            evaluator = changed_evaluator(self.design, self.rows, changes)
            self._kept = (key, evaluator, self._changed(evaluator, changes))
        return self._kept[1:]

    def _changed(self, evaluator: Evaluator, changes: dict) -> RowValues:
        design, read = self.design, copy.copy(self._base[1])
        read.values, read.finite = dict(read.values), set(read.finite)

        def depends(text):
            return any(leaf in changes for leaf in leaves(text))

        for text, spec in design._specs.items():
            if depends(text):
                value = evaluator.value(text)
                read.values[text] = as_coded(value) if spec.categorical else value
                read.finite.discard(text)
        if any(map(depends, design._offsets)):
            read.offset = RowValues(design, evaluator, self.rows, fitting=False).offset
        _change_factors(read, changes, self.n_rows)
        return read

    def _where(self, i) -> str:
        return f"row {self.rows.beside['row'][int(i)]} ({self.rows.where})"

    def _refuse_steep(self, text, key, derivative) -> None:
        finite = np.isfinite(derivative)
        if not finite.all():
            at = int(np.argmin(finite if finite.ndim == 1 else finite.all(axis=1)))
            raise ValueError(
                f"{shown(text)} has no finite derivative in {leaf_name(key)} at its value {self.values(key)[at]!r}: "
                f"{self._where(at)}"
            )


def _values(design, rows) -> tuple[Evaluator, RowValues]:
    evaluator = Evaluator(Columns(rows.table, rows.where), design._states)
    return evaluator, RowValues(design, evaluator, rows, fitting=False)


def changed_evaluator(design, rows, changes: dict) -> Evaluator:
    """An evaluator of the rows' table in which some leaves have one value."""
    columns = Columns(rows.table, rows.where)
    zeros = np.zeros(rows.n_rows, np.intp)  # one coding, so that what is made of constants stays a constant
    for key, value in changes.items():
        if not (isinstance(key, tuple) and key[0] == "factor"):
            columns.once(key, lambda value=value: _constant(value, zeros))
    return Evaluator(columns, design._states)


def _change_factors(read: RowValues, changes: dict, n: int) -> None:
    for key, value in changes.items():
        if isinstance(key, tuple) and key[0] == "factor":
            read.values[key[1]] = _constant(value, np.zeros(n, np.intp))


def _constant(value, codes: np.ndarray) -> Coded:
    if isinstance(value, str):
        table = np.empty(1, dtype=object)
        table[0] = value
        return Coded(table, codes, True, True)
    return Coded(np.array([value]), codes, True)


def _numbered(rows):
    """The rows with their numbers beside them, which stay theirs when some are left out."""
    if "row" in rows.beside:
        return rows
    numbers = np.arange(rows.first_row, rows.first_row + rows.n_rows)
    return replace(rows, beside={**rows.beside, "row": numbers})


def _picked(rows, keep: np.ndarray):
    table = None if rows.table is None else rows.table.filter(keep)
    X = None if rows.X is None else rows.X[np.flatnonzero(keep)]
    beside = {name: values[keep] for name, values in rows.beside.items()}
    return replace(rows, n_rows=int(keep.sum()), table=table, X=X, beside=beside)


def columns_with(design, text: str) -> np.ndarray:
    """Internal columns that a factor is part of."""
    found = [np.zeros(int(design.intercept), bool)]
    for group in design._dense:
        found.append(np.full(group.width, any(text == name for name, _ in group.factors)))
    for group in design._coded:
        names = [part[0] for part in (*group.factors, *group.multipliers)]
        found.append(np.full(group.width, text in names))
    return np.concatenate(found)
