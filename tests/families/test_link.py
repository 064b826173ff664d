"""Loss, score and Fisher weight of every family and link."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from statkit.families import (
    Binomial,
    Gamma,
    Gaussian,
    InverseGaussian,
    NegativeBinomial,
    Poisson,
    Tweedie,
)

FAMILIES = [
    *(cls(link) for cls in (Gaussian, Binomial, Poisson, Gamma, InverseGaussian) for link in cls.links),
    NegativeBinomial(alpha=0.7),
    Tweedie(power=1.5),
    Tweedie(power=2.6),
]


def test_score_is_the_slope_of_the_loss(case):
    """Central differences row by row: the loss of single rows, so that no row can hide behind another."""
    h = 1e-5
    _, r, _ = case.link()
    for i in range(60):
        one, y = case.eta[i : i + 1], case.y[i : i + 1]
        slope = (case.link(one + h, y)[0] - case.link(one - h, y)[0]) / (2 * h)
        assert r[i] == pytest.approx(-slope, rel=2e-6, abs=2e-6)


def test_score_and_weight_follow_their_definition(case):
    family, a = case.family, case.weight
    mu, slope = family.inverse_link(case.eta), family.dmu(case.eta)
    v = family.variance(mu)
    _, r, w = case.link(weight=a)
    np.testing.assert_allclose(r, a * (case.y - mu) * slope / v, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(w, a * slope**2 / v, rtol=1e-12)


def test_weight_is_minus_the_expected_slope_of_the_score(case):
    """The score is linear in y, so its expected slope is its slope at y = μ."""
    h = 1e-5
    y = case.family.inverse_link(case.eta)
    _, _, w = case.link(y=y)
    slope = (case.link(case.eta + h, y)[1] - case.link(case.eta - h, y)[1]) / (2 * h)
    np.testing.assert_allclose(w, -slope, rtol=1e-6)


def test_weight_derivative(case):
    h = 1e-5
    slope = (case.link(case.eta + h)[2] - case.link(case.eta - h)[2]) / (2 * h)
    np.testing.assert_allclose(case.family.weight_derivative(case.eta), slope, rtol=1e-6, atol=1e-7)


def test_derivatives_of_the_mean(case):
    h = 1e-5
    family, eta = case.family, case.eta
    slope = (family.inverse_link(eta + h) - family.inverse_link(eta - h)) / (2 * h)
    np.testing.assert_allclose(family.dmu(eta), slope, rtol=1e-7)
    ratio = (family.dmu(eta + h) - family.dmu(eta - h)) / (2 * h) / family.dmu(eta)
    np.testing.assert_allclose(family.dmu_ratio(eta), ratio, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(family.link_function(family.inverse_link(eta)), eta, rtol=1e-12, atol=1e-12)


def test_loss_is_half_the_deviance(case):
    """Up to terms of the response alone: compare differences between two predictors."""
    one, two = case.eta, case.eta * 1.1
    d = [case.family.unit_deviance(case.y, case.family.inverse_link(e)) @ case.weight for e in (one, two)]
    loss = [case.link(e, weight=case.weight)[0] for e in (one, two)]
    assert loss[1] - loss[0] == pytest.approx(0.5 * (d[1] - d[0]), rel=1e-10)


def test_weights_are_repetitions(case):
    counts = np.random.default_rng(3).integers(0, 4, len(case.y))
    loss, r, w = case.link(weight=counts.astype(float))
    again, _, _ = case.link(np.repeat(case.eta, counts), np.repeat(case.y, counts))
    assert loss == pytest.approx(again, rel=1e-13)
    assert np.all(r[counts == 0] == 0) and np.all(w[counts == 0] == 0)


def test_unit_weights_change_nothing(case):
    plain, ones = case.link(), case.link(weight=np.ones(len(case.y)))
    for a, b in zip(plain, ones, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sums(case):
    """Deviance, Pearson's statistic and loss from their definitions; sums of parts add up."""
    family, a = case.family, case.weight
    mu = family.inverse_link(case.eta)
    sums = family.sums(case.eta, case.y, a)
    assert sums["pearson"] == pytest.approx(np.sum(a * (case.y - mu) ** 2 / family.variance(mu)), rel=1e-12)
    assert sums["deviance"] == pytest.approx(a @ family.unit_deviance(case.y, mu), rel=1e-12)
    assert sums["loss"] == case.link(weight=a)[0]
    parts = [family.sums(case.eta[s], case.y[s], a[s]) for s in (slice(0, 111), slice(111, None))]
    added = {key: parts[0][key] + parts[1][key] for key in sums}
    n = len(case.y)
    assert family.loglik(added, 1.3, n) == pytest.approx(family.loglik(sums, 1.3, n), rel=1e-12, nan_ok=True)


