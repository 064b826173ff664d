"""Stochastic gradients: worked numbers, equal answers however rows arrive, every method's errors, bad settings."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from statkit.datasets import make_glm
from statkit.exceptions import DriftWarning
from statkit.families import Binomial, Gamma, Gaussian, NegativeBinomial, Poisson, Quantile, Tweedie
from statkit.families.row_link import fill, link_code
from statkit.plans import AveragedSGD
from statkit.plans import _sgd_kernels as k
from statkit.regression import GLMClassifier, GLMRegressor, QuantileRegressor

I = np.arange(1, 31)
X30 = np.column_stack([np.sin(I), np.cos(2 * I)])
YB = ((7 * I) % 10 < 5).astype(float)


def worked(method, inference):
    plan = AveragedSGD(
        method, "none", inference, 1, start=np.zeros(3), learning_rate="power", eta0=0.5, power=0.505
    )
    return GLMRegressor("binomial", plan=plan).fit(X30, YB).estimate_


# -- worked example ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "mean", "last", "scaling"),
    [
        (
            "sgd", [-0.0538154319, 0.0454079929, 0.5043640653], [-0.0084368991, -0.0385003836, 0.5860709658],
            [0.0004156972, 0.0005711832, 0.120569483],
        ),
        (
            "implicit", [-0.0451694256, 0.0382780457, 0.4654335014], [-0.0035172859, -0.0410555417, 0.5460101093],
            [0.000371832, 0.0004396723, 0.1072208139],
        ),
    ],
)  # fmt: skip
def test_worked_example(method, mean, last, scaling):
    e = worked(method, "rs")
    np.testing.assert_allclose(e.params, mean, atol=2e-10)
    np.testing.assert_allclose(30 * e.bse**2, scaling, rtol=2e-6)
    d = worked(method, "rs_diag")
    np.testing.assert_allclose(d.bse, e.bse, rtol=1e-8)
    plan = AveragedSGD(method, "none", None, 1, np.zeros(3), learning_rate="power", eta0=0.5, average=False)
    np.testing.assert_allclose(
        GLMRegressor("binomial", plan=plan).fit(X30, YB).estimate_.params, last, atol=2e-10
    )


def test_worked_example_of_batch_means_and_plug_in():
    obm = 30 * worked("sgd", "obm").bse ** 2
    np.testing.assert_allclose(obm, [0.0013839524, 0.0021809417, 0.500470258], rtol=1e-7)
    plug_in = 30 * worked("sgd", "plugin").bse ** 2
    np.testing.assert_allclose(plug_in, [4.2643791075, 8.1389444532, 8.5062204206], rtol=1e-9)


def direct(X, y, steps, method="sgd", m=0.9, b1=0.9, b2=0.999):
    """Gaussian paths of batches of 10 in numpy, iterate by iterate."""
    b, v, s, top = (np.zeros(X.shape[1]) for _ in range(4))
    out = []
    for t, gamma in enumerate(steps, 1):
        rows = slice(10 * (t - 1), 10 * t)
        at = b + m * v if method == "nesterov" else b
        g = -X[rows].T @ (y[rows] - X[rows] @ at) / 10
        if method == "sgd":
            b = b - gamma * g
        elif method in ("momentum", "nesterov"):
            v = m * v - gamma * g
            b = b + v
        elif method == "adagrad":
            s = s + g * g
            b = b - gamma * g / (np.sqrt(s) + 1e-8)
        elif method == "rmsprop":
            s = b2 * s + (1 - b2) * g * g
            b = b - gamma * g / (np.sqrt(s) + 1e-8)
        else:
            v, s = b1 * v + (1 - b1) * g, b2 * s + (1 - b2) * g * g
            top = np.maximum(top, s) if method == "amsgrad" else s
            b = b - gamma * (v / (1 - b1**t)) / (np.sqrt(top / (1 - b2**t)) + 1e-8)
        out.append(b)
    return np.array(out)


@pytest.mark.parametrize("method", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "amsgrad"])
@pytest.mark.parametrize("power", [0.505, 0.75])
def test_methods_are_their_formulas(method, power):
    X, y, _ = make_glm(200, 3, random_state=0)
    steps = 0.05 * np.arange(1, 21.0) ** -power
    plan = AveragedSGD(method, "none", None, 10, np.zeros(3), eta0=0.05, power=power)
    path = direct(X, y, steps, method)
    model = GLMRegressor(plan=plan, fit_intercept=False)
    np.testing.assert_allclose(model.fit(X, y).coef_, path.mean(axis=0), rtol=1e-9)
    model.plan = clone(plan).set_params(average=False)
    np.testing.assert_allclose(model.fit(X, y).coef_, path[-1], rtol=1e-9)
    model.plan = clone(plan).set_params(average_from=5)
    np.testing.assert_allclose(model.fit(X, y).coef_, path[5:].mean(axis=0), rtol=1e-9)


@pytest.mark.parametrize(
    ("rate", "formula"),
    [
        ("constant", lambda t: 0.1 + 0 * t),
        ("power", lambda t: 0.1 * (t + 3.0) ** -0.6),
        ("xu", lambda t: 0.1 * (1 + 0.5 * 0.1 * t) ** -0.6),
        ("exponential", lambda t: 0.1 * np.exp(-0.5 * t)),
        ("step", lambda t: 0.1 * 0.5 ** np.floor(0.5 * t)),
    ],
)
def test_rates(rate, formula):
    plan = AveragedSGD(learning_rate=rate, power=0.6, decay=0.5, t0=3.0)
    np.testing.assert_allclose(plan.rates(0.1, 4, 3), formula(np.array([5.0, 6.0, 7.0])))


def test_pilot_metric_is_whitening():
    """Multiplying gradients by H⁻¹ = L⁻ᵀL⁻¹ is descent in whitened columns, transformed back."""
    X, y, _ = make_glm(600, 3, random_state=1)
    plan = AveragedSGD(batch_size=10, pilot_rows=100, eta0=0.3, inference=None)
    fit = GLMRegressor(plan=plan, fit_intercept=False).fit(X, y)
    H = X[:100].T @ X[:100] / 100
    L = np.linalg.cholesky(H)
    Z = np.linalg.solve(L, X.T).T
    start = L.T @ np.linalg.solve(X[:100].T @ X[:100] + 1e-6 * np.eye(3), X[:100].T @ y[:100])
    white = AveragedSGD("sgd", "none", None, 10, start, eta0=0.3)
    other = GLMRegressor(plan=white, fit_intercept=False).fit(Z, y)
    np.testing.assert_allclose(fit.coef_, np.linalg.solve(L.T, other.coef_), rtol=1e-7)


def test_scaling_of_columns_changes_nothing():
    X, y, _ = make_glm(3_000, 3, family="binomial", random_state=0)
    raw = GLMClassifier(plan=AveragedSGD()).fit(X, y).estimate_
    scaled = GLMClassifier(plan=AveragedSGD()).fit(1_000 * X + 5e4, y).estimate_
    np.testing.assert_allclose(scaled.params[1:] * 1_000, raw.params[1:], rtol=2e-3)
    np.testing.assert_allclose(scaled.bse[1:] * 1_000, raw.bse[1:], rtol=1e-3)
    for inference in ("rs", "rs_diag"):
        plan = AveragedSGD(inference=inference, precondition="none")
        raw = GLMClassifier(plan=plan).fit(X, y).estimate_
        far = GLMClassifier(plan=plan).fit(1_000 * X, y).estimate_
        np.testing.assert_allclose(np.isfinite(far.bse), True)
    one = GLMClassifier(plan=AveragedSGD(inference="rs")).fit(1_000 * X + 5e4, y).estimate_
    two = GLMClassifier(plan=AveragedSGD(inference="rs_diag")).fit(1_000 * X + 5e4, y).estimate_
    np.testing.assert_allclose(two.bse, one.bse, rtol=1e-5)


# -- implicit steps ---------------------------------------------------------------------------------------------------


def test_scalar_roots():
    assert abs(k.scalar_root(1, 0.0, 0.3, 2.0, 1.0, 1.0) - 0.292247267408) < 1e-12
    assert abs(k.scalar_root(2, 0.0, 0.3, 2.0, 4.0, 1.0) - 0.479326196386) < 1e-12
    assert abs(k.scalar_root(0, 0.0, 0.3, 2.0, 1.3, 1.0) - 1.0 / 3.0) < 1e-15


@given(st.floats(-20, 20), st.floats(1e-3, 1e3), st.sampled_from([0, 1, 2, 3, 4]), st.floats(0.1, 5))
@settings(max_examples=100, deadline=None)
def test_scalar_roots_solve_their_equation(eta0, c, code, weight):
    y, parameter = 1.0, 0.3
    xi = k.scalar_root(code, parameter, eta0, c, y, weight)
    r, w = np.empty(1), np.empty(1)
    at = np.array([eta0 + c * xi])
    fill(code, parameter, at, np.array([y]), np.array([weight]), r, w)
    if code == 3:  # a subgradient
        assert weight * (parameter - 1) - 1e-12 <= xi <= weight * parameter + 1e-12
        if abs(at[0] - y) > 1e-9 * (1 + abs(eta0) + c):
            np.testing.assert_allclose(xi, r[0])
    else:
        np.testing.assert_allclose(at[0], eta0 + c * r[0], rtol=1e-7, atol=1e-7 * (1 + c * w[0]))


@pytest.mark.parametrize("size", [2, 40])
def test_implicit_batches_are_proximal_steps(size):
    """Gradient at the step's end: b = b₀ + γ H⁻¹ ḡ(b), for fewer rows than columns and for more."""
    X, y, _ = make_glm(size, 5, family="binomial", random_state=3)
    plan = AveragedSGD("implicit", "none", None, size, np.zeros(5), eta0=2.0, average=False)
    b = GLMRegressor("binomial", plan=plan, fit_intercept=False).fit(X, y).coef_
    g = X.T @ (y - 1 / (1 + np.exp(-X @ b))) / size
    np.testing.assert_allclose(b, 2.0 * g, atol=1e-8)
    weighted = GLMRegressor("binomial", plan=plan, fit_intercept=False, alpha=0.1)
    b = weighted.fit(X, y, sample_weight=np.full(size, 2.0)).coef_
    g = 2 * X.T @ (y - 1 / (1 + np.exp(-X @ b))) / size - 0.1 * b
    np.testing.assert_allclose(b, 2.0 * g, atol=1e-7)


