"""Data sets of pyarrow: where they are when they are Parquet, copied when not."""

import pickle

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from statkit.sources import DatasetSource, SpooledSource, as_source


@pytest.fixture
def folder(tmp_path, table):
    years = pa.array([2001 + i // 500 for i in range(1000)])
    sites = pa.array(["ab"[i % 2] for i in range(1000)])
    table = table.append_column("year", years).append_column("site", sites)
    ds.write_dataset(
        table, tmp_path / "set", format="parquet", partitioning=["year", "site"], partitioning_flavor="hive"
    )
    return tmp_path / "set"


def by_row(table):
    return table.sort_by("row").to_pydict()


@pytest.mark.parametrize("dictionaries", [False, True])
def test_partition_columns(folder, table, read_all, dictionaries, spools):
    partitioning = ds.HivePartitioning.discover(infer_dictionary=dictionaries)
    source = as_source(ds.dataset(folder, partitioning=partitioning))
    assert isinstance(source, DatasetSource) and not spools()
    read = read_all(source, ["row", "text", "site", "year"])
    assert by_row(read.select(["row", "text"])) == table.select(["row", "text"]).to_pydict()
    assert by_row(read)["year"] == [2001 + i // 500 for i in range(1000)]
    assert by_row(read)["site"] == ["ab"[i % 2] for i in range(1000)]
    copy = pickle.loads(pickle.dumps(source))
    assert copy.partitions() == source.partitions()
    assert read_all(copy, ["row", "site"]).equals(read.select(["row", "site"]))


def test_filtered_is_copied(folder, read_all, spools):
    data = ds.dataset(folder, partitioning="hive").filter((ds.field("row") < 10) & (ds.field("site") == "a"))
    source = as_source(data)
    assert isinstance(source, SpooledSource)
    assert by_row(read_all(source))["row"] == [0, 2, 4, 6, 8]
    source.close()
    assert not spools()
    with pytest.raises(ValueError, match="filtered"):
        DatasetSource(data)


def test_other_formats_are_copied(tmp_path, table, read_all):
    ds.write_dataset(table, tmp_path / "ipc", format="ipc")
    source = as_source(ds.dataset(tmp_path / "ipc", format="ipc"))
    assert isinstance(source, SpooledSource) and read_all(source).equals(table)
    assert read_all(as_source(ds.dataset(table))).equals(table)


def test_schema_that_grew(tmp_path, values):
    pq.write_table(pa.table({"x": pa.array([1], pa.int32())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": pa.array([2]), "s": ["new"]}), tmp_path / "b.parquet")
    schema = pa.schema([("x", pa.int64()), ("s", pa.string())])
    source = as_source(ds.dataset(tmp_path, schema=schema))
    assert values(source, "x") == [1, 2] and values(source, "s") == [None, "new"]


def test_some_row_groups(tmp_path, table, values):
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    whole = ds.dataset(tmp_path / "a.parquet")
    fragment = next(iter(whole.get_fragments())).subset(row_group_ids=[2, 5])
    some = ds.FileSystemDataset([fragment], whole.schema, whole.format, whole.filesystem)
    source = as_source(some)
    assert [p.unit for p in source.partitions()] == [2, 5]
    assert values(source, "row") == [*range(200, 300), *range(500, 600)]
    assert source.token != as_source(whole).token


def test_other_file_system(tmp_path, table, read_all):
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)
    elsewhere = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    source = as_source(ds.dataset("a.parquet", filesystem=elsewhere))
    assert source.partitions()[0].path == "a.parquet"
    assert read_all(pickle.loads(pickle.dumps(source))).equals(table)
    pq.write_table(table.slice(1), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet changed between passes"):
        source.read(source.partitions()[0], ["row"])


def test_delta_table(folder):
    class DeltaTable:
        def to_pyarrow_dataset(self):
            return ds.dataset(folder, partitioning="hive")

    assert as_source(DeltaTable()).n_rows == 1000
