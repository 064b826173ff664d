"""Covariance estimators: factors against statsmodels, closed forms, singular and unidentified problems."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from statkit.results import (
    cluster_covariance,
    hc0_covariance,
    hc1_covariance,
    model_covariance,
    sandwich_covariance,
)

# Canonical links: there expected and observed information agree, which statsmodels' sandwich mixes.
FAMILIES = {
    "binomial": (sm.families.Binomial(), lambda mu: mu * (1 - mu)),
    "poisson": (sm.families.Poisson(), lambda mu: mu),
    "gaussian": (sm.families.Gaussian(), np.ones_like),
}


@pytest.fixture(scope="module", params=FAMILIES)
def problem(request, frame):
    """statsmodels' model, its fit, information, row scores and dispersion."""
    family, variance = FAMILIES[request.param]
    X = sm.add_constant(frame[["x1", "x2"]].to_numpy())
    model = sm.GLM(frame[request.param], X, family=family)
    fit = model.fit(tol=1e-14, maxiter=100)
    mu = fit.fittedvalues.to_numpy()
    scores = X * (frame[request.param].to_numpy() - mu)[:, None]
    return model, fit, (X.T * variance(mu)) @ X, scores


def test_model(problem):
    _, fit, information, _ = problem
    assert_allclose(model_covariance(information, fit.scale), fit.cov_params(), rtol=1e-6)


def test_heteroscedasticity(problem):
    model, _, information, scores = problem
    meat = scores.T @ scores
    theirs = model.fit(tol=1e-14, maxiter=100, cov_type="HC0").cov_params()
    assert_allclose(hc0_covariance(information, meat), theirs, rtol=1e-6)


def test_small_sample_factor(frame):
    # Of statsmodels' models only OLS applies the factor of HC1; its GLM returns HC0 under that name.
    X = sm.add_constant(frame[["x1", "x2"]].to_numpy())
    fit = sm.OLS(frame["gaussian"].to_numpy(), X).fit(cov_type="HC1")
    scores = X * fit.resid[:, None]
    assert_allclose(hc1_covariance(X.T @ X, scores.T @ scores, len(X)), fit.cov_params(), rtol=1e-10)


def test_clusters(problem, frame):
    model, _, information, scores = problem
    groups = frame["cluster"].to_numpy()
    sums = np.array([scores[groups == g].sum(axis=0) for g in np.unique(groups)])
    theirs = model.fit(tol=1e-14, maxiter=100, cov_type="cluster", cov_kwds={"groups": groups}).cov_params()
    ours = cluster_covariance(information, sums.T @ sums, len(scores), len(sums))
    assert_allclose(ours, theirs, rtol=1e-6)


def random_information(seed, k):
    A = np.random.default_rng(seed).normal(size=(3 * k, k))
    return A.T @ A


def test_unidentified_rows_are_left_out():
    full = random_information(0, 5)
    information, meat = full.copy(), random_information(1, 5)
    information[1] = information[:, 1] = np.nan
    information[3] = information[:, 3] = 0.0
    keep = np.ix_([0, 2, 4], [0, 2, 4])
    covariance = sandwich_covariance(information, meat)
    inverse = np.linalg.inv(full[keep])
    assert_allclose(covariance[keep], inverse @ meat[keep] @ inverse, rtol=1e-10)
    assert np.isnan(covariance[[1, 3]]).all() and np.isnan(covariance[:, [1, 3]]).all()
    # They do not count as parameters either.
    assert_allclose(hc1_covariance(information, meat, 13)[keep], covariance[keep] * 13 / 10)
    assert np.isnan(model_covariance(np.full((2, 2), np.nan))).all()


def test_a_singular_block_costs_only_its_own_errors():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4))
    X = np.column_stack([X, X[:, 2] + X[:, 3]])
    covariance = model_covariance(X.T @ X)
    assert np.isnan(np.diagonal(covariance)).tolist() == [False, False, True, True, True]
    assert_allclose(covariance[:2, :2], np.linalg.inv(X[:, :4].T @ X[:, :4])[:2, :2], rtol=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.floats(-12, 12))
def test_units_do_not_matter(seed, k, power):
    information, meat = random_information(seed, k), random_information(seed + 1, k)
    unit = 10.0 ** (power * np.random.default_rng(seed).random(k))
    plain = sandwich_covariance(information, meat)
    scaled = sandwich_covariance(information * np.outer(unit, unit), meat * np.outer(unit, unit))
    assert_allclose(scaled * np.outer(unit, unit), plain, rtol=1e-6, atol=1e-9 * np.abs(plain).max())
    assert (scaled == scaled.T).all() and (np.diagonal(scaled) > 0).all()
    # With the right variance the sandwich is the model's covariance.
    assert_allclose(
        sandwich_covariance(information, 2 * information), model_covariance(information, 2.0), rtol=1e-7
    )


def test_refusals():
    eye = np.eye(2)
    with pytest.raises(ValueError, match="at least 2 groups, the data have 1"):
        cluster_covariance(eye, eye, 10, 1)
    with pytest.raises(ValueError, match="square"):
        model_covariance(np.ones((2, 3)))
    with pytest.raises(ValueError, match="meat has shape"):
        sandwich_covariance(eye, np.eye(3))
    with pytest.raises(ValueError, match="overflowed"):
        model_covariance(np.diag([np.inf, 1.0]))
    with pytest.raises(ValueError, match="NaN outside"):
        model_covariance(np.array([[1.0, np.nan], [np.nan, 1.0]]))
    assert np.isnan(hc1_covariance(eye, eye, 2)).all()  # as many parameters as rows: nothing is known