class Huber(Gaussian):
    """A loss of a user: no compiled link."""

    def link(self, eta, y, weight, shape, context, r, w):
        e = y - eta
        np.clip(e, -1.345, 1.345, out=r)
        w[:] = np.abs(e) <= 1.345
        loss = r * e - 0.5 * r * r
        if weight is not None:
            loss, r[:], w[:] = loss * weight, r * weight, w * weight
        return float(loss.sum())

    quadratic = False


class Plain(Gaussian):
    """Least squares that the compiled loops do not know."""


@pytest.mark.parametrize("method", ["sgd", "nesterov", "adam", "implicit"])
def test_losses_of_users_take_the_same_steps(method):
    X, y, _ = make_glm(1_100, 3, random_state=0)
    assert link_code(Plain()) is None
    for options in ({}, {"inference": "hulc"}, {"inference": "bootstrap", "n_chains": 3}):
        if method == "adam" and options.get("inference") == "bootstrap":
            continue
        plan = AveragedSGD(method, pilot_rows=200, **options)
        one = GLMRegressor(Gaussian(), plan=plan).fit(X, y).estimate_
        two = GLMRegressor(Plain(), plan=plan).fit(X, y).estimate_
        np.testing.assert_allclose(two.params, one.params, rtol=1e-7)
        np.testing.assert_allclose(two.bse, one.bse, rtol=1e-6)


