"""Wald tests: closed forms, invariance, level, restrictions that repeat or contradict each other."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from statkit.results import WaldTest


def test_one_restriction_is_the_square_of_z(small):
    estimate = small()
    test = estimate.wald_test("x1 = 0")
    assert isinstance(test, WaldTest)
    assert_allclose(test.statistic, estimate.tvalues["x1"] ** 2)
    assert_allclose(test.pvalue, estimate.pvalues["x1"])
    assert (test.df, test.df_denom, test.distribution) == (1, None, "chi2")


def test_f_is_the_square_of_t(small):
    estimate = small(use_t=True)
    test = estimate.wald_test("x2 = 0")
    assert_allclose(
        [test.statistic, test.pvalue], [estimate.tvalues["x2"] ** 2, estimate.pvalues["x2"]], rtol=1e-10
    )
    assert (test.df_num, test.df_denom, test.distribution) == (1, 97.0, "F")


def test_three_ways_to_say_it(small):
    estimate = small()
    R, q = np.array([[0, 2.0, -1.0], [1.0, 0, 0]]), np.array([3.0, 0.5])
    texts = [
        estimate.wald_test("2*x1 - x2 = 3, Intercept = 0.5"),
        estimate.wald_test(["2*x1 - x2 = 3", "Intercept = .5"]),
    ]
    for test in texts:
        assert_allclose(test.statistic, estimate.wald_test((R, q)).statistic)
    d, V = R @ estimate.values - q, R @ estimate.covariance @ R.T
    assert_allclose(texts[0].statistic, d @ np.linalg.solve(V, d))
    assert_allclose(estimate.wald_test(R[1]).statistic, estimate.wald_test("Intercept").statistic)
    assert_allclose(estimate.wald_test((R[1], 0.5)).statistic, 0.0)


def test_equivalent_restrictions_give_the_same_test(small):
    A = np.random.default_rng(0).normal(size=(9, 3))
    estimate = small(covariance=A.T @ A)
    first = estimate.wald_test("x1 = x2 = 0")
    for text in (
        "x1 + x2 = 0, x1 - x2 = 0",
        "1e6*x1 = 0, x2/1e6 = 0",
        "x1 = 0, x2 = 0, x1 = x2, 3*x1 + x2 = 0",
    ):
        other = estimate.wald_test(text)
        assert_allclose([other.statistic, other.df], [first.statistic, 2], rtol=1e-9)


def test_contradictions_and_empty_restrictions(small):
    estimate = small()
    with pytest.raises(ValueError, match="contradict"):
        estimate.wald_test("x1 = 0, x1 = 1")
    with pytest.raises(ValueError, match="contradict"):
        estimate.wald_test("x1 = x2, x2 = Intercept, x1 - Intercept = 2")
    with pytest.raises(ValueError, match="only zero"):
        estimate.wald_test(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"one column per parameter \(3\)"):
        estimate.wald_test(np.ones((1, 2)))
    with pytest.raises(ValueError, match="finite"):
        estimate.wald_test(([[1.0, np.nan, 0.0]], 0))
    with pytest.raises(ValueError, match=r"a tuple must be \(R, q\)"):
        estimate.wald_test((0.0, 1.0, 0.0))
    with pytest.raises(ValueError, match="cannot read the hypothesis"):
        estimate.wald_test([])
    with pytest.raises(ValueError, match="did you mean 'x1'"):
        estimate.wald_test("x_1 = 0")


def test_fewer_clusters_than_restrictions(small):
    scores = np.random.default_rng(0).normal(size=(2, 3))
    estimate = small(covariance=scores.T @ scores, terms={"Intercept": [0], "x1": [1], "rest": [0, 1, 2]})
    assert estimate.wald_test("x1 = x2 = 0").df == 2
    with pytest.raises(ValueError, match="more clusters than restrictions"):
        estimate.wald_test("Intercept = x1 = x2 = 0")
    with pytest.warns(RuntimeWarning, match="no joint test of rest"):
        table = estimate.wald_test_terms()
    assert np.isnan(table.loc["rest", "statistic"]) and table.loc["x1", "df"] == 1


def test_level(small):
    # 2,000 draws: the standard error of a rejection rate of .05 is .005.
    rng = np.random.default_rng(5)
    A = rng.normal(size=(6, 3))
    covariance = A.T @ A
    draws = rng.multivariate_normal([0.0, 1.0, 1.0], covariance, size=2000)
    p = np.array([small(values=v, covariance=covariance).wald_test("x1 = x2 = 1").pvalue for v in draws])
    assert abs((p < 0.05).mean() - 0.05) < 0.02
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_text(small):
    assert repr(small().wald_test("x1 = x2")) == (
        "Wald test: x1 = x2\ndifference -2.25, standard error 0.2236\nchi2(1) = 101.25, p < 2e-16"
    )
    assert (
        repr(small(use_t=True).wald_test("x1 = x2 = 0"))
        .splitlines()[1]
        .startswith("F(2, 97) = 101.04, p < 2e-16")
    )
