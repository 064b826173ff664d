"""SAGA and SVRG: geometric convergence, optimality conditions, scikit-learn's answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit.solvers.variance_reduced import saga, svrg


def data(n=2_000, p=5, family="binomial", seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    eta = X @ np.linspace(0, 1, p)
    y = (
        (rng.random(n) < 1 / (1 + np.exp(-eta))) * 1.0
        if family == "binomial"
        else eta + rng.standard_normal(n)
    )
    return X, y


@pytest.mark.parametrize(("solver", "epochs", "error"), [(svrg, 46, 1e-10), (saga, 61, 1e-5)])
def test_geometric_convergence(solver, epochs, error):
    from statkit.regression import GLMRegressor

    X, y = data()
    exact = GLMRegressor("binomial", fit_intercept=False).fit(X, y).coef_
    far = [
        np.abs(solver(X, y, fit_intercept=False, max_epochs=m, tol=0.0).coef - exact).max()
        for m in (4, epochs)
    ]
    assert far[1] < error < 1e-3 * far[0]


@pytest.mark.parametrize("solver", [saga, svrg])
@pytest.mark.parametrize("family", ["binomial", "gaussian"])
def test_elastic_net_of_scikit_learn(solver, family):
    from sklearn.linear_model import ElasticNet, LogisticRegression

    X, y = data(600, 8, family)
    alpha, ratio = 0.1, 0.6
    weight = np.random.default_rng(0).uniform(0.5, 2, 600)
    weight /= weight.mean()
    r = solver(X, y, family, alpha=alpha, l1_ratio=ratio, sample_weight=weight, tol=1e-10, max_epochs=2_000)
    if family == "gaussian":
        peer = ElasticNet(alpha=alpha, l1_ratio=ratio, tol=1e-12, max_iter=100_000).fit(
            X, y, sample_weight=weight
        )
    else:
        peer = LogisticRegression(
            C=1 / (alpha * 600), l1_ratio=ratio, solver="saga", tol=1e-10, max_iter=100_000
        ).fit(X, y, sample_weight=weight)
    assert r.converged and r.gap <= 1e-10
    np.testing.assert_allclose(r.coef, np.ravel(peer.coef_), atol=1e-5)
    np.testing.assert_allclose(r.intercept, np.ravel(peer.intercept_)[0], atol=1e-5)
    assert (r.coef == 0).any()


@given(st.integers(1, 40), st.integers(1, 4), st.floats(0.0, 1.0), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_optimality_conditions(n, p, ratio, seed):
    X, y = data(n, p, "gaussian", seed)
    r = saga(X, y, "gaussian", alpha=0.5, l1_ratio=ratio, max_epochs=5_000, tol=1e-9)
    residual = y - r.intercept - X @ r.coef
    g = X.T @ residual / n - 0.5 * (1 - ratio) * r.coef
    np.testing.assert_allclose(residual.mean(), 0, atol=1e-6)
    active = r.coef != 0
    np.testing.assert_allclose(g[active], 0.5 * ratio * np.sign(r.coef[active]), atol=1e-6)
    assert (np.abs(g[~active]) <= 0.5 * ratio + 1e-6).all()


def test_starts_and_seeds():
    X, y = data(500)
    full = saga(X, y, tol=1e-10, max_epochs=1_000)
    again = saga(X, y, start=np.append(full.intercept, full.coef), tol=1e-9)
    assert again.epochs == 1
    a, b = (svrg(X, y, random_state=s, tol=1e-10, max_epochs=1_000).coef for s in (0, 1))
    np.testing.assert_allclose(a, b, atol=1e-8)


def test_bad_input():
    from scipy import sparse

    X, y = data(50)
    with pytest.raises(TypeError, match="scikit-learn"):
        saga(sparse.csr_array(X), y)
    for call, message in (
        (lambda: saga(X, y, "poisson"), "family"), (lambda: saga(X, y + 1), "0 <= y"),
        (lambda: saga(X, y[1:]), "one row"), (lambda: saga(X, y, alpha=-1.0), "alpha"),
        (lambda: saga(X * np.nan, y), "finite"), (lambda: saga(X, y, sample_weight=-y), "sample_weight"),
        (lambda: saga(X[:0], y[:0]), "row"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
