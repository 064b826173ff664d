"""Fuzzy c-means and FANNY against R 2.1.4 (cluster::fanny) and scikit-fuzzy; indices; network targets."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits, load_iris, make_blobs

from statkit.cluster import (
    Fanny,
    FuzzyCMeans,
    PACHead,
    clustering_accuracy,
    fuzzy_silhouette,
    opa_targets,
    pac_objective,
    partition_coefficient,
    partition_entropy,
    xie_beni,
)

IRIS = load_iris().data

#: Objective of R's fanny on iris, K = 3
R_OBJECTIVE = [
    ("sqeuclidean", 1.25, 77.8493499582),
    ("sqeuclidean", 1.5, 74.3821841871),
    ("sqeuclidean", 2.0, 60.5057106295),
    ("euclidean", 1.25, 66.4199586369),
    ("euclidean", 1.5, 61.7251276013),
    ("euclidean", 2.0, 45.0771627124),
    ("cityblock", 1.25, 111.6203844952),
    ("cityblock", 1.5, 103.7331216880),
    ("cityblock", 2.0, 75.8635444319),
]


@pytest.mark.parametrize(("metric", "m", "objective"), R_OBJECTIVE)
def test_fanny_reaches_the_objective_of_r(metric, m, objective):
    fanny = Fanny(3, m=m, metric=metric, tol=1e-11, random_state=0).fit(IRIS)
    assert fanny.objective_ == pytest.approx(objective, rel=1e-10)
    assert fanny.coeff_[0] == pytest.approx((fanny.probabilities_**2).sum() / 150)
    assert fanny.coeff_[1] == pytest.approx((3 * fanny.coeff_[0] - 1) / 2)


@pytest.mark.parametrize(("m", "objective"), [(1.25, 77.84934995822417), (2.0, 60.50571062948857)])
def test_fuzzy_c_means_reaches_the_objective_of_scikit_fuzzy(m, objective):
    fcm = FuzzyCMeans(3, m=m, tol=0.0, max_iter=1000, random_state=0).fit(IRIS)
    assert fcm.objective_ == pytest.approx(objective, rel=1e-10)
    fanny = Fanny(3, m=m, metric="sqeuclidean", tol=1e-11, random_state=0).fit(IRIS)
    match = np.argsort(fcm.cluster_centers_[:, 0]), np.argsort(fanny.cluster_centers_[:, 0])
    np.testing.assert_allclose(fcm.probabilities_[:, match[0]], fanny.probabilities_[:, match[1]], atol=1e-5)
    twice = pac_objective(fcm.probabilities_, IRIS, m=m, size_exponent=1.0)
    assert twice == pytest.approx(2 * objective, rel=1e-6)


class TestFuzzyCMeans:
    def test_objective_never_rises(self):
        fcm = FuzzyCMeans(4, m=1.5, tol=0.0, max_iter=60, random_state=0).fit(IRIS)
        assert np.diff(fcm.objective_path_).max() <= 1e-9 * fcm.objective_path_[0]

    def test_formula_of_the_memberships(self):
        fcm = FuzzyCMeans(3, m=1.7, random_state=0).fit(IRIS)
        D = ((IRIS[:, None] - fcm.cluster_centers_) ** 2).sum(axis=2)
        expected = D ** (-1 / 0.7)
        np.testing.assert_allclose(
            fcm.predict_proba(IRIS), expected / expected.sum(axis=1, keepdims=True), atol=1e-9
        )
        np.testing.assert_allclose(fcm.transform(IRIS), D, rtol=1e-9)
        assert fcm.score(IRIS) == pytest.approx(-fcm.objective_ / 150, rel=1e-6)

    def test_high_dimension_collapses_at_two_and_not_by_default(self):
        X, y = load_digits(return_X_y=True)
        with pytest.warns(UserWarning, match="critical exponent"):
            collapsed = FuzzyCMeans(10, m=2.0, random_state=0).fit(X)
        assert collapsed.partition_coefficient_ < 0.11
        default = FuzzyCMeans(10, random_state=0).fit(X)
        assert default.m_ == pytest.approx(1.0427, abs=1e-3)
        assert clustering_accuracy(y, default.labels_) > 0.65

    def test_threads_weights_and_starts(self):
        X, y = make_blobs(25_000, 5, centers=4, random_state=3)
        one = FuzzyCMeans(4, m=1.5, random_state=0).fit(X)
        two = FuzzyCMeans(4, m=1.5, random_state=0, n_jobs=2).fit(X)
        np.testing.assert_allclose(one.cluster_centers_, two.cluster_centers_, rtol=1e-8)
        start = np.array([X[y == k][0] for k in range(4)])
        copies = np.random.default_rng(0).integers(1, 3, size=500)
        weighted = FuzzyCMeans(4, m=1.5, init=start, tol=0.0).fit(X[:500], sample_weight=copies)
        repeated = FuzzyCMeans(4, m=1.5, init=start, tol=0.0).fit(np.repeat(X[:500], copies, axis=0))
        np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=1e-8)
        with pytest.raises(ValueError, match="init must have shape"):
            FuzzyCMeans(4, init=start[:2]).fit(X)

    def test_sparse_rows_are_refused_with_advice(self):
        from scipy import sparse

        with pytest.raises(TypeError, match="size_exponent=1"):
            FuzzyCMeans(3).fit(sparse.csr_array(IRIS))


class TestScores:
    def test_accuracy_matches_by_the_best_permutation(self):
        rng = np.random.default_rng(0)
        a, b = rng.integers(4, size=60), rng.integers(4, size=60)
        from itertools import permutations

        best = max(np.mean(np.array(order)[b] == a) for order in permutations(range(4)))
        assert clustering_accuracy(a, b) == pytest.approx(best)
        weight = rng.integers(1, 4, size=60)
        assert clustering_accuracy(a, b, weight) == pytest.approx(
            clustering_accuracy(np.repeat(a, weight), np.repeat(b, weight))
        )
        assert clustering_accuracy([0, 0, 1], [5, 6, 7]) == pytest.approx(2 / 3)
        with pytest.raises(ValueError, match="empty"):
            clustering_accuracy([], [])

    def test_bounds_of_the_indices(self):
        uniform, hard = np.full((6, 3), 1 / 3), np.eye(3)[[0, 1, 2, 0, 1, 2]]
        assert partition_coefficient(uniform) == pytest.approx(1 / 3)
        assert partition_coefficient(uniform, normalized=True) == pytest.approx(0)
        assert partition_coefficient(hard, normalized=True) == 1
        assert partition_entropy(uniform) == pytest.approx(np.log(3))
        assert partition_entropy(hard) == 0
        for index in (partition_coefficient, partition_entropy):
            with pytest.raises(ValueError, match="row 0"):
                index(2 * hard)

    def test_indices_prefer_the_true_number(self):
        X, _ = make_blobs(300, 3, centers=4, cluster_std=0.8, random_state=3)
        fits = {K: FuzzyCMeans(K, m=1.5, n_init=5, random_state=0).fit(X) for K in range(2, 8)}
        silhouette = {K: fuzzy_silhouette(X, f.probabilities_) for K, f in fits.items()}
        index = {K: xie_beni(X, f.probabilities_, f.cluster_centers_, m=1.5) for K, f in fits.items()}
        assert max(silhouette, key=silhouette.get) == 4
        assert min(index, key=index.get) == 4

    def test_plain_silhouette_is_the_special_case(self):
        from sklearn.metrics import silhouette_score

        P = FuzzyCMeans(3, random_state=0).fit(IRIS).probabilities_
        assert fuzzy_silhouette(IRIS, P, alpha=0.0) == pytest.approx(silhouette_score(IRIS, P.argmax(axis=1)))
        with pytest.raises(ValueError, match="two clusters"):
            fuzzy_silhouette(IRIS, np.ones((150, 1)))


class TestTargets:
    def test_formula(self):
        rng = np.random.default_rng(0)
        z, pi = rng.normal(size=(40, 8)), softmax(rng.normal(size=(40, 5)), axis=1)
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        D = 1 - unit @ unit.T
        np.fill_diagonal(D, 0)
        for power_weights in (False, True):
            G = D @ (pi**1.03 if power_weights else pi)
            ratio = (G / G.min(axis=1, keepdims=True)) ** (-1 / 0.03)
            expected = ratio / ratio.sum(axis=1, keepdims=True)
            np.testing.assert_allclose(opa_targets(pi, z, power_weights=power_weights), expected, atol=1e-11)
            np.testing.assert_allclose(
                opa_targets(pi, distances=D + np.eye(40), power_weights=power_weights), expected, atol=1e-11
            )

    def test_uniform_stays_uniform_and_errors(self):
        z = np.random.default_rng(0).normal(size=(6, 3))
        np.testing.assert_allclose(opa_targets(np.full((6, 4), 0.25), z), 0.25, atol=1e-10)
        for bad in ({"m": 1.0}, {"distances": np.ones((3, 3)), "X": None}, {"X": None}):
            with pytest.raises(ValueError):
                opa_targets(np.full((6, 4), 0.25), **{"X": z, **bad})
        with pytest.raises(ValueError, match="logits"):
            opa_targets(-np.ones((6, 4)), z)

    def test_head_on_digits(self):
        X, y = load_digits(return_X_y=True)
        head = PACHead(10, random_state=0).fit(X)
        assert clustering_accuracy(y, head.labels_) > 0.7
        np.testing.assert_array_equal(head.predict(X), head.labels_)
        assert head.loss_path_[-1] < head.loss_path_[0]

    def test_any_network_learns_from_the_targets(self):
        # The recipe of the guide, with scikit-learn's perceptron in place of a deep network
        from sklearn.neural_network import MLPRegressor

        X, y = load_digits(return_X_y=True)
        X = X / 16.0
        rng = np.random.default_rng(0)
        network = MLPRegressor(hidden_layer_sizes=(64,), learning_rate_init=3e-3, random_state=0)
        network.partial_fit(X[:10], 0.01 * rng.standard_normal((10, 10)))
        for _ in range(25):
            for rows in np.array_split(rng.permutation(len(X)), 7):
                proba = softmax(network.predict(X[rows]), axis=1)
                target = opa_targets(proba, X[rows])
                network.partial_fit(X[rows], np.log(0.9 * target + 0.01))
        labels = network.predict(X).argmax(axis=1)
        assert clustering_accuracy(y, labels) > 0.4  # by chance 0.15