def test_huber_loss_of_a_user_resists_outliers():
    X, y, coef = make_glm(20_000, 3, random_state=0)
    y = y.copy()
    y[::50] += 30.0
    for method in ("sgd", "implicit"):
        plan = AveragedSGD(method, inference="rs")
        e = GLMRegressor(Huber(), plan=plan).fit(X, y).estimate_
        assert np.abs(e.params[1:] - coef).max() < 0.1
        assert e.reference == "random scaling"


# -- families, rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "family",
    [Binomial(), Gaussian(), Poisson(), Gamma(), NegativeBinomial(alpha=0.5), Tweedie(1.5), Quantile(0.3)],
)
def test_compiled_links_are_the_families(family):
    rng = np.random.default_rng(0)
    eta, weight = rng.normal(size=50), rng.uniform(0.5, 2, 50)
    y = (rng.random(50) < 0.5).astype(float) + (family.name == "gamma")
    for a in (None, weight):
        r, w, r2, w2 = (np.empty(50) for _ in range(4))
        loss = family.link(eta.copy(), y, a, np.empty(0), None, r, w)
        code, parameter = link_code(family)
        again = fill(code, parameter, eta, y, np.empty(0) if a is None else a, r2, w2)
        np.testing.assert_allclose([again, *r2, *w2], [loss, *r, *w], rtol=1e-13)
        h = 1e-6
        ahead = [fill(code, parameter, eta + s, y, np.empty(0) if a is None else a, r2, w2) for s in (h, -h)]
        np.testing.assert_allclose((ahead[1] - ahead[0]) / (2 * h), r.sum(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "link"),
    [("gaussian", None), ("poisson", None), ("gamma", None), ("tweedie", None), ("binomial", "probit")],
)
def test_families_end_near_the_estimate(family, link):
    X, y, _ = make_glm(20_000, 4, family="binomial" if link else family, random_state=2)
    exact = GLMRegressor(family, link=link, cov_type="HC0").fit(X, y).estimate_
    e = GLMRegressor(family, link=link, plan=AveragedSGD()).fit(X, y).estimate_
    assert np.sqrt((((e.params - exact.params) / exact.bse) ** 2).mean()) < 0.8
    np.testing.assert_allclose(e.bse, exact.bse, rtol=0.1)
    np.testing.assert_allclose(e.scale, exact.scale, rtol=0.05)


def test_softmax():
    X, y, _ = make_glm(20_000, 3, family="multinomial", random_state=0)
    exact = GLMClassifier(cov_type="HC0").fit(X, y).estimate_
    model = GLMClassifier(plan=AveragedSGD()).fit(X, y)
    e = model.estimate_
    assert np.sqrt((((e.params - exact.params) / exact.bse) ** 2).mean()) < 0.8
    np.testing.assert_allclose(e.bse, exact.bse, rtol=0.1)
    assert model.coef_.shape == (3, 3)
    for inference in ("rs", "rs_diag"):
        e = GLMClassifier(plan=AveragedSGD(inference=inference)).fit(X, y).estimate_
        assert np.isfinite(e.bse).all()


