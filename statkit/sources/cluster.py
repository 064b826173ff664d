"""Frames of a cluster as sources: held where they are for an engine of it, copied here once for any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from statkit.sources.arrow_file import forget, mapped_table
from statkit.sources.conform import take_columns
from statkit.sources.held import Held, HeldSource, Piece, inspect, merged_types, write_piece
from statkit.sources.names import check_distinct
from statkit.sources.partition import Partition
from statkit.sources.paths import local_stamp
from statkit.sources.rows import Rows
from statkit.sources.source import Source, beside_arrays, fresh_token
from statkit.sources.spool import Spool

__all__ = ["ClusterSource"]


class ClusterSource(Source):
    """Rows of a distributed frame; subclasses know the system.

    With an engine of the same system the columns that a model reads are computed once, stay in the cluster's
    memory as Arrow bytes, one partition of the frame a partition, and are read by the worker that has them.
    Any other engine reads a copy in a temporary folder of this machine, made once, partition by partition.
    Rows are numbered in the order of the frame's partitions. One that is computed again with other rows (a
    frame with random steps, after a lost worker) is detected.
    """

    #: Name of the engine that reads the rows where they are.
    system: str

    def __init__(self, frame: Any, y: Any = None, weight: Any = None, offset: Any = None, group: Any = None):
        self._frame = frame
        self.name = f"the {self.system.capitalize()} frame"
        kinds = self._types()
        for name in kinds:
            if not isinstance(name, str):
                raise TypeError(f"column names must be text: {name!r} is {type(name).__name__}; rename it")
        check_distinct(kinds, self.name)
        self.schema = self._without_blanks(kinds)
        self.token = fresh_token()
        self._arrays = {"y": y, "weight": weight, "offset": offset, "group": group}
        self._copied: CopiedFrame | None = None

    # -- what a system knows -----------------------------------------------------------------------------

    def _types(self) -> dict:
        """Types of the columns, without computing the frame."""
        raise NotImplementedError

    def _hold(self, client: Any, columns: Sequence[str]) -> tuple[list[tuple[Held, Piece]], Any]:
        """Compute columns on the cluster and keep them there; and what lets go of them."""
        raise NotImplementedError

    def _bring(self, columns: Sequence[str], spool: Spool) -> Iterator[tuple[Any, ...]]:
        """Packed partitions, in order, in this process."""
        raise NotImplementedError

    # -- the source ----------------------------------------------------------------------------------------

    def on(self, engine: Any, columns: Sequence[str] | None = None) -> Source:
        wanted = list(self.schema) if columns is None else list(columns)
        if engine.name != self.system:
            if self._copied is not None:
                return self if engine.in_process else self._copied.portable()
            return CopiedFrame(self, wanted).on(engine)
        self._check_columns(wanted)
        # A frame needs a column for its rows to be counted.
        pieces, release = self._hold(engine.client, wanted or list(self.schema)[:1])
        try:
            n = sum(piece.n_rows for _, piece in pieces)
            beside = beside_arrays(n, **self._arrays)
            if beside:
                from statkit.sources.mapped_array import map_arrays

                beside = map_arrays(beside)
            return HeldSource(self, pieces, self.schema, beside, release)
        except BaseException:
            release()
            raise

    def _copy(self) -> CopiedFrame:
        if self._copied is None:
            self._copied = CopiedFrame(self, list(self.schema))
        return self._copied

    @property
    def n_rows(self) -> int | None:  # type: ignore[override]
        """Known once the frame was copied."""
        return None if self._copied is None else self._copied.n_rows

    def partitions(self) -> tuple[Partition, ...]:
        return self._copy().partitions()

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        return self._copy().read(partition, columns)

    def portable(self) -> Source:
        return self._copy().portable()

    def close(self) -> None:
        if self._copied is not None:
            self._copied.close()
            self._copied = None

    def __getstate__(self) -> dict:
        raise TypeError(
            f"{self.name} cannot be sent to other processes: it is read through Source.on(engine)"
        )

    def _without_blanks(self, kinds: dict) -> dict:
        """The types, after a look at the values of columns of which nothing is known (Python objects)."""
        import pyarrow as pa

        blank = [name for name, kind in kinds.items() if pa.types.is_null(kind)]
        if not blank:
            return kinds
        found: dict = {}
        spool = Spool()
        try:
            for number, buffers in enumerate(self._bring(blank, spool)):
                found = merged_types(found, dict(inspect(buffers).schema), f"partition {number}")
        finally:
            spool.close()
        return kinds | found


class CopiedFrame(Source):
    """A distributed frame in a temporary folder: an Arrow file for each of its partitions."""

    _spool: Spool | None

    def __init__(self, source: ClusterSource, columns: Sequence[str]):
        self.name, self.schema = source.name, source.schema
        self._spool = spool = Spool()
        partitions: list[Partition] = []
        row = 0
        with spool.filling():
            for number, buffers in enumerate(source._bring(columns or list(source.schema)[:1], spool)):
                path = spool.path(f"{number}.arrow")
                write_piece(buffers, path, self.schema)
                stamp = local_stamp(path)
                n = mapped_table(path, stamp).num_rows
                if n:
                    partitions.append(Partition(len(partitions), path, number, row, n, stamp))
                    row += n
            self.n_rows = row
            self._beside = beside_arrays(row, **source._arrays)
        self._partitions = tuple(partitions)
        self.token = fresh_token()

    def partitions(self) -> tuple[Partition, ...]:
        return self._partitions

    def read(self, partition: Partition, columns: Sequence[str] = ()) -> Rows:
        self._check_columns(columns)
        where = f"{self.name}, partition {partition.unit}"
        assert partition.path is not None and partition.stamp is not None
        if self._spool is not None and self._spool.closed:
            raise ValueError(f"{where}: the source is closed, its temporary copy was removed; make a new one")
        table = mapped_table(partition.path, partition.stamp).select(list(columns))
        first, n = partition.first_row, partition.n_rows
        table = take_columns(table, columns, self.schema, where)
        return Rows(first, n, table, None, self._beside_rows(first, n), where)

    def portable(self) -> Source:
        if not self._beside:
            return self
        from statkit.sources.mapped_array import with_mapped_beside

        twin = with_mapped_beside(self)
        twin._partitions = self._partitions
        return twin

    def close(self) -> None:
        for partition in self._partitions:
            forget(str(partition.path))
        if self._spool is not None:
            self._spool.close()
        if hasattr(self._beside, "close"):
            self._beside.close()

    def __getstate__(self) -> dict:
        return vars(self) | {"_spool": None, "_origin": None, "_partitions": ()}
