"""Errors of subsampling plans by simulation: variances, coverage, and the orderings that theory promises."""

import numpy as np
import pytest
from scipy.special import expit

from statkit.plans import Subsample
from statkit.regression import GLMClassifier, GLMRegressor


def design(case, n, rng, d=7):
    """The designs of Wang, Zhu and Ma (2018)."""
    L = np.linalg.cholesky(0.5 + 0.5 * np.eye(d))
    Z = rng.standard_normal((n, d)) @ L.T
    if case == "nz":
        return Z + 1.5
    if case == "ue":
        return Z / np.arange(1, d + 1)
    if case == "t3":
        return Z / np.sqrt(rng.chisquare(3, (n, 1)) / 3) / 10
    if case == "exp":
        return rng.exponential(0.5, (n, d))
    return Z


def fits(case, plan, reps, n=20_000, seed=0):
    """Errors about the full fit with their covariances; one data set, many draws."""
    rng = np.random.default_rng([seed, 55])
    X = design(case, n, rng)
    y = rng.random(n) < expit(X @ np.full(7, 0.5))
    full = GLMClassifier(fit_intercept=False, engine="serial").fit(X, y).estimate_
    errors, variances = [], []
    for r in range(reps):
        e = GLMClassifier(fit_intercept=False, engine="serial", plan=plan, random_state=r).fit(X, y).estimate_
        errors.append(e.values - full.values)
        variances.append(np.diag(e.covariance_full_data))
    return np.array(errors), np.array(variances), full


@pytest.mark.slow
@pytest.mark.parametrize("case", ["mz", "nz", "ue", "t3", "exp"])
@pytest.mark.parametrize("options", [{}, {"refine": None}, {"refine": None, "sampling": "poisson"}], ids=str)
def test_full_data_variance(case, options):
    size = (
        2_000 if case == "t3" else 1_000
    )  # heavy tails: at 1,000 rows the variance is estimated 15 % too small
    errors, variances, _ = fits(case, Subsample(size, pilot_size=size, **options), 200)
    ratio = variances.mean() / (errors**2).mean()
    assert 0.8 < ratio < 1.25  # 200 draws: about 7 % of Monte Carlo error, and small-sample bias
    assert 0.92 < (np.abs(errors) < 1.96 * np.sqrt(variances)).mean() < 0.975


@pytest.mark.slow
@pytest.mark.parametrize("refine", ["calibrated", None, "one_step"])
def test_population_coverage(refine):
    inside = []
    for seed in range(200):
        rng = np.random.default_rng([seed, 56])
        X = design("mz", 10_000, rng)
        y = rng.random(10_000) < expit(X @ np.full(7, 0.5))
        plan = Subsample(800, refine=refine)
        e = (
            GLMClassifier(fit_intercept=False, engine="serial", plan=plan, random_state=seed)
            .fit(X, y)
            .estimate_
        )
        inside.append(np.abs(e.values - 0.5) < 1.96 * e.bse.to_numpy())
    assert 0.92 < np.mean(inside) < 0.975


@pytest.mark.slow
def test_orderings():
    def error(case="mz", **options):
        plan = Subsample(
            1_000, pilot_size=400, **{"refine": None, "combine": "none", "sampling": "poisson", **options}
        )
        return (fits(case, plan, 150)[0] ** 2).sum(axis=1).mean()

    poisson, replacement = error(), error(sampling="replacement")
    assert poisson < 1.05 * replacement
    assert error(criterion="uniform") > 1.2 * error(criterion="optA")
    assert error(criterion="optA") < 1.1 * error(criterion="optL")
    assert error(combine="union") < poisson
    assert error(combine="union", refine="calibrated") < 0.1 * poisson
    assert error("nz", combine="union") < 0.9 * error("nz", combine="information", sampling="priority")
    assert error(combine="union", refine="calibrated", criterion="cv") < 0.1 * poisson


@pytest.mark.slow
def test_conditional_likelihood_is_more_efficient_and_honest():
    squared = {"conditional": 0.0, "weighted": 0.0}
    inside = []
    truth = np.array([0.2, 0.4, -0.4])
    for seed in range(200):
        rng = np.random.default_rng([seed, 57])
        X = rng.standard_normal((20_000, 2))
        y = rng.poisson(np.exp(0.2 + X @ truth[1:]))
        for likelihood in squared:
            plan = Subsample(500, pilot_size=300, refine=None, likelihood=likelihood, criterion="optA")
            e = GLMRegressor("poisson", engine="serial", plan=plan, random_state=seed).fit(X, y).estimate_
            squared[likelihood] += ((e.values - truth) ** 2).sum()
            if likelihood == "conditional":
                inside.append(np.abs(e.values - truth) < 1.96 * e.bse.to_numpy())
    assert squared["conditional"] < 0.98 * squared["weighted"]
    assert 0.92 < np.mean(inside) < 0.975


@pytest.mark.slow
def test_one_step_bound_covers():
    errors, variances, full = fits("mz", Subsample(1_000, refine="one_step"), 100)
    assert (errors**2).mean() < 0.05 * np.diag(full.covariance).mean()
    assert (np.abs(errors) < 1.96 * np.sqrt(variances)).mean() > 0.85
