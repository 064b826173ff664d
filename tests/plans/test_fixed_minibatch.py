"""Fixed minibatches: the worked example, the fixed point of a sweep, the mean of a sweep, steps that diverge."""

import warnings

import numpy as np
import pytest

from statkit.datasets import make_glm
from statkit.exceptions import BiasWarning
from statkit.plans import FixedMinibatch
from statkit.plans.fixed_minibatch import fixed_blocks
from statkit.regression import GLMClassifier, GLMRegressor, QuantileRegressor

I = np.arange(1, 31)
X30 = np.column_stack([np.sin(I), np.cos(2 * I)])
YG = np.round(1 + 2 * np.sin(I) - np.cos(2 * I) + np.sin(5 * I), 3)


def quiet_fit(plan, X, y, family="gaussian", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BiasWarning)
        return GLMRegressor(family, plan=plan, **options).fit(X, y).estimate_


def design():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((10_000, 5))
    return X, X @ np.arange(1, 6) / 5 + rng.standard_normal(10_000)


def fixed_point(X, y, M, alpha):
    """The end of a sweep of a linear model in closed form, and the mean over the sweep."""
    q = X.shape[1]
    T, c = np.eye(q), np.zeros(q)
    maps = []
    for Xm, ym in zip(np.array_split(X, M), np.array_split(y, M), strict=True):
        A, v = np.eye(q) - alpha * Xm.T @ Xm / len(Xm), alpha * Xm.T @ ym / len(Xm)
        maps.append((A, v))
        T, c = A @ T, A @ c + v
    end = np.linalg.solve(np.eye(q) - T, c)
    b, path = end, []
    for A, v in maps:
        b = A @ b + v
        path.append(b)
    return end, np.mean(path, axis=0), np.abs(np.linalg.eigvals(T)).max()


def test_worked_example():
    plan = FixedMinibatch(3, step=0.3, epochs=200, tol=1e-24, average="last")
    np.testing.assert_allclose(
        quiet_fit(plan, X30, YG).params, [0.9855028194, 1.9082452199, -0.8886557768], atol=1e-10
    )
    plan = FixedMinibatch(3, step=0.3, epochs=200, tol=1e-24)
    np.testing.assert_allclose(
        quiet_fit(plan, X30, YG).params, [0.9872963376, 1.9277817086, -0.8933366592], atol=1e-10
    )
    end, mean, radius = fixed_point(np.column_stack([np.ones(30), X30]), YG, 3, 0.3)
    np.testing.assert_allclose(radius, 0.6182439858, atol=1e-10)


@pytest.mark.parametrize(("M", "alpha"), [(10, 0.2), (100, 0.05)])
def test_limit_is_the_fixed_point(M, alpha):
    X, y = design()
    end, mean, _ = fixed_point(X, y, M, alpha)
    for average, limit in (("last", end), ("cycle", mean)):
        plan = FixedMinibatch(M, step=alpha, epochs=200, tol=1e-22, average=average)
        np.testing.assert_allclose(quiet_fit(plan, X, y, fit_intercept=False).params, limit, atol=1e-9)


@pytest.mark.parametrize(
    ("M", "alpha", "end", "mean"), [(100, 0.2, 4.95, 0.072), (100, 0.05, 1.73, 0.041), (10, 0.2, 0.56, 0.019)]
)
def test_published_distances(M, alpha, end, mean):
    X, y = design()
    exact = GLMRegressor(fit_intercept=False).fit(X, y).estimate_
    for average, distance in (("last", end), ("cycle", mean)):
        plan = FixedMinibatch(M, step=alpha, epochs=100, tol=1e-16, average=average)
        e = quiet_fit(plan, X, y, fit_intercept=False)
        rms = np.sqrt((((e.params - exact.params) / exact.bse) ** 2).mean())
        np.testing.assert_allclose(rms, distance, rtol=0.12)
        said = e.diagnostics["value"].iloc[0]
        np.testing.assert_allclose(said, rms, rtol=0.1)


