"""``explain``: what it says of rows, columns, passes, errors and distances, against fits; and that it reads little."""

import gzip
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit import coxph, explain, glm, quantreg
from statkit.datasets import make_glm, write_glm_parquet
from statkit.plans import (
    AveragedSGD,
    Exact,
    FixedMinibatch,
    LeastSquaresApproximation,
    OneShot,
    OneStep,
    RareEvents,
    Renewable,
    Subsample,
    SurrogateLikelihood,
)
from statkit.regression import GLMClassifier, polr
from statkit.regression.forecast.explanation import _recommended
from statkit.regression.forecast.job import Forecast
from statkit.regression.forecast.sampling_error import level
from statkit.regression.forecast.steps import rounds_to_go
from statkit.sources import ParquetSource, Rows

N, P = 120_000, 4
FORMULA = "y ~ x0 + x1 + x2 + x3 + c0"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A logistic regression with a factor, in twelve row groups."""
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    write_glm_parquet(path, N, P, family="binomial", n_levels=(5,), random_state=0, row_group_size=10_000)
    return str(path)


@pytest.fixture(scope="module")
def told(path):
    return explain(FORMULA, path, family="binomial", random_state=0)


class Counting(ParquetSource):
    """Counts the rows that are read."""

    n_read = 0

    def read(self, partition, columns=()) -> Rows:
        self.n_read += partition.n_rows
        return super().read(partition, columns)

    def head(self, partition, columns, n_rows) -> Rows:
        rows = super().head(partition, columns, n_rows)
        self.n_read += rows.n_rows
        return rows


# -- what is known before


def test_rows_columns_and_partitions_are_those_of_the_fit(told, path):
    fit = glm(FORMULA, path, "binomial").estimate_
    assert (told.n_rows, told.n_rows_exact, told.partitions) == (N, True, 12)
    assert told.n_columns == len(fit.params)
    assert told.levels == {"c0": 5}
    assert list(told.standard_errors.index) == list(fit.params.index)
    assert set(told.columns.index) == {"x0", "x1", "x2", "x3", "c0", "y"}
    assert told.columns.loc["c0", "dictionary"] and told.columns.loc["x0", "decoded"] >= 8


def test_reads_no_more_than_a_quarter(path):
    source = Counting(path)
    told = explain(FORMULA, source, family="binomial", plans=Exact())
    assert 0 < told.rows_read <= N / 4
    assert source.n_read == told.rows_read + 10_000  # a partition that is read twice, for the clock
    # The source is the caller's: it stays open.
    assert source.read(source.partitions()[0], ["y"]).n_rows == 10_000


def test_a_single_row_group_is_not_read_whole(tmp_path):
    path = tmp_path / "one.parquet"
    write_glm_parquet(path, 60_000, 2, random_state=0, row_group_size=60_000)
    source = Counting(path)
    assert explain("y ~ x0 + x1", source).n_rows == 60_000
    assert source.n_read <= 15_000


def test_heads_are_the_first_rows(path):
    source = ParquetSource(path)
    partition = source.partitions()[3]
    whole = source.read(partition, ["x0", "c0"]).table
    head = source.head(partition, ["x0", "c0"], 1_234)
    assert head.n_rows == 1_234 and head.first_row == partition.first_row
    assert head.table["x0"].equals(whole["x0"].slice(0, 1_234))
    assert head.table["c0"].to_pylist() == whole["c0"].slice(0, 1_234).to_pylist()
    assert source.head(partition, ["x0"], 10**9).n_rows == partition.n_rows


# -- passes

PLANS = [
    Exact(),
    Exact(pilot_size=0),
    Subsample(2_000),
    OneShot(),
    LeastSquaresApproximation(),
    LeastSquaresApproximation(certify=True),
    OneStep(),
    OneStep("least_squares"),
    Renewable(),
    Renewable(n_passes=1),
    AveragedSGD(),
    SurrogateLikelihood(),
    SurrogateLikelihood(1, method="dane", certify=True),
    SurrogateLikelihood(1, method="cease", start="reference"),
    SurrogateLikelihood(1, reference="first"),
]


@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_passes_are_those_of_the_fit(path, plan):
    row = explain(FORMULA, path, plan, family="binomial", random_state=0).frame.iloc[0]
    fit = glm(FORMULA, path, "binomial", plan=plan, random_state=0).estimate_
    assert row["plan"] == repr(plan)
    # One Newton round more or less may be needed; rounds of a fixed number are known.
    assert row["passes"] == pytest.approx(fit.n_passes, abs=1.01 if isinstance(plan, Exact) else 0.01)
    assert row["rounds"] == pytest.approx(fit.n_rounds, abs=1 if isinstance(plan, Exact) else 0)
    assert 0 < row["seconds"] < 60 and row["cpu_seconds"] > 0 and row["memory_mb"] > 0


def test_rounds_follow_newtons_law():
    # Distance 10, curvature 3, a million rows: 10, .3, 2.7e-4.
    assert rounds_to_go(10.0, 3.0, 10**6, 1e-4) == 3
    assert rounds_to_go(0.0005, 3.0, 10**6, 1e-4) == 1
    assert rounds_to_go(10.0, 0.0, 10**6, 1e-4) == 2


# -- standard errors


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson", "gamma", "negative_binomial"])
def test_standard_errors_are_those_of_the_fit(family):
    X, y, _ = make_glm(60_000, 3, family=family, n_levels=(4,), random_state=1, as_frame=True)
    frame = X.assign(y=y)
    frame.loc[::7, "x1"] = np.nan
    formula = "y ~ x0 + poly(x2, 2) + x1 + c0"
    found = explain(formula, frame, family=family, plans=Exact(), random_state=0)
    bse = glm(formula, frame, family).estimate_.bse
    ratio = found.standard_errors / bse
    assert ratio.between(1 / 1.3, 1.3).all(), ratio
    assert found.used == pytest.approx(6 / 7, abs=0.01)


def test_robust_errors(path):
    found = explain(FORMULA, path, family="binomial", cov_type="HC1", plans=Exact(), random_state=0)
    bse = glm(FORMULA, path, "binomial", cov_type="HC1").estimate_.bse
    assert (found.standard_errors / bse).between(1 / 1.3, 1.3).all()


def test_clustered_errors_are_said_not_to_be_known(path):
    found = explain(FORMULA, path, family="binomial", groups="c0", plans=Exact())
    assert any("clusters hang together" in note for note in found.notes)


def test_cox_and_ordered(tmp_path):
    rng = np.random.default_rng(0)
    n = 30_000
    x = rng.standard_normal((n, 2))
    time = rng.exponential(np.exp(-x @ [0.5, -0.5]))
    frame = pd.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "t": np.minimum(time, 1.0), "d": (time < 1).astype(int)}
    )
    found = explain("Surv(t, d) ~ a + b", frame, family="cox", random_state=0)
    bse = coxph("Surv(t, d) ~ a + b", frame).estimate_.bse
    assert (found.standard_errors / bse).between(1 / 1.3, 1.3).all()
    assert np.isnan(found.frame.loc[found.frame.plan.str.startswith("Subsample"), "distance"]).all()

    latent = x @ [1.0, -1.0] + rng.logistic(size=n)
    frame["grade"] = np.digitize(latent, [-1.0, 1.0])
    found = explain("grade ~ a + b", frame, family="ordered", plans=[Exact(), OneShot()], random_state=0)
    bse = polr("grade ~ a + b", frame).estimate_.bse
    assert (found.standard_errors / bse).between(1 / 1.3, 1.3).all()


def test_classes_and_medians(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.standard_normal(20_000)})
    frame["y"] = frame.x + rng.standard_normal(20_000)
    frame["m"] = np.where(frame.y > 0.5, "high", rng.choice(["low", "other"], 20_000))
    told = explain("m ~ x", frame, [Exact(), OneStep()], family="softmax", random_state=0)
    exact = GLMClassifier(formula="m ~ x").fit(frame).estimate_
    ratio = told.standard_errors.to_numpy() / exact.bse.to_numpy()
    assert told.n_columns == 4 and ((0.8 < ratio) & (ratio < 1.25)).all()
    assert len(json.loads(json.dumps(told.to_dict()))["standard_errors"]) == 4
    median = explain("y ~ x", frame, [Exact(), Subsample(1_000)], family="quantile", random_state=0)
    ratio = median.standard_errors / quantreg("y ~ x", frame).estimate_.bse
    assert ((0.7 < ratio) & (ratio < 1.4)).all()
    assert median.frame.distance[0] == 0 and np.isnan(median.frame.distance[1])
    with pytest.raises(ValueError, match="no curvature"):
        explain("y ~ x", frame, OneShot(4), family="quantile")


def test_one_class_is_nothing_to_fit(tmp_path):
    frame = pd.DataFrame({"x": np.arange(50_000.0), "b": np.arange(50_000) >= 40_000})
    with pytest.raises(ValueError, match="the same class in all rows"):
        explain("b ~ x", frame[frame.b].head(100), family="binomial")
    with pytest.raises(ValueError, match=r"rows of the pilot.*shuffle"):
        explain("b ~ x", frame, family="binomial")


def test_weights_and_offsets_count():
    X, y, _ = make_glm(40_000, 2, family="poisson", random_state=0, as_frame=True)
    rng = np.random.default_rng(0)
    frame = X.assign(y=y, w=rng.uniform(1, 4, len(y)), o=0.3 * rng.standard_normal(len(y)))
    by_name = explain(
        "y ~ x0 + x1", frame, Exact(), family="poisson", weights="w", offset="o", random_state=0
    )
    beside = explain(
        "y ~ x0 + x1", frame, Exact(), family="poisson", weights=frame.w, offset=frame.o, random_state=0
    )
    bse = glm("y ~ x0 + x1", frame, "poisson", weights="w", offset="o").estimate_.bse
    assert (by_name.standard_errors / bse).between(1 / 1.3, 1.3).all()
    np.testing.assert_allclose(beside.standard_errors, by_name.standard_errors, rtol=1e-10)


# -- distances


def test_uniform_samples_follow_the_closed_form():
    X, y, _ = make_glm(50_000, 3, random_state=0, as_frame=True)
    plan = Subsample(2_000, criterion="uniform", refine=None, combine="none")
    row = explain("y ~ x0 + x1 + x2", X.assign(y=y), plan, random_state=0).frame.iloc[0]
    expected = np.sqrt((50_000 / 2_000 - 1) * 2_000 / (2_000 - 4))
    assert row["distance"] == pytest.approx(expected, rel=0.05)


def test_inclusion_level_of_the_worked_example():
    # Scores 1, 2, 3, 10, 20 for three rows: the level is 6, the two largest are certain.
    m = np.array([1.0, 2.0, 3.0, 10.0, 20.0])
    assert level(m, 3) == pytest.approx(6.0)
    assert np.minimum(m / level(m, 3), 1).sum() == pytest.approx(3)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_distances_of_samples_by_simulation(family):
    X, y, _ = make_glm(60_000, 5, family=family, random_state=3, as_frame=True)
    frame, formula = X.assign(y=y), "y ~ x0 + x1 + x2 + x3 + x4"
    plans = [
        Subsample(1_500),
        Subsample(1_500, criterion="cv"),
        Subsample(3_000, refine=None),
        Subsample(3_000, criterion="uniform", refine=None),
    ]
    told = explain(formula, frame, plans, family=family, random_state=0).frame.distance.to_numpy()
    exact = glm(formula, frame, family).estimate_
    seeds = 12
    for plan, predicted in zip(plans, told, strict=True):
        squared = [
            float((((e.params - exact.params) / exact.bse) ** 2).mean())
            for seed in range(seeds)
            for e in [glm(formula, frame, family, plan=plan, random_state=seed).estimate_]
        ]
        # The mean of 12 × 6 squares, of which those of one draw hang together: about 20 %.
        assert np.sqrt(np.mean(squared)) == pytest.approx(predicted, rel=0.5), plan


def test_larger_samples_are_closer_and_refined_ones_closest(path):
    plans = [
        Subsample(2_000), Subsample(8_000), Subsample(8_000, refine="one_step"), Subsample(8_000, refine="newton"),
    ]  # fmt: skip
    distance = explain(FORMULA, path, plans, family="binomial", random_state=0).frame.distance
    assert distance.is_monotonic_decreasing and distance.iloc[-1] == 0


@pytest.mark.slow
def test_distances_of_few_rounds_by_simulation():
    formula = "y ~ x0 + x1 + x2 + x3 + x4"
    plans = [
        OneShot(64),
        OneShot(64, bias_correction=None),
        LeastSquaresApproximation(64),
        Renewable(4_096, n_passes=1),
    ]
    told, squared, sets = np.zeros(4), np.zeros(4), 6
    for seed in range(sets):
        X, y, _ = make_glm(60_000, 5, family="binomial", random_state=seed, as_frame=True)
        frame = X.assign(y=y)
        told += (
            explain(formula, frame, plans, family="binomial", random_state=seed).frame.distance.to_numpy()
            ** 2
        )
        exact = glm(formula, frame, "binomial").estimate_
        for k, plan in enumerate(plans):
            e = glm(formula, frame, "binomial", plan=plan).estimate_
            squared[k] += float((((e.params - exact.params) / exact.bse) ** 2).mean())
    ratio = (np.sqrt(told / sets) + 0.01) / (np.sqrt(squared / sets) + 0.01)
    assert ((ratio > 0.5) & (ratio < 2)).all(), ratio


def test_distances_of_rounds_of_gradients_by_simulation():
    """Three plans with drawn starts: one round, two rounds, machines' own minimisers from a pilot."""
    formula = "y ~ x0 + x1 + x2 + x3"
    plans = [
        SurrogateLikelihood(1, pilot_size=4_000),
        SurrogateLikelihood(2, pilot_size=4_000),
        SurrogateLikelihood(1, method="dane", start="reference", pilot_size=4_000, n_partitions=10),
    ]
    X, y, _ = make_glm(60_000, 4, family="binomial", random_state=5, as_frame=True)
    frame = X.assign(y=y)
    told = explain(formula, frame, plans, family="binomial", random_state=0).frame.distance
    exact = glm(formula, frame, "binomial").estimate_
    for plan, distance in zip(plans, told, strict=True):
        squared = []
        for seed in range(12):
            e = glm(formula, frame, "binomial", plan=plan, random_state=seed).estimate_
            squared.append((((e.params - exact.params) / exact.bse) ** 2).mean())
        assert 0.5 < (distance + 0.003) / (np.sqrt(np.mean(squared)) + 0.003) < 2, plan


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """One event in a hundred."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150_000, 2))
    y = (rng.random(150_000) < 1 / (1 + np.exp(5 - X[:, 0]))).astype(float)
    path = tmp_path_factory.mktemp("rare") / "rare.parquet"
    pd.DataFrame(X, columns=["a", "b"]).assign(y=y).to_parquet(path, row_group_size=15_000)
    return str(path)


@pytest.mark.parametrize(
    "plan",
    [
        RareEvents(2),
        RareEvents(likelihood="weighted"),
        RareEvents(criterion="uniform"),
        OneStep(),
        SurrogateLikelihood(1),
    ],
    ids=repr,
)
def test_rare_events_by_simulation(rare, plan):
    """Samples that keep all events: passes, rounds, the distance, and the errors that the plan reports."""
    told = explain("y ~ a + b", rare, plan, family="binomial", random_state=0).frame.iloc[0]
    exact = glm("y ~ a + b", rare, "binomial").estimate_
    squared, wider = [], []
    for seed in range(10):
        e = glm("y ~ a + b", rare, "binomial", plan=plan, random_state=seed).estimate_
        squared.append((((e.params - exact.params) / exact.bse) ** 2).mean())
        wider.append((e.bse / exact.bse).mean())
    assert 0.5 < (told.distance + 0.01) / (np.sqrt(np.mean(squared)) + 0.01) < 2
    assert told.passes == pytest.approx(e.n_passes, abs=0.05) and told.rounds == e.n_rounds
    if isinstance(plan, RareEvents):
        assert told.errors == pytest.approx(np.mean(wider), rel=0.1)
        assert told.rows == pytest.approx(e.rows_used, rel=0.25)


def test_common_events_are_all_fitted(path):
    told = explain(FORMULA, path, RareEvents(), family="binomial", random_state=0)
    assert told.frame.distance[0] == 0 and any("they are fitted" in note for note in told.notes)


def test_distance_of_descents_by_simulation():
    formula = "y ~ x0 + x1 + x2 + x3"
    X, y, _ = make_glm(150_000, 4, family="binomial", random_state=2, as_frame=True)
    frame = X.assign(y=y)
    told = explain(formula, frame, AveragedSGD(), family="binomial", random_state=0).frame.iloc[0]
    exact = glm(formula, frame, "binomial").estimate_
    squared = []
    for seed in range(4):
        shuffled = frame.sample(frac=1, random_state=seed)
        e = glm(formula, shuffled, "binomial", plan=AveragedSGD(pilot_rows=1_000)).estimate_
        squared.append((((e.params - exact.params) / exact.bse) ** 2).mean())
    assert 0.4 < told.distance / np.sqrt(np.mean(squared)) < 2.5


def test_descents_of_sorted_rows_are_not_foretold():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat(list("abcd"), 20_000), "x": rng.standard_normal(80_000)})
    frame["y"] = (rng.random(80_000) < 0.5 + 0.2 * (frame.g == "d")).astype(float)
    told = explain("y ~ x + C(g)", frame, AveragedSGD(), family="binomial", random_state=0)
    assert np.isnan(told.frame.distance[0]) and any("shuffle=True" in note for note in told.notes)


def test_partitions_that_lack_levels(tmp_path):
    """What would raise in the fit is said, and a shuffled deal of the same rows has a distance."""
    rng = np.random.default_rng(0)
    g = np.where(np.arange(80_000) < 10_000, "new", rng.choice(["a", "b"], 80_000))
    frame = pd.DataFrame({"g": g, "y": (rng.random(80_000) < 0.4).astype(float)})
    plans = [OneShot(8), OneShot(8, shuffle=True)]
    told = explain("y ~ C(g)", frame, plans, family="binomial", random_state=0)
    assert np.isnan(told.frame.distance[0]) and told.frame.distance[1] < 1
    assert any("lack levels" in note for note in told.notes)
    with pytest.raises(ValueError, match="identifies"):
        glm("y ~ C(g)", frame, "binomial", plan=plans[0])


def test_priors_of_pilots_pull():
    """One level without events puts a prior on all columns of a plan's pilot: the distance grows by what it pulls."""
    rng = np.random.default_rng(1)
    n = 200_000
    g = rng.choice(40, n, p=np.r_[0.004, np.full(39, 0.996 / 39)])
    eta = np.where(g == 0, 1.0, -0.5)
    frame = pd.DataFrame({"g": g, "y": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)})
    rare = frame.assign(g=np.where(rng.random(n) < 4e-4, 99, g))
    rare.loc[rare.g == 99, "y"] = (np.arange((rare.g == 99).sum()) % 40 == 0) * 1.0
    plan, told, actual = Subsample(10_000), [], []
    for data in (frame, rare):
        told.append(explain("y ~ C(g)", data, plan, family="binomial", random_state=0).frame.distance[0])
        exact, squared = glm("y ~ C(g)", data, "binomial").estimate_, []
        for seed in range(6):
            e = glm("y ~ C(g)", data, "binomial", plan=plan, random_state=seed).estimate_
            away = (((e.params - exact.params) / exact.bse) ** 2).drop("C(g)[T.99]", errors="ignore")
            squared.append(away.mean())
        actual.append(np.sqrt(np.mean(squared)))
    assert 1 / 1.6 < told[0] / actual[0] < 1.6
    assert told[1] > 1.5 * told[0] and 0.5 < told[1] / actual[1] < 2, (told, actual)


