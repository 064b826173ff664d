"""Streams: spooled once, cut anew, refused when they were used up."""

import gc
import itertools
import pickle

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statkit.sources import SpooledSource, as_source, spooled


def reader(table, chunk):
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=chunk))


def test_duckdb(values, spools):
    relation = duckdb.sql(
        "select range as i, 'k' || (range % 3) as k, (case when range % 2 = 0 then 'lo' else 'hi' end)"
        "::enum('lo', 'mid', 'hi') as e from range(300000) order by range"
    )
    source = as_source(relation, y=np.arange(300_000))
    assert isinstance(source, SpooledSource)
    assert [p.n_rows for p in source.partitions()] == [131_072, 131_072, 37_856]
    assert values(source, "i") == list(range(300_000))
    column = source.read(source.partitions()[1], ["e"]).table.column("e")
    assert column.chunk(0).dictionary.to_pylist() == ["lo", "mid", "hi"]
    assert source.read(source.partitions()[1], ["i"]).where == "the DuckDBPyRelation, rows 131072–262143"
    source.close()
    assert not spools()


def test_empty_query():
    source = as_source(duckdb.sql("select 1 as a where false"))
    assert source.n_rows == 0 and list(source.schema) == ["a"]


@pytest.mark.parametrize("chunk", [1, 37, 1000])
def test_reader_is_cut_anew(table, chunk, read_all, monkeypatch):
    monkeypatch.setattr(spooled, "SPOOLED_ROWS", 128)
    one = reader(table, chunk)
    source = as_source(one)
    assert [p.n_rows for p in source.partitions()] == [128] * 7 + [104]
    assert read_all(source).equals(table)
    with pytest.raises(ValueError, match="RecordBatchReader gave no rows: was it read before"):
        as_source(one)


def test_removed_when_collected(table, spools):
    source = as_source(reader(table, 100))
    copy = pickle.loads(pickle.dumps(source))
    assert copy.partitions() == source.partitions()
    del copy
    gc.collect()
    assert spools()
    del source
    gc.collect()
    assert not spools()


def test_frames_of_every_kind(table, read_all, plain):
    parts = [table.slice(0, 100).to_pandas(), pl.DataFrame(table.slice(100, 100)), table.slice(200, 800)]
    for data in (iter(parts), parts, (p for p in parts)):
        read = read_all(as_source(data))
        for name in ("row", "number", "text", "flag"):
            assert read.column(name).to_pylist() == table.column(name).to_pylist()


def test_pandas_chunks_whose_types_change(tmp_path, values, monkeypatch):
    monkeypatch.setattr(spooled, "SPOOLED_ROWS", 10)
    path = tmp_path / "a.csv"
    path.write_text("x,s\n" + "1,\n" * 30 + "0.5,b\n" * 30)
    source = as_source(pd.read_csv(path, chunksize=7))
    assert source.schema["x"] == pa.float64()
    assert values(source, "x") == [1.0] * 30 + [0.5] * 30
    assert values(source, "s") == [None] * 30 + ["b"] * 30
    assert [p.n_rows for p in source.partitions()] == [10] * 6


def test_numbers_that_are_categories(values):
    frames = [pd.DataFrame({"c": pd.Categorical([3, 1, 3])}), pd.DataFrame({"c": pd.Categorical([1, None])})]
    source = as_source(iter(frames))
    assert pa.types.is_dictionary(source.schema["c"])
    column = source.read(source.partitions()[0], ["c"]).table.column("c")
    assert pa.types.is_dictionary(column.type)
    assert values(source, "c") == [3, 1, 3, 1, None]


def test_streams_that_do_not_fit_together(spools):
    def frames(*columns):
        return iter([pd.DataFrame(c) for c in columns])

    with pytest.raises(ValueError, match=r"batch 1 lacks column 'b'"):
        as_source(frames({"a": [1], "b": [1]}, {"a": [1]}))
    with pytest.raises(ValueError, match=r"batch 1 has another column 'b'"):
        as_source(frames({"a": [1]}, {"a": [1], "b": [1]}))
    with as_source(frames({"a": ["x"]}, {"a": [float("nan")]})) as source:
        assert source.n_rows == 2
    with pytest.raises(ValueError, match=r"column 'a' is large_string in batch 1, but was int64 before"):
        as_source(frames({"a": [1]}, {"a": ["x"]}))
    with pytest.raises(TypeError, match="item 1 is int"):
        as_source(iter([pd.DataFrame({"a": [1]}), 5]))
    with pytest.raises(ValueError, match="was it read before"):
        as_source(iter([]))
    with pytest.raises(ValueError, match="y has 1 values"):
        as_source(frames({"a": [1, 2]}), y=[1])
    assert not spools()


def test_a_stream_that_fails_leaves_nothing(spools):
    def frames():
        yield pd.DataFrame({"a": [1]})
        raise RuntimeError("the line went dead")

    with pytest.raises(RuntimeError, match="dead"):
        as_source(frames())
    assert not spools()


def test_lazy_frame(values, spools):
    frame = pl.LazyFrame(
        {
            "i": range(200_000),
            "c": pl.Series(["b", "a"] * 100_000, dtype=pl.Categorical),
            "e": pl.Series(["u", "v"] * 100_000, dtype=pl.Enum(["w", "v", "u"])),
        }
    ).filter(pl.col("i") % 2 == 0)
    source = as_source(frame)
    assert values(source, "i") == list(range(0, 200_000, 2))
    assert source.schema["c"] in (pa.string(), pa.large_string(), pa.string_view())
    column = source.read(source.partitions()[0], ["e"]).table.column("e")
    assert column.chunk(0).dictionary.to_pylist() == ["w", "v", "u"]
    source.close()
    assert not spools()


@pytest.mark.parametrize("thing", [5, None, object(), {"a": [1]}, pd.Series([1.0]), {1, 2}])
def test_unknown_things(thing):
    with pytest.raises(TypeError, match=r"is no source of rows; statkit reads .*DataFrame"):
        as_source(thing)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 50))
def test_batches_do_not_matter(sizes, rows):
    n = sum(sizes)
    table = pa.table({"x": np.arange(n), "s": [str(i % 7) for i in range(n)]})
    ends = np.cumsum([0, *sizes])
    batches = [table.slice(a, b - a) for a, b in itertools.pairwise(ends)]
    before = spooled.SPOOLED_ROWS
    spooled.SPOOLED_ROWS = rows
    try:
        if n == 0:
            with pytest.raises(ValueError, match="no rows"):
                as_source(iter(batches))
            return
        with as_source(iter(batches)) as source:
            parts = source.partitions()
            assert [p.n_rows for p in parts[:-1]] == [rows] * (len(parts) - 1)
            read = [source.read(p, ["s", "x"]).table for p in parts]
            assert [v for t in read for v in t.column("x").to_pylist()] == list(range(n))
    finally:
        spooled.SPOOLED_ROWS = before
