"""What is known of the graph before the data are seen: forbidden edges, required edges, tiers of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from statkit.causal.acyclicity import find_cycle, reachability

__all__ = ["Knowledge"]


class Knowledge(NamedTuple):
    """Edges that may be, edges that must be, and which column must come before which.

    Make one with `Knowledge.of`.

    Attributes
    ----------
    allowed : ndarray of bool, shape (d, d)
        Edges that a search may use.
    required : ndarray of bool, shape (d, d)
        Edges that every graph has.
    precedes : ndarray of bool, shape (d, d)
        ``precedes[i, j]``: i comes before j in every causal order.
    """

    allowed: np.ndarray
    required: np.ndarray
    precedes: np.ndarray

    @classmethod
    def none(cls, d: int) -> Knowledge:
        """Return the knowledge that forbids and requires nothing."""
        return cls(~np.eye(d, dtype=bool), np.zeros((d, d), dtype=bool), np.zeros((d, d), dtype=bool))

    @classmethod
    def of(
        cls,
        d: int,
        *,
        forbidden: Any = None,
        required: Any = None,
        tiers: Any = None,
        names: Sequence[str] | None = None,
    ) -> Knowledge:
        """Put knowledge about ``d`` columns together.

        Parameters
        ----------
        d : int
        forbidden, required : sequence of pairs (cause, effect), or bool array of shape (d, d), default=None
            Columns by number or name.
        tiers : sequence of sequences of columns, default=None
            No edge goes from a later tier to an earlier one. Columns in no tier are free.
        names : sequence of str, default=None
            Column names.

        Returns
        -------
        Knowledge

        Examples
        --------
        >>> from statkit.causal import Knowledge
        >>> Knowledge.of(3, forbidden=[(0, 1)], tiers=[[0, 1], [2]]).allowed.astype(int)
        array([[0, 0, 1],
               [1, 0, 1],
               [0, 0, 0]])
        """
        label = [str(i) for i in range(d)] if names is None else [str(name) for name in names]
        banned = _matrix(forbidden, d, names, "forbidden")
        needed = _matrix(required, d, names, "required")
        before = np.zeros((d, d), dtype=bool)
        if tiers is not None:
            level = np.full(d, -1)
            for k, tier in enumerate(tiers):
                if isinstance(tier, str) or not np.iterable(tier):
                    raise ValueError(f"tiers must be a list of lists of columns, but tier {k} is {tier!r}")
                for column in tier:
                    i = _index(column, d, names, "tiers")
                    if level[i] >= 0:
                        raise ValueError(f"column {label[i]} is in tiers {level[i]} and {k}")
                    level[i] = k
            placed = level >= 0
            before = (level[:, None] < level) & placed[:, None] & placed
        clash = np.argwhere(needed & (banned | before.T | np.eye(d, dtype=bool)))
        if len(clash):
            i, j = clash[0]
            why = "is forbidden" if banned[i, j] else "goes to itself" if i == j else "goes back in the tiers"
            raise ValueError(f"the required edge {label[i]} -> {label[j]} {why}")
        cycle = find_cycle(needed)
        if cycle:
            raise ValueError("the required edges form a cycle: " + " -> ".join(label[i] for i in cycle))
        cycle = find_cycle(needed | before)
        if cycle:
            raise ValueError(
                "the required edges contradict the tiers: " + " -> ".join(label[i] for i in cycle)
            )
        precedes = reachability(needed | before)
        allowed = ~(banned | before.T | reachability(needed).T | np.eye(d, dtype=bool))
        return cls(allowed, needed, precedes)

    def feasible_order(self, order: Any) -> np.ndarray:
        """Return the columns in ``order``, moved back as little as `precedes` demands."""
        left = [int(i) for i in order]
        out = []
        while left:
            for i in left:
                if not self.precedes[left, i].any():
                    out.append(i)
                    left.remove(i)
                    break
        return np.array(out, dtype=np.int64)


def _matrix(given, d, names, what) -> np.ndarray:
    out = np.zeros((d, d), dtype=bool)
    if given is None:
        return out
    array = np.asarray(given) if not isinstance(given, (set, frozenset)) else None
    if array is not None and array.dtype == bool:
        if array.shape != (d, d):
            raise ValueError(f"{what} must have shape ({d}, {d}), not {array.shape}")
        return array.copy()
    for pair in given:
        if isinstance(pair, str) or not np.iterable(pair) or len(tuple(pair)) != 2:
            raise ValueError(f"{what} must hold pairs (cause, effect), but has {pair!r}")
        i, j = (_index(column, d, names, what) for column in pair)
        out[i, j] = True
    return out


def _index(column, d, names, what) -> int:
    if isinstance(column, str):
        found = [] if names is None else np.flatnonzero(np.asarray(names, dtype=object) == column)
        if len(found) == 0:
            known = (
                "the columns have no names" if names is None else f"there are {', '.join(map(str, names))}"
            )
            raise ValueError(f"{what} names the column {column!r}, but {known}")
        return int(found[0])
    if isinstance(column, (int, np.integer)) and not isinstance(column, bool) and 0 <= column < d:
        return int(column)
    raise ValueError(f"{what} names the column {column!r}; columns are numbered 0 to {d - 1}")
