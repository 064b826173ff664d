"""A partition: where a worker finds some of the rows, never the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Partition"]


@dataclass(frozen=True, slots=True)
class Partition:
    """A picklable address of consecutive rows.

    Parameters
    ----------
    key : int
        Place among the partitions, counted from 0: sums are merged in its order.
    path : str or None
        File that holds the rows; None for rows in memory.
    unit : int or None
        Row group in the file, or None.
    first_row : int
        Number of the first row, counted over all partitions.
    n_rows : int
    stamp : tuple of int or None
        Size in bytes and time of the last change, in nanoseconds, of the file when it was listed.
    constants : tuple of (str, value) pairs
        Columns that the file lacks because its folder's name says them (``year=2001/part-0.parquet``).
    held : object
        Where a cluster has the rows (its engine sends them to the worker, not to other processes), or None.
    """

    key: int
    path: str | None
    unit: int | None
    first_row: int
    n_rows: int
    stamp: tuple[int, int] | None = None
    constants: tuple[tuple[str, object], ...] = ()
    held: Any = field(default=None, compare=False, repr=False)
