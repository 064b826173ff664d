"""What streams do beside maximum likelihood: other losses and errors, levels that come later, saved states."""

import json
import subprocess
import sys
import warnings
import zipfile
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit import glm
from statkit.datasets import make_glm
from statkit.exceptions import DriftWarning
from statkit.plans import Renewable
from statkit.plans._lags import LagSums
from statkit.plans._stream import _NARROW, _evaluate
from statkit.plans._stream_kernels import absorb_rows, batch_step
from statkit.plans._stream_losses import SmoothedQuantile, StreamHuber
from statkit.plans._stream_state import History
from statkit.regression import GLMClassifier, GLMRegressor, QuantileRegressor
from statkit.solvers.coordinate_descent import minimise

rng = np.random.default_rng(20)
QUIET = Renewable(on_drift="ignore")


def stream(model, X, y, size, **first):
    for start in range(0, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size], **first)
    return model


def distance(a, b):
    """Root mean square difference of two estimates, in standard errors of the second."""
    return float(np.sqrt((((a.params - b.params) / b.bse) ** 2).mean()))


# -- kernels beside their formulas --------------------------------------------------------------------------------


def test_a_step_and_its_statistic():
    q = 7
    M = rng.normal(size=(3, q, 40))
    A, H = M[0] @ M[0].T, M[1] @ M[1].T
    v, s, theta, penalty = rng.normal(size=(4, q))
    penalty = penalty**2
    step, squared, statistic, fine = batch_step(A, v, H, s, theta, penalty, True)
    total = A + H + np.diag(penalty)
    gradient = s + v - A @ theta - penalty * theta
    assert fine
    np.testing.assert_allclose(step, np.linalg.solve(total, gradient), rtol=1e-10)
    np.testing.assert_allclose(squared, gradient @ step, rtol=1e-10)
    np.testing.assert_allclose(
        statistic, s @ np.linalg.solve(H, s) - s @ np.linalg.solve(total, s), rtol=1e-10
    )
    assert not batch_step(np.zeros((q, q)), v, np.ones((q, q)), s, theta, 0 * penalty, True)[3]


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
@pytest.mark.parametrize("scaled", [False, True])
def test_one_sweep_is_the_general_evaluation(family, scaled, monkeypatch):
    X, y, _ = make_glm(700, 6, family=family, random_state=3)
    X = X * 100 + 3_000 if scaled else X
    a, offset = rng.random(700), 0.1 * rng.random(700)
    model = GLMRegressor(family, plan=QUIET, cov_type="HC0").partial_fit(X, y, sample_weight=a, offset=offset)
    state, problem = model._stream.state, model._stream.problem
    assert bool(state.center.size) == scaled
    fast = _evaluate(problem, state, state.buffer, state.theta, "rows")
    monkeypatch.setattr("statkit.plans._stream._NARROW", -1)
    slow = _evaluate(problem, state, state.buffer, state.theta, "rows")
    for name in ("loss", "information", "gradient", "meat", "y", "n", "weight"):
        np.testing.assert_allclose(fast[name], slow[name], rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize(("number", "family"), list(enumerate(["gaussian", "binomial", "poisson", "gamma"])))
def test_rows_one_at_a_time(number, family):
    X, y, _ = make_glm(50, 3, family=family, random_state=1)
    a, offset = rng.random(50), 0.1 * rng.random(50)
    A = 10 * np.eye(4)
    theta, v, B = np.zeros(4), np.zeros(4), np.linalg.inv(A)
    want_A, want_v, want = A.copy(), v.copy(), theta.copy()
    none = np.empty(0)
    for i in range(50):
        x = np.r_[1.0, X[i]]
        eta = x @ want + offset[i]
        mu = {"gaussian": eta, "binomial": 1 / (1 + np.exp(-eta))}.get(family, np.exp(eta))
        r = y[i] / mu - 1 if family == "gamma" else y[i] - mu
        w = {"gaussian": 1.0, "binomial": mu * (1 - mu), "poisson": mu, "gamma": 1.0}[family]
        before = want
        want_A = want_A + a[i] * w * np.outer(x, x)
        want = want + np.linalg.solve(want_A, a[i] * r * x)
        want_v = want_v + a[i] * (r + w * (x @ before)) * x
    absorb_rows(X, True, none, none, y, a, offset, number, B, A, v, theta, 0)
    np.testing.assert_allclose(theta, want, rtol=1e-9)
    np.testing.assert_allclose(A, want_A, rtol=1e-10)
    np.testing.assert_allclose(v, want_v, rtol=1e-9)
    np.testing.assert_allclose(A @ theta, v, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(B, np.linalg.inv(A), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("loss", "shape"), [(SmoothedQuantile(0.3), 0.4), (StreamHuber(), 0.7)])
def test_losses_and_their_derivatives(loss, shape):
    eta, y, shape = rng.normal(size=40), rng.normal(size=40), np.array([shape])
    r, w, up, down = np.empty((4, 40))
    loss.link(eta, y, None, shape, None, r, w)
    h, none = 1e-6, np.empty(40)
    slope = [
        (loss.link(eta + h * e, y, None, shape, None, none, none) -
         loss.link(eta - h * e, y, None, shape, None, none, none)) / (2 * h)
        for e in np.eye(40)
    ]  # fmt: skip
    np.testing.assert_allclose(r, -np.array(slope), atol=1e-7)
    loss.link(eta + h, y, None, shape, None, up, none)
    loss.link(eta - h, y, None, shape, None, down, none)
    away = np.abs(np.abs(y - eta) - shape) > 1e-4  # Huber's weight jumps there
    np.testing.assert_allclose(w[away], ((down - up) / (2 * h))[away], atol=1e-6)


# -- errors -------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_lagged_products_of_any_pieces(sizes, lags):
    scores = np.random.default_rng(sum(sizes)).normal(size=(sum(sizes), 2))
    want = scores.T @ scores
    for lag in range(1, lags + 1):
        if lag < len(scores):
            product = scores[lag:].T @ scores[:-lag]
            want = want + (1 - lag / (lags + 1)) * (product + product.T)
    ends = np.cumsum(sizes)
    pieces = [LagSums.of_scores(scores[b - n : b], lags) for n, b in zip(sizes, ends, strict=True)]
    left = pieces[0]
    for piece in pieces[1:]:
        left = left.merge(piece)
    right = pieces[-1]
    for piece in pieces[-2::-1]:
        right = piece.merge(right)
    np.testing.assert_allclose(left.meat(), want, atol=1e-10)
    np.testing.assert_allclose(right.meat(), want, atol=1e-10)


@pytest.mark.parametrize("fitted", [False, True])
def test_newey_west_errors(fitted):
    n = 3_000
    X = np.cumsum(rng.normal(size=(n, 2)), axis=0) / 30
    e = np.convolve(rng.normal(size=n + 20), np.ones(20) / 4, "valid")[:n]
    y = 1 + X @ [0.5, -0.5] + e
    plan = Renewable(newton="full", lags=12, warm_up=0, buffer_rows=0, on_drift="ignore", batch_size=500)
    model = GLMRegressor(plan=plan, cov_type="HAC")
    model = model.fit(X, y) if fitted else stream(model, X, y, 500)
    oracle = sm.OLS(y, sm.add_constant(X)).fit(cov_type="HAC", cov_kwds={"maxlags": 12})
    np.testing.assert_allclose(model.estimate_.params, oracle.params, rtol=1e-8)
    np.testing.assert_allclose(model.estimate_.bse, oracle.bse, rtol=1e-6 if fitted else 0.05)
    with pytest.raises(ValueError, match="Renewable"):
        GLMRegressor(cov_type="HAC").fit(X, y)


def test_clusters_that_come_in_pieces():
    X, y, _ = make_glm(4_000, 3, random_state=5)
    groups = np.repeat(np.arange(400), 10)
    y = y + rng.normal(size=400)[groups]
    model = GLMRegressor(plan=Renewable(newton="full", on_drift="ignore"), cov_type="cluster")
    for start in range(0, 4_000, 333):
        part = slice(start, start + 333)
        model.partial_fit(X[part], y[part], groups=groups[part])
    full = GLMRegressor(cov_type="cluster").fit(X, y, groups=groups).estimate_
    np.testing.assert_allclose(model.estimate_.bse, full.bse, rtol=0.05)
    with pytest.raises(ValueError, match=r"needs groups.*batch 14"):
        model.partial_fit(X[:5], y[:5])


def test_forgetting_has_errors_of_its_own():
    inside = []
    for seed in range(150):
        X, y, coef = make_glm(6_000, 2, family="binomial", random_state=seed)
        model = stream(GLMRegressor("binomial", plan=Renewable(forgetting=0.8, on_drift="ignore")), X, y, 300)
        limits = model.conf_int().to_numpy()[1:]
        inside += ((limits[:, 0] < coef) & (coef < limits[:, 1])).tolist()
    assert abs(np.mean(inside) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(inside))


# -- other losses, other updates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", [0.5, 0.9])
def test_quantiles(tau):
    n = 20_000
    X = rng.normal(size=(n, 4))
    y = 1 + X @ [0.5, -0.5, 1, 0] + (1 + 0.3 * np.abs(X[:, 0])) * rng.standard_t(5, size=n)
    model = stream(QuantileRegressor(tau, plan=QUIET), X, y, 1_000)
    full = QuantileRegressor(tau).fit(X, y).estimate_
    assert distance(model.estimate_, full) < 0.5
    np.testing.assert_allclose(model.estimate_.bse, full.bse, rtol=0.12)
    again = QuantileRegressor(tau, plan=Renewable(batch_size=1_000)).fit(X, y).estimate_
    assert distance(again, full) < 0.5
    assert model.estimate_.cov_type == "robust" and np.isnan(model.estimate_.llf)
    halves = [
        stream(QuantileRegressor(tau, plan=QUIET), X[s], y[s], 1_000) for s in np.split(np.arange(n), 2)
    ]
    assert distance(halves[0].merge(halves[1]).estimate_, full) < 0.5


@pytest.mark.slow
def test_coverage_of_quantiles():
    inside = []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        X, e = draw.normal(size=(20_000, 3)), draw.standard_t(5, size=20_000)
        model = stream(QuantileRegressor(0.9, plan=QUIET), X, X @ [1.0, 0, -1] + e, 2_000)
        limits = model.conf_int().to_numpy()[1:]
        inside += ((limits[:, 0] < [1, 0, -1]) & ([1, 0, -1] < limits[:, 1])).tolist()
    assert abs(np.mean(inside) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(inside))


@pytest.mark.parametrize(("size", "bound"), [(100, 0.1), (1_000, 0.05)])
def test_huber(size, bound):
    n = 20_000
    X = rng.normal(size=(n, 3))
    y = 2 + X @ [1, -1, 0] + rng.standard_t(2, size=n)
    oracle = sm.RLM(y, sm.add_constant(X), M=sm.robust.norms.HuberT(1.345)).fit()
    model = stream(GLMRegressor(StreamHuber(), plan=QUIET), X, y, size)
    assert (np.abs(model.estimate_.params - oracle.params) / oracle.bse).max() < bound
    np.testing.assert_allclose(model.estimate_.bse, oracle.bse, rtol=0.06)


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson", "gamma"])
def test_stochastic_newton(family):
    X, y, _ = make_glm(10_000, 4, family=family, random_state=2)
    model = stream(GLMRegressor(family, plan=Renewable(newton="rows", on_drift="ignore")), X, y, 777)
    full = GLMRegressor(family).fit(X, y).estimate_
    assert distance(model.estimate_, full) < (1e-6 if family == "gaussian" else 0.15)
    np.testing.assert_allclose(model.estimate_.bse, full.bse, rtol=0.02)
    with pytest.raises(ValueError, match=r"Renewable\(newton='rows'\)"):
        stream(
            GLMRegressor("inverse_gaussian", plan=Renewable(newton="rows")), X[:500], np.exp(X[:500, 0]), 250
        )


def test_order_of_the_estimating_equations():
    found = {"renewable": [], "cuee": [], "cee": []}
    for seed in range(4):
        X, y, _ = make_glm(20_000, 5, family="binomial", random_state=seed)
        full = GLMRegressor("binomial").fit(X, y).estimate_
        for method, values in found.items():
            plan = Renewable(method=method, buffer_rows=0, on_drift="ignore")
            values.append(distance(stream(GLMRegressor("binomial", plan=plan), X, y, 200).estimate_, full))
    renewable, cuee, cee = (np.mean(values) for values in found.values())
    assert renewable < 0.15 and 2 * renewable < cuee < 0.5 * cee


@pytest.mark.parametrize("method", ["cee", "cuee"])
def test_estimating_equations_of_linear_models_are_least_squares(method):
    X, y, _ = make_glm(2_000, 3, random_state=2)
    e = stream(GLMRegressor(plan=Renewable(method=method, on_drift="ignore")), X, y, 300).estimate_
    full = GLMRegressor().fit(X, y).estimate_
    np.testing.assert_allclose(e.params, full.params, rtol=1e-8)
    np.testing.assert_allclose(e.bse, full.bse, rtol=1e-8)


@pytest.mark.parametrize("n_passes", [1, 2])
def test_a_prior_is_that_of_bayes(n_passes):
    X, y, _ = make_glm(900, 3, random_state=2)
    X = X * [1, 100, 1] + [0, 5_000, 0]
    mean, precision = np.array([1.0, 2, 0, -1]), np.diag([1.0, 50, 1e4, 30]) + 0.5
    D = np.column_stack([np.ones(900), X])
    plan = Renewable(prior=(mean, precision), n_passes=n_passes, batch_size=200, on_drift="ignore")
    e = GLMRegressor(plan=plan).fit(X, y).estimate_
    want = np.linalg.solve(D.T @ D + precision, D.T @ y + precision @ mean)
    np.testing.assert_allclose(e.params, want, rtol=1e-6)


def test_a_prior_counts_once_in_a_merge():
    X, y, _ = make_glm(900, 3, random_state=2)
    plan = Renewable(prior=(0.0, 20.0), on_drift="ignore")
    parts = [stream(GLMRegressor(plan=plan), X[s], y[s], 100) for s in (slice(0, 300), slice(300, 900))]
    whole = stream(GLMRegressor(plan=plan), X, y, 100)
    np.testing.assert_allclose(parts[0].merge(parts[1]).coef_, whole.coef_, rtol=1e-7)


def test_ridge_streams_are_ridge_fits():
    X, y, _ = make_glm(3_000, 4, family="poisson", random_state=2)
    full = GLMRegressor("poisson", alpha=0.3).fit(X, y)
    np.testing.assert_allclose(
        stream(GLMRegressor("poisson", alpha=0.3, plan=QUIET), X, y, 300).coef_, full.coef_, atol=0.005
    )
    again = GLMRegressor("poisson", alpha=0.3, plan=Renewable(batch_size=300, n_passes=4)).fit(X, y)
    np.testing.assert_allclose(again.coef_, full.coef_, rtol=1e-6)
    np.testing.assert_allclose(again.estimate_.bse, full.estimate_.bse, rtol=1e-4)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_penalised_streams(l1_ratio):
    from sklearn.linear_model import ElasticNet

    X, y, _ = make_glm(2_000, 8, random_state=2)
    X = X * [1, 100, 1, 1, 1, 1, 1, 0.1] + [0, 3_000, 0, 0, 0, 0, 0, 0]
    plan = Renewable(on_drift="ignore")
    model = stream(GLMRegressor(alpha=0.2, l1_ratio=l1_ratio, plan=plan), X, y, 300)
    oracle = ElasticNet(alpha=0.2, l1_ratio=l1_ratio, tol=1e-10, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(model.coef_, oracle.coef_, atol=1e-6)
    np.testing.assert_allclose(model.estimate_.params.iloc[1:], model.coef_)
    assert model.estimate_.bse.isna().all() and any("biases" in note for note in model.estimate_.notes)


@pytest.mark.parametrize("selection", ["lasso", "adaptive_lasso"])
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_selection_on_the_path(selection, family):
    X = rng.normal(size=(8_000, 12))
    eta = X[:, :3] @ [1.0, -0.8, 0.5]
    noise = rng.normal(size=8_000) if family == "gaussian" else rng.logistic(size=8_000)
    y = eta + noise if family == "gaussian" else (eta + noise > 0).astype(float)
    model = stream(GLMRegressor(family, plan=Renewable(selection=selection, on_drift="ignore")), X, y, 500)
    e = model.estimate_
    assert e.selected == ["Intercept", "x0", "x1", "x2"]
    oracle = GLMRegressor(family).fit(X[:, :3], y).estimate_
    assert np.abs((e.params.iloc[:4].to_numpy() - oracle.params) / oracle.bse).max() < 0.2
    np.testing.assert_allclose(e.bse.iloc[:4], oracle.bse, rtol=0.02)
    assert e.bse.iloc[4:].isna().all() and (model.coef_[3:] == 0).all()
    path = e.selection_path
    assert len(path) == 50 and (np.diff(path["df"]) >= -1).all() and path["df"].iloc[0] <= 1


def test_lasso_by_coordinates():
    M = rng.normal(size=(30, 6))
    A, v = M.T @ M, M.T @ rng.normal(size=30)
    threshold = np.array([0.0, 3, 3, 3, 3, 3])
    theta = minimise(A, v, threshold)
    gradient = v - A @ theta
    on = theta != 0
    np.testing.assert_allclose(gradient[on], (threshold * np.sign(theta))[on], atol=1e-9)
    assert (np.abs(gradient[~on]) <= threshold[~on]).all()


# -- drift --------------------------------------------------------------------------------------------------------


def test_a_change_point_is_flagged_and_nothing_else():
    false, found = 0, 0
    for seed in range(30):
        X, y, _ = make_glm(12_000, 3, family="binomial", random_state=seed)
        eta = X @ [0.3, 0.3, 0.3]
        draw = np.random.default_rng(seed)
        y = (draw.random(12_000) < 1 / (1 + np.exp(-eta))).astype(float)
        changed = y.copy()
        changed[8_000:] = draw.random(4_000) < 1 / (1 + np.exp(-eta[8_000:] - 0.5))
        for response in (y, changed):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model = stream(GLMRegressor("binomial", plan=Renewable(drift_level=0.05)), X, response, 1_000)
            flagged = any(issubclass(w.category, DriftWarning) for w in caught)
            false += flagged and response is y
            if response is changed:
                found += flagged
                alarms = model.estimate_.history.query("p < 1e-4")["batch"]
                assert alarms.empty or alarms.iloc[0] >= 9  # not before the change
    assert found == 30
    assert false <= 0.05 * 30 + 4 * np.sqrt(0.05 * 0.95 * 30)


def test_the_robust_drift_test_keeps_its_level():
    p = []
    for seed in range(15):
        draw = np.random.default_rng(seed)
        X = draw.normal(size=(10_000, 2))
        y = X @ [1.0, 1.0] + (0.2 + X[:, 0] ** 2) * draw.normal(size=10_000)
        model = stream(GLMRegressor(plan=Renewable(), cov_type="HC0"), X, y, 500)
        p += model.estimate_.history["p"].dropna().tolist()
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(p)) + 0.02


# -- levels -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def levels():
    """Rows whose levels come late, and the fit of all of them."""
    n, draw = 6_000, np.random.default_rng(0)
    frame = pd.DataFrame({
        "u": 100 * draw.normal(size=n) + 5_000, "g": draw.choice(list("abcd"), n), "h": draw.choice(list("xyz"), n)
    })  # fmt: skip
    frame.loc[:1500, "g"] = frame["g"][:1501].replace("c", "a")
    frame.loc[:3000, "h"] = frame["h"][:3001].replace("z", "x")
    effect = {"a": 0, "b": 0.5, "c": -0.5, "d": 1, "x": 0, "y": 0.2, "z": 0.6}
    eta = 0.3 * (frame["u"] - 5_000) / 100 + frame["g"].map(effect) + frame["h"].map(effect)
    frame["y"] = (draw.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    return frame, glm("y ~ u + g + h", frame, "binomial").estimate_


def batches(model, frame, size=500):
    for start in range(0, len(frame), size):
        model.partial_fit(frame[start : start + size])
    return model


def formula(**options):
    return GLMRegressor("binomial", formula="y ~ u + g + h", plan=Renewable(on_drift="ignore", **options))


def test_new_levels_get_columns(levels):
    frame, full = levels
    e = batches(formula(unknown_level="grow"), frame).estimate_
    assert np.abs((e.params[full.params.index] - full.params) / full.bse).max() < 0.2
    np.testing.assert_allclose(e.bse[full.bse.index], full.bse, rtol=0.03)


def test_streams_with_other_levels_merge(levels):
    frame, full = levels
    a = formula(unknown_level="grow").partial_fit(frame[:1000])
    b = formula(unknown_level="grow").partial_fit(frame[1000:])
    a.merge(b)
    assert np.abs((a.estimate_.params[full.params.index] - full.params) / full.bse).max() < 0.3
    with pytest.raises(ValueError, match=r"'g\[T.c\]'"):
        formula().partial_fit(frame[:1000]).merge(formula().partial_fit(frame[1000:]))


def test_declared_levels(levels):
    frame, full = levels
    model = formula(levels={"g": list("abcd"), "h": list("xyz")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(frame[:500])
        assert np.isnan(model.estimate_.params["g[T.c]"]) and "no row" in str(model.summary())
    batches(model, frame[500:])
    assert np.abs((model.estimate_.params[full.params.index] - full.params) / full.bse).max() < 0.2
    with pytest.raises(ValueError, match="'k', which is no categorical column"):
        formula(levels={"k": ["a"]}).partial_fit(frame)


def test_categories_without_rows_are_levels(levels):
    frame, full = levels
    typed = frame.astype({"g": "category", "h": "category"})
    model = batches(formula(), typed)
    assert np.abs((model.estimate_.params[full.params.index] - full.params) / full.bse).max() < 0.2


def test_unknown_levels_are_refused_or_other(levels):
    frame, _ = levels
    model = formula().partial_fit(frame[:500])
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=r"level 'c' of g \(column 'g'\), row 15\d\d .*batch 2"):
        model.partial_fit(frame[500:])
    assert (model.coef_ == before).all()
    other = batches(formula(unknown_level="other"), frame)
    assert "g[T.__other__]" in other.estimate_.params.index
    grouped = frame.assign(g=frame["g"].replace("c", "zz"), h=frame["h"].replace("z", "zz"))
    oracle = glm("y ~ u + g + h", grouped, "binomial").estimate_
    found = other.estimate_.params.rename(lambda name: name.replace("__other__", "zz"))
    assert np.abs((found[oracle.params.index] - oracle.params) / oracle.bse).max() < 0.2
    new = frame[-2:].assign(g="never seen")
    assert np.isfinite(other.predict(new)).all()


def test_no_level_is_set_aside_for_what_few_rows_say():
    n, draw = 3_000, np.random.default_rng(0)
    frame = pd.DataFrame({"g": draw.choice(list("ab"), n, p=[0.95, 0.05]), "y": draw.integers(0, 2, n)})
    frame.loc[(frame.index < 300) & (frame["g"] == "b"), "y"] = 1
    model = GLMRegressor("binomial", formula="y ~ g", plan=QUIET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batches(model, frame, 300)
    full = glm("y ~ g", frame, "binomial").estimate_
    assert np.abs((model.estimate_.params - full.params) / full.bse).max() < 0.5


def test_frames_with_other_columns_are_refused(levels):
    frame, _ = levels
    model = GLMRegressor("binomial", plan=QUIET).partial_fit(frame[["u", "g"]], frame["y"])
    with pytest.raises(ValueError, match=r"lacks 'g' and has 'h'.*batch 2: the estimate is as it was"):
        model.partial_fit(frame[["u", "h"]], frame["y"])
    with pytest.raises(ValueError, match="lacks 'g'"):
        model.partial_fit(frame[["u"]], frame["y"])


def test_a_file_is_absorbed_partition_by_partition(levels, tmp_path):
    frame, full = levels
    frame[3_000:].to_parquet(tmp_path / "rest.parquet", row_group_size=700)
    model = formula(unknown_level="grow").partial_fit(frame[:3_000])
    model.partial_fit(tmp_path / "rest.parquet")
    assert np.abs((model.estimate_.params[full.params.index] - full.params) / full.bse).max() < 0.2
    assert model.estimate_.nobs == 6_000 and len(model.estimate_.history) == 6


# -- saved states -------------------------------------------------------------------------------------------------


def kinds():
    """Streams of every kind of state: (model, batches)."""
    X, y, _ = make_glm(1_500, 3, family="binomial", random_state=0)
    parts = [(X[s : s + 300], y[s : s + 300]) for s in range(0, 1_500, 300)]
    frame = pd.DataFrame(X, columns=list("abc")).assign(g=np.arange(1_500) % 4, y=y)
    groups = np.repeat(np.arange(100), 15)
    yield GLMClassifier(plan=QUIET), [{"X": a, "y": b, "classes": [0, 1]} for a, b in parts]
    yield (
        GLMClassifier(plan=Renewable(warm_up=2_000)),
        [{"X": a, "y": b, "classes": [0, 1]} for a, b in parts],
    )
    yield (
        GLMRegressor("binomial", plan=Renewable(forgetting=0.9), cov_type="HC1"),
        [{"X": a, "y": b, "sample_weight": np.arange(300) % 3} for a, b in parts],
    )
    yield (
        GLMRegressor("binomial", plan=Renewable(lags=4), cov_type="HAC"),
        [{"X": a, "y": b} for a, b in parts],
    )
    yield (
        GLMRegressor("binomial", plan=QUIET, cov_type="cluster"),
        [
            {"X": X[s : s + 300], "y": y[s : s + 300], "groups": groups[s : s + 300]}
            for s in range(0, 1_500, 300)
        ],
    )
    yield (
        GLMRegressor("binomial", formula="y ~ a * C(g) + b", plan=QUIET),
        [{"X": frame[s : s + 300]} for s in range(0, 1_500, 300)],
    )
    import scipy.sparse as sp

    yield GLMRegressor("binomial", plan=QUIET), [{"X": sp.csr_matrix(a), "y": b} for a, b in parts]
    yield GLMRegressor("binomial", plan=Renewable(newton="rows")), [{"X": a, "y": b} for a, b in parts]
    yield GLMRegressor("binomial", plan=Renewable(method="cuee")), [{"X": a, "y": b} for a, b in parts]
    yield QuantileRegressor(0.3, plan=QUIET), [{"X": a, "y": a[:, 0] + b} for a, b in parts]
    y3 = np.arange(1_500) % 3
    yield (
        GLMClassifier(plan=QUIET),
        [{"X": X[s : s + 300], "y": y3[s : s + 300], "classes": [0, 1, 2]} for s in range(0, 1_500, 300)],
    )


@pytest.mark.parametrize("number", range(11))
def test_saved_and_resumed(number):
    model, parts = list(kinds())[number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in parts[:3]:
            model.partial_fit(**part)
        resumed = type(model).from_state(model.get_state())
        assert (resumed.coef_ == model.coef_).all()
        for part in parts[3:]:
            model.partial_fit(**part)
            resumed.partial_fit(**{name: value for name, value in part.items() if name != "classes"})
        assert (resumed.coef_ == model.coef_).all()
        assert (resumed.estimate_.bse == model.estimate_.bse).all()
        pd.testing.assert_frame_equal(resumed.estimate_.history, model.estimate_.history)


_WORKER = """
import sys, numpy as np
from statkit.datasets import make_glm
from statkit.plans import Renewable
from statkit.regression import GLMClassifier
path, n = sys.argv[1], 4_000
X, y, _ = make_glm(n, 3, family="binomial", random_state=0)
try:
    model = GLMClassifier.from_state(open(path, "rb").read())
except FileNotFoundError:
    model = GLMClassifier(plan=Renewable())
import os, signal
done = model.estimate_.rows_read if hasattr(model, "coef_") else 0
for start in range(done, n, 500):
    model.partial_fit(X[start:start + 500], y[start:start + 500], classes=[0, 1])
    with open(path + ".new", "wb") as file:
        file.write(model.get_state())
    os.replace(path + ".new", path)
    if done == 0 and start == 1_500:
        os.kill(os.getpid(), signal.SIGKILL)
print(repr(model.coef_.tolist()), repr(model.estimate_.bse.tolist()))
"""


def test_killed_and_resumed(tmp_path):
    command = [sys.executable, "-c", _WORKER, str(tmp_path / "state")]
    assert subprocess.run(command, capture_output=True).returncode == -9
    again = subprocess.run(command, capture_output=True, text=True)
    X, y, _ = make_glm(4_000, 3, family="binomial", random_state=0)
    whole = stream(GLMClassifier(plan=Renewable()), X, y, 500, classes=[0, 1])
    assert again.stdout.strip() == f"{whole.coef_.tolist()!r} {whole.estimate_.bse.tolist()!r}", again.stderr


def test_damaged_and_foreign_states():
    X, y, _ = make_glm(1_000, 2, family="binomial", random_state=0)
    model = stream(GLMRegressor("binomial", plan=QUIET), X, y, 500)
    state = model.get_state()
    for cut in (0, 10, len(state) // 2, len(state) - 1):
        with pytest.raises(ValueError, match="cannot be read as a statkit model"):
            GLMRegressor.from_state(state[:cut])
    with pytest.raises(ValueError, match="not of a GLMClassifier"):
        GLMClassifier.from_state(state)
    with pytest.raises(TypeError, match="bytes"):
        GLMRegressor.from_state("state")

    def changed(change):
        out = BytesIO()
        with zipfile.ZipFile(BytesIO(state)) as old, zipfile.ZipFile(out, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "model.json":
                    head = json.loads(content)
                    change(head)
                    content = json.dumps(head).encode()
                new.writestr(name, content)
        return out.getvalue()

    def later(head):
        head["version"] = 99

    def other_stream(head):
        head["document"]["stream"]["state"]["stream_version"] = 7

    def other_size(head):
        head["document"]["stream"]["state"]["q"] = 5

    for change, message in ((later, "newer statkit"), (other_stream, "version 7"), (other_size, "shape")):
        with pytest.raises(ValueError, match=message):
            GLMRegressor.from_state(changed(change))


# -- small print --------------------------------------------------------------------------------------------------


def test_the_callers_arrays_may_be_filled_again():
    X, y, _ = make_glm(6_000, 3, family="binomial", random_state=0)
    plain = stream(GLMRegressor("binomial", plan=QUIET), X, y, 100)
    a, b = np.empty((100, 3)), np.empty(100)
    model = GLMRegressor("binomial", plan=QUIET)
    for start in range(0, 6_000, 100):
        a[:], b[:] = X[start : start + 100], y[start : start + 100]
        model.partial_fit(a, b)
    assert (model.coef_ == plain.coef_).all()


def test_a_state_is_not_touched_by_what_comes_after():
    X, y, _ = make_glm(3_000, 3, family="binomial", random_state=0)
    model = stream(GLMRegressor("binomial", plan=QUIET, cov_type="HC0"), X, y, 500)
    state, problem = model._stream.state, model._stream.problem
    kept = model.get_state()
    model.partial_fit(X[:700], y[:700])
    first = model.coef_.copy()
    model._stream.state, model._stream.problem, model._estimate = state, problem, None
    model.partial_fit(X[:700], y[:700])
    assert (first == model.coef_).all()
    model._stream.state, model._estimate = state, None
    model._set_coefficients(problem.public_values(state.theta))
    back = GLMRegressor.from_state(model.get_state())
    assert (back.coef_ == GLMRegressor.from_state(kept).coef_).all()
    assert len(back.estimate_.history) == 6


def test_histories_share_lines_and_end():
    a = History().add(1, 0.0, 0, 1.0, 0.0, 1)
    b, c = a.add(2, 0.0, 0, 1.0, 0.0, 1), a.add(3, 0.0, 0, 1.0, 0.0, 1)
    assert [line[1] for line in b.lines()] == [1, 2] and [line[1] for line in c.lines()] == [1, 3]
    assert len(a) == 1
    for _ in range(50_000):
        c = c.add(1, 0.0, 0, 1.0, 0.0, 1)
    assert len(c) == 50_002 and 20_000 <= len(c.lines()) <= 40_000 and c.lines()[-1][0] == 50_002


@given(st.lists(st.integers(1, 60), min_size=2, max_size=10), st.integers(0, 2**20), st.data())
@settings(max_examples=20, deadline=None)
def test_linear_streams_merge_in_any_way(sizes, seed, data):
    n = sum(sizes)
    X, y, _ = make_glm(n, 2, random_state=seed % 1_000)
    plan = Renewable(warm_up=5, on_drift="ignore")
    models, used = [], []
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        models.append(GLMRegressor(plan=plan).partial_fit(X[end - size : end], y[end - size : end]))
        used.append(size)
    while len(models) > 1:
        i = data.draw(st.integers(0, len(models) - 2))
        models[i].merge(models.pop(i + 1))
    if n >= 8:
        full = GLMRegressor().fit(X, y)
        np.testing.assert_allclose(models[0].coef_, full.coef_, rtol=1e-6, atol=1e-8)
        assert models[0].estimate_.nobs == n


def test_bad_values_are_found_without_a_look_at_every_one():
    X, y, _ = make_glm(3_000, 60, family="binomial", random_state=0)
    for width in (4, 60):
        assert (width <= _NARROW) == (width == 4)
        model = stream(GLMRegressor("binomial", plan=QUIET), X[:, :width], y, 1_500)
        before = model.coef_.copy()
        for bad in (np.nan, np.inf, -np.inf):
            broken = X[:1_000, :width].copy()
            broken[7, 2] = bad
            with pytest.raises(ValueError, match=r"column 'x2', row 3007 .*batch 3"):
                model.partial_fit(broken, y[:1_000])
            assert (model.coef_ == before).all()
        with pytest.raises(ValueError, match="Input y contains nan"):
            model.partial_fit(X[:10, :width], np.full(10, np.nan) + y[:10])
        with pytest.raises(ValueError, match="binomial needs"):
            model.partial_fit(X[:10, :width], 2 + y[:10])


def test_rows_with_missing_values_can_be_dropped_from_a_stream():
    X, y, _ = make_glm(3_000, 3, family="binomial", random_state=0)
    holes = X.copy()
    holes[::7, 1] = np.nan
    keep = np.isfinite(holes).all(axis=1)
    a = stream(GLMRegressor("binomial", plan=QUIET, na_action="drop"), holes, y, 500)
    assert a.estimate_.nobs == keep.sum() and a.estimate_.rows_missing == (~keep).sum()
    full = GLMRegressor("binomial").fit(X[keep], y[keep]).estimate_
    assert distance(a.estimate_, full) < 0.1


def test_memory_of_a_long_stream_is_that_of_its_batch():
    import tracemalloc

    model = GLMRegressor("binomial", plan=QUIET)
    X, y, _ = make_glm(1_000, 20, family="binomial", random_state=0)
    model.partial_fit(X, y)
    tracemalloc.start()
    for _ in range(200):
        model.partial_fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


@pytest.mark.parametrize(
    "family", ["inverse_gaussian", "tweedie", "negative_binomial", "quasi_poisson", "cloglog"]
)
def test_every_family_streams(family):
    from statkit.families import Binomial, NegativeBinomial

    kind = {"negative_binomial": NegativeBinomial(alpha=0.7), "cloglog": Binomial(link="cloglog")}.get(
        family, family
    )
    drawn = {"quasi_poisson": "poisson", "cloglog": "binomial"}.get(family, family)
    X, y, _ = make_glm(8_000, 3, family=drawn, random_state=4)
    full = GLMRegressor(kind).fit(X, y).estimate_
    e = stream(GLMRegressor(kind, plan=QUIET), X, y, 400).estimate_
    assert distance(e, full) < 0.2
    np.testing.assert_allclose(e.bse, full.bse, rtol=0.05)


def test_information_grows_and_units_do_not_matter():
    X, y, _ = make_glm(3_000, 3, family="binomial", random_state=4)
    plan = Renewable(on_drift="ignore", buffer_rows=0)  # visits to retained rows change their information
    a, b = (GLMRegressor("binomial", plan=plan) for _ in range(2))
    factors, before = np.array([1.0, 1e4, 1e-3]), np.zeros((4, 4))
    for start in range(0, 3_000, 300):
        part = slice(start, start + 300)
        a.partial_fit(X[part], y[part])
        b.partial_fit(X[part] * factors, y[part])
        information = a._stream.state.total()[0]
        np.testing.assert_allclose(information, information.T)
        assert np.linalg.eigvalsh(information - before).min() > 0
        before = information
    np.testing.assert_allclose(b.coef_ * factors, a.coef_, rtol=1e-4)
    np.testing.assert_allclose(b.estimate_.bse[1:] * factors, a.estimate_.bse[1:], rtol=1e-4)


def test_a_reader_that_can_be_read_once_is_kept_for_the_second_pass():
    import pyarrow as pa

    X, y, _ = make_glm(4_000, 2, family="binomial", random_state=0)
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "y": y})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=500))
    e = glm("y ~ a + b", reader, "binomial", plan=Renewable(n_passes=2)).estimate_
    full = glm("y ~ a + b", table, "binomial").estimate_
    assert distance(e, full) < 1e-3


def test_rows_of_rare_levels_are_retained():
    n, draw = 60_000, np.random.default_rng(3)
    share = np.r_[0.001, 0.002, 0.003, 0.494, 0.5]
    frame = pd.DataFrame({"x": draw.normal(size=n), "g": draw.choice(list("edcba"), n, p=share)})
    eta = -1 + 0.5 * frame["x"] + frame["g"].map({"a": 0, "b": 0.3, "c": 1, "d": -1.5, "e": 2})
    frame["y"] = (draw.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    full = glm("y ~ x + g", frame, "binomial").estimate_
    model = GLMRegressor("binomial", formula="y ~ x + g", plan=Renewable(unknown_level="grow"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batches(model, frame, 1_000)
    assert np.abs((model.estimate_.params[full.params.index] - full.params) / full.bse).max() < 0.15
    assert model._stream.state.buffer.n_rows < 6_500