def test_quantiles_with_random_scaling():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 3))
    y = 1 + X @ [1.0, 0.5, 0.0] + rng.standard_t(5, 40_000)
    exact = QuantileRegressor(0.8).fit(X, y).estimate_
    e = QuantileRegressor(0.8, plan=AveragedSGD()).fit(X, y).estimate_
    assert e.reference == "random scaling" and e.cov_type == "random scaling"
    assert (np.abs(e.params - exact.params) < 2 * exact.bse).all()
    one = QuantileRegressor(0.8, plan=AveragedSGD("implicit", batch_size=1)).fit(X[:10_000], y[:10_000])
    assert (np.abs(one.estimate_.params - exact.params) < 5 * exact.bse).all()


def test_categories_in_codes_are_the_columns_they_stand_for():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.standard_normal(4_000), "c": rng.choice(list("abcd"), 4_000)})
    eta = frame.x + frame.c.map({"a": 0, "b": 0.5, "c": -0.5, "d": 1})
    frame["y"] = (rng.random(4_000) < 1 / (1 + np.exp(-eta))).astype(int)
    coded = GLMClassifier(formula="y ~ x + C(c)", plan=AveragedSGD()).fit(frame)
    wide = np.column_stack([frame.x] + [(frame.c == level) for level in "bcd"]).astype(float)
    dense = GLMClassifier(plan=AveragedSGD()).fit(wide, frame.y.to_numpy())
    np.testing.assert_allclose(
        coded.estimate_.params[["Intercept", "x", "C(c)[T.b]", "C(c)[T.c]", "C(c)[T.d]"]],
        dense.estimate_.params, rtol=1e-8,
    )  # fmt: skip


@pytest.mark.parametrize("inference", [None, "plugin", "rs_diag"])
def test_sparse_rows_are_dense_rows(inference):
    """Lazy averages, and lazy sums of random scaling."""
    rng = np.random.default_rng(0)
    S = sparse.random_array((3_000, 30), density=0.1, rng=rng, format="csr")
    y = (rng.random(3_000) < 1 / (1 + np.exp(-S.sum(axis=1)))).astype(float)
    for precondition in ("none", "diag"):
        plan = AveragedSGD("sgd", precondition, inference, 16, pilot_rows=500)
        lazy = GLMRegressor("binomial", plan=plan).fit(S, y)
        assert lazy._stream.state.drift is not None if inference != "plugin" else True
        dense = GLMRegressor("binomial", plan=plan).fit(S.toarray(), y)
        start = dense._stream.state.start
        plan = clone(plan).set_params(start=start, eta0=0.5)
        lazy = GLMRegressor("binomial", plan=plan).fit(S, y).estimate_
        dense = GLMRegressor("binomial", plan=plan).fit(S.toarray(), y).estimate_
        np.testing.assert_allclose(lazy.params, dense.params, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(lazy.bse, dense.bse, rtol=1e-5)


def test_very_many_sparse_columns():
    rng = np.random.default_rng(0)
    S = sparse.random_array((3_000, 50_000), density=4e-4, rng=rng, format="csr")
    y = (rng.random(3_000) < 0.5).astype(int)
    model = GLMClassifier(plan=AveragedSGD()).fit(S, y)
    e = model.estimate_
    assert e.covariance.ndim == 1 and e.reference == "random scaling"
    assert any("Too many columns" in note for note in e.notes)
    assert model.predict_proba(S[:5]).shape == (5, 2)
    with pytest.raises(ValueError, match="no covariance"):
        model.predict_interval(S[:5])
    with pytest.raises(ValueError, match="rs_diag"):
        GLMClassifier(plan=AveragedSGD(inference="plugin")).fit(S, y)


# -- however rows arrive ----------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 700), min_size=1, max_size=8),
    st.sampled_from(["plugin", "rs", "bootstrap", "hulc"]),
)
@settings(max_examples=12, deadline=None)
def test_any_batching_gives_the_same_path(sizes, inference):
    n = sum(sizes)
    X, y, _ = make_glm(n, 2, family="binomial", random_state=0)
    options = {"pilot_rows": 100, "n_chains": 4, "batch_size": 16}
    split = GLMRegressor("binomial", plan=AveragedSGD(inference=inference, **options))
    for a, b in zip(np.cumsum([0, *sizes]), np.cumsum(sizes), strict=False):
        split.partial_fit(X[a:b], y[a:b])
    whole = GLMRegressor("binomial", plan=AveragedSGD(inference=inference, **options)).partial_fit(X, y)
    if n >= 100:
        assert np.array_equal(split._stream.state.chains.b, whole._stream.state.chains.b)
        np.testing.assert_allclose(split.coef_, whole.coef_, rtol=1e-12)
        np.testing.assert_allclose(split.estimate_._bse, whole.estimate_._bse, rtol=1e-9)
    assert split.estimate_.nobs == n


