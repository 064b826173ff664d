"""Several tests at once: R's and statsmodels' numbers, and coverage of limits that hold together."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.multitest import multipletests

from statkit import coxph, glm
from statkit.regression import GLMClassifier, GLMRegressor
from statkit.results import adjusted_pvalues
from statkit.results.multiplicity import largest_statistics


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("holm", "holm"), ("BH", "fdr_bh"), ("hochberg", "simes-hochberg"), ("BY", "fdr_by"), ("sidak", "sidak"),
     ("bonferroni", "bonferroni"), ("hommel", "hommel"), ("fdr_tsbh", "fdr_tsbh")],
)  # fmt: skip
def test_methods(ours, theirs):
    p = np.array([0.01, 0.02, np.nan, 0.03, 0.2, 0.04])
    known = ~np.isnan(p)
    assert_allclose(adjusted_pvalues(p, ours)[known], multipletests(p[known], method=theirs)[1])
    assert np.isnan(adjusted_pvalues(p, ours)[2])


def test_p_adjust_of_r():
    # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), m)
    p = np.array([0.01, 0.02, 0.03, 0.04, 0.05])
    assert_allclose(adjusted_pvalues(p, "holm"), [0.05, 0.08, 0.09, 0.09, 0.09])
    assert_allclose(adjusted_pvalues(p, "BH"), [0.05] * 5)
    assert_allclose(adjusted_pvalues(p, None), p)
    assert adjusted_pvalues(np.array([np.nan]), "holm").shape == (1,)
    with pytest.raises(ValueError, match="'fdr_bh'"):
        adjusted_pvalues(p, "tukey")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "g": rng.choice(list("abc"), n)})
    frame["y"] = frame.x + 0.3 * (frame.g == "b") + rng.normal(size=n)
    return frame


def test_all_pairs_of_a_factor_as_multcomp(rows):
    """``glht(lm(y ~ g), K)``, single-step, with an error of 1e-4 of its own."""
    pairs = {"a-b": "g[T.b]", "a-c": "g[T.c]", "b-c": "g[T.c] - g[T.b]"}
    tests = glm("y ~ g", rows).estimate_.t_test(pairs, adjust="single-step")
    assert_allclose(tests.effect, [0.2938386656, -0.1232043531, -0.4170430187], rtol=1e-8)
    assert_allclose(tests.pvalue, [0.18864071602, 0.74845813199, 0.03096229802], atol=4e-4)
    limits = [[-0.1015609214, 0.6892382525], [-0.5226942757, 0.2762855695], [-0.8037765010, -0.0303095364]]
    assert_allclose(tests.conf_int(), limits, atol=5e-4)
    assert tests.hypotheses == ["a-b", "a-c", "b-c"] and tests.df == 397
    # Tukey's law of the range is the same where groups are of one size; here nearly.
    assert_allclose(
        tests.pvalue[2], stats.studentized_range.sf(abs(tests.tvalue[2]) * np.sqrt(2), 3, 397), atol=2e-3
    )


def test_each_by_itself_is_the_wald_test(rows):
    estimate = glm("y ~ x + z + g", rows, cov_type="HC1").estimate_
    tests = estimate.t_test(["x = 1", "g[T.b] = g[T.c]", "z"])
    for i, text in enumerate(tests.hypotheses):
        wald = estimate.wald_test(text)
        assert_allclose(
            [tests.effect[i] - [1, 0, 0][i], tests.sd[i], tests.pvalue[i]],
            [wald.effect[0], wald.bse[0], wald.pvalue],
        )
    assert_allclose(tests.tvalue, (tests.effect - [1, 0, 0]) / tests.sd)
    assert_allclose(
        tests.conf_int()[0], estimate.conf_int().loc["x"]
    )  # of the effect, whatever it is tested against
    theirs = smf.ols("y ~ x + z + g", rows).fit(cov_type="HC1", use_t=True).t_test("x = 1, z = -0.5")
    ours = estimate.t_test("x = 1, z = -0.5").to_frame()
    assert_allclose(ours, theirs.summary_frame(), rtol=1e-7)
    everything = estimate.t_test()
    assert everything.hypotheses == ["x", "z", "g[T.b]", "g[T.c]"]
    assert_allclose(everything.conf_int(), estimate.conf_int().loc[everything.hypotheses])
    assert list(everything.to_frame().columns) == ["estimate", "std err", "t", "P>|t|", "lower", "upper"]
    by_matrix = estimate.t_test((np.eye(5)[1:3], [1.0, 0.0]), adjust="bonferroni")
    assert_allclose(by_matrix.pvalue[0], min(2 * tests.pvalue[0], 1))
    reach = stats.t.ppf(1 - 0.05 / 4, estimate.df_resid)
    assert_allclose(by_matrix.conf_int()[:, 1], by_matrix.effect + reach * by_matrix.sd)


def test_adjusted_tables(rows):
    model = glm("y ~ x + z + g", rows)
    estimate = model.estimate_
    frame = estimate.to_frame(adjust="holm")
    assert_allclose(frame["P>|t|"], multipletests(estimate.pvalues, method="holm")[1])
    assert_allclose(frame["coef"], estimate.params)
    text = str(model.summary(adjust="holm"))
    assert "adjusted by holm" in text and "adjusted" not in str(model.summary())
    terms = estimate.wald_test_terms(adjust="bonferroni")
    plain = estimate.wald_test_terms()
    assert_allclose(terms.pvalue[1:], np.minimum(3 * plain.pvalue[1:], 1))
    assert terms.pvalue["Intercept"] == plain.pvalue["Intercept"]
    cox = coxph("Surv(t, d) ~ x + z", rows.assign(t=np.exp(rows.y), d=1))
    assert_allclose(
        cox.estimate_.to_frame(adjust="bonferroni")["P>|z|"], np.minimum(2 * cox.estimate_.pvalues, 1)
    )
    assert "adjusted by BH" in str(cox.summary(adjust="BH"))
    classes = GLMClassifier(formula="g ~ x + z").fit(rows).estimate_
    assert classes.t_test("x = 0", adjust="single-step").hypotheses == ["x = 0 [1]", "x = 0 [2]"]


def test_the_largest_of_independent_and_of_equal_statistics():
    draws = largest_statistics(np.eye(3), None)
    for level in (0.1, 0.5, 0.9):
        expected = stats.norm.ppf((1 + level ** (1 / 3)) / 2)
        assert_allclose(np.quantile(draws, level), expected, atol=3e-3)
    equal = largest_statistics(np.ones((4, 4)), 7)
    assert_allclose(np.quantile(equal, 0.95), stats.t.ppf(0.975, 7), atol=5e-3)


def test_single_step_never_beats_one_test_nor_loses_to_bonferroni(rows):
    estimate = glm("y ~ x + z + g", rows).estimate_
    one, all_at_once = estimate.t_test(), estimate.t_test(adjust="single-step")
    assert (all_at_once.pvalue >= one.pvalue).all()
    assert (all_at_once.pvalue <= np.minimum(4 * one.pvalue, 1) + 1e-15).all()
    assert estimate.t_test("x", adjust="single-step").pvalue[0] == one.pvalue[0]


@pytest.mark.slow
def test_limits_hold_together():
    rng = np.random.default_rng(2)
    m, covered = 300, 0
    for _ in range(m):
        X = rng.normal(size=(60, 5)) + rng.normal(size=(60, 1))
        y = X[:, 0] + rng.normal(size=60)
        limits = GLMRegressor(engine="serial").fit(X, y).estimate_.t_test(adjust="single-step").conf_int(0.2)
        truth = np.array([1.0, 0, 0, 0, 0])
        covered += bool(((limits[:, 0] <= truth) & (truth <= limits[:, 1])).all())
    assert_allclose(covered / m, 0.8, atol=3.5 * np.sqrt(0.16 / m))


def test_what_cannot_be_tested(rows):
    with pytest.warns(UserWarning):
        estimate = glm("y ~ x + twice", rows.assign(twice=2 * rows.x)).estimate_
    assert estimate.t_test().hypotheses == ["x"]
    with pytest.raises(ValueError, match="'twice' cannot be tested"):
        estimate.t_test("twice")
    with pytest.raises(ValueError, match="adjust must be"):
        estimate.t_test("x", adjust="scheffe")
    with pytest.raises(ValueError, match="alpha must lie"):
        estimate.t_test("x").conf_int(2)