def test_long_arrays_are_taken_in_parts(case):
    times = 100
    sums = case.family.sums(case.eta, case.y, None)
    many = case.family.sums(np.tile(case.eta, times), np.tile(case.y, times), None)
    for key in ("loss", "deviance", "pearson"):
        assert many[key] == pytest.approx(times * sums[key], rel=1e-12)
    n = len(case.y)
    expected = times * case.family.loglik(sums, 0.8, n)
    assert case.family.loglik(many, 0.8, n * times) == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_no_rows(case):
    empty = np.empty(0)
    assert case.family.link(empty, empty, None, None, None, empty, empty) == 0.0
    assert case.family.sums(empty, empty, None)["deviance"] == 0.0


@pytest.mark.parametrize("size", [30.0, 200.0, 699.0, 1e3, 1e8])
def test_far_predictors_give_a_large_loss_and_no_nan(case, size):
    n = len(case.y)
    for eta in (np.full(n, size), np.full(n, -size)):
        for weight in (None, case.weight):
            loss, r, w = case.link(eta, weight=weight)
            assert not np.isnan(loss) and loss > -np.inf
            assert np.all(np.isfinite(r)) and np.all(np.isfinite(w)) and np.all(w >= 0)
            # a wild step must not look like progress; a sample's own predictor is the reference
            assert loss >= case.link(weight=weight)[0] - 1e-9 * abs(loss)


def test_nan_in_the_predictor_or_response_is_seen(case):
    for position in (0, 17, 399):
        eta = case.eta.copy()
        eta[position] = np.nan
        loss, r, _ = case.link(eta)
        assert np.isnan(loss) and np.isnan(r[position])
        y = case.y.copy()
        y[position] = np.nan
        assert np.isnan(case.link(y=y)[1][position])


def test_predictors_outside_the_domain_have_infinite_loss(case):
    family = case.family
    bounded = family.link_name == "inverse_squared" or (
        family.link_name in ("inverse", "identity") and family.name != "gaussian"
    )
    if bounded:
        eta = case.eta.copy()
        eta[5] = -0.1
        assert case.link(eta)[0] == np.inf


def test_start_and_null(case):
    family = case.family
    start = family.start(case.y, case.weight)
    assert start.shape == case.y.shape and np.all(np.isfinite(start))
    assert np.isfinite(case.link(start)[0])
    null = family.null_eta(case.weight @ case.y, case.weight.sum())
    eta = np.full(len(case.y), null)
    _, r, w = case.link(eta, weight=case.weight)
    assert abs(r.sum()) / np.sqrt(w.sum()) < 1e-8


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_null_on_the_edge_is_finite(case, value):
    assert np.isfinite(case.family.null_eta(value * 10.0, 10.0))


def test_threads_and_read_only_arrays(case):
    expected = case.link(weight=case.weight)
    y, weight = case.y.copy(), case.weight.copy()
    y.flags.writeable = weight.flags.writeable = False
    with ThreadPoolExecutor(4) as pool:
        for loss, r, w in pool.map(lambda _: case.link(y=y, weight=weight), range(16)):
            assert loss == expected[0]
            np.testing.assert_array_equal(r, expected[1])
            np.testing.assert_array_equal(w, expected[2])


def test_pickle_is_small_and_equal(case):
    data = pickle.dumps(case.family)
    assert len(data) < 300
    assert pickle.loads(data) == case.family


