"""Standard errors: Louis's information against differences of the log likelihood, and coverage."""

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax

from statkit.naive_bayes import MislabeledBernoulliNB, MislabeledMultinomialNB
from statkit.naive_bayes._louis import Information
from statkit.naive_bayes._transition import symmetric_matrix

pytestmark = pytest.mark.filterwarnings("ignore:documents of class", "ignore:the estimated", "ignore:EM d")


def small_fit(kind, structure="full", K=3, p=6, n=400):
    rng = np.random.default_rng(2)
    y = rng.integers(K, size=n)
    rate = 0.3 + 1.2 * np.kron(np.eye(K), np.ones(p // K))
    X = rng.poisson(rate[y]).astype(float)
    z = np.where(rng.random(n) < 0.25, (y + rng.integers(1, K, n)) % K, y)
    z[:30] = -1
    weight = rng.uniform(0.5, 1.5, n)
    nb = kind(power=1.0, transition=structure, transition_prior=0.0, max_iter=20_000, tol=1e-13)
    nb.fit(X, z, sample_weight=weight)
    return nb, (X if kind is MislabeledMultinomialNB else (X > 0).astype(float)), z, weight


def log_posterior(parameters, nb, X, z, weight, structure):
    """Observed log posterior in the parameters of the information, written from the definition."""
    K, p = len(nb.classes_), X.shape[1]
    n_labels = {"full": K * (K - 1), "class": K, "symmetric": 1, "uniform": K}[structure]
    prior = log_softmax(np.r_[parameters[: K - 1], 0.0])
    t = parameters[K - 1 : K - 1 + n_labels]
    if structure == "full":
        logits = np.zeros((K, K))
        logits[~np.eye(K, dtype=bool)] = t
        log_T = log_softmax(logits, axis=1)
    elif structure == "uniform":
        rho = 1 / (1 + np.exp(-t[0]))
        log_T = np.log((1 - rho) * np.eye(K) + rho * softmax(np.r_[t[1:], 0.0]))
    else:
        rates = np.broadcast_to(1 / (1 + np.exp(-t)), K)
        log_T = np.log(np.stack([symmetric_matrix(e, K)[k] for k, e in enumerate(rates)]))
    eta = parameters[K - 1 + n_labels :].reshape(p, K)
    if isinstance(nb, MislabeledBernoulliNB):
        log_theta, log_absent = -np.log1p(np.exp(-eta)), -np.log1p(np.exp(eta))
        F = X @ log_theta + (1 - X) @ log_absent
        log_prior = log_theta.sum() + log_absent.sum()
    else:
        log_theta = log_softmax(eta, axis=0)
        F, log_prior = X @ log_theta, log_theta.sum()
    votes = np.where((z >= 0)[:, None], log_T[:, z].T, 0.0)
    return weight @ logsumexp(F + prior + votes, axis=1) + nb.alpha * log_prior


@pytest.mark.parametrize("kind", [MislabeledBernoulliNB, MislabeledMultinomialNB])
@pytest.mark.parametrize("structure", ["full", "class", "symmetric", "uniform"])
def test_information_is_the_hessian(kind, structure):
    nb, X, z, weight = small_fit(kind, structure)
    corpus, solution = nb._training
    info = Information(corpus, solution.fit, solution.transition)
    K, p = len(nb.classes_), X.shape[1]
    T = nb.transition_
    drawn = (T.sum(axis=0) - np.diag(T)) / (K - 1)
    t = {
        "uniform": np.log(np.r_[drawn.sum() / (1 - drawn.sum()), drawn[:-1] / drawn[-1]]),
        "full": (np.log(T) - np.log(np.diag(T))[:, None])[~np.eye(K, dtype=bool)],
        "class": np.log(1 - np.diag(T)) - np.log(np.diag(T)),
        "symmetric": np.log(1 - T[0, :1]) - np.log(T[0, :1]),
    }[structure]
    log_prior = nb.class_log_prior_
    log_theta = nb.feature_log_prob_.T
    eta = log_theta - np.log1p(-np.exp(log_theta)) if kind is MislabeledBernoulliNB else log_theta
    at = np.r_[log_prior[:-1] - log_prior[-1], t, eta.ravel()]

    def f(x):
        return log_posterior(x, nb, X, z, weight, structure)

    d, h = len(at), 1e-3
    E = np.eye(d) * h
    # the gradient is zero: this is the maximum
    gradient = np.array([(f(at + e) - f(at - e)) / (2 * h) for e in E])
    assert np.abs(gradient).max() < 1e-3
    H = np.empty((d, d))
    for i in range(d):
        for j in range(i + 1):
            H[i, j] = H[j, i] = -(
                f(at + E[i] + E[j]) - f(at + E[i] - E[j]) - f(at - E[i] + E[j]) + f(at - E[i] - E[j])
            ) / (4 * h * h)
    dense = np.empty((d, d))
    for j in range(d):
        e = np.eye(d)[j]
        head, tail = info.product(e[: info.size].copy(), e[info.size :].reshape(p, K))
        dense[:, j] = np.r_[head, tail.ravel()]
    np.testing.assert_allclose(dense, dense.T, atol=1e-9 * np.abs(dense).max())
    assert np.abs(dense - H).max() < 1e-4 * np.abs(H).max()
    inverse = np.linalg.pinv(dense, rcond=1e-10)[: info.size, : info.size]
    np.testing.assert_allclose(info.covariance(), inverse, rtol=1e-5, atol=1e-10)


def test_intervals(simulate):
    X, _, z, *_ = simulate(2000, 0)
    nb = MislabeledBernoulliNB(compute_se=True).fit(X, z)
    frame = nb.transition_conf_int()
    assert frame.index.names == ["true", "given"] and frame.columns.tolist() == [
        "estimate",
        "std_err",
        "lower",
        "upper",
    ]
    np.testing.assert_allclose(frame["std_err"].to_numpy().reshape(2, 2), nb.transition_se_)
    assert (frame["lower"] < frame["estimate"]).all() and (frame["estimate"] < frame["upper"]).all()
    narrow = nb.transition_conf_int(level=0.5)
    assert (narrow["upper"] - narrow["lower"] < frame["upper"] - frame["lower"]).all()
    boot = nb.set_params(random_state=0).transition_conf_int(method="bootstrap")
    # 100 replicates know a standard deviation to 7 %
    np.testing.assert_allclose(boot["std_err"], frame["std_err"], rtol=0.3)
    assert 0 < nb.noise_rate_se_ < 0.05
    with pytest.raises(ValueError, match="level"):
        nb.transition_conf_int(level=95)
    with pytest.raises(ValueError, match="method"):
        nb.transition_conf_int(method="exact")


def test_tempered_fit_is_bootstrapped(counts):
    X, _, z = counts
    nb = MislabeledMultinomialNB(power=0.5, random_state=0).fit(X, z)
    assert np.isfinite(nb.transition_conf_int()["std_err"]).all()
    with pytest.raises(ValueError, match="maximum likelihood"):
        nb.transition_conf_int(method="louis")


def test_known_transition_has_no_error(counts):
    X, _, z = counts
    T = symmetric_matrix(0.2, 3)
    nb = MislabeledMultinomialNB(power=1.0, transition=T, compute_se=True).fit(X, z)
    np.testing.assert_array_equal(nb.transition_se_, 0.0)
    assert nb.noise_rate_se_ == pytest.approx(0.0, abs=1e-9)  # whatever the class prior


def test_a_rate_of_zero_has_an_upper_limit(counts):
    _, y, _ = counts
    X = 1 + 50 * np.eye(3)[y]  # the words leave no doubt: the likelihood of the labels is that of their table
    z = np.where((y == 0) & (np.arange(len(y)) % 4 == 0), 1, y)
    nb = MislabeledMultinomialNB(power=1.0, transition_prior=0.0).fit(X, z)
    frame = nb.transition_conf_int()
    for true, given in [(0, 2), (1, 0), (2, 1)]:
        n = (y == true).sum()
        # (1 - t)^n falls by half a quantile of chi-squared
        limit = 1 - np.exp(-3.841459 / 2 / n)
        assert frame.loc[(true, given), "lower"] == 0
        assert frame.loc[(true, given), "upper"] == pytest.approx(limit, rel=0.05)
    assert np.isfinite(frame.loc[(0, 1)]).all()


def test_no_limit_is_said(counts):
    _, y, _ = counts
    X = 1 + 50 * np.eye(3)[y]
    nb = MislabeledMultinomialNB(power=1.0, transition_prior=0.0, transition="class").fit(X, y)
    with pytest.warns(match="no interval"):
        assert nb.transition_conf_int()["upper"].isna().any()
    known = MislabeledMultinomialNB(power=1.0, transition=np.eye(3)).fit(X, y)
    assert known.transition_conf_int()["upper"].isna().all()  # nothing was estimated: nothing to say


@pytest.mark.slow
def test_coverage(simulate):
    T = np.array([[0.7, 0.3], [0.1, 0.9]])
    hits, rate_hits, n = np.zeros(2), 0, 200
    for r in range(n):
        X, _, z, *_ = simulate(2000, r, p=60)
        nb = MislabeledBernoulliNB(transition_prior=0.0, max_iter=500, compute_se=True).fit(X, z)
        frame = nb.transition_conf_int()
        for k, cell in enumerate([(0, 1), (1, 0)]):
            low, high = frame.loc[cell, ["lower", "upper"]]
            hits[k] += low <= T[cell] <= high
        rate_hits += abs(nb.noise_rate_ - 0.22) < 1.96 * nb.noise_rate_se_
    # 95 % within three Monte Carlo errors, 1.5 points each
    assert (hits / n >= 0.90).all() and (hits / n <= 0.99).all()
    assert 0.90 <= rate_hits / n <= 0.99
