"""Monte Carlo EM: the sampler against quadrature, densities, orders, recovery."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.causal import Knowledge, MissDAG, ampute, shd, simulate_dag, simulate_sem
from statkit.causal._graph_em import covariance, precision
from statkit.causal._noise import FAMILIES, fit_noise, log_density, scale_of, total_log_density
from statkit.causal.dag_learners import direct_lingam
from statkit.causal.dag_learners.ica import ica_loss, notears_ica
from statkit.causal.mcem import LinearNoiseModel

nan = np.nan
VARIANCE = {"gaussian": 1, "logistic": np.pi**2 / 12, "laplace": 2, "student": 2, "subgaussian": 2}


@parametrize_with_checks([MissDAG("nongaussian", max_iter=3, n_chains=2)])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_sklearn_conventions(estimator, check):
    check(estimator)


@pytest.mark.parametrize("code", range(len(FAMILIES)))
def test_densities_integrate_to_one_with_mean_zero(code):
    def moment(k):
        return quad(lambda u: u**k * np.exp(log_density(code, u)), -60, 60, limit=400, points=[-2, 0, 2])[0]

    assert moment(0) == pytest.approx(1, abs=1e-6)
    assert moment(1) == pytest.approx(0, abs=1e-6)
    assert moment(2) == pytest.approx(VARIANCE.get(FAMILIES[code], np.pi**2 / 6), rel=1e-2)


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_scale_maximises_the_likelihood(code):
    e = np.random.default_rng(0).standard_t(5, size=2000)
    e -= e.mean()
    w = np.ones(2000)
    best = scale_of(code, e, w)
    value = total_log_density(code, e, best, w)
    for factor in (0.97, 1.03):
        assert total_log_density(code, e, best * factor, w) < value


def test_family_is_found():
    rng = np.random.default_rng(1)
    n = 5000
    draws = {
        "gaussian": rng.normal(size=n),
        "laplace": rng.laplace(size=n),
        "subgaussian": rng.choice([-1, 1], size=n) + 0.8 * rng.normal(size=n),
        "gumbel": rng.gumbel(size=n),
        "gumbel_left": -rng.gumbel(size=n),
    }
    E = np.column_stack(list(draws.values()))
    family, _ = fit_noise(E - E.mean(axis=0), np.ones(n), "auto")
    assert [FAMILIES[k] for k in family] == list(draws)


def test_sampler_against_quadrature():
    # One hole a row: its conditional density is the product of its own and its children's noise densities.
    W = np.zeros((3, 3))
    W[0, 1], W[0, 2], W[1, 2] = 1.0, -0.7, 0.5
    family, scale = np.array([2, 5, 1]), np.array([0.8, 1.0, 0.6])
    variances = np.array([2 * 0.64, np.pi**2 / 6, 0.36 * np.pi**2 / 12])
    Sigma = covariance(W, variances)
    model = LinearNoiseModel(W, np.zeros(3), family, scale, np.zeros(3), precision(W, variances), Sigma)
    X = np.random.default_rng(0).multivariate_normal(np.zeros(3), Sigma, size=9)
    for i in range(9):
        X[i, i % 3] = nan
    draws = model.draw(X, seed=3, n_draws=8000)
    for i in range(9):
        j = i % 3

        def density(x, i=i, j=j):
            row = X[i].copy()
            row[j] = x
            e = row - row @ W
            return np.exp(sum(log_density(family[k], e[k] / scale[k]) for k in range(3)))

        total, mean, square = (
            quad(lambda x, k=k: x**k * density(x), -15, 15, limit=300)[0] for k in range(3)
        )
        mean, square = mean / total, square / total
        deviation = np.sqrt(square - mean**2)
        found = draws[:, i, j]
        assert abs(found.mean() - mean) < 6 * deviation / np.sqrt(1500)  # draws are correlated
        assert found.std() == pytest.approx(deviation, rel=0.12)
        np.testing.assert_array_equal(np.delete(draws[0, i], j), np.delete(X[i], j))


def test_direct_lingam_order():
    for seed, noise in enumerate(["exponential", "uniform", "laplace"]):
        W = np.triu(simulate_dag(6, degree=3, random_state=seed))
        X = simulate_sem(W, 3000, noise=noise, random_state=seed)
        place = np.argsort(direct_lingam(X * np.exp(np.arange(6))))
        i, j = np.nonzero(W)
        assert (place[i] < place[j]).all()


def test_direct_lingam_weights_and_knowledge():
    X = simulate_sem(np.diag([1.0, 1.0], 1), 500, noise="exponential", random_state=0)
    weight = np.random.default_rng(0).integers(0, 3, 500)
    np.testing.assert_array_equal(
        direct_lingam(X, sample_weight=weight), direct_lingam(np.repeat(X, weight, axis=0))
    )
    told = direct_lingam(X, knowledge=Knowledge.of(3, tiers=[[2], [0, 1]]))
    assert told[0] == 2
    with pytest.raises(ValueError, match="without missing"):
        direct_lingam([[1, nan], [2, 3]])


def test_ica_gradient_and_recovery():
    rng = np.random.default_rng(0)
    X = rng.laplace(size=(60, 3))
    w = rng.uniform(size=60)
    w /= w.sum()
    W = 0.3 * rng.normal(size=(3, 3))
    np.fill_diagonal(W, 0)
    numeric = approx_fprime(W.ravel(), lambda v: ica_loss(v.reshape(3, 3), X, w)[0], 1e-7).reshape(3, 3)
    np.testing.assert_allclose(ica_loss(W, X, w)[1], numeric, atol=1e-5)
    V = np.diag([1.5, -1.2], 1)
    X = simulate_sem(V, 800, noise="laplace", random_state=1)
    found = notears_ica(X, lambda1=0.05)
    assert shd(V, np.abs(found) > 0.3) == 0


@pytest.mark.parametrize("learner", ["lingam", "ica", "order"])
def test_learners_on_a_chain_with_holes(learner):
    W = np.diag([1.5, -1.2, 1.0], 1)
    X = ampute(simulate_sem(W, 500, noise="exponential", random_state=0), 0.2, random_state=1)
    dag = MissDAG("nongaussian", learner=learner, max_iter=6, random_state=0).fit(X)
    assert shd(W, dag.adjacency_) <= (1 if learner == "ica" else 0)
    np.testing.assert_allclose(dag.mean_, [1, 2.5, -2, -1], atol=0.35)


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["exponential", "uniform"])
def test_recovery_in_any_units(noise):
    distances = []
    for seed in range(3):
        W = simulate_dag(10, degree=4, random_state=seed)
        X = simulate_sem(W, 1000, noise=noise, random_state=100 + seed)
        X = ampute(X / X.std(axis=0), 0.3, random_state=200 + seed)
        distances.append(shd(W, MissDAG("nongaussian", random_state=0).fit(X).adjacency_))
    assert np.mean(distances) <= 2


def test_imputation_and_draws():
    W = simulate_dag(5, degree=3, random_state=0)
    full = simulate_sem(W, 400, noise="gumbel", random_state=1)
    X = ampute(full, 0.2, random_state=2)
    dag = MissDAG("nongaussian", random_state=0).fit(X)
    filled = dag.transform(X)
    np.testing.assert_array_equal(filled, dag.transform(X))
    seen = ~np.isnan(X)
    np.testing.assert_array_equal(filled[seen], X[seen])
    error = (filled - full)[~seen] / np.broadcast_to(full.std(axis=0), X.shape)[~seen]
    assert np.sqrt(np.mean(error**2)) < 0.7
    z = (filled - full)[~seen] / dag.impute_std(X)[~seen]
    assert 0.8 < np.sqrt(np.mean(z**2)) < 1.3  # the spread is honest
    assert dag.sample_posterior(X, n_draws=3, random_state=0).shape == (3, 400, 5)
    np.testing.assert_array_equal(dag.transform(full), full)
