"""Formula designs against formulaic's own matrices, over any partitioning."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from formulaic import model_matrix


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 400
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "z": rng.uniform(1, 5, size=n),
            "k": rng.integers(-3, 40, size=n).astype("int16"),
            "a": rng.choice(["u", "v", "w"], size=n),
            "b": rng.choice(["b2", "b10", "b1", "é"], size=n),
            "c": pd.Categorical(rng.choice(["low", "mid", "high"], size=n), ["low", "mid", "high"]),
            "i": rng.integers(1, 5, size=n),
            "f": rng.choice([0.5, 1.0, 2.25], size=n),
            "flag": rng.random(n) < 0.3,
            "my col": rng.normal(size=n),
            "t": pd.Timestamp("1999-12-30 23:00") + pd.to_timedelta(rng.integers(0, 10**8, size=n), unit="s"),
        }
    )


FORMULAS = [
    "y ~ x",
    "y ~ x - 1",
    "y ~ 1",
    "y ~ a",
    "y ~ 0 + a",
    "y ~ a + b + c",
    "y ~ 0 + a + b",
    "y ~ C(i)",
    "y ~ C(f) + C(flag) + flag",
    "y ~ a:x",
    "y ~ a*x",
    "y ~ x:a + z",
    "y ~ a*b",
    "y ~ a:b",
    "y ~ a*b*c",
    "y ~ 0 + a:b",
    "y ~ a/x",
    "y ~ (a + x + z)**2",
    "y ~ x*z + x:z:a",
    "y ~ poly(x, 3)",
    "y ~ poly(k, 2)*a",
    "y ~ poly(k, 2, raw=True)",
    "y ~ poly(x, degree=2):poly(z, 2)",
    "y ~ a:poly(x, 2):b",
    "y ~ bs(x, df=5)",
    "y ~ bs(k, df=6, degree=2) + x",
    "y ~ bs(x, df=5, include_intercept=True)",
    "y ~ 0 + bs(x, df=5, include_intercept=True)",
    "y ~ bs(x, knots=[-0.5, 0.5], lower_bound=-6, upper_bound=6)",
    "y ~ bs(x, df=5, lower_bound=-1, upper_bound=1, extrapolation='clip')",
    "y ~ cr(x, df=4)",
    "y ~ cr(k, df=5, constraints='center')",
    "y ~ cc(x, df=4)",
    "y ~ center(x) + scale(z) + standardize(k)",
    "y ~ scale(x, center=False) + scale(z, scale=False)",
    "y ~ log(z) + np.log(z):x + exp(x) + np.sqrt(z)",
    "y ~ I(x > 0) + I(x * z) + {x + 1} + I(x**2)",
    "y ~ I(k * k) + I(k // 3) + I(k % 3)",
    "y ~ C(a, contr.sum)",
    "y ~ C(a, contr.helmert) + x",
    "y ~ C(c, contr.poly):x",
    "y ~ C(a, contr.sum):C(b, contr.helmert)",
    "y ~ C(a, contr.diff) * C(b)",
    "y ~ C(a, Treatment('v'))",
    "y ~ C(a, contr.treatment(base='w')):b",
    "y ~ C(a, contr.SAS)",
    "y ~ 0 + C(a, contr.sum)",
    "y ~ C(a, {'one': [1, 0, -1], 'two': [0, 1, -1]})",
    "y ~ C(i, contr.treatment(2))",
    "y ~ C(a, levels=['w', 'v', 'u'])",
    "y ~ 2:x + a",
    "y ~ `my col` + poly(`my col`, 2)",
    "y ~ C(k // 10)",
    "y ~ C(flag):x",
    "y ~ center(x):a + a:flag",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("cuts", [(), (100, 130)])
def test_equals_formulaic(cases, frame, formula, cuts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = model_matrix(formula, frame.astype({"k": "int64"})).rhs
    design, blocks = cases.encoded(formula, pa.Table.from_pandas(frame), cuts)
    assert list(design.names) == list(oracle.columns)
    X = cases.public(design, blocks)
    scale = np.maximum(np.abs(oracle.to_numpy(float)).max(axis=0), 1e-300)
    np.testing.assert_allclose(X / scale, oracle.to_numpy(float) / scale, atol=2e-12)
    np.testing.assert_array_equal(np.concatenate([b.y for b in blocks]), frame["y"])
    assert sorted(j for at in design.terms.values() for j in at) == list(range(len(design.names)))
