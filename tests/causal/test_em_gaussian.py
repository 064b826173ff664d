"""The Gaussian EM: worked numbers, a plain loop over rows as oracle, invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from statkit.causal import _incomplete, ampute, estep_gaussian, mvn_em, observed_loglik
from statkit.causal._graph_em import covariance, estep, fixed_graph_em, precision
from statkit.causal._incomplete import IncompleteData
from statkit.causal.em_gaussian import saturated_em

nan = np.nan


def plain_estep(X, mean, Sigma, weight):
    """Textbook formulas, a row at a time: moments, log-likelihood, imputed table, conditional variances."""
    n, d = X.shape
    filled, added, loglik, spread = X.copy(), np.zeros((d, d)), 0.0, np.zeros((n, d))
    for i in range(n):
        o = ~np.isnan(X[i])
        m = ~o
        if not o.any():
            filled[i] = mean
            spread[i] = np.diag(Sigma)
            continue
        inverse = np.linalg.inv(Sigma[np.ix_(o, o)])
        filled[i, m] = mean[m] + Sigma[np.ix_(m, o)] @ inverse @ (X[i, o] - mean[o])
        C = Sigma[np.ix_(m, m)] - Sigma[np.ix_(m, o)] @ inverse @ Sigma[np.ix_(o, m)]
        added[np.ix_(m, m)] += weight[i] * C
        spread[i, m] = np.diag(C)
        loglik += weight[i] * multivariate_normal(mean[o], Sigma[np.ix_(o, o)]).logpdf(X[i, o])
    used = ~np.isnan(X).all(axis=1)
    w = weight[used]
    centre = w @ filled[used] / w.sum()
    R = filled[used] - centre
    return centre, ((R * w[:, None]).T @ R + added) / w.sum(), loglik, filled, spread


def random_case(seed, n=40, d=5, rate=0.4):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    Sigma = root @ root.T + 0.5 * np.eye(d)
    X = 3 + rng.normal(size=(n, d)) @ root.T
    X[rng.uniform(size=X.shape) < rate] = nan
    return X, rng.normal(size=d) + 3, Sigma, rng.integers(1, 4, size=n).astype(float)


def test_worked_estep(ten_rows, chain):
    W = np.where(chain, 1.0, 0.0)
    W[1, 2] = 0.5
    omega = np.array([1, 0.5, 0.25])
    np.testing.assert_allclose(precision(W, omega), [[3, -2, 0], [-2, 3, -2], [0, -2, 4]], atol=1e-12)
    step = estep_gaussian(ten_rows, [0.1, 0.2, 0], covariance(W, omega))
    x = step.imputed
    found = [x[1, 2], x[2, 1], x[3, 0], *x[4, 1:], *x[7, :2]]
    np.testing.assert_allclose(found, [-0.55, -0.2, 1.36666667, 1.5, 0.65, 0.82, 1.28], atol=1e-8)
    np.testing.assert_allclose(step.mean, [0.41866667, 0.448, 0.15], atol=1e-8)
    S = [[1.21606933, 1.49739733, 0.8455], [1.49739733, 2.26246933, 1.247], [0.8455, 1.247, 0.9785]]
    np.testing.assert_allclose(step.covariance, S, atol=1e-8)
    assert step.loglik == pytest.approx(-28.30591108, abs=1e-8)


def chain_path(X, chain, equal_var):
    data = IncompleteData(X)
    mean, Sigma = data.observed_moments()
    first = estep(data, mean, np.zeros((3, 3)), np.diag(Sigma).copy(), 0.0)
    path = fixed_graph_em(
        data, chain, first.next_mean, first.S, equal_var=equal_var, price=0.0, max_iter=5000, tol=1e-15
    )
    return data, first, path


def test_worked_em_on_the_chain(ten_rows, chain):
    data, first, path = chain_path(ten_rows, chain, False)
    assert first.loglik == pytest.approx(-37.155678, abs=1e-6)
    np.testing.assert_allclose(path.loglik[:3], [-31.019478, -28.125628, -26.818629], atol=1e-6)
    assert path.loglik[-1] == pytest.approx(-26.28018878, abs=1e-7)
    assert (np.diff(path.loglik) >= -1e-9 * np.abs(path.loglik[1:])).all()
    np.testing.assert_allclose(path.state.W[chain], [1.2531317, 0.5587780], atol=1e-6)
    np.testing.assert_allclose(path.state.omega, [1.26679942, 0.2991517, 0.29798884], atol=1e-6)
    np.testing.assert_allclose(path.state.mean + data.shift, [0.47137936, 0.48177607, 0.15976687], atol=1e-6)


def test_worked_em_with_equal_variances(ten_rows, chain):
    _, _, path = chain_path(ten_rows, chain, True)
    assert path.loglik[-1] == pytest.approx(-28.97140454, abs=1e-7)
    np.testing.assert_allclose(path.state.W[chain], [1.2830964, 0.5422904], atol=1e-6)
    np.testing.assert_allclose(path.state.omega, np.full(3, 0.67221833), atol=1e-6)


@pytest.mark.parametrize("accelerate", [True, False])
def test_worked_saturated(ten_rows, accelerate):
    fit = mvn_em(ten_rows, tol=1e-15, max_iter=20_000, accelerate=accelerate)
    assert fit.loglik == pytest.approx(-25.92367596, abs=1e-7)
    np.testing.assert_allclose(fit.mean, [0.50107063, 0.49688167, 0.11901447], atol=2e-7)
    S = [[1.30761787, 1.61065954, 1.02440365], [1.61065954, 2.27030531, 1.31267972]]
    np.testing.assert_allclose(fit.covariance[:2], S, atol=2e-7)
    assert fit.covariance[2, 2] == pytest.approx(1.08116171, abs=2e-7)
    assert fit.converged


def test_acceleration_needs_fewer_steps():
    X, *_ = random_case(3, n=120, d=6, rate=0.5)
    plain = mvn_em(X, tol=1e-10, max_iter=20_000, accelerate=False)
    quick = mvn_em(X, tol=1e-10, max_iter=20_000)
    assert quick.n_iter < plain.n_iter / 2
    assert quick.loglik >= plain.loglik - 1e-5


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.85])
def test_estep_against_a_loop_over_rows(seed, rate):
    X, mean, Sigma, weight = random_case(seed, rate=rate)
    step = estep_gaussian(X, mean, Sigma, sample_weight=weight)
    centre, S, loglik, filled, _ = plain_estep(X, mean, Sigma, weight)
    np.testing.assert_allclose(step.imputed, filled, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(step.mean, centre, rtol=1e-10)
    np.testing.assert_allclose(step.covariance, S, rtol=1e-9, atol=1e-10)
    assert step.loglik == pytest.approx(loglik, rel=1e-12)
    assert observed_loglik(X, mean, Sigma, sample_weight=weight) == pytest.approx(loglik, rel=1e-12)


def test_large_groups_and_blocks(monkeypatch):
    # Patterns with many rows go through matrix products; a table is read in several blocks.
    X, mean, Sigma, _ = random_case(1, n=400, d=3, rate=0.4)
    centre, S, loglik, *_ = plain_estep(X, mean, Sigma, np.ones(400))
    for block in (16_384, 37):
        monkeypatch.setattr(_incomplete, "BLOCK", block)
        step = estep_gaussian(X, mean, Sigma)
        np.testing.assert_allclose(step.covariance, S, rtol=1e-10)
        np.testing.assert_allclose(step.mean, centre, rtol=1e-10)
        assert step.loglik == pytest.approx(loglik, rel=1e-12)


@given(st.integers(0, 10_000), st.floats(0.0, 0.95), st.integers(1, 7), st.integers(2, 30))
@settings(max_examples=60, deadline=None)
def test_any_mask(seed, rate, d, n):
    X, mean, Sigma, weight = random_case(seed, n=n, d=d, rate=rate)
    if np.isnan(X).all(axis=1).all():
        return
    data = IncompleteData(X, weight)
    moments = data.estep(mean - data.shift, np.linalg.inv(Sigma), Sigma)
    _, S, loglik, *_ = plain_estep(X, mean, Sigma, weight)
    assert moments.loglik == pytest.approx(loglik, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(moments.covariance, S, rtol=1e-7, atol=1e-9)
    scale = np.trace(S) + np.trace(Sigma)  # S itself is zero where one row is all there is
    assert np.linalg.eigvalsh(moments.covariance).min() >= -1e-12 * scale
    np.testing.assert_array_equal(moments.covariance, moments.covariance.T)
    rows = data.row_loglik(mean - data.shift, np.linalg.inv(Sigma), Sigma)
    assert rows @ weight == pytest.approx(loglik, rel=1e-9, abs=1e-9)


def test_order_of_rows_and_weights():
    X, mean, Sigma, weight = random_case(7)
    base = estep_gaussian(X, mean, Sigma, sample_weight=weight)
    shuffled = np.random.default_rng(0).permutation(len(X))
    again = estep_gaussian(X[shuffled], mean, Sigma, sample_weight=weight[shuffled])
    repeated = estep_gaussian(np.repeat(X, weight.astype(int), axis=0), mean, Sigma)
    for other in (again, repeated):
        np.testing.assert_allclose(other.covariance, base.covariance, rtol=1e-10)
        assert other.loglik == pytest.approx(base.loglik, rel=1e-12)


def test_weight_zero_is_a_row_left_out():
    X, mean, Sigma, weight = random_case(8)
    weight[:10] = 0
    kept = estep_gaussian(X[10:], mean, Sigma, sample_weight=weight[10:])
    assert estep_gaussian(X, mean, Sigma, sample_weight=weight).loglik == pytest.approx(
        kept.loglik, rel=1e-12
    )


def test_float32_and_memory_map(tmp_path):
    X, mean, Sigma, _ = random_case(2)
    expected = estep_gaussian(X.astype(np.float32).astype(float), mean, Sigma).loglik
    assert estep_gaussian(X.astype(np.float32), mean, Sigma).loglik == pytest.approx(expected, rel=1e-12)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert estep_gaussian(mapped, mean, Sigma).loglik == estep_gaussian(X, mean, Sigma).loglik


def test_complete_table_needs_one_step():
    X = np.random.default_rng(0).normal(size=(50, 4)) + 1e6
    data = IncompleteData(X)
    mean, S, _, used, converged = saturated_em(data, max_iter=50, tol=1e-8)
    np.testing.assert_allclose(S, np.cov(X.T, bias=True), rtol=1e-9)
    np.testing.assert_allclose(mean + data.shift, X.mean(axis=0), rtol=1e-12)
    assert used == 1 and converged


def test_mar_is_consistent_where_complete_cases_are_not():
    # The second column is missing where the first is large: complete cases understate its mean.
    rng = np.random.default_rng(5)
    X = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=20_000)
    X[X[:, 0] > 0, 1] = nan
    fit = mvn_em(X)
    assert abs(fit.mean[1]) < 0.04
    assert np.nanmean(X[:, 1]) < -0.5
    assert fit.covariance[0, 1] == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mvn_em([[nan, 1.0], [nan, 2.0]]), "column 0 of X has no observed value"),
        (lambda: estep_gaussian([[1.0, nan]], [0], np.eye(2)), "mean must have shape"),
        (lambda: estep_gaussian([[1.0, nan]], [0, 0], [[1, 2], [2, 1]]), "not positive definite"),
        (lambda: estep_gaussian([[1.0, np.inf]], [0, 0], np.eye(2)), "infinity"),
        (lambda: estep_gaussian([["a", "b"]], [0, 0], np.eye(2)), "could not convert"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_amputed_share():
    X = ampute(np.zeros((2000, 5)), 0.3, random_state=0)
    assert np.isnan(X).mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 10_000))
