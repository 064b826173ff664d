"""Checks of a table before a graph is learned from it, with messages that name the columns."""

from __future__ import annotations

import warnings

import numpy as np

from statkit._magnitude import check_magnitude

_FEW_LEVELS = 5


def column_names(estimator, d: int) -> list[str]:
    """Return the names an estimator saw, or x0, x1, …"""
    given = getattr(estimator, "feature_names_in_", None)
    return [f"x{j}" for j in range(d)] if given is None else [str(name) for name in given]


def check_table(X, weight, names, *, equal_var: bool) -> np.ndarray:
    """Raise or warn about columns that no graph can be learned from; return their observed variances."""
    check_magnitude(X, names=names)
    if weight is not None:
        check_magnitude(weight, "sample_weight")
    d = X.shape[1]
    used = np.ones(len(X), dtype=bool) if weight is None else weight > 0
    if used.sum() < 2:
        raise ValueError(f"a graph needs at least 2 rows of positive weight, got {int(used.sum())}")
    variances = np.empty(d)
    whole = []
    for j in range(d):
        column = np.asarray(X[used, j], dtype=float)
        kept = ~np.isnan(column)
        column = column[kept]
        if not len(column):
            raise ValueError(f"column {names[j]} has no observed value: leave it out")
        if column.min() == column.max():
            raise ValueError(
                f"column {names[j]} is constant (all its observed values are {column[0]:g}): leave it out"
            )
        w = None if weight is None else weight[used][kept]
        variances[j] = np.average((column - np.average(column, weights=w)) ** 2, weights=w)
        head = column[:1000]
        if (head == np.round(head)).all() and len(np.unique(head)) < _FEW_LEVELS:
            if len(np.unique(column)) < _FEW_LEVELS:
                whole.append(names[j])
    if whole:
        warnings.warn(
            f"columns with fewer than {_FEW_LEVELS} whole numbers as values are treated as continuous: "
            + ", ".join(whole),
            stacklevel=5,
        )
    _warn_disjoint(X, used, names)
    if equal_var and d > 1 and np.ptp(variances) <= 0.02 * variances.max():
        warnings.warn(
            "model='equal_var' reads directions from variances, but all columns have the same observed "
            "variance, as after standardising: use model='gaussian'",
            stacklevel=5,
        )
    return variances


def _warn_disjoint(X, used, names) -> None:
    seen = ~np.isnan(X)
    if seen.all():
        return
    together = np.zeros((X.shape[1], X.shape[1]))
    for lo in range(0, len(X), 65_536):
        part = (seen[lo : lo + 65_536] & used[lo : lo + 65_536, None]).astype(np.float32)
        together += part.T @ part
    pairs = np.argwhere(np.triu(together == 0, 1))
    if len(pairs):
        shown = ", ".join(f"{names[i]} and {names[j]}" for i, j in pairs[:5])
        more = f" and {len(pairs) - 5} pairs more" if len(pairs) > 5 else ""
        warnings.warn(
            f"never observed together: {shown}{more}; what links them rests on the model alone",
            stacklevel=6,
        )
