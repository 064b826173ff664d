"""What sources in memory share: their partitions are slices, and any slice or set of rows can be taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statkit.sources.partition import Partition
from statkit.sources.rows import Rows
from statkit.sources.source import Source

__all__ = ["MemorySource"]


class MemorySource(Source):
    """Rows that can be reached in any order at no cost; subclasses implement ``_take``."""

    n_rows: int
    _step: int
    _partitions: tuple[Partition, ...] | None = None

    def partitions(self) -> tuple[Partition, ...]:
        if self._partitions is None:
            n, step = self.n_rows, self._step
            self._partitions = tuple(
                [Partition(k, None, k, a, min(step, n - a), None) for k, a in enumerate(range(0, n, step))]
            )
        return self._partitions

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        first, n = partition.first_row, partition.n_rows
        table, X = self._take(slice(first, first + n), columns)
        return Rows(first, n, table, X, self._beside_rows(first, n), self._where(first, n))

    def _take(self, rows: slice | np.ndarray, columns: Sequence[str]) -> tuple[Any, Any]:
        """(table, X) of a slice of the rows, or of those whose numbers are given."""
        raise NotImplementedError

    def _where(self, first: int, n: int) -> str:
        return f"rows {first}–{first + n - 1}"

    def _check_step(self, rows_per_partition: int) -> None:
        if not rows_per_partition >= 1:
            raise ValueError(f"rows_per_partition must be an integer >= 1, not {rows_per_partition!r}")
        self._step = rows_per_partition
