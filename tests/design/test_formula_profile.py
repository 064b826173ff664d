"""The profile round: levels and states over partitions, constant levels, responses, keeping a design."""

from __future__ import annotations

import functools
import json
import pickle
import random
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from formulaic import model_matrix
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit.design import FormulaDesign, value_summary
from statkit.design.transforms import bind, fit_state
from statkit.design.value_summary import stieltjes, summarise_values
from statkit.engines.summaries import merge_summaries

INF = float("inf")
BINOMIAL = {0: -INF, 1: INF}


def flights(n=600, seed=3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "late": rng.random(n) < 0.4,
            "delay": rng.integers(-20, 90, n).astype("int16"),
            "distance": rng.integers(50, 2600, n).astype("int16"),
            "origin": rng.choice(["JFK", "ATL", "LGA", "ABE"], n),
            "date": pd.Timestamp("2000-12-31 22:00")
            + pd.to_timedelta(rng.integers(0, 3 * 10**7, n), unit="s"),
        }
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("tz", [None, "Europe/Vienna"])
def test_calendar(cases, unit, tz):
    times = ["1969-12-31 23:59:59", "1970-01-01", "2000-02-29 13:07", "2001-12-31 22:30", "1904-03-01"]
    stamps = pd.Series(pd.to_datetime(times, format="ISO8601"))
    local = stamps.dt.tz_localize("UTC").dt.tz_convert(tz) if tz else stamps
    kind = pa.timestamp(unit, "Europe/Vienna" if tz else None)
    table = pa.table({"y": np.arange(5.0), "t": pa.Array.from_pandas(local).cast(kind)})
    for part in ("hour", "minute", "weekday", "day", "dayofyear", "month", "year"):
        _, blocks = cases.encoded(f"y ~ 0 + {part}(t)", table, (2,))
        oracle = getattr(local.dt, {"weekday": "day_of_week", "dayofyear": "day_of_year"}.get(part, part))
        np.testing.assert_array_equal(np.concatenate([b.to_dense()[:, 0] for b in blocks]), oracle)
    design, _ = cases.encoded("y ~ 0 + date(t)", table)
    assert list(design.names) == [f"date(t)[{d}]" for d in sorted(set(local.dt.date.astype(str)))]


def test_calendar_of_dates_and_missing_times(cases):
    table = pa.table(
        {
            "y": [1.0, 2.0, 3.0],
            "d": pa.array([0, None, 11017], pa.date32()),
            "s": pa.array([None, 3600, 7200], pa.timestamp("s")),
        }
    )
    design, blocks = cases.encoded("y ~ 0 + C(weekday(d)) + year(d)", table)
    assert design.names == ("C(weekday(d))[2]", "C(weekday(d))[3]", "year(d)")
    assert blocks[0].n_missing == 1
    _, blocks = cases.encoded("y ~ hour(s)", table)
    np.testing.assert_array_equal(blocks[0].to_dense()[:, 1], [1, 2])


def test_demo_equals_formulaic(cases):
    frame = flights()
    design, blocks = cases.encoded(
        "I(delay > 15) ~ poly(distance, 2) + C(hour(date)) + C(weekday(date)) + C(origin)",
        pa.Table.from_pandas(frame), (10, 300),
    )  # fmt: skip
    plain = frame.assign(
        h=frame.date.dt.hour, w=frame.date.dt.day_of_week, distance=frame.distance.astype(float)
    )
    oracle = model_matrix("poly(distance, 2) + C(h) + C(w) + C(origin)", plain)
    names = [n.replace("C(h)", "C(hour(date))").replace("C(w)", "C(weekday(date))") for n in oracle.columns]
    assert list(design.names) == names
    np.testing.assert_allclose(cases.public(design, blocks), oracle, atol=1e-13)
    np.testing.assert_array_equal(np.concatenate([b.y for b in blocks]), frame.delay > 15)
    assert design.classes == (False, True)
    assert set(design.terms) == {
        "Intercept", "poly(distance, 2)", "C(hour(date))", "C(weekday(date))", "C(origin)"
    }  # fmt: skip