def test_rows_in_order_are_seen_to_differ():
    """Machines that are years, with other coefficients each: combining their fits is far off, and it is said."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(200_000)
    slope = np.repeat(np.linspace(-1, 1, 20), 10_000)
    spread = np.repeat(np.linspace(0.5, 2, 20), 10_000)
    frame = pd.DataFrame({"x": x * spread, "y": rng.random(200_000) < 1 / (1 + np.exp(-slope * x))})
    told = explain("y ~ x", frame, [OneShot(20), Exact()], family="binomial", random_state=0)
    assert told.frame.distance[0] > 1 and told.recommended.__class__ is Exact
    assert any("differ by more than chance" in note for note in told.notes)


def test_pilots_from_windows_suffer_where_rows_hang_together():
    rng = np.random.default_rng(0)
    level = np.repeat(rng.standard_normal(100), 2_000)
    x = rng.standard_normal(200_000)
    frame = pd.DataFrame({"x": x, "y": rng.random(200_000) < 1 / (1 + np.exp(-level - x))})
    plan = Subsample(2_000, pilot="windows")
    in_order, shuffled = (
        explain("y ~ x", f, plan, family="binomial", random_state=0).frame.distance[0]
        for f in (frame, frame.sample(frac=1, random_state=0, ignore_index=True))
    )
    assert in_order > 2 * shuffled


# -- CSV


def test_rows_of_csv_are_estimated_from_its_length(tmp_path):
    rng = np.random.default_rng(0)
    n = 400_000
    frame = pd.DataFrame(
        {"x": rng.standard_normal(n).round(4), "k": np.arange(n), "y": rng.standard_normal(n)}
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    told = explain("y ~ x", tmp_path / "rows.csv", random_state=0)
    assert not told.n_rows_exact and told.n_rows == pytest.approx(n, rel=0.02)
    assert told.rows_read < n / 2 and told.kind == "CSV"
    bse = glm("y ~ x", frame).estimate_.bse
    assert (told.standard_errors / bse).between(1 / 1.3, 1.3).all()
    assert any("estimated" in note for note in told.notes)


def test_small_and_compressed_csv(tmp_path):
    frame = pd.DataFrame({"x": np.arange(300.0), "name": ["a, b", "c"] * 150, "y": np.sin(np.arange(300.0))})
    frame.to_csv(tmp_path / "a.csv", index=False)
    told = explain("y ~ x + name", tmp_path / "a.csv")
    assert (told.n_rows, told.n_rows_exact, told.levels) == (300, True, {"name": 2})
    with gzip.open(tmp_path / "b.csv.gz", "wt") as out:
        frame.to_csv(out, index=False)
    assert explain("y ~ x", tmp_path / "b.csv.gz").n_rows == 300
    frame.to_csv(tmp_path / "c.tsv", index=False, sep="\t")
    assert explain("y ~ x", tmp_path / "c.tsv").n_rows == 300
    frame.to_csv(tmp_path / "a2.csv", index=False)
    assert explain("y ~ x", [tmp_path / "a.csv", tmp_path / "a2.csv"]).n_rows == 600


def test_csv_with_line_breaks_in_quotes(tmp_path):
    """The middle of such a file cannot be cut into lines: its beginning serves."""
    lines = [f'{k},"a long text\nof two, or {k % 3} lines",{k % 11}' for k in range(300_000)]
    (tmp_path / "a.csv").write_text("x,text,y\n" + "\n".join(lines) + "\n")
    told = explain("y ~ x", tmp_path / "a.csv", Exact())
    assert told.n_rows == pytest.approx(300_000, rel=0.05)


# -- inputs


def test_frames_of_all_kinds_say_the_same(path):
    frame = pq.read_table(path).slice(0, 20_000)
    from_arrow = explain(FORMULA, frame, Exact(), family="binomial", random_state=0)
    from_pandas = explain(FORMULA, frame.to_pandas(), Exact(), family="binomial", random_state=0)
    from_polars = explain(FORMULA, pl.from_arrow(frame), Exact(), family="binomial", random_state=0)
    for other in (from_pandas, from_polars):
        np.testing.assert_allclose(other.standard_errors, from_arrow.standard_errors, rtol=1e-8)
    assert from_arrow.n_rows == 20_000 and from_arrow.n_bytes is None


def test_arrow_file(tmp_path, path):
    table = pq.read_table(path)
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    assert explain(FORMULA, tmp_path / "a.arrow", Exact(), family="binomial").n_rows == N


def test_engines_change_seconds_alone(path):
    one = explain(FORMULA, path, Exact(), "serial", family="binomial", random_state=0)
    two = explain(FORMULA, path, Exact(), "threads", n_jobs=2, family="binomial", random_state=0)
    np.testing.assert_array_equal(one.standard_errors, two.standard_errors)
    assert one.frame.passes[0] == two.frame.passes[0]
    assert two.frame.seconds[0] < 1.02 * two.frame.cpu_seconds[0]
    assert two.engine == "threads(2)"


# -- what is refused


def test_no_rows(tmp_path):
    frame = pd.DataFrame({"x": np.empty(0), "y": np.empty(0)})
    with pytest.raises(ValueError, match="no rows"):
        explain("y ~ x", frame)
    frame.to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(ValueError, match="no rows"):
        explain("y ~ x", tmp_path / "empty.parquet")
    (tmp_path / "head.csv").write_text("x,y\n")
    with pytest.raises(ValueError, match="no rows"):
        explain("y ~ x", tmp_path / "head.csv")


def test_unknown_column(path):
    with pytest.raises(ValueError, match="x9"):
        explain("y ~ x9", path)
    with pytest.raises(ValueError, match="nowhere"):
        explain("y ~ x0", path, weights="nowhere")


def test_files_that_cannot_be_read(tmp_path, path):
    with pytest.raises(FileNotFoundError):
        explain("y ~ x", tmp_path / "missing.parquet")
    (tmp_path / "no.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(ValueError, match=r"no\.parquet"):
        explain("y ~ x", tmp_path / "no.parquet")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        explain("y ~ x", tmp_path / "empty.csv")
    whole = open(path, "rb").read()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut off"):
        explain("y ~ x0", tmp_path / "cut.parquet")


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("-", TypeError, "standard input"),
        (iter([pd.DataFrame({"x": [1.0], "y": [1.0]})]), TypeError, "only once"),
        (pl.LazyFrame({"x": [1.0], "y": [2.0]}), TypeError, "LazyFrame"),
        (np.zeros((50, 2)), ValueError, "named columns"),
    ],
    ids=["stdin", "iterator", "lazy", "matrix"],
)
def test_data_that_cannot_be_looked_at(data, error, message):
    with pytest.raises(error, match=message):
        explain("y ~ x", data)


def test_plans_that_cannot_be_forecast(path):
    with pytest.raises(TypeError, match=r"statkit\.plans"):
        explain(FORMULA, path, "exact")
    with pytest.raises(TypeError, match="not 'Exact'"):
        explain(FORMULA, path, Exact)
    with pytest.raises(ValueError, match="empty"):
        explain(FORMULA, path, [])
    with pytest.raises(ValueError, match="method=…"):
        explain(FORMULA, path, SurrogateLikelihood(method="newton"))
    with pytest.raises(ValueError, match=r"FixedMinibatch.*no forecast"):
        explain(FORMULA, path, FixedMinibatch(10), family="binomial")
    with pytest.raises(ValueError, match=r"RareEvents.*logistic regression"):
        explain(FORMULA, path, RareEvents())
    with pytest.raises(ValueError, match="does not fit the cox family"):
        frame = pd.DataFrame({"t": np.arange(1.0, 200), "d": np.ones(199), "x": np.sin(np.arange(199.0))})
        explain("Surv(t, d) ~ x", frame, Renewable(), family="cox")
    with pytest.raises(ValueError, match="cannot determine 9 coefficients"):
        explain(FORMULA, path, Subsample(5), family="binomial")
    with pytest.raises(ValueError, match="cut into machines"):
        explain(FORMULA, path, OneShot(0), family="binomial")
    with pytest.raises(ValueError, match="partition_by"):
        explain(FORMULA, path, OneShot(partition_by="c0"), family="binomial")


def test_options_are_checked_as_in_fits(path):
    with pytest.raises(ValueError, match="alpha"):
        explain(FORMULA, path, alpha=-1.0)
    with pytest.raises(ValueError, match="family"):
        explain(FORMULA, path, family="weibull")
    with pytest.raises(ValueError, match="ties"):
        explain(FORMULA, path, ties="efron")
    with pytest.raises(ValueError, match="beside CSV"):
        explain("y ~ x", _csv_of(path), weights=np.ones(3))
    with pytest.raises(ValueError, match="'c0' holds 5 classes"):
        explain("c0 ~ x0", path)


def _csv_of(path):
    target = path.replace(".parquet", ".csv")
    pq.read_table(path).slice(0, 100).to_pandas().rename(columns={"x0": "x"}).to_csv(target, index=False)
    return target


def test_too_few_rows_for_the_columns():
    frame = pd.DataFrame({"x": np.arange(6.0), "g": list("abcdef"), "y": np.arange(6.0)})
    with pytest.raises(ValueError, match="6 rows for 7 coefficients"):
        explain("y ~ x + g", frame)


def test_response_outside_the_family(path):
    with pytest.raises(ValueError, match="response"):
        explain("x0 ~ x1", path, family="poisson")


def test_all_missing():
    frame = pd.DataFrame({"x": np.full(100, np.nan), "y": np.arange(100.0)})
    with pytest.raises(ValueError, match="missing"):
        explain("y ~ x", frame)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 80),
    missing=st.floats(0, 1),
    kind=st.sampled_from(["constant", "duplicate", "text", "huge", "separated"]),
    family=st.sampled_from(["gaussian", "binomial", "poisson"]),
)
def test_hostile_frames_give_a_forecast_or_a_reason(n, missing, kind, family):
    rng = np.random.default_rng(n)
    x = rng.standard_normal(n)
    z = {
        "constant": np.ones(n), "duplicate": x, "text": np.where(x > 0, "a", "b"), "huge": 1e12 * x,
        "separated": np.sign(x),
    }[kind]  # fmt: skip
    y = (x > 0).astype(float)
    frame = pd.DataFrame({"x": np.where(rng.random(n) < missing, np.nan, x), "z": z, "y": y})
    try:
        told = explain("y ~ x + z", frame, family=family)
    except ValueError as error:
        assert str(error)
        return
    assert told.n_rows == n
    assert (told.frame.seconds > 0).all() and (told.frame.memory_mb > 0).all()
    str(told), json.dumps(told.to_dict(), allow_nan=False)


# -- the answer


def test_table_html_and_json(told):
    text = str(told)
    assert "→ " in text and "Recommended:" in text and "120,000" in text and repr(told.recommended) in text
    assert "<table" in told._repr_html_()
    whole = json.loads(json.dumps(told.to_dict(), allow_nan=False))
    assert whole["rows"] == N and len(whole["plans"]) == len(told.frame)
    assert sum(plan["recommended"] for plan in whole["plans"]) == 1
    assert len(whole["standard_errors"]) == told.n_columns
    assert str(told.summary(full=True)).count("\n") >= text.count("\n")


def test_the_usual_plans(told):
    names = [name.partition("(")[0] for name in told.frame.plan]
    assert names[0] == "Exact"
    assert {"Subsample", "OneShot", "LeastSquaresApproximation", "OneStep", "Renewable"} <= set(names)
    assert told.frame.recommended.sum() == 1
    assert (told.frame.distance[0] == 0) and (told.frame.distance[1:] > 0).all()


def _forecast(plan, seconds, distance, memory=1e6):
    return Forecast(plan, 1.0, 1, seconds, seconds, memory, 100, distance)


def test_recommendations():
    fast, exact = _forecast(Subsample(), 1.0, 0.05), _forecast(Exact(), 5.0, 0.0)
    assert _recommended([exact, fast])[0] == 0  # ten seconds are worth it
    slow = _forecast(Exact(), 500.0, 0.0)
    best, why = _recommended([slow, fast])
    assert best == 1 and "500.0 times" in why
    assert _recommended([slow, _forecast(Subsample(), 1.0, 0.5)])[0] == 0
    far = [_forecast(Subsample(10), 1.0, 5.0), _forecast(Subsample(20), 1.0, 3.0)]
    best, why = _recommended(far)
    assert best == 1 and "closest" in why
    best, why = _recommended([_forecast(Exact(), 1.0, 0.0, 1e18), _forecast(Subsample(), 1.0, 1.0, 1e17)])
    assert best == 1 and "memory" in why
