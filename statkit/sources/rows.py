"""Raw rows of one partition, before any statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Rows"]


@dataclass(slots=True)
class Rows:
    """What a source reads for one partition.

    Attributes
    ----------
    first_row, n_rows : int
    table : pyarrow.Table or None
        The named columns that were asked for.
    X : ndarray, CSR matrix or None
        Rows of a matrix that was given as such, without copying.
    beside : dict of ndarray
        Arrays passed beside the data: some of "y", "weight", "offset", "group".
    where : str
        The rows' place, for messages.
    """

    first_row: int
    n_rows: int
    table: Any
    X: Any
    beside: dict = field(default_factory=dict)
    where: str = ""
