"""Frames without a formula: all columns in their order, categories coded."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from statkit.design import FrameDesign


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 60
    return pd.DataFrame(
        {
            "x": rng.normal(size=n).astype("float32"),
            "c": pd.Categorical(rng.choice(["mid", "low"], n), ["low", "mid", "high"]),
            "flag": rng.random(n) < 0.5,
            "two words": rng.integers(0, 9, n).astype("int8"),
            "s": rng.choice(["q", "p", "r"], n),
            "y": rng.normal(size=n),
        }
    )


def encode(cases, data, cuts=(), **options):
    parts = (
        cases.split(data, cuts, y=np.arange(float(len(data))))
        if "y" not in options
        else cases.split(data, cuts)
    )
    design = cases.freeze(FrameDesign(cases.schema_of(data), **options), parts)
    return design, [design.encode(p) for p in parts]


@pytest.mark.parametrize("cuts", [(), (5, 30)])
@pytest.mark.parametrize("intercept", [True, False])
def test_columns_in_order(cases, cuts, intercept):
    data = frame()
    design, blocks = encode(cases, pa.Table.from_pandas(data), cuts, y="y", intercept=intercept)
    full = ["Intercept", "x", "c[T.mid]"] if intercept else ["x", "c[low]", "c[mid]"]
    assert list(design.names) == [*full, "flag", "two words", "s[T.q]", "s[T.r]"]
    X = cases.public(design, blocks)
    expected = {
        "Intercept": np.ones(60), "x": data.x.astype(float), "c[T.mid]": data.c == "mid",
        "c[low]": data.c == "low", "c[mid]": data.c == "mid", "flag": data.flag,
        "two words": data["two words"], "s[T.q]": data.s == "q",
        "s[T.r]": data.s == "r",
    }  # fmt: skip
    for j, name in enumerate(design.names):
        np.testing.assert_array_equal(X[:, j], expected[name])
    np.testing.assert_array_equal(np.concatenate([b.y for b in blocks]), data.y)
    assert list(design.terms) == (["Intercept"] if intercept else []) + ["x", "c", "flag", "two words", "s"]
    assert design.intercept is intercept


def test_numbers_need_no_profile(cases):
    data = pa.table({"b": [1, 2, 3], "a": [0.5, 1.5, 2.5]})
    design = FrameDesign(cases.schema_of(data))
    assert design.profile_columns is None
    (part,) = cases.split(data, y=np.zeros(3))
    block = design.freeze(None).encode(part)
    np.testing.assert_array_equal(block.dense, [[1, 0.5], [2, 1.5], [3, 2.5]])
    assert block.dense.flags.c_contiguous


def test_many_columns(cases):
    X = np.random.default_rng(0).normal(size=(2500, 30))
    data = pa.table({f"v{j}": X[:, j] for j in range(30)})
    _, blocks = encode(cases, data, (1100,))
    np.testing.assert_array_equal(np.concatenate([b.dense for b in blocks]), X)


def test_chosen_columns_and_roles(cases):
    data = pa.Table.from_pandas(frame())
    design = FrameDesign(cases.schema_of(data), ["s", "x"], y="flag", weight="two words", group="c")
    assert design.columns == ("flag", "s", "x", "two words", "c")
    assert design.predictor_columns == ("s", "x") and design.classes == (False, True)
    parts = cases.split(data)
    block = cases.freeze(design, parts).encode(parts[0])
    np.testing.assert_array_equal(block.weight, frame()["two words"])
    assert len(np.unique(block.group)) == 2


def test_polars_and_string_types(cases):
    data = pl.DataFrame(
        {
            "s": ["b", "a", None, "b"],
            "k": pl.Series(["hi", "lo", "hi", "lo"], dtype=pl.Enum(["lo", "hi"])),
            "x": [1, 2, 3, None],
        }
    ).to_arrow()
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        table = data.set_column(0, "s", data["s"].cast(kind))
        design, (block,) = encode(cases, table)
        assert design.names == ("Intercept", "s[T.b]", "k[T.hi]", "x")
        np.testing.assert_array_equal(cases.public(design, [block]), [[1, 1, 1, 1], [1, 0, 0, 2]])
        assert block.n_missing == 2 and block.y.tolist() == [0, 1]


def test_limits_and_keeping(cases):
    data = pa.table({"s": ["a", "a", "b", "b"], "y": [1, 0, 1, 1], "x": [1.0, 2, 3, 4]})
    design, (block,) = encode(cases, data, y="y", limit_rule={0: -np.inf, 1: np.inf})
    assert design.limits == {"s[T.b]": np.inf} and block.n_rows == 2
    again = FrameDesign.from_dict(json.loads(json.dumps(design.to_dict())))
    assert again.token == design.token
    _, limit = again.encode_predictors(cases.split(data)[0])
    np.testing.assert_array_equal(limit, [0, 0, np.inf, np.inf])


def test_columns_that_cannot_be(cases):
    with pytest.raises(ValueError, match="hour"):
        FrameDesign({"t": pa.timestamp("s")})
    with pytest.raises(ValueError, match="binary"):
        FrameDesign({"t": pa.binary()})
    with pytest.raises(ValueError, match="column 'n' has no value"):
        FrameDesign({"n": pa.null()})
    with pytest.raises(ValueError, match="distance"):
        FrameDesign({"distance": pa.int8()}, ["distanse"])
    with pytest.raises(ValueError, match="numeric"):
        FrameDesign({"x": pa.int8(), "w": pa.string()}, weight="w")
    with pytest.raises(ValueError, match="x is infinite in row 1"):
        encode(cases, pa.table({"x": [1.0, float("-inf")]}))


def test_a_frame_needs_no_formula_library():
    code = (
        "import sys, pyarrow as pa, numpy as np\n"
        "from statkit.design import FrameDesign\n"
        "from statkit.sources import Rows\n"
        "t = pa.table({'x': [1.0, 2.0], 's': ['a', 'b']})\n"
        "d = FrameDesign(dict(zip(t.column_names, t.schema.types)))\n"
        "r = Rows(0, 2, t, None, {'y': np.zeros(2)}, 'rows')\n"
        "d.freeze(d.profile(r)).encode(r)\n"
        "assert 'formulaic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