def test_coefficients_are_the_estimates_with_rows_that_wait():
    X, y, _ = make_glm(1_050, 3, random_state=0)
    model = GLMRegressor(plan=AveragedSGD())
    for start in range(0, 1_050, 70):
        model.partial_fit(X[start : start + 70], y[start : start + 70])
        np.testing.assert_allclose(model.coef_, model.estimate_.params[1:])
        assert model.estimate_.nobs == min(start + 70, 1_050)


@pytest.mark.parametrize("engine", ["serial", "threads"])
def test_engines_and_partitions_do_not_matter(engine, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    X, y, _ = make_glm(5_000, 2, family="binomial", random_state=0)
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(y=y)
    fits = []
    for rows in (700, 5_000):
        path = tmp_path / f"{rows}.parquet"
        pq.write_table(pa.Table.from_pandas(frame), path, row_group_size=rows)
        model = GLMRegressor("binomial", formula="y ~ a + b", plan=AveragedSGD(), engine=engine)
        fits.append(model.fit(path).estimate_)
    array = GLMRegressor("binomial", plan=AveragedSGD(), engine=engine).fit(X, y).estimate_
    for fit in fits:
        np.testing.assert_allclose(fit.params, array.params, rtol=1e-9)
        np.testing.assert_allclose(fit.bse, array.bse, rtol=1e-9)


def test_a_bad_batch_changes_nothing_and_the_stream_goes_on():
    X, y, _ = make_glm(3_000, 2, family="poisson", random_state=0)
    model = GLMRegressor("poisson", plan=AveragedSGD()).partial_fit(X[:2_000], y[:2_000])
    before = pickle.dumps(model._stream.state)
    bad = X[2_000:].copy()
    bad[5, 1] = np.nan
    with pytest.raises(ValueError, match="batch 2"):
        model.partial_fit(bad, y[2_000:])
    with pytest.raises(ValueError, match="response"):
        model.partial_fit(X[2_000:], -y[2_000:] - 1)
    wild = X[2_000:] * 1e6
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit(wild, y[2_000:])
    assert pickle.dumps(model._stream.state) == before
    resumed = pickle.loads(pickle.dumps(model)).partial_fit(X[2_000:], y[2_000:])
    model.partial_fit(X[2_000:], y[2_000:])
    straight = GLMRegressor("poisson", plan=AveragedSGD()).partial_fit(X, y)
    np.testing.assert_array_equal(resumed.coef_, model.coef_)
    np.testing.assert_allclose(model.coef_, straight.coef_, rtol=1e-12)


def test_rows_that_wait_are_the_streams_own():
    X, y, _ = make_glm(2_000, 2, random_state=0)
    model = GLMRegressor(plan=AveragedSGD())
    for start in range(0, 2_000, 100):
        batch, response = X[start : start + 100].copy(), y[start : start + 100].copy()
        model.partial_fit(batch, response)
        batch[:], response[:] = 1e9, 1e9
    np.testing.assert_allclose(
        model.coef_, GLMRegressor(plan=AveragedSGD()).partial_fit(X, y).coef_, rtol=1e-12
    )


def test_streams_without_rows():
    X, y, _ = make_glm(1_500, 2, random_state=0)
    model = GLMRegressor(plan=AveragedSGD()).partial_fit(X[:5], y[:5], sample_weight=np.zeros(5))
    with pytest.raises(ValueError, match="no row of positive weight"):
        model.estimate_  # noqa: B018
    assert model.partial_fit(X, y).estimate_.nobs == 1_500
    with pytest.raises(ValueError, match="sample weight is zero"):
        GLMRegressor(plan=AveragedSGD()).fit(X, y, sample_weight=np.zeros(1_500))


def test_weights_of_zero_are_no_rows():
    X, y, _ = make_glm(3_000, 2, random_state=0)
    weight = (np.arange(3_000) % 3 > 0).astype(float)
    kept = weight > 0
    a = GLMRegressor(plan=AveragedSGD()).fit(X, y, sample_weight=weight).estimate_
    b = GLMRegressor(plan=AveragedSGD()).fit(X[kept], y[kept], sample_weight=weight[kept]).estimate_
    np.testing.assert_allclose(a.params, b.params, rtol=1e-10)
    assert a.nobs == b.nobs == kept.sum()


def test_merged_streams():
    X, y, _ = make_glm(40_000, 3, family="binomial", random_state=0)
    exact = GLMRegressor("binomial", cov_type="HC0").fit(X, y).estimate_
    halves = [GLMRegressor("binomial", plan=AveragedSGD()) for _ in range(2)]
    for half, model in enumerate(halves):
        model.partial_fit(X[half::2], y[half::2])
    e = halves[0].merge(halves[1]).estimate_
    assert e.nobs == 40_000
    assert (np.abs(e.params - exact.params) < exact.bse).all()
    np.testing.assert_allclose(e.bse, exact.bse, rtol=0.1)
    scaled = [GLMRegressor("binomial", plan=AveragedSGD(inference="rs")).partial_fit(X, y) for _ in range(2)]
    with pytest.raises(ValueError, match="one path"):
        scaled[0].merge(scaled[1])


def test_passes_and_shuffling_by_seed():
    X, y, _ = make_glm(10_000, 3, family="binomial", random_state=0)
    exact = GLMRegressor("binomial").fit(X, y).estimate_
    plan = AveragedSGD(n_passes=5, shuffle=True)
    fits = [GLMRegressor("binomial", plan=plan, random_state=s).fit(X, y).estimate_ for s in (0, 0, 1)]
    np.testing.assert_array_equal(fits[0].params, fits[1].params)
    assert not np.array_equal(fits[0].params, fits[2].params)
    assert fits[0].nobs == 10_000 and fits[0].n_passes == 5
    once = GLMRegressor("binomial", plan=AveragedSGD()).fit(X, y).estimate_
    far = [np.abs((e.params - exact.params) / exact.bse).max() for e in (once, fits[0])]
    assert far[1] < far[0] and far[1] < 0.3


@pytest.mark.parametrize("method", ["sgd", "adam", "implicit"])
def test_a_newton_step_makes_any_of_them_the_estimate(method):
    X, y, _ = make_glm(20_000, 3, family="binomial", random_state=0)
    exact = GLMRegressor("binomial").fit(X, y).estimate_
    e = GLMRegressor("binomial", plan=AveragedSGD(method, refine="newton")).fit(X, y).estimate_
    assert (np.abs(e.params - exact.params) < 0.01 * exact.bse).all()
    np.testing.assert_allclose(e.bse, exact.bse, rtol=1e-3)


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inference", "kind", "least", "most"),
    [
        ("plugin", "plug-in sandwich", 0.9, 1.1), ("rs", "random scaling", 0.1, 1.2),
        ("rs_diag", "random scaling, diagonal", 0.1, 1.2), ("obm", "overlapping batch means", 0.3, 1.5),
        ("ibm", "increasing batch means", 0.2, 1.6), ("tbatch", "equal batch means", 0.2, 2.0),
        ("bootstrap", "online bootstrap", 0.6, 1.5), ("higrad", "HiGrad", 0.1, 3.5),
    ],
)  # fmt: skip
def test_every_inference_is_of_the_size_of_the_errors(inference, kind, least, most):
    X, y, _ = make_glm(30_000, 3, family="binomial", random_state=1)
    exact = GLMRegressor("binomial", cov_type="HC0").fit(X, y).estimate_
    plan = AveragedSGD(inference=inference, batch_size=16, n_chains=40)
    e = GLMRegressor("binomial", plan=plan).fit(X, y).estimate_
    assert e.cov_type == kind and kind in str(e.summary())
    ratio = np.sqrt(np.mean(e.bse**2 / exact.bse**2))
    assert least < ratio < most
    if inference not in ("rs_diag",):
        assert e.wald_test("x0 = x1").pvalue <= 1
    assert (e.conf_int()[0] < e.conf_int()[1]).all()