def test_first_order_bias_of_the_end():
    """−(α/M) A⁻¹ Σ_k A_k Σ_{j<k} g_j with g_j the block's score at least squares."""
    X, y = design()
    M, alpha = 10, 0.002
    ols = np.linalg.lstsq(X, y)[0]
    before, total = np.zeros(5), np.zeros(5)
    for Xm, ym in zip(np.split(X, M), np.split(y, M), strict=True):
        A, g = Xm.T @ Xm / len(Xm), Xm.T @ (ym - Xm @ ols) / len(Xm)
        total += A @ before
        before += g
    bias = -alpha / M * np.linalg.solve(X.T @ X / len(X), total)
    end = fixed_point(X, y, M, alpha)[0]
    np.testing.assert_allclose(end - ols, bias, rtol=0.05, atol=1e-7)


def test_shuffling_and_drawing_are_worse():
    X, y = design()
    exact = GLMRegressor(fit_intercept=False).fit(X, y).estimate_
    far = {}
    for schedule in ("fixed", "shuffle", "replace"):
        plan = FixedMinibatch(100, step=0.05, epochs=30, schedule=schedule)
        e = quiet_fit(plan, X, y, fit_intercept=False, random_state=0)
        far[schedule] = np.sqrt((((e.params - exact.params) / exact.bse) ** 2).mean())
    assert far["fixed"] < 0.06 < min(far["shuffle"], far["replace"])


def test_momentum_buffer_and_decay():
    X, y = design()
    exact = GLMRegressor(fit_intercept=False).fit(X, y).estimate_

    def distance(**options):
        e = quiet_fit(FixedMinibatch(**options), X, y, fit_intercept=False)
        return np.sqrt((((e.params - exact.params) / exact.bse) ** 2).mean())

    slow = distance(n_blocks=100, step=0.01, epochs=80, tol=1e-12, average="last")
    fast = distance(n_blocks=100, step=0.01, epochs=80, tol=1e-12, average="last", momentum=0.9)
    assert fast > 3 * slow  # the bias follows α / (1 − m)
    assert distance(n_blocks=100, step=0.01, epochs=80, tol=1e-12, momentum=0.9) < 0.1
    buffered = dict(n_blocks=10, schedule="buffered", batch_size=200, step=0.01, epochs=60, tol=1e-12)
    once, often = (distance(average="last", sweeps=s, **buffered) for s in (1, 5))
    assert often > 2 * once
    assert distance(sweeps=1, **buffered) < 0.02
    falling = distance(n_blocks=100, step=0.2, epochs=60, tol=1e-12, average="last", decay="inverse")
    assert falling < 0.3
    for decay in ("halving", "cosine"):
        assert distance(n_blocks=100, step=0.2, epochs=60, tol=0.0, average="last", decay=decay) < 1.0


@pytest.mark.parametrize("family", ["binomial", "poisson", "gamma"])
def test_other_families_with_the_step_it_chooses(family):
    X, y, _ = make_glm(20_000, 4, family=family, random_state=0)
    exact = GLMRegressor(family).fit(X, y).estimate_
    with warnings.catch_warnings():
        warnings.simplefilter("error", BiasWarning)
        e = GLMRegressor(family, plan=FixedMinibatch(20, epochs=200)).fit(X, y).estimate_
    assert np.sqrt((((e.params - exact.params) / exact.bse) ** 2).mean()) < 0.1
    np.testing.assert_allclose(e.bse, exact.bse, rtol=0.01)
    refined = GLMRegressor(family, plan=FixedMinibatch(20, epochs=200, refine="newton")).fit(X, y).estimate_
    assert (np.abs(refined.params - exact.params) < 1e-3 * exact.bse).all()


