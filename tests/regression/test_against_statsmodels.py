"""Coefficients, errors and fit statistics of every family and link, as statsmodels' GLM gives them."""

import numpy as np
import pytest
import statsmodels.api as sm

from statkit.families import Tweedie
from statkit.plans import Exact
from statkit.regression import GLMClassifier, GLMRegressor

N = 1_500
RNG = np.random.default_rng(42)
X = RNG.normal(size=(N, 3)) * [1.0, 0.3, 5.0] + [0.0, 1.0, -2.0]
ETA = 0.3 + X @ [0.4, -0.8, 0.05]
WEIGHT = RNG.uniform(0.5, 2.0, N)
OFFSET = RNG.normal(size=N) * 0.2
GROUP = RNG.integers(0, 40, N)
SM = sm.families
LINKS = SM.links

POSITIVE = RNG.gamma(2.0, np.exp(0.3 * ETA) / 2.0)
COUNT = RNG.poisson(np.exp(0.3 * ETA)).astype(float)
BINARY = (RNG.random(N) < 1 / (1 + np.exp(-ETA))).astype(float)
GAUSS = ETA + RNG.normal(size=N)

CASES = {
    "gaussian": ("gaussian", None, SM.Gaussian(), GAUSS),
    "gaussian log": ("gaussian", "log", SM.Gaussian(LINKS.Log()), POSITIVE + 3),
    "logit": ("binomial", None, SM.Binomial(), BINARY),
    "probit": ("binomial", "probit", SM.Binomial(LINKS.Probit()), BINARY),
    "cloglog": ("binomial", "cloglog", SM.Binomial(LINKS.CLogLog()), BINARY),
    "proportions": ("binomial", None, SM.Binomial(), RNG.binomial(5, 1 / (1 + np.exp(-ETA))) / 5),
    "poisson": ("poisson", None, SM.Poisson(), COUNT),
    "gamma": ("gamma", None, SM.Gamma(LINKS.Log()), POSITIVE),
    "gamma inverse": ("gamma", "inverse", SM.Gamma(), RNG.gamma(2.0, 0.1, N) + 0.1),
    "inverse gaussian": ("inverse_gaussian", None, SM.InverseGaussian(LINKS.Log()), POSITIVE + 0.05),
    "negative binomial": ("nb", None, SM.NegativeBinomial(alpha=0.7), COUNT),
    "tweedie": (Tweedie(power=1.5), None, SM.Tweedie(var_power=1.5, link=LINKS.Log()), POSITIVE * (COUNT > 0)),
}
STRICT = Exact(tol=1e-17)


def fit(name, cov_type="nonrobust", **data):
    family, link, _, y = CASES[name]
    if family == "nb":
        from statkit.families import NegativeBinomial

        family = NegativeBinomial(alpha=0.7)
    return GLMRegressor(family, link=link, plan=STRICT, cov_type=cov_type).fit(X, y, **data).estimate_


def reference(name, cov_type="nonrobust", weight=None, offset=None, **kwds):
    _, _, family, y = CASES[name]
    model = sm.GLM(y, sm.add_constant(X), family=family, var_weights=weight, offset=offset)
    return model.fit(tol=1e-14, maxiter=200, cov_type=cov_type, scale=None, **kwds)