def test_nothing_is_profiled_without_need():
    schema = {"y": pa.float64(), "x": pa.float64(), "z": pa.int16(), "a": pa.string()}
    assert FormulaDesign("y ~ x + log(z) + x:z", schema).profile_columns is None
    assert FormulaDesign("y ~ poly(x, 2, raw=True)", schema).profile_columns is None
    assert FormulaDesign("y ~ x + center(z)", schema).profile_columns == ("z",)
    assert FormulaDesign("y ~ x + a", schema).profile_columns == ("y", "x", "a")
    assert FormulaDesign("y ~ x + offset(log(z))", schema, weight="x").columns == ("y", "x", "z")


def test_levels_of_one_partition_only(cases):
    table = pa.table({"y": [1.0, 2, 3, 4, 5], "a": ["z", "z", "b", None, "c"]})
    whole, one = cases.encoded("y ~ a", table)
    parts, some = cases.encoded("y ~ a", table, (1, 2, 4))
    assert whole.names == parts.names == ("Intercept", "a[T.c]", "a[T.z]")
    assert whole.token == parts.token
    np.testing.assert_array_equal(cases.public(whole, one), cases.public(parts, some))
    assert [b.n_missing for b in some] == [0, 0, 1, 0]
    assert [b.row_numbers().tolist() for b in some] == [[0], [1], [2], [4]]


def test_levels_of_incomplete_rows_do_not_count(cases):
    table = pa.table(
        {"y": [1.0, 2, 3, None, 5], "x": [1.0, 2, float("nan"), 4, 5], "a": ["u", "v", "w", "x", "u"]}
    )
    design, blocks = cases.encoded("y ~ a + x", table, (2,))
    assert design.names == ("Intercept", "a[T.v]", "x")
    assert sum(b.n_missing for b in blocks) == 2


def test_null_in_dictionary_column(cases):
    indices = pa.array([0, None, 1, 2, 1], pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["b", "a", None]))
    table = pa.table({"y": [1.0, 2, 3, 4, 5], "a": column})
    design, (block,) = cases.encoded("y ~ 0 + a", table)
    assert design.names == ("a[b]", "a[a]")
    np.testing.assert_array_equal(cases.public(design, [block]), [[1, 0], [0, 1], [0, 1]])
    assert block.n_missing == 2 and block.rows.tolist() == [0, 2, 4]


def test_dictionaries_that_differ_between_partitions(cases):
    table = pa.table({"y": [1.0, 2, 3, 4], "a": ["v", "u", "w", "u"]})
    parts = cases.split(table, (2,))
    for part in parts:
        part.table = part.table.set_column(1, "a", part.table["a"].dictionary_encode())
    design = cases.freeze(FormulaDesign("y ~ a", cases.schema_of(parts[0].table)), parts)
    assert design.names == ("Intercept", "a[T.v]", "a[T.w]")
    np.testing.assert_array_equal(
        cases.public(design, [design.encode(p) for p in parts])[:, 1:], [[1, 0], [0, 0], [0, 1], [0, 0]]
    )


