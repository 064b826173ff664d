"""The law of random scaling: published quantiles, simulation, limits, joint tests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from statkit.inference import random_scaling
from statkit.results import Estimate


def craig(c):
    """The same probability as one integral over the angle of Craig's formula."""

    def inside(angle):
        z = c / np.sin(angle)
        return np.sqrt(2 * z * np.exp(-z) / -np.expm1(-2 * z))

    return 2 / np.pi * integrate.quad(inside, 0, np.pi / 2, epsabs=1e-14, epsrel=1e-12)[0]


@pytest.mark.parametrize(
    ("level", "c"),
    [
        (0.8, 3.874881),
        (0.9, 5.322680),
        (0.95, 6.747302),
        (0.98, 8.613187),
        (0.99, 10.017267),
        (0.999, 14.659022),
    ],
)
def test_quantiles(level, c):
    np.testing.assert_allclose(random_scaling.ppf(level), c, atol=6e-7)
    np.testing.assert_allclose(random_scaling.sf(random_scaling.ppf(level)), 1 - level, rtol=1e-10)


@pytest.mark.parametrize("c", [0.01, 0.3, 2.0, 6.7, 25.0, 60.0])
def test_tail_is_the_integral(c):
    np.testing.assert_allclose(random_scaling.sf(c), craig(c), rtol=1e-8)


def test_tail_is_that_of_simulated_bridges():
    rng = np.random.default_rng(0)
    steps, draws = 400, 20_000
    path = rng.standard_normal((draws, steps)).cumsum(axis=1) / np.sqrt(steps)
    end = path[:, -1]
    bridge = path - end[:, None] * np.arange(1, steps + 1) / steps
    t = np.abs(end) / np.sqrt((bridge**2).mean(axis=1))
    for c in (2.0, 4.0, 6.747, 10.0):
        p = random_scaling.sf(c)
        assert abs((t > c).mean() - p) < 4 * np.sqrt(p * (1 - p) / draws) + 0.02 * p


@given(st.floats(1e-6, 80), st.floats(1e-6, 80))
@settings(max_examples=50, deadline=None)
def test_tail_decreases_within_zero_and_one(a, b):
    low, high = sorted((a, b))
    assert 0 <= random_scaling.sf(high) <= random_scaling.sf(low) <= 1
    assert random_scaling.sf(-a) == random_scaling.sf(a)


def test_edges():
    assert random_scaling.sf(0.0) == 1 and random_scaling.sf(np.inf) == 0
    assert np.isnan(random_scaling.sf(np.nan))
    assert random_scaling.ppf(0.0) == 0
    assert random_scaling.sf([[1.0, 2.0]]).shape == (1, 2)
    for level in (1.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="level lies in"):
            random_scaling.ppf(level)
    with pytest.raises(ValueError, match="restrictions"):
        random_scaling.wald_ppf(0.9, 0)


@pytest.mark.parametrize(
    ("q", "published"),
    [
        (1, (28.3, 45.5, 66, 100)),
        (2, (70, 101, 137, 188)),
        (4, (197, 262, 336, 436)),
        (6, (365, 465, 578, 725)),
    ],
)
def test_joint_quantiles(q, published):
    """Published by simulation to one or two per cent."""
    found = [random_scaling.wald_ppf(level, q) for level in (0.9, 0.95, 0.975, 0.99)]
    np.testing.assert_allclose(found, published, rtol=0.04)
    p = random_scaling.wald_sf(random_scaling.wald_ppf(0.95, q), q)
    np.testing.assert_allclose(p, 0.05, rtol=1e-3)


def test_two_restrictions_by_the_paths_themselves():
    rng = np.random.default_rng(1)
    steps, draws = 300, 8_000
    path = rng.standard_normal((draws, 2, steps)).cumsum(axis=2) / np.sqrt(steps)
    end = path[:, :, -1]
    bridge = path - end[:, :, None] * np.arange(1, steps + 1) / steps
    S = bridge @ bridge.transpose(0, 2, 1) / steps
    statistic = np.einsum("ij,ij->i", end, np.linalg.solve(S, end[:, :, None])[:, :, 0])
    c = random_scaling.wald_ppf(0.9, 2)
    assert abs((statistic > c).mean() - 0.1) < 4 * np.sqrt(0.09 / draws) + 0.004


def estimate(**known):
    arguments = dict(
        names=["a", "b"], values=np.array([2.0, -1.0]), covariance=np.array([[0.09, 0.01], [0.01, 0.04]]),
        terms={"a": [0], "b": [1]}, family="poisson", link="log", use_t=False, nobs=50, df_resid=48, df_model=1,
        rank=2, response="y",
    )  # fmt: skip
    return Estimate(**(arguments | known))


def test_estimate_with_random_scaling():
    e = estimate(reference="random scaling")
    np.testing.assert_allclose(e.pvalues, random_scaling.sf(e.tvalues.to_numpy()))
    np.testing.assert_allclose(e.conf_int(0.1)[1] - e.params, random_scaling.ppf(0.9) * e.bse)
    test = e.wald_test("a = 0")
    np.testing.assert_allclose(test.pvalue, e.pvalues["a"])
    assert test.distribution == "random scaling"
    assert 0 < e.wald_test("a = b = 0").pvalue < 1
    assert "P>|t|" in str(e.summary())
    again = Estimate.from_dict(e.to_dict())
    assert again.reference == "random scaling"
    np.testing.assert_allclose(again.conf_int(), e.conf_int())


def test_estimate_with_variances_alone():
    e = estimate(covariance=np.array([0.09, 0.04]), reference="random scaling")
    np.testing.assert_allclose(e.bse, [0.3, 0.2])
    assert np.isnan(e.cov_params().loc["a", "b"])
    np.testing.assert_allclose(e.wald_test("b = 0").pvalue, e.pvalues["b"])
    with pytest.raises(ValueError, match="only variances"):
        e.wald_test("a = b")
    np.testing.assert_allclose(Estimate.from_dict(e.to_dict()).bse, e.bse)


def test_estimate_with_limits_of_chains():
    chains = [[1.5, -1.2], [2.5, -0.8], [2.0, -1.0], [1.9, -1.1], [2.1, -0.9], [1.8, -1.3]]
    e = estimate(covariance=np.full((2, 2), np.nan), reference="chains", extra={"chains": chains})
    np.testing.assert_allclose(e.conf_int(), [[1.5, 2.5], [-1.3, -0.8]])
    assert np.isnan(e.conf_int(0.01)).all().all()
    assert e.bse.isna().all()


def test_estimate_with_students_t_of_few_blocks():
    from scipy import stats

    e = estimate(reference="t", df_resid_inference=4)
    np.testing.assert_allclose(e.pvalues, 2 * stats.t.sf(np.abs(e.tvalues), 4))
    assert e.wald_test("a = 0").distribution == "F"
    with pytest.raises(ValueError, match="reference"):
        estimate(reference="cauchy")
