"""Summaries of blocks, and their sum in a fixed tree.

A summary is a dict whose values are numbers or arrays, which add, or objects with ``merge(other)``. Partial sums
always join the same neighbours, whatever order they arrive in, so that every engine gives the same bits.
"""

from __future__ import annotations

import threading

__all__ = ["TreeSum", "merge_summaries"]


def merge_summaries(left: dict, right: dict) -> dict:
    """The summary of the rows of both, ``left`` before ``right``.

    Parameters
    ----------
    left, right : dict
        Summaries with the same names: values that have ``merge`` are merged, all others added.

    Returns
    -------
    summary : dict

    Examples
    --------
    >>> from statkit.engines import merge_summaries
    >>> merge_summaries({"rows": 3, "sum": 1.5}, {"rows": 2, "sum": 0.5})
    {'rows': 5, 'sum': 2.0}
    """
    merged = {}
    for name, value in left.items():
        other = right[name]
        merged[name] = value.merge(other) if hasattr(value, "merge") else value + other
    return merged


class TreeSum:
    """Sum of ``n`` summaries by pairing neighbours level by level; at most log n wait in memory in order.

    Parameters
    ----------
    n : int
        Number of summaries that will be added, numbered 0 to n − 1.
    """

    def __init__(self, n: int):
        self._widths = [n]
        while self._widths[-1] > 1:
            self._widths.append((self._widths[-1] + 1) // 2)
        self._waiting: dict[tuple[int, int], dict] = {}
        self._lock = threading.Lock()

    def add(self, index: int, summary: dict) -> None:
        level = 0
        while level < len(self._widths) - 1:
            sibling = index ^ 1
            if sibling < self._widths[level]:
                with self._lock:
                    other = self._waiting.pop((level, sibling), None)
                    if other is None:
                        self._waiting[level, index] = summary
                        return
                summary = merge_summaries(*((other, summary) if sibling < index else (summary, other)))
            level, index = level + 1, index // 2
        self._waiting[level, 0] = summary

    def result(self) -> dict:
        """The whole sum, once every summary was added."""
        return self._waiting[len(self._widths) - 1, 0]