@given(st.lists(st.integers(1, 39), max_size=5), st.integers(0, 10**6), st.data())
@settings(max_examples=40, deadline=None)
def test_any_partition_and_merge_order(cases, cuts, seed, data):
    frame = flights(40, seed).assign(x=np.random.default_rng(seed).normal(size=40))
    table = pa.Table.from_pandas(frame)
    formula = "late ~ bs(x, df=4) + poly(distance, 3) + C(hour(date)) + origin"
    cuts = sorted(cuts)
    whole, one = cases.encoded(formula, table, limit_rule=BINOMIAL)
    parts = cases.split(table, cuts)
    design = FormulaDesign(formula, cases.schema_of(table), limit_rule=BINOMIAL)
    summaries = [design.profile(p) for p in parts]
    while len(summaries) > 1:
        i = data.draw(st.integers(0, len(summaries) - 2))
        a, b = summaries.pop(i), summaries.pop(i)
        summaries.insert(i, merge_summaries(*((a, b) if data.draw(st.booleans()) else (b, a))))
    frozen = design.freeze(summaries[0])
    assert frozen.token == whole.token and frozen.set_aside == whole.set_aside
    some = [frozen.encode(p) for p in parts]
    np.testing.assert_array_equal(cases.public(frozen, some), cases.public(whole, one))
    np.testing.assert_array_equal(
        np.concatenate([b.row_numbers() for b in some]), np.concatenate([b.row_numbers() for b in one])
    )


@pytest.mark.parametrize("transform", ["poly(x, 4)", "scale(x)", "center(x)", "poly(x, 1)"])
def test_states_beyond_the_distinct_values(cases, monkeypatch, transform):
    monkeypatch.setattr(value_summary, "MAX_DISTINCT", 50)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"y": 0.0, "x": 1000 + rng.gamma(2, 30, 5000)})
    table = pa.Table.from_pandas(frame)
    design, blocks = cases.encoded(f"y ~ {transform}", table, (7, 60, 2000, 4990))
    oracle = model_matrix(transform, frame).to_numpy()
    X = cases.public(design, blocks)
    np.testing.assert_allclose(X / np.abs(oracle).max(0), oracle / np.abs(oracle).max(0), atol=1e-11)


def test_knots_beyond_the_distinct_values(cases, monkeypatch):
    monkeypatch.setattr(value_summary, "MAX_DISTINCT", 50)
    x = np.random.default_rng(2).normal(size=60_000)
    table = pa.table({"y": np.zeros(len(x)), "x": x})
    designs = [cases.encoded("y ~ bs(x, df=6)", table, cuts)[0] for cuts in [(), (999, 30_000)]]
    knots = [d._states["bs(x, df=6)"]["knots"][4:-4] for d in designs]
    assert knots[0] == knots[1]
    ranks = [(x < k).mean() for k in knots[0]]
    np.testing.assert_allclose(ranks, [0.25, 0.5, 0.75], atol=0.015)
    assert designs[0]._states["bs(x, df=6)"]["lower_bound"] == x.min()


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_quadrature_keeps_moments(seed, nodes, n):
    x = (
        np.random.default_rng(seed).choice([1.0, 2.5, 7.0, 1e3], n)
        if seed % 3 == 0
        else np.random.default_rng(seed).normal(5, 2, n)
    )
    found = summarise_values(x, 0, None, nodes, False).rules[0]
    assert len(found[0]) <= max(nodes, 1) or len(x) <= nodes
    np.testing.assert_allclose(found[1].sum(), n, rtol=1e-12)
    z = (x - x.mean()) / (np.ptp(x) or 1)
    q = (found[0] - x.mean()) / (np.ptp(x) or 1)
    for k in range(1, 2 * nodes):
        np.testing.assert_allclose(found[1] @ q**k, (z**k).sum(), atol=1e-10 * n)


def test_summaries_merge_exactly_in_any_order():
    rng = random.Random(0)
    x = np.random.default_rng(5).normal(size=1000)
    parts = [summarise_values(x[a : a + 100], a, None, 4, True) for a in range(0, 1000, 100)]
    first = functools.reduce(lambda a, b: a.merge(b), parts)
    rng.shuffle(parts)
    second = functools.reduce(lambda a, b: b.merge(a), parts)
    options = bind("poly", [3], {})
    assert fit_state("poly", options, first, "poly") == fit_state("poly", options, second, "poly")
    for a, b in zip(first.measure() + first.sample, second.measure() + second.sample, strict=True):
        np.testing.assert_array_equal(a, b)
    assert pickle.loads(pickle.dumps(first)).n == 1000
    alpha, norms2 = stieltjes(x, np.ones_like(x), 3)
    np.testing.assert_allclose(fit_state("poly", options, first, "poly")["alpha"], alpha, atol=1e-12)
    np.testing.assert_allclose(fit_state("poly", options, first, "poly")["norms2"], norms2, rtol=1e-12)


