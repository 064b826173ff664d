"""Machines that need no copy on disk: contiguous parts of any source, and gathered rows of data in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from statkit.sources.memory import MemorySource
from statkit.sources.partition import Partition
from statkit.sources.rows import Rows
from statkit.sources.source import Source

__all__ = ["ContiguousMachines", "GatheredMachines", "Machines", "joined_tables"]


class Machines(Source):
    """Rows of another source in one partition a machine.

    Attributes
    ----------
    machines : tuple
        Label of each partition.
    """

    machines: tuple
    _source: Source
    _bounds: np.ndarray
    _note: str

    def _describe(
        self, source: Source, order: np.ndarray | None, bounds: np.ndarray, machines: tuple, note: str
    ) -> None:
        self._source, self._bounds, self.machines, self._note = source, bounds, machines, note
        self.schema, self.n_features, self.name = source.schema, source.n_features, source.name
        self.n_rows = int(bounds[-1])
        identity = hashlib.sha1(bounds.tobytes())
        if order is not None:
            identity.update(order.tobytes())
        self.token = f"{source.token}/{identity.hexdigest()}"
        self._owned: tuple = ()

    def partitions(self) -> tuple[Partition, ...]:
        starts, stops = self._bounds[:-1].tolist(), self._bounds[1:].tolist()
        return tuple(
            Partition(k, None, k, a, b - a) for k, (a, b) in enumerate(zip(starts, stops, strict=True))
        )

    def _label(self, partition: Partition) -> str:
        return f"machine {self.machines[partition.key]!r}"

    def _moved_where(self, partition: Partition) -> str:
        return f"{self._label(partition)} of rows {self._note} and numbered anew"

    def close(self) -> None:
        for one in self._owned:
            one.close()


class ContiguousMachines(Machines):
    """Consecutive rows of a source, cut at other places than its own.

    Parameters
    ----------
    source : Source
    bounds : ndarray of shape (n_machines + 1,)
        First row of each machine, and the number of rows.
    machines : tuple
    note : str
        What is added to the machine's label in messages.
    """

    def __init__(self, source: Source, bounds: np.ndarray, machines: tuple, note: str):
        self._describe(source, None, bounds, machines, note)
        self._own = source.partitions()
        self._starts = np.array([p.first_row for p in self._own])

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        first, stop = partition.first_row, partition.first_row + partition.n_rows
        where = f"{self._label(partition)}{self._note}, rows {first}–{stop - 1}"
        if isinstance(self._source, MemorySource):
            whole = Partition(0, None, None, first, partition.n_rows)
            rows = self._source.read(whole, columns)
            return Rows(first, partition.n_rows, rows.table, rows.X, rows.beside, where)
        at = int(np.searchsorted(self._starts, first, side="right")) - 1
        pieces = []
        while at < len(self._own) and self._own[at].first_row < stop:
            pieces.append(_part(self._source.read(self._own[at], columns), first, stop))
            at += 1
        return _joined(pieces, first, where, self.schema)

    def portable(self) -> Source:
        base = self._source.portable()
        if base is self._source:
            return self
        twin = ContiguousMachines(base, self._bounds, self.machines, self._note)
        twin._owned = (base,)
        return twin


class GatheredMachines(Machines):
    """Rows of data in memory that were moved: taken by their numbers when they are read.

    Parameters
    ----------
    source : MemorySource
    order : ndarray of shape (n_rows,)
        Old numbers of the rows in their new order.
    bounds : ndarray of shape (n_machines + 1,)
    machines : tuple
    note : str
        Says in messages how they were moved.
    """

    _source: MemorySource

    def __init__(
        self, source: MemorySource, order: np.ndarray, bounds: np.ndarray, machines: tuple, note: str
    ):
        self._describe(source, order, bounds, machines, note)
        self._order = {"order": order}

    @property
    def order(self) -> np.ndarray:
        """Old numbers of the rows in their new order."""
        return self._order["order"]

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        first, n = partition.first_row, partition.n_rows
        numbers = self.order[first : first + n]
        table, X = self._source._take(numbers, columns)
        beside = {name: values[numbers] for name, values in self._source._beside.items()}
        return Rows(first, n, table, X, beside, self._moved_where(partition))

    def portable(self) -> Source:
        from statkit.sources.mapped_array import map_arrays

        base: Any = self._source.portable()
        order = map_arrays(self._order)
        twin = GatheredMachines(base, order["order"], self._bounds, self.machines, self._note)
        twin._order, twin._owned = order, (base, order)
        return twin

    def __getstate__(self) -> dict:
        return vars(self) | {"_owned": ()}


def _part(rows: Rows, first: int, stop: int) -> Rows:
    """The rows numbered from ``first`` to before ``stop`` that are among these."""
    a = max(first - rows.first_row, 0)
    b = min(stop - rows.first_row, rows.n_rows)
    table = None if rows.table is None else rows.table.slice(a, b - a)
    X = None if rows.X is None else rows.X[a:b]
    return Rows(rows.first_row + a, b - a, table, X, {k: v[a:b] for k, v in rows.beside.items()}, rows.where)


def _joined(pieces: list[Rows], first: int, where: str, schema: dict) -> Rows:
    n = sum(p.n_rows for p in pieces)
    one = pieces[0]
    if len(pieces) == 1:
        return Rows(first, n, one.table, one.X, one.beside, where)
    beside = {name: np.concatenate([p.beside[name] for p in pieces]) for name in one.beside}
    table = None if one.table is None else joined_tables([p.table for p in pieces], schema)
    return Rows(first, n, table, None if one.X is None else _stacked([p.X for p in pieces]), beside, where)


def _stacked(parts: list[Any]) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    from scipy.sparse import vstack

    return vstack(parts, format="csr")


def joined_tables(tables: list[Any], schema: dict) -> Any:
    """One table; columns whose pieces have several dictionaries get one."""
    import pyarrow as pa

    from statkit.sources.conform import is_text, sorted_text

    joined = pa.concat_tables(tables)
    arrays = []
    for name, column in zip(joined.column_names, joined.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            column = sorted_text(column) if is_text(schema[name]) else column.unify_dictionaries()
        arrays.append(column)
    return pa.table(arrays, names=joined.column_names) if arrays else joined
