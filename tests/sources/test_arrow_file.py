"""Arrow files: mapped when that is possible, copied when not."""

import os
import pickle

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather

from statkit.sources import ArrowFileSource, SpooledSource, as_source


@pytest.fixture
def write(tmp_path):
    def write(table, name="a.arrow", stream=False, chunk=None, **options):
        path = tmp_path / name
        new = pa.ipc.new_stream if stream else pa.ipc.new_file
        with new(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            writer.write_table(table, max_chunksize=chunk)
        return path

    return write


@pytest.mark.parametrize("chunk", [7, 400, None])
def test_mapped(write, table, read_all, plain, chunk):
    path = write(table, chunk=chunk)
    source = as_source(path, rows_per_partition=300)
    assert isinstance(source, ArrowFileSource)
    assert [p.n_rows for p in source.partitions()] == [300, 300, 300, 100]  # whatever the batches
    assert plain(read_all(source)).equals(table)
    rows = source.read(source.partitions()[1], ["row"])
    assert rows.where == "a.arrow, rows 300–599"


def test_nothing_is_copied(write):
    source = as_source(write(pa.table({"x": np.arange(100_000.0)})))
    before = pa.total_allocated_bytes()
    column = source.read(source.partitions()[1], ["x"]).table.column("x")
    assert pa.total_allocated_bytes() - before < 1_000
    assert column[0].as_py() == 65_536.0


@pytest.mark.parametrize("how", ["stream", "lz4", "zstd", "feather"])
def test_copied(write, table, read_all, tmp_path, how, spools):
    if how == "stream":
        path = write(table, "a.arrows", stream=True, chunk=300)
    elif how == "feather":
        feather.write_feather(table, path := str(tmp_path / "a.feather"), compression="lz4")
    else:
        path = write(table, compression=how)
    source = as_source(path)
    assert isinstance(source, SpooledSource)
    assert read_all(source).equals(table)
    assert source.read(source.partitions()[0], []).where.endswith("rows 0–999")
    source.close()
    assert not spools()
    with pytest.raises(ValueError, match="as_source"):
        ArrowFileSource(path)


def test_dictionaries(write, values):
    column = pa.array(["lo", None, "hi"], pa.dictionary(pa.int8(), pa.string()))
    numbers = pa.DictionaryArray.from_arrays([1, 0, None], pa.array([10, 20]))
    source = as_source(write(pa.table({"x": column, "n": numbers})), rows_per_partition=2)
    assert values(source, "x") == ["lo", None, "hi"] and values(source, "n") == [20, 10, None]
    dictionary = source.read(source.partitions()[1], ["x"]).table.column("x").chunk(0).dictionary
    assert dictionary.to_pylist() == ["lo", "hi"]


def test_replaced_dictionaries_of_a_stream(write, values):
    chunks = [pa.array(c).dictionary_encode() for c in (["b", "a"], ["c", "b"])]
    source = as_source(write(pa.table({"x": pa.chunked_array(chunks)}), stream=True))
    assert values(source, "x") == ["b", "a", "c", "b"]


def test_written_by_polars(tmp_path, values):
    path = tmp_path / "a.arrow"
    pl.DataFrame({"x": ["a", "b"], "y": [1.0, None]}).write_ipc(path)
    source = as_source(path)
    assert values(source, "x") == ["a", "b"] and values(source, "y") == [1.0, None]


def test_several(write, table, read_all, tmp_path):
    write(table.slice(0, 10), "1.arrow")
    write(table.slice(10, 10), "2.arrow", compression="lz4")
    assert read_all(as_source(str(tmp_path / "*.arrow"))).equals(table.slice(0, 20))


def test_pickle_and_beside(write, table, spools, read_all):
    path = write(table)
    source = as_source(path, y=np.arange(1000), rows_per_partition=300)
    assert as_source(path).portable() is not source
    portable = source.portable()
    copy = pickle.loads(pickle.dumps(portable))
    for p in source.partitions():
        np.testing.assert_array_equal(copy.read(p).beside["y"], np.arange(1000)[p.first_row :][: p.n_rows])
    assert read_all(copy).equals(table)
    portable.close()
    assert not spools()
    with pytest.raises(ValueError, match="offset has 2 values"):
        as_source(path, offset=[1, 2])


def test_changed_and_broken(write, table, tmp_path):
    path = write(table)
    source = as_source(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ValueError, match=r"a.arrow changed between passes"):
        source.read(source.partitions()[0], ["row"])
    whole = path.read_bytes()
    for name, content in {"cut.arrow": whole[:3000], "csv.arrow": b"x\n1\n", "none.arrow": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            as_source(tmp_path / name)


def test_no_rows(write, table):
    source = as_source(write(table.slice(0, 0)))
    assert source.n_rows == 0 and source.partitions() == () and "text" in source.schema
