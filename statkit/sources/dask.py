"""Dask frames: partitions are computed once and stay with the workers of a Dask engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from statkit.sources.cluster import ClusterSource
from statkit.sources.held import Held, Piece, inspect, pack_frame
from statkit.sources.spool import Spool

__all__ = ["DaskSource"]


class DaskSource(ClusterSource):
    """Rows of a ``dask.dataframe.DataFrame``; the index is left alone.

    With ``engine=client`` the workers keep the columns that the model reads, and a worker that dies has its
    partitions computed again. Other engines read a temporary copy, for which the frame is computed once, by
    the client that Dask uses by default or, without one, in this process.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    y, weight, offset, group : array of shape (n_rows, …) or None
        In the order of the partitions; columns' names are better.

    Raises
    ------
    TypeError
        If column names are not text.
    ValueError
        If two columns share a name, partitions disagree on types, or rows changed between rounds.

    Examples
    --------
    >>> import pandas as pd
    >>> import dask.dataframe as dd  # doctest: +SKIP
    >>> from statkit.sources import DaskSource
    >>> source = DaskSource(dd.from_pandas(pd.DataFrame({"x": range(10)}), npartitions=2))  # doctest: +SKIP
    >>> [p.n_rows for p in source.partitions()]  # doctest: +SKIP
    [5, 5]
    """

    system = "dask"

    def _types(self) -> dict:
        from statkit.sources.frame import FrameSource

        meta = self._frame._meta
        if not all(isinstance(name, str) for name in meta.columns):
            return dict.fromkeys(meta.columns)
        return FrameSource(meta).schema

    def _packed(self, columns: Sequence[str]) -> list[Any]:
        from dask import delayed

        parts = self._frame[list(columns)].to_delayed()
        return [delayed(pack_frame)(part, list(columns)) for part in parts]

    def _hold(self, client: Any, columns: Sequence[str]) -> tuple[list[tuple[Held, Piece]], Any]:
        futures = client.compute(self._packed(columns))

        def release() -> None:
            for future in futures:
                future.release()

        try:
            pieces = client.gather(client.map(inspect, futures, pure=False))
        except BaseException:
            release()
            raise
        held = [Held("dask", future, i, _result) for i, future in enumerate(futures)]
        return list(zip(held, pieces, strict=True)), release

    def _bring(self, columns: Sequence[str], spool: Spool) -> Iterator[tuple[Any, ...]]:
        packed = self._packed(columns)
        client = _default_client()
        if client is not None:
            futures = client.compute(packed)
            try:
                while futures:
                    yield futures[0].result()
                    futures.pop(0).release()
            finally:
                for future in futures:
                    future.release()
            return
        import dask

        # One computation for all: a shuffle before the last step would be done again for every partition.
        paths = dask.compute(
            *[dask.delayed(_kept)(piece, spool.path(f"brought-{i}")) for i, piece in enumerate(packed)],
            scheduler="threads",
        )
        for path, sizes in paths:
            yield _brought(path, sizes)


def _result(held: Held) -> Any:
    return held.reference.result()


def _default_client() -> Any:
    try:
        from distributed import default_client
    except ImportError:
        return None
    try:
        return default_client()
    except ValueError:
        return None


def _kept(buffers: tuple[Any, ...], path: str) -> tuple[str, list[int]]:
    """Write buffers to a file at once, so that a computation of all partitions never holds all of them."""
    with open(path, "wb") as file:
        for buffer in buffers:
            file.write(buffer)
    return path, [len(buffer) for buffer in buffers]


def _brought(path: str, sizes: list[int]) -> tuple[bytes, ...]:
    import os

    with open(path, "rb") as file:
        buffers = tuple(file.read(size) for size in sizes)
    os.remove(path)
    return buffers
