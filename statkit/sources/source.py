"""What a source is: numbered rows in partitions that a worker reads by itself, some columns at a time."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.sources.names import column_not_found
from statkit.sources.partition import Partition
from statkit.sources.rows import Rows

if TYPE_CHECKING:
    from typing import Self

    import pyarrow as pa

__all__ = ["ROWS_PER_PARTITION", "Source", "beside_arrays", "close_made", "fresh_token"]

#: Rows of a partition of data in memory: large enough that a round's bookkeeping is nothing beside the work,
#: small enough that two workers share a hundred thousand rows.
ROWS_PER_PARTITION = 65_536

_process = uuid.uuid4().hex
_count = itertools.count()


def fresh_token() -> str:
    """A token that no other object has, in this process or another."""
    return f"{_process}-{os.getpid()}-{next(_count)}"


class Source:
    """Where the rows are: partitions of numbered rows, read some columns at a time.

    A source knows nothing of statistics. The partitions depend on the data alone, never on the number of
    workers, so that sums over them repeat bit for bit. A source closes itself when it is collected; ``with``
    closes it sooner.

    Attributes
    ----------
    schema : dict of str to pyarrow.DataType
        Columns; empty for a plain matrix.
    token : str
        Identifies the rows: for files it follows from path, size and time of the last change, for data in
        memory it is new with every source.
    n_rows : int or None
    n_features : int or None
        Columns of a plain matrix; None for a table.
    """

    schema: dict[str, pa.DataType]
    token: str
    n_rows: int | None = None
    n_features: int | None = None
    #: For messages: what has these columns.
    name: str = "the data"

    _beside: dict[str, np.ndarray]

    def partitions(self) -> tuple[Partition, ...]:
        """The partitions, in the order of their rows; none when there are no rows."""
        raise NotImplementedError

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        """Rows of a partition.

        Parameters
        ----------
        partition : Partition
        columns : sequence of str
            Columns of the table to read. A plain matrix is given whole.

        Raises
        ------
        ValueError
            For an unknown column, or a file that changed or cannot be read.
        """
        raise NotImplementedError

    def head(self, partition: Partition, columns: Sequence[str], n_rows: int) -> Rows:
        """The first rows of a partition: for a look at the data that must not read much of them.

        Parameters
        ----------
        partition : Partition
        columns : sequence of str
        n_rows : int
            At least 1; a partition with fewer rows is read whole.
        """
        rows = self.read(partition, columns)
        n = min(n_rows, rows.n_rows)
        table = None if rows.table is None else rows.table.slice(0, n)
        X = None if rows.X is None else rows.X[:n]
        return Rows(rows.first_row, n, table, X, {k: v[:n] for k, v in rows.beside.items()}, rows.where)

    def portable(self) -> Source:
        """A source of the same rows that is cheap to send to another process on this machine.

        Sources of files return themselves. Data in memory are written once to a temporary folder, which
        `close` of the returned source removes.
        """
        return self

    def on(self, engine: Any, columns: Sequence[str] | None = None) -> Source:
        """A source of the same rows that the workers of an engine can read.

        Parameters
        ----------
        engine : Engine
        columns : sequence of str or None
            Those that will be read, where reading fewer spares a copy; None is all.

        Returns
        -------
        source : Source
            This one, or another that the caller closes before this.
        """
        return self if engine.in_process else self.portable()

    def regroup(self, n: int | None = None, *, by: Any = None, seed: int | None = None) -> Source:
        """The same rows with other partitions: the machines of a one-shot plan.

        Parameters
        ----------
        n : int or None
            Number of machines.
        by : str, array of shape (n_rows,) or None
            A column, or an array of labels: rows that share a value make one machine, in the order in which
            the values first appear.
        seed : int or None
            None cuts the rows into ``n`` contiguous parts; an integer deals them to ``n`` machines at random.
            Parts are of equal size, or differ by one row.

        Returns
        -------
        source : Source
            One partition a machine. ``machines`` holds their labels: 0, …, n − 1, or the values of ``by``.
            Rows that moved are numbered in their new order; those of files are copied to a temporary folder.
            It reads from this source, which must stay open.

        Raises
        ------
        ValueError
            If there are fewer rows than machines, or rows without a value of ``by``.

        Examples
        --------
        >>> import numpy as np
        >>> from statkit.sources import as_source
        >>> machines = as_source(np.arange(10.0).reshape(5, 2)).regroup(2)
        >>> [p.n_rows for p in machines.partitions()]
        [2, 3]
        """
        from statkit.sources.regroup import regroup

        return regroup(self, n, by=by, seed=seed)

    def close(self) -> None:
        """Remove temporary copies and close files; the caller's data are left alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        rows = "?" if self.n_rows is None else f"{self.n_rows:,}"
        columns = self.n_features if self.n_features is not None else len(self.schema)
        return f"{type(self).__name__}({rows} rows, {columns} columns)"

    # -- for subclasses --------------------------------------------------------------------------------

    def _check_columns(self, columns: Sequence[str]) -> None:
        for name in columns:
            if name not in self.schema:
                raise column_not_found(name, self.schema, self.name)

    def _beside_rows(self, first: int, n: int) -> dict[str, np.ndarray]:
        return {name: values[first : first + n] for name, values in self._beside.items()}


def close_made(given: Any, *made: Source | None) -> None:
    """Close sources that were made one from the other, the last first; what the caller gave stays open.

    ``made`` begins with the source of ``given``; one that could not be made is None, and one that is the same as that
    before it was not made.
    """
    for source, origin in reversed(list(zip(made, (given, *made), strict=False))):
        if source is not None and source is not origin:
            source.close()


def beside_arrays(
    n_rows: int, y: Any = None, weight: Any = None, offset: Any = None, group: Any = None
) -> dict[str, np.ndarray]:
    """Those of the arrays beside the data that are given, with a value for each row."""
    beside = {}
    for name, values in (("y", y), ("weight", weight), ("offset", offset), ("group", group)):
        if values is None:
            continue
        if type(values) is not np.ndarray:
            values = np.asarray(values)
        if values.ndim == 0:
            raise ValueError(f"{name} must be an array with one value a row, not {values.item()!r}")
        if len(values) != n_rows:
            raise ValueError(f"{name} has {len(values):,} values, but the data have {n_rows:,} rows")
        beside[name] = values
    return beside
