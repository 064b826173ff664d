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
    given, given_known = split_missing(y, "y")
    if y_trusted is None:
        trusted, trusted_known = given[:0], np.zeros(len(given), bool)
    else:
        trusted, trusted_known = split_missing(y_trusted, "y_trusted")
        if len(trusted_known) != len(given_known):
            raise ValueError(
                f"y_trusted has {len(trusted_known)} entries and y has {len(given_known)}: give one entry a "
                "document, missing (None, NaN, or -1 for integers) where the truth is not known"
            )
    if classes is None:
        classes = unique_labels(given, trusted)
        integers = np.asarray(y).dtype.kind in "iu"
        if integers and len(classes) == 1 and classes[0] == 1 and not given_known.all():
            raise ValueError(
                "y has the values -1 and 1, but -1 stands for a missing label: recode the classes, to 0 and 1 "
                "for instance"
            )
    return Encoded(
        classes,
        _codes(given, given_known, classes, "y"),
        _codes(trusted, trusted_known, classes, "y_trusted"),
    )


def split_missing(y, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Known labels, of one type, and the mask of where they are."""
    if y is None:
        raise ValueError(f"fitting requires y to be passed, but the target {name} is None")
    y = column_or_1d(np.asarray(y, dtype=object) if _is_text(y) else np.asarray(y), warn=True)
    if y.dtype.kind in "OUS":
        known = ~pd.isna(y.astype(object))
        values = _one_type(y[known], name)
        if values.dtype.kind in "iu":
            keep = values != MISSING
            known[np.flatnonzero(known)] = keep
            values = values[keep]
    elif y.dtype.kind == "f":
        if np.isinf(y).any():
            raise ValueError(f"{name} contains infinity at position {np.flatnonzero(np.isinf(y))[0]}")
        known = ~np.isnan(y)
        values = y[known]
    elif y.dtype.kind in "iub":
        known = y != MISSING if y.dtype.kind == "i" else np.ones(len(y), bool)
        values = y[known]
    else:
        raise ValueError(f"{name} has type {y.dtype}: labels are strings, numbers or booleans")
    if len(values):
        check_classification_targets(values)
    return values, known


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


def _is_text(y) -> bool:
    dtype = getattr(y, "dtype", None)
    return dtype is None and not np.isscalar(y) and any(isinstance(v, str) or v is None for v in _peek(y))


def _peek(y):
    return y if isinstance(y, (list, tuple)) else ()


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
                f"{name} has the label {values[wrong][0]!r} at position "
                f"{np.flatnonzero(known)[wrong][0]}, which is not one of the classes {classes.tolist()[:20]}"
            )
        out[known] = at
    return out
