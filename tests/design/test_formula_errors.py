"""What goes wrong in formulas and columns is said with column, row and place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit import glm
from statkit.design import FormulaDesign, levels

SCHEMA = {
    "y": pa.float64(),
    "x": pa.float64(),
    "distance": pa.int16(),
    "a": pa.string(),
    "t": pa.timestamp("s"),
    "raw": pa.binary(),
}


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ distanse", "distance"),
        ("y ~ poly(distanse, 2)", "distance"),
        ("z ~ x", "no column 'z'"),
        ("x + a", "no response"),
        ("~ x", "no response"),
        ("y + x ~ a", "one response"),
        ("y ~ x +", "cannot read"),
        ("y ~ (x", "cannot read"),
        ("y ~ x | a", "cannot read"),
        ("y ~ t", "timestamp"),
        ("y ~ log(t)", "timestamp"),
        ("y ~ hour(x)", "timestamp"),
        ("t ~ x", "timestamp"),
        ("y ~ log(a)", "numbers"),
        ("y ~ poly(a, 2)", "numeric"),
        ("y ~ raw", "binary"),
        ("y ~ nonsense(x)", r"unknown function nonsense\(\)"),
        ("y ~ x.mean()", "unknown function"),
        ("y ~ __import__('os')", "unknown function"),
        ("y ~ I(x if x else 1)", "cannot be used"),
        ("y ~ I(x[0])", "cannot be used"),
        ("y ~ I((lambda: x)())", "unknown function"),
        ("y ~ lag(x)", "neighbouring rows"),
        ("y ~ poly(x, 0)", "degree"),
        ("y ~ poly(x, 2, 3, 4)", "at most"),
        ("y ~ bs(x, dg=4)", "no option 'dg'"),
        ("y ~ cr(x)", "df or knots"),
        ("y ~ C(a, contr.nonsense)", "unknown contrasts"),
        ("y ~ C(a, contr.treatment(based='u'))", "based"),
        ("y ~ C(a, reference='u')", "no option 'reference'"),
        ("y ~ I(x > 0 and x < 1)", "use & and |"),
        ("y ~ I(0 < x < 1)", "two comparisons"),
        ("y ~ offset(a)", "numeric"),
        ("Surv(y) ~ x", "Surv"),
        ("y ~ poly(x, distance)", "constant"),
        ("y ~ {3}", "constant"),
    ],
)
def test_formulas_that_cannot_be(formula, message):
    with pytest.raises(ValueError, match=message):
        FormulaDesign(formula, SCHEMA)


def test_roles_that_cannot_be():
    with pytest.raises(ValueError, match="w"):
        FormulaDesign("y ~ x", SCHEMA, weight="w")
    with pytest.raises(ValueError, match="numeric"):
        FormulaDesign("y ~ x", SCHEMA, weight="a")
    with pytest.raises(ValueError, match="given twice"):
        FormulaDesign("y ~ x", SCHEMA, y_beside=True)
    with pytest.raises(ValueError, match="na_action"):
        FormulaDesign("y ~ x", SCHEMA, na_action="ignore")


def table(**changes) -> pa.Table:
    columns = {"y": [1.0, 2, 3, 4], "x": [0.5, 1, 2, 4], "a": ["u", "v", "u", "v"]}
    return pa.table(columns | changes)


def test_missing_rows_are_refused_by_name(cases):
    for column, values in {
        "x": [1.0, 2, None, 4],
        "y": [1.0, 2, float("nan"), 3],
        "a": ["u", "v", None, "u"],
    }.items():
        with pytest.raises(ValueError, match=rf"{column} is missing in row 2 \(part from 2\)"):
            cases.encoded("y ~ x + a", table(**{column: values}), (2,), na_action="raise")
    (part,) = cases.split(table(), y=np.array([1.0, np.nan, 2, 3]))
    design = FormulaDesign("~ x", cases.schema_of(table()), y_beside=True, na_action="raise").freeze(None)
    with pytest.raises(ValueError, match="y is missing in row 1"):
        design.encode(part)


def test_missing_is_counted_once_a_row(cases):
    data = table(x=[None, 1.0, -1.0, 2.0], a=[None, "u", "v", "v"], y=[1.0, 2, 3, 4])
    design, (block,) = cases.encoded("y ~ log(x) + a", data)
    assert block.n_missing == 2 and block.rows.tolist() == [1, 3] and block.n_read == 4
    assert design.names == ("Intercept", "log(x)", "a[T.v]")


def test_infinite_values(cases):
    with pytest.raises(ValueError, match=r"x is infinite in row 3 \(part from 2\)"):
        cases.encoded("y ~ x", table(x=[1.0, 2, 3, float("inf")]), (2,))
    with pytest.raises(ValueError, match=r"log\(x\) is infinite in row 1"):
        cases.encoded("y ~ log(x)", table(x=[1.0, 0, 3, 4]))
    with pytest.raises(ValueError, match=r"log\(x\) is infinite in row 1"):
        cases.encoded("y ~ poly(log(x), 2)", table(x=[1.0, 0, 3, 4]))
    with pytest.raises(ValueError, match="y is infinite in row 0"):
        cases.encoded("y ~ x", table(y=[-float("inf"), 0, 3, 4]))
    # A zero between whole numbers that occur is no row's value.
    design, _ = cases.encoded("y ~ log(k)", table(k=[1, 2, 5, 9]))
    assert design.names == ("Intercept", "log(k)")
    data = table(x=[1.0, 2, None, float("inf")], a=["u", None, "v", "v"])
    with pytest.raises(ValueError, match="x is infinite in row 3"):
        cases.encoded("y ~ x", data)


def test_columns_without_a_value(cases):
    nothing = pa.array([None] * 4, pa.float64())
    with pytest.raises(ValueError, match="column 'x' has no value"):
        cases.encoded("y ~ x + a", table(x=nothing), (2,))
    with pytest.raises(ValueError, match="column 'x' has no value"):
        cases.encoded("y ~ center(x)", table(x=np.full(4, np.nan)))
    (part,) = cases.split(table(x=nothing))
    design = FormulaDesign("y ~ x", cases.schema_of(part.table)).freeze(None)
    assert design.encode(part).n_rows == 0 and design.missing_columns(part) == ["x"]


def test_unknown_level_when_predicting(cases):
    design, _ = cases.encoded("y ~ a", table())
    (part,) = cases.split(table(a=["u", "u", "w", "v"]))
    with pytest.raises(
        ValueError, match=r"level 'w' of a \(column 'a'\), row 2 \(part from 0\), did not occur"
    ):
        design.encode_predictors(part)
    design, _ = cases.encoded("y ~ C(a, contr.sum) + C(k)", table(k=[1, 3, 1, 3]))
    with pytest.raises(ValueError, match=r"level 'w' of C\(a, contr.sum\)"):
        design.encode_predictors(cases.split(table(a=["u", "u", "w", "v"], k=[1, 3, 1, 3]))[0])
    with pytest.raises(ValueError, match=r"level '2' of C\(k\) .* row 1"):
        design.encode_predictors(cases.split(table(k=[1, 2, 1, 3]))[0])
    with pytest.raises(ValueError, match="is not in the formula"):
        cases.encoded("y ~ C(a, levels=['u', 'w'])", table())
    with pytest.raises(ValueError, match="reference level 'q' does not occur; levels: u, v"):
        cases.encoded("y ~ C(a, contr.treatment(base='q'))", table())


def test_predictions_keep_all_rows(cases):
    design, _ = cases.encoded("y ~ a*x + C(a, contr.sum):x + offset(o) + poly(o, 1)", table(o=[1.0, 2, 3, 5]))
    new = table(a=["u", None, "v", "v"], x=[1.0, 2, None, 3], o=[1.0, 1, 2, 3]).drop_columns("y")
    block, limit = design.encode_predictors(cases.split(new)[0])
    np.testing.assert_array_equal(limit, [0, np.nan, np.nan, 0])
    X = block.to_dense()
    assert np.isfinite(X).all() and np.isfinite(block.offset).all() and block.n_rows == 4
    full, none = design.encode_predictors(cases.split(new.slice(3))[0])
    assert none is None
    np.testing.assert_array_equal(X[3:], full.to_dense())
    assert set(design.predictor_columns) == {"a", "x", "o"}


def test_values_outside_a_spline(cases):
    design, _ = cases.encoded("y ~ bs(x, df=3)", table())
    with pytest.raises(ValueError, match=r"outside \[0.5, 4\].*extrapolation"):
        design.encode_predictors(cases.split(table(x=[0.1, 1, 2, 3]))[0])


def test_transforms_that_the_data_cannot_give(cases):
    with pytest.raises(ValueError, match="needs 4 distinct values"):
        cases.encoded("y ~ poly(x, 3)", table(x=[1.0, 1, 2, 3]))
    with pytest.raises(ValueError, match="constant"):
        cases.encoded("y ~ scale(x)", table(x=[1.0, 1, 1, 1]))
    with pytest.raises(ValueError, match="transform of a transform"):
        cases.encoded("y ~ scale(center(x))", table())
    with pytest.raises(ValueError, match="too few distinct values"):
        cases.encoded("y ~ cr(x, df=6)", table(x=[1.0, 1, 1, 1]))


def test_weights(cases):
    cases.encoded("y ~ a", table(), (1,), weight="x")
    with pytest.raises(ValueError, match="weight is negative in row 2"):
        cases.encoded("y ~ a", table(x=[1.0, 2, -1, 1]), (1,), weight="x")


def test_unfrozen_design_does_not_encode(cases):
    (part,) = cases.split(table())
    with pytest.raises(ValueError, match="not frozen"):
        FormulaDesign("y ~ a", cases.schema_of(part.table)).encode(part)


def test_one_level(cases):
    design, (block,) = cases.encoded("y ~ x + a", table(a=["u"] * 4))
    assert design.names == ("Intercept", "x")
    assert design.notes == ("a has one level (u) and adds no column",)
    assert block.to_dense().shape == (4, 2)


def test_integers_do_not_wrap(cases):
    data = pa.table({"y": np.arange(3.0), "k": pa.array([200, -300, 30_000], pa.int16())})
    _, (block,) = cases.encoded("y ~ 0 + I(k * k) + I(k**3) + I(k - 40000)", data)
    k = np.array([200.0, -300, 30_000])
    np.testing.assert_array_equal(block.to_dense(), np.column_stack([k * k, k**3, k - 40_000]))


def test_wide_integers(cases):
    wide = np.array([1, 2**40, -(2**40), 7])
    data = pa.table(
        {
            "y": np.arange(4.0),
            "k": wide,
            "u": pa.array([2**63 + 1, 2**63 + 2, 2**63 + 1, 2**63 + 3], pa.uint64()),
        }
    )
    design, (block,) = cases.encoded("y ~ k + C(u)", data)
    np.testing.assert_array_equal(block.to_dense()[:, 1], wide.astype(float))
    assert design.names[2:] == (f"C(u)[T.{2**63 + 2}]", f"C(u)[T.{2**63 + 3}]") or len(design.names) == 4


def test_blocks_are_writable_copies(cases):
    _, (block,) = cases.encoded("y ~ x", table(), weight="x")
    for array in (block.y, block.weight, block.dense):
        assert array.flags.writeable


values = st.one_of(st.none(), st.floats(-100, 100), st.just(float("nan")))


@given(
    st.integers(1, 25).flatmap(
        lambda n: st.tuples(
            st.lists(values, min_size=n, max_size=n),
            st.lists(values, min_size=n, max_size=n),
            st.lists(st.sampled_from([None, "a", "b", "é"]), min_size=n, max_size=n),
            st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=n, max_size=n),
            st.lists(st.one_of(st.none(), st.booleans()), min_size=n, max_size=n),
            st.lists(st.integers(0, n), max_size=3).map(sorted),
        )
    )
)
@settings(max_examples=80, deadline=None)
def test_hostile_frames(cases, columns):
    y, x, s, k, b, cuts = columns
    data = pa.table(
        {
            "y": pa.array(y, pa.float64()),
            "x": pa.array(x, pa.float64()),
            "s": pa.array(s, pa.string()),
            "k": pa.array(k, pa.int8()),
            "b": pa.array(b, pa.bool_()),
        }
    )
    frame = pd.DataFrame({"y": y, "x": x, "s": s, "k": k, "b": b}, dtype=object)
    complete = ~frame.isna().any(axis=1).to_numpy()
    try:
        design, blocks = cases.encoded("y ~ s*x + C(k) + b", data, cuts)
    except ValueError as error:
        assert "no value" in str(error) or "no level" in str(error)
        assert not complete.any()
        return
    n = complete.sum()
    assert sum(block.n_rows for block in blocks) == n
    assert sum(block.n_missing for block in blocks) == len(y) - n
    X = cases.public(design, blocks)
    kept = frame[complete]
    levels = sorted(set(kept["s"]))
    for j, name in enumerate(design.names):
        if name.startswith("s[T.") and not name.endswith(":x"):
            np.testing.assert_array_equal(X[:, j], kept["s"] == name[4:-1])
        elif name.endswith(":x"):
            np.testing.assert_array_equal(X[:, j], (kept["s"] == name[4:-3]) * kept["x"].astype(float))
        elif name.startswith("C(k)"):
            np.testing.assert_array_equal(X[:, j], kept["k"] == int(name[7:-1]))
        elif name in ("x", "b"):
            np.testing.assert_array_equal(X[:, j], kept[name].astype(float))
    assert [n for n in design.names if n.startswith("s[T.") and ":" not in n] == [
        f"s[T.{v}]" for v in levels[1:]
    ]


def test_identifiers_are_no_factors(cases, monkeypatch):
    monkeypatch.setattr(levels, "MAX_LEVELS", 3)
    data = table(a=["p", "q", "r", "s"])
    for cuts in [(), (2,)]:
        with pytest.raises(ValueError, match="a has more than 3 levels"):
            cases.encoded("y ~ a", data, cuts)


def test_awkward_names(cases):
    data = pa.table(
        {"class": [1.0, 2, 3], "µ": ["u", "v", "u"], "it's": [True, False, True], "log": [1.0, 2, 3]}
    )
    design, (block,) = cases.encoded("class ~ µ + `it's` + log + log(log) + `it's`:log(log)", data)
    assert design.names[:4] == ("Intercept", "µ[T.v]", "it's", "log")
    assert block.y.tolist() == [1, 2, 3]
    design, _ = cases.encoded("log ~ .", data)
    assert set(design.terms) == {"Intercept", "class", "µ", "it's"}


def test_comparing_times(cases):
    times = pa.array(["2001-01-01", None, "2001-03-01"]).cast(pa.timestamp("s"))
    data = pa.table({"y": [1.0, 2, 3], "t": times})
    design, (block,) = cases.encoded("y ~ I(t > '2001-02-01')", data)
    np.testing.assert_array_equal(block.to_dense()[:, 1], [0, 1])
    design, (block,) = cases.encoded("y ~ C(t)", data)
    assert design.names == ("Intercept", "C(t)[T.2001-03-01 00:00:00]")


def test_splines_of_codes_see_the_rows_only():
    """Hours of the morning are fitted as such, not as what the other hours would be."""
    draw = np.random.default_rng(0)
    hour, y = draw.integers(5, 12, 300), draw.normal(size=300)
    frame = pd.DataFrame({"t": pd.Timestamp("2001-02-03") + pd.to_timedelta(hour, "h"), "h": hour, "y": y})
    plain, coded = (glm(f"y ~ bs({x}, df=4)", frame).estimate_.values for x in ("h", "hour(t)"))
    np.testing.assert_allclose(coded, plain, rtol=1e-9)
    later = frame.assign(t=frame.t + pd.Timedelta("6h"))
    with pytest.raises(ValueError, match=r"values from 11 to 17 lie outside \[5, 11\]"):
        glm("y ~ bs(hour(t), df=4)", frame).predict(later)