def test_increasing_and_equal_blocks_are_their_formulas():
    X, y, _ = make_glm(640, 1, random_state=0)
    steps = 0.05 * np.arange(1, 65.0) ** -0.505
    path = direct(X, y, steps)
    plan = AveragedSGD("sgd", "none", "tbatch", 10, np.zeros(1), eta0=0.05, n_blocks=4)
    e = GLMRegressor(plan=plan, fit_intercept=False).fit(X, y).estimate_
    # Blocks double from 1: 64 iterates are 8 blocks of 8 when the last arrives.
    means = path[:64].reshape(8, 8).mean(axis=1)
    np.testing.assert_allclose(e.bse.iloc[0], means.std(ddof=1) / np.sqrt(8), rtol=1e-8)
    assert e.df_resid_inference == 7
    plan = AveragedSGD("sgd", "none", "ibm", 10, np.zeros(1), eta0=0.05)
    e = GLMRegressor(plan=plan, fit_intercept=False).fit(X, y).estimate_
    ends = np.unique(np.floor(((np.arange(11) + 1) / 11) ** (1 / 0.495) * 64).clip(1).astype(int))
    ends[-1] = 64
    parts = np.split(path[:, 0], ends[:-1])[1:]
    m, size = np.array([part.mean() for part in parts]), np.array([len(part) for part in parts])
    V = (size * (m - np.average(m, weights=size)) ** 2).sum() / len(parts)
    np.testing.assert_allclose(e.bse.iloc[0] ** 2, V / 64, rtol=1e-8)