@settings(max_examples=60, deadline=None)
@given(
    family=st.sampled_from(FAMILIES),
    eta=st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    weighted=st.booleans(),
)
def test_any_finite_predictor(family, eta, seed, weighted):
    rng = np.random.default_rng(seed)
    eta = np.array(eta)
    y = rng.choice([0.0, 1.0]) if family.name.endswith("binomial") else 10.0 ** rng.uniform(-3, 3)
    y = np.full(len(eta), y if family.name != "negative_binomial" else np.floor(y))
    weight = rng.uniform(0, 2, len(eta)) if weighted else None
    r, w = np.empty_like(eta), np.empty_like(eta)
    loss = family.link(eta, y, weight, None, None, r, w)
    assert not np.isnan(loss)
    assert np.all(np.isfinite(r)) and np.all(w >= 0) and np.all(np.isfinite(w))


def _binomial_rows(link, eta, y):
    """Loss, score and weight of every row by itself."""
    r, w = np.empty(1), np.empty(1)
    out = []
    for e in eta:
        loss = Binomial(link).link(np.array([e]), np.array([y]), None, None, None, r, w)
        out.append((loss, r[0], w[0]))
    return np.array(out).T


TAILS = np.concatenate([np.linspace(-37, 37, 149), [-600.0, -100.0, -50.0, 50.0, 100.0, 600.0]])


def test_logit_tails():
    p, q = special.expit(TAILS), special.expit(-TAILS)
    for y, loss, score in ((1.0, np.logaddexp(0, -TAILS), q), (0.0, np.logaddexp(0, TAILS), -p)):
        got = _binomial_rows("logit", TAILS, y)
        np.testing.assert_allclose(got, [loss, score, p * q], rtol=2e-15)


def test_probit_tails():
    """Relative accuracy in both tails, to far beyond where the probability itself is 0."""
    up, down = special.log_ndtr(TAILS), special.log_ndtr(-TAILS)
    with np.errstate(over="ignore"):
        ratio_up = np.sqrt(2 / np.pi) / special.erfcx(-TAILS / np.sqrt(2))
        ratio_down = np.sqrt(2 / np.pi) / special.erfcx(TAILS / np.sqrt(2))
    inner = np.abs(TAILS) <= 37
    for y, loss, score in ((1.0, -up, ratio_up), (0.0, -down, -ratio_down)):
        got = _binomial_rows("probit", TAILS, y)
        tail = inner & (loss > 1e-10)
        np.testing.assert_allclose(got[0][tail], loss[tail], rtol=1e-14)
        # the other end is as exact as exp(-η²/2) is
        np.testing.assert_allclose(got[0][inner], loss[inner], rtol=2e-13)
        np.testing.assert_allclose(got[1][inner], score[inner], rtol=2e-13)
        np.testing.assert_allclose(got[2][inner], (ratio_up * ratio_down)[inner], rtol=2e-13)
        far = ~inner & (loss > 1)
        np.testing.assert_allclose(got[0][far], loss[far], rtol=1e-14)
        np.testing.assert_allclose(got[1][far], score[far], rtol=1e-14)


def test_cloglog_tails():
    eta = np.concatenate([np.linspace(-37, 5, 85), [-600.0]])
    z = np.exp(eta)
    log_mu = np.where(z > 1, np.log1p(-np.exp(-np.maximum(z, 1))), np.log(-np.expm1(-z)))
    np.testing.assert_allclose(_binomial_rows("cloglog", eta, 0.0)[:2], [z, -z], rtol=1e-15)
    loss, score, weight = _binomial_rows("cloglog", eta, 1.0)
    np.testing.assert_allclose(loss, -log_mu, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(score, z / np.expm1(z), rtol=1e-14)
    np.testing.assert_allclose(weight, z * (z / np.expm1(z)), rtol=1e-14)


@pytest.mark.parametrize("link", Binomial.links)
def test_binomial_weight_derivative_in_the_tails(link):
    assert np.all(np.isfinite(Binomial(link).weight_derivative(TAILS)))
