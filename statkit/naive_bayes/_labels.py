"""Labels as people give them, to codes: missing values, trusted labels, strings, numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples

#: Code of a missing label.
MISSING = -1


class Encoded(NamedTuple):
    """``classes`` (K,) sorted; ``given`` and ``trusted`` (n,) codes, -1 where missing."""

    classes: np.ndarray
    given: np.ndarray
    trusted: np.ndarray


def encode_labels(y, y_trusted=None, classes=None) -> Encoded:
    """Codes of given and trusted labels; ``classes`` fixes the classes, otherwise all that occur are used."""
    parts = [split_missing(y, "y")]
    if y_trusted is not None:
        parts.append(split_missing(y_trusted, "y_trusted"))
        lengths = [len(known) for _, known in parts]
        if lengths[0] != lengths[1]:
            raise ValueError(
                f"y_trusted has {lengths[1]} entries and y has {lengths[0]}: give one entry a document, "
                f"missing "
                "(None, NaN, or -1 among integers) where the truth is not known"
            )
    parts = drop_minus_one(parts, classes)
    if classes is None:
        classes = unique_labels(*(values for values, _ in parts))
    codes = [_codes(*part, classes, name) for part, name in zip(parts, ("y", "y_trusted"), strict=False)]
    return Encoded(classes, codes[0], codes[1] if y_trusted is not None else np.full_like(codes[0], MISSING))


def split_missing(y, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels other than None and NaN, of one type, and the mask of where they are."""
    if y is None:
        raise ValueError(f"fitting requires y to be passed, but the target {name} is None")
    array = np.asarray(y)
    if array.dtype.kind in "US" and isinstance(y, (list, tuple)):
        array = np.asarray(y, dtype=object)  # a None among strings has become text
    array = column_or_1d(array, warn=True)
    if array.dtype.kind in "OUS":
        known = ~pd.isna(array.astype(object))
        values = _one_type(array[known], name)
    elif array.dtype.kind in "fiub":
        if array.dtype.kind == "f" and np.isinf(array).any():
            raise ValueError(f"{name} contains infinity at position {np.flatnonzero(np.isinf(array))[0]}")
        known = ~np.isnan(array) if array.dtype.kind == "f" else np.ones(len(array), bool)
        values = array[known]
    else:
        raise ValueError(f"{name} has type {array.dtype}: labels are strings, numbers or booleans")
    if len(values):
        check_classification_targets(values)
    return values, known


def drop_minus_one(parts, classes=None):
    """Count -1 among integers as missing, unless it is a class or the labels are just -1 and 1."""
    integers = [values for values, _ in parts if values.dtype.kind == "i"]
    if not integers:
        return parts
    seen = np.unique(np.concatenate(integers)) if classes is None else np.asarray(classes)
    if MISSING in seen and (classes is not None or seen.tolist() == [-1, 1]):
        return parts
    return [_without_minus_one(*part) for part in parts]


def _without_minus_one(values: np.ndarray, known: np.ndarray):
    if values.dtype.kind != "i":
        return values, known
    keep = values != MISSING
    known = known.copy()
    known[known] = keep
    return values[keep], known


def unique_labels(*parts: np.ndarray) -> np.ndarray:
    """Sorted distinct labels of all parts that have any."""
    parts = tuple(part for part in parts if len(part))
    if not parts:
        raise ValueError(
            "all labels are missing: give some in y, or trusted ones in y_trusted (None, NaN, and -1 among "
            "integers, count as missing)"
        )
    if len({part.dtype.kind in "US" for part in parts}) > 1:
        raise ValueError("given and trusted labels mix strings and numbers: use one type")
    return np.unique(np.concatenate(parts))


def index_of(y) -> pd.Index:
    """Index of a pandas object, or row numbers."""
    index = getattr(y, "index", None)
    return index if isinstance(index, pd.Index) else pd.RangeIndex(_num_samples(y))


def _one_type(values: np.ndarray, name: str) -> np.ndarray:
    kinds = {_kind(v) for v in values}
    if len(kinds) > 1:
        raise ValueError(f"{name} mixes labels of types {', '.join(sorted(kinds))}: use one type")
    if not kinds or kinds == {"text"}:
        return values.astype(str)
    if kinds == {"number"}:
        return np.array(values.tolist())
    raise ValueError(f"{name} has labels of type {kinds.pop()}: unknown label type; use strings or numbers")


def _kind(value) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return "number"
    return type(value).__name__


def _codes(values, known, classes, name) -> np.ndarray:
    out = np.full(len(known), MISSING, dtype=np.int64)
    if len(values):
        if (values.dtype.kind in "US") != (classes.dtype.kind in "US"):
            raise ValueError(f"{name} and the classes mix strings and numbers: use one type")
        at = np.searchsorted(classes, values)
        wrong = (at == len(classes)) | (classes[np.minimum(at, len(classes) - 1)] != values)
        if wrong.any():
            raise ValueError(
                f"{name} has the label {values[wrong][0].item()!r} at position "
                f"{np.flatnonzero(known)[wrong][0]}, which is not one of the classes {classes.tolist()[:20]}"
            )
        out[known] = at
    return out
