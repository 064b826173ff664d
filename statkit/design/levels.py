"""Levels of categorical columns: counted over all partitions, frozen in one order, looked up strictly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from statkit.design.columns import Coded

__all__ = [
    "LevelCounts",
    "Levels",
    "ResponseCodes",
    "as_coded",
    "count_levels",
    "freeze_levels",
    "level_keys",
    "without_response",
]

UNKNOWN = -2
# A level of this name stands for all that are unknown.
OTHER = "__other__"
# The information matrix of more levels than this fits no memory; it is an identifier taken for a factor.
MAX_LEVELS = 50_000


@dataclass(frozen=True, slots=True)
class ResponseCodes:
    """The response while levels are counted: numbers, or codes of sorted labels."""

    values: np.ndarray
    labels: list | None


@dataclass(frozen=True, slots=True)
class LevelCounts:
    """Rows and range of the response by level in some partitions; merged exactly in any order.

    Attributes
    ----------
    name : str
        Of the factor, for messages.
    kind : str
        "string", "boolean", "integer", "float", "date" or "timestamp[unit]".
    counts : dict
        Level → (rows, smallest response, largest response); the last two are None without a response.
    order : tuple or None
        The order of the categories when all partitions agree on it, else None.
    """

    name: str
    kind: str
    counts: dict
    order: tuple | None

    def __post_init__(self):
        if len(self.counts) > MAX_LEVELS:
            raise ValueError(
                f"{self.name} has more than {MAX_LEVELS:,} levels: it cannot be a factor of a model"
            )

    def merge(self, other: LevelCounts) -> LevelCounts:
        """The counts of the rows of both."""
        merged = dict(self.counts)
        for level, entry in other.counts.items():
            merged[level] = _join(merged[level], entry) if level in merged else entry
        order = self.order if self.order == other.order else None
        return LevelCounts(self.name, _common_kind(self, other), merged, order)


def _common_kind(a: LevelCounts, b: LevelCounts) -> str:
    # A partition without rows knows nothing; whole numbers among fractions are fractions.
    if not a.counts:
        return b.kind
    if not b.counts or a.kind == b.kind:
        return a.kind
    return "float" if {a.kind, b.kind} <= {"integer", "float", "boolean"} else "string"


def as_coded(value) -> Coded:
    """Any column as table and codes."""
    if isinstance(value, Coded):
        return value
    if hasattr(value, "unit"):
        stamps = value.values.astype(f"datetime64[{value.unit}]")
        missing = value.missing
    else:
        stamps, missing = value, np.isnan(value) if value.dtype.kind == "f" else None
        missing = missing if missing is not None and missing.any() else None
    table, codes = np.unique(stamps, return_inverse=True)
    if missing is not None:
        codes = np.where(missing, -1, codes)
    return Coded(table, codes, missing is None)


def _kind_of(table: np.ndarray) -> str:
    kinds = {"b": "boolean", "i": "integer", "u": "integer", "f": "float", "O": "string", "U": "string"}
    if table.dtype.kind == "M":
        unit = np.datetime_data(table.dtype)[0]
        return "date" if unit == "D" else f"timestamp[{unit}]"
    return kinds[table.dtype.kind]


def _unit(kind: str) -> str:
    return "D" if kind == "date" else kind[len("timestamp[") : -1]


def level_keys(table: np.ndarray) -> list:
    """Levels as Python values that compare, sort and write to JSON: numbers, booleans or text."""
    if table.dtype.kind == "M":
        return table.astype(np.int64).tolist()
    return [v if isinstance(v, str) else str(v) for v in table] if table.dtype.kind == "O" else table.tolist()


def count_levels(
    name: str, coded: Coded, response: ResponseCodes | None, keep: np.ndarray | None
) -> LevelCounts:
    """Levels of one partition with their rows and range of the response.

    Parameters
    ----------
    name : str
    coded : Coded
        Without missing values in the rows kept.
    response : ResponseCodes or None
    keep : bool ndarray of shape (n,) or None
        Rows that count; None for all.
    """
    codes = coded.codes if keep is None else coded.codes[keep]
    size = len(coded.values)
    if response is None:
        n = np.bincount(codes, minlength=size)
        low = high = [None] * size
    else:
        y = response.values if keep is None else response.values[keep]
        n, low, high = _ranges(codes, size, y, response.labels)
    keys = level_keys(coded.values)
    counts: dict = {}
    for i in np.flatnonzero(n).tolist():
        entry = (int(n[i]), low[i], high[i])
        # Different table values may be one level, as in C(k // 10).
        counts[keys[i]] = _join(counts[keys[i]], entry) if keys[i] in counts else entry
    return LevelCounts(name, _kind_of(coded.values), counts, tuple(keys) if coded.ordered else None)


def _ranges(
    codes: np.ndarray, size: int, y: np.ndarray, labels: list | None
) -> tuple[np.ndarray, list, list]:
    """Rows, smallest and largest response by table value."""
    if labels is None:
        smallest, largest = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(smallest, codes, y)
        np.maximum.at(largest, codes, y)
        return np.bincount(codes, minlength=size), smallest.tolist(), largest.tolist()
    if not labels:
        return np.zeros(size, np.int64), [None] * size, [None] * size
    k = len(labels)
    both = np.bincount(codes * np.int64(k) + y, minlength=size * k).reshape(size, k)
    first, last = (both > 0).argmax(axis=1), k - 1 - (both[:, ::-1] > 0).argmax(axis=1)
    return both.sum(axis=1), [labels[i] for i in first], [labels[i] for i in last]


def _join(a: tuple, b: tuple) -> tuple:
    """Rows and range of two sets of rows of one level."""
    if a[1] is None or b[1] is None:
        return a[0] + b[0], None, None
    return a[0] + b[0], min(a[1], b[1]), max(a[2], b[2])


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of one factor in their order, with what was learnt of them.

    Attributes
    ----------
    kind : str
    keys : tuple
        Level values; dates and times as integers.
    n : tuple of int
    low, high : tuple or None
        Range of the response by level.
    """

    kind: str
    keys: tuple
    n: tuple
    low: tuple | None = None
    high: tuple | None = None

    @property
    def labels(self) -> list[str]:
        """Levels as they are written in names."""
        if self.kind == "date":
            return [str(np.datetime64(k, "D")) for k in self.keys]
        if self.kind.startswith("timestamp"):
            import pandas as pd

            return [
                str(pd.Timestamp(k)) for k in np.array(self.keys, dtype=f"datetime64[{_unit(self.kind)}]")
            ]
        return [f"{float(k)}" if self.kind == "float" else f"{k}" for k in self.keys]

    @property
    def values(self) -> list:
        """Levels as a user writes them in a formula: dates and times as text."""
        return self.labels if self.kind == "date" or self.kind.startswith("timestamp") else list(self.keys)

    def find(self, level) -> int | None:
        """Position of a level given by the user, None when it is none."""
        for i, value in enumerate(self.values):
            if value == level and isinstance(value, str) == isinstance(level, str):
                return i
        return None

    def table_codes(self, table: np.ndarray) -> np.ndarray:
        """Position of each table value among the levels, −2 for a value that is none.

        Where ``"__other__"`` is a level, it is the position of every value that is none.
        """
        if self.kind.startswith(("timestamp", "date")) and table.dtype.kind == "M":
            table = table.astype(f"datetime64[{_unit(self.kind)}]")
        if table.dtype.kind in "biuf" and self.kind in ("boolean", "integer", "float"):
            return _sorted_codes(np.asarray(self.keys), table)
        position = {key: i for i, key in enumerate(self.keys)}
        unknown = position.get(OTHER, UNKNOWN)
        return np.array([position.get(key, unknown) for key in level_keys(table)], dtype=np.int64)

    def to_dict(self) -> dict:
        return {"kind": self.kind, "keys": list(self.keys), "n": list(self.n)}

    @classmethod
    def from_dict(cls, kept: dict) -> Levels:
        return cls(kept["kind"], tuple(kept["keys"]), tuple(kept["n"]))


