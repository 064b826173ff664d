"""Raw rows of one partition, before any statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["Rows"]


@dataclass(slots=True)
class Rows:
    """What a source reads of one partition.

    Parameters
    ----------
    first_row : int
        Number of the first row, counted over all partitions.
    n_rows : int
    table : pyarrow.Table or None
        The columns that were asked for, in that order. Text from files comes dictionary-encoded, sorted;
        `Source.schema` says that it is text. None for a plain matrix.
    X : ndarray or CSR matrix of shape (n_rows, n_features), or None
        Rows of a matrix that was given as such: a view.
    beside : dict of str to ndarray
        Rows of the arrays given beside the data: any of ``"y"``, ``"weight"``, ``"offset"``, ``"group"``.
    where : str
        For messages, such as ``"flights.parquet, row group 3"`` or ``"rows 0–65535"``.
    """

    first_row: int
    n_rows: int
    table: pa.Table | None
    X: Any
    beside: dict[str, np.ndarray]
    where: str
