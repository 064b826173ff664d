"""Matrices in memory: views, CSR, memory maps for other processes."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import statkit
from statkit.sources import ArraySource, as_source


def dense(X):
    return X.toarray() if sp.issparse(X) else np.asarray(X)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool", "object"])
def test_partitions_are_views(dtype, order):
    X = np.asarray(np.arange(30).reshape(10, 3), dtype=dtype, order=order)
    source = as_source(X, y=np.arange(10.0), rows_per_partition=4)
    assert (source.n_rows, source.n_features, source.schema) == (10, 3, {})
    parts = source.partitions()
    assert [(p.key, p.first_row, p.n_rows) for p in parts] == [(0, 0, 4), (1, 4, 4), (2, 8, 2)]
    for p in parts:
        rows = source.read(p)
        assert rows.table is None and rows.X.dtype == dtype
        assert np.shares_memory(rows.X, X)
        np.testing.assert_array_equal(rows.X, X[p.first_row : p.first_row + p.n_rows])
        np.testing.assert_array_equal(rows.beside["y"], np.arange(p.first_row, p.first_row + p.n_rows))
    assert source.read(parts[1]).where == "rows 4–7"


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_sparse(kind):
    X = kind(sp.random(50, 7, 0.2, format="csr", random_state=0))
    source = as_source(X, rows_per_partition=16)
    parts = [source.read(p).X for p in source.partitions()]
    assert all(p.format == "csr" for p in parts)
    np.testing.assert_array_equal(np.vstack([p.toarray() for p in parts]), X.toarray())
    if X.format == "csr":
        assert all(np.shares_memory(p.data, X.data) for p in parts)
        assert all(np.shares_memory(p.indices, X.indices) for p in parts)


def test_duplicate_entries_are_summed_in_a_copy():
    X = sp.csr_array((np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    rows = as_source(X).read(as_source(X).partitions()[0])
    assert rows.X.nnz == 2 and X.nnz == 3
    np.testing.assert_array_equal(rows.X.toarray(), [[0, 2], [1, 0]])


@pytest.mark.parametrize(
    "X",
    [
        np.arange(24.0).reshape(8, 3),
        np.asfortranarray(np.arange(24.0).reshape(8, 3)),
        np.arange(48, dtype=np.float32).reshape(8, 6)[:, ::2],
        sp.csr_array(np.eye(8, 3)),
        np.empty((0, 3)),
    ],
    ids=["C", "F", "strided", "csr", "empty"],
)
def test_portable(X, spools):
    n = X.shape[0]
    source = as_source(X, y=np.arange(n * 2.0).reshape(n, 2), weight=np.ones(n), rows_per_partition=3)
    portable = source.portable()
    assert spools()
    pickled = pickle.dumps(portable)
    copy = pickle.loads(pickled)
    assert copy.partitions() == source.partitions() and copy.token == source.token
    for p in source.partitions():
        for one in (portable, copy):
            a, b = one.read(p), source.read(p)
            np.testing.assert_array_equal(dense(a.X), dense(b.X))
            assert a.X.dtype == b.X.dtype and a.where == b.where
            np.testing.assert_array_equal(a.beside["y"], b.beside["y"])
    copy.close()
    del copy
    assert spools()  # only its owner removes it
    portable.close()
    assert not spools()


def test_portable_pickle_holds_no_rows(spools):
    portable = as_source(np.zeros((50_000, 4)), y=np.zeros(50_000)).portable()
    assert len(pickle.dumps(portable)) < 3_000
    del portable
    assert not spools()  # removed when collected


def test_memory_map_is_not_copied(tmp_path, spools):
    path = tmp_path / "X.npy"
    np.save(path, np.arange(4_000.0).reshape(1_000, 4))
    whole = np.load(path, mmap_mode="r")
    for part in (whole, whole[100:300], whole[1:]):
        portable = as_source(part).portable()
        copy = pickle.loads(pickle.dumps(portable))
        np.testing.assert_array_equal(copy.read(copy.partitions()[0]).X, part)
        assert [name for name in spools() if name.endswith(".npy")] == []
        portable.close()


def test_changed_private_map_is_copied(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, np.zeros((10, 2)))
    X = np.load(path, mmap_mode="c")
    X[3] = 7
    portable = as_source(X).portable()
    np.testing.assert_array_equal(portable.read(portable.partitions()[0]).X, X)
    portable.close()


def test_objects_are_not_portable(spools):
    with pytest.raises(TypeError, match="object"):
        as_source(np.array([[1, "a"]], dtype=object)).portable()
    assert not spools()


@pytest.mark.parametrize("name", ["y", "weight", "offset", "group"])
def test_lengths_beside(name):
    with pytest.raises(ValueError, match=rf"{name} has 3 values, but the data have 4 rows"):
        as_source(np.zeros((4, 2)), **{name: np.zeros(3)})


def test_bad_matrices():
    with pytest.raises(ValueError, match=r"two dimensions.*\(3,\).*reshape"):
        as_source(np.zeros(3))
    with pytest.raises(ValueError, match="one value a row"):
        as_source(np.zeros((3, 1)), y=2.0)
    with pytest.raises(ValueError, match="rows_per_partition"):
        ArraySource(np.zeros((3, 1)), rows_per_partition=0)
    with pytest.raises(ValueError, match="no column 'x'"):
        source = as_source(np.zeros((3, 1)))
        source.read(source.partitions()[0], ["x"])


def test_no_rows():
    source = as_source(np.zeros((0, 2)), y=[])
    assert source.partitions() == () and source.n_rows == 0


def test_lists_and_sources():
    assert as_source([[1, 2], [3, 4]]).n_features == 2
    source = as_source(np.zeros((2, 2)))
    assert as_source(source) is source
    with pytest.raises(ValueError, match="beside a Source"):
        as_source(source, y=[1, 2])


def test_tokens_differ():
    X = np.zeros((2, 2))
    a, b = as_source(X), as_source(X)
    assert a.token == a.token != b.token


def test_plain_arrays_import_no_arrow():
    code = (
        "import sys; import numpy as np; from statkit.sources import as_source\n"
        "s = as_source(np.zeros((5, 2)), y=np.zeros(5)); s.read(s.partitions()[0])\n"
        "print([m for m in ('pyarrow', 'pandas', 'polars', 'scipy', 'sklearn') if m in sys.modules])"
    )
    root = str(Path(statkit.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "[]", done.stderr


@given(
    hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int8, np.bool_]),
        st.tuples(st.integers(0, 30), st.integers(0, 4)),
    ),
    st.integers(1, 31),
)
def test_partitions_reassemble(X, step):
    source = ArraySource(X, y=np.arange(len(X)), rows_per_partition=step)
    rows = [source.read(p) for p in source.partitions()]
    assert source.n_rows == len(X)
    if rows:
        np.testing.assert_array_equal(np.concatenate([r.X for r in rows]), X)
        np.testing.assert_array_equal(np.concatenate([r.beside["y"] for r in rows]), np.arange(len(X)))
