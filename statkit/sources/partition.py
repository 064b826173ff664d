"""A partition: where a worker finds some rows, never the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Partition"]


@dataclass(frozen=True, slots=True)
class Partition:
    """Some consecutive rows of a source.

    Attributes
    ----------
    key : int
        Position among the partitions.
    path : str or None
        File that holds the rows.
    unit : int or None
        Row group or record batch of the file.
    first_row, n_rows : int
        Number of the first row in the whole source, and how many follow.
    stamp : tuple or None
        Size and time of last change of the file when the source was opened.
    """

    key: int
    path: str | None
    unit: int | None
    first_row: int
    n_rows: int
    stamp: tuple | None = None


def slices(n_rows: int, step: int) -> tuple[Partition, ...]:
    """Partitions of ``step`` rows of data in memory."""
    starts = range(0, n_rows, step)
    return tuple(Partition(i, None, None, a, min(step, n_rows - a)) for i, a in enumerate(starts))
