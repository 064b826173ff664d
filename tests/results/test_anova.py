"""Nested fits by deviance and the terms of one fit: R's numbers, statsmodels', and what is refused."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from statkit import anova, coxph, glm, likelihood_ratio_test
from statkit.families import NegativeBinomial
from statkit.plans import Exact, Subsample
from statkit.regression import GLMClassifier, GLMRegressor, OrderedClassifier


@pytest.fixture(scope="module")
def rows():
    """The rows that R 4.2.2 (car, lmtest, sandwich, multcomp) saw."""
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "g": rng.choice(list("abc"), n)})
    frame["y"] = frame.x + 0.3 * (frame.g == "b") + rng.normal(size=n)
    frame["k"] = rng.poisson(np.exp(0.3 * frame.x)) * 1.0
    frame["p"] = np.exp(frame.y / 2)
    return frame


def test_terms_of_a_linear_model_are_those_of_r(rows):
    fit = glm("y ~ x*g + z", rows)
    frame = anova(fit).to_frame()
    assert list(frame.index) == ["x", "g", "z", "x:g", "Residuals"]
    np.testing.assert_allclose(
        frame.sum_sq, [326.8778245, 9.9725026, 0.0422481, 2.4831045, 413.2058313], rtol=1e-6
    )
    np.testing.assert_allclose(frame.F[:4], [310.89345, 4.74242, 0.04018, 1.18084], rtol=2e-4)
    np.testing.assert_allclose(frame.pvalue[1:4], [0.0092226, 0.8412286, 0.3081076], rtol=1e-5)
    frame = anova(fit, type="II").to_frame()
    np.testing.assert_allclose(
        frame.sum_sq, [321.5527613, 9.9683244, 0.1084551, 2.4831045, 413.2058313], rtol=1e-6
    )
    # car::Anova(type = 2, vcov. = vcovHC(fit, "HC3"))
    frame = anova(fit.estimate_.with_cov("HC3"), type=2).to_frame()
    np.testing.assert_allclose(frame.F, [304.51112, 4.64309, 0.08810, 1.08939], rtol=1e-4)
    np.testing.assert_allclose(frame.pvalue[1:], [0.010162, 0.766757, 0.337435], rtol=1e-4)


@pytest.mark.parametrize(("kind", "theirs", "ours"), [
    (1, "g + z + x", "g + z + x"), (2, "g * z + x", "g * z + x"),
    (3, "C(g, Sum) * z + x", "C(g, contr.sum) * z + x"),
])  # fmt: skip
def test_terms_by_statsmodels(rows, kind, theirs, ours):
    theirs = sm.stats.anova_lm(smf.ols(f"y ~ {theirs}", rows).fit(), typ=kind)
    ours = anova(glm(f"y ~ {ours}", rows), type=kind).to_frame()
    theirs.index = [name.replace("C(g, Sum)", "g") for name in theirs.index]
    ours.index = [name.replace("C(g, contr.sum)", "g") for name in ours.index]
    for term in ours.index[:-1]:
        np.testing.assert_allclose(ours.F[term], theirs.F[term], rtol=1e-8)


def test_type_three_is_the_joint_wald_test_of_each_term(rows):
    estimate = glm("k ~ x * g", rows, "poisson", cov_type="HC1").estimate_
    frame, tests = anova(estimate, type="III").to_frame(), estimate.wald_test_terms()
    np.testing.assert_allclose(frame.chi2, tests.statistic[1:], rtol=1e-12)
    assert list(frame.index) == list(tests.index[1:])
    # The last term is the same in all three types.
    for kind in ("I", "II"):
        np.testing.assert_allclose(
            anova(estimate, type=kind).to_frame().chi2["x:g"], frame.chi2["x:g"], rtol=1e-9
        )


def test_sequential_wald_tests_add_up_to_that_of_all_terms(rows):
    model = GLMClassifier(formula="g ~ x + z + k").fit(rows)
    estimate = model.estimate_
    frame = anova(model).to_frame()
    R = np.eye(len(estimate.values))[[i for i, name in enumerate(estimate.names) if name != "Intercept"]]
    np.testing.assert_allclose(frame.chi2.sum(), estimate.wald_test(R).statistic, rtol=1e-10)
    assert list(frame.df) == [2, 2, 2]


def test_deviances_of_r(rows):
    frame = anova(glm("p ~ x", rows, "gamma"), glm("p ~ x + g", rows, "gamma")).to_frame()
    np.testing.assert_allclose(frame.deviance, [105.3071663, 102.4349317], rtol=1e-9)
    np.testing.assert_allclose(
        frame.iloc[1][["df_resid", "df", "change"]].astype(float), [396, 2, 2.872234556], rtol=1e-8
    )
    np.testing.assert_allclose(frame.iloc[1][["F", "pvalue"]].astype(float), [5.12028, 0.0063761], rtol=1e-5)
    frame = anova(glm("p ~ x", rows, "gamma"), glm("p ~ x + g", rows, "gamma"), test="chi2").to_frame()
    np.testing.assert_allclose(frame.pvalue.iloc[1], 0.0059744, rtol=1e-5)
    quasi = [glm(f"k ~ {right}", rows, "quasi_poisson") for right in ("x", "x + g")]
    frame = anova(*quasi).to_frame()
    np.testing.assert_allclose(frame.iloc[1][["F", "pvalue"]].astype(float), [0.02591, 0.97442], rtol=2e-4)
    with pytest.raises(ValueError, match="no likelihood"):
        likelihood_ratio_test(*quasi)


def test_likelihood_ratios_of_lmtest(rows):
    test = likelihood_ratio_test(glm("k ~ x", rows, "poisson"), glm("k ~ x + g", rows, "poisson"))
    np.testing.assert_allclose(
        [*test.llf, test.statistic, test.pvalue],
        [-484.1278312, -484.1042972, 0.04706788199, 0.97674],
        rtol=1e-5,
    )
    assert (test.df, test.dropped) == (2, ("g[T.b]", "g[T.c]"))
    assert "g[T.b], g[T.c] = 0" in repr(test)
    # Where the dispersion is known the table of deviances is the same test.
    frame = anova(glm("k ~ x", rows, "poisson"), glm("k ~ x + g", rows, "poisson")).to_frame()
    np.testing.assert_allclose(frame.chi2.iloc[1], test.statistic, rtol=1e-8)


def test_gaussian_and_gamma_likelihood_ratios(rows):
    small, large = smf.ols("y ~ x", rows).fit(), smf.ols("y ~ x + g", rows).fit()
    value, p, df = large.compare_lr_test(small)
    test = likelihood_ratio_test(glm("y ~ x", rows), glm("y ~ x + g", rows))
    np.testing.assert_allclose([test.statistic, test.pvalue, test.df], [value, p, df], rtol=1e-9)
    test = likelihood_ratio_test(glm("p ~ x", rows, "gamma"), glm("p ~ x + g", rows, "gamma"))
    np.testing.assert_allclose(test.pvalue, 0.0059744, rtol=1e-5)


def test_a_line_through_the_origin_is_nested_in_one_that_is_not(rows):
    """Their deviances without columns differ, as the one has no intercept there either."""
    small, large = glm("k ~ 0 + x", rows, "poisson"), glm("k ~ x", rows, "poisson")
    theirs = [smf.glm(f"k ~ {right}", rows, family=sm.families.Poisson()).fit() for right in ("0 + x", "x")]
    test = likelihood_ratio_test(small, large)
    np.testing.assert_allclose(test.statistic, 2 * (theirs[1].llf - theirs[0].llf), rtol=1e-8)
    frame = anova(small, large).to_frame()
    np.testing.assert_allclose(frame.deviance, [fit.deviance for fit in theirs], rtol=1e-8)
    np.testing.assert_allclose(frame.chi2.iloc[1], test.statistic, rtol=1e-8)
    assert test.dropped == ("Intercept",)
    weighted = glm("k ~ x", rows, "poisson", weights=np.full(len(rows), 2.0))
    with pytest.raises(ValueError, match="different responses, weights or offsets"):
        likelihood_ratio_test(glm("k ~ 1", rows, "poisson"), weighted)


def test_weights_stand_for_repeated_rows(rows):
    """Also where some are zero."""
    weighted = rows.assign(w=np.arange(len(rows)) % 3)
    repeated = weighted.loc[weighted.index.repeat(weighted.w)]
    tests = [
        likelihood_ratio_test(*(glm(f"k ~ {right}", frame, "poisson", weights=w) for right in ("x", "x + g")))
        for frame, w in ((weighted, "w"), (repeated, None))
    ]
    np.testing.assert_allclose(tests[0].statistic, tests[1].statistic, rtol=1e-8)
    np.testing.assert_allclose(tests[0].llf, tests[1].llf, rtol=1e-10)


def test_models_without_a_deviance_of_their_own(rows):
    """Risk sets, thresholds, classes and estimated shapes are compared by their likelihoods."""
    frame = rows.assign(t=np.exp(rows.z), d=rows.x > -1)
    pairs = [
        [coxph(f"Surv(t, d) ~ {right}", frame) for right in ("x", "x + g")],
        [OrderedClassifier(formula=f"g ~ {right}").fit(frame) for right in ("x", "x + z")],
        [GLMClassifier(formula=f"g ~ {right}").fit(frame) for right in ("x", "x + z")],
        [glm(f"k ~ {right}", frame, NegativeBinomial()) for right in ("x", "x + z")],
    ]
    for pair in pairs:
        test, table = likelihood_ratio_test(*pair), anova(*pair).to_frame()
        np.testing.assert_allclose(
            test.statistic, 2 * (pair[1].estimate_.llf - pair[0].estimate_.llf), rtol=1e-12
        )
        np.testing.assert_allclose(table.chi2.iloc[1], test.statistic, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(test.pvalue, stats.chi2.sf(test.statistic, test.df), rtol=1e-10)


def test_order_and_adjustment(rows):
    fits = [glm(f"k ~ {right}", rows, "poisson") for right in ("1", "x", "x + z", "x + z + g")]
    up, down = anova(*fits).to_frame(), anova(*fits[::-1]).to_frame()
    np.testing.assert_allclose(up.pvalue[1:], down.pvalue[1:][::-1], rtol=1e-9)
    assert list(down.df[1:]) == [-2, -1, -1]
    holm = anova(*fits, adjust="holm").to_frame()
    np.testing.assert_allclose(sorted(holm.pvalue[1:])[0], 3 * up.pvalue.min(), rtol=1e-12)
    assert "holm" in str(anova(*fits, adjust="holm"))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"formula": "k ~ x"}, {"formula": "k ~ z + g"}, "'k ~ x' is not nested in 'k ~ z \\+ g': 'x' is not among"),
        ({"formula": "k ~ x"}, {"formula": "k ~ z"}, "no more coefficients|as many coefficients|not nested"),
        ({"formula": "k ~ x"}, {"formula": "y ~ x + g", "family": "gaussian"}, "different models"),
        ({"formula": "k ~ x"}, {"formula": "j ~ x + g"}, "different responses"),
        ({"formula": "k ~ x"}, {"formula": "k ~ x + hole"}, "different rows, 400 and 390"),
        ({"formula": "k ~ x"}, {"formula": "k ~ x + z", "weights": "w"}, "weights or offsets"),
        ({"formula": "k ~ x", "alpha": 0.1}, {"formula": "k ~ x + z"}, "penalised"),
        ({"formula": "k ~ x", "plan": Subsample(100, pilot_size=50)}, {"formula": "k ~ x + z"}, "maximum over all rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared(rows, first, second, message):
    frame = rows.assign(j=rows.k, w=1 + rows.z**2, hole=rows.z.where(rows.index >= 10))
    one, two = (glm(data=frame, **({"family": "poisson"} | options)) for options in (first, second))
    with pytest.raises(ValueError, match=message):
        likelihood_ratio_test(one, two)
    with pytest.raises(ValueError, match=message):
        anova(one, two)


def test_nesting_in_another_coding(rows):
    small, large = glm("k ~ x", rows, "poisson"), glm("k ~ poly(x, 2)", rows, "poisson", plan=Exact(tol=1e-8))
    with pytest.raises(ValueError, match="assume_nested=True"):
        likelihood_ratio_test(small, large)
    raw = glm("k ~ x + I(x**2)", rows, "poisson")
    coded = likelihood_ratio_test(small, large, assume_nested=True)
    np.testing.assert_allclose(coded.statistic, likelihood_ratio_test(small, raw).statistic, rtol=1e-6)
    np.testing.assert_allclose(
        anova(small, large, assume_nested=True).to_frame().chi2.iloc[1], coded.statistic, rtol=1e-6
    )


def test_without_standard_errors_no_term_is_tested(rows):
    with pytest.raises(ValueError, match="cannot be tested: no standard error, the lasso"):
        anova(glm("k ~ x + g", rows, "poisson", alpha=0.01, l1_ratio=1.0))


def test_what_is_no_fit():
    with pytest.raises(TypeError, match="not GLMRegressor: fit it first"):
        anova(GLMRegressor())
    with pytest.raises(TypeError, match="not int"):
        likelihood_ratio_test(1, 2)
    with pytest.raises(ValueError, match="needs a fit"):
        anova()


def test_clusters_fewer_than_coefficients(rows):
    frame = rows.assign(c=np.arange(400) % 3)
    estimate = glm("k ~ x + z + g", frame, "poisson", cov_type="cluster", groups="c").estimate_
    with pytest.raises(ValueError, match="fewer clusters"):
        anova(estimate)


@pytest.mark.slow
def test_size_of_the_test_by_simulation():
    """At the truth, p-values of the sequential Wald table and of the likelihood ratio are uniform."""
    rng = np.random.default_rng(5)
    rejected = np.zeros(2)
    m = 300
    for _ in range(m):
        X = rng.normal(size=(150, 3))
        y = rng.poisson(np.exp(0.3 * X[:, 0])).astype(float)
        large = GLMRegressor("poisson", engine="serial").fit(X, y)
        small = GLMRegressor("poisson", engine="serial").fit(X[:, :1], y)
        p = likelihood_ratio_test(small, large).pvalue, anova(large).to_frame().pvalue["x2"]
        rejected += np.array(p) < 0.1
    np.testing.assert_allclose(rejected / m, 0.1, atol=3.5 * np.sqrt(0.09 / m))


def test_what_is_printed(rows):
    fits = [glm(f"p ~ {right}", rows, "gamma") for right in ("1", "x")]
    table = anova(*fits)
    for text in ("Analysis of deviance", "p ~ x", "The dispersion is that of p ~ x"):
        assert text in table.as_text() and text in table.as_html()
    assert r"\toprule" in table.as_latex()
    robust = [fit.estimate_.with_cov("HC1") for fit in fits]
    assert "know nothing of cov_type='HC1'" in str(anova(*robust))
