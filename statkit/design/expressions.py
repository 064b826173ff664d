"""Evaluation of the Python expressions inside a formula, over columns, without running any code.

The expression is parsed and interpreted: names are columns, calls are to the functions listed here, and
nothing else exists. A saved model therefore cannot run anything, integers do not wrap around, and states of
transforms are only read.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import numpy as np

from statkit.design.calendar import PARTS, calendar_part
from statkit.design.columns import Coded, Columns, Instants, as_rows
from statkit.design.transforms import STATEFUL, apply_transform, bind

__all__ = [
    "Evaluator",
    "StatefulCall",
    "column_names",
    "literal",
    "parse",
    "quoted",
    "readable",
    "stateful_calls",
    "top_call",
]


FUNCTIONS: dict[str, Callable] = {
    name: getattr(np, name)
    for name in (
        "log log10 log2 log1p exp exp2 expm1 sqrt cbrt square abs sign floor ceil trunc sin cos tan "
        "arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh "
        "minimum maximum clip where power hypot"
    ).split()
} | {"round": np.round, "absolute": np.abs}

_ARITHMETIC = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARE = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_LOGIC = {ast.BitAnd: np.logical_and, ast.BitOr: np.logical_or, ast.BitXor: np.logical_xor}
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`")
_BACKTICK = "backticked_"


@contextmanager
def readable(text: str) -> Iterator[None]:
    """Say of a formula's text what was wrong with it, whoever found it, in words for its writer."""
    try:
        yield
    except RecursionError:
        raise ValueError(f"{_short(text)} is nested too deeply for a formula") from None
    except (TypeError, LookupError, ArithmeticError, AttributeError, NotImplementedError) as error:
        raise ValueError(f"{_short(text)} cannot be used in a formula: {error}") from error


def _short(text: str) -> str:
    return repr(text if len(text) < 80 else f"{text[:70]} …")


@lru_cache(maxsize=512)
def parse(text: str) -> ast.expr:
    """The expression's tree; names in backticks become identifiers that :func:`_column` turns back."""

    def plain(found):
        inner = found.group()
        return _BACKTICK + inner[1:-1].encode().hex() if inner[0] == "`" else inner

    with readable(text):
        return _parsed(_QUOTED.sub(plain, text).strip(), text)


def _parsed(plain: str, text: str) -> ast.expr:
    try:
        return ast.parse(plain, mode="eval").body
    except (SyntaxError, MemoryError) as error:  # the latter for very deep nesting
        raise ValueError(
            f"cannot read {_short(text)} in the formula: {getattr(error, 'msg', 'too deep')}"
        ) from None


def quoted(name: str) -> str:
    """A column's name as an expression, in backticks unless Python reads it as it is."""
    # Python normalises identifiers: µ would become μ and no longer name the column.
    plain = name.isidentifier() and name.isascii() and not keyword.iskeyword(name)
    return name if plain else f"`{name}`"


def _column(identifier: str) -> str:
    if identifier.startswith(_BACKTICK):
        return bytes.fromhex(identifier[len(_BACKTICK) :]).decode()
    return identifier


def _unparse(node: ast.AST) -> str:
    text = ast.unparse(node)
    return re.sub(_BACKTICK + "([0-9a-f]*)", lambda m: f"`{bytes.fromhex(m.group(1)).decode()}`", text)


def top_call(text: str) -> tuple[str, ast.Call] | None:
    """Name and node when the whole expression is a call, such as ``C(a)``."""
    node = parse(text)
    return (_function_name(node), node) if isinstance(node, ast.Call) else None


def _function_name(node: ast.Call) -> str:
    name = ast.unparse(node.func)
    return name[3:] if name.startswith("np.") else name


def column_names(text: str) -> list[str]:
    """Columns that the expression reads, in order of appearance."""
    names: dict[str, None] = {}
    with readable(text):
        for node in _value_nodes(parse(text)):
            if isinstance(node, ast.Name):
                names[_column(node.id)] = None
            elif isinstance(node, ast.Call) and _function_name(node) == "Q":
                names[_name_in(node)] = None
    return list(names)


def _name_in(node: ast.Call) -> str:
    name = literal(node.args[0]) if len(node.args) == 1 else None
    if not isinstance(name, str):
        raise ValueError(f"{_unparse(node)}: Q() takes the name of a column, in quotes")
    return name


def _value_nodes(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, ast.Call):
        name = _function_name(node)
        if name == "C" or name in STATEFUL:
            children: list[ast.AST] = list(node.args[:1])
        else:
            children = [*node.args, *(k.value for k in node.keywords)]
    elif isinstance(node, ast.Attribute):
        children = []
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from _value_nodes(child)


def literal(node: ast.AST):
    """Value of an expression of constants only."""
    if isinstance(node, ast.Call) and _function_name(node) == "array" and len(node.args) == 1:
        return np.array(literal(node.args[0]))
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{_unparse(node)!r} must be a constant in a formula") from None


