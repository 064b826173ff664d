"""Additive models: the splines, the search against all graphs, the sampler against quadrature, recovery."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.causal import Knowledge, MissDAG, ampute, shd, simulate_dag, simulate_sem
from statkit.causal._noise import log_density
from statkit.causal.acyclicity import is_acyclic
from statkit.causal.dag_learners import additive_splines
from statkit.causal.dag_learners.splines import AdditiveScore, Products, SplineBasis, search
from statkit.causal.nonlinear import AdditiveNoiseModel, additive_residuals

nan = np.nan


@parametrize_with_checks([MissDAG("nonlinear", max_iter=3, n_chains=2)])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_sklearn_conventions(estimator, check):
    check(estimator)


def curved(n, seed):
    """Four columns: 0 → 1 → 2 ← 3, none of the effects a straight line."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    x1 = np.tanh(2 * a) + 0.4 * rng.normal(size=n)
    x2 = np.square(x1) + np.sin(2 * b) + 0.4 * rng.normal(size=n)
    truth = np.zeros((4, 4), dtype=bool)
    truth[0, 1] = truth[1, 2] = truth[3, 2] = True
    return np.column_stack([a, x1, x2, b]), truth


def test_basis_reproduces_cubics_and_is_straight_outside():
    x = np.random.default_rng(0).normal(size=(300, 1))
    basis = SplineBasis(x, np.ones(300), 5)
    B = np.column_stack([np.ones(300), basis.evaluate(0, x[:, 0])])
    for power in (1, 2, 3):
        y = x[:, 0] ** power
        assert np.abs(B @ np.linalg.lstsq(B, y, rcond=None)[0] - y).max() < 1e-9
    far = basis.evaluate(0, np.array([4.0, 5.0, 6.0, -4.0, -5.0, -6.0]))
    np.testing.assert_allclose(far[0] - 2 * far[1] + far[2], 0, atol=1e-12)
    np.testing.assert_allclose(far[3] - 2 * far[4] + far[5], 0, atol=1e-12)
    # and continuous where the line begins
    end = x.max()
    np.testing.assert_allclose(
        basis.evaluate(0, np.array([end])), basis.evaluate(0, np.array([end + 1e-9])), atol=1e-6
    )


def test_products_give_the_regression():
    X, _ = curved(200, 0)
    w = np.random.default_rng(1).uniform(0.5, 1.5, 200)
    basis = SplineBasis(X, w, 5)
    score = AdditiveScore(basis, Products.of(basis, X, w), 200.0, 1.0)
    parents = np.array([False, True, False, True])
    B = np.column_stack([np.ones(200), basis.evaluate(1, X[:, 1]), basis.evaluate(3, X[:, 3])])
    root = np.sqrt(w)
    fitted = B @ np.linalg.lstsq(B * root[:, None], X[:, 2] * root, rcond=None)[0]
    variance = w @ np.square(X[:, 2] - fitted) / w.sum()
    assert np.exp(score.log_variance(2, parents)) == pytest.approx(variance, rel=1e-3)  # the ridge


def test_search_against_all_graphs():
    X, truth = curved(400, 2)
    X, truth = X[:, :3], truth[:3, :3]
    w = np.ones(400)
    basis = SplineBasis(X, w, 5)
    score = AdditiveScore(basis, Products.of(basis, X, w), 400.0, 6.0)

    def value(A):
        fit = -0.5 * 400 * sum(score.log_variance(j, A[:, j]) for j in range(3))
        return fit - (A * score.prices[:, None]).sum()

    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    graphs = []
    for bits in itertools.product([False, True], repeat=6):
        A = np.zeros((3, 3), dtype=bool)
        for (i, j), on in zip(pairs, bits, strict=True):
            A[i, j] = on
        if is_acyclic(A):
            graphs.append(A)
    best = max(graphs, key=value)
    found = search(score, Knowledge.none(3))
    np.testing.assert_array_equal(found, best)
    np.testing.assert_array_equal(found, truth)


def test_knowledge_is_kept():
    X, truth = curved(400, 3)
    known = Knowledge.of(4, forbidden=[(0, 1)], required=[(3, 0)])
    A = additive_splines(X, knowledge=known)
    assert not A[0, 1] and A[3, 0] and is_acyclic(A)
    dag = MissDAG("nonlinear", tiers=[[2], [0, 1, 3]], random_state=0).fit(X)
    assert not dag.adjacency_[[0, 1, 3], 2].any()
    fixed = MissDAG("nonlinear", graph=truth, random_state=0).fit(ampute(X, 0.1, random_state=0))
    np.testing.assert_array_equal(fixed.adjacency_, truth)
    ordered = MissDAG("nonlinear", order=[3, 0, 1, 2], random_state=0).fit(X)
    np.testing.assert_array_equal(ordered.adjacency_, truth)


