"""Plans of one or two rounds: a worked example to its digits, invariants, diagnostics, hard inputs."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.special import expit

from statkit.datasets import make_glm
from statkit.exceptions import BiasWarning, HeterogeneityWarning
from statkit.families import NegativeBinomial
from statkit.plans import Exact, LeastSquaresApproximation, OneShot, OneStep
from statkit.regression import GLMClassifier, GLMRegressor
from statkit.results import Estimate

pytestmark = pytest.mark.filterwarnings("ignore::statkit.exceptions.BiasWarning")

RNG = np.random.default_rng(0)
X1 = RNG.standard_normal((1200, 2))
Y1 = (RNG.random(1200) < expit(np.column_stack([np.ones(1200), X1]) @ [-0.5, 1, -1])).astype(float)


def fit(plan, X=X1, y=Y1, family="binomial", **options):
    return GLMRegressor(family, plan=plan, **options).fit(X, y).estimate_


def diagnostic(estimate, name):
    table = estimate.diagnostics.set_index("name")
    return table.loc[name]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (OneShot(n_partitions=6, bias_correction=None), (-0.549284, 0.980339, -1.032938)),
        (OneShot(bias_correction="cox_snell", n_partitions=6), (-0.536852, 0.953276, -1.003763)),
        (
            LeastSquaresApproximation(bias_correction=None, n_partitions=6),
            (-0.530321, 0.929153, -1.002981),
        ),
        (LeastSquaresApproximation(n_partitions=6), (-0.542059, 0.954488, -1.031142)),
        (OneShot(n_partitions=1), (-0.540057, 0.956796, -1.025843)),
    ],
)
def test_worked_example(plan, expected):
    assert Y1.sum() == 482
    np.testing.assert_allclose(fit(plan).values, expected, atol=6e-7)


def test_worked_example_predicts_its_bias_and_tests_heterogeneity():
    plain = fit(LeastSquaresApproximation(bias_correction=None, certify=True, n_partitions=6))
    np.testing.assert_allclose(plain.bse, (0.071010, 0.079595, 0.083527), atol=6e-7)
    np.testing.assert_allclose(plain.predicted_bias, (0.011738, -0.025335, 0.028161), atol=6e-7)
    mean = fit(OneShot(n_partitions=6, bias_correction=None))
    np.testing.assert_allclose(mean.predicted_bias, (-0.012432, 0.027063, -0.029175), atol=6e-7)
    assert diagnostic(plain, "heterogeneity_Q").value == pytest.approx(12.425886, abs=2e-6)
    assert diagnostic(plain, "heterogeneity_df").value == 15
    assert diagnostic(plain, "heterogeneity_p").value == pytest.approx(0.64655, abs=1e-5)
    assert diagnostic(plain, "newton_decrement").value * np.sqrt(3) == pytest.approx(0.397745, abs=1e-6)
    assert len(plain.partitions) == 6 and plain.partitions["rows"].sum() == 1200


def test_one_step_squares_the_distance():
    exact = fit(Exact(tol=1e-8))
    for start, steps, limit in (("least_squares", 1, 0.01), ("average", 1, 0.05), ("pilot", 2, 0.05)):
        step = fit(OneStep(start, steps, pilot_size=300, n_partitions=6))
        assert np.abs((step.values - exact.values) / exact.bse).max() < limit, start
    more = fit(OneStep("least_squares", 6, chord=True, n_partitions=6))
    np.testing.assert_allclose(more.values, exact.values, atol=1e-7)


@pytest.mark.parametrize("machines", [1, 3, 17])
@pytest.mark.parametrize("plan", [LeastSquaresApproximation, OneStep])
def test_linear_model_is_least_squares_for_any_partition(plan, machines):
    X, _, _ = make_glm(500, 3, family="gaussian", random_state=1)
    y = X @ [1.0, -2.0, 0.5] + 3 + np.random.default_rng(1).standard_normal(500)
    ours, exact = fit(plan(n_partitions=machines), X, y, "gaussian"), fit(Exact(), X, y, "gaussian")
    np.testing.assert_allclose(ours.values, exact.values, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(ours.bse, exact.bse, rtol=1e-9)
    for name in ("llf", "deviance", "null_deviance", "scale"):
        assert getattr(ours, name) == pytest.approx(getattr(exact, name), rel=1e-9), name


def test_machines_that_cannot_identify_all_columns():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(10), 200)
    X = np.column_stack([rng.standard_normal(2000), group % 2])
    y = rng.poisson(np.exp(0.2 + X @ [0.3, 0.4])).astype(float)
    exact = fit(Exact(), X, y, "poisson")
    ours = fit(LeastSquaresApproximation(partition_by=group), X, y, "poisson")
    assert np.abs((ours.values - exact.values) / exact.bse).max() < 0.1
    assert diagnostic(ours, "local_rank_deficient").value == 10
    with pytest.raises(ValueError, match="identifies 2 of 3"):
        fit(OneShot(partition_by=group), X, y, "poisson")


def test_separated_machines_take_firths_estimate():
    X, y, _ = make_glm(4000, 6, family="binomial", random_state=3)
    estimate = fit(OneShot(n_partitions=130), X, y)
    assert estimate.partitions["firth"].any() and np.isfinite(estimate.values).all()
    firth = fit(OneShot(local="firth", n_partitions=40), X, y)
    exact = fit(Exact(), X, y)
    assert np.abs((firth.values - exact.values) / exact.bse).max() < 0.5


def test_warnings_for_bias_and_for_rows_sorted_by_outcome():
    X, y, _ = make_glm(4000, 4, family="binomial", random_state=4)
    with pytest.warns(BiasWarning, match="95 % interval"):
        fit(OneShot(n_partitions=80, bias_correction=None), X, y)
    rng = np.random.default_rng(5)
    order = np.argsort(y + rng.standard_normal(4000))
    with pytest.warns(HeterogeneityWarning):
        estimate = fit(LeastSquaresApproximation(n_partitions=10), X[order], y[order])
    assert diagnostic(estimate, "heterogeneity_Q").verdict == "FAIL"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calm = fit(LeastSquaresApproximation(n_partitions=10, shuffle=True), X[order], y[order])
    assert diagnostic(calm, "heterogeneity_Q").verdict == "OK"


@pytest.mark.parametrize("family", ["poisson", "gamma", NegativeBinomial(alpha=0.5)])
def test_corrected_least_squares_is_nearer_to_the_estimate_of_all_rows(family):
    rng = np.random.default_rng(6)
    X = rng.standard_normal((8000, 5))
    mu = np.exp(0.2 + X @ np.linspace(-0.4, 0.4, 5))
    y = rng.gamma(2, mu / 2) if family == "gamma" else rng.poisson(mu * rng.gamma(2, 0.5, 8000)).astype(float)
    if family == "poisson":
        y = rng.poisson(mu).astype(float)
    exact = fit(Exact(), X, y, family)
    plain = fit(LeastSquaresApproximation(bias_correction=None, n_partitions=64), X, y, family)
    corrected = fit(LeastSquaresApproximation(n_partitions=64), X, y, family)
    off = [np.abs((e.values - exact.values) / exact.bse).max() for e in (plain, corrected)]
    # What is left is of second order: the spread of the local weights, not bias.
    assert off[1] < 0.5 and off[1] < off[0] / 1.5


@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "partition"])
def test_sandwiches_are_near_those_of_the_exact_plan(cov_type):
    ours = fit(LeastSquaresApproximation(n_partitions=24), cov_type=cov_type)
    if cov_type != "partition":
        np.testing.assert_allclose(ours.bse, fit(Exact(), cov_type=cov_type).bse, rtol=0.1)
        return
    step = fit(OneStep(n_partitions=24), cov_type=cov_type)
    np.testing.assert_allclose(ours.bse, step.bse, rtol=0.25)
    assert ours.df_resid_inference == step.df_resid_inference == 23


def test_errors_from_the_spread_of_local_estimates():
    spread = fit(OneShot(n_partitions=60), cov_type="between")
    np.testing.assert_allclose(spread.bse, fit(OneShot(n_partitions=60)).bse, rtol=0.4)
    with pytest.raises(ValueError, match="OneShot"):
        fit(Exact(), cov_type="between")


def test_softmax_and_records_and_pickles():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((3000, 2))
    y = np.argmax(X @ rng.standard_normal((2, 3)) + rng.gumbel(size=(3000, 3)), axis=1)
    exact = GLMClassifier(plan=Exact()).fit(X, y).estimate_
    model = GLMClassifier(plan=LeastSquaresApproximation(n_partitions=5)).fit(X, y)
    assert np.abs((model.estimate_.values - exact.values) / exact.bse.to_numpy()).max() < 1
    assert diagnostic(model.estimate_, "bias_removed").verdict == "OK"
    back = Estimate.from_dict(fit(OneShot(n_partitions=6)).to_dict())
    assert list(back.partitions["rows"]) == [200] * 6
    assert (pickle.loads(pickle.dumps(model)).predict(X) == model.predict(X)).all()


@pytest.mark.parametrize("engine", ["serial", "threads", "processes"])
def test_engines_give_the_same_bits(engine):
    here = fit(LeastSquaresApproximation(n_partitions=6), engine="serial")
    there = fit(LeastSquaresApproximation(n_partitions=6), engine=engine)
    assert (here.values == there.values).all() and (here.covariance == there.covariance).all()


def test_what_is_refused():
    for plan, message in (
        (OneShot(weights="rows"), "weights"),
        (OneShot(n_partitions=5000), "5,000 machines"),
        (OneStep(n_steps=0), "n_steps"),
        (LeastSquaresApproximation(bias_correction="jackknife"), "bias_correction"),
        (LeastSquaresApproximation(n_partitions=2, partition_by=np.ones(1200)), "not both"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(plan)
    with pytest.raises(ValueError, match="alpha"):
        fit(LeastSquaresApproximation(), family="negative_binomial")


def test_selection_finds_the_model():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((10_000, 8)) * [1, 1, 1, 5, 1, 1, 0.2, 1] + 3
    y = (
        rng.random(10_000) < expit(-6 + (X / [1, 1, 1, 5, 1, 1, 0.2, 1]) @ [3, 0, 0, 1.5, 0, 0, 2, 0] / 4)
    ) * 1.0
    chosen = fit(LeastSquaresApproximation(selection="adaptive_lasso", n_partitions=5), X, y)
    assert chosen.selected == ["Intercept", "x0", "x3", "x6"]
    oracle = fit(Exact(), X[:, [0, 3, 6]], y)
    np.testing.assert_allclose(chosen.bse[chosen.selected], oracle.bse, rtol=0.05)
    assert np.isnan(chosen.bse["x1"]) and chosen.why_nan["x1"] == "not selected"
