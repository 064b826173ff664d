"""Choices and safeguards of plans of few rounds: automatic plan, robust rounds, rare classes, bootstrap errors."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit import glm
from statkit.datasets import make_glm
from statkit.plans import (
    Automatic,
    DebiasedAverage,
    Exact,
    LeastSquaresApproximation,
    OneShot,
    OneStep,
    SurrogateLikelihood,
)
from statkit.regression import GLMClassifier, GLMRegressor
from statkit.sources import as_source

pytestmark = [
    pytest.mark.filterwarnings("ignore::statkit.exceptions.BiasWarning"),
    pytest.mark.filterwarnings("ignore::statkit.exceptions.HeterogeneityWarning"),
]


def fit(plan, X, y, family="binomial", **options):
    return GLMRegressor(family, plan=plan, **options).fit(X, y).estimate_


def off(estimate, exact):
    return float(np.abs((estimate.values - exact.values) / exact.bse).max())


def test_automatic_choice():
    X, y, _ = make_glm(4_000, 4, family="binomial", random_state=0)
    exact = fit(Exact(), X, y)
    names = {}
    for rounds, machines in ((None, None), (1, 8), (1, 100), (2, 8), (3, 8)):
        estimate = fit(Automatic(rounds, n_partitions=machines), X, y)
        names[rounds, machines] = estimate.plan.split("(")[0]
        assert rounds is None or estimate.n_rounds <= rounds
        assert off(estimate, exact) < 0.4
    assert list(names.values()) == ["Exact", "LeastSquaresApproximation", "OneShot", "OneStep", "OneStep"]
    linear = fit(Automatic(1, n_partitions=8), X, y, "gaussian")
    assert linear.plan.startswith("Exact") and linear.n_rounds == 1
    with pytest.raises(ValueError, match="max_rounds"):
        fit(Automatic(0), X, y)


def test_softmax_local_bias():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((6000, 3))
    y = np.argmax(X @ rng.standard_normal((3, 4)) + rng.gumbel(size=(6000, 4)), axis=1)
    exact = GLMClassifier().fit(X, y).estimate_
    distance = {}
    for name, plan in {
        "plain": LeastSquaresApproximation(30, bias_correction=None), "corrected": LeastSquaresApproximation(30),
        "mean": OneShot(30, bias_correction=None), "mean corrected": OneShot(30), "firth": OneShot(30, local="firth"),
    }.items():  # fmt: skip
        e = GLMClassifier(plan=plan).fit(X, y).estimate_
        distance[name] = np.sqrt(np.mean(((e.values - exact.values) / exact.bse.to_numpy()) ** 2))
        if name in ("plain", "mean"):
            predicted = e.predicted_bias / exact.bse.to_numpy()
            found = (e.values - exact.values) / exact.bse.to_numpy()
            assert np.corrcoef(predicted, found)[0, 1] > 0.95
    assert distance["corrected"] < 0.25 * distance["plain"]
    assert distance["mean corrected"] < 0.25 * distance["mean"] and distance["firth"] < 0.3 * distance["mean"]


@pytest.mark.parametrize("aggregate", ["median", "trimmed", "geometric", "vrmom", "screened"])
def test_robust_rounds(aggregate):
    X, y, _ = make_glm(20_000, 4, family="binomial", random_state=2)
    clean = fit(Exact(), X[1500:], y[1500:])
    wrong = y.copy()
    wrong[:1500] = 1 - wrong[:1500]  # three machines of forty
    ours = fit(OneStep("average", 2, aggregate=aggregate, n_partitions=40), X, wrong)
    naive = fit(OneStep("average", 2, n_partitions=40), X, wrong)
    assert off(ours, clean) < (0.1 if aggregate == "screened" else 1.8) and off(naive, clean) > 4
    if aggregate == "screened":
        assert ours.rejected_partitions == [0, 1, 2]
    with pytest.raises(ValueError, match="start='average'"):
        fit(OneStep(aggregate=aggregate), X, y)


def test_without_outliers_the_screened_step_is_the_step():
    X, y, _ = make_glm(6_000, 3, family="gamma", random_state=3)
    plain = fit(OneStep("average", 3, n_partitions=20), X, y, "gamma")
    screened = fit(OneStep("average", 3, aggregate="screened", n_partitions=20), X, y, "gamma")
    assert not screened.rejected_partitions
    # The information is a median over machines, so that the way there differs, not the end.
    np.testing.assert_allclose(screened.values, plain.values, atol=0.01 * plain.bse.min())


def test_machines_with_wild_estimates_are_named():
    X, y, _ = make_glm(4_000, 3, family="poisson", random_state=4)
    X = X.copy()
    X[:200] = -X[:200] * 1e3  # another unit and sign
    ours = fit(OneShot(20, aggregate="screened"), X, y, "poisson")
    assert 0 in ours.rejected_partitions and len(ours.rejected_partitions) <= 2
    assert off(ours, fit(Exact(), X[200:], y[200:], "poisson")) < 1.0


@pytest.mark.parametrize("rare", [0.0, 1.0])
def test_pilots_draw_a_rare_class_in_full(rare):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((40_000, 3))
    y = (rng.random(40_000) < 1 / (1 + np.exp(6.5 - X @ [1.0, -0.5, 0.5]))) * 1.0
    y = y if rare else 1 - y
    assert min(y.sum(), len(y) - y.sum()) < 0.005 * len(y)
    exact = fit(Exact(), X, y)
    step = fit(OneStep(), X, y)
    assert off(step, exact) < 0.3 and step.start_distance < 2.5
    assert off(fit(OneStep(n_steps=2), X, y), exact) < 0.03


def test_chord_stops_at_its_tolerance():
    X, y, _ = make_glm(8_000, 3, family="binomial", random_state=6)
    chord = fit(OneStep("least_squares", 20, chord=True, tol=1e-6, n_partitions=16), X, y)
    assert 3 <= len(chord.history) < 12 and off(chord, fit(Exact(tol=1e-10), X, y)) < 1e-5


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_bootstrap_of_rows_has_the_errors_of_the_sandwich(family):
    X, y, _ = make_glm(3_000, 3, family="poisson", random_state=7)
    for plan in (Exact(), OneStep(n_partitions=5), LeastSquaresApproximation(5)):
        boot = fit(plan, X, y, family, cov_type="bootstrap", random_state=0)
        robust = fit(plan, X, y, family, cov_type="HC0")
        np.testing.assert_allclose(boot.bse, robust.bse, rtol=0.1)  # 1,024 draws: 2.2 % each
    assert boot.bootstrap_draws.shape == (1024, 4)
    bands, limits = boot.simultaneous_conf_int.to_numpy(), boot.conf_int().to_numpy()
    ratio = (bands[:, 1] - bands[:, 0]) / (limits[:, 1] - limits[:, 0])
    assert ((ratio > 1.15) & (ratio < 1.4)).all()  # four nearly independent coefficients: 2.49 / 1.96


def test_bootstrap_signs_do_not_depend_on_partitions():
    X, y, _ = make_glm(2_000, 2, family="poisson", random_state=8)
    one, many = (
        fit(LeastSquaresApproximation(k), X, y, "poisson", cov_type="bootstrap").bootstrap_draws
        for k in (1, 7)
    )
    np.testing.assert_allclose(one, many, atol=0.1 * np.abs(one).max())


def test_bootstrap_of_gradients():
    X, y, _ = make_glm(10_000, 2, family="binomial", random_state=9)
    model = fit(OneShot(50), X, y)
    boot = fit(OneShot(50), X, y, cov_type="bootstrap")
    np.testing.assert_allclose(boot.bse, model.bse, rtol=0.35)
    np.testing.assert_allclose(boot.bootstrap_draws.std(axis=0), boot.bse, rtol=0.1)
    with pytest.raises(ValueError, match="20 are needed"):
        fit(OneShot(10), X, y, cov_type="bootstrap")


def test_own_dispersions_weigh_noisy_machines_down():
    rng = np.random.default_rng(10)
    X = rng.standard_normal((4000, 2))
    noise = np.where(np.arange(4000) < 2000, 1.0, 6.0)
    errors = []
    for seed in range(30):
        y = X @ [1.0, -1.0] + noise * np.random.default_rng(seed).standard_normal(4000)
        errors.append([fit(LeastSquaresApproximation(8, local_dispersion=own), X, y, "gaussian").values - [0, 1, -1]
                       for own in (False, True)])  # fmt: skip
    spread = np.square(errors).mean(axis=(0, 2))
    assert spread[1] < 0.25 * spread[0]
    own = fit(LeastSquaresApproximation(8, local_dispersion=True), X, y, "gaussian")
    np.testing.assert_allclose(own.bse, 1 / np.sqrt(2000 * (1 + 1 / 36)), rtol=0.1)


def test_exact_fits_tell_of_correlated_partitions():
    rng = np.random.default_rng(11)
    day = np.repeat(np.arange(60), 2_000)
    X = rng.standard_normal((len(day), 2))
    for spread, verdict in ((0.0, "OK"), (0.5, "WARN")):
        effect = spread * rng.standard_normal(60)[day]
        y = rng.poisson(np.exp(0.2 * X[:, 0] + effect)).astype(float)
        frame = pd.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "y": y, "day": day})
        source = as_source(frame).regroup(by="day")
        table = glm("y ~ x0 + x1", source, "poisson").estimate_.diagnostics.set_index("name")
        assert table.loc["partition_se_ratio", "verdict"] == verdict
        assert table.loc["newton_decrement", "verdict"] == "OK"


def test_tables_of_machines():
    X, y, _ = make_glm(4_000, 3, family="binomial", random_state=12)
    e = fit(LeastSquaresApproximation(8, selection="adaptive_lasso"), X, y)
    assert list(e.selection_path.columns[:4]) == ["df", "quadratic", "aic", "bic"]
    assert e.selection_path["bic"].idxmin() is not None and len(e.selection_path) >= 4
    e = fit(LeastSquaresApproximation(8), X, y)
    assert (e.heterogeneity["df"] == 7).all() and (e.heterogeneity["p"] > 1e-4).all()
    assert {"condition", "score_test"} <= set(e.partitions.columns)
    names = set(e.diagnostics["name"])
    assert {"bias_removed", "k_limit", "heterogeneity_Q", "score_tests_rejected", "partition_se_ratio", "split_test_F",
            "local_rows_per_parameter", "largest_share"} <= names  # fmt: skip
    assert any("second-order" in note for note in e.notes)


def test_identical_machines_have_no_heterogeneity():
    X, y, _ = make_glm(300, 2, family="poisson", random_state=13)
    e = fit(LeastSquaresApproximation(6, bias_correction=None), np.vstack([X] * 6), np.tile(y, 6), "poisson")
    table = e.diagnostics.set_index("name")
    assert table.loc["heterogeneity_Q", "value"] == pytest.approx(0, abs=1e-8)
    assert table.loc["score_tests_rejected", "value"] == 0
    single = fit(Exact(), X, y, "poisson")
    np.testing.assert_allclose(e.values, single.values, atol=1e-7)
    np.testing.assert_allclose(e.bse, single.bse / np.sqrt(6), rtol=1e-5)


@pytest.mark.parametrize(
    "plan", [OneShot(4), LeastSquaresApproximation(4), OneStep("least_squares", n_partitions=4)]
)
def test_weights_units_and_origins(plan):
    X, y, _ = make_glm(800, 3, family="binomial", random_state=14)
    base = fit(plan, X, y)
    double = GLMRegressor("binomial", plan=plan).fit(X, y, sample_weight=np.full(800, 2.0)).estimate_
    twice = fit(plan, np.repeat(X, 2, axis=0), np.repeat(y, 2))
    np.testing.assert_allclose(double.values, twice.values, atol=1e-7)
    np.testing.assert_allclose(double.bse, twice.bse, rtol=1e-6)
    moved = fit(plan, (X - 100.0) * [1e-4, 1.0, 1e5], y)
    np.testing.assert_allclose(moved.values[1:] * [1e-4, 1.0, 1e5], base.values[1:], rtol=1e-5)
    np.testing.assert_allclose(
        moved.bse.to_numpy()[1:] * [1e-4, 1.0, 1e5], base.bse.to_numpy()[1:], rtol=1e-5
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 12), st.sampled_from(["gaussian", "binomial", "poisson"]),
    st.sampled_from([
        OneShot(), OneShot(aggregate="screened"), OneShot(bias_correction="jackknife"), LeastSquaresApproximation(),
        OneStep(), OneStep("average", aggregate="median"), SurrogateLikelihood(), SurrogateLikelihood(method="cease"),
        Automatic(1), Automatic(2), DebiasedAverage(),
    ]),
)  # fmt: skip
def test_small_and_degenerate_data(seed, n, machines, family, plan):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    X[:, 1] = rng.integers(0, 2, n)
    if seed % 3 == 0:
        X[:, 2] = X[:, 0] if seed % 2 else 1.0
    y = {
        "gaussian": rng.standard_normal(n),
        "binomial": rng.integers(0, 2, n),
        "poisson": rng.poisson(1.0, n),
    }[family]
    model = GLMRegressor(family, plan=plan.set_params(n_partitions=min(machines, n)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            e = model.fit(X, y.astype(float), sample_weight=rng.integers(0, 3, n) * 1.0).estimate_
        except ValueError as error:
            assert str(error) and not hasattr(model, "coef_")
            return
    assert np.isfinite(model.coef_).all() and np.isfinite(e.values[~np.isnan(e.values)]).all()
    assert len(str(e.summary())) > 100 and (e.diagnostics is not None)