def separated() -> pa.Table:
    return pa.table(
        {
            "y": [True, False, True, True, False, False, True, False],
            "a": ["p", "p", "q", "q", "r", "s", "s", "p"],
            "x": np.arange(8.0),
        }
    )


@pytest.mark.parametrize("cuts", [(), (1, 3, 6)])
def test_constant_levels_are_set_aside(cases, cuts):
    design, blocks = cases.encoded("y ~ a + x", separated(), cuts, limit_rule=BINOMIAL)
    assert design.names == ("Intercept", "a[T.q]", "a[T.r]", "a[T.s]", "x")
    assert design.limits == {"a[T.q]": INF, "a[T.r]": -INF}
    assert design.set_aside == {"a[T.q]": 2, "a[T.r]": 1}
    assert design.notes == (
        "a[T.q]: +inf, its 2 rows have the same response (1) and were set aside",
        "a[T.r]: -inf, its 1 row has the same response (0) and was set aside",
    )
    assert len(design.position) == 3 and sorted(design.position) == [0, 3, 4]
    assert np.concatenate([b.row_numbers() for b in blocks]).tolist() == [0, 1, 5, 6, 7]
    assert sum(b.n_missing for b in blocks) == 0 and sum(b.n_read for b in blocks) == 8
    (rows,) = cases.split(separated())
    block, limit = design.encode_predictors(rows)
    assert block.n_rows == 8 and block.y is None
    np.testing.assert_array_equal(limit, [0, 0, INF, INF, -INF, 0, 0, 0])
    np.testing.assert_array_equal(cases.public(design, [block])[:, 3], [0, 0, 0, 0, 0, 1, 1, 0])
    assert not cases.encoded("y ~ a + x", separated(), cuts)[0].limits


def test_constant_reference_level(cases):
    table = pa.table({"y": [1.0, 1, 0, 1, 0, 1], "a": ["p", "p", "q", "q", "r", "r"]})
    design, (block,) = cases.encoded("y ~ a", table, limit_rule=BINOMIAL)
    assert design.names == ("Intercept", "a[T.p]", "a[T.r]")
    assert design.limits == {"a[T.p]": INF} and design.set_aside == {"a[T.p]": 2}
    assert "q is the reference" in design.notes[0]
    np.testing.assert_array_equal(block.to_dense(), [[1, 0], [1, 0], [1, 1], [1, 1]])


def test_limits_of_counts_numbers_and_full_coding(cases):
    table = pa.table({"y": [0.0, 0, 3, 0, 2, 2], "a": [1, 1, 2, 2, 3, 3]})
    design, _ = cases.encoded("y ~ 0 + C(a)", table, limit_rule={0: -INF})
    assert design.notes == ("C(a)[1]: -inf, its 2 rows have the same response (0) and were set aside",)
    assert design.limits == {"C(a)[1]": -INF} and design.names == ("C(a)[1]", "C(a)[2]", "C(a)[3]")
    design, _ = cases.encoded("y ~ C(a, contr.sum)", table, limit_rule={0: -INF})
    assert design.limits == {}
    design, _ = cases.encoded("y ~ C(a)", table, limit_rule=lambda v: INF if v == 2 else None)
    assert design.limits == {"C(a)[T.3]": INF}


def test_every_level_constant_sets_nothing_aside(cases):
    table = pa.table({"y": [1.0, 1, 0, 0], "a": ["p", "p", "q", "q"]})
    design, (block,) = cases.encoded("y ~ a", table, limit_rule=BINOMIAL)
    assert design.limits == {} and block.n_rows == 4 and "none was set aside" in design.notes[0]


