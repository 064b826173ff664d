"""Distributed frames without a cluster: packing, checks, the copy for other engines, with a frame of pandas pieces."""

import itertools
import os
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from statkit.engines import resolve_engine
from statkit.regression import glm
from statkit.sources import held as held_module
from statkit.sources.cluster import ClusterSource
from statkit.sources.held import Held, inspect, pack, pack_frame, read_piece


class Pieces(ClusterSource):
    """A list of pandas frames that plays a distributed one; a "cluster" of it is this process."""

    system = "pieces"

    def _types(self):
        from statkit.sources import FrameSource

        return FrameSource(self._frame[0].head(0)).schema

    def _bring(self, columns, spool):
        for frame in self._frame:
            yield pack_frame(frame, list(columns))

    def _hold(self, client, columns):
        packed = [pack_frame(frame, list(columns)) for frame in self._frame]
        held = [Held("pieces", p, i, lambda h: h.reference) for i, p in enumerate(packed)]
        return [(h, inspect(p)) for h, p in zip(held, packed, strict=True)], lambda: None


class PiecesEngine:
    name, in_process, client = "pieces", False, None


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=500), "c": rng.choice(["a", "ü"], 500)})
    frame["k"] = pd.Categorical(rng.choice(["lo", "hi"], 500), categories=["lo", "hi"], ordered=True)
    frame["y"] = frame["x"] + (frame["c"] == "a") + rng.normal(size=500)
    frame.loc[::50, "x"] = np.nan
    return frame


def cut(frame, *at):
    edges = [0, *at, len(frame)]
    return [frame.iloc[a:b] for a, b in itertools.pairwise(edges)]


def test_packed_rows_come_back(frame, monkeypatch):
    whole = pack_frame(frame, ["y", "c", "k"])
    assert len(whole) == 1 and inspect(whole).n_rows == 500
    schema = dict(inspect(whole).schema)
    monkeypatch.setattr(held_module, "_CHUNK", 1)
    tables = [
        pa.Table.from_pandas(part[["y", "c", "k"]], preserve_index=False) for part in cut(frame, 100, 101)
    ]
    several = pack(tables)
    assert len(several) == 3 and inspect(several).n_rows == 500
    for buffers in (whole, several):
        table = read_piece(buffers, ["k", "y"], schema, "here")
        assert table.column_names == ["k", "y"] and table["k"].to_pylist() == frame["k"].tolist()
        np.testing.assert_array_equal(table["y"].to_numpy(), frame["y"])
    with pytest.raises(TypeError, match="pandas or Arrow"):
        pack_frame([1], ["x"])


@pytest.mark.parametrize("engine", ["serial", "threads", "processes"])
def test_fits_equal_those_of_the_frame(frame, engine):
    here = glm("y ~ x + c + k", frame, engine="serial").estimate_
    far = glm("y ~ x + c + k", Pieces(cut(frame, 100, 100, 350)), engine=engine, n_jobs=2).estimate_
    np.testing.assert_allclose(far.values, here.values, rtol=0, atol=1e-12)
    assert far.names == here.names and far.rows_missing == here.rows_missing == 10


def test_held_partitions(frame):
    with Pieces(cut(frame, 100, 100, 350)) as source, source.on(PiecesEngine(), ["y", "c"]) as held:
        partitions = held.partitions()
        assert [(p.key, p.unit, p.first_row, p.n_rows) for p in partitions] == [
            (0, 0, 0, 100), (1, 2, 100, 250), (2, 3, 350, 150),
        ]  # fmt: skip
        rows = held.read(partitions[1], ["y"])
        np.testing.assert_array_equal(rows.table["y"].to_numpy(), frame["y"].iloc[100:350])
        assert rows.where == "the Pieces frame, partition 2"
        there = pickle.loads(pickle.dumps(held))  # as workers get it: the rows come with the partition
        sent = replace(partitions[1], held=partitions[1].held.reference)
        np.testing.assert_array_equal(there.read(sent, ["y"]).table["y"].to_numpy(), frame["y"].iloc[100:350])
        other = replace(partitions[1], held=pack_frame(frame.iloc[101:351], ["y", "c"]))
        with pytest.raises(ValueError, match="partition 2 changed between rounds"):
            there.read(other, ["y"])
        with pytest.raises(ValueError, match="did not come with the task"):
            there.read(replace(partitions[1], held=None), ["y"])
        with pytest.raises(ValueError, match="did you mean 'y'"):
            held.read(partitions[0], ["yy"])


def test_the_copy_goes_with_its_source(frame):
    source = Pieces(cut(frame, 200))
    first = source.partitions()[1]
    assert source.n_rows == 500 and first.first_row == 200 and os.path.exists(first.path)
    rows = source.read(first, ["c"])
    assert rows.table["c"].to_pylist() == frame["c"].iloc[200:].tolist()
    source.close()
    assert not os.path.exists(first.path) and source.n_rows is None
    with pytest.raises(TypeError, match="cannot be sent"):
        pickle.dumps(source)


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_arrays_beside(frame, engine):
    w = np.random.default_rng(1).uniform(1, 2, 500)
    far = glm("y ~ x", Pieces(cut(frame, 200), weight=w), engine=engine, n_jobs=2).estimate_
    here = glm("y ~ x", frame, weights=w, engine="serial").estimate_
    np.testing.assert_allclose(far.values, here.values, atol=1e-12)
    with pytest.raises(ValueError, match="weight has 499 values"):
        glm("y ~ x", Pieces(cut(frame, 200), weight=w[:-1]), engine=engine)


def test_bad_frames(frame):
    objects = [frame[["y"]].assign(o=pd.Series([None] * 500, dtype=object)), frame[["y"]].assign(o="text")]
    source = Pieces(objects)
    assert pa.types.is_large_string(source.schema["o"]) or pa.types.is_string(source.schema["o"])
    mixed = [frame[["y"]].assign(o=pd.Series([1.5] * 500, dtype=object)), frame[["y"]].assign(o="text")]
    with pytest.raises(ValueError, match=r"column 'o' is .* in partition 1, but double in another"):
        Pieces(mixed)
    twice = frame[["x", "y"]].set_axis(["a", "a"], axis=1)
    with pytest.raises(ValueError, match="two columns named 'a'"):
        Pieces([twice])


def test_regrouping_by_a_column(frame):
    with Pieces(cut(frame, 123)) as source, source.regroup(by="c") as machines:
        assert sorted(machines.machines) == ["a", "ü"]
        assert sum(p.n_rows for p in machines.partitions()) == 500
        engine = resolve_engine("processes", 2)
        assert machines.on(engine) is not None