@dataclass(frozen=True)
class StatefulCall:
    """One call of a transform whose state comes from all rows."""

    text: str
    name: str
    argument: str
    options: dict = field(compare=False)


@lru_cache(maxsize=512)
def _stateful(text: str) -> StatefulCall:
    node = cast(ast.Call, parse(text))
    name = _function_name(node)
    if not node.args:
        raise ValueError(f"{name}() needs a column")
    options = bind(name, [literal(a) for a in node.args[1:]], _keywords(node))
    return StatefulCall(text, name, _unparse(node.args[0]), options)


def _keywords(node: ast.Call) -> dict:
    return {str(k.arg): literal(k.value) for k in node.keywords}


def stateful_calls(text: str) -> list[StatefulCall]:
    """Calls of stateful transforms in the expression, inner ones first."""
    found = [
        _stateful(_unparse(node))
        for node in _value_nodes(parse(text))
        if isinstance(node, ast.Call) and _function_name(node) in STATEFUL
    ]
    return list(dict.fromkeys(reversed(found)))


class Evaluator:
    """Values of expressions over the columns of one table.

    Parameters
    ----------
    columns : Columns
    states : dict of str to dict, or None
        Frozen states by the text of the call. None while profiling: a transform is then its own argument,
        which is missing in the same rows.
    """

    def __init__(self, columns: Columns, states: dict[str, dict] | None):
        self.columns = columns
        self.states = states

    def value(self, text: str):
        """Coded, Instants or ndarray, one entry a row."""
        with readable(text):
            found = self._visit(parse(text))
        if not isinstance(found, Coded | Instants | np.ndarray) or (
            isinstance(found, np.ndarray) and found.ndim == 0
        ):
            raise ValueError(f"{text!r} is a constant, not a column")
        return found

    def _visit(self, node: ast.AST):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.columns[_column(node.id)]
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.List | ast.Tuple):
            return literal(node)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("np.pi", "np.e", "np.nan"):
            return getattr(np, node.attr)
        if isinstance(node, ast.BoolOp):
            raise ValueError(f"use & and | with brackets instead of 'and' / 'or' in {_unparse(node)!r}")
        raise ValueError(f"{_unparse(node)!r} cannot be used in a formula")

    def _call(self, node: ast.Call):
        name = _function_name(node)
        if name in ("I", "C"):
            if not node.args:
                raise ValueError(f"{name}() needs a column")
            return self._visit(node.args[0])
        if name == "Q":
            return self.columns[_name_in(node)]
        if name in PARTS:
            return self._part(name, node)
        if name in STATEFUL:
            return self._transform(_stateful(_unparse(node)), node)
        if name == "lag":
            raise ValueError("lag() needs neighbouring rows, which may be in another part of the data")
        if name not in FUNCTIONS:
            raise ValueError(f"unknown function {name}() in the formula; known are {_known()}")
        args = [self._visit(a) for a in node.args]
        keywords = _keywords(node)
        return _apply(lambda *a: FUNCTIONS[name](*map(_numbers, a), **keywords), args, _unparse(node))

    def _part(self, name: str, node: ast.Call):
        if len(node.args) != 1 or node.keywords:
            raise ValueError(f"{name}() takes one timestamp column")
        value = self._visit(node.args[0])
        if not isinstance(value, Instants):
            raise ValueError(f"{_unparse(node)} needs a timestamp or date column")
        return self.columns.once(("part", ast.unparse(node)), lambda: calendar_part(name, value))

    def _transform(self, call: StatefulCall, node: ast.Call):
        argument = self._visit(node.args[0])
        if isinstance(argument, Coded | np.ndarray) and _kind(argument) not in "biuf":
            raise ValueError(f"{call.text} needs a numeric column")
        if self.states is None:
            return argument
        state = self.states[call.text]
        if isinstance(argument, Coded) and call.options.get("extrapolation") == "raise":
            argument = argument.of_rows()  # others may compute with numbers that no row has
        return _apply(
            lambda x: apply_transform(call.name, call.options, state, _numbers(x)), [argument], call.text
        )

    def _binary(self, node: ast.BinOp):
        left, right = self._visit(node.left), self._visit(node.right)
        text = _unparse(node)
        if type(node.op) in _LOGIC:
            return _apply(_LOGIC[type(node.op)], [left, right], text, boolean=True)
        if type(node.op) not in _ARITHMETIC:
            raise ValueError(f"{text!r} cannot be used in a formula")
        operation = _ARITHMETIC[type(node.op)]
        return _apply(lambda a, b: _arithmetic(operation, a, b), [left, right], text)

    def _unary(self, node: ast.UnaryOp):
        operand = self._visit(node.operand)
        text = _unparse(node)
        if isinstance(node.op, ast.Invert):
            return _apply(np.logical_not, [operand], text, boolean=True)
        if isinstance(node.op, ast.USub):
            return _apply(lambda a: np.negative(_numbers(a)), [operand], text)
        if isinstance(node.op, ast.UAdd):
            return operand
        raise ValueError(f"use ~ instead of 'not' in {text!r}")

    def _compare(self, node: ast.Compare):
        if len(node.ops) > 1:
            raise ValueError(f"write {_unparse(node)!r} as two comparisons joined by &")
        left, right = self._visit(node.left), self._visit(node.comparators[0])
        kind, text = type(node.ops[0]), _unparse(node)
        if kind in (ast.In, ast.NotIn):
            if not isinstance(right, list | tuple):
                raise ValueError(f"{text!r}: what follows 'in' must be a list of constants")
            values = list(right)
            return _apply(lambda a: np.isin(a, values, invert=kind is ast.NotIn), [left], text, boolean=True)
        if isinstance(left, Instants) or isinstance(right, Instants):
            left, right = _comparable(left, right), _comparable(right, left)
        return _apply(_COMPARE[kind], [left, right], text, boolean=True)


