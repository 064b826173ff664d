"""Derivatives of the expressions inside a formula in one column, by the rules of calculus along their trees."""

from __future__ import annotations

import ast
import math

import numpy as np

from statkit.design.calendar import PARTS
from statkit.design.columns import as_rows
from statkit.design.expressions import (
    Evaluator,
    _column,
    _function_name,
    _keywords,
    _stateful,
    _unparse,
    literal,
    parse,
)
from statkit.design.transform_slopes import transform_slope
from statkit.design.transforms import STATEFUL

__all__ = ["Slopes", "leaf_name", "leaves"]

_LN2, _LN10 = math.log(2.0), math.log(10.0)

#: Derivatives of functions of one argument, given it and the function's value.
_RULES = {
    "log": lambda x, f: 1.0 / x,
    "log10": lambda x, f: 1.0 / (_LN10 * x),
    "log2": lambda x, f: 1.0 / (_LN2 * x),
    "log1p": lambda x, f: 1.0 / (1.0 + x),
    "exp": lambda x, f: f,
    "exp2": lambda x, f: _LN2 * f,
    "expm1": lambda x, f: np.exp(x),
    "sqrt": lambda x, f: 0.5 / f,
    "cbrt": lambda x, f: 1.0 / (3.0 * f * f),
    "square": lambda x, f: 2.0 * x,
    "abs": lambda x, f: np.sign(x),
    "absolute": lambda x, f: np.sign(x),
    "sin": lambda x, f: np.cos(x),
    "cos": lambda x, f: -np.sin(x),
    "tan": lambda x, f: 1.0 + f * f,
    "arcsin": lambda x, f: 1.0 / np.sqrt(1.0 - x * x),
    "arccos": lambda x, f: -1.0 / np.sqrt(1.0 - x * x),
    "arctan": lambda x, f: 1.0 / (1.0 + x * x),
    "sinh": lambda x, f: np.cosh(x),
    "cosh": lambda x, f: np.sinh(x),
    "tanh": lambda x, f: 1.0 - f * f,
    "arcsinh": lambda x, f: 1.0 / np.sqrt(x * x + 1.0),
    "arccosh": lambda x, f: 1.0 / np.sqrt(x * x - 1.0),
    "arctanh": lambda x, f: 1.0 / (1.0 - x * x),
}
#: Functions that are constant between jumps.
_FLAT = {"sign", "floor", "ceil", "trunc", "round"}


def leaves(text: str) -> list:
    """What an expression reads: names of columns, and ``("part", text)`` for parts of timestamps."""
    found: dict = {}

    def visit(node):
        if isinstance(node, ast.Name):
            found[_column(node.id)] = None
        elif isinstance(node, ast.Call):
            name = _function_name(node)
            if name in PARTS:
                found["part", ast.unparse(node)] = None
            elif name == "Q":
                found[literal(node.args[0])] = None
            else:
                inner = node.args[:1] if name == "C" or name in STATEFUL else node.args
                for argument in inner:
                    visit(argument)
        elif not isinstance(node, ast.Attribute):
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(parse(text))
    return list(found)


def leaf_name(leaf) -> str:
    """A leaf as a user writes it."""
    return leaf if isinstance(leaf, str) else _unparse(parse(leaf[1]))


