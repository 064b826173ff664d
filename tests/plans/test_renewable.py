"""Streams: worked numbers, distance to the estimate from all rows, invariance, drift, merge, bad batches."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit.datasets import make_glm
from statkit.exceptions import DriftWarning, SeparationWarning
from statkit.plans import Exact, Renewable
from statkit.regression import GLMClassifier, GLMRegressor

I = np.arange(1, 31)
X30 = np.column_stack([np.sin(I), np.cos(2 * I)])
YB = ((7 * I) % 10 < 5).astype(float)
YG = np.round(1 + 2 * np.sin(I) - np.cos(2 * I) + np.sin(5 * I), 3)
YC = (3 * I % 4).astype(float)


def stream(model, X, y, size, **first):
    for start in range(0, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size], **first)
    return model


@pytest.mark.parametrize(
    ("family", "y", "values", "errors"),
    [
        (
            "gaussian",
            YG,
            [0.9858927689, 1.9274476174, -0.8914122584],
            [0.1358971518, 0.18859775, 0.1929036098],
        ),
        (
            "binomial",
            YB,
            [0.0909121393, -0.4773714007, 0.8737076231],
            [0.4588820673, 0.6361449263, 0.7273138194],
        ),
        (
            "poisson",
            YC,
            [0.4519442414, -0.0079713781, 0.0053485805],
            [0.1446291787, 0.2005995987, 0.2052461173],
        ),
    ],
)
def test_worked_example_of_three_batches(family, y, values, errors):
    plan = Renewable(warm_up=0, buffer_rows=0, newton="full")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DriftWarning)
        e = stream(GLMRegressor(family, plan=plan), X30, y, 10).estimate_
    np.testing.assert_allclose(e.params, values, atol=1e-8)
    np.testing.assert_allclose(e.bse, errors, atol=1e-8)


def test_worked_example_after_every_batch():
    model = GLMRegressor(
        "binomial", plan=Renewable(warm_up=0, buffer_rows=0, newton="full", on_drift="ignore")
    )
    for start, values in ((0, [-0.1052858634, 0.7020985642, 3.0017133749]),
                          (10, [-0.0232960122, 0.9027050415, 2.9177190216])):  # fmt: skip
        model.partial_fit(X30[start : start + 10], YB[start : start + 10])
        np.testing.assert_allclose([model.intercept_, *model.coef_], values, atol=3e-8)
        A, v = model._stream.state.total()
        np.testing.assert_allclose(A @ model._stream.state.theta, v, rtol=1e-9, atol=1e-9)


def test_worked_example_second_pass_is_the_maximum_likelihood_estimate():
    plan = Renewable(warm_up=0, buffer_rows=0, batch_size=10, n_passes=12, newton="full", on_drift="ignore")
    e = GLMRegressor("binomial", plan=plan).fit(X30, YB).estimate_
    np.testing.assert_allclose(e.params, [0.0570441005, -0.1884756481, 1.3580320277], atol=1e-7)
    np.testing.assert_allclose(e.bse, [0.4063579986, 0.5587407905, 0.6101464652], rtol=2e-4)


def test_worked_example_robust_errors():
    plan = Renewable(warm_up=0, buffer_rows=0, newton="full")
    e = stream(GLMRegressor(plan=plan, cov_type="HC0"), X30, YG, 10).estimate_
    np.testing.assert_allclose(e.bse, [0.1274090588, 0.1702677072, 0.1804122934], rtol=1e-8)


@pytest.mark.parametrize("size", [1, 7, 100, 1_000])
def test_linear_streams_are_least_squares_for_any_batching(size):
    X, y, _ = make_glm(1_000, 4, random_state=3)
    e = stream(GLMRegressor(plan=Renewable(on_drift="ignore")), X, y, size).estimate_
    full = GLMRegressor().fit(X, y).estimate_
    np.testing.assert_allclose(e.params, full.params, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(e.bse, full.bse, rtol=1e-9)
    np.testing.assert_allclose(e.deviance, full.deviance, rtol=1e-9)


@pytest.mark.parametrize(("family", "bound"), [("binomial", 0.15), ("poisson", 0.15), ("gamma", 0.15)])
@pytest.mark.parametrize("size", [10, 200, 1_000])
def test_distance_to_the_estimate_from_all_rows(family, bound, size):
    X, y, _ = make_glm(20_000, 5, family=family, random_state=1)
    e = stream(GLMRegressor(family, plan=Renewable(on_drift="ignore")), X, y, size).estimate_
    full = GLMRegressor(family).fit(X, y).estimate_
    assert np.sqrt((((e.params - full.params) / full.bse) ** 2).mean()) < bound
    np.testing.assert_allclose(e.bse, full.bse, rtol=0.02)


def test_a_second_pass_is_the_maximum_likelihood_estimate():
    X, y, _ = make_glm(20_000, 5, family="binomial", random_state=1)
    e = GLMRegressor("binomial", plan=Renewable(batch_size=500)).fit(X, y).estimate_
    full = GLMRegressor("binomial", plan=Exact(tol=1e-16)).fit(X, y).estimate_
    assert (np.abs(e.params - full.params) / full.bse).max() < 1e-3
    np.testing.assert_allclose([e.llf, e.null_deviance], [full.llf, full.null_deviance], rtol=1e-6)


def test_the_retained_rows_bring_the_estimate_closer():
    far, near = [], []
    for seed in range(6):
        X, y, _ = make_glm(20_000, 20, family="binomial", random_state=seed)
        full = GLMRegressor("binomial").fit(X, y).estimate_
        for rows, out in ((0, far), (5_000, near)):
            plan = Renewable(buffer_rows=rows, on_drift="ignore")
            e = stream(GLMRegressor("binomial", plan=plan), X, y, 500).estimate_
            out.append((((e.params - full.params) / full.bse) ** 2).mean())
    assert np.mean(near) < 0.5 * np.mean(far)


def test_softmax_stream():
    X, y, _ = make_glm(20_000, 4, family="multinomial", random_state=0)
    model = stream(GLMClassifier(plan=Renewable(on_drift="ignore")), X, y, 1_000, classes=np.unique(y))
    full = GLMClassifier().fit(X, y)
    assert (np.abs(model.estimate_.params - full.estimate_.params) / full.estimate_.bse).max() < 0.3
    np.testing.assert_allclose(model.coef_, full.coef_, atol=0.02)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12))
@settings(max_examples=15, deadline=None)
def test_random_batchings_agree(sizes):
    X, y, _ = make_glm(sum(sizes), 3, family="poisson", random_state=2)
    model = GLMRegressor("poisson", plan=Renewable(on_drift="ignore"))
    for a, b in zip(np.cumsum([0, *sizes]), np.cumsum(sizes), strict=False):
        model.partial_fit(X[a:b], y[a:b])
    one = GLMRegressor("poisson", plan=Renewable(on_drift="ignore")).partial_fit(X, y)
    if len(y) >= 200:
        distance = np.abs(model.estimate_.params - one.estimate_.params) / one.estimate_.bse
        assert distance.max() < 0.3


def test_order_within_a_batch_does_not_matter():
    X, y, _ = make_glm(2_000, 3, family="binomial", random_state=0)
    order = np.concatenate([np.random.default_rng(0).permutation(500) + 500 * k for k in range(4)])
    a = stream(GLMRegressor("binomial", plan=Renewable(buffer_rows=500)), X, y, 500)
    b = stream(GLMRegressor("binomial", plan=Renewable(buffer_rows=500)), X[order], y[order], 500)
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-8)


def test_weights_repeat_rows():
    X, y, _ = make_glm(3_000, 3, family="binomial", random_state=0)
    plan = Renewable(warm_up=1_000, buffer_rows=0, on_drift="ignore")
    weighted = GLMRegressor("binomial", plan=plan)
    repeated = GLMRegressor("binomial", plan=plan)
    for start in range(0, 3_000, 1_000):
        part = slice(start, start + 1_000)
        weighted.partial_fit(X[part], y[part], sample_weight=np.full(1_000, 2.0))
        repeated.partial_fit(np.repeat(X[part], 2, 0), np.repeat(y[part], 2))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7)
    np.testing.assert_allclose(weighted.estimate_.bse, repeated.estimate_.bse, rtol=1e-7)


def test_merged_streams_are_near_the_estimate_from_all_rows():
    X, y, _ = make_glm(40_000, 5, family="binomial", random_state=4)
    parts = [
        stream(GLMRegressor("binomial", plan=Renewable(on_drift="ignore")), X[k::4], y[k::4], 500)
        for k in range(4)
    ]
    merged = parts[0]
    for part in parts[1:]:
        merged.merge(part)
    full = GLMRegressor("binomial").fit(X, y).estimate_
    assert merged.estimate_.nobs == 40_000
    assert np.sqrt((((merged.estimate_.params - full.params) / full.bse) ** 2).mean()) < 0.4
    np.testing.assert_allclose(merged.estimate_.bse, full.bse, rtol=0.02)


def test_merging_linear_streams_is_exact():
    X, y, _ = make_glm(4_000, 3, random_state=4)
    X = X * [1.0, 100.0, 0.01] + [0.0, 500.0, 0.0]  # the two streams scale their columns differently
    plan = Renewable(on_drift="ignore")
    a, b = (stream(GLMRegressor(plan=plan), X[s], y[s], 300) for s in (slice(0, 1_000), slice(1_000, 4_000)))
    full = GLMRegressor().fit(X, y).estimate_
    np.testing.assert_allclose(a.merge(b).estimate_.params, full.params, rtol=1e-8)
    np.testing.assert_allclose(a.estimate_.bse, full.bse, rtol=1e-6)


def test_forgetting_follows_a_change():
    X, y, _ = make_glm(40_000, 3, family="binomial", random_state=0)
    y[20_000:] = 1 - y[20_000:]
    late = GLMRegressor("binomial").fit(X[20_000:], y[20_000:]).coef_
    keeps, forgets = (
        stream(GLMRegressor("binomial", plan=Renewable(forgetting=f, on_drift="ignore")), X, y, 500)
        for f in (1.0, 0.8)
    )
    assert np.abs(forgets.coef_ - late).max() < 0.25 < np.abs(keeps.coef_ - late).max()


def test_drift_is_reported_once_and_can_be_skipped():
    X, y, _ = make_glm(20_000, 4, family="binomial", random_state=0)
    bad = y.copy()
    bad[15_000:17_000] = 1 - bad[15_000:17_000]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = stream(GLMRegressor("binomial", plan=Renewable(on_drift="skip")), X, bad, 1_000)
    assert sum(issubclass(w.category, DriftWarning) for w in caught) == 1
    assert model.estimate_.nobs == 18_000
    history = model.estimate_.history
    assert (
        list(history.columns) == ["batch", "n", "statistic", "df", "p", "loss", "steps"]
        and len(history) == 20
    )
    clean = np.delete(np.arange(20_000), np.s_[15_000:17_000])
    full = GLMRegressor("binomial").fit(X[clean], y[clean]).estimate_
    assert (np.abs(model.estimate_.params - full.params) / full.bse).max() < 0.3


def test_the_drift_test_keeps_its_level():
    p = []
    for seed in range(20):
        X, y, _ = make_glm(10_000, 4, family="poisson", random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("error", DriftWarning)
            model = stream(GLMRegressor("poisson", plan=Renewable()), X, y, 500)
        p += model.estimate_.history["p"].dropna().tolist()
    share = np.mean(np.array(p) < 0.05)
    assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(p))


def test_a_failing_batch_leaves_the_stream_as_it_was():
    X, y, _ = make_glm(2_000, 3, family="poisson", random_state=0)
    model = stream(GLMRegressor("poisson", plan=Renewable()), X, y, 500)
    before = pickle.dumps((model.coef_, model.estimate_.bse, model.estimate_.nobs))
    broken = X[:10].copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN.*'x1', row 2003.*batch 5"):
        model.partial_fit(broken, y[:10])
    with pytest.raises(ValueError, match="poisson needs y >= 0"):
        model.partial_fit(X[:10], -1 - y[:10])
    with pytest.raises(ValueError, match="3 features"):
        model.partial_fit(X[:10, :2], y[:10])
    with pytest.raises(ValueError, match="values for"):
        model.partial_fit(X[:10], y[:9])
    assert before == pickle.dumps((model.coef_, model.estimate_.bse, model.estimate_.nobs))


def test_kill_and_resume():
    X, y, _ = make_glm(4_000, 3, family="binomial", random_state=0)
    whole = stream(GLMClassifier(plan=Renewable()), X, y, 500, classes=[0, 1])
    half = stream(GLMClassifier(plan=Renewable()), X[:2_000], y[:2_000], 500, classes=[0, 1])
    resumed = stream(pickle.loads(pickle.dumps(half)), X[2_000:], y[2_000:], 500)
    assert (resumed.coef_ == whole.coef_).all() and (resumed.estimate_.bse == whole.estimate_.bse).all()


def test_first_batches_of_one_class_or_one_row():
    X, y, _ = make_glm(3_000, 3, family="binomial", random_state=0)
    order = np.argsort(y[:300], kind="stable")
    model = GLMClassifier(plan=Renewable(on_drift="ignore"))
    for i in order[:50]:
        model.partial_fit(X[i : i + 1], y[i : i + 1], classes=[0, 1])
        assert np.isfinite(model.coef_).all()
    assert any("Warming up" in note for note in model.estimate_.notes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeparationWarning)
        model.partial_fit(X[order[50:]], y[order[50:]])
    stream(model, X[300:], y[300:], 300)
    full = GLMClassifier().fit(X, y).estimate_
    assert (np.abs(model.estimate_.params - full.params) / full.bse).max() < 1.0


def test_a_level_that_comes_late():
    X = np.random.default_rng(0).normal(size=(20_000, 3))
    X[:, 2] = np.arange(20_000) % 5 == 0
    X[:6_000, 2] = 0  # constant for the first batches
    y = (np.random.default_rng(1).random(20_000) < 1 / (1 + np.exp(-X @ [0.5, -0.5, 1.0]))).astype(float)
    model = stream(GLMRegressor("binomial", plan=Renewable(on_drift="ignore")), X, y, 500)
    full = GLMRegressor("binomial").fit(X, y).estimate_
    assert (np.abs(model.estimate_.params - full.params) / full.bse).max() < 0.3


@pytest.mark.parametrize("newton", ["auto", "full"])
def test_overflow_in_a_log_link(newton):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    y = rng.poisson(np.exp(2 + X @ [0.8, -0.5])).astype(float)
    plan = Renewable(warm_up=0, buffer_rows=0, on_drift="ignore", newton=newton)
    model = stream(GLMRegressor("poisson", plan=plan), X, y, 100)
    full = GLMRegressor("poisson").fit(X, y).estimate_
    assert (
        np.isfinite(model.coef_).all() and (np.abs(model.estimate_.params - full.params) / full.bse).max() < 1
    )


def test_coverage():
    inside = []
    for seed in range(60):
        X, y, truth = make_glm(20_000, 5, family="binomial", random_state=seed)
        e = stream(GLMRegressor("binomial", plan=Renewable(on_drift="ignore")), X, y, 1_000)
        limits = e.conf_int().to_numpy()[1:]
        inside += ((limits[:, 0] < truth) & (truth < limits[:, 1])).tolist()
    assert abs(np.mean(inside) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(inside))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Renewable(forgetting=0), "forgetting"),
        (Renewable(on_drift="shout"), "on_drift"),
        (Renewable(n_passes=0), "n_passes"),
        (Renewable(newton="chord"), "newton"),
        (Renewable(method="average"), "method"),
        (Renewable(selection="best"), "selection"),
        (Renewable(lags=-1), "lags"),
        (Renewable(unknown_level="drop"), "unknown_level"),
        (Renewable(method="cee", forgetting=0.9), "forgetting"),
        (Renewable(n_passes=2, forgetting=0.9), "bring back"),
        (Renewable(prior=(0.0, np.eye(2))), "prior"),
    ],
)
def test_bad_parameters(plan, message):
    with pytest.raises(ValueError, match=message):
        GLMRegressor(plan=plan).fit(X30, YG)


def test_partial_fit_needs_a_plan_that_updates():
    with pytest.raises(AttributeError, match="partial_fit"):
        GLMRegressor().partial_fit(X30, YG)
    assert not hasattr(GLMRegressor(plan=Exact()), "partial_fit")


def test_classes_are_needed_at_first_and_checked_later():
    with pytest.raises(ValueError, match="classes must be given"):
        GLMClassifier(plan=Renewable()).partial_fit(X30, YB)
    model = GLMClassifier(plan=Renewable()).partial_fit(X30, YB, classes=[0, 1])
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X30, YB, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="none of the classes"):
        model.partial_fit(X30, YB + 1)


def test_shape_must_be_known():
    with pytest.raises(ValueError, match="alpha"):
        GLMRegressor("negative_binomial", plan=Renewable()).fit(X30, YC)


def test_frames_in_batches():
    import pandas as pd

    X, y, _ = make_glm(3_000, 2, family="binomial", random_state=0)
    frame = pd.DataFrame(X, columns=["u", "v"]).assign(late=y.astype(int))
    model = GLMClassifier(formula="late ~ u + v", plan=Renewable())
    for start in range(0, 3_000, 500):
        model.partial_fit(frame[start : start + 500], classes=[0, 1])
    direct = stream(GLMClassifier(plan=Renewable()), X, y, 500, classes=[0, 1])
    np.testing.assert_allclose(model.coef_, direct.coef_, rtol=1e-9)
    assert model.estimate_.params.index.tolist() == ["Intercept", "u", "v"]


def test_partial_fit_goes_on_from_a_fit():
    X, y, _ = make_glm(6_000, 3, family="binomial", random_state=0)
    model = GLMClassifier(plan=Renewable(on_drift="ignore")).fit(X[:3_000], y[:3_000])
    stream(model, X[3_000:], y[3_000:], 500)
    full = GLMClassifier().fit(X, y).estimate_
    assert model.estimate_.nobs == 6_000
    assert (np.abs(model.estimate_.params - full.params) / full.bse).max() < 0.2