def test_bootstrap_chains_are_weighted_descents():
    from statkit.sampling import row_uniforms

    X, y, _ = make_glm(400, 2, random_state=0)
    plan = AveragedSGD("sgd", "none", "bootstrap", 10, np.zeros(2), eta0=0.05, n_chains=2)
    model = GLMRegressor(plan=plan, fit_intercept=False).fit(X, y)
    for c in (1, 2):
        u = row_uniforms(0, 1000 + c, 0, 400)
        b, total = np.zeros(2), np.zeros(2)
        for t in range(40):
            rows = slice(10 * t, 10 * t + 10)
            b = (
                b
                + 0.05 * (t + 1) ** -0.505 * X[rows].T @ (2 * (u[rows] < 0.5) * (y[rows] - X[rows] @ b)) / 10
            )
            total += b / 40
        np.testing.assert_allclose(model._stream.state.chains.mean[c], total, rtol=1e-9)


def test_hulc_limits_are_extremes_of_chains():
    X, y, _ = make_glm(6_000, 2, family="binomial", random_state=0)
    e = GLMRegressor("binomial", plan=AveragedSGD(inference="hulc")).fit(X, y).estimate_
    chains = np.array(e.chains)
    assert chains.shape == (6, 3)
    np.testing.assert_allclose(e.params, chains.mean(axis=0))
    np.testing.assert_allclose(e.conf_int()[0], chains.min(axis=0))
    assert e.bse.isna().all() and "extremes" in str(e.summary())
    many = AveragedSGD(inference="hulc", level=0.99)
    assert len(GLMRegressor("binomial", plan=many).fit(X, y).estimate_.chains) == 8


def test_last_iterate_has_its_own_law():
    """Linear model with steps 1/t: the last iterate is less exact than the mean, by the Lyapunov equation."""
    X, y, _ = make_glm(20_000, 2, random_state=0)
    plan = AveragedSGD("sgd", average=False, power=1.0, eta0=1.0, batch_size=1, pilot_rows=500)
    e = GLMRegressor(plan=plan).fit(X, y).estimate_
    exact = GLMRegressor(cov_type="HC0").fit(X, y).estimate_
    # In whitened coordinates γ₁ = 1 gives γ₁²/(2γ₁ − 1) = 1: the efficient variance.
    np.testing.assert_allclose(e.bse, exact.bse, rtol=0.1)
    plan = clone(plan).set_params(eta0=2.0)
    e = GLMRegressor(plan=plan).fit(X, y).estimate_
    np.testing.assert_allclose(e.bse, np.sqrt(4 / 3) * exact.bse, rtol=0.1)
    plan = clone(plan).set_params(eta0=0.4)
    with pytest.raises(ValueError, match="exceed 1/2"):
        GLMRegressor(plan=plan).fit(X, y)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"method": "adam"}, "adam"),
        ({"method": "adagrad"}, "adagrad"),
        ({"average": False}, "last iterate"),
        ({"learning_rate": "constant", "eta0": 0.1}, "constant rate"),
        ({"power": 0.4}, "1/2 < power"),
        ({"learning_rate": "step", "eta0": 0.1, "decay": 0.01}, "forgotten"),
        ({"inference": None}, "no inference"),
    ],
)
def test_no_errors_where_theory_gives_none(options, reason):
    X, y, _ = make_glm(3_000, 2, family="binomial", random_state=0)
    e = GLMRegressor("binomial", plan=AveragedSGD(**options)).fit(X, y).estimate_
    assert e.bse.isna().all() and e.pvalues.isna().all() and e.conf_int().isna().all().all()
    assert all(reason in why for why in e.why_nan.values()) and len(e.why_nan) == 3
    assert reason.split()[0] in str(e.summary())
    with pytest.raises(ValueError, match="no standard error"):
        e.wald_test("x0 = 0")
    assert np.isfinite(e.params).all()


def test_clusters():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(500), 20)
    X = rng.standard_normal((500, 2)).repeat(20, axis=0)
    y = X @ [1.0, -1.0] + rng.standard_normal(500).repeat(20) + rng.standard_normal(10_000)
    exact = GLMRegressor(cov_type="cluster").fit(X, y, groups=groups).estimate_
    e = GLMRegressor(cov_type="cluster", plan=AveragedSGD()).fit(X, y, groups=groups).estimate_
    np.testing.assert_allclose(e.bse, exact.bse, rtol=0.15)


def test_duplicate_columns_are_left_out():
    X, y, _ = make_glm(5_000, 3, random_state=0)
    with pytest.warns(UserWarning, match="linear combinations"):
        e = GLMRegressor(plan=AveragedSGD()).fit(np.column_stack([X, X[:, 0]]), y).estimate_
    single = GLMRegressor().fit(X, y).estimate_
    assert np.isnan(e.params["x3"])
    assert (np.abs(e.params.iloc[:4] - single.params) < single.bse).all()


def test_sorted_rows_are_noticed():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 2))
    y = X @ [1.0, 0.0] + np.repeat([0.0, 1.0], 10_000) + rng.standard_normal(20_000)
    with pytest.warns(DriftWarning, match="order"):
        GLMRegressor(plan=AveragedSGD()).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        order = rng.permutation(20_000)
        GLMRegressor(plan=AveragedSGD()).fit(X[order], y[order])


