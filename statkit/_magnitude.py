"""Numbers whose powers are no numbers: refused with their place, before they turn into NaN somewhere.

In double precision the square of 1e200 is infinite and that of 1e-200 is zero. Fourth powers, and sums and
products of them with weights, need more room on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["LARGEST", "SMALLEST", "check_magnitude"]

LARGEST = 1e70
SMALLEST = 1e-70


def check_magnitude(values: Any, what: str = "X", names: Sequence | None = None) -> None:
    """Refuse columns that hold a number beyond 1e70, or none but zeros and numbers below 1e-70.

    Parameters
    ----------
    values : ndarray or sparse matrix, of one or two dimensions; NaN is let pass
    what : str
        What the values are, for the message.
    names : sequence or None
        Names of the columns.

    Raises
    ------
    ValueError
        The column is named, and what to do.
    """
    if values.dtype.kind != "f" or not values.size or 0 in values.shape:
        return
    if isinstance(values, np.ndarray):
        if values.ndim == 2 and _in_range(values):
            return
        high, low = _extremes(values)
    else:  # sparse: the column of a value is looked for only where one is out of range
        stored = values.data
        if not stored.size:
            return
        high, low = _extremes(stored)
        if not _bad(high, low).any():
            return
        matrix = values.tocsc()
        high, low = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
        for j in range(matrix.shape[1]):
            column = matrix.data[matrix.indptr[j] : matrix.indptr[j + 1]]
            if column.size:
                high[j], low[j] = _extremes(column)
    bad = np.atleast_1d(_bad(high, low))
    if not bad.any():
        return
    j = int(np.argmax(bad))
    value = np.atleast_1d(np.maximum(high, -low))[j]
    place = what
    if values.ndim == 2:
        place = f"column {j if names is None else names[j]!r} of {what}"
    kind = "values as large as" if value > LARGEST else "no value larger than"
    raise ValueError(
        f"{place} has {kind} {value:.1e}: powers of such numbers are not numbers in double precision; "
        f"{'divide' if value > LARGEST else 'multiply'} it by a constant"
    )


def _in_range(values):
    """Whether one look at all numbers and the first rows of each column settle it: reducing by column takes longer."""
    with np.errstate(invalid="ignore"):
        largest = float(
            max(np.max(values), -np.min(values))
        )  # NaN, where there is one, and then not in range
        first = np.max(np.abs(values[:1_000].astype(float)), axis=0)
    return largest <= LARGEST and bool((first >= SMALLEST).all())


def _extremes(values):
    if values.ndim == 1:
        return np.fmax.reduce(values), np.fmin.reduce(values)
    return np.fmax.reduce(values, axis=0), np.fmin.reduce(values, axis=0)


def _bad(high, low):
    largest = np.asarray(np.maximum(high, -low), dtype=float)  # the bounds are beyond single precision
    with np.errstate(invalid="ignore"):
        return np.isfinite(largest) & ((largest > LARGEST) | ((largest < SMALLEST) & (largest > 0)))
