"""Helpers for sources: read everything, and count the temporary folders."""

from __future__ import annotations

import itertools
import os
import tempfile

import numpy as np
import pyarrow as pa
import pytest

from statkit.sources import Source


def _read_all(source: Source, columns=None) -> pa.Table:
    """All rows of a table, with the checks that hold for every source."""
    columns = list(source.schema) if columns is None else columns
    partitions = source.partitions()
    assert [p.key for p in partitions] == list(range(len(partitions)))
    ends = [0, *itertools.accumulate(p.n_rows for p in partitions)]
    assert [p.first_row for p in partitions] == ends[:-1]
    assert ends[-1] == source.n_rows
    tables = []
    for partition in partitions:
        assert partition.n_rows > 0
        rows = source.read(partition, columns)
        assert (rows.first_row, rows.n_rows) == (partition.first_row, partition.n_rows)
        assert rows.X is None and rows.table.column_names == columns
        assert not columns or rows.table.num_rows == rows.n_rows
        tables.append(_plain(rows.table))
    return pa.concat_tables(tables, promote_options="permissive") if tables else None


def _plain(table: pa.Table) -> pa.Table:
    """Without dictionaries."""
    arrays = [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in table.columns]
    return pa.table(arrays, names=table.column_names)


def _values(source: Source, column: str) -> list:
    return _read_all(source, [column]).column(column).to_pylist()


@pytest.fixture(scope="session")
def read_all():
    return _read_all


@pytest.fixture(scope="session")
def plain():
    return _plain


@pytest.fixture(scope="session")
def values():
    return _values


@pytest.fixture
def spools(tmp_path, monkeypatch):
    """The temporary folders that exist now, as a function."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return lambda: [os.path.join(where, name) for where, a, b in os.walk(folder) for name in (*a, *b)]


@pytest.fixture
def table() -> pa.Table:
    n = 1_000
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "number": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.1),
            "small": pa.array(rng.integers(0, 50, n), pa.int16()),
            "flag": pa.array(rng.random(n) < 0.5),
            "text": pa.array(rng.choice(["z", "b", "a", "ü"], n), mask=rng.random(n) < 0.1),
            "when": pa.array(np.arange(n).astype("datetime64[ms]")),
            "row": pa.array(np.arange(n)),
        }
    )
