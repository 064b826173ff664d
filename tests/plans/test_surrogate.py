"""Surrogate likelihood: a worked example, convergence, inference, samples that cannot stand for all rows."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

from statkit.datasets import make_glm
from statkit.exceptions import BiasWarning
from statkit.plans import Exact, LeastSquaresApproximation, SurrogateLikelihood
from statkit.regression import GLMRegressor

RNG = np.random.default_rng(0)
X1 = RNG.standard_normal((1200, 2))
Y1 = (RNG.random(1200) < expit(np.column_stack([np.ones(1200), X1]) @ [-0.5, 1, -1])).astype(float)


def fit(plan, X=X1, y=Y1, family="binomial", **options):
    return GLMRegressor(family, plan=plan, **options).fit(X, y).estimate_


@pytest.mark.filterwarnings("ignore::statkit.exceptions.BiasWarning")
@pytest.mark.parametrize(
    ("rounds", "expected"),
    [(1, (-0.536665, 0.988396, -1.058667)), (2, (-0.540474, 0.952370, -1.021254))],
)
def test_worked_example(rounds, expected):
    ours = fit(SurrogateLikelihood(rounds, reference="first", n_partitions=6))
    np.testing.assert_allclose(ours.values, expected, atol=6e-7)


@pytest.mark.parametrize("method", ["csl", "dane", "cease"])
def test_rounds_lead_to_the_maximum_likelihood_estimate(method):
    exact = fit(Exact(tol=1e-10))
    near = fit(SurrogateLikelihood(9, method=method, reference="first", n_partitions=6, certify=True))
    np.testing.assert_allclose(near.values, exact.values, atol=2e-5)
    np.testing.assert_allclose(near.bse, exact.bse, rtol=1e-4)
    assert near.llf == pytest.approx(exact.llf, abs=1e-6) and near.converged
    assert (np.diff(near.history["loss"].dropna()) <= 1e-9).all()


def test_the_pull_of_cease_shortens_the_step():
    def first(pull):
        plan = SurrogateLikelihood(1, method="cease", proximal=pull, n_partitions=6, certify=True)
        return fit(plan).values

    start = fit(LeastSquaresApproximation(n_partitions=6, bias_correction=None)).values
    length = [np.linalg.norm(first(pull) - start) for pull in (0.0, 0.1, 1.0, 100.0)]
    assert (np.diff(length) < 0).all() and length[-1] < 0.01 * length[0]
    np.testing.assert_allclose(first(0.0), fit(
        SurrogateLikelihood(1, method="dane", n_partitions=6, certify=True)).values)  # fmt: skip


def test_errors_come_from_the_sample_or_from_a_last_round():
    X, y, _ = make_glm(20_000, 5, family="poisson", random_state=1)
    exact = fit(Exact(), X, y, "poisson")
    plan = SurrogateLikelihood(pilot_size=2_000)
    cheap = fit(plan, X, y, "poisson")
    assert np.abs((cheap.values - exact.values) / exact.bse).max() < 0.1
    np.testing.assert_allclose(cheap.bse, exact.bse, rtol=0.15)
    assert cheap.llf == pytest.approx(exact.llf, abs=0.05) and "reference sample" in cheap.notes[-1]
    for cov_type in ("HC0", "bootstrap"):
        robust = fit(plan, X, y, "poisson", cov_type=cov_type)
        np.testing.assert_allclose(
            robust.bse, fit(Exact(), X, y, "poisson", cov_type=cov_type).bse, rtol=0.02
        )


def test_linear_model_with_estimated_dispersion():
    X, y, _ = make_glm(5_000, 3, family="gaussian", random_state=2)
    exact, ours = (
        fit(Exact(), X, y, "gaussian"),
        fit(SurrogateLikelihood(4, pilot_size=800), X, y, "gaussian"),
    )
    assert ours.scale == pytest.approx(exact.scale, rel=1e-3)
    np.testing.assert_allclose(ours.values, exact.values, atol=0.01 * exact.bse.min())


def test_lasso_on_the_surrogate():
    X, y, _ = make_glm(8_000, 10, family="gaussian", random_state=3)
    y = y + X[:, 0]
    ours = fit(SurrogateLikelihood(6, pilot_size=1_000), X, y, "gaussian", alpha=0.3, l1_ratio=1.0)
    exact = fit(Exact(), X, y, "gaussian", alpha=0.3, l1_ratio=1.0)
    np.testing.assert_allclose(ours.values, exact.values, atol=2e-3)
    assert (exact.values == 0).any() and ((ours.values == 0) == (exact.values == 0)).all()
    assert np.isnan(ours.bse).all() and "shrunk" in ours.why_nan["x0"]


def test_a_reference_that_is_no_random_sample_is_noticed():
    X, y, _ = make_glm(4_000, 3, family="poisson", random_state=4)
    order = np.argsort(y)
    plan = SurrogateLikelihood(5, reference="first", n_partitions=20)
    with pytest.warns((ConvergenceWarning, BiasWarning)):
        estimate = fit(plan, X[order], y[order], "poisson")
    assert not estimate.converged and np.isfinite(estimate.values).all()
    exact = fit(Exact(), X, y, "poisson")
    fair = fit(SurrogateLikelihood(5, n_partitions=20, pilot_size=1_000), X[order], y[order], "poisson")
    assert np.abs((fair.values - exact.values) / exact.bse).max() < 0.05


def test_what_is_refused():
    for options, message in (
        ({"n_rounds": 0}, "n_rounds"),
        ({"method": "admm"}, "method"),
        ({"reference": 6, "n_partitions": 6}, "6 machines"),
        ({"proximal": -1.0}, "proximal"),
        ({"start": "zero"}, "start"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(SurrogateLikelihood(**options))
    with pytest.raises(ValueError, match="OneShot"):
        fit(SurrogateLikelihood(), cov_type="between")
    with pytest.raises(ValueError, match="method='csl'"):
        fit(SurrogateLikelihood(method="dane"), alpha=0.1, l1_ratio=1.0)
