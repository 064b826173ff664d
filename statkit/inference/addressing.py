"""Blocks of consecutive rows as samples, and the shuffle that makes them random ones."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit._replaced import replaced

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["SequentialBlocks", "sequential_blocks", "shuffle_file"]


def sequential_blocks(
    n_rows: int,
    size: int,
    n_subsamples: int,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> Iterator[Any]:
    """Slices of ``size`` consecutive rows from uniform starts: samples that cost one seek each.

    The rows must be in random order (see :func:`shuffle_file`): on sorted data such blocks mislead.

    Parameters
    ----------
    n_rows, size, n_subsamples : int
    random_state : int, Generator or None

    Yields
    ------
    rows : slice

    Examples
    --------
    >>> from statkit.inference import sequential_blocks
    >>> [s.stop - s.start for s in sequential_blocks(100, 10, 3, random_state=0)]
    [10, 10, 10]

    References
    ----------
    R. Pan, Y. Zhu, B. Guo, X. Zhu and H. Wang (2023), A Sequential Addressing Subsampling Method for Massive
    Data Analysis Under Memory Constraint.
    """
    if not 1 <= size <= n_rows:
        raise ValueError(f"size must lie between 1 and {n_rows}, not {size!r}")
    rng = (
        random_state if isinstance(random_state, np.random.Generator) else np.random.default_rng(random_state)
    )
    for start in rng.integers(0, n_rows - size + 1, n_subsamples):
        yield slice(int(start), int(start) + size)


class SequentialBlocks:
    """Blocks of consecutive rows of data anywhere, from uniform starts; each reads only what holds it.

    Reading is by the source's partitions (row groups of a Parquet file, ranges of a CSV file, slices of an array),
    so that a row is as likely to be read whatever its line is long, unlike with seeks to random bytes. The rows
    must be in random order: :func:`shuffle_file` puts them so.

    Parameters
    ----------
    data : array, frame, path, glob or Source
    size : int
        Rows of a block.
    n_subsamples : int
    columns : sequence of str or None, default=None
        Of named columns, those to read; None is all.
    random_state : int, Generator or None, default=None

    Examples
    --------
    >>> import pandas as pd
    >>> from statkit.inference import SequentialBlocks
    >>> frame = pd.DataFrame({"x": range(100)})
    >>> [block.num_rows for block in SequentialBlocks(frame, 10, 3, random_state=0)]
    [10, 10, 10]

    References
    ----------
    R. Pan, Y. Zhu, B. Guo, X. Zhu and H. Wang (2023), A Sequential Addressing Subsampling Method for Massive
    Data Analysis Under Memory Constraint.
    """

    def __init__(
        self,
        data: Any,
        size: int,
        n_subsamples: int,
        *,
        columns: Sequence[str] | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        from statkit.sources import as_source

        self.source = as_source(data)
        self.columns = tuple(self.source.schema if columns is None else columns)
        parts = self.source.partitions()
        self._parts = parts
        self._ends = np.cumsum([part.n_rows for part in parts])
        n_rows = int(self._ends[-1]) if len(parts) else 0
        self.blocks = list(sequential_blocks(n_rows, size, n_subsamples, random_state))

    def __len__(self):
        return len(self.blocks)

    def __iter__(self):
        """Yields
        ------
        rows : pyarrow.Table, or ndarray or CSR rows of a plain matrix
        """
        for block in self.blocks:
            yield self._read(block)

    def _read(self, block):
        first = int(np.searchsorted(self._ends, block.start, side="right"))
        last = int(np.searchsorted(self._ends, block.stop, side="left"))
        pieces = []
        for part, end in zip(self._parts[first : last + 1], self._ends[first : last + 1], strict=True):
            start = end - part.n_rows
            inside = slice(max(block.start - start, 0), min(block.stop - start, part.n_rows))
            rows = self.source.read(part, self.columns)
            if rows.table is None:
                pieces.append(rows.X[inside])
            else:
                pieces.append(rows.table.slice(inside.start, inside.stop - inside.start))
        if len(pieces) == 1:
            return pieces[0]
        if isinstance(pieces[0], np.ndarray):
            return np.concatenate(pieces)
        if hasattr(pieces[0], "indptr"):
            from scipy.sparse import vstack

            return vstack(pieces, format="csr")
        import pyarrow as pa

        return pa.concat_tables([piece.unify_dictionaries() for piece in pieces]).unify_dictionaries()


def shuffle_file(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    random_state: Seed = None,
    memory_limit: int = 256 * 2**20,
) -> Path:
    """Write a Parquet file with the rows of another in random order, in bounded memory.

    Rows are scattered to random buckets that fit in memory, and each bucket is permuted.

    Parameters
    ----------
    source, target : str or path
    random_state : int or None
    memory_limit : int, default=256 MB
        Bytes of decoded rows to hold at a time.

    Returns
    -------
    target : Path

    Examples
    --------
    >>> from statkit.inference import shuffle_file
    >>> shuffle_file("missing.parquet", "out.parquet")
    Traceback (most recent call last):
    ...
    FileNotFoundError: missing.parquet
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    source, target = Path(source), Path(target)
    if not source.exists():
        raise FileNotFoundError(str(source))
    if target.exists() and source.samefile(target):
        raise ValueError(f"{target} is the file to read: write to another")
    rng = np.random.default_rng(random_state)
    file = pq.ParquetFile(source, pre_buffer=False)
    try:
        meta = file.metadata
        total = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        n_buckets = max(1, -(-3 * total // int(memory_limit)))
        with tempfile.TemporaryDirectory(prefix="statkit-") as folder:
            paths = [os.path.join(folder, f"{k}.arrow") for k in range(n_buckets)]
            writers = [pa.ipc.new_file(path, file.schema_arrow) for path in paths]
            try:
                for batch in file.iter_batches(65_536):
                    bucket = rng.integers(0, n_buckets, batch.num_rows)
                    for k, writer in enumerate(writers):
                        writer.write_batch(batch.take(pa.array(np.flatnonzero(bucket == k))))
            finally:
                for writer in writers:
                    writer.close()
            with (
                replaced(target) as unfinished,
                pq.ParquetWriter(unfinished, file.schema_arrow, compression="zstd") as out,
            ):
                for path in paths:
                    with pa.ipc.open_file(path) as reader:
                        table = reader.read_all()
                    out.write_table(
                        table.take(pa.array(rng.permutation(table.num_rows))), row_group_size=65_536
                    )
    finally:
        file.close()
    return target
