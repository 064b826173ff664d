"""From what a user passes to ``fit`` to a source and a design: arrays, frames, files, formulas, names of columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statkit._magnitude import check_magnitude
from statkit.design.roles import NO_GROUP, group_numbers
from statkit.sources.array import is_labelled_array

__all__ = [
    "Roles",
    "as_vector",
    "check_labels",
    "check_no_label_is_missing",
    "check_unmasked",
    "covariance_asked",
    "group_codes",
    "is_frame",
    "is_matrix",
    "one_class",
    "unknown_label",
]


@dataclass
class Roles:
    """Response, weights, offset and groups: each an array beside the data, a column's name, or None."""

    y: object = None
    weight: object = None
    offset: object = None
    group: object = None

    def __post_init__(self):
        for name, value in self.arrays().items():
            check_unmasked(value, {"weight": "sample_weight", "group": "groups"}.get(name, name))

    def arrays(self) -> dict:
        """Those that are arrays."""
        return {name: value for name, value in vars(self).items() if not isinstance(value, (str, type(None)))}

    def names(self) -> dict:
        """Those that are names of columns."""
        return {name: value for name, value in vars(self).items() if isinstance(value, str)}


def is_matrix(X) -> bool:
    """Whether ``X`` is a plain matrix: an array, a sparse matrix, nested lists, or a frame without named columns.

    Asked of all data that come in, so that it is here that a matrix with masked entries is refused.
    """
    check_unmasked(X, "X")
    if isinstance(X, np.ndarray) or hasattr(X, "tocsr") or is_labelled_array(X):
        return True
    if isinstance(X, (list, tuple)):
        return not X or (not isinstance(X[0], str) and not hasattr(X[0], "__fspath__"))
    if is_frame(X):
        if hasattr(X, "num_rows"):  # Arrow: its names are text
            return False
        return hasattr(X, "columns") and not any(isinstance(name, str) for name in X.columns)
    return hasattr(X, "__array__") and not hasattr(X, "__arrow_c_stream__")


def is_frame(X) -> bool:
    """Whether ``X`` is a table in memory."""
    if hasattr(X, "dtypes") and hasattr(X, "columns"):
        return True
    return hasattr(X, "schema") and hasattr(X, "num_rows")


def check_unmasked(values, name: str) -> None:
    """Refuse masked entries, whose masks conversions drop: what lies under them would count."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{name} has masked entries: mark them as missing with {name}.astype(float).filled(np.nan), or leave their "
            "rows out"
        )


def as_vector(values, name: str, n: int | None = None, positive: bool = False) -> np.ndarray:
    """A float64 vector from what the user passed, or an error that names it."""
    values = np.asarray(values)
    if values.ndim == 0:
        if n is None:
            raise ValueError(f"{name} must be an array or a column's name, not {values.item()!r}")
        values = np.full(n, values.item())
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, it has shape {values.shape}")
    try:
        values = np.ascontiguousarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numeric: {error}") from None
    if n is not None and len(values) != n:
        raise ValueError(f"{name} has {len(values)} values for {n} rows")
    if positive and len(values) and values.min() < 0:
        at = int(np.argmin(values))
        raise ValueError(f"{name} must not be negative: row {at} has {values[at]}")
    if positive:
        check_magnitude(values, name)
    return values


def covariance_asked(cov_type: str | None, groups) -> str:
    """The kind of errors of R-style functions: clustered where there are groups and nothing else is said."""
    return cov_type or ("nonrobust" if groups is None else "cluster")


def one_class(label) -> ValueError:
    """The error of a classifier all of whose labels are this one, as Python writes it."""
    return ValueError(
        f"Classifier can't train when only one class is present: every label is {_plain(label)!r}"
    )


def unknown_label(at: int, label, classes) -> ValueError:
    """The error of a label that is none of the classes."""
    return ValueError(
        f"row {at} of y has the label {_plain(label)!r}, which is none of the classes {np.asarray(classes).tolist()!r}"
    )


def _plain(label):
    return np.asarray([label]).tolist()[0]


def check_no_label_is_missing(y) -> None:
    """Refuse labels among which one is None, NaN or NA: they have no order, and are no class."""
    import pandas as pd

    missing = pd.isna(y)
    if missing.any():
        raise ValueError(
            f"Input y contains NaN: row {int(np.argmax(missing))} has no label; leave such rows out"
        )


def check_labels(family, design) -> None:
    """Refuse a response that holds labels where the family needs numbers; two are binomial."""
    classes = design.classes
    if classes is None or set(classes) <= {False, True}:
        return
    shown = ", ".join(map(repr, classes[:5])) + (", …" if len(classes) > 5 else "")
    if family.name not in ("binomial", "quasi_binomial"):
        raise ValueError(
            f"response {design.response_name!r} holds labels ({shown}): the {family.name} family needs numbers; labels "
            "are fitted by family='binomial' if there are two, and by GLMClassifier"
        )
    if len(classes) > 2:
        raise ValueError(
            f"response {design.response_name!r} has {len(classes)} levels ({shown}): the {family.name} family needs two; "
            "GLMClassifier fits more"
        )


def group_codes(groups) -> np.ndarray:
    """Labels of clusters as integers that identify them, the same in every batch; `NO_GROUP` where there is none."""
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(f"groups must hold one label a row, it has shape {groups.shape}")
    if groups.dtype.kind in "iub":
        return groups.astype(np.int64)
    import pandas as pd

    return np.where(pd.isna(groups), NO_GROUP, group_numbers(groups))
