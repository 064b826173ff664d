"""Machines of rows in files that must move: an external sort, one sorted run for each partition.

A run is an uncompressed Arrow file, so that a machine's rows are slices of mapped memory: every partition is
read once, nothing is held but the one being sorted, and reading a machine touches its own rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from statkit.sources.arrow_file import forget, mapped_table
from statkit.sources.conform import take_columns
from statkit.sources.machines import Machines, joined_tables
from statkit.sources.partition import Partition
from statkit.sources.paths import local_stamp
from statkit.sources.rows import Rows
from statkit.sources.source import Source
from statkit.sources.spool import Spool

__all__ = ["SpooledMachines"]


class SpooledMachines(Machines):
    """Rows of a source of files, by machine, in a temporary folder.

    Parameters
    ----------
    source : Source
    codes : ndarray of shape (n_rows,)
        Machine of each row.
    order : ndarray of shape (n_rows,)
        Old numbers of the rows in their new order.
    bounds : ndarray of shape (n_machines + 1,)
    machines : tuple
    note : str
        Says in messages how they were moved.
    """

    def __init__(
        self,
        source: Source,
        codes: np.ndarray,
        order: np.ndarray,
        bounds: np.ndarray,
        machines: tuple,
        note: str,
    ):
        import pyarrow as pa

        self._describe(source, order, bounds, machines, note)
        self._beside: dict[str, np.ndarray] = {}
        self._spool: Spool | None = Spool()
        self._folder = self._spool.folder
        self._stamps: list[tuple[int, int]] = []
        with self._spool.filling():
            for partition in source.partitions():
                rows = source.read(partition, list(source.schema))
                own = codes[partition.first_row : partition.first_row + partition.n_rows]
                assert rows.table is not None
                run = rows.table.take(np.argsort(own, kind="stable")).combine_chunks()
                path = self._run(len(self._stamps))
                with pa.ipc.new_file(path, run.schema) as writer:
                    writer.write_table(run)
                ends = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=len(machines)))])
                np.save(f"{path}.npy", ends)
                self._stamps.append(local_stamp(path))
                for name, values in rows.beside.items():
                    if name not in self._beside:
                        self._beside[name] = np.empty((self.n_rows, *values.shape[1:]), values.dtype)
                    self._beside[name][partition.first_row : partition.first_row + len(values)] = values
        self._beside = {name: values[order] for name, values in self._beside.items()}

    def _run(self, number: int) -> str:
        return f"{self._folder}/run-{number:05d}.arrow"

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        self._check_columns(columns)
        where = self._moved_where(partition)
        if self._spool is not None and self._spool.closed:
            raise ValueError(
                f"{where}: the source is closed and its temporary copy was removed; make a new one"
            )
        pieces = []
        for number, stamp in enumerate(self._stamps):
            path = self._run(number)
            start, stop = np.load(f"{path}.npy", mmap_mode="r")[partition.key : partition.key + 2].tolist()
            if stop > start:
                table = mapped_table(path, stamp).select(list(columns))
                pieces.append(table.slice(start, stop - start))
        table = take_columns(joined_tables(pieces, self.schema), columns, self.schema, where)
        first, n = partition.first_row, partition.n_rows
        return Rows(first, n, table, None, self._beside_rows(first, n), where)

    def portable(self) -> Source:
        if not self._beside:
            return self
        from statkit.sources.mapped_array import with_mapped_beside

        return with_mapped_beside(self)

    def close(self) -> None:
        if hasattr(self._beside, "close"):
            self._beside.close()
        if self._spool is not None:
            for number in range(len(self._stamps)):
                forget(self._run(number))
            self._spool.close()

    def __getstate__(self) -> dict:
        return vars(self) | {"_spool": None, "_source": None, "_owned": ()}