def test_set_aside_with_an_interaction(cases):
    table = pa.table({"y": [1.0, 0, 1, 1, 0, 1], "a": ["p", "p", "q", "q", "r", "r"], "x": np.arange(6.0)})
    design, (block,) = cases.encoded("y ~ a*x", table, limit_rule=BINOMIAL)
    assert design.names == ("Intercept", "a[T.q]", "a[T.r]", "x", "a[T.q]:x", "a[T.r]:x")
    assert block.rows.tolist() == [0, 1, 4, 5]
    np.testing.assert_array_equal(
        np.nan_to_num(cases.public(design, [block])),
        [[1, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0], [1, 0, 1, 4, 0, 4], [1, 0, 1, 5, 0, 5]],
    )


@pytest.mark.parametrize("cuts", [(), (1, 2)])
def test_responses(cases, cuts):
    table = pa.table(
        {
            "x": [1.0, 2, 3, 4],
            "text": ["no", "yes", "yes", "no"],
            "many": ["c", "a", "b", "a"],
            "cat": pa.array(["lo", "hi", "hi", "lo"]).dictionary_encode(),
            "whole": [3, 5, 3, 5],
            "time": [5.0, 3.0, 2.0, 9.0],
            "event": [True, False, True, True],
        }
    )

    def y(formula, **options):
        design, blocks = cases.encoded(formula, table, cuts, **options)
        return design, np.concatenate([b.y for b in blocks]).tolist()

    design, values = y("text ~ x")
    assert (design.classes, values, design.response_name) == (("no", "yes"), [0, 1, 1, 0], "text")
    assert y("many ~ x")[1] == [2, 0, 1, 0]
    assert y("cat ~ x")[0].classes == (("lo", "hi") if not cuts else design.freeze(None) and ("lo", "hi"))
    assert y("whole ~ x")[1] == [3, 5, 3, 5] and y("whole ~ x")[0].classes is None
    assert y("whole ~ x", classes=(3, 5))[1] == [0, 1, 0, 1]
    assert y("event ~ x")[1] == [1, 0, 1, 1]
    assert y("log(time) ~ x")[1] == np.log([5.0, 3, 2, 9]).tolist()
    assert y("I(text == 'yes') ~ x")[1] == [0, 1, 1, 0]
    design, values = y("Surv(time, event) ~ x")
    assert values == [[5, 1], [3, 0], [2, 1], [9, 1]] and design.response_name == "Surv(time, event)"
    assert y("Surv(x, time, event) ~ 1")[1][0] == [1, 5, 1]
    design, values = y("text ~ many", limit_rule=BINOMIAL)
    assert design.limits == {"many[T.b]": INF, "many[T.c]": -INF}
    with pytest.raises(ValueError, match=r"row 1 .*a class that is none of"):
        y("whole ~ x", classes=(3, 4))


def test_roles(cases):
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "y": rng.normal(size=6),
            "w w": rng.random(6),
            "e": np.arange(1.0, 7),
            "g": ["k", "l", "k", None, "m", "l"],
        }
    )
    options = {"weight": "w w", "offset": "e", "group": "g"}
    _, blocks = cases.encoded("y ~ 1 + offset(log(e))", table, (2,), **options)
    kept = np.array([0, 1, 2, 4, 5])
    np.testing.assert_array_equal(np.concatenate([b.weight for b in blocks]), table["w w"].to_numpy()[kept])
    e = table["e"].to_numpy()[kept]
    np.testing.assert_allclose(np.concatenate([b.offset for b in blocks]), e + np.log(e))
    group = np.concatenate([b.group for b in blocks])
    assert group.dtype == np.int64 and len(set(group)) == 3
    assert group[0] == group[2] and group[1] == group[4]
    rows = cases.split(table, (2,), y=np.arange(6.0), weight=np.full(6, 2.0), group=np.arange(6))
    design = FormulaDesign("~ e", cases.schema_of(table), y_beside=True).freeze(None)
    assert design.encode(rows[1]).y.tolist() == [2, 3, 4, 5]
    assert design.encode(rows[1]).group.tolist() == [2, 3, 4, 5]
    assert "e" in FormulaDesign("y ~ .", cases.schema_of(table), group="g").freeze(None).names


