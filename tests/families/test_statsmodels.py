"""A small scoring iteration over the families against statsmodels: coefficients, errors, likelihoods."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, stats
from scipy.special import gammaln

from statkit.families import NegativeBinomial, Softmax

# statsmodels warns of every link that can leave the domain of its family
pytestmark = pytest.mark.filterwarnings("ignore")


def fit(family, X, y, weight=None, shape=None, offset=0.0):
    """Fisher scoring with halving; returns coefficients, information and the sums of the last pass."""
    n = len(y)
    r, w = np.empty(n), np.empty(n)

    def evaluate(theta):
        return family.link(X @ theta + offset, y, weight, shape, None, r, w)

    a = np.ones(n) if weight is None else weight
    theta = np.zeros(X.shape[1])
    theta[0] = family.null_eta(a @ y, a.sum())
    loss = evaluate(theta)
    for _ in range(100):
        step = np.linalg.solve((X * w[:, None]).T @ X, X.T @ r)
        decrement = step @ (X.T @ r)
        for k in range(40):
            new = evaluate(theta + step * 0.5**k)
            if new <= loss + 1e-10 * abs(loss):
                break
        theta, loss = theta + step * 0.5**k, new
        if abs(decrement) < 1e-22 * n:
            break
    evaluate(theta)
    return theta, (X * w[:, None]).T @ X, family.sums(X @ theta + offset, y, weight, shape)


def peer(family):
    """The same family and link in statsmodels."""
    links = sm.families.links
    link = {
        "identity": links.Identity,
        "log": links.Log,
        "inverse": links.InversePower,
        "inverse_squared": links.InverseSquared,
        "sqrt": links.Sqrt,
        "logit": links.Logit,
        "probit": links.Probit,
        "cloglog": links.CLogLog,
    }[family.link_name]()
    f = sm.families
    return {
        "gaussian": lambda: f.Gaussian(link),
        "binomial": lambda: f.Binomial(link),
        "quasi_binomial": lambda: f.Binomial(link),
        "poisson": lambda: f.Poisson(link),
        "quasi_poisson": lambda: f.Poisson(link),
        "gamma": lambda: f.Gamma(link),
        "inverse_gaussian": lambda: f.InverseGaussian(link),
        "negative_binomial": lambda: f.NegativeBinomial(link, alpha=family.alpha),
        "tweedie": lambda: f.Tweedie(link, var_power=family.power),
    }[family.name]()


@pytest.mark.parametrize("weighted", [False, True])
def test_agreement_with_glm(case, weighted):
    family = case.family
    weight = case.weight if weighted else None
    theta, information, sums = fit(family, case.X, case.y, weight)
    kwargs = {"var_weights": weight} if weighted else {}
    model = sm.GLM(case.y, case.X, family=peer(family), **kwargs)
    start = None if family.link_name in ("logit", "log") else theta * 1.01
    result = model.fit(
        start_params=start, maxiter=300, tol=1e-14, scale="X2" if "quasi" in family.name else None
    )
    n = len(case.y)
    scale = sums["pearson"] / result.df_resid if family.dispersion == "pearson" else 1.0
    np.testing.assert_allclose(theta, result.params, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(scale * np.diag(np.linalg.inv(information))), result.bse, rtol=1e-8)
    assert scale == pytest.approx(result.scale, rel=1e-10)
    assert sums["deviance"] == pytest.approx(result.deviance, rel=1e-10)
    assert sums["pearson"] == pytest.approx(result.pearson_chi2, rel=1e-9)
    llf = family.loglik(sums, scale, n)
    if "quasi" in family.name or family.name == "tweedie":
        assert np.isnan(llf)
    else:
        assert llf == pytest.approx(result.llf, rel=1e-10)


def test_null_deviance(case):
    null = case.family.null_eta(case.weight @ case.y, case.weight.sum())
    sums = case.family.sums(np.full(len(case.y), null), case.y, case.weight)
    expected = sm.GLM(case.y, case.X, family=peer(case.family), var_weights=case.weight)
    mu = np.full(len(case.y), case.weight @ case.y / case.weight.sum())
    assert sums["deviance"] == pytest.approx(expected.family.deviance(case.y, mu, case.weight), rel=1e-10)


def test_gamma_likelihood_with_weights_of_very_different_size():
    """Σ log Γ(a/φ) comes from a grid over log a that was filled before φ was known."""
    from statkit.families import Gamma

    rng = np.random.default_rng(2)
    n = 500
    weight = np.exp(rng.uniform(-12, 12, n))
    weight[::50] = 0.0
    mu = np.exp(rng.standard_normal(n))
    y = rng.gamma(2.0, mu / 2.0)
    parts = [
        Gamma().sums(np.log(mu[s]), y[s], weight[s]) for s in (slice(0, 90), slice(90, 95), slice(95, n))
    ]
    sums = {key: parts[0][key] + parts[1][key] + parts[2][key] for key in parts[0]}
    used = weight > 0
    for scale in (0.003, 0.7, 40.0):
        k = weight[used] / scale
        expected = stats.gamma(k, scale=mu[used] / k).logpdf(y[used]).sum()
        assert Gamma().loglik(sums, scale, used.sum()) == pytest.approx(expected, rel=1e-11)


def _negative_binomial_data(alpha=0.6, n=800, seed=5):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal(n)])
    mu = np.exp(X @ [1.0, 0.5])
    y = rng.poisson(mu * rng.gamma(1 / alpha, alpha, n)).astype(float)
    return X, y


def fit_alpha(X, y, weight=None):
    """Alternate coefficients and α, as ``glm.nb`` does."""
    family = NegativeBinomial()
    theta, _, _ = fit(NegativeBinomial(alpha=1.0), X, y, weight)
    alpha = family.shape_start(family.shape_sums(X @ theta, y, weight, 1.0))
    for _ in range(200):
        theta, _, _ = fit(family, X, y, weight, shape=alpha)
        sums = family.shape_sums(X @ theta, y, weight, alpha)
        if abs(sums["score"]) < 1e-10:
            break
        alpha = family.shape_step(alpha, sums)
    return theta, alpha, sums


@pytest.mark.parametrize("alpha", [0.05, 0.6, 3.0])
def test_negative_binomial_alpha(alpha):
    X, y = _negative_binomial_data(alpha)
    theta, got, sums = fit_alpha(X, y)
    result = sm.NegativeBinomial(y, X).fit(
        start_params=[*theta, got * 1.1], method="newton", maxiter=200, tol=1e-14, disp=0
    )
    np.testing.assert_allclose([*theta, got], result.params, rtol=1e-6)
    assert sums["loglik"] == pytest.approx(result.llf, rel=1e-10)
    assert NegativeBinomial().loglik(
        NegativeBinomial().sums(X @ theta, y, None, got), shape=got
    ) == pytest.approx(result.llf, rel=1e-10)


def test_shape_sums_are_derivatives_of_the_likelihood():
    X, y = _negative_binomial_data()
    rng = np.random.default_rng(0)
    eta, weight = X @ [0.8, 0.6], rng.uniform(0.5, 2, len(y))
    y[:50] += 0.25  # not counts: the general formula instead of the tables
    y[50:60] = 5e4
    family = NegativeBinomial()

    def loglik(log_alpha):
        alpha = np.exp(log_alpha)
        p = 1 / (1 + alpha * np.exp(eta))
        unit = (
            gammaln(y + 1 / alpha)
            - gammaln(1 / alpha)
            - gammaln(y + 1)
            + np.log(p) / alpha
            + y * np.log1p(-p)
        )
        return weight @ unit

    for alpha in (0.01, 0.5, 20.0):
        sums = family.shape_sums(eta, y, weight, alpha)
        t, h = np.log(alpha), 1e-4
        assert sums["loglik"] == pytest.approx(loglik(t), rel=1e-11)
        assert sums["score"] == pytest.approx((loglik(t + h) - loglik(t - h)) / (2 * h), rel=1e-6)
        slope = [family.shape_sums(eta, y, weight, np.exp(t + d))["score"] for d in (h, -h)]
        assert sums["information"] == pytest.approx(-(slope[0] - slope[1]) / (2 * h), rel=1e-6)


def test_shape_sums_keep_their_digits_near_poisson():
    """As α goes to 0 the score of log α goes to 0 like α, without noise from cancelling digamma functions."""
    X, y = _negative_binomial_data()
    eta = X @ [1.0, 0.5]
    family = NegativeBinomial()
    one, two = (family.shape_sums(eta, y, None, alpha)["score"] / alpha for alpha in (1e-5, 1e-6))
    mu = np.exp(eta)
    limit = 0.5 * np.sum((y - mu) ** 2 - y)
    assert two == pytest.approx(limit, rel=1e-3)
    assert abs(two - limit) < 0.2 * abs(one - limit)
    poisson = stats.poisson(mu).logpmf(y).sum()
    assert family.shape_sums(eta, y, None, 1e-9)["loglik"] == pytest.approx(poisson, rel=1e-7)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_softmax_against_mnlogit(n_classes):
    rng = np.random.default_rng(n_classes)
    n, p, k = 500, 3, n_classes - 1
    X = np.column_stack([np.ones(n), rng.standard_normal((n, p - 1))])
    y = rng.integers(0, n_classes, n).astype(float)
    family = Softmax(n_classes)

    def evaluate(theta):
        r, w = np.empty((n, k)), np.empty((n, k * (k + 1) // 2))
        loss = family.link(X @ theta.reshape(k, p).T, y, None, None, None, r, w)
        H = np.zeros((k, p, k, p))
        for position, (a, b) in enumerate(zip(*np.triu_indices(k), strict=True)):
            H[a, :, b] = H[b, :, a] = (X * w[:, position, None]).T @ X
        return loss, (r.T @ X).ravel(), H.reshape(k * p, k * p)

    theta = np.zeros(k * p)
    for _ in range(15):
        _, g, H = evaluate(theta)
        theta += np.linalg.solve(H, g)
    result = sm.MNLogit(y, X).fit(disp=0, tol=1e-14, maxiter=200)
    np.testing.assert_allclose(theta.reshape(k, p), result.params.T, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(H))).reshape(k, p), result.bse.T, rtol=1e-8)
    eta = X @ theta.reshape(k, p).T
    sums = family.sums(eta, y, None)
    assert family.loglik(sums) == pytest.approx(result.llf, rel=1e-12)
    np.testing.assert_allclose(family.inverse_link(eta), result.predict(), rtol=1e-7)
    # gradient and information of the loss itself
    point = theta + 0.3
    gradient = optimize.approx_fprime(point, lambda t: evaluate(t)[0], 1e-7)
    np.testing.assert_allclose(-evaluate(point)[1], gradient, rtol=1e-4, atol=1e-3)


def test_softmax_of_two_classes_is_the_logit():
    from statkit.families import Binomial

    rng = np.random.default_rng(0)
    eta, weight = rng.standard_normal(300) * 30, rng.uniform(0, 2, 300)
    eta[:3] = [1e4, -1e4, 0.0]
    y = rng.integers(0, 2, 300).astype(float)
    r, w, r2, w2 = np.empty(300), np.empty(300), np.empty((300, 1)), np.empty((300, 1))
    loss = Binomial().link(eta, y, weight, None, None, r, w)
    assert Softmax(2).link(eta[:, None], y, weight, None, None, r2, w2) == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(r2[:, 0], r, rtol=1e-13)
    np.testing.assert_allclose(w2[:, 0], w, rtol=1e-13, atol=1e-300)
    eta[7] = np.nan
    assert np.isnan(Softmax(2).link(eta[:, None], y, weight, None, None, r2, w2))
