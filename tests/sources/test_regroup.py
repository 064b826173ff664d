"""Machines: every row on exactly one, as asked, from every kind of source."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from statkit.sources import as_source
from statkit.sources.regroup import _dealt

N = 1_000


@pytest.fixture(params=["parquet", "pandas", "arrow", "stream"])
def source(request, table, tmp_path):
    y = np.arange(N) * 10.0
    if request.param == "parquet":
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=130)
        return as_source(tmp_path / "a.parquet", y=y)
    if request.param == "pandas":
        return as_source(table.to_pandas(), y=y, rows_per_partition=130)
    if request.param == "arrow":
        with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
            writer.write_table(table)
        return as_source(tmp_path / "a.arrow", y=y, rows_per_partition=130)
    return as_source(iter([table]), y=y)


def machines_of(source):
    """Old row numbers by machine, with the checks that hold for every grouping."""
    first = 0
    out = []
    for key, p in enumerate(source.partitions()):
        assert (p.key, p.first_row) == (key, first)
        rows = source.read(p, ["row", "text"])
        numbers = rows.table.column("row").to_numpy()
        assert rows.n_rows == p.n_rows == len(numbers)
        np.testing.assert_array_equal(rows.beside["y"], numbers * 10.0)
        assert (np.diff(numbers) > 0).all()  # in their old order within a machine
        out.append(numbers)
        first += p.n_rows
    np.testing.assert_array_equal(np.sort(np.concatenate(out)), np.arange(N))
    assert source.n_rows == N and len(source.machines) == len(out)
    return out


@pytest.mark.parametrize("n", [1, 3, 7, 1000])
def test_contiguous(source, n, spools):
    machines = source.regroup(n)
    rows = machines_of(machines)
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(N))
    assert {len(r) for r in rows} <= {N // n, N // n + 1}
    assert not spools()  # nothing moved
    where = machines.read(machines.partitions()[0], ["row"]).where
    assert where == f"machine 0, rows 0–{len(rows[0]) - 1}"


def test_dealt_at_random(source, spools):
    machines = source.regroup(7, seed=3)
    rows = machines_of(machines)
    assert {len(r) for r in rows} == {142, 143}
    again, other = source.regroup(7, seed=3), source.regroup(7, seed=4)
    for a, b in zip(rows, machines_of(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a[:100] != b[:100]).any() for a, b in zip(rows, machines_of(other), strict=True))
    assert machines.token == again.token != other.token
    assert (
        "machine 2 of rows dealt at random and numbered anew" in machines.read(machines.partitions()[2]).where
    )
    for one in (machines, again, other):
        one.close()
    assert not spools()


def test_by_column_that_must_move(source, table, spools):
    machines = source.regroup(by="small")
    small = table.column("small").to_numpy()
    appearance = list(dict.fromkeys(small.tolist()))
    assert list(machines.machines) == appearance
    for value, rows in zip(appearance, machines_of(machines), strict=True):
        np.testing.assert_array_equal(rows, np.flatnonzero(small == value))
    machines.close()
    assert not spools()


def test_by_column_in_order_is_not_copied(tmp_path, spools, values):
    days = np.repeat(["mo", "tu", "we"], [300, 1, 199])
    pq.write_table(pa.table({"day": days, "row": np.arange(500)}), tmp_path / "a.parquet", row_group_size=64)
    machines = as_source(tmp_path / "a.parquet").regroup(by="day")
    assert machines.machines == ("mo", "tu", "we") and not spools()
    assert [p.n_rows for p in machines.partitions()] == [300, 1, 199]
    assert values(machines, "row") == list(range(500))
    assert machines.read(machines.partitions()[1], ["row"]).where == "machine 'tu' (day), rows 300–300"


def test_by_labels(source):
    labels = np.arange(N) % 3
    for rows in machines_of(source.regroup(by=labels)):
        assert len(set(rows % 3)) == 1
    assert source.regroup(by=labels).token != source.regroup(by=np.arange(N) % 4).token


@pytest.mark.parametrize("options", [{"n": 4}, {"n": 4, "seed": 0}, {"by": "small"}])
def test_portable(source, options, spools):
    machines = source.regroup(**options)
    portable = machines.portable()
    copy = pickle.loads(pickle.dumps(portable))
    assert copy.machines == machines.machines
    for a, b in zip(machines_of(machines), machines_of(copy), strict=True):
        np.testing.assert_array_equal(a, b)
    assert machines.schema == copy.schema
    for p in machines.partitions():
        a, b = (one.read(p, ["text"]).table.column("text").to_pylist() for one in (machines, copy))
        assert a == b
    del copy
    portable.close()
    machines.close()
    assert not spools()


@pytest.mark.parametrize("sparse", [False, True])
def test_matrices(sparse, spools):
    X = np.arange(40.0).reshape(20, 2)
    given = sp.csr_array(X) if sparse else X
    source = as_source(given, y=np.arange(20.0), rows_per_partition=6)
    whole = source.regroup(3)
    rows = [whole.read(p) for p in whole.partitions()]
    assert [r.n_rows for r in rows] == [6, 7, 7]
    if not sparse:
        assert all(np.shares_memory(r.X, X) for r in rows)
    dealt = source.regroup(3, seed=1)
    for one in (
        dealt,
        dealt.portable(),
        whole.regroup(3, seed=1),
        dealt.regroup(2),
        dealt.regroup(2, seed=5),
    ):
        got = [one.read(p) for p in one.partitions()]
        matrix = np.concatenate([r.X.toarray() if sparse else r.X for r in got])
        y = np.concatenate([r.beside["y"] for r in got])
        np.testing.assert_array_equal(matrix, X[y.astype(int)])
        np.testing.assert_array_equal(np.sort(y), np.arange(20))
    with pytest.raises(ValueError, match="plain matrix"):
        source.regroup(by="x")


def test_text_and_categories_over_pieces(tmp_path):
    labels = [f"{chr(97 + i // 5)}" for i in range(50)]
    frame = pd.DataFrame({"t": labels, "c": pd.Categorical(labels, sorted(set(labels), reverse=True))})
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=7)
    source = as_source(tmp_path / "a.parquet")
    for machines in (source.regroup(2), source.regroup(2, seed=0)):
        read = [machines.read(p, ["t", "c"]).table for p in machines.partitions()]
        for table in read:
            text, category = (table.column(c).chunk(0).dictionary.to_pylist() for c in ("t", "c"))
            assert text == sorted(text)
            assert category == sorted(set(labels), reverse=True)
            assert table.column("t").to_pylist() == table.column("c").to_pylist()


def test_refusals(source):
    for options, message in (
        ({}, "a number of machines n, or by"),
        ({"n": 2, "by": "row"}, "a number of machines n, or by"),
        ({"by": "row", "seed": 1}, "seed is of no use"),
        ({"n": 0}, "integer >= 1"),
        ({"n": 1001}, "1,001 machines need as many rows"),
        ({"by": "text"}, r"column 'text' has \d+ missing values in .*: their rows belong to no machine"),
        ({"by": "rwo"}, "no column 'rwo'; did you mean 'row'"),
        ({"by": [1, 2]}, "by has 2 labels, but the data have 1,000 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            source.regroup(**options)
    with pytest.raises(ValueError, match="1 missing values in the data"):
        source.regroup(by=np.append(np.zeros(N - 1), np.nan))


def test_closed(source):
    machines = source.regroup(3, seed=0)
    machines.close()
    source.close()


def test_deals_are_fair():
    # Pairs of rows meet on one machine as often as in a deal of equal hands: (m − 1) / (N − 1).
    rows, n, deals = 12, 3, 3_000
    together = np.zeros((rows, rows))
    for seed in range(deals):
        codes = _dealt(rows, n, seed)
        assert np.bincount(codes).tolist() == [4, 4, 4]
        together += codes[:, None] == codes
    pairs = together[np.triu_indices(rows, 1)]
    expected = deals * 3 / 11
    z = (pairs - expected) / np.sqrt(expected * (1 - 3 / 11))
    assert np.abs(z).max() < 4.5
    assert stats.kstest(z, "norm").pvalue > 1e-4


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 2**32))
def test_deals_are_complete(rows, n, seed):
    sizes = np.bincount(_dealt(rows, n, seed), minlength=n)
    assert sizes.sum() == rows and sizes.max() - sizes.min() <= 1