def _known() -> str:
    return ", ".join(sorted({*FUNCTIONS, *STATEFUL, *PARTS, "C", "I", "Q", "offset"}))


def _kind(value) -> str:
    return (value.values if isinstance(value, Coded) else value).dtype.kind


def _numbers(value):
    """Numbers as float64; text is refused."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise TypeError("it needs numbers")
        return (
            value
            if value.dtype.kind in "fi"
            else value.astype(np.int64 if value.dtype.kind == "b" else float)
        )
    return value


def _arithmetic(operation, a, b):
    """Arithmetic in float64; whole results of whole numbers stay integers when they are exact."""
    a, b = _numbers(a), _numbers(b)
    whole = all(isinstance(v, int) or (isinstance(v, np.ndarray) and v.dtype.kind == "i") for v in (a, b))
    first = a.astype(np.float64) if isinstance(a, np.ndarray) else float(a)
    second = b.astype(np.float64) if isinstance(b, np.ndarray) else float(b)
    out = operation(first, second)
    if whole and operation is not np.divide and np.size(out) and np.abs(out).max() < 2**53:
        rounded = out.astype(np.int64)
        if operation is not np.power or (rounded == out).all():
            return rounded
    return out


def _comparable(value, other):
    """Timestamps against a date written as text, both as datetime64."""
    if isinstance(value, Instants):
        stamps = value.values.astype(f"datetime64[{value.unit}]")
        return stamps if value.missing is None else np.where(value.missing, np.datetime64("NaT"), stamps)
    if isinstance(value, str):
        return np.datetime64(value)
    return value


def _apply(function: Callable, args: list, text: str, *, boolean: bool = False):
    """``function`` of values, on the table when all columns share one coding."""
    if any(isinstance(a, Instants) for a in args):
        raise ValueError(f"{text}: a timestamp column needs hour(), weekday(), date() or a comparison")
    coded = [a for a in args if isinstance(a, Coded)]
    arrays = [a for a in args if isinstance(a, np.ndarray) and a.ndim]
    if not coded and not arrays:
        with np.errstate(all="ignore"):
            return function(*args)
    shared = coded and not arrays and all(c.codes is coded[0].codes for c in coded)
    try:
        with np.errstate(all="ignore"):
            if shared:
                tables = [a.values if isinstance(a, Coded) else a for a in args]
                result = np.asarray(function(*tables))
                if boolean:
                    blank = np.zeros(len(result), bool)
                    for t in tables:
                        blank |= np.isnan(t) if isinstance(t, np.ndarray) and t.dtype.kind == "f" else False
                    result = np.where(blank, np.nan, result) if blank.any() else result
                return Coded(result, coded[0].codes, coded[0].complete)
            rows = [as_rows(a) if isinstance(a, Coded) else a for a in args]
            result = np.asarray(function(*rows))
    except TypeError as error:
        raise ValueError(f"{text} cannot be computed: {error}") from None
    if boolean and result.dtype.kind == "b":
        return _blank_where_missing(result, args, rows)
    return result


def _blank_where_missing(result: np.ndarray, args: list, rows: list):
    # A comparison with a missing value is missing, not False.
    missing = np.zeros(len(result), bool)
    for arg, row in zip(args, rows, strict=True):
        if isinstance(arg, Coded) and not arg.complete:
            missing |= arg.codes < 0
        elif isinstance(row, np.ndarray) and row.dtype.kind == "f":
            missing |= np.isnan(row)
        elif isinstance(row, np.ndarray) and row.dtype.kind == "M":
            missing |= np.isnat(row)
    codes = result.view(np.int8)
    if not missing.any():
        return Coded(np.array([False, True]), codes)
    return Coded(np.array([False, True]), np.where(missing, np.int8(-1), codes), False)