def agree(ours, theirs, rtol=1e-8):
    np.testing.assert_allclose(ours.params, theirs.params, rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(ours.bse, theirs.bse, rtol=rtol)


@pytest.mark.parametrize("name", CASES)
def test_estimates_and_fit_statistics(name):
    ours, theirs = fit(name), reference(name)
    agree(ours, theirs)
    np.testing.assert_allclose(ours.deviance, theirs.deviance, rtol=1e-9)
    np.testing.assert_allclose(ours.null_deviance, theirs.null_deviance, rtol=1e-9)
    np.testing.assert_allclose(ours.scale, theirs.scale, rtol=1e-8)
    assert ours.df_resid == theirs.df_resid and ours.nobs == theirs.nobs
    if name != "tweedie":
        np.testing.assert_allclose(ours.llf, theirs.llf, rtol=1e-9)
        np.testing.assert_allclose(ours.aic, theirs.aic, rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_weights_and_offsets(name):
    if name == "gamma inverse":
        weight, offset = WEIGHT, np.abs(OFFSET)
    else:
        weight, offset = WEIGHT, OFFSET
    ours = fit(name, sample_weight=weight, offset=offset)
    theirs = reference(name, weight=weight, offset=offset)
    agree(ours, theirs)
    np.testing.assert_allclose(ours.deviance, theirs.deviance, rtol=1e-9)
    np.testing.assert_allclose(ours.null_deviance, theirs.null_deviance, rtol=1e-7)


@pytest.mark.parametrize("name", ["gaussian", "logit", "poisson"])
def test_robust_errors(name):
    theirs = reference(name, "HC0")
    agree(fit(name, "HC0"), theirs, rtol=1e-7)
    # statsmodels' GLM leaves HC1 without its factor; R's sandwich::vcovHC has it.
    np.testing.assert_allclose(fit(name, "HC1").bse, theirs.bse * np.sqrt(N / (N - 4)), rtol=1e-7)


@pytest.mark.parametrize("name", ["probit", "cloglog", "gamma"])
def test_robust_errors_use_the_expected_information(name):
    """As R's sandwich does; statsmodels takes the observed one, which differs for other than canonical links."""
    family, y = CASES[name][2:]
    Z = sm.add_constant(X)
    eta = Z @ reference(name).params
    mu, slope = family.link.inverse(eta), 1 / family.link.deriv(family.link.inverse(eta))
    score = Z * ((y - mu) * slope / family.variance(mu))[:, None]
    bread = np.linalg.inv((Z.T * (slope**2 / family.variance(mu))) @ Z)
    np.testing.assert_allclose(fit(name, "HC0").bse**2, np.diag(bread @ score.T @ score @ bread), rtol=1e-7)


@pytest.mark.parametrize("name", ["gaussian", "logit", "poisson"])
def test_cluster_errors(name):
    theirs = reference(name, "cluster", cov_kwds={"groups": GROUP})
    agree(fit(name, "cluster", groups=GROUP), theirs, rtol=1e-7)
    labels = np.array([f"g{g}" for g in GROUP])
    agree(fit(name, "cluster", groups=labels), theirs, rtol=1e-7)


def test_negative_binomial_with_estimated_alpha():
    mu = np.exp(0.5 + X[:, 0] * 0.4)
    y = RNG.poisson(mu * RNG.gamma(1 / 0.8, 0.8, N)).astype(float)
    theirs = sm.NegativeBinomial(y, sm.add_constant(X)).fit(disp=0, maxiter=200, gtol=1e-10)
    fit = GLMRegressor("negative_binomial", plan=STRICT).fit(X, y)
    ours = fit.estimate_
    np.testing.assert_allclose(ours.params, theirs.params[:-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.shape["alpha"], theirs.params[-1], rtol=1e-4)
    np.testing.assert_allclose(ours.llf, theirs.llf, rtol=1e-8)
    known = sm.GLM(y, sm.add_constant(X), family=SM.NegativeBinomial(alpha=ours.shape["alpha"])).fit(tol=1e-14)
    np.testing.assert_allclose(ours.bse, known.bse, rtol=1e-6)


def test_softmax():
    eta = np.column_stack([np.zeros(N), ETA, 0.5 - X[:, 0]])
    p = np.exp(eta) / np.exp(eta).sum(1, keepdims=True)
    y = (RNG.random((N, 1)) > p.cumsum(1)).sum(1)
    theirs = sm.MNLogit(y, sm.add_constant(X)).fit(disp=0, tol=1e-12, maxiter=100)
    model = GLMClassifier(plan=STRICT).fit(X, np.array(["a", "b", "c"])[y])
    ours = model.estimate_
    np.testing.assert_allclose(ours.params.to_numpy(), theirs.params.T.ravel(), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.bse.to_numpy(), theirs.bse.T.ravel(), rtol=1e-7)
    np.testing.assert_allclose(ours.llf, theirs.llf, rtol=1e-10)
    np.testing.assert_allclose(ours.null_deviance, -2 * theirs.llnull, rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict(sm.add_constant(X)), atol=1e-9)
    np.testing.assert_allclose(model.coef_.sum(0), 0, atol=1e-12)
    assert ours.params.index[0] == ("b", "Intercept")


def test_quasi_families_scale_the_errors():
    y = CASES["poisson"][3]
    ours = GLMRegressor("quasi_poisson", plan=STRICT).fit(X, y).estimate_
    theirs = sm.GLM(y, sm.add_constant(X), family=SM.Poisson()).fit(scale="X2", tol=1e-14)
    agree(ours, theirs)
    assert ours.use_t and np.isnan(ours.llf)
    np.testing.assert_allclose(ours.scale, theirs.scale, rtol=1e-9)


def test_default_tolerance_is_within_a_hundred_thousandth_of_a_standard_error():
    for name in ("logit", "poisson", "gamma"):
        family, link, _, y = CASES[name]
        ours = GLMRegressor(family, link=link).fit(X, y).estimate_
        theirs = reference(name)
        assert (np.abs(ours.params - theirs.params) / theirs.bse).max() < 1e-5
        np.testing.assert_allclose(ours.bse, theirs.bse, rtol=2e-6)


def test_no_intercept():
    y = CASES["logit"][3]
    ours = GLMRegressor("binomial", fit_intercept=False, plan=STRICT).fit(X, y)
    theirs = sm.GLM(y, X, family=SM.Binomial()).fit(tol=1e-14)
    agree(ours.estimate_, theirs)
    assert ours.intercept_ == 0.0 and ours.estimate_.df_model == 3


@pytest.mark.parametrize("name", ["logit", "gaussian", "poisson"])
def test_ridge_is_that_of_glum(name):
    from glum import GeneralizedLinearRegressor

    family, _, _, y = CASES[name]
    theirs = GeneralizedLinearRegressor(family=family, alpha=0.3, l1_ratio=0, gradient_tol=1e-12, max_iter=1000)
    theirs.fit(X, y, sample_weight=WEIGHT)
    ours = GLMRegressor(family, alpha=0.3, plan=STRICT).fit(X, y, sample_weight=WEIGHT)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6)


@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_classifier_links(link):
    labels = np.where(BINARY > 0, "yes", "no")
    model = GLMClassifier(link, plan=STRICT).fit(X, labels)
    agree(model.estimate_, reference(link))
    assert model.classes_.tolist() == ["no", "yes"]