def test_no_drift_is_seen_where_there_is_none():
    p = []
    for seed in range(25):
        X, y, _ = make_glm(30_000, 3, family="binomial", random_state=seed)
        e = GLMRegressor("binomial", plan=AveragedSGD()).fit(X, y).estimate_
        p.append(e.diagnostics["value"].iloc[0])
    assert 0.5 < np.mean(p) < 2.0  # chi-squared over its degrees of freedom


# -- bad settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("gaussian", {"precondition": "none", "eta0": 50.0}),
        ("gaussian", {"eta0": 200.0}),
        ("poisson", {"precondition": "none", "eta0": 100.0}),
        ("gaussian", {"method": "momentum", "eta0": 20.0, "momentum": 0.99}),
        ("gaussian", {"method": "nesterov", "eta0": 50.0}),
    ],
)
def test_divergence_is_said(family, options):
    X, y, _ = make_glm(20_000, 5, family=family, random_state=0)
    plan = AveragedSGD(learning_rate="constant", inference=None, batch_size=8, **options)
    model = GLMRegressor(family, plan=plan)
    with pytest.raises(ValueError, match=r"diverged within .* smaller eta0"):
        model.fit(X, y)
    assert not hasattr(model, "coef_")


def test_implicit_steps_do_not_diverge():
    X, y, _ = make_glm(20_000, 5, random_state=0)
    plan = AveragedSGD("implicit", "none", None, 8, eta0=200.0, learning_rate="constant")
    assert np.isfinite(GLMRegressor(plan=plan).fit(X, y).coef_).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sag"}, "method"), ({"precondition": "full"}, "precondition"), ({"inference": "wald"}, "inference"),
        ({"batch_size": 0}, "batch_size"), ({"eta0": -1.0}, "eta0"), ({"power": 2.0}, "power"),
        ({"momentum": 1.0}, "momentum"), ({"betas": (0.9, 1.0)}, "betas"), ({"average_from": -1}, "average_from"),
        ({"learning_rate": "slow"}, "learning_rate"), ({"start": [0.0]}, "start"), ({"refine": "gauss"}, "refine"),
        ({"inference": "rs", "n_passes": 2}, "one pass"), ({"inference": "rs", "average": False}, "rs|last"),
        ({"inference": "higrad", "batch_size": 5_000}, "segments"), ({"inference": "higrad", "tree": (1,)}, "tree"),
        ({"inference": "hulc", "level": 1.0}, "level"), ({"n_chains": 1}, "n_chains"),
    ],
)  # fmt: skip
def test_bad_parameters(options, message):
    X, y, _ = make_glm(500, 2, random_state=0)
    if options.get("average") is False:
        options = options | {"power": 1.0}
    with pytest.raises(ValueError, match=message):
        GLMRegressor(plan=AveragedSGD(**options)).fit(X, y)


def test_what_streams_and_losses_cannot_do():
    X, y, _ = make_glm(500, 2, random_state=0)
    for options, message in (
        ({"refine": "newton"}, "reads rows again"), ({"n_passes": 2}, "reads rows again"),
        ({"inference": "higrad"}, "in advance"), ({"inference": "ibm"}, "in advance"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            GLMRegressor(plan=AveragedSGD(**options)).partial_fit(X, y)
    with pytest.raises(ValueError, match="curvature"):
        QuantileRegressor(plan=AveragedSGD(inference="plugin")).fit(X, y)
    with pytest.raises(ValueError, match="batch_size=1"):
        QuantileRegressor(plan=AveragedSGD("implicit")).fit(X, y)
    with pytest.raises(ValueError, match="shape"):
        GLMRegressor("negative_binomial", plan=AveragedSGD()).fit(X, np.abs(y))
    codes = np.arange(500) % 3
    with pytest.raises(ValueError, match="one predictor"):
        GLMClassifier(plan=AveragedSGD("implicit")).fit(X, codes)


@pytest.mark.parametrize("n", [1, 2, 5, 63, 64, 65])
def test_few_rows(n):
    X, y, _ = make_glm(100, 2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for inference in ("plugin", "rs", "tbatch", "obm", "bootstrap", "hulc", None):
            model = GLMRegressor(plan=AveragedSGD(inference=inference)).fit(X[:n], y[:n])
            assert np.isfinite(model.coef_).all()
            str(model.summary())


def test_separated_first_rows_do_not_carry_the_estimate_away():
    X, y, _ = make_glm(20_000, 2, family="binomial", random_state=0)
    first = np.argsort(y[:1_000], kind="stable")
    X[:1_000], y[:1_000] = X[:1_000][first], y[:1_000][first]
    level = (np.random.default_rng(0).random(20_000) < 2e-3).astype(float)
    exact = GLMRegressor("binomial").fit(np.column_stack([X, level]), y).estimate_
    e = GLMRegressor("binomial", plan=AveragedSGD()).fit(np.column_stack([X, level]), y).estimate_
    assert (np.abs(e.params - exact.params) < 3 * exact.bse).all()
