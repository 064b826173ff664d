"""Response, weight, offset and group of a block: from the table's columns or from arrays beside it."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass

import numpy as np

from statkit.design.columns import Coded, Instants, as_rows
from statkit.design.expressions import quoted, top_call
from statkit.design.levels import Levels, ResponseCodes, level_keys

__all__ = [
    "NO_GROUP",
    "ResponseSpec",
    "colon_parts",
    "crossed",
    "group_numbers",
    "group_texts",
    "response_codes",
    "response_numbers",
    "response_values",
]

#: In an array of clusters beside the data: a row without one, which is left out. A missing time is this number too.
NO_GROUP = np.iinfo(np.int64).min


@dataclass(frozen=True)
class ResponseSpec:
    """What the response is.

    Attributes
    ----------
    kind : {"numbers", "classes", "survival", "beside"}
    texts : tuple of str
        Its expression, or those of time and event, or none.
    name : str
    """

    kind: str
    texts: tuple[str, ...]
    name: str


def survival_texts(text: str) -> tuple[str, ...] | None:
    """Expressions inside ``Surv(time, event)`` or ``Surv(start, stop, event)``, None for anything else."""
    call = top_call(text)
    if call is None or call[0] != "Surv":
        return None
    parts = tuple(ast.unparse(a) for a in call[1].args)
    if len(parts) not in (2, 3) or call[1].keywords:
        raise ValueError(f"{text}: write Surv(time, event) or Surv(start, stop, event)")
    return parts


def response_values(values: list, levels: Levels | None) -> np.ndarray:
    """Response as float64: numbers, class codes, or one column for each value; NaN where missing."""
    if levels is not None:
        return class_codes(values[0], levels)
    columns = [response_numbers(value) for value in values]
    return columns[0] if len(columns) == 1 else np.column_stack(columns)


def response_numbers(value) -> np.ndarray:
    """A number a row of a response, or of the times and events that make one."""
    if isinstance(value, Coded) and value.values.dtype.kind in "OUS" and len(value.values):
        text = str(value.values[0])
        raise ValueError(
            f"the response holds text such as {text!r} where a number is needed; an event is a comparison, as in "
            f"Surv(time, event == {text!r})"
        )
    return np.asarray(as_rows(value), dtype=np.float64)


def class_codes(value, levels: Levels) -> np.ndarray:
    """Codes of the classes as float64: NaN where missing, −2 for a class that is none of them."""
    if not isinstance(value, Coded):
        codes = levels.table_codes(value).astype(np.float64)
        return np.where(np.isnan(value), np.nan, codes) if value.dtype.kind == "f" else codes
    table = np.append(levels.table_codes(value.values).astype(np.float64), np.nan)
    return np.take(table, value.codes, mode="wrap")


def response_codes(spec: ResponseSpec, values: list, beside: np.ndarray | None) -> ResponseCodes | None:
    """The response for counting it by level; None when it has several columns or there is none."""
    if spec.kind == "beside":
        if beside is None or beside.ndim != 1 or beside.dtype.kind not in "biuf":
            return None
        return ResponseCodes(beside.astype(np.float64), None)
    if spec.kind == "survival" or not values:
        return None
    value = values[0]
    if isinstance(value, Coded) and (value.categorical or value.values.dtype.kind == "b"):
        labels = level_keys(value.values)
        if labels == sorted(set(labels)):
            return ResponseCodes(value.codes, labels)
        place = {label: i for i, label in enumerate(sorted(set(labels)))}
        rank = np.array([place[label] for label in labels] + [0])
        return ResponseCodes(np.take(rank, value.codes, mode="wrap"), sorted(place))
    return ResponseCodes(np.asarray(as_rows(value), dtype=np.float64), None)


def colon_parts(text: str) -> list[str]:
    """What colons outside brackets and quotes separate."""
    parts, depth, quote, last = [], 0, "", 0
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'`":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == ":" and depth == 0:
            parts.append(text[last:i])
            last = i + 1
    return [*parts, text[last:]]


def group_texts(group: str, schema: dict) -> tuple[str, ...]:
    """Expressions whose values together say the cluster: several where ``a:b`` crosses columns."""
    if group in schema:
        return (quoted(group),)
    return tuple(quoted(part) if part in schema else part for part in map(str.strip, colon_parts(group)))


def crossed(numbers: list[np.ndarray]) -> np.ndarray:
    """A number for each combination of clusters: their numbers mixed, so that all 64 bits depend on all of them."""
    out = numbers[0]
    for more in numbers[1:]:
        mixed = out.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + more.view(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out = (mixed ^ (mixed >> np.uint64(31))).view(np.int64)
    return out


def group_numbers(value) -> np.ndarray:
    """A 64-bit number a row that is equal in all partitions for equal values.

    Whole numbers and times are themselves; text is hashed (two of 10⁶ groups agree with probability 3·10⁻⁸).
    """
    if isinstance(value, Instants):
        return value.values.astype(np.int64, copy=False)
    if isinstance(value, Coded):
        return np.take(np.append(group_numbers(value.values), 0), value.codes, mode="wrap")
    kind = value.dtype.kind
    if kind in "biuM":
        return value.astype(np.int64)
    if kind == "f":
        # Value by value, so that a number has one code whatever else its partition holds.
        whole = np.isfinite(value) & (np.abs(value) < 2**53) & (value == np.floor(value))
        bits = (value + 0.0).view(np.int64)
        return np.where(whole, np.where(whole, value, 0).astype(np.int64), bits)
    table, codes = np.unique(value.astype(str), return_inverse=True)
    digests = [hashlib.blake2b(v.encode(), digest_size=8).digest() for v in table.tolist()]
    return np.frombuffer(b"".join(digests), dtype=np.int64)[codes] if digests else np.empty(0, np.int64)
