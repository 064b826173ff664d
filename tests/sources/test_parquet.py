"""Parquet: row groups, projection, folders, promotion, files that change or are broken."""

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from statkit.sources import ParquetSource, as_source, handles


@pytest.fixture
def path(tmp_path, table):
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=300)
    return path


def test_row_groups(path, table, read_all):
    source = as_source(path)
    assert isinstance(source, ParquetSource)
    assert [p.unit for p in source.partitions()] == [0, 1, 2, 3]
    assert source.schema["text"] == pa.string()
    assert read_all(source).equals(table)
    rows = source.read(source.partitions()[3], ["text", "row"])
    assert rows.where == "rows.parquet, row group 3"
    assert rows.table.column("row").to_pylist() == list(range(900, 1000))
    assert source.read(source.partitions()[0]).table.num_columns == 0


def test_text_is_a_sorted_dictionary(path, tmp_path):
    source = as_source(path)
    for p in source.partitions():
        column = source.read(p, ["text"]).table.column("text")
        assert pa.types.is_dictionary(column.type) and column.num_chunks == 1
        levels = column.chunk(0).dictionary.to_pylist()
        assert levels == sorted(levels)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_text_types_and_many_levels(tmp_path, kind, values):
    # So many levels that the writer gives up its dictionary in the middle of the row group.
    labels = [f"{i * 7919 % 200_000:06d}" for i in range(200_000)]
    labels[5] = None
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array(labels, kind)}), path, dictionary_pagesize_limit=100_000)
    assert values(as_source(path), "x") == labels


def test_categories_keep_their_order(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"x": pd.Categorical(["lo", "hi"], ["lo", "mid", "hi"])}).to_parquet(path)
    source = as_source(path)
    assert pa.types.is_dictionary(source.schema["x"])
    column = source.read(source.partitions()[0], ["x"]).table.column("x")
    assert column.chunk(0).dictionary.to_pylist() == ["lo", "mid", "hi"]


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_several_files(tmp_path, values):
    for i in range(12):
        write(tmp_path / f"part-{i:02d}.parquet", x=[i, i + 100])
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "README").write_text("no data")
    write(tmp_path / ".hidden" / "a.parquet", x=[-1])
    expected = [v for i in range(12) for v in (i, i + 100)]
    for data in (tmp_path, str(tmp_path / "part-*.parquet"), sorted(tmp_path.glob("part-*"))):
        source = as_source(data)
        assert values(source, "x") == expected
        assert source.read(source.partitions()[11], ["x"]).where == "part-11.parquet, row group 0"
    url = (tmp_path / "part-03.parquet").as_uri()
    assert values(as_source(url), "x") == [3, 103]


def test_folders_that_are_columns(tmp_path, read_all):
    for year, site, x in ((2001, "a", 1), (2001, "b b", 2), (2002, "a", 3)):
        write(tmp_path / f"year={year}" / f"site={site.replace(' ', '%20')}" / "part.parquet", x=[x])
    write(tmp_path / "year=2002" / "site=__HIVE_DEFAULT_PARTITION__" / "part.parquet", x=[4])
    source = as_source(tmp_path)
    assert source.schema["year"] == pa.int64() and source.schema["site"] == pa.string()
    table = read_all(source, ["site", "x", "year"])
    assert sorted(zip(*table.to_pydict().values(), strict=True), key=lambda r: r[1]) == [
        ("a", 1, 2001),
        ("b b", 2, 2001),
        ("a", 3, 2002),
        (None, 4, 2002),
    ]
    assert source.read(source.partitions()[0], ["year"]).table.num_rows == 1
    copy = pickle.loads(pickle.dumps(source))
    assert read_all(copy).equals(read_all(source))


def test_codes_in_folders_stay_text(tmp_path, values):
    write(tmp_path / "zip=007" / "a.parquet", x=[1])
    write(tmp_path / "zip=010" / "a.parquet", x=[2])
    assert values(as_source(tmp_path), "zip") == ["007", "010"]


def test_widths_are_promoted(tmp_path, values):
    write(tmp_path / "a.parquet", x=pa.array([1], pa.int16()), s=["a"], n=pa.nulls(1))
    write(tmp_path / "b.parquet", s=pa.array(["b"], pa.large_string()), x=pa.array([2**40]), n=[1.5])
    write(tmp_path / "c.parquet", x=[0.5], s=["c"], n=[2.5])
    source = as_source(tmp_path)
    assert source.schema["x"] == pa.float64()
    assert values(source, "x") == [1.0, 2.0**40, 0.5]
    assert values(source, "s") == ["a", "b", "c"] and values(source, "n") == [None, 1.5, 2.5]


def test_an_integer_that_promotion_would_round(tmp_path, values):
    write(tmp_path / "a.parquet", x=[2**53 + 1])
    write(tmp_path / "b.parquet", x=[0.5])
    with pytest.raises(ValueError, match=r"column 'x' of a.parquet, row group 0 cannot be read as double"):
        values(as_source(tmp_path), "x")


def test_files_that_differ(tmp_path):
    write(tmp_path / "a.parquet", x=[1], s=["a"])
    write(tmp_path / "b.parquet", x=[1])
    with pytest.raises(ValueError, match=r"a.parquet has a column 's', which b.parquet lacks"):
        as_source(tmp_path)
    write(tmp_path / "b.parquet", x=[1], s=["b"], extra=[1])
    with pytest.raises(ValueError, match=r"b.parquet has a column 'extra', which a.parquet lacks"):
        as_source(tmp_path)
    write(tmp_path / "b.parquet", x=["one"], s=["b"])
    with pytest.raises(ValueError, match=r"column 'x' is string in b.parquet, but int64 in a.parquet"):
        as_source(tmp_path)


