"""Debiased averaging: near the truth with many columns, intervals that cover, and what is refused."""

import numpy as np
import pytest
from scipy.special import expit

from statkit.plans import DebiasedAverage, Exact
from statkit.regression import GLMRegressor


def design(seed, n, p, family="gaussian"):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    beta = np.zeros(p)
    beta[:5] = [1.0, -1.0, 0.8, 0.6, -0.5]
    eta = 0.5 + X @ beta
    y = eta + rng.standard_normal(n) if family == "gaussian" else (rng.random(n) < expit(eta)) * 1.0
    return X, y, np.concatenate([[0.5], beta])


def test_bias_is_taken_out():
    X, y, beta = design(0, 3200, 60)
    plan = GLMRegressor(plan=DebiasedAverage(8)).fit(X, y).estimate_
    lasso = np.mean(
        [GLMRegressor(alpha=np.sqrt(2 * np.log(60) / 400), l1_ratio=1.0).fit(a, b).estimate_.values
         for a, b in zip(np.split(X, 8), np.split(y, 8), strict=True)], axis=0)  # fmt: skip
    exact = GLMRegressor().fit(X, y).estimate_
    off = {name: np.linalg.norm(b - beta) for name, b in
           (("lasso", lasso), ("debiased", plan.values), ("sparse", plan.sparse_params), ("all", exact.values))}  # fmt: skip
    assert off["debiased"] < 1.3 * off["all"] < off["lasso"] and off["sparse"] < 0.5 * off["all"]
    assert (plan.sparse_params.to_numpy()[1:] != 0).sum() == 5
    np.testing.assert_allclose(plan.bse, exact.bse, rtol=0.2)
    assert plan.n_rounds == 1 and plan.scale == pytest.approx(1.0, rel=0.1)
    assert plan.llf == pytest.approx(exact.llf, abs=40)


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_intervals_cover(family):
    inside = []
    for seed in range(8):
        X, y, beta = design(seed, 2400, 30, family)
        limits = GLMRegressor(family, plan=DebiasedAverage(4)).fit(X, y).conf_int().to_numpy()
        inside.append((limits[:, 0] <= beta) & (beta <= limits[:, 1]))
    share = np.mean(inside)
    assert abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / np.size(inside)) + 0.02


def test_with_few_columns_it_is_near_the_exact_fit():
    X, y, _ = design(1, 4000, 6)
    ours = GLMRegressor(plan=DebiasedAverage(2, penalty=0.01)).fit(X, y).estimate_
    exact = GLMRegressor(plan=Exact()).fit(X, y).estimate_
    assert np.abs((ours.values - exact.values) / exact.bse).max() < 0.3
    np.testing.assert_allclose(ours.bse, exact.bse, rtol=0.05)


def test_soft_threshold_and_what_is_refused():
    X, y, _ = design(2, 800, 10)
    hard = GLMRegressor(plan=DebiasedAverage(2)).fit(X, y).estimate_.sparse_params
    soft = GLMRegressor(plan=DebiasedAverage(2, threshold="soft")).fit(X, y).estimate_.sparse_params
    assert ((hard != 0) == (soft != 0)).all() and (np.abs(soft[1:]) <= np.abs(hard[1:])).all()
    for plan, message in (
        (DebiasedAverage(penalty=0), "penalty"),
        (DebiasedAverage(threshold="x"), "threshold"),
    ):
        with pytest.raises(ValueError, match=message):
            GLMRegressor(plan=plan).fit(X, y)
    with pytest.raises(ValueError, match="alpha"):
        GLMRegressor(plan=DebiasedAverage(), alpha=0.1).fit(X, y)
