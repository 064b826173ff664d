"""Clusters of several kinds at once: rows are dependent that share a firm, or a year, or both.

The covariance adds those by each kind and takes away those by combinations, which were counted twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

__all__ = ["several_ways", "ways_of"]

#: Kinds of clusters: their combinations, each of which takes a pass, double with every one.
_MOST = 5
#: Share of the variance below which a negative eigenvalue is rounding.
_ROUNDING = 1e-12


def ways_of(groups: Any) -> list | None:
    """The kinds of clusters, names or arrays; None where there is one.

    A list of a few strings holds names, a list of a few arrays labels; so do the columns of a matrix or frame.
    """
    if isinstance(groups, (list, tuple)) and 1 <= len(groups) <= _MOST:
        named = [isinstance(way, str) for way in groups]
        arrays = [np.ndim(way) == 1 for way in groups]
        if not (any(named) or any(arrays)):
            return None
        if not (all(named) or all(arrays)):
            raise ValueError(
                "clusters of several kinds are all names of columns, or all arrays with a label for each row"
            )
        ways = list(groups) if all(named) else [np.asarray(way) for way in groups]
    elif hasattr(groups, "columns") and hasattr(groups, "to_numpy"):
        ways = [np.asarray(groups[name]) for name in groups.columns]
    elif np.ndim(groups) == 2:
        ways = list(np.asarray(groups).T)
    else:
        return None
    if not 1 <= len(ways) <= _MOST:
        raise ValueError(f"there may be 1 to {_MOST} kinds of clusters, not {len(ways)}")
    if len({len(way) for way in ways if not isinstance(way, str)}) > 1:
        raise ValueError(f"arrays of labels have different lengths: {[len(way) for way in ways]}")
    return ways


def several_ways(estimate, ways: list, clustered: Callable[[Any], dict]) -> dict[str, Any]:
    """Attributes of an estimate with clusters of several kinds.

    Parameters
    ----------
    estimate : Estimate
    ways : list of str, or of arrays
    clustered : callable
        The attributes with clusters of one kind.

    References
    ----------
    A. C. Cameron, J. B. Gelbach and D. L. Miller (2011), Robust inference with multiway clustering.
    """
    covariance: Any = 0.0
    alone: list[dict] = []
    passes = {"n_passes": 0.0, "n_rounds": 0, "seconds": 0.0}
    changes: dict[str, Any] = {}
    for size in range(1, len(ways) + 1):
        for some in itertools.combinations(ways, size):
            changes = clustered(some[0] if size == 1 else _crossed(some))
            covariance = covariance + (1 if size % 2 else -1) * changes["covariance"]
            alone += [changes] if size == 1 else []
            for name in passes:
                passes[name] += changes[name] - getattr(estimate, name)
    covariance, mended = _definite(covariance, np.sum([one["covariance"] for one in alone], axis=0))
    changes |= {name: getattr(estimate, name) + value for name, value in passes.items()}
    changes |= {
        "covariance": covariance, "meat": None,
        "df_resid_inference": min(one["df_resid_inference"] for one in alone),
    }  # fmt: skip
    if mended:
        changes["notes"] = [
            *estimate.notes,
            "The covariance by several kinds of clusters had negative eigenvalues, which were set to zero: too few "
            "clusters of a kind for so many coefficients.",
        ]
    return changes


def _crossed(some: tuple) -> Any:
    """Clusters by combinations: a name that crosses columns, or an array with NaN where a label is missing."""
    if isinstance(some[0], str):
        return ":".join(name if "`" in name or ":" not in name else f"`{name}`" for name in some)
    import pandas as pd

    codes = np.column_stack([pd.factorize(way)[0] for way in some])
    both = np.unique(codes, axis=0, return_inverse=True)[1].ravel()
    return np.where((codes < 0).any(axis=1), np.nan, both)


def _definite(covariance: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, bool]:
    """The nearest covariance in units of ``spread``, so that units of measurement do not matter."""
    known = np.flatnonzero(np.diagonal(spread) > 0)
    root = np.sqrt(np.diagonal(spread)[known])
    values, vectors = linalg.eigh(covariance[np.ix_(known, known)] / np.outer(root, root))
    if not (values < -_ROUNDING).any():
        return covariance, False
    half = vectors * np.sqrt(np.maximum(values, 0.0))
    mended = covariance.copy()
    mended[np.ix_(known, known)] = half @ half.T * np.outer(root, root)
    return mended, True
