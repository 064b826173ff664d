"""The estimators: inputs, options, errors, accuracy, and what is kept."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.metrics.pairwise import rbf_kernel

from statkit.cluster import (
    PAC,
    GraphPAC,
    OnlinePAC,
    balanced_assignment,
    clustering_accuracy,
    kernel_to_distance,
    n_clusters_spectrum,
)
from statkit.datasets import make_cluster_mixture

IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(600, 6, centers=4, random_state=3)


def same_partition(a, b):
    return adjusted_rand_score(a, b) == pytest.approx(1.0)


class TestPAC:
    def test_digits_from_any_seed(self):
        X, y = load_digits(return_X_y=True)
        scores = [clustering_accuracy(y, PAC(10, random_state=s).fit_predict(X)) for s in range(3)]
        assert min(scores) > 0.77
        assert np.std(scores) < 0.005

    @pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "cityblock", "precomputed"])
    def test_probabilities_are_those_of_predict_proba(self, metric):
        X = pairwise_distances(IRIS) if metric == "precomputed" else IRIS
        pac = PAC(3, metric=metric, random_state=0).fit(X)
        np.testing.assert_allclose(pac.predict_proba(X), pac.probabilities_, atol=1e-7)
        np.testing.assert_array_equal(pac.predict(X), pac.labels_)
        assert pac.transform(X).shape == (150, 3)

    def test_the_same_from_frame_csr_float32_and_distances(self, blobs):
        X, y = blobs
        labels = PAC(4, random_state=0).fit_predict(X)
        assert same_partition(labels, y)
        frame = pd.DataFrame(X, columns=list("abcdef"))
        fitted = PAC(4, random_state=0).set_output(transform="pandas").fit(frame)
        np.testing.assert_array_equal(fitted.labels_, labels)
        assert list(fitted.feature_names_in_) == list("abcdef")
        assert list(fitted.transform(frame).columns) == ["pac0", "pac1", "pac2", "pac3"]
        for data, options in (
            (sparse.csr_matrix(X), {}),
            (sparse.csr_array(X), {}),
            (X.astype(np.float32), {}),
            (pairwise_distances(X, metric="sqeuclidean"), {"metric": "precomputed"}),
            (kernel_to_distance(X @ X.T), {"metric": "precomputed"}),
        ):
            assert same_partition(PAC(4, random_state=0, **options).fit_predict(data), labels)

    def test_transform_is_distance_to_centre_plus_scatter(self, blobs):
        X, _ = blobs
        pac = PAC(4, random_state=0).fit(X)
        expected = pairwise_distances(X, pac.cluster_centers_, metric="sqeuclidean") + pac.cluster_scatter_
        np.testing.assert_allclose(pac.transform(X), expected, rtol=1e-8)
        Q = pac.probabilities_**pac.m_
        np.testing.assert_allclose(pac.cluster_weights_, Q.sum(axis=0), rtol=1e-3)
        sums = (Q[:, :, None] * (X[:, None] - pac.cluster_centers_) ** 2).sum(axis=(0, 2))
        np.testing.assert_allclose(pac.cluster_scatter_, sums / Q.sum(axis=0), rtol=1e-2)
        assert pac.score(X) == pytest.approx(-pac.objective_ / 600**2, rel=1e-3)

    def test_row_blocks_and_landmarks(self, blobs):
        X, y = blobs
        whole = PAC(4, metric="cityblock", random_state=0).fit(X)
        blocks = PAC(4, metric="cityblock", max_memory=600 * 16 * 50, random_state=0).fit(X)
        assert same_partition(whole.labels_, blocks.labels_)
        assert blocks.objective_ == pytest.approx(whole.objective_, rel=1e-3)
        D = pairwise_distances(X, metric="cityblock")
        for data, metric in ((X, "cityblock"), (D, "precomputed"), (X, "sqeuclidean")):
            marks = PAC(4, metric=metric, n_landmarks=100, random_state=0).fit(data)
            assert same_partition(marks.labels_, y)
            assert marks.probabilities_.shape == (600, 4)
            np.testing.assert_array_equal(marks.predict(data), marks.labels_)
            assert len(marks.landmark_indices_) == 100
        with pytest.raises(MemoryError, match="n_landmarks"):
            PAC(4, metric="cityblock", max_memory=1000).fit(X)

    def test_subsample_start_agrees_with_the_full_one(self):
        X, _ = make_blobs(22_000, 8, centers=5, cluster_std=3, random_state=0)
        full = PAC(5, subsample=None, random_state=0).fit(X)
        quick = PAC(5, random_state=0).fit(X)
        assert quick.n_iter_ < 6
        assert adjusted_rand_score(full.labels_, quick.labels_) > 0.99
        assert quick.objective_ < full.objective_ * 1.001
        one = PAC(5, random_state=0, n_jobs=2).fit(X)
        np.testing.assert_array_equal(one.probabilities_, quick.probabilities_)

    def test_starts(self, blobs):
        X, y = blobs
        for init in ("anneal", "uniform", "k-means++", "random"):
            pac = PAC(4, init=init, n_init=4, m=1.1, random_state=1).fit(X)
            assert same_partition(pac.labels_, y), init
        P = np.full((600, 4), 0.1)
        P[np.arange(600), (y + 2) % 4] = 0.7
        warm = PAC(4, init=P, random_state=0).fit(X)
        np.testing.assert_array_equal(warm.labels_, (y + 2) % 4)
        for bad, message in ((P[:10], "shape"), (-P, "row 0"), (P * np.nan, "row 0")):
            with pytest.raises(ValueError, match=message):
                PAC(4, init=bad).fit(X)

    def test_sorted_rows(self, blobs):
        X, y = blobs
        order = np.argsort(y, kind="stable")
        assert same_partition(PAC(4, random_state=0).fit_predict(X[order]), y[order])

    def test_size_exponent_helps_unequal_sizes(self):
        rng = np.random.default_rng(0)
        X = np.vstack(
            [rng.normal(size=(1500, 2)), rng.normal(size=(60, 2)) + 9, rng.normal(size=(60, 2)) - 9]
        )
        y = np.repeat([0, 1, 2], [1500, 60, 60])
        plain = PAC(3, random_state=0).fit_predict(X)
        sized = PAC(3, size_exponent=1.0, init="k-means++", m=1.02, random_state=0).fit_predict(X)
        assert adjusted_rand_score(y, sized) > 0.95 > adjusted_rand_score(y, plain)

    def test_noise_cluster_finds_outliers(self):
        X, y = make_cluster_mixture("outliers", random_state=0)
        pac = PAC(5, noise=0.6, random_state=0).fit(X)
        flagged = pac.labels_ == -1
        assert (flagged & (y == -1)).sum() > 80
        assert (flagged & (y >= 0)).mean() < 0.02
        np.testing.assert_allclose(pac.probabilities_.sum(axis=1) + pac.noise_probabilities_, 1.0)
        np.testing.assert_array_equal(pac.predict(X), pac.labels_)
        again = pac.set_params(noise=None).fit(X)
        assert not hasattr(again, "noise_probabilities_")

    def test_balanced_labels(self):
        X, _ = make_cluster_mixture("unequal", n_samples=400, random_state=0)
        pac = PAC(5, balanced_labels=True, random_state=0).fit(X)
        np.testing.assert_array_equal(np.bincount(pac.labels_), [80] * 5)

    def test_hard_version(self, blobs):
        X, y = blobs
        pac = PAC(4, m=1.0, random_state=0).fit(X)
        assert set(np.unique(pac.probabilities_)) == {0.0, 1.0}
        assert same_partition(pac.labels_, y)
        np.testing.assert_array_equal(pac.predict(X), pac.labels_)

    def test_sample_weights_are_copies(self, blobs):
        X, _ = blobs
        P = np.random.default_rng(0).dirichlet(np.ones(4), size=600)
        copies = np.random.default_rng(1).integers(0, 4, size=600)
        options = dict(init="k-means++", m=1.2, tol=1e-12, max_iter=2000, random_state=0)
        weighted = PAC(4, **options).fit(X, sample_weight=copies)
        repeated = PAC(4, **options).fit(np.repeat(X, copies, axis=0))
        order = np.argsort(weighted.cluster_centers_[:, 0]), np.argsort(repeated.cluster_centers_[:, 0])
        np.testing.assert_allclose(
            weighted.cluster_centers_[order[0]], repeated.cluster_centers_[order[1]], atol=1e-7
        )
        assert P.shape == (600, 4)

    def test_one_cluster_and_as_many_as_rows(self):
        one = PAC(1, random_state=0).fit(IRIS)
        assert (one.probabilities_ == 1).all()
        np.testing.assert_allclose(one.cluster_centers_[0], IRIS.mean(axis=0))
        X = np.random.default_rng(0).normal(size=(12, 3))
        every = PAC(12, random_state=0).fit(X)
        assert len(np.unique(every.labels_)) == 12

    @pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "euclidean"])
    def test_identical_rows(self, metric):
        X = np.full((20, 3), 1e8 / 3)
        with pytest.warns(UserWarning, match="coincide"):
            pac = PAC(4, metric=metric).fit(X)
        np.testing.assert_allclose(pac.probabilities_, 0.25)
        assert (pac.labels_ == 0).all()
        np.testing.assert_allclose(pac.predict_proba(X), 0.25)

    def test_many_duplicates(self):
        X = np.repeat(np.eye(3), 10, axis=0)
        pac = PAC(5, random_state=0).fit(X)
        assert np.isfinite(pac.probabilities_).all()
        assert len(np.unique(pac.labels_[:10])) == 1

    def test_zero_rows_under_cosine(self):
        X = IRIS.copy()
        X[::10] = 0.0
        dense = PAC(3, metric="cosine", random_state=0).fit(X)
        thin = PAC(3, metric="cosine", random_state=0).fit(sparse.csr_array(X))
        assert np.isfinite(dense.probabilities_).all()
        np.testing.assert_allclose(dense.predict_proba(X[:3]), thin.predict_proba(X[:3]), atol=1e-3)

    def test_warnings(self):
        with pytest.warns(UserWarning, match="critical exponent"):
            PAC(10, m=2.0, random_state=0).fit(load_digits().data[:300])
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            PAC(3, init="uniform", m=1.01, max_iter=1, random_state=0).fit(IRIS)
        D = pairwise_distances(IRIS)
        D[3, 5] += 1.0
        with pytest.warns(UserWarning, match=r"not symmetric \(entry \[3, 5\]"):
            PAC(3, metric="precomputed", random_state=0).fit(D)

    def test_errors(self):
        for options, data, message in (
            ({"n_clusters": 200}, IRIS, "n_samples=150 should be >= n_clusters=200"),
            ({"m": 0.9}, IRIS, "'m' parameter"),
            ({"m": np.inf}, IRIS, "m"),
            ({"size_exponent": 1.1}, IRIS, "size_exponent"),
            ({"metric": "nonsense"}, IRIS, "nonsense|metric"),
            ({"metric": "precomputed"}, IRIS, "square"),
            ({"metric": "precomputed"}, -pairwise_distances(IRIS), "negative"),
            ({}, np.where(IRIS > 7, np.nan, IRIS), "NaN"),
            ({"n_landmarks": 2}, IRIS, "n_landmarks=2"),
        ):
            pac = PAC(**{"n_clusters": 3, **options})
            with pytest.raises(ValueError, match=message):
                pac.fit(data)
            assert not hasattr(pac, "labels_")
        for weight, message in ((-np.ones(150), "[Nn]egative"), (np.zeros(150), "sample_weight|zero")):
            with pytest.raises(ValueError, match=message):
                PAC(3).fit(IRIS, sample_weight=weight)
        with pytest.raises(NotFittedError):
            PAC(3).predict(IRIS)

    def test_pickle_and_clone(self):
        for metric in ("sqeuclidean", "cityblock"):
            pac = PAC(3, metric=metric, random_state=0).fit(IRIS)
            again = pickle.loads(pickle.dumps(pac))
            np.testing.assert_array_equal(again.predict_proba(IRIS), pac.predict_proba(IRIS))
            assert clone(pac).get_params() == pac.get_params()

    @settings(max_examples=40, deadline=None)
    @given(
        arrays(np.float64, (12, 2), elements=st.floats(-1e6, 1e6, allow_nan=False, width=32)),
        st.integers(1, 5),
        st.sampled_from(["sqeuclidean", "cosine", "cityblock"]),
        st.sampled_from([0.0, 0.5, 1.0]),
        st.sampled_from(["auto", 1.0, 1.01, 2.0]),
    )
    @pytest.mark.filterwarnings("ignore")
    def test_any_rows_give_probabilities(self, X, n_clusters, metric, a, m):
        pac = PAC(n_clusters, metric=metric, size_exponent=a, m=m, random_state=0).fit(X)
        np.testing.assert_allclose(pac.probabilities_.sum(axis=1), 1.0)
        assert np.isfinite(pac.transform(X)).all()
        assert (pac.probabilities_ >= 0).all()


class TestOnlinePAC:
    def test_one_pass_is_as_good_as_pac(self):
        X, y = make_blobs(30_000, 8, centers=6, cluster_std=3.0, random_state=0)
        whole = adjusted_rand_score(y, PAC(6, random_state=0).fit_predict(X))
        online = OnlinePAC(6, random_state=0)
        for start in range(0, 30_000, 1700):
            online.partial_fit(X[start : start + 1700])
        assert adjusted_rand_score(y, online.predict(X)) > whole - 0.01
        assert adjusted_rand_score(y, OnlinePAC(6, random_state=0).fit(X).labels_) > whole - 0.01
        assert online.n_samples_seen_ == 30_000

    def test_batches_do_not_matter(self):
        X, _ = make_blobs(9000, 4, centers=3, random_state=0)
        ends = []
        for batch in (100, 4500, 9000):
            online = OnlinePAC(3, random_state=0)
            for start in range(0, 9000, batch):
                online.partial_fit(X[start : start + batch])
            ends.append(online)
        for other in ends[1:]:
            np.testing.assert_allclose(other.cluster_centers_, ends[0].cluster_centers_, rtol=1e-12)
            np.testing.assert_allclose(other.cluster_weights_, ends[0].cluster_weights_, rtol=1e-12)

    def test_sums_are_those_of_the_rows(self):
        # With one cluster every row counts fully: the state is the mean and variance of the stream
        X = np.random.default_rng(0).normal(size=(5000, 3)) + 4
        online = OnlinePAC(1, random_state=0).partial_fit(X[:3000]).partial_fit(X[3000:])
        np.testing.assert_allclose(online.cluster_centers_[0], X.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(online.cluster_scatter_[0], X.var(axis=0).sum(), rtol=1e-12)
        assert online.cluster_weights_[0] == pytest.approx(5000)

    def test_forgetting_follows_a_drift(self):
        rng = np.random.default_rng(0)
        centres = np.array([[0.0, 0.0], [10.0, 0.0]])
        keep = OnlinePAC(2, random_state=0)
        forget = OnlinePAC(2, half_life=1000, random_state=0)
        for step in range(30):
            X = rng.normal(size=(500, 2)) + (centres + step * 0.3)[rng.integers(2, size=500)]
            keep.partial_fit(X)
            forget.partial_fit(X)
        now = centres + 29 * 0.3
        error = [np.abs(np.sort(e.cluster_centers_[:, 0]) - np.sort(now[:, 0])).max() for e in (keep, forget)]
        assert error[1] < 1.5 < error[0]
        assert forget.cluster_weights_.sum() < 2000

    def test_waiting_and_failures_change_nothing(self):
        online = OnlinePAC(3, random_state=0).partial_fit(IRIS)
        with pytest.raises(NotFittedError, match="150 rows have arrived and the clusters form after 2000"):
            online.predict(IRIS)
        online = OnlinePAC(3, init_size=100, random_state=0).partial_fit(IRIS)
        before = pickle.dumps(online.cluster_centers_)
        for bad in (IRIS[:, :2], np.full((5, 4), np.nan)):
            with pytest.raises(ValueError):
                online.partial_fit(bad)
        assert pickle.dumps(online.cluster_centers_) == before
        assert online.n_samples_seen_ == 150

    def test_sparse_cosine_stream(self):
        X = np.abs(IRIS) * (IRIS > 0.3)
        dense = OnlinePAC(3, metric="cosine", init_size=60, random_state=0).fit(X)
        thin = OnlinePAC(3, metric="cosine", init_size=60, random_state=0).fit(sparse.csr_array(X))
        assert clustering_accuracy(dense.labels_, thin.labels_) > 0.95


class TestGraphPAC:
    def test_digits(self):
        X, y = load_digits(return_X_y=True)
        graph = GraphPAC(10, random_state=0).fit(X)
        assert clustering_accuracy(y, graph.labels_) > 0.92
        assert graph.n_hops_ == 2
        assert clustering_accuracy(graph.labels_, graph.predict(X)) > 0.97
        assert abs(graph.affinity_matrix_ - graph.affinity_matrix_.T).max() == 0

    def test_moons(self):
        from sklearn.datasets import make_moons

        X, y = make_moons(600, noise=0.05, random_state=0)
        labels = GraphPAC(2, metric="euclidean", n_hops=4, random_state=0).fit_predict(X)
        assert clustering_accuracy(y, labels) > 0.98
        assert clustering_accuracy(y, PAC(2, random_state=0).fit_predict(X)) < 0.95

    def test_affinities(self, blobs):
        X, y = blobs
        walk = GraphPAC(4, metric="euclidean", affinity="walk", n_neighbors=15, random_state=0).fit(X)
        assert same_partition(walk.labels_, y)
        given_ = GraphPAC(4, affinity="precomputed", random_state=0).fit(walk.affinity_matrix_)
        assert same_partition(given_.labels_, y)
        np.testing.assert_array_equal(given_.predict(walk.affinity_matrix_[:50]), given_.labels_[:50])
        kernel = GraphPAC(4, affinity="precomputed", random_state=0).fit(rbf_kernel(X, gamma=0.05))
        assert same_partition(kernel.labels_, y)
        for bad, message in (
            (np.eye(4)[:3], "square"),
            (2 * np.ones((5, 5)), r"\[0, 1\]"),
            (np.triu(np.ones((5, 5))), "not symmetric"),
        ):
            with pytest.raises(ValueError, match=message):
                GraphPAC(2, affinity="precomputed").fit(bad)

    def test_reach_is_the_boolean_power(self):
        X = np.random.default_rng(0).normal(size=(80, 3))
        one = GraphPAC(2, n_neighbors=3, n_hops=1, random_state=0).fit(X).affinity_matrix_.toarray() > 0
        three = GraphPAC(2, n_neighbors=3, n_hops=3, random_state=0).fit(X).affinity_matrix_.toarray() > 0
        paths = np.linalg.matrix_power(one.astype(int) + np.eye(80, dtype=int), 3) > 0
        np.fill_diagonal(paths, False)
        np.testing.assert_array_equal(three, paths)
        assert one.sum(axis=1).min() >= 3
        with pytest.raises(MemoryError, match="n_hops"):
            GraphPAC(2, n_neighbors=3, n_hops=6, max_memory=5000).fit(X)

    def test_a_neighbour_index_of_ones_own(self, blobs):
        X, _ = blobs

        def exhaustive(fitted, query, k):
            D = pairwise_distances(query, fitted)
            indices = np.argsort(D, axis=1)[:, :k]
            return np.take_along_axis(D, indices, axis=1), indices

        plain = GraphPAC(4, random_state=0).fit(X)
        plugged = GraphPAC(4, neighbors_algorithm=exhaustive, random_state=0).fit(X)
        np.testing.assert_array_equal(plain.labels_, plugged.labels_)
        np.testing.assert_array_equal(plain.predict(X[:9]), plugged.predict(X[:9]))

    def test_subsample_start(self):
        X, y = load_digits(return_X_y=True)
        graph = GraphPAC(10, n_init=1, subsample=900, random_state=0).fit(X)
        assert clustering_accuracy(y, graph.labels_) > 0.92
        again = GraphPAC(10, n_init=1, subsample=900, random_state=0).fit(X)
        np.testing.assert_array_equal(graph.labels_, again.labels_)
        # The stream of stages ends with one over all objects at the exponent of the fit
        assert graph.objective_stages_[-1][1] == graph.m_ == graph.objective_stages_[-2][1]
        assert graph.n_iter_ == len(graph.objective_path_) - graph.objective_stages_[-1][0]

    def test_no_stage_stops_while_it_leaves_the_saddle(self):
        X, _ = load_digits(return_X_y=True)
        graph = GraphPAC(10, n_init=1, random_state=0).fit(X)
        ends = [first for first, _ in graph.objective_stages_[1:]] + [len(graph.change_path_)]
        for end in ends:
            assert graph.change_path_[end - 1] <= 1.2 * graph.change_path_[end - 2]

    def test_duplicates(self):
        X = np.repeat(np.random.default_rng(0).normal(size=(10, 3)), 30, axis=0)
        labels = GraphPAC(5, random_state=0).fit_predict(X)
        assert len(labels) == 300


def test_balanced_assignment_is_optimal():
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(0)
    for n, K in ((24, 4), (25, 3), (60, 5)):
        cost = rng.normal(size=(n, K)) * rng.uniform(0.1, 3, size=K) + rng.normal(size=K)
        capacity = -(-n // K)
        labels = balanced_assignment(cost)
        rows, columns = linear_sum_assignment(np.repeat(cost, capacity, axis=1))
        assert np.bincount(labels, minlength=K).max() <= capacity
        best = np.repeat(cost, capacity, axis=1)[rows, columns].sum()
        assert cost[np.arange(n), labels].sum() == pytest.approx(best)
    with pytest.raises(ValueError, match="cannot hold"):
        balanced_assignment(cost, capacity=2)


def test_kernel_to_distance_rejects_what_is_no_kernel():
    with pytest.raises(ValueError, match="semi-definite"):
        kernel_to_distance([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match="square"):
        kernel_to_distance(np.ones((2, 3)))


def test_number_of_clusters():
    X, _ = make_blobs(1000, 20, centers=5, random_state=1)
    found, spectrum = n_clusters_spectrum(X)
    assert found == 5
    assert (np.diff(spectrum.eigenvalues) <= 1e-12).all()


def test_simulated_mixtures():
    for design in ("equal", "very_unequal", "outliers", "high_dimension"):
        X, y = make_cluster_mixture(design, random_state=0)
        again, _ = make_cluster_mixture(design, random_state=0)
        np.testing.assert_array_equal(X, again)
        assert (y >= 0).sum() == 2000
    _, y = make_cluster_mixture("very_unequal", random_state=0)
    assert sorted(np.bincount(y)) == [15, 25, 60, 400, 1500]
    for bad in ({"design": "round"}, {"n_samples": 3}):
        with pytest.raises(ValueError):
            make_cluster_mixture(**bad)


@pytest.mark.slow
def test_mean_ari_of_the_designs():
    def mean(design, **options):
        scores = []
        for seed in range(10):
            X, y = make_cluster_mixture(design, random_state=seed)
            labels = PAC(5, random_state=seed, **options).fit_predict(X)
            scores.append(adjusted_rand_score(y[y >= 0], labels[y >= 0]))
        return np.mean(scores)

    assert mean("equal") > 0.88
    assert mean("high_dimension") > 0.99
    assert mean("outliers", size_exponent=0.9) > mean("outliers")


@pytest.mark.parametrize("estimator", [PAC(3), OnlinePAC(3, init_size=50), GraphPAC(3)])
def test_sparse_rows_of_any_kind(estimator):
    X = np.where(IRIS > 1, IRIS, 0.0)
    expected = estimator.set_params(random_state=0).fit(X).labels_
    for kind in (sparse.csr_matrix, sparse.csr_array, sparse.csc_array, sparse.coo_array):
        assert clustering_accuracy(expected, estimator.fit(kind(X)).labels_) > 0.98
    wide = sparse.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert clustering_accuracy(expected, estimator.fit(wide).labels_) > 0.98
    assert estimator.predict_proba(wide).shape == (150, 3)