def _sorted_codes(keys: np.ndarray, table: np.ndarray) -> np.ndarray:
    if len(keys) == 0:
        return np.full(len(table), UNKNOWN)
    order = np.argsort(keys, kind="stable")
    at = np.minimum(np.searchsorted(keys[order], table), len(keys) - 1)
    return np.where(keys[order][at] == table, order[at], UNKNOWN)


def freeze_levels(counts: LevelCounts, given: list | None = None) -> Levels:
    """Levels in their final order: that of the categories, or sorted; or those given by the user.

    Parameters
    ----------
    counts : LevelCounts
    given : list or None
        Levels written in the formula.
    """
    kind = counts.kind
    if given is not None:
        keys = given
        if kind == "date" or kind.startswith("timestamp"):
            keys = np.array(given, dtype=f"datetime64[{_unit(kind)}]").astype(np.int64).tolist()
    elif counts.order is not None:
        keys = [k for k in counts.order if k in counts.counts]
    else:
        keys = sorted(counts.counts)
    rows = [counts.counts.get(k, (0, None, None)) for k in keys]
    seen = any(r[1] is not None for r in rows)
    return Levels(
        kind, tuple(keys), tuple(r[0] for r in rows),
        tuple(r[1] for r in rows) if seen else None, tuple(r[2] for r in rows) if seen else None,
    )  # fmt: skip


def without_response(levels: Levels) -> Levels:
    """The levels without what was learnt of the response, which only freezing needs."""
    return replace(levels, low=None, high=None)
