"""Every derived number against statsmodels, which was given the same parameters and covariance."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.iolib.summary2 import summary_col

from statkit.results import Estimate

FORMULA = "x1 + x2 + C(where) + switch"
TERMS = {"Intercept": [0], "C(where)": [1, 2, 3], "switch": [4], "x1": [5], "x2": [6]}
FAMILIES = {
    "gaussian": (sm.families.Gaussian(), "identity", True),
    "binomial": (sm.families.Binomial(), "logit", False),
    "poisson": (sm.families.Poisson(), "log", False),
    "gamma": (sm.families.Gamma(sm.families.links.Log()), "log", True),
}


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, frame, from_statsmodels):
    """(statsmodels' fit, the same as Estimate)."""
    family, link, use_t = FAMILIES[request.param]
    fit = smf.glm(f"{request.param} ~ {FORMULA}", frame, family=family).fit(use_t=use_t, tol=1e-12)
    names = list(fit.params.index)
    assert names[1].startswith("C(where)") and names[4].startswith("switch")
    return fit, from_statsmodels(fit, family=request.param, link=link, use_t=use_t, terms=TERMS)


def test_errors_and_intervals(pair):
    fit, estimate = pair
    for name in ("params", "bse", "tvalues", "pvalues"):
        pd.testing.assert_series_equal(
            getattr(estimate, name), getattr(fit, name), rtol=1e-10, check_names=False
        )
    for alpha in (0.05, 0.3):
        pd.testing.assert_frame_equal(estimate.conf_int(alpha), fit.conf_int(alpha), rtol=1e-10)
    pd.testing.assert_frame_equal(estimate.cov_params(), fit.cov_params(), rtol=1e-12)


def test_information_criteria(pair):
    fit, estimate = pair
    assert_allclose(estimate.aic, fit.aic, rtol=1e-12)
    assert_allclose(estimate.bic, fit.bic_llf, rtol=1e-12)
    assert estimate.bic_llf == estimate.bic


def test_null_loglikelihood(pair):
    fit, estimate = pair
    if estimate.family == "gaussian":  # at its own variance; statsmodels keeps the full model's
        null = sm.GLM(fit.model.endog, np.ones(len(fit.model.endog))).fit()
        assert_allclose(estimate.llnull, null.llf, rtol=1e-10)
    else:
        assert_allclose(estimate.llnull, fit.llnull, rtol=1e-10)
        assert_allclose(estimate.pseudo_rsquared(), fit.pseudo_rsquared("cs"), rtol=1e-9)
        assert_allclose(estimate.pseudo_rsquared("mcf"), fit.pseudo_rsquared("mcf"), rtol=1e-9)
    with pytest.raises(ValueError, match="mcf"):
        estimate.pseudo_rsquared("efron")


def test_joint_tests(pair):
    fit, estimate = pair
    for hypothesis in (
        "x1 = x2 = 0",
        "2*x1 - x2 = 3",
        "x1 = x2, C(where)[T.b] = 0.1",
        "switch[T.True] + x1 = 1",
    ):
        ours = estimate.wald_test(hypothesis)
        theirs = fit.wald_test(hypothesis, use_f=estimate.use_t, scalar=True)
        assert_allclose([ours.statistic, ours.pvalue], [theirs.statistic, theirs.pvalue], rtol=1e-8)
        assert ours.distribution == ("F" if estimate.use_t else "chi2")
        other = estimate.wald_test(hypothesis, use_f=not estimate.use_t)
        theirs = fit.wald_test(hypothesis, use_f=not estimate.use_t, scalar=True)
        assert_allclose([other.statistic, other.pvalue], [theirs.statistic, theirs.pvalue], rtol=1e-8)


def test_term_tests(pair):
    fit, estimate = pair
    ours = estimate.wald_test_terms()
    theirs = fit.wald_test_terms(scalar=True).table
    assert list(ours.index) == list(TERMS)
    assert_allclose(ours["statistic"], theirs["statistic"].loc[ours.index].astype(float), rtol=1e-8)
    assert_allclose(ours["pvalue"], theirs["pvalue"].loc[ours.index].astype(float), rtol=1e-8)
    assert ours.loc["C(where)", "df"] == 3
    assert ("df_denom" in ours) == estimate.use_t


def test_ols(frame, from_statsmodels):
    fit = smf.ols(f"gaussian ~ {FORMULA}", frame).fit()
    estimate = from_statsmodels(
        fit, family="gaussian", link="identity", use_t=True, deviance=fit.ssr, null_deviance=fit.centered_tss
    )
    assert_allclose(estimate.pvalues, fit.pvalues, rtol=1e-10)
    assert_allclose(estimate.conf_int(), fit.conf_int(), rtol=1e-10)
    assert_allclose([estimate.aic, estimate.bic], [fit.aic, fit.bic], rtol=1e-12)
    assert_allclose([estimate.rsquared, estimate.rsquared_adj], [fit.rsquared, fit.rsquared_adj], rtol=1e-10)
    assert_allclose(estimate.pseudo_rsquared(), fit.rsquared, rtol=1e-10)
    assert_allclose(estimate.wald_test("x1 = x2 = 0").pvalue, fit.f_test("x1 = x2 = 0").pvalue, rtol=1e-9)


def test_logit_and_multinomial(frame, from_statsmodels):
    fit = smf.logit(f"binomial ~ {FORMULA}", frame).fit(disp=0)
    estimate = from_statsmodels(fit, family="binomial", link="logit", use_t=False, classes=["no", "yes"])
    assert_allclose(estimate.pvalues, fit.pvalues, rtol=1e-10)
    assert_allclose([estimate.aic, estimate.bic], [fit.aic, fit.bic], rtol=1e-12)
    assert not isinstance(estimate.params.index, pd.MultiIndex)

    X = sm.add_constant(frame[["x1", "x2"]])
    fit = sm.MNLogit(frame["where"], X).fit(disp=0)
    estimate = Estimate(
        names=["Intercept", "x1", "x2"],
        values=fit.params.to_numpy().T.ravel(),
        covariance=fit.cov_params().to_numpy(),
        terms={"Intercept": [0], "x1": [1], "x2": [2]},
        family="softmax",
        link="logit",
        use_t=False,
        nobs=300,
        df_resid=291,
        df_model=6,
        rank=9,
        llf=fit.llf,
        response="where",
        classes=np.array(list("abcd")),
    )
    assert estimate.params.index.names == ["class", "name"]
    assert estimate.params["c", "x1"] == estimate.params.loc["c"]["x1"] == fit.params.iloc[1, 1]
    assert_allclose(estimate.pvalues, fit.pvalues.to_numpy().T.ravel(), rtol=1e-9)
    assert_allclose(estimate.aic, fit.aic, rtol=1e-12)
    R = np.zeros((3, 9))
    R[[0, 1, 2], [1, 4, 7]] = 1
    joint = fit.wald_test(R, use_f=False, scalar=True)
    assert_allclose(estimate.wald_test("x1 = 0").statistic, joint.statistic, rtol=1e-8)
    assert_allclose(estimate.wald_test_terms().loc["x1", "pvalue"], joint.pvalue, rtol=1e-8)
    single = estimate.wald_test("c:x1 = d:x1")
    assert single.df == 1
    assert_allclose(single.effect[0], estimate.params["c", "x1"] - estimate.params["d", "x1"])
    assert "where = c" in str(estimate.summary())


def test_statsmodels_can_print_it(pair):
    fit, estimate = pair
    ours, theirs = summary_col([estimate], stars=True).tables[0], summary_col([fit], stars=True).tables[0]
    shared = [i for i in range(len(theirs)) if not str(theirs.index[i]).startswith(("R-squared", "N"))]
    assert (ours.iloc[: len(shared)].to_numpy() == theirs.iloc[shared].to_numpy()).all()
    assert "300" in str(summary_col([estimate, fit]))


def test_clusters_take_fewer_degrees_of_freedom(small):
    estimate = small(use_t=True, df_resid_inference=9, df_resid=97)
    assert_allclose(estimate.pvalues, 2 * stats.t.sf(abs(estimate.tvalues), 9))
    assert estimate.wald_test("x1 = x2 = 0").df_denom == 9
    assert estimate.df_resid == 97


def test_shape_parameters_count(small):
    plain, estimated = small(llf=-50.0), small(llf=-50.0, shape={"alpha": 0.5}, shape_bse={"alpha": 0.1})
    assert estimated.aic == plain.aic + 2
    assert_allclose(estimated.bic, plain.bic + np.log(100))


def test_limits_and_aliases_have_no_errors(small):
    covariance = np.diag([0.1, 0.2, np.nan, np.nan])
    covariance[2:, :] = covariance[:, 2:] = np.nan
    estimate = small(
        values=[0.5, 1.0, np.inf, np.nan],
        covariance=covariance,
        terms={"Intercept": [0], "a": [1, 2], "b": [3]},
        why_nan={"x2": "its only row is an event"},
    )
    for series in (
        estimate.bse,
        estimate.tvalues,
        estimate.pvalues,
        estimate.conf_int()[0],
        estimate.conf_int()[1],
    ):
        assert list(np.isnan(series)) == [False, False, True, True]
    with pytest.raises(ValueError, match=r"'x2' cannot be tested.*only row is an event"):
        estimate.wald_test("x2 = 0")
    table = estimate.wald_test_terms()
    assert table.loc["a", "df"] == 1 and table.loc["b", "df"] == 0
    assert np.isnan(table.loc["b", "pvalue"])
    assert_allclose(table.loc["a", "statistic"], 1 / 0.2)


def test_limits_win_over_a_finite_variance(small):
    # Whatever stands in the covariance, an infinite estimate has no standard error.
    estimate = small(values=[0.5, -np.inf], covariance=np.eye(2))
    assert np.isnan(estimate.bse["x1"]) and np.isnan(estimate.tvalues["x1"])


def test_no_residual_degrees_of_freedom(small):
    estimate = small(use_t=True, df_resid=0, nobs=3)
    assert estimate.pvalues.isna().all() and estimate.conf_int().isna().all(axis=None)
    assert "NaN" in str(estimate.summary())
    assert np.isnan(estimate.wald_test("x1 = 0").pvalue)


def test_what_is_given_back_cannot_change_the_estimate(small):
    estimate = small()
    params, bse, covariance = estimate.params, estimate.bse, estimate.cov_params()
    params.iloc[0] = bse.iloc[0] = covariance.iloc[0, 0] = 99.0
    assert estimate.params.iloc[0] == 0.5 and estimate.bse.iloc[0] == 0.1
    assert estimate.cov_params().iloc[0, 0] == 0.01


def test_extra_results_are_attributes(small):
    estimate = small(extra={"sample_indices": np.arange(3)})
    assert list(estimate.sample_indices) == [0, 1, 2] and "sample_indices" in dir(estimate)
    with pytest.raises(AttributeError, match="partitions"):
        _ = estimate.partitions
    for name in ("bse", "llf", "history"):
        with pytest.raises(ValueError, match=name):
            small(extra={name: 1})
    assert np.isnan(estimate.rsquared) and np.isnan(estimate.rsquared_adj)


def test_wrong_sizes_are_refused(small):
    with pytest.raises(ValueError, match="3 parameters, but 2 names"):
        small(names=["a", "b"])
    with pytest.raises(ValueError, match="covariance of shape"):
        small(covariance=np.eye(2))
    for alpha in (0, 1, 5, -0.1):
        with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
            small().conf_int(alpha)


def test_frames(small):
    line = {"name": "decrement", "value": 1e-9, "verdict": "OK", "advice": ""}
    estimate = small(history=[{"round": 1, "loss": 2.0}, {"round": 2, "loss": 1.0}], diagnostics=[line])
    assert list(estimate.history.columns) == ["round", "loss"] and len(estimate.history) == 2
    assert list(estimate.diagnostics.columns) == ["name", "value", "verdict", "advice"]
    assert list(small().diagnostics.columns) == ["name", "value", "verdict", "advice"]
    assert list(estimate.to_frame().columns) == ["coef", "std err", "z", "P>|z|", "[0.025", "0.975]"]
    assert list(small(use_t=True).to_frame(0.1).columns)[2:] == ["t", "P>|t|", "[0.05", "0.95]"]


def everything(small):
    return small(
        values=[0.5, np.inf, np.nan],
        covariance=np.diag([0.25, np.nan, np.nan]),
        information=np.diag([4.0, np.nan, np.nan]),
        meat=np.eye(3),
        llf=np.float64(-12.5),
        shape={"alpha": np.float64(0.5)},
        shape_bse={"alpha": np.nan},
        nobs=np.int64(100),
        classes=np.array([0, 1]),
        history=[{"round": 1, "loss": np.inf, "decrement": np.float64(2.0)}],
        diagnostics=[{"name": "a", "value": np.nan, "verdict": "WARN", "advice": "b"}],
        why_nan={"x1": "limit"},
        extra={
            "sample_indices": np.arange(4),
            "flags": np.array([True, False]),
            "words": np.array(["a", None], dtype=object),
            "partitions": pd.DataFrame(
                {"n": [1, 2], "where": ["p", "q"], "bias": [0.5, np.nan]}, index=["k", "l"]
            ),
            "pilot_params": pd.Series([1.0, -np.inf], index=["Intercept", "x1"]),
            "nested": {"limit": -np.inf, "none": None, "list": [1, "NaN", np.nan]},
            "by_key": {0: "a", (1, 2): "b"},
            "matrix": np.array([[1.0, np.nan], [2.0, 3.0]]),
        },
    )


def same(left, right):
    assert left.names == right.names and left.terms == right.terms and left.why_nan == right.why_nan
    for name in ("values", "covariance", "information", "meat"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    for name in (
        "llf",
        "deviance",
        "nobs",
        "plan",
        "shape",
        "df_resid",
        "rank",
        "use_t",
        "converged",
        "notes",
    ):
        np.testing.assert_equal(getattr(left, name), getattr(right, name))
    pd.testing.assert_frame_equal(left.history, right.history)
    pd.testing.assert_frame_equal(left.diagnostics, right.diagnostics)
    pd.testing.assert_frame_equal(left.to_frame(), right.to_frame())
    assert str(left.summary()) == str(right.summary())
    for name in ("sample_indices", "flags", "words", "matrix"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
        assert getattr(left, name).dtype == getattr(right, name).dtype
    pd.testing.assert_frame_equal(left.partitions, right.partitions)
    pd.testing.assert_series_equal(left.pilot_params, right.pilot_params)
    np.testing.assert_equal(left.nested, right.nested)
    assert left.by_key == right.by_key


def test_json_and_back(small):
    estimate = everything(small)
    text = json.dumps(estimate.to_dict(), allow_nan=False)
    record = json.loads(text)
    same(estimate, Estimate.from_dict(record))
    assert record["params"] == {"Intercept": 0.5, "x1": "Infinity", "x2": "NaN"}
    assert float(record["bse"]["x1"]) != float(record["bse"]["x1"])
    assert record["conf_int"]["Intercept"] == pytest.approx([0.5 - 0.97998, 0.5 + 0.97998], abs=1e-5)
    assert record["nobs"] == 100 and record["aic"] == pytest.approx(33.0)
    assert json.dumps(Estimate.from_dict(record).to_dict()) == json.dumps(estimate.to_dict())


def test_json_refuses_what_it_cannot_keep(small):
    with pytest.raises(TypeError, match=r"extra\['keys'\].*set"):
        small(extra={"keys": {1, 2}}).to_dict()
    with pytest.raises(TypeError, match="array of object"):
        small(meat=object()).to_dict()
    with pytest.raises(ValueError, match="more than once"):
        small(names=["Intercept", "x1", "x1"]).to_dict()
    record = small().to_dict(matrices=False)
    assert "cov_params" not in record
    with pytest.raises(ValueError, match="covariance is missing"):
        Estimate.from_dict(record)
    with pytest.raises(ValueError, match="not a record"):
        Estimate.from_dict({"params": {}})


def test_pickle(small):
    estimate = everything(small)
    before = len(pickle.dumps(estimate))
    str(estimate.summary())
    data = pickle.dumps(estimate)
    assert len(data) == before  # what can be derived does not travel
    same(estimate, pickle.loads(data))


def test_building_imports_nothing_heavy():
    import subprocess
    import sys

    code = """
import sys, numpy as np
from statkit.results import Estimate
one = dict(names=["a"], values=np.ones(1), covariance=np.eye(1), terms={"a": [0]}, rank=1, df_model=1)
str(Estimate(**one, family="poisson", link="log", use_t=False, nobs=9, df_resid=8, response="y").summary())
heavy = {"pandas", "scipy.stats", "statsmodels", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
