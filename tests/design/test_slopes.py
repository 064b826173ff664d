"""Derivatives of expressions and of encoded rows against central differences."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from statkit.design import FormulaDesign
from statkit.design.columns import Columns, as_rows
from statkit.design.counterfactual import TermsRows, variables_of
from statkit.design.expressions import Evaluator
from statkit.design.slopes import Slopes, leaf_name, leaves
from statkit.sources import Rows

RNG = np.random.default_rng(3)
N = 60
FRAME = pd.DataFrame({
    "x": RNG.uniform(0.1, 0.9, N), "z": RNG.uniform(0.2, 2.0, N), "two words": RNG.uniform(1, 2, N),
    "k": RNG.integers(1, 5, N), "a": RNG.choice(["p", "q", "r"], N), "flag": RNG.random(N) < 0.5,
    "t": pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 10_000, N), unit="h"),
})  # fmt: skip
H = 1e-5


def rows_of(frame):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return Rows(0, len(frame), table, None, {"y": np.zeros(len(frame))}, "the rows")


def schema():
    table = rows_of(FRAME).table
    return dict(zip(table.column_names, table.schema.types, strict=True))


def frozen(formula):
    design = FormulaDesign(formula, schema(), y_beside=True)
    return design.freeze(design.profile(rows_of(FRAME)) if design.profile_columns else None)


def moved(column, by):
    return FRAME.assign(**{column: FRAME[column] + by})


ONE = (
    "log log10 log2 log1p exp exp2 expm1 sqrt cbrt square abs absolute sign floor sin cos tan arcsin arccos arctan "
    "sinh cosh tanh arcsinh arctanh"
).split()


@pytest.mark.parametrize(
    "text",
    [f"{name}(x)" for name in ONE]
    + [
        "arccosh(1 + x)", "x + z", "x - z", "z - x", "x * z * x", "z / x", "x / z", "x ** 3", "z ** x", "x ** z",
        "power(x, 2)", "power(2, x)", "x % 0.25", "-x", "+x", "x // 0.3", "I(x ** 2)", "minimum(x, z)",
        "maximum(x, 0.5)", "clip(x, 0.3, 0.6)", "where(z > 1, x, 2 * x)", "hypot(x, z)", "arctan2(x, z)",
        "arctan2(z, x)", "(x > 0.5) * x", "x * k", "exp(-x / `two words`)", "Q('x') * 2", "log(x) * (a == 'p')",
        "sqrt(x * hour(t) + 1)",
    ],
)  # fmt: skip
def test_expressions(text):
    def values(frame):
        return as_rows(Evaluator(Columns(rows_of(frame).table), {}).value(text)).astype(float)

    expected = (values(moved("x", H)) - values(moved("x", -H))) / (2 * H)
    found = Slopes(Evaluator(Columns(rows_of(FRAME).table), {}), "x").of(text)
    smooth = np.abs(expected) < 1e3  # no jump within the step
    np.testing.assert_allclose(
        0.0 if found is None else found[smooth], expected[smooth], rtol=2e-7, atol=2e-8
    )
    assert smooth.sum() > 50


def test_what_does_not_depend_has_no_slope():
    slopes = Slopes(Evaluator(Columns(rows_of(FRAME).table), {}), "x")
    for text in ("z", "z * k", "log(z)", "x > 0.5", "~(x > 0.5)", "a == 'p'", "round(x)"):
        assert slopes.of(text) is None


def test_leaves():
    assert leaves("exp(x) * hour(t) + `two words` + Q('k')") == ["x", ("part", "hour(t)"), "two words", "k"]
    assert leaf_name(("part", "hour(t)")) == "hour(t)"
    assert leaves("C(a, contr.treatment(base='q'))") == ["a"]
    assert leaves("bs(x, df=4, lower_bound=z)") == ["x"]


@pytest.mark.parametrize(
    "formula",
    [
        "~ x", "~ poly(x, 3)", "~ poly(x, 2, raw=True)", "~ scale(x) + center(x)", "~ standardize(x) * a",
        "~ bs(x, df=6)", "~ bs(x, df=5, degree=2, include_intercept=True) - 1", "~ bs(x, knots=[0.4, 0.5])",
        "~ bs(x, df=4, degree=1)", "~ cr(x, df=5)", "~ cs(x, df=4, constraints='center')", "~ cc(x, df=4)",
        "~ bs(x, df=5, lower_bound=0.3, upper_bound=0.6, extrapolation='clip')",
        "~ bs(x, knots=[0.4, 0.5], lower_bound=0.3, upper_bound=0.6, extrapolation='extend')",
        "~ cr(x, df=5, lower_bound=0.3, upper_bound=0.6)",
        "~ cr(x, df=5, lower_bound=0.3, upper_bound=0.6, extrapolation='clip')",
        "~ cr(x, df=5, lower_bound=0.3, upper_bound=0.6, extrapolation='zero')",
        "~ cc(x, df=5, lower_bound=0.3, upper_bound=0.6)",
        "~ x * z * a", "~ x:a - 1", "~ x + I(x ** 2) + x:I(x ** 2):log(x)", "~ poly(x, 2):a + x:flag",
        "~ poly(log(x), 2) * C(k) + bs(z, df=4):x", "~ a:x:z + C(a, contr.sum):x", "~ z + offset(x * z)",
    ],
)  # fmt: skip
def test_encoded_rows(formula):
    design = frozen(formula)
    theta = RNG.normal(size=(2, len(design.position)))
    inner = (FRAME.x > FRAME.x.min()) & (FRAME.x < FRAME.x.max())  # bs() refuses values beyond its range

    def eta(by):
        return TermsRows(design, rows_of(moved("x", by)[inner])).encoded({}).eta(theta)

    rows = TermsRows(design, rows_of(FRAME[inner]))
    h = 2e-4  # four points: exact to h^4
    expected = (8 * (eta(h) - eta(-h)) - (eta(2 * h) - eta(-2 * h))) / (12 * h)
    found = rows.slope("x", {})
    scale = np.abs(expected).max()
    near = np.abs(found.eta(theta) - expected) > 1e-7 * scale
    # A difference across a knot or a bound sees both sides.
    assert near.any(axis=1).sum() <= 4
    # The adjoint is the transpose: <r, Dθ> = <D'r, θ>, without the offset.
    r = RNG.normal(size=found.eta(theta).shape)
    flat = 0.0 if found.offset is None else r.T @ found.offset
    np.testing.assert_allclose(
        np.einsum("nk,nk->k", r, found.eta(theta)) - flat, np.einsum("kq,kq->k", found.adjoint(r), theta), rtol=1e-9,
        atol=1e-9 * scale,
    )  # fmt: skip


def test_rows_changed_are_those_of_a_changed_frame():
    design = frozen("~ poly(x, 2) * a + C(k) + hour(t) + flag:z + I(a == 'q')")
    theta = RNG.normal(size=(1, len(design.position)))
    rows = TermsRows(design, rows_of(FRAME))
    for changes in ({"x": 0.5}, {"a": "q"}, {"k": 3, "x": 0.2}, {"flag": True}):
        expected = TermsRows(design, rows_of(FRAME.assign(**changes))).encoded({})
        np.testing.assert_allclose(rows.encoded(changes).eta(theta), expected.eta(theta), rtol=1e-12)
    noon = FRAME.assign(t=FRAME.t.dt.normalize() + pd.Timedelta(hours=12))
    np.testing.assert_allclose(
        rows.encoded({("part", "hour(t)"): 12}).eta(theta),
        TermsRows(design, rows_of(noon)).encoded({}).eta(theta),
        rtol=1e-12,
    )


def test_variables():
    design = frozen(
        "~ poly(x, 2) * a + C(k) + log(z) + C(hour(t) > 12) + flag + offset(`two words`) + I(a == 'q')"
    )
    found = {v.name: (v.kind, v.levels) for v in variables_of(design, schema())}
    assert found["x"] == ("number", ()) and found["z"] == ("number", ())
    assert found["a"] == ("levels", ("p", "q", "r")) and found["k"] == ("levels", (1, 2, 3, 4))
    assert found["flag"] == ("boolean", (False, True)) and found["two words"][0] == "offset"
    assert found["C(hour(t) > 12)"] == ("levels", (False, True)) and found["I(a == 'q')"][0] == "boolean"
    assert found["hour(t)"][0] == "other"


def test_a_vertical_tangent_is_refused():
    design = frozen("~ sqrt(x)")
    rows = TermsRows(design, rows_of(FRAME.assign(x=np.where(FRAME.index == 7, 0.0, FRAME.x))))
    with pytest.raises(
        ValueError, match=r"sqrt\(x\) has no finite derivative in x at its value .*0.0.*: row 7"
    ):
        rows.slope("x", {})


def test_missing_rows_are_left_out_with_their_weights():
    design = frozen("~ x + a")
    frame = FRAME.assign(x=np.where(FRAME.index == 3, np.nan, FRAME.x))
    rows = TermsRows(design, rows_of(frame), weight="z", extra=("k",))
    assert rows.n_rows == N - 1 and len(rows.weight) == N - 1 and rows.weight[3] == FRAME.z[4]
    keys, codes = rows.labels(("k", "flag"))
    assert [keys[c] for c in codes[:3]] == [(FRAME.k[i], FRAME.flag[i]) for i in range(3)]