def test_serialised_design_is_the_same(cases):
    frame = flights().assign(x=np.random.default_rng(1).normal(size=600))
    frame["date"] = frame.date.dt.floor("150D")
    frame.loc[frame.date == frame.date.unique()[1], "late"] = True
    table = pa.Table.from_pandas(frame)
    formula = (
        "late ~ poly(distance, 2)*origin + bs(x, df=4) + C(hour(date), contr.helmert) + date(date) "
        "+ cr(x, df=4, constraints='center') + C(origin == 'JFK')"
    )
    design, blocks = cases.encoded(formula, table, (100,), limit_rule=BINOMIAL)
    assert INF in design.limits.values()
    text = json.dumps(design.to_dict(), default=lambda a: a.tolist())
    again = FormulaDesign.from_dict(json.loads(text))
    assert again.token == design.token and again.names == design.names and again.terms == design.terms
    assert (again.limits, again.set_aside, again.notes) == (design.limits, design.set_aside, design.notes)
    (rows,) = cases.split(table)
    block, limit = again.encode_predictors(rows)
    expected, expected_limit = design.encode_predictors(rows)
    np.testing.assert_array_equal(block.to_dense(), expected.to_dense())
    np.testing.assert_array_equal(limit, expected_limit)
    pickled = pickle.loads(pickle.dumps(design))
    assert pickled.token == design.token
    np.testing.assert_array_equal(
        pickled.encode(rows).to_dense(), np.concatenate([b.to_dense() for b in blocks])
    )


def test_threads_share_a_design(cases):
    rng = np.random.default_rng(0)
    table = pa.table({"y": rng.normal(size=4000), "x": rng.normal(size=4000), "z": rng.normal(size=4000)})
    parts = cases.split(table, range(100, 4000, 100))
    design = cases.freeze(
        FormulaDesign("y ~ poly(x, 3) + bs(z, df=5) + cr(x, df=4)", cases.schema_of(table)), parts
    )
    serial = [design.encode(p).to_dense() for p in parts]
    found: list = [None] * len(parts)

    def work(mine):
        for i in mine:
            found[i] = design.encode(parts[i]).to_dense()

    threads = [threading.Thread(target=work, args=(range(k, len(parts), 4),)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for a, b in zip(serial, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_empty_partitions(cases):
    table = pa.table({"y": [1.0, 2, 3], "a": ["u", "v", "u"], "x": [1, 2, 3], "d": [True, False, None]})
    design, blocks = cases.encoded("y ~ a + poly(x, 2) + C(d) + I(x > 1)", table, (0, 0, 2, 2))
    assert [b.n_rows for b in blocks] == [0, 0, 2, 0, 0]
    whole, one = cases.encoded("y ~ a + poly(x, 2) + C(d) + I(x > 1)", table)
    assert whole.token == design.token
    np.testing.assert_array_equal(cases.public(design, blocks), cases.public(whole, one))


def test_transformed_response(cases):
    rng = np.random.default_rng(0)
    y, x = rng.normal(5, 2, 50), rng.normal(size=50)
    table = pa.table({"y": y, "x": x})
    design, blocks = cases.encoded("scale(y) ~ x", table, (20,))
    np.testing.assert_allclose(
        np.concatenate([b.y for b in blocks]), (y - y.mean()) / y.std(ddof=1), atol=1e-13
    )
    assert design.response_name == "scale(y)"
