"""What the maximum likelihood fit recovers when its model holds."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.naive_bayes import BernoulliNB

from statkit.naive_bayes import MislabeledBernoulliNB, MislabeledMultinomialNB, NoiseCorrectedNB

T = np.array([[0.7, 0.3], [0.1, 0.9]])


def test_em_recovers_what_wrong_labels_cost(simulate):
    scores, errors = [], []
    for r in range(10):
        X, _, z, X_test, y_test, _ = simulate(1000, r)
        nb = MislabeledBernoulliNB().fit(X, z)
        noisy = BernoulliNB().fit(X, z)
        scores.append([nb.score(X_test, y_test), noisy.score(X_test, y_test)])
        errors.append(np.abs(nb.transition_ - T).max())
        assert nb.drift_z_ < 3
    ours, noisy = np.mean(scores, axis=0)
    assert ours >= 0.835 and noisy <= 0.81
    assert np.mean(errors) < 0.06


def test_bias_of_noisy_labels_does_not_go_away(simulate):
    X, y, z, _, _, theta = simulate(5000, 0)
    rmse = {}
    for name, nb in {"em": MislabeledBernoulliNB(), "noisy": BernoulliNB(), "clean": BernoulliNB()}.items():
        nb.fit(X, y if name == "clean" else z)
        rmse[name] = np.sqrt(np.mean((np.exp(nb.feature_log_prob_) - theta) ** 2))
    assert rmse["em"] < 1.3 * rmse["clean"] < 0.6 * rmse["noisy"]


def test_auto_is_as_good_with_many_documents(simulate):
    X, _, z, X_test, y_test, _ = simulate(4000, 1)
    plain = MislabeledBernoulliNB().fit(X, z)
    auto = MislabeledBernoulliNB(power="auto").fit(X, z)
    assert auto.score(X_test, y_test) > plain.score(X_test, y_test) - 0.01


def test_probabilities_of_errors_are_calibrated(simulate):
    X, y, z, *_ = simulate(5000, 2)
    nb = MislabeledBernoulliNB().fit(X, z)
    p, wrong = nb.label_error_proba_, y != z
    # binomial errors of the total and of each fifth
    for part in np.array_split(np.argsort(p), 5):
        sd = np.sqrt((p[part] * (1 - p[part])).sum())
        assert abs(p[part].sum() - wrong[part].sum()) < 4 * sd + 0.02 * len(part)


def test_known_transition_by_moments_or_likelihood(simulate):
    X, _, z, X_test, y_test, _ = simulate(2000, 3)
    noisy = BernoulliNB().fit(X, z).score(X_test, y_test)
    for nb in (
        MislabeledBernoulliNB(transition=T),
        NoiseCorrectedNB("bernoulli", transition=T),
        NoiseCorrectedNB("multinomial", transition=T),
    ):
        assert nb.fit(X, z).score(X_test, y_test) > noisy + 0.02


def test_stepwise_em(simulate):
    X, _, z, X_test, y_test, _ = simulate(20_000, 4)
    nb = MislabeledBernoulliNB()
    for start in range(0, 20_000, 500):
        nb.partial_fit(X[start : start + 500], z[start : start + 500], classes=[0, 1])
    batch = MislabeledBernoulliNB().fit(X, z)
    assert nb.score(X_test, y_test) > batch.score(X_test, y_test) - 0.015
    assert np.abs(nb.transition_ - T).max() < 0.08
    for start in range(0, 20_000, 500):  # a second pass
        nb.partial_fit(X[start : start + 500], z[start : start + 500])
    assert np.abs(nb.transition_ - T).max() < 0.05
    # and what was fitted at once goes on
    warm = MislabeledBernoulliNB().fit(X[:10_000], z[:10_000]).partial_fit(X[10_000:], z[10_000:])
    assert np.abs(warm.transition_ - batch.transition_).max() < 0.04


def test_significance_is_not_drift():
    # Documents that follow the model, so many that estimated word probabilities make a significant difference.
    rng = np.random.default_rng(0)
    n, p, length = 30_000, 2000, 28
    y = rng.integers(2, size=n)
    rate = 1 / (np.arange(p) + 20.0)
    words = np.empty((n, length), int)
    for k, theta in enumerate((rate, rate * np.exp(rng.normal(0, 0.6, p)))):
        words[y == k] = np.searchsorted(
            np.cumsum(theta / theta.sum())[:-1], rng.random(((y == k).sum(), length))
        )
    X = sp.csr_matrix(
        (np.ones(words.size), words.ravel(), np.arange(0, words.size + 1, length)), shape=(n, p)
    )
    z = np.where(rng.random(n) < 0.25, 1 - y, y)
    auto = MislabeledMultinomialNB().fit(X, z)
    assert auto.drift_z_ > 3 and auto.drift_ < 0.01
    assert auto.power_ == 1.0 and auto.noise_rate_ == pytest.approx(0.25, abs=0.015)
    plain = MislabeledMultinomialNB(power=1.0).fit(X, z)
    np.testing.assert_array_equal(auto.feature_log_prob_, plain.feature_log_prob_)


def test_trusted_labels_in_a_stream(simulate):
    X, y, z, X_test, y_test, _ = simulate(3000, 5)
    trusted = np.where(np.arange(3000) % 4 == 0, y, -1)
    with_, without = MislabeledBernoulliNB(), MislabeledBernoulliNB()
    for start in range(0, 3000, 300):
        part = slice(start, start + 300)
        with_.partial_fit(X[part], z[part], classes=[0, 1], y_trusted=trusted[part])
        without.partial_fit(X[part], z[part], classes=[0, 1])
    assert np.abs(with_.transition_ - T).max() < np.abs(without.transition_ - T).max()
    assert with_.score(X_test, y_test) > without.score(X_test, y_test) - 0.005


@pytest.mark.slow
def test_more_classes(simulate):
    T5 = 0.7 * np.eye(5) + 0.3 * np.roll(np.eye(5), 1, axis=1)
    gains = []
    for r in range(10):
        X, _, z, X_test, y_test, _ = simulate(1000, r, K=5, p=200, block=15, prior=[0.2] * 5, T=T5)
        ours = MislabeledBernoulliNB().fit(X, z).score(X_test, y_test)
        gains.append([ours, BernoulliNB().fit(X, z).score(X_test, y_test)])
    ours, noisy = np.mean(gains, axis=0)
    assert ours > 0.65 and noisy < 0.60
