"""Coverage of intervals by simulation, and a worked example to six digits."""

import numpy as np
import pytest
from scipy.special import expit

from statkit.plans import Exact
from statkit.regression import GLMClassifier, GLMRegressor

REPETITIONS = 800
# Four Monte Carlo standard errors of a coverage of 95 %.
TOLERANCE = 4 * np.sqrt(0.95 * 0.05 / REPETITIONS)
BETA = np.array([0.2, 0.5, -0.4])


def response(family, eta, rng):
    if family == "gaussian":
        return eta + rng.standard_normal(len(eta))
    if family == "binomial":
        return (rng.random(len(eta)) < expit(eta)).astype(float)
    if family == "poisson":
        return rng.poisson(np.exp(eta)).astype(float)
    return rng.gamma(2.0, np.exp(eta) / 2.0)


def coverage(draw, seed, **options):
    """Share of 95 % intervals that hold the truth, by coefficient; ``draw(rng)`` gives family, X, y and groups."""
    rng = np.random.default_rng(seed)
    hits = np.zeros(len(BETA))
    for _ in range(REPETITIONS):
        family, X, y, groups = draw(rng)
        limits = (
            GLMRegressor(family, engine="serial", **options).fit(X, y, groups=groups).conf_int().to_numpy()
        )
        hits += (limits[:, 0] <= BETA) & (BETA <= limits[:, 1])
    return hits / REPETITIONS


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson", "gamma"])
def test_intervals_hold_the_truth(family):
    def draw(rng):
        X = rng.standard_normal((500, 2))
        return family, X, response(family, BETA[0] + X @ BETA[1:], rng), None

    found = coverage(draw, seed=1)
    np.testing.assert_allclose(found, 0.95, atol=TOLERANCE)


def heteroscedastic(rng):
    X = rng.standard_normal((500, 2))
    return "gaussian", X, BETA[0] + X @ BETA[1:] + rng.standard_normal(500) * (0.3 + X[:, 0] ** 2), None


@pytest.mark.slow
def test_robust_errors_under_heteroscedasticity():
    assert coverage(heteroscedastic, seed=2)[1] < 0.85  # what they are for
    robust = coverage(heteroscedastic, seed=2, cov_type="HC1")
    # Leverage makes HC1 a little short in finite samples (MacKinnon and White 1985): .01 at this size.
    assert (np.abs(robust - 0.95) < TOLERANCE + 0.01).all(), robust


def clustered(rng):
    groups = np.repeat(np.arange(100), 8)
    X = rng.standard_normal((800, 2))
    X[:, 0] = rng.standard_normal(100)[groups]  # constant within a cluster
    eta = BETA[0] + X @ BETA[1:] + 0.7 * rng.standard_normal(100)[groups]
    return "gaussian", X, eta + rng.standard_normal(800), groups


@pytest.mark.slow
def test_clustered_errors_under_correlation():
    assert coverage(lambda rng: clustered(rng)[:3] + (None,), seed=3)[:2].max() < 0.85
    by_cluster = coverage(clustered, seed=3, cov_type="cluster")
    # Fewer clusters than rows: errors a little short, by about p / G.
    assert (np.abs(by_cluster - 0.95) < TOLERANCE + 0.02).all(), by_cluster


def worked_example():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1200, 2))
    return X, (rng.random(1200) < expit(-0.5 + X @ [1.0, -1.0])).astype(float)


def test_worked_logistic_example():
    X, y = worked_example()
    assert y.sum() == 482
    fit = GLMClassifier(cov_type="HC0", plan=Exact(tol=1e-12)).fit(X, y).estimate_
    np.testing.assert_allclose(fit.params, [-0.540057, 0.956796, -1.025843], atol=6e-7)
    np.testing.assert_allclose(fit.bse, [0.071522, 0.081436, 0.084952], atol=6e-7)
    assert fit.llf == pytest.approx(-630.049699, abs=6e-7)
    plain = GLMClassifier(plan=Exact(tol=1e-12)).fit(X, y).estimate_
    np.testing.assert_allclose(plain.bse, [0.070745, 0.079739, 0.083202], atol=6e-7)
