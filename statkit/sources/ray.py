"""Ray datasets: blocks stay in the object store, where the tasks of a Ray engine find them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from statkit.sources.cluster import ClusterSource
from statkit.sources.held import Held, Piece, inspect, pack_frame
from statkit.sources.spool import Spool

__all__ = ["RaySource"]


class RaySource(ClusterSource):
    """Rows of a ``ray.data.Dataset``; a partition is a block.

    With ``engine=ray`` the columns that the model reads stay in the object store, and a block that is lost is
    computed again. Blocks are asked for in order, so that the numbers of the rows repeat. Other engines read a
    temporary copy.

    Parameters
    ----------
    frame : ray.data.Dataset
    y, weight, offset, group : array of shape (n_rows, …) or None
        In the order of the blocks; columns' names are better.

    Raises
    ------
    TypeError
        If column names are not text.
    ValueError
        If blocks disagree on types, or rows changed between rounds.

    Examples
    --------
    >>> import ray  # doctest: +SKIP
    >>> from statkit.sources import RaySource
    >>> source = RaySource(ray.data.range(100))  # doctest: +SKIP
    >>> source.schema  # doctest: +SKIP
    {'id': DataType(int64)}
    """

    system = "ray"

    def _types(self) -> dict:
        import pyarrow as pa
        import ray

        schema = self._frame.schema()
        if schema is None:
            raise ValueError("the Ray dataset has no rows, and so no columns")
        known = schema.base_schema
        if isinstance(known, pa.Schema):
            return dict(zip(known.names, known.types, strict=True))
        # Blocks of pandas know numpy's types: Arrow says what it makes of the first rows.
        tables = ray.get(self._frame.limit(1).to_arrow_refs())
        return dict(zip(tables[0].column_names, tables[0].schema.types, strict=True)) if tables else {}

    def _packed(self, columns: Sequence[str]) -> list[Any]:
        import ray

        frame = self._frame.select_columns(list(columns))
        frame.context.execution_options.preserve_order = True
        pack = ray.remote(pack_frame).options(num_cpus=1)
        return [pack.remote(block, list(columns)) for block in frame.to_arrow_refs()]

    def _hold(self, client: Any, columns: Sequence[str]) -> tuple[list[tuple[Held, Piece]], Any]:
        import ray

        references = self._packed(columns)
        look = ray.remote(inspect).options(num_cpus=1)
        pieces = _raised_as_it_was([look.remote(reference) for reference in references])
        held = [Held("ray", reference, i, _get) for i, reference in enumerate(references)]
        return list(zip(held, pieces, strict=True)), _nothing

    def _bring(self, columns: Sequence[str], spool: Spool) -> Iterator[tuple[Any, ...]]:
        references = self._packed(columns)
        while references:
            yield _raised_as_it_was([references.pop(0)])[0]


def _raised_as_it_was(references: list[Any]) -> list[Any]:
    import ray

    try:
        return ray.get(references)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def _get(held: Held) -> Any:
    import ray

    return ray.get(held.reference)


def _nothing() -> None:
    """Objects go when nothing refers to them."""
