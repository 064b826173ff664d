"""Coverage of the intervals of stochastic gradients, each within its Monte Carlo error of what theory or earlier
simulations say: 10⁵ rows one by one, steps ½ t^−0.505 from zero, mean over five coefficients."""

import numpy as np
import pytest

from statkit.plans import AveragedSGD, Exact
from statkit.regression import GLMRegressor

B = np.linspace(0, 1, 5)


def coverage(family, inference, replicates, n=100_000, **options):
    """(coverage, mean width, root mean squared error over that of the maximum likelihood estimate)."""
    hits, widths, errors, best = [], [], [], []
    for seed in range(replicates):
        rng = np.random.default_rng([7, seed])
        X = rng.standard_normal((n, 5))
        eta = X @ B
        y = (
            (rng.random(n) < 1 / (1 + np.exp(-eta))) * 1.0
            if family == "binomial"
            else eta + rng.standard_normal(n)
        )
        plan = AveragedSGD("sgd", "none", inference, 1, np.zeros(5), eta0=0.5, **options)
        e = GLMRegressor(family, plan=plan, fit_intercept=False).fit(X, y).estimate_
        limits = e.conf_int().to_numpy()
        hits.append((limits[:, 0] <= B) & (B <= limits[:, 1]))
        widths.append(limits[:, 1] - limits[:, 0])
        errors.append(e.params.to_numpy() - B)
        full = GLMRegressor(family, plan=Exact(), fit_intercept=False).fit(X, y)
        best.append(full.coef_ - B)
    return np.mean(hits), np.mean(widths), np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(best)))


def allowed(p, replicates):
    """Three standard errors of a mean over five nearly independent coefficients, and of the figure compared to."""
    return 3 * np.sqrt(p * (1 - p) * (1 / (5 * replicates) + 1 / (5 * 100)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "inference", "options", "level", "width"),
    [
        ("binomial", "plugin", {}, 0.940, 0.0310),
        ("binomial", "rs", {}, 0.931, 0.0385),
        ("binomial", "rs_diag", {}, 0.931, 0.0385),
        ("binomial", "obm", {}, 0.810, 0.0225),
        ("binomial", "higrad", {}, 0.931, 0.0424),
        ("gaussian", "plugin", {}, 0.962, 0.0125),
        ("gaussian", "rs", {}, 0.946, 0.0159),
        ("gaussian", "obm", {}, 0.900, 0.0111),
        ("gaussian", "higrad", {}, 0.942, 0.0180),
    ],
)
def test_coverage_and_width(family, inference, options, level, width):
    replicates = 80
    found, wide, efficiency = coverage(family, inference, replicates, **options)
    assert abs(found - level) < allowed(level, replicates)
    np.testing.assert_allclose(wide, width, rtol=0.08)
    assert efficiency < 1.12


@pytest.mark.slow
def test_few_equal_blocks():
    """Between five and ten blocks: between the coverage of five (.954) and of ten (.948) in linear models."""
    found, wide, _ = coverage("gaussian", "tbatch", 80)
    assert abs(found - 0.951) < allowed(0.951, 80)
    assert 0.0135 < wide < 0.0170


@pytest.mark.slow
def test_bootstrap_and_hulc():
    found, wide, _ = coverage("binomial", "bootstrap", 24, n=30_000, n_chains=60)
    assert found > 0.95 - 3 * np.sqrt(0.95 * 0.05 / (5 * 24))
    found, _, _ = coverage("binomial", "hulc", 80)
    assert found > 0.969 - allowed(0.969, 80)


@pytest.mark.slow
def test_correlated_columns_need_the_pilot():
    """Logistic, p = 20, correlation .9 between neighbours: without the pilot's metric intervals miss."""
    hits = {"pilot": [], "none": []}
    b = np.concatenate([[0.2], np.linspace(-0.5, 0.5, 19)])
    for seed in range(12):
        rng = np.random.default_rng([8, seed])
        Z = rng.standard_normal((100_000, 19))
        X = Z.copy()
        for j in range(1, 19):
            X[:, j] = 0.9 * X[:, j - 1] + np.sqrt(1 - 0.81) * Z[:, j]
        y = (rng.random(100_000) < 1 / (1 + np.exp(-(b[0] + X @ b[1:])))) * 1.0
        for precondition, out in hits.items():
            e = (
                GLMRegressor("binomial", plan=AveragedSGD("implicit", precondition, batch_size=1))
                .fit(X, y)
                .estimate_
            )
            limits = e.conf_int().to_numpy()
            out.append(((limits[:, 0] <= b) & (b <= limits[:, 1])).mean())
    assert np.mean(hits["pilot"]) > 0.95 - 3.5 * np.sqrt(0.05 * 0.95 / 240)
    assert np.mean(hits["none"]) < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.5, 0.9])
def test_quantiles_by_random_scaling(tau):
    from scipy import stats

    from statkit.regression import QuantileRegressor

    hits = []
    b = np.array([1.0, -0.5, 0.25, 0.0])
    for seed in range(60):
        rng = np.random.default_rng([9, seed])
        X = rng.standard_normal((50_000, 4))
        y = X @ b + rng.standard_t(5, 50_000)
        truth = np.concatenate([[stats.t.ppf(tau, 5)], b])
        e = QuantileRegressor(tau, plan=AveragedSGD()).fit(X, y).estimate_
        limits = e.conf_int().to_numpy()
        hits.append(((limits[:, 0] <= truth) & (truth <= limits[:, 1])).mean())
    assert 0.86 < np.mean(hits) < 0.99