def test_changed_file(path, table):
    source = as_source(path)
    first = source.partitions()[0]
    source.read(first, ["row"])
    token = source.token
    pq.write_table(table, path, row_group_size=500)
    with pytest.raises(ValueError, match=r"rows.parquet changed between passes"):
        source.read(first, ["row"])
    assert as_source(path).token != token
    with pytest.raises(ValueError, match="changed between passes"):
        pickle.loads(pickle.dumps(source)).partitions()
    os.remove(path)
    with pytest.raises(ValueError, match="removed between passes"):
        source.read(first, ["row"])


def test_same_size_other_time(path):
    source = as_source(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ValueError, match="changed between passes"):
        source.read(source.partitions()[0], ["row"])


def test_broken_files(tmp_path, path):
    whole = path.read_bytes()
    cases = {"cut.parquet": whole[: len(whole) // 2], "text.parquet": b"a,b\n1,2\n", "empty.parquet": b""}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            as_source(tmp_path / name)
    (tmp_path / "damaged.parquet").write_bytes(whole[:4] + bytes(2000) + whole[2004:])
    source = as_source(tmp_path / "damaged.parquet")
    with pytest.raises(ValueError, match=r"damaged.parquet, row group 0 cannot be read"):
        source.read(source.partitions()[0], list(source.schema))


def test_missing_files(tmp_path):
    (tmp_path / "flights.parquet").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"fligts.parquet; did you mean 'flights.parquet'"):
        as_source(tmp_path / "fligts.parquet")
    with pytest.raises(FileNotFoundError, match="no file matches"):
        as_source(str(tmp_path / "*.csv"))
    with pytest.raises(FileNotFoundError, match="no data files"):
        os.mkdir(tmp_path / "nothing")
        as_source(tmp_path / "nothing")
    with pytest.raises(ValueError, match="cannot tell what kind"):
        (tmp_path / "a.xlsx").write_bytes(b"PK\3\4")
        as_source(tmp_path / "a.xlsx")
    for name in ("a.parquet", "b.csv"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match="several kinds"):
        as_source([tmp_path / "a.parquet", tmp_path / "b.csv"])
    with pytest.raises(ValueError, match="cannot open"):
        as_source("nonsense://bucket/a.parquet")
    os.makedirs(tmp_path / "delta" / "_delta_log")
    (tmp_path / "delta" / "_delta_log" / "0.json").write_text("{}")
    with pytest.raises(ValueError, match="Delta table"):
        as_source(tmp_path / "delta")


def test_parquet_under_another_name(path, table, read_all):
    other = path.with_name("rows")
    os.rename(path, other)
    assert read_all(as_source(other)).equals(table)


def test_no_rows(tmp_path):
    write(tmp_path / "a.parquet", x=pa.array([], pa.float64()))
    source = as_source(tmp_path / "a.parquet")
    assert source.n_rows == 0 and source.partitions() == () and list(source.schema) == ["x"]


def test_beside(path, spools):
    y = np.arange(1000.0)
    source = as_source(path, y=y)
    assert source.token != as_source(path).token
    with pytest.raises(ValueError, match="group has 3 values, but the data have 1,000 rows"):
        as_source(path, group=[1, 2, 3])
    portable = source.portable()
    copy = pickle.loads(pickle.dumps(portable))
    assert len(pickle.dumps(portable)) < 5_000
    for p in source.partitions():
        for one in (source, portable, copy):
            np.testing.assert_array_equal(
                one.read(p, ["row"]).beside["y"], y[p.first_row : p.first_row + p.n_rows]
            )
    portable.close()
    assert not spools()
    source.read(source.partitions()[0], ["row"])


def test_pickle(path, table, plain, read_all):
    source = as_source(path)
    copy = pickle.loads(pickle.dumps(source))
    assert copy.partitions() == source.partitions() and copy.token == source.token
    assert pickle.loads(pickle.dumps(source.partitions()[0])) == source.partitions()[0]
    assert source.portable() is source
    assert plain(read_all(copy)).equals(table)


def test_handles_are_kept_and_bounded(path, tmp_path, values):
    source = as_source(path)
    for _ in range(3):
        for p in source.partitions():
            source.read(p, ["row"])
    ours = [key for key in handles._idle if key[0] == str(path)]
    assert len(ours) == 1 and len(handles._idle[ours[0]]) == 1
    source.close()
    assert not [key for key in handles._idle if key[0] == str(path)]
    for i in range(50):
        write(tmp_path / "many" / f"{i}.parquet", x=[i])
    values(as_source(tmp_path / "many"), "x")
    assert sum(map(len, handles._idle.values())) <= 32


def test_threads_read_at_once(path, table, plain):
    source = as_source(path)
    parts = source.partitions()
    barrier = threading.Barrier(4)

    def read(k):
        barrier.wait()
        return [source.read(parts[(k + i) % 4], ["row", "text"]).table for i in range(40)]

    with ThreadPoolExecutor(4) as pool:
        for k, tables in enumerate(pool.map(read, range(4))):
            for i, one in enumerate(tables):
                p = parts[(k + i) % 4]
                assert plain(one).equals(table.select(["row", "text"]).slice(p.first_row, p.n_rows))


def test_duplicate_names(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet has two columns named 'x'"):
        as_source(tmp_path / "a.parquet")


def test_unknown_column(path):
    source = as_source(path)
    with pytest.raises(ValueError, match=r"rows.parquet has no column 'nummer'; did you mean 'number'"):
        source.read(source.partitions()[0], ["nummer"])
