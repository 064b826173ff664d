"""Frames in memory: every kind of column of pandas, polars and Arrow."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statkit.sources import FrameSource, as_source


def kinds(frame, **options):
    return {name: str(kind) for name, kind in as_source(frame, **options).schema.items()}


@pytest.fixture
def pandas_frame():
    return pd.DataFrame(
        {
            "float": [1.5, np.nan, 3.0, 4.0],
            "single": np.array([1, 2, 3, 4], np.float32),
            "int": [1, 2, 3, 4],
            "nullable": pd.array([1, None, 3, 4], dtype="Int64"),
            "bool": [True, False, True, True],
            "nullable bool": pd.array([True, None, False, True], dtype="boolean"),
            "text": ["x", None, "y", "x"],
            "objects": pd.Series(["x", None, "y", "x"], dtype=object),
            "category": pd.Categorical(["lo", "hi", None, "lo"], categories=["lo", "mid", "hi"]),
            "codes": pd.Categorical([3, 1, 3, 1]),
            "cut": pd.cut(pd.Series([0.5, 1.5, 2.5, np.nan]), [0, 1, 2, 3]),
            "when": pd.to_datetime(["2001-01-01", None, "2001-03-01", "2001-04-01"]),
            "zone": pd.to_datetime(["2001-01-01"] * 4).tz_localize("Europe/Berlin"),
            "sparse": pd.arrays.SparseArray([0.0, 0.0, 5.0, 0.0]),
            "missing": [None] * 4,
            "mixed": pd.Series(["a", 1, 2.5, None], dtype=object),
            "lists": pd.Series([[1], [2, 3], [], None], dtype=object),
        }
    )


def test_pandas_columns(pandas_frame, read_all):
    source = as_source(pandas_frame, rows_per_partition=3)
    readable = [name for name in source.schema if name != "mixed"]
    table = read_all(source, readable)
    expected = {
        "float": [1.5, None, 3.0, 4.0],
        "nullable": [1, None, 3, 4],
        "nullable bool": [True, None, False, True],
        "text": ["x", None, "y", "x"],
        "objects": ["x", None, "y", "x"],
        "category": ["lo", "hi", None, "lo"],
        "codes": [3, 1, 3, 1],
        "cut": ["(0, 1]", "(1, 2]", "(2, 3]", None],
        "sparse": [0.0, 0.0, 5.0, 0.0],
        "missing": [None] * 4,
        "lists": [[1], [2, 3], [], None],
    }
    for name, column in expected.items():
        assert table.column(name).to_pylist() == column, name
    assert table.column("when").null_count == 1
    assert source.schema["zone"].tz == "Europe/Berlin"
    assert source.schema["float"] == pa.float64() and source.schema["single"] == pa.float32()
    assert pa.types.is_null(source.schema["missing"])


def test_categories_keep_order_and_unused_levels(pandas_frame):
    source = as_source(pandas_frame, rows_per_partition=3)
    for partition in source.partitions():
        column = source.read(partition, ["category"]).table.column("category")
        assert column.chunk(0).dictionary.to_pylist() == ["lo", "mid", "hi"]


def test_mixed_objects_can_be_there_but_not_be_read(pandas_frame):
    source = as_source(pandas_frame)
    with pytest.raises(ValueError, match=r"column 'mixed' holds objects of type float, int, str"):
        source.read(source.partitions()[0], ["mixed"])


def test_portable_keeps_everything(pandas_frame, spools):
    source = as_source(pandas_frame, y=np.arange(4), rows_per_partition=3)
    portable = source.portable()
    copy = pickle.loads(pickle.dumps(portable))
    assert copy.schema == source.schema and copy.token == source.token
    columns = [c for c in source.schema if c != "mixed"]
    for p, q in zip(source.partitions(), copy.partitions(), strict=True):
        a, b = source.read(p, columns), copy.read(q, columns)
        assert a.table.equals(b.table) and a.where == b.where
        np.testing.assert_array_equal(a.beside["y"], b.beside["y"])
    with pytest.raises(ValueError, match="'mixed'"):
        copy.read(copy.partitions()[0], ["mixed"])
    assert len(pickle.dumps(portable)) < 6_000
    copy.close()
    assert spools()
    portable.close()
    assert not spools()


@pytest.mark.parametrize("convert", [pa.table, pl.DataFrame, lambda t: t.to_pandas()])
def test_kinds_of_frames_agree(table, convert, values):
    frame = convert(table)
    source = as_source(frame, rows_per_partition=300)
    assert isinstance(source, FrameSource) and len(source.partitions()) == 4
    assert values(source, "row") == list(range(1000))
    assert values(source, "text") == table.column("text").to_pylist()
    number = table.column("number").to_pylist()
    assert values(source, "number") == number
    rows = source.read(source.partitions()[1], ["text", "row"])
    assert rows.table.column_names == ["text", "row"] and rows.where == "rows 300–599"


def test_record_batch(table, plain, read_all):
    batch = table.combine_chunks().to_batches()[0]
    assert plain(read_all(as_source(batch))).equals(table)


def test_polars_types(spools, values):
    frame = pl.DataFrame(
        {
            "cat": pl.Series(["b", "a", None, "b"], dtype=pl.Categorical),
            "enum": pl.Series(["u", "v", "u", None], dtype=pl.Enum(["w", "v", "u"])),
            "date": [datetime.date(2001, 1, d) for d in range(1, 5)],
            "object": pl.Series([object()] * 4, dtype=pl.Object),
        }
    )
    source = as_source(frame, rows_per_partition=2)
    assert str(source.schema["cat"]) == "large_string"
    first = source.read(source.partitions()[0], ["cat"]).table.column("cat")
    assert first.chunk(0).dictionary.to_pylist() == ["a", "b"]  # sorted, whatever came first
    assert values(source, "cat") == ["b", "a", None, "b"]
    enum = source.read(source.partitions()[1], ["enum"]).table.column("enum")
    assert enum.chunk(0).dictionary.to_pylist() == ["w", "v", "u"]
    with pytest.raises(ValueError, match="'object' holds Python objects"):
        source.read(source.partitions()[0], ["object"])
    with source.portable() as portable:
        assert values(portable, "cat") == ["b", "a", None, "b"]
        assert values(portable, "enum") == ["u", "v", "u", None]


def test_chunks_with_their_own_dictionaries(values):
    chunks = [pa.array(c).dictionary_encode() for c in (["b", "a"], ["c", "b"], ["a"])]
    source = as_source(pa.table({"x": pa.chunked_array(chunks)}), rows_per_partition=2)
    dictionaries = [source.read(p, ["x"]).table["x"].chunk(0).dictionary for p in source.partitions()]
    assert all(d.equals(dictionaries[0]) for d in dictionaries)
    assert values(source, "x") == ["b", "a", "c", "b", "a"]


def test_names():
    assert list(as_source(pd.DataFrame(np.zeros((2, 2)))).schema) == ["0", "1"]
    with pytest.raises(TypeError, match=r"column names must be text: 1 is int"):
        as_source(pd.DataFrame({"a": [1], 1: [2]}))
    with pytest.raises(ValueError, match="two columns named 'a'"):
        as_source(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(ValueError, match="two columns named '1'"):
        as_source(pd.DataFrame([[1, 2]], columns=[1, 1]))
    with pytest.raises(ValueError, match="no column 'distanse'; did you mean 'distance'"):
        source = as_source(pd.DataFrame({"distance": [1.0]}))
        source.read(source.partitions()[0], ["distanse"])


def test_index_is_no_column(values):
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 5], name="b"))
    assert list(as_source(frame).schema) == ["a"]
    assert values(as_source(frame), "a") == [1, 2]


def test_subclass_of_frame():
    class Mine(pd.DataFrame):
        pass

    assert isinstance(as_source(Mine({"a": [1]})), FrameSource)


def test_no_rows_no_columns():
    source = as_source(pd.DataFrame({"a": pd.Series([], dtype=float)}))
    assert source.partitions() == () and str(source.schema["a"]) == "double"
    assert as_source(pd.DataFrame(index=range(3))).n_rows == 3
    with pytest.raises(ValueError, match="weight has 1 values, but the data have 2 rows"):
        as_source(pd.DataFrame({"a": [1, 2]}), weight=[1.0])
    rows = as_source(pd.DataFrame({"a": [1, 2]}))
    assert rows.read(rows.partitions()[0]).table.num_columns == 0


columns = st.sampled_from(["float", "int", "text", "bool", "category", "when"])


@st.composite
def frames(draw):
    n = draw(st.integers(0, 25))
    data = {}
    for i, kind in enumerate(draw(st.lists(columns, min_size=1, max_size=4))):
        missing = st.none()
        text = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
        element = {
            "float": st.floats(allow_nan=True) | missing,
            "int": st.integers(-(2**63), 2**63 - 1),
            "text": text | missing,
            "bool": st.booleans(),
            "category": st.sampled_from(["x", "y", "z"]) | missing,
            "when": st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)),
        }[kind]
        column = draw(st.lists(element, min_size=n, max_size=n))
        dtype = {"float": "float64", "int": "int64", "text": "object", "bool": "bool"}.get(kind)
        if kind == "category":
            data[f"c{i}"] = pd.Categorical(column, categories=["z", "x", "y"])
        elif kind == "when":
            data[f"c{i}"] = pd.Series(column, dtype="datetime64[us]")
        else:
            data[f"c{i}"] = pd.Series(column, dtype=dtype)
    return pd.DataFrame(data)


@given(frames(), st.integers(1, 30))
def test_partitions_reassemble_the_frame(read_all, frame, step):
    source = FrameSource(frame, rows_per_partition=step)
    read = read_all(source)
    if len(frame) == 0:
        assert read is None
        return
    for name in frame.columns:
        expected = [None if pd.isna(v) else v for v in frame[name].tolist()]
        assert read.column(name).to_pylist() == expected