class Slopes:
    """Derivatives in one leaf of expressions over the columns of one table.

    Parameters
    ----------
    evaluator : Evaluator
        With states.
    leaf : str or tuple
        See :func:`leaves`.
    """

    def __init__(self, evaluator: Evaluator, leaf):
        self._evaluator = evaluator
        self._leaf = leaf
        self._n = evaluator.columns.n_rows

    def of(self, text: str) -> np.ndarray | None:
        """Derivative a row, (n,) or (n, K); None where it is zero in every row."""
        with np.errstate(all="ignore"):
            return self._visit(parse(text))

    def _value(self, node):
        """A subexpression's values: float64 rows, or a constant."""
        rows = as_rows(self._evaluator._visit(node))
        return rows.astype(np.float64) if isinstance(rows, np.ndarray) else rows

    def _visit(self, node):
        if isinstance(node, ast.Name):
            return np.ones(self._n) if _column(node.id) == self._leaf else None
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.UnaryOp):
            inner = None if isinstance(node.op, ast.Invert | ast.Not) else self._visit(node.operand)
            return inner if inner is None or isinstance(node.op, ast.UAdd) else -inner
        return None  # constants, comparisons

    def _binary(self, node):
        left, right = self._visit(node.left), self._visit(node.right)
        if (left is None and right is None) or isinstance(node.op, ast.FloorDiv):
            return None
        if isinstance(node.op, ast.Add):
            return _sum(left, right)
        if isinstance(node.op, ast.Sub):
            return _sum(left, None if right is None else -right)
        a, b = self._value(node.left), self._value(node.right)
        if isinstance(node.op, ast.Mult):
            return _sum(_times(left, b), _times(right, a))
        if isinstance(node.op, ast.Div):
            return _sum(_times(left, 1.0 / b), _times(right, -a / (b * b)))
        if isinstance(node.op, ast.Mod):
            return _sum(left, _times(right, -np.floor_divide(a, b)))
        if isinstance(node.op, ast.Pow):
            return _power(a, b, left, right)
        return None

    def _call(self, node):
        name = _function_name(node)
        if name in PARTS:
            return np.ones(self._n) if ("part", ast.unparse(node)) == self._leaf else None
        if name == "Q":
            return np.ones(self._n) if literal(node.args[0]) == self._leaf else None
        if name == "I":
            return self._visit(node.args[0])
        if name == "C" or name in _FLAT:
            return None
        if name in STATEFUL:
            return self._transform(node)
        inner = [self._visit(argument) for argument in node.args]
        if all(slope is None for slope in inner):
            return None
        values = [self._value(argument) for argument in node.args]
        if name in _RULES:
            x = values[0]
            return inner[0] * _RULES[name](x, self._value(node))
        return self._several(name, node, values, inner)

    def _several(self, name, node, values, inner):
        """Functions of several arguments."""
        if name == "clip":
            options = _keywords(node)
            low = values[1] if len(values) > 1 else options.get("a_min", options.get("min"))
            high = values[2] if len(values) > 2 else options.get("a_max", options.get("max"))
            x = values[0]
            free = np.ones(len(x), bool)
            free &= True if low is None else x >= low
            free &= True if high is None else x <= high
            return None if inner[0] is None else inner[0] * free
        a, b = values[-2], values[-1]
        left, right = inner[-2], inner[-1]
        if name == "where":
            return _chosen(np.asarray(values[0]) != 0, left, right)
        if name == "minimum":
            return _chosen(np.broadcast_to(a <= b, self._n), left, right)
        if name == "maximum":
            return _chosen(np.broadcast_to(a >= b, self._n), left, right)
        if name == "power":
            return _power(a, b, left, right)
        if name == "hypot":
            length = np.hypot(a, b)
            return _sum(_times(left, a / length), _times(right, b / length))
        square = a * a + b * b  # arctan2
        return _sum(_times(left, b / square), _times(right, -a / square))

    def _transform(self, node):
        inner = self._visit(node.args[0])
        if inner is None:
            return None
        call = _stateful(_unparse(node))
        outer = transform_slope(
            call.name, call.options, self._evaluator.states[call.text], self._value(node.args[0])
        )
        return outer * (inner[:, None] if outer.ndim == 2 else inner)


def _sum(a, b):
    return b if a is None else a if b is None else a + b


def _times(slope, factor):
    if slope is None:
        return None
    if slope.ndim == 2 and isinstance(factor, np.ndarray) and factor.ndim == 1:
        factor = factor[:, None]
    elif slope.ndim == 1 and isinstance(factor, np.ndarray) and factor.ndim == 2:
        slope = slope[:, None]
    return slope * factor


def _power(a, b, left, right):
    base = None if left is None else _times(left, b * np.power(a, b - 1.0))
    exponent = None if right is None else _times(right, np.log(a) * np.power(a, b))
    return _sum(base, exponent)


def _chosen(first, left, right):
    left = 0.0 if left is None else left
    right = 0.0 if right is None else right
    return np.where(first, left, right)
