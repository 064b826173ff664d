"""Scaling of views: the one step that decides how much a view counts before any method has seen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

SCALES = ("block", "standard", "minmax")


@dataclass
class Scaler:
    """Shift and divisor of the columns of one view, from the rows of the fit."""

    shift: np.ndarray | None
    divisor: np.ndarray | None

    def __call__(self, array, seen=None) -> Any:
        """Scale the rows; those not ``seen`` become zero. Sparse views are divided, not shifted."""
        if self.divisor is None:
            return array
        if sparse.issparse(array):
            return array.multiply(1.0 / self.divisor[None, :]).tocsr()
        scaled = (array - self.shift) / self.divisor
        if seen is not None:
            scaled[~seen] = 0.0
        return scaled


def fit_scaler(array, name: str, scale: str | None, seen=None, weight=None) -> Scaler:
    """Learn the scaling of a view.

    ``"standard"`` is mean 0 and variance 1 a column; ``"block"`` divides that by the square root of the
    number of columns, so that every view has total variance 1 whatever its width; ``"minmax"`` is the unit
    interval. Constant columns become zero. Sparse views keep their zeros: they are divided and not shifted,
    which changes neither distances nor centred linear kernels.
    """
    w = np.ones(array.shape[0]) if weight is None else np.asarray(weight, dtype=np.float64)
    if seen is not None:
        w = w * seen
    total = w.sum()
    if sparse.issparse(array):
        mean = np.asarray(array.T @ w).ravel() / total
        spread = np.sqrt(np.maximum(np.asarray(array.multiply(array).T @ w).ravel() / total - mean**2, 0.0))
        low = high = None
    else:
        used = w > 0
        mean = (w @ array) / total
        centred = array - mean
        spread = np.sqrt(np.einsum("i,ij,ij->j", w, centred, centred) / total)
        rows = array if used.all() else array[used]
        low, high = rows.min(axis=0), rows.max(axis=0)
    # A column whose spread is rounding error of its mean is constant.
    flat = spread <= 1e-13 * np.abs(mean) + 1e-300
    if flat.all():
        raise ValueError(
            f"view {name!r} is constant: none of its {array.shape[1]} columns varies over the "
            "samples, so it says "
            "nothing about clusters; leave it out"
        )
    if scale is None:
        return Scaler(None, None)
    if scale == "minmax" and low is not None:
        return Scaler(low, np.where(high > low, high - low, np.inf))
    divisor = np.where(flat, np.inf, spread)
    if scale == "block":
        divisor = divisor * np.sqrt(array.shape[1])
    return Scaler(mean, divisor)