def test_softmax_weights_and_ridge():
    X, y, _ = make_glm(6_000, 3, family="multinomial", random_state=0)
    exact = GLMClassifier().fit(X, y).estimate_
    e = GLMClassifier(plan=FixedMinibatch(10, epochs=200)).fit(X, y).estimate_
    assert (np.abs(e.params - exact.params) < 0.2 * exact.bse).all()
    X, y, _ = make_glm(2_000, 3, random_state=0)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 2_000)
    plan = FixedMinibatch(4, step=0.1, epochs=300, tol=1e-20)
    ridge = GLMRegressor(alpha=0.3).fit(X, y).estimate_
    np.testing.assert_allclose(quiet_fit(plan, X, y, alpha=0.3).params, ridge.params, atol=2e-3)
    exact = GLMRegressor().fit(X, y, sample_weight=weight).estimate_
    e = GLMRegressor(plan=plan).fit(X, y, sample_weight=weight).estimate_
    np.testing.assert_allclose(e.params, exact.params, atol=2e-3)


def test_local_quadratic_steps():
    from statkit.design.block import make_block
    from statkit.plans.fixed_minibatch import local_quadratic_step

    class Model:
        from statkit.families import Gaussian

        family, shape, center, scale = Gaussian(), np.empty(0), np.empty(0), np.empty(0)

    block = make_block(X30[:10], n_rows=10, y=YG[:10])
    X = np.column_stack([np.ones(10), X30[:10]])
    g = X.T @ YG[:10] / 10
    for probe in (0.3, 1.0, 4.0):
        step = local_quadratic_step(Model, block, np.zeros(3), g, 0.5 * YG[:10] @ YG[:10], probe)
        np.testing.assert_allclose(step, 1.1143208481, atol=1e-9)
        np.testing.assert_allclose(step, g @ g / (g @ X.T @ X @ g / 10), rtol=1e-12)
    X, y = design()
    plan = FixedMinibatch(1, step="lqa", epochs=200, tol=1e-10)
    exact = GLMRegressor(fit_intercept=False).fit(X, y).estimate_
    np.testing.assert_allclose(quiet_fit(plan, X, y, fit_intercept=False).params, exact.params, atol=1e-5)


def test_a_biased_end_is_said():
    X, y = design()
    with pytest.warns(BiasWarning, match="standard errors from the maximum"):
        e = GLMRegressor(plan=FixedMinibatch(100, step=0.2, average="last")).fit(X, y).estimate_
    assert "WARN" in e.diagnostics["verdict"].tolist()


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_divergence_is_said(family):
    X, y, _ = make_glm(2_000, 3, family=family, random_state=0)
    model = GLMRegressor(family, plan=FixedMinibatch(5, step=500.0, epochs=100))
    with pytest.raises(ValueError, match=r"step 500 diverged .* largest eigenvalue"):
        model.fit(X, y)
    assert not hasattr(model, "coef_")


def test_blocks_are_cut_anew():
    from statkit.design.block import make_block

    y = np.arange(100.0)
    parts = [
        make_block(y[a:b, None], n_rows=b - a, y=y[a:b], rows=a) for a, b in ((0, 7), (7, 60), (60, 100))
    ]
    for sizes in ([100], [50, 50], [7, 53, 40], [3, 1, 56, 20, 20]):
        out = list(fixed_blocks(iter(parts), sizes))
        assert [block.n_rows for block in out] == sizes
        np.testing.assert_array_equal(np.concatenate([block.y for block in out]), y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": -1.0}, "step"), ({"step": "newton"}, "step"), ({"momentum": 1.0}, "momentum"),
        ({"average": "mean"}, "average"), ({"schedule": "random"}, "schedule"), ({"decay": "log"}, "decay"),
        ({"n_blocks": 0}, "n_blocks"), ({"n_blocks": 1_000}, "cannot be split"), ({"epochs": 0}, "epochs"),
    ],
)  # fmt: skip
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        GLMRegressor(plan=FixedMinibatch(**options)).fit(X30, YG)


def test_losses_without_curvature_are_refused():
    with pytest.raises(ValueError, match="curvature"):
        QuantileRegressor(plan=FixedMinibatch(3)).fit(X30, YG)
