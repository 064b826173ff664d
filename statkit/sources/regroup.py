"""Machines: the same rows in other partitions, contiguous, dealt at random, or by the values of a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from statkit.sources.memory import MemorySource
from statkit.sources.source import Source

__all__ = ["regroup"]

# Random labels are drawn for this many rows at a time, whatever the partitions.
_CHUNK = 65_536
# numpy draws from urns of fewer than 10⁹ balls.
_URN = 500_000_000
_MOST_MACHINES = 100_000


def regroup(source: Source, n: int | None, *, by: Any, seed: int | None) -> Source:
    """See `Source.regroup`."""
    if (n is None) == (by is None):
        raise ValueError("regroup needs a number of machines n, or by: a column or an array of labels")
    if by is not None and seed is not None:
        raise ValueError("by says which rows go together: seed is of no use with it")
    if by is None:
        assert n is not None
        rows = _checked(source, n)
        if seed is None:
            bounds = np.array([rows * k // n for k in range(n + 1)])
            return _contiguous(source, bounds, tuple(range(n)), "")
        return _moved(source, _dealt(rows, n, seed), tuple(range(n)), "dealt at random")
    codes, values, name = _codes(source, by)
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    if len(starts) == len(values):  # in order already: every value's rows follow each other
        return _contiguous(source, np.append(starts, len(codes)), values, f" ({name})")
    return _moved(source, codes, values, f"grouped by {name}")


def _checked(source: Source, n: int) -> int:
    rows = _n_rows(source)
    if isinstance(n, bool) or not hasattr(n, "__index__") or n < 1:
        raise ValueError(f"the number of machines must be an integer >= 1, not {n!r}")
    if n > rows:
        raise ValueError(f"{n:,} machines need as many rows, the data have {rows:,}")
    if n > _MOST_MACHINES:
        raise ValueError(f"{n:,} machines are more than {_MOST_MACHINES:,}")
    return rows


def _n_rows(source: Source) -> int:
    return sum(p.n_rows for p in source.partitions())


def _contiguous(source: Source, bounds: np.ndarray, machines: tuple, note: str) -> Source:
    from statkit.sources.machines import ContiguousMachines

    if isinstance(source, ContiguousMachines):
        source = source._source  # the same rows in the same order
    return ContiguousMachines(source, bounds, machines, note)


def _moved(source: Source, codes: np.ndarray, machines: tuple, note: str) -> Source:
    from statkit.sources.machines import ContiguousMachines, GatheredMachines

    order = np.argsort(codes, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(machines)))])
    if isinstance(source, ContiguousMachines):
        source = source._source
    if isinstance(source, GatheredMachines):
        order = source.order[order]
        source = source._source
    if isinstance(source, MemorySource):
        return GatheredMachines(source, order, bounds, machines, note)
    from statkit.sources.spooled_machines import SpooledMachines

    return SpooledMachines(source, codes, order, bounds, machines, note)


def _dealt(rows: int, n: int, seed: int) -> np.ndarray:
    """A machine for each row: all ways to deal equal hands are equally likely."""
    rng = np.random.Generator(np.random.PCG64(seed))
    codes = np.empty(rows, np.int32)
    for urn in range(0, rows, _URN):
        size = min(_URN, rows - urn)
        left = np.array([size * (k + 1) // n - size * k // n for k in range(n)])
        for start in range(urn, urn + size, _CHUNK):
            stop = min(start + _CHUNK, urn + size)
            drawn = rng.multivariate_hypergeometric(left, stop - start, method="marginals")
            left -= drawn
            codes[start:stop] = rng.permutation(np.repeat(np.arange(n, dtype=np.int32), drawn))
    return codes


def _codes(source: Source, by: Any) -> tuple[np.ndarray, tuple, str]:
    """(machine of each row, value of each machine in order of appearance, what they are)."""
    rows = _n_rows(source)
    name = by if isinstance(by, str) else "given labels"
    pieces = _column(source, by) if isinstance(by, str) else iter([_labels(by, rows)])
    values: dict[Any, int] = {}
    codes = np.empty(rows, np.int32)
    at = 0
    for labels, own in pieces:
        for label in own:
            values.setdefault(label, len(values))
        if len(values) > _MOST_MACHINES:
            raise ValueError(
                f"{name} has more than {_MOST_MACHINES:,} distinct values, each of which would be a machine"
            )
        target = np.array([values[label] for label in own], np.int32)
        codes[at : at + len(labels)] = target[labels]
        at += len(labels)
    if rows == 0:
        raise ValueError("there are no rows to make machines of")
    return codes, tuple(values), name


def _column(source: Source, name: str) -> Iterator[tuple[np.ndarray, list]]:
    """Codes and distinct values of a column, partition by partition."""
    if not source.schema:
        raise ValueError(
            f"by={name!r} names a column, but the data are a plain matrix: give an array of labels"
        )
    for partition in source.partitions():
        rows = source.read(partition, [name])
        assert rows.table is not None
        yield _encoded(rows.table.column(name), f"column {name!r}", rows.where)


def _labels(by: Any, rows: int) -> tuple[np.ndarray, list]:
    import pyarrow as pa

    labels = pa.chunked_array([pa.array(by, from_pandas=True)])
    if len(labels) != rows:
        raise ValueError(f"by has {len(labels):,} labels, but the data have {rows:,} rows")
    return _encoded(labels, "by", "the data")


def _encoded(column: Any, name: str, where: str) -> tuple[np.ndarray, list]:
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = column.null_count
    if pa.types.is_floating(column.type):
        missing += pc.sum(pc.is_nan(column)).as_py() or 0
    if missing:
        raise ValueError(
            f"{name} has {missing:,} missing values in {where}: their rows belong to no machine; leave them "
            "out or give them a value"
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], column.type).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()