@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
def test_sampler_against_quadrature():
    dag = MissDAG("nonlinear", noise="gaussian", random_state=0).fit(curved(600, 4)[0])
    model = dag._noise_model
    assert isinstance(model, AdditiveNoiseModel)
    X = curved(8, 5)[0]
    for i in range(8):
        X[i, i % 4] = nan
    draws = model.draw(X, seed=1, n_draws=2500)
    for i in range(8):
        j = i % 4

        def density(x, i=i, j=j):
            row = ((X[i] - dag._noise_model.shift) / dag._noise_model.unit)[None].copy()
            row[0, j] = x
            E = np.empty_like(row)
            additive_residuals(row, model.A, model.tables, model.low, model.width, model.intercept, E)
            logs = [
                log_density(f, e / s) - np.log(s)
                for f, e, s in zip(model.family, E[0], model.scale, strict=True)
            ]
            return np.exp(sum(logs) + 10)

        total, first, second = (
            quad(lambda x, k=k: x**k * density(x), -6, 6, limit=80, points=[-1, 0, 1])[0] for k in range(3)
        )
        mean, sd = first / total, np.sqrt(second / total - (first / total) ** 2)
        z = (draws[:, i, j] - model.shift[j]) / model.unit[j]
        # 2500 draws that are correlated: about six hundred independent ones
        assert abs(z.mean() - mean) < 5 * sd / np.sqrt(600)
        assert z.std() == pytest.approx(sd, rel=0.15)
        np.testing.assert_array_equal(np.delete(draws[0, i], j), np.delete(X[i], j))


def test_graph_effects_and_holes_of_a_curved_model():
    full, truth = curved(800, 6)
    X = ampute(full, 0.2, random_state=7)
    dag = MissDAG("nonlinear", random_state=0).fit(X)
    np.testing.assert_array_equal(dag.adjacency_, truth)
    assert not dag.edges_["reversible"].any() and dag.converged_ and np.isfinite(dag.loglik_)
    # the functions, up to a constant
    x = np.linspace(-1, 1, 9)
    found = dag.direct_effect(3, 2, x)
    assert np.abs(found - found.mean() - (np.sin(2 * x) - np.sin(2 * x).mean())).max() < 0.2
    assert (dag.direct_effect(0, 2, x) == 0).all()
    # an intervention is not a regression: x1 is set, x0 stays
    mean, covariance = dag.predict_intervention({1: 1.0})
    assert mean[1] == 1 and covariance[1, 1] == 0
    assert mean[0] == pytest.approx(0, abs=0.1) and mean[2] == pytest.approx(1.0, abs=0.2)
    # holes are filled better than by straight lines
    holes = np.isnan(X)
    linear = MissDAG(random_state=0).fit(X).transform(X)
    filled = dag.transform(X)
    np.testing.assert_array_equal(filled[~holes], X[~holes])

    def rmse(Z):
        return np.sqrt(np.mean(np.square((Z - full) / full.std(axis=0))[holes]))

    assert rmse(filled) < 0.95 * rmse(linear)
    assert (dag.impute_std(X)[holes] > 0).all() and dag.sample_posterior(X, 2, random_state=0).shape == (
        2,
        800,
        4,
    )


def test_units_do_not_matter():
    X = ampute(curved(300, 8)[0], 0.1, random_state=0)
    scale, shift = np.array([1e3, 1.0, 0.01, 5.0]), np.array([1.0, -3.0, 0.0, 100.0])
    a = MissDAG("nonlinear", random_state=0).fit(X)
    b = MissDAG("nonlinear", random_state=0).fit(X * scale + shift)
    np.testing.assert_array_equal(a.adjacency_, b.adjacency_)
    np.testing.assert_allclose(a.transform(X) * scale + shift, b.transform(X * scale + shift), rtol=1e-6)
    np.testing.assert_allclose(a.noise_var_ * scale**2, b.noise_var_, rtol=1e-6)


def test_a_weight_of_two_is_a_row_twice():
    X, _ = curved(60, 10)
    w = np.random.default_rng(0).integers(0, 3, 60)
    a = MissDAG("nonlinear", random_state=0).fit(X, sample_weight=w)
    b = MissDAG("nonlinear", random_state=0).fit(np.repeat(X, w, axis=0))
    np.testing.assert_array_equal(a.adjacency_, b.adjacency_)
    np.testing.assert_allclose(a.noise_var_, b.noise_var_, rtol=1e-8)
    assert a.loglik_ == pytest.approx(b.loglik_, rel=1e-8)


def test_bad_requests():
    X, _ = curved(100, 9)
    dag = MissDAG("nonlinear", random_state=0).fit(X)
    for what in ("total_effect", "ida"):
        with pytest.raises(ValueError, match="direct_effect"):
            getattr(dag, what)(0, 1)
    with pytest.raises(ValueError, match="no learner 'boss'"):
        MissDAG("nonlinear", learner="boss").fit(X)
    with pytest.raises(ValueError, match="missing or infinite"):
        additive_splines([[0.0, nan], [1.0, 2.0]])
    # few distinct values, few rows
    coarse = np.round(ampute(X, 0.1, random_state=0)[:25])
    with pytest.warns(UserWarning, match="fewer than 5 whole numbers"):
        dag = MissDAG("nonlinear", random_state=0, n_bootstrap=2).fit(coarse)
    assert is_acyclic(dag.adjacency_)


@pytest.mark.slow
@pytest.mark.parametrize(("function", "share"), [("gp-add", 0.4), ("mim", 0.5)])
def test_recovery(function, share):
    wrong = edges = 0
    for seed in range(6):
        W = simulate_dag(8, degree=3, random_state=seed)
        X = ampute(simulate_sem(W, 500, function=function, random_state=seed), 0.2, random_state=seed)
        wrong += shd(W != 0, MissDAG("nonlinear", random_state=0).fit(X).adjacency_)
        edges += (W != 0).sum()
    assert wrong < share * edges
