"""Federated descent: which schemes end at the pooled estimate, which do not and say so."""

import warnings

import numpy as np
import pandas as pd
import pytest

from statkit.exceptions import BiasWarning
from statkit.plans import FederatedSGD
from statkit.plans.federated_sgd import _Options
from statkit.regression import GLMClassifier, GLMRegressor


@pytest.fixture(scope="module")
def sites():
    """Ten sites of a logistic model whose parameters, columns and sizes differ."""
    rng = np.random.default_rng(0)
    frames = []
    for site in range(10):
        n = 300 + 40 * site
        X = rng.standard_normal((n, 3)) * rng.uniform(0.6, 1.5, 3) + 0.5 * rng.standard_normal(3)
        b = np.array([0.5, -0.5, 0.2]) + 0.7 * rng.standard_normal(3)
        y = rng.random(n) < 1 / (1 + np.exp(-X @ b))
        frames.append(pd.DataFrame(X, columns=list("abc")).assign(y=y.astype(int), site=site))
    return pd.concat(frames, ignore_index=True)


def fit(sites, method, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BiasWarning)
        plan = FederatedSGD(method, partition_by="site", **options)
        return GLMClassifier(formula="y ~ a + b + c", plan=plan).fit(sites).estimate_


def distance(e, exact):
    return np.sqrt((((e.params - exact.params) / exact.bse) ** 2).mean())


@pytest.fixture(scope="module")
def exact(sites):
    return GLMClassifier(formula="y ~ a + b + c").fit(sites).estimate_


@pytest.mark.parametrize("method", ["scaffold", "fedspeed"])
def test_corrected_schemes_are_the_pooled_estimate(sites, exact, method):
    """Sites of unequal sizes and parameters: the fixed point is the estimate from all rows."""
    e = fit(sites, method, n_rounds=600, tol=1e-9)
    assert distance(e, exact) < 1e-5
    np.testing.assert_allclose(e.bse, exact.bse, rtol=1e-4)
    assert e.converged


@pytest.mark.parametrize(
    ("method", "least", "options"),
    [
        ("fedavg", 0.02, {}), ("fedprox", 0.02, {}), ("efficient_adam", 0.2, {}),
        ("fedspeed", 0.02, {"perturbation": (0.9, 0.5)}), ("efficient_adam", 0.2, {"bits": 3}),
    ],
)  # fmt: skip
def test_the_others_are_not_and_say_so(sites, exact, method, least, options):
    with pytest.warns(BiasWarning, match="does not estimate the pooled parameters"):
        plan = FederatedSGD(method, 150, partition_by="site", **options)
        e = GLMClassifier(formula="y ~ a + b + c", plan=plan).fit(sites).estimate_
    assert distance(e, exact) > least
    assert e.bse.isna().all() and "limit law" in " ".join(e.why_nan.values())
    np.testing.assert_allclose(e.diagnostics["value"].iloc[0], distance(e, exact), rtol=0.3)


def test_the_pooled_estimate_is_a_fixed_point():
    """One round from the pooled estimate with the sites' own gradients as corrections moves nothing."""
    from statkit.design.block import make_block
    from statkit.plans.federated_sgd import local_steps

    rng = np.random.default_rng(1)
    X = rng.standard_normal((300, 2))
    y = X @ [1.0, 2.0] + rng.standard_normal(300)
    pooled = np.linalg.lstsq(np.column_stack([np.ones(300), X]), y)[0]

    class Model:
        from statkit.families import Gaussian

        family, shape, center, scale = Gaussian(), np.empty(0), np.empty(0), np.empty(0)

        @staticmethod
        def penalty(weight):
            return None

    blocks = [make_block(X[a:b], n_rows=b - a, y=y[a:b]) for a, b in ((0, 50), (50, 180), (180, 300))]
    for method in ("scaffold", "fedspeed"):
        options = _Options(FederatedSGD(method), Model, 0.1, 100.0, 3)
        server = {"c": np.zeros(3), "t": 0}
        moves = []
        for block in blocks:
            state = {"c": options.descent(block, pooled), "t": 0}
            move, new = local_steps(block, options, pooled, state, server)["machines"][0]
            moves.append(move + options.lam * new["c"] if method == "fedspeed" else move)
            np.testing.assert_allclose(moves[-1], 0.0, atol=1e-12)
            np.testing.assert_allclose(new["c"], state["c"], atol=1e-11)
        np.testing.assert_allclose(
            options.combine(moves, [{"c": server["c"]}] * 3, server)[0], 0.0, atol=1e-12
        )


def test_ridge_and_slices():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((900, 2))
    y = X @ [1.0, 2.0] + rng.standard_normal(900)
    plan = FederatedSGD(n_partitions=3, n_rounds=800, tol=1e-10)
    e = GLMRegressor(alpha=0.2, plan=plan).fit(X, y).estimate_
    np.testing.assert_allclose(e.params, GLMRegressor(alpha=0.2).fit(X, y).estimate_.params, rtol=1e-6)


def test_quantisation():
    options = _Options(FederatedSGD("efficient_adam", bits=3), None, 0.1, 1.0, 1)
    np.testing.assert_allclose(options.quantised(np.array([3.0, -1.4, 0.4, 0.0])), [3.0, -1.0, 0.0, 0.0])
    np.testing.assert_allclose(options.quantised(np.zeros(2)), 0.0)


def test_too_few_rounds_and_steps_that_diverge(sites):
    from sklearn.exceptions import ConvergenceWarning

    with pytest.warns(ConvergenceWarning, match="fixed point"):
        fit(sites, "scaffold", n_rounds=3)
    with pytest.raises(ValueError, match="diverged"):
        X = sites[["a", "b", "c"]].to_numpy()
        GLMRegressor(plan=FederatedSGD(step=50.0, n_partitions=3)).fit(X, X.sum(axis=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "fedfoo"}, "method"),
        ({"n_rounds": 0}, "n_rounds"),
        ({"step": 0.0}, "step"),
        ({"bits": 1}, "bits"),
    ],
)
def test_bad_parameters(sites, options, message):
    with pytest.raises(ValueError, match=message):
        GLMRegressor(plan=FederatedSGD(**options)).fit(sites[["a"]].to_numpy(), sites["b"].to_numpy())
