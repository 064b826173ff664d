"""Each multi-view method against its formula: invariants, oracles, special cases."""

import warnings

import numpy as np
import pytest
from scipy import optimize, sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from statkit.cluster import (
    AnchorMultiViewClustering,
    ConsensusClustering,
    CoRegularizedSpectralClustering,
    GraphFusionClustering,
    KernelKMeans,
    LateFusionClustering,
    LocalSampleWeightedMKC,
    MultipleKernelKMeans,
    MultiViewKMeans,
    OneStepMultiViewClustering,
    SimilarityNetworkFusion,
    clustering_accuracy,
    coassociation_matrix,
    compare_views,
    kernel_stack,
    suggest_n_clusters,
)
from statkit.cluster._multiview_kernels import (
    cluster_totals,
    diffuse,
    normalize_upper,
    project_rows_off_diagonal,
    shrink_to_means,
    simplex_regression,
    space_totals,
    sum_pairwise_pass,
)
from statkit.cluster._simplex import minimize_on_simplex, project_row
from statkit.cluster._spectral import top_eigenvectors
from statkit.cluster.local_sample_weighted import initial_weights
from statkit.datasets import load_mfeat, make_multiview_blobs

AS_GIVEN = {"kernel": "precomputed", "center": False, "normalize": False}


@pytest.fixture(scope="module")
def blobs():
    return make_multiview_blobs(120, 4, n_features=(6, 9, 3), separations=(1.5, 1.5, 1.0), random_state=3)


@pytest.fixture(scope="module")
def holes():
    return make_multiview_blobs(
        150, 3, n_features=(6, 9, 4), separations=(3.0, 3.0, 3.0), missing=0.3, random_state=4
    )


def falls(path):
    path = np.asarray(path)
    return np.all(np.diff(path) <= 1e-9 * np.abs(path[:-1]))


def rises(path):
    return falls(-np.asarray(path))


# -- the simplex --------------------------------------------------------------------------------------------


def sorted_projection(v):
    u = np.sort(v)[::-1]
    total = np.cumsum(u) - 1
    rho = np.flatnonzero(u - total / np.arange(1, len(v) + 1) > 0)[-1]
    return np.maximum(v - total[rho] / (rho + 1), 0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_projection_on_the_simplex(scale):
    rng = np.random.default_rng(0)
    for m in (1, 2, 7, 100):
        for v in (rng.normal(size=m) * scale, np.full(m, scale), -np.arange(m) * scale):
            out, work = np.empty(m), np.empty(m)
            project_row(v, m, work, out)
            np.testing.assert_allclose(out, sorted_projection(v), atol=1e-15 * max(scale, 1))


def test_projection_leaves_the_diagonal_out():
    V = np.random.default_rng(0).normal(size=(4, 9))
    out = np.empty_like(V)
    project_rows_off_diagonal(V, 3, out)
    for r in range(4):
        assert out[r, 3 + r] == 0
        np.testing.assert_allclose(
            np.delete(out[r], 3 + r), sorted_projection(np.delete(V[r], 3 + r)), atol=1e-15
        )


@pytest.mark.parametrize("m", [2, 5, 12])
def test_quadratic_program_on_the_simplex(m):
    rng = np.random.default_rng(m)
    A = rng.normal(size=(m, m))
    A = A @ A.T + 0.01 * np.eye(m)
    x = minimize_on_simplex(A)
    assert x.sum() == pytest.approx(1) and x.min() >= 0
    gradient = A @ x  # optimality: equal on the support, not smaller off it
    assert np.ptp(gradient[x > 0]) < 1e-9
    assert gradient.min() >= gradient[x > 0].max() - 1e-9


def test_simplex_regression_meets_its_optimality_conditions():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(20, 6))
    A[3] = A[2]  # equal anchors
    Q = A @ A.T + 0.1 * np.eye(20)
    C = rng.normal(size=(200, 6)) @ A.T * 2
    z = np.empty_like(C)
    simplex_regression(Q, C, 1e-10, z)
    np.testing.assert_allclose(z.sum(axis=1), 1, atol=1e-12)
    assert z.min() >= 0
    gradient = z @ Q - C
    inside = np.where(z > 0, gradient, np.nan)
    assert (np.nanmax(inside, axis=1) - np.nanmin(inside, axis=1)).max() < 1e-8
    assert (np.nanmax(inside, axis=1) - gradient.min(axis=1)).max() < 1e-8
    constraint = {"type": "eq", "fun": lambda x: x.sum() - 1}
    for i in range(3):
        found = optimize.minimize(
            lambda x, i=i: 0.5 * x @ Q @ x - C[i] @ x, np.full(20, 0.05), bounds=[(0, 1)] * 20,
            constraints=constraint, method="SLSQP", options={"ftol": 1e-14, "maxiter": 1000},
        )  # fmt: skip
        assert 0.5 * z[i] @ Q @ z[i] - C[i] @ z[i] <= found.fun + 1e-9


# -- one-step -----------------------------------------------------------------------------------------------


def one_step_objective(fit, views, lam, seen=None):
    """J from its definition, pair by pair."""
    k, P = fit.n_clusters, fit.n_latent
    edges = np.cumsum([0] + [k * (p + 1) for p in range(P)])
    together = fit.labels_[:, None] == fit.labels_
    total = 0.0
    for p in range(P):
        Z = fit.embedding_[:, edges[p] : edges[p + 1]]
        for v, X in enumerate(views):
            has = np.ones(len(X), bool) if seen is None else seen[:, v]
            H = fit.projections_[p][v]
            inner = np.sum((X[has] @ H) * Z[has])
            total += (np.sum(X[has] ** 2) - 2 * inner + np.sum(Z[has] ** 2)) / P**2
        pairs = ((Z[:, None] - Z) ** 2).sum(axis=2)
        total += lam * fit.latent_weights_[p] ** 2 * 0.5 * pairs[together].sum()
    return total


@pytest.mark.parametrize("rule", ["equal", "exact"])
@pytest.mark.parametrize("reg", [0.0, 0.1, 3.0])
def test_one_step_objective_falls_and_is_what_it_says(blobs, rule, reg):
    views = [(X - X.mean(axis=0)) / X.std(axis=0) for X in blobs.views.values()]
    fit = OneStepMultiViewClustering(
        4, scale=None, latent_weights=rule, reg=reg, n_init=2, tol=1e-8, random_state=0
    ).fit(views)
    assert falls(fit.objective_path_)
    assert fit.cluster_sizes_.min() > 0
    if rule == "equal":  # other weights are updated after the representations they were used for
        assert one_step_objective(fit, views, reg * 3 * 4 / 120) == pytest.approx(fit.objective_, rel=1e-10)
    for p in range(3):
        for v, X in enumerate(views):
            H = fit.projections_[p][v]
            gram = H.T @ H if X.shape[1] >= H.shape[1] else H @ H.T
            np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-10)


def test_one_step_with_missing_views(holes):
    fit = OneStepMultiViewClustering(3, missing="mask", n_init=3, tol=1e-8, random_state=0).fit(holes.views)
    assert falls(fit.objective_path_)
    assert adjusted_rand_score(holes.target, fit.labels_) > 0.9
    assert adjusted_rand_score(fit.labels_, fit.predict(holes.views)) > 0.95
    with pytest.raises(ValueError, match=r"NaN: view 'view0'.*missing='mask'"):
        OneStepMultiViewClustering(3).fit(holes.views)
    partly = {name: view.copy() for name, view in holes.views.items()}
    row = np.flatnonzero(~np.isnan(partly["view1"][:, 0]))[0]
    partly["view1"][row, 2] = np.nan
    with pytest.raises(
        ValueError, match=f"view 'view1', row {row}, column 2; a sample that lacks a view needs NaN"
    ):
        OneStepMultiViewClustering(3, missing="mask").fit(partly)
    for view in partly.values():
        view[5] = np.nan
    partly["view1"][row, 2] = 0
    with pytest.raises(ValueError, match="row 5 is missing in every view"):
        OneStepMultiViewClustering(3, missing="mask").fit(partly)


def test_one_step_mask_of_nothing_is_no_mask(blobs):
    plain = OneStepMultiViewClustering(4, n_init=1, random_state=0).fit(blobs.views)
    masked = OneStepMultiViewClustering(4, n_init=1, missing="mask", random_state=0).fit(blobs.views)
    assert plain.objective_ == masked.objective_


def test_one_step_weights_are_repetitions():
    """From the true clusters, well apart, no label moves: then all iterates are the same."""
    blobs = make_multiview_blobs(80, 3, n_features=(4, 5), separations=(6.0, 6.0), random_state=0)
    times = np.random.default_rng(0).integers(0, 4, size=80)
    options = {"max_iter": 10, "tol": 0}
    weighted = OneStepMultiViewClustering(3, init=blobs.target, **options)
    weighted.fit(blobs.views, sample_weight=times)
    repeated = OneStepMultiViewClustering(3, init=np.repeat(blobs.target, times), **options)
    repeated.fit([np.repeat(X, times, axis=0) for X in blobs.views.values()])
    np.testing.assert_allclose(weighted.objective_path_, repeated.objective_path_, rtol=1e-10)
    np.testing.assert_array_equal(np.repeat(weighted.labels_, times), repeated.labels_)
    new = make_multiview_blobs(50, 3, n_features=(4, 5), random_state=1).views
    np.testing.assert_array_equal(weighted.predict(new), repeated.predict(new))


def test_one_step_does_not_depend_on_n_jobs(blobs):
    one = OneStepMultiViewClustering(4, n_init=4, random_state=0).fit(blobs.views)
    two = OneStepMultiViewClustering(4, n_init=4, random_state=0, n_jobs=2).fit(blobs.views)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    assert one.objective_ == two.objective_


def test_one_step_starts_on_a_sample(monkeypatch):
    from statkit.cluster import one_step_multiview

    blobs = make_multiview_blobs(600, 3, n_features=(5, 6), separations=(3.0, 3.0), random_state=0)
    whole = OneStepMultiViewClustering(3, n_init=3, random_state=0).fit(blobs.views)
    monkeypatch.setattr(one_step_multiview, "_START_ROWS", 200)
    sampled = OneStepMultiViewClustering(3, n_init=3, random_state=0).fit(blobs.views)
    assert falls(sampled.objective_path_)
    assert sampled.objective_ == pytest.approx(whole.objective_, rel=1e-3)
    assert adjusted_rand_score(whole.labels_, sampled.labels_) > 0.95
    assert sampled.labels_.shape == (600,)


def test_equal_partitions_are_one_start():
    from statkit.cluster.one_step_multiview import _distinct

    starts = [np.array(one) for one in ([0, 0, 1, 2], [2, 2, 0, 1], [0, 1, 1, 2], [1, 1, 2, 0])]
    kept = _distinct(starts, lambda one: one)
    assert [one.tolist() for one in kept] == [[0, 0, 1, 2], [0, 1, 1, 2]]


def test_representations_are_the_minimisers_given_labels():
    """Closed form of every sample against the formula: weights, missing views, two spaces."""
    rng = np.random.default_rng(0)
    n, k, edges = 30, 3, np.array([0, 2, 6])
    B, labels, weight = rng.normal(size=(n, 6)), rng.integers(k, size=n), rng.uniform(0.5, 2.0, size=n)
    seen = rng.random((n, 4)) < 0.7
    seen[:, 0] = True
    n_seen, mass = seen.sum(axis=1).astype(float), np.bincount(labels, weights=weight, minlength=k)
    a, pulls = 0.25, np.array([0.3, 0.0])
    Z = B.copy()
    shrink_to_means(Z, labels, weight, n_seen, mass, edges, a, pulls)
    for p, pull in enumerate(pulls):
        at = slice(edges[p], edges[p + 1])
        den = a * n_seen + pull * mass[labels]
        for i in range(n):
            inside = labels == labels[i]
            C = (a * weight / den)[inside] @ B[inside, at] / (1 - pull * (weight / den)[inside].sum())
            np.testing.assert_allclose(Z[i, at], (a * B[i, at] + pull * C) / den[i], atol=1e-12)
    sums, squares, norms = space_totals(Z, weight, labels, k, edges, seen)
    indicator = np.eye(k)[labels] * weight[:, None]
    np.testing.assert_allclose(sums, Z.T @ indicator, atol=1e-12)
    for p in range(2):
        square = np.square(Z[:, edges[p] : edges[p + 1]]).sum(axis=1)
        np.testing.assert_allclose(squares[p], square @ indicator)
        np.testing.assert_allclose(norms[p], (square * weight) @ seen)


def test_label_moves_against_their_definition():
    rng = np.random.default_rng(0)
    W, weight, k = rng.normal(size=(40, 3)), rng.uniform(0.5, 2, size=40), 4
    labels = rng.integers(k, size=40)

    def term(labels):
        pairs = ((W[:, None] - W) ** 2).sum(axis=2) * np.outer(weight, weight)
        return 0.5 * pairs[labels[:, None] == labels].sum()

    oracle = labels.copy()
    for i in range(40):
        costs = []
        for c in range(k):
            trial = oracle.copy()
            trial[i] = c
            costs.append(term(trial))
        oracle[i] = int(np.argmin(costs))
    moved = labels.copy()
    sum_pairwise_pass(W, weight, moved, *cluster_totals(W, weight, moved, k))
    np.testing.assert_array_equal(moved, oracle)


def test_emptied_clusters_are_filled():
    W = np.random.default_rng(0).normal(size=(20, 2))
    labels = np.zeros(20, dtype=np.intp)
    sum_pairwise_pass(W, np.ones(20), labels, *cluster_totals(W, np.ones(20), labels, 5))
    assert set(labels) == set(range(5))


# -- local sample-weighted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["exact", "sparse"])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 8.0, 64.0])
def test_local_sample_weighted_invariants(blobs, solver, alpha):
    fit = LocalSampleWeightedMKC(4, alpha=alpha, solver=solver, random_state=0).fit(blobs.views)
    assert falls(fit.objective_path_)
    Z = fit.affinity_.toarray() if sparse.issparse(fit.affinity_) else fit.affinity_
    np.testing.assert_allclose(Z.sum(axis=1), 1, atol=1e-12)
    assert Z.min() >= 0 and not np.diag(Z).any()
    assert np.linalg.norm(fit.kernel_weights_) == pytest.approx(1)
    K = fit.consensus_kernel_ if solver == "exact" else fit.consensus_kernel_ @ fit.consensus_kernel_.T
    assert np.linalg.eigvalsh(K)[0] > -1e-10
    np.testing.assert_allclose(K, K.T, atol=1e-12)
    assert fit.solver_ == solver


def test_sparse_solver_with_all_candidates_and_full_rank_is_the_exact_one(blobs):
    exact = LocalSampleWeightedMKC(4, random_state=0, tol=0, max_iter=8).fit(blobs.views)
    full = LocalSampleWeightedMKC(
        4, solver="sparse", n_candidates=119, rank=119, random_state=0, tol=0, max_iter=8
    ).fit(blobs.views)
    np.testing.assert_allclose(exact.objective_path_, full.objective_path_, rtol=1e-7)
    np.testing.assert_allclose(exact.kernel_weights_, full.kernel_weights_, rtol=1e-7)


def test_sparse_solver_agrees_with_the_dense_one_of_its_rank():
    digits = load_mfeat()
    views = {name: view[::5] for name, view in digits.views.items()}
    fits = [
        LocalSampleWeightedMKC(10, solver=solver, rank=10, random_state=0).fit(views)
        for solver in ("exact", "sparse")
    ]
    assert adjusted_rand_score(*(fit.labels_ for fit in fits)) > 0.97
    assert fits[1].objective_path_[-1] == pytest.approx(fits[0].objective_path_[-1], rel=5e-3)


def test_sparse_solver_from_row_blocks_is_the_one_from_the_stack(blobs, monkeypatch):
    from statkit.cluster import local_sample_weighted

    stacked = LocalSampleWeightedMKC(4, solver="sparse", random_state=0).fit(blobs.views)
    monkeypatch.setattr(local_sample_weighted, "_STACK_UP_TO", 10)
    blocks = LocalSampleWeightedMKC(4, solver="sparse", random_state=0).fit(blobs.views)
    np.testing.assert_allclose(stacked.objective_path_, blocks.objective_path_, rtol=1e-9)
    np.testing.assert_array_equal(stacked.labels_, blocks.labels_)


def test_first_graph_is_the_fixed_point_without_alpha(blobs):
    stack = kernel_stack(blobs.views)
    A = stack.sum(axis=0) / np.sqrt(3)
    np.fill_diagonal(A, -np.inf)
    nearest = np.argsort(-A, axis=1)[:, :6]
    weights, gamma = initial_weights(np.take_along_axis(A, nearest, axis=1))
    V = A / (2 * gamma[:, None])
    out = np.empty_like(V)
    project_rows_off_diagonal(np.where(np.isfinite(V), V, 0.0), 0, out)
    np.testing.assert_allclose(np.take_along_axis(out, nearest, axis=1), weights, atol=1e-10)
    assert (np.count_nonzero(out > 1e-12, axis=1) == 5).all()


def test_local_sample_weighted_special_stacks(blobs):
    K = kernel_stack(blobs.views)[0]
    assert LocalSampleWeightedMKC(4, **AS_GIVEN).fit(K).kernel_weights_ == pytest.approx([1.0])
    same = LocalSampleWeightedMKC(4, **AS_GIVEN).fit(np.stack([K, K, K]))
    np.testing.assert_allclose(same.kernel_weights_, 3**-0.5, rtol=1e-12)


def test_local_sample_weighted_follows_the_samples(blobs):
    order = np.random.default_rng(1).permutation(120)
    stack = kernel_stack(blobs.views)
    one = LocalSampleWeightedMKC(4, max_iter=5, tol=0, **AS_GIVEN).fit(stack)
    two = LocalSampleWeightedMKC(4, max_iter=5, tol=0, **AS_GIVEN).fit(stack[:, order][:, :, order])
    np.testing.assert_allclose(one.affinity_[np.ix_(order, order)], two.affinity_, atol=1e-10)


def test_duplicates_do_not_break_the_graph():
    X = np.repeat(np.random.default_rng(0).normal(size=(12, 3)), 8, axis=0)
    for solver in ("exact", "sparse"):
        fit = LocalSampleWeightedMKC(3, solver=solver, random_state=0).fit([X, X**2])
        assert np.isfinite(fit.objective_path_).all() and np.isfinite(fit.embedding_).all()


def test_auto_solver_and_clipped_neighbours(monkeypatch, blobs):
    from statkit.cluster import local_sample_weighted

    monkeypatch.setattr(local_sample_weighted, "_EXACT_UP_TO", 100)
    assert LocalSampleWeightedMKC(4, random_state=0).fit(blobs.views).solver_ == "sparse"
    small = {name: view[:6] for name, view in blobs.views.items()}
    with pytest.warns(UserWarning, match="n_neighbors=5 is more than 6 samples allow: 4 are used"):
        LocalSampleWeightedMKC(2).fit(small)


# -- kernel k-means -----------------------------------------------------------------------------------------


def test_linear_kernel_kmeans_is_kmeans(blobs):
    X = blobs.views["view1"] - blobs.views["view1"].mean(axis=0)
    start = X[[0, 30, 60, 90]]
    means = KMeans(4, init=start, n_init=1, tol=0, algorithm="lloyd").fit(X)
    first = ((X[:, None] - start) ** 2).sum(axis=2).argmin(axis=1)
    fit = KernelKMeans(4, kernel="linear", init=first, normalize=False, scale=None).fit(X)
    np.testing.assert_array_equal(fit.labels_, means.labels_)
    assert fit.objective_ == pytest.approx(means.inertia_, rel=1e-12)
    assert fit.lower_bound_ <= fit.objective_
    new = np.random.default_rng(0).normal(size=(50, 9))
    np.testing.assert_array_equal(fit.predict(new), means.predict(new))


@pytest.mark.parametrize("init", ["spectral", "k-means++", "random"])
def test_kernel_kmeans_bound_and_polish(blobs, init):
    raw = KernelKMeans(4, init=init, polish=False, n_init=3, random_state=0).fit(blobs.views)
    fit = KernelKMeans(4, init=init, n_init=3, random_state=0).fit(blobs.views)
    assert fit.lower_bound_ <= fit.objective_ <= raw.objective_ + 1e-10
    assert len(set(fit.labels_)) == 4


def test_kernel_kmeans_weights_are_repetitions(blobs):
    X = blobs.views["view0"][:50] - blobs.views["view0"].mean(axis=0)
    times = np.random.default_rng(0).integers(1, 4, size=50)
    options = {"kernel": "linear", "center": False, "normalize": False, "scale": None}
    start = np.arange(50) % 3
    weighted = KernelKMeans(3, init=start, **options).fit(X, sample_weight=times)
    repeated = KernelKMeans(3, init=np.repeat(start, times), **options).fit(np.repeat(X, times, axis=0))
    np.testing.assert_array_equal(np.repeat(weighted.labels_, times), repeated.labels_)
    assert weighted.objective_ == pytest.approx(repeated.objective_)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_)


# -- multiple kernels ---------------------------------------------------------------------------------------


def test_simple_reaches_the_optimum_of_a_convex_problem(blobs):
    stack = kernel_stack(blobs.views)
    fit = MultipleKernelKMeans(4, random_state=0, **AS_GIVEN).fit(stack)
    assert fit.kkt_residual_ <= 1e-8 and fit.converged_
    assert falls(fit.objective_path_)

    def largest(sigma):
        return top_eigenvectors(np.tensordot(sigma**2, stack, axes=1), 4)[0].sum()

    rng = np.random.default_rng(0)
    for _ in range(50):
        assert largest(rng.dirichlet(np.ones(3))) >= fit.objective_ * (1 - 1e-12)
        a, b = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3))
        assert largest((a + b) / 2) <= (largest(a) + largest(b)) / 2 + 1e-10  # convex


@pytest.mark.parametrize("weighting, reg", [("mkkm", 0), ("mr", 0.01), ("mr", 1.0)])
def test_alternating_weights_fall_to_stationarity(blobs, weighting, reg):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        fit = MultipleKernelKMeans(4, weighting=weighting, reg=reg, tol=1e-12, random_state=0).fit(
            blobs.views
        )
    assert falls(fit.objective_path_)
    assert fit.kernel_weights_.sum() == pytest.approx(1) and fit.kernel_weights_.min() >= 0
    assert fit.kkt_residual_ < 1e-3


def test_whole_neighbourhoods_are_no_localisation(blobs):
    """With everyone a neighbour of everyone else, all pairs share n − 2 neighbourhoods."""
    stack = kernel_stack(blobs.views)
    local = MultipleKernelKMeans(4, neighborhood=1.0, random_state=0, **AS_GIVEN).fit(stack)
    plain = MultipleKernelKMeans(4, random_state=0, **AS_GIVEN).fit(stack)
    np.testing.assert_allclose(local.kernel_weights_, plain.kernel_weights_, atol=0.01)


def test_heavy_view_is_warned_of(blobs):
    rank_one = np.random.default_rng(0).normal(size=(120, 1))
    with pytest.warns(
        UserWarning, match=r"view 'low' holds \d+% of the weight.*weighting='average'"
    ) as caught:
        MultipleKernelKMeans(4, weighting="mkkm").fit({**blobs.views, "low": rank_one})
    assert caught[0].filename == __file__


# -- late fusion --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one_pass", [False, True])
def test_late_fusion_rises(blobs, one_pass):
    fit = LateFusionClustering(4, one_pass=one_pass, random_state=0).fit(blobs.views)
    assert rises(fit.objective_path_)
    assert np.linalg.norm(fit.view_weights_) == pytest.approx(1)
    for W in fit.rotations_:
        np.testing.assert_allclose(W.T @ W, np.eye(4), atol=1e-10)
    if not one_pass:
        np.testing.assert_allclose(fit.embedding_.T @ fit.embedding_, np.eye(4), atol=1e-10)


def test_late_fusion_of_labels(blobs):
    one = blobs.target
    other = np.where(np.arange(120) < 10, (one + 1) % 4, one)
    fit = LateFusionClustering(4, partitions="precomputed", random_state=0).fit(
        [one[:, None], other[:, None], blobs.views["view1"]]
    )
    assert adjusted_rand_score(one, fit.labels_) > 0.9
    with pytest.raises(ValueError, match="span 2 dimensions together; n_clusters=4"):
        LateFusionClustering(4, partitions="precomputed").fit([np.c_[one % 2], np.c_[one % 2]])


# -- graphs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pairwise", "centroid"])
@pytest.mark.parametrize("affinity", ["rbf", "nearest_neighbors"])
def test_co_regularised_rises(blobs, method, affinity):
    fit = CoRegularizedSpectralClustering(4, method=method, affinity=affinity, tol=1e-9, random_state=0)
    fit.fit(blobs.views)
    assert rises(fit.objective_path_)
    for U in fit.view_embeddings_:
        np.testing.assert_allclose(U.T @ U, np.eye(4), atol=1e-8)


def test_co_regularised_against_the_explicit_matrices():
    """Lanczos on the applied operator against eigh of the formed matrix."""
    blobs = make_multiview_blobs(350, 3, n_features=(4, 5), separations=(2.0, 2.0), random_state=0)
    W = [np.exp(-((X[:, None] - X) ** 2).sum(axis=2) / 8) for X in blobs.views.values()]
    fit = CoRegularizedSpectralClustering(3, affinity="precomputed", max_iter=4, tol=0, random_state=0).fit(W)
    L = [w / np.sqrt(np.outer(w.sum(axis=1), w.sum(axis=1))) for w in W]
    U = [np.linalg.eigh(l_v)[1][:, -3:] for l_v in L]
    path = []
    for _ in range(5):
        path.append(
            sum(np.trace(u.T @ l_v @ u) for u, l_v in zip(U, L, strict=True)) + np.sum((U[0].T @ U[1]) ** 2)
        )
        for v in range(2):
            U[v] = np.linalg.eigh(L[v] + U[1 - v] @ U[1 - v].T)[1][:, -3:]
    np.testing.assert_allclose(fit.objective_path_, path, rtol=1e-10)


def test_similarity_network_against_its_formula(blobs):
    views = [(X - X.mean(axis=0)) / X.std(axis=0) for X in blobs.views.values()]
    K, t = 20, 5
    fit = SimilarityNetworkFusion(4, scale=None, n_neighbors=K, max_iter=t, random_state=0).fit(views)

    def normalised(W):
        P = W - np.diag(np.diag(W))
        P = P / (2 * P.sum(axis=1, keepdims=True))
        np.fill_diagonal(P, 0.5)
        return (P + P.T) / 2

    P, S = [], []
    for X in views:
        d = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2))
        m = np.sort(d, axis=1)[:, 1 : K + 1].mean(axis=1) + np.finfo(float).eps
        sd = 0.5 * (m[:, None] + m + d) / 3
        W = np.exp(-(d**2) / (2 * sd**2)) / (np.sqrt(2 * np.pi) * sd)
        P.append(normalised((W + W.T) / 2))
        keep = P[-1] >= np.sort(P[-1], axis=1)[:, -K][:, None]
        S.append(np.where(keep, P[-1], 0) / np.where(keep, P[-1], 0).sum(axis=1, keepdims=True))
    for _ in range(t):
        P = [normalised(S[v] @ sum(P[w] for w in range(3) if w != v) / 2 @ S[v].T) for v in range(3)]
    np.testing.assert_allclose(fit.affinity_, normalised(sum(P) / 3), atol=1e-12)


def test_similarity_network_of_the_first_program():
    """Dense products, the identity added each round: the formulas of the authors' first program and of snfpy."""
    rng = np.random.default_rng(0)
    n, K, t = 90, 7, 4
    affinities = []
    for _ in range(3):
        W = rng.random((n, n)) ** 3
        affinities.append(W + W.T + np.eye(n))
    fit = SimilarityNetworkFusion(
        3, affinity="precomputed", normalization="diagonal", n_neighbors=K, max_iter=t, random_state=0
    ).fit(affinities)

    def shares(W):
        P = W / W.sum(axis=1, keepdims=True)
        return (P + P.T) / 2

    P, S = [shares(W) for W in affinities], []
    for P_v in P:
        kept = np.where(P_v >= np.sort(P_v, axis=1)[:, [-K]], P_v, 0)
        S.append(kept / kept.sum(axis=1, keepdims=True))
    for _ in range(t):
        P = [S[v] @ (sum(P) - P[v]) @ S[v].T / 2 + np.eye(n) for v in range(3)]
    np.testing.assert_allclose(fit.affinity_, shares(sum(P) / 3) + np.eye(n) / 2, atol=1e-12)
    alone = SimilarityNetworkFusion(3, affinity="precomputed", normalization="diagonal", random_state=0)
    alone.fit(affinities[:1])
    np.testing.assert_allclose(alone.affinity_, shares(shares(affinities[0])) + np.eye(n) / 2, atol=1e-12)


def test_diffusion_and_its_normalisation():
    rng = np.random.default_rng(0)
    n = 203
    columns = np.stack([rng.choice(n, 7, replace=False) for _ in range(n)])
    values, A = rng.random((n, 7)), rng.random((n, n))
    A += A.T
    S = np.zeros((n, n))
    np.put_along_axis(S, columns, values, axis=1)
    out, want = np.zeros((n, n)), S @ A @ S.T
    diffuse(columns, values, A, np.empty((n, n)), out)
    np.testing.assert_allclose(np.triu(out), np.triu(want), rtol=1e-12)
    normalize_upper(out)
    np.fill_diagonal(want, 0.0)
    want /= 2 * want.sum(axis=1, keepdims=True)
    np.fill_diagonal(want, 0.5)
    np.testing.assert_allclose(out, 0.5 * (want + want.T), rtol=1e-12)
    lonely = np.zeros((3, 3))
    normalize_upper(lonely)
    np.testing.assert_array_equal(lonely, 0.5 * np.eye(3))


@pytest.mark.parametrize("normalization", ["rows", "diagonal"])
def test_similarity_network_with_missing_views_and_new_samples(holes, normalization):
    options = {"missing": "mask", "normalization": normalization, "random_state": 0}
    fit = SimilarityNetworkFusion(3, **options).fit(holes.views)
    assert adjusted_rand_score(holes.target, fit.labels_) > 0.9
    assert np.isfinite(fit.affinity_).all()
    first = {name: view[:100] for name, view in holes.views.items()}
    rest = {name: view[100:] for name, view in holes.views.items()}
    fit = SimilarityNetworkFusion(3, **options).fit(first)
    together = np.concatenate([fit.labels_, fit.propagate(rest)])
    assert adjusted_rand_score(holes.target, together) > 0.9


@pytest.mark.parametrize("fusion", ["weighted", "reference"])
def test_rank_constraint_makes_components(fusion):
    blobs = make_multiview_blobs(150, 3, n_features=(5, 8), separations=(5.0, 5.0), random_state=0)
    fit = GraphFusionClustering(3, fusion=fusion, scale="block", random_state=0).fit(blobs.views)
    assert fit.n_components_ == 3
    assert adjusted_rand_score(blobs.target, fit.labels_) == 1
    U = fit.affinity_.toarray()
    assert U.min() >= 0 and not np.diag(U).any()
    if fusion == "weighted":
        for S in fit.view_affinities_:
            np.testing.assert_allclose(S.sum(axis=1), 1, atol=1e-10)


def test_graph_fusion_on_digits():
    """The published fusion on standardised columns, standardised samples: 0.886 by an independent reconstruction."""
    digits = load_mfeat()
    views = [view[::2] for view in digits.views.values()]
    views = [(view - view.mean(axis=0)) / view.std(axis=0) for view in views]
    fit = GraphFusionClustering(10, fusion="reference", random_state=0).fit(views)
    assert fit.n_components_ == 10
    assert clustering_accuracy(digits.target[::2], fit.labels_) == pytest.approx(0.886, abs=0.01)


def test_automatic_graph_weights_fall(blobs):
    fit = GraphFusionClustering(4, method="amgl", scale="block", random_state=0).fit(blobs.views)
    assert falls(fit.objective_path_)
    assert fit.view_weights_.sum() == pytest.approx(1)


# -- linear methods -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["l21", "l2"])
@pytest.mark.parametrize("weighting", ["auto", "equal"])
def test_multiview_kmeans_falls(blobs, loss, weighting):
    fit = MultiViewKMeans(4, loss=loss, weighting=weighting, n_init=2, tol=0, max_iter=50, random_state=0)
    fit.fit(blobs.views)
    assert falls(fit.objective_path_)
    np.testing.assert_array_equal(fit.predict(blobs.views), fit.labels_)


def test_multiview_kmeans_of_one_view_is_kmeans():
    X = make_multiview_blobs(200, 3, n_features=(5,), separations=(4.0,), random_state=0).views["view0"]
    fit = MultiViewKMeans(3, loss="l2", scale=None, tol=0, random_state=0).fit(X)
    means = KMeans(3, n_init=10, tol=0, random_state=0).fit(X)
    assert adjusted_rand_score(fit.labels_, means.labels_) == 1
    assert fit.objective_ == pytest.approx(means.inertia_)


def test_multiview_kmeans_robustness():
    """Where the noise has no variance (Student t, 1.5 degrees) distances beat squared ones."""
    gains = []
    for seed in range(6):
        blobs = make_multiview_blobs(300, 3, n_features=(4, 4), separations=(4.0, 4.0), random_state=seed)
        rng = np.random.default_rng(seed)
        X = [center[blobs.target] + rng.standard_t(1.5, size=(300, 4)) for center in blobs.centers]
        score = {}
        for loss in ("l21", "l2"):
            fit = MultiViewKMeans(3, loss=loss, scale=None, random_state=0).fit(X)
            score[loss] = adjusted_rand_score(blobs.target, fit.labels_)
        gains.append(score["l21"] - score["l2"])
    assert np.mean(gains) > 0.1


def test_multiview_kmeans_missing_and_batches(holes):
    fit = MultiViewKMeans(3, missing="mask", random_state=0).fit(holes.views)
    assert adjusted_rand_score(holes.target, fit.labels_) > 0.9
    whole = make_multiview_blobs(3000, 3, n_features=(6, 9), separations=(3.0, 3.0), random_state=0)
    fit = MultiViewKMeans(3, batch_size=200, max_iter=50, random_state=0).fit(whole.views)
    assert adjusted_rand_score(whole.target, fit.labels_) > 0.95


def test_multiview_kmeans_weights_are_repetitions():
    blobs = make_multiview_blobs(80, 3, n_features=(4, 5), separations=(5.0, 5.0), random_state=0)
    times = np.random.default_rng(0).integers(0, 4, size=80)
    weighted = MultiViewKMeans(3, random_state=0).fit(blobs.views, sample_weight=times)
    repeated = MultiViewKMeans(3, random_state=0).fit(
        [np.repeat(X, times, axis=0) for X in blobs.views.values()]
    )
    assert weighted.objective_ == pytest.approx(repeated.objective_, rel=1e-6)


def test_anchors(blobs):
    fit = AnchorMultiViewClustering(4, n_anchors=12, random_state=0).fit(blobs.views)
    np.testing.assert_allclose(fit.anchor_graph_.reshape(120, 3, 12).sum(axis=2), 3**-0.5)
    U, s, _ = np.linalg.svd(fit.anchor_graph_, full_matrices=False)
    np.testing.assert_allclose(fit.singular_values_, s[:4], rtol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(U[:, :4] * fit.embedding_, axis=0)), 1, atol=1e-6)
    np.testing.assert_allclose(fit.transform(blobs.views), fit.embedding_, atol=1e-8)
    np.testing.assert_array_equal(fit.predict(blobs.views), fit.labels_)
    two = AnchorMultiViewClustering(4, n_anchors=12, n_jobs=2, random_state=0).fit(blobs.views)
    np.testing.assert_array_equal(fit.labels_, two.labels_)


# -- helpers ------------------------------------------------------------------------------------------------


def test_consensus(blobs):
    for linkage in ("average", "complete", "spectral"):
        fit = ConsensusClustering(
            4, estimators=[KMeans(4, n_init=1), KMeans(6, n_init=1)], n_runs=3, linkage=linkage,
            weighting="agreement", random_state=0,
        ).fit(blobs.views)  # fmt: skip
        assert fit.partitions_.shape == (18, 120)
        assert fit.partition_weights_.sum() == pytest.approx(1)
        np.testing.assert_allclose(np.diag(fit.affinity_), 1)
    with pytest.raises(ValueError, match="clusterers with fit_predict"):
        ConsensusClustering(4, estimators=["k-means"]).fit(blobs.views)
    with pytest.raises(ValueError, match="estimators is empty"):
        ConsensusClustering(4, estimators=[]).fit(blobs.views)


def test_coassociation_of_partial_partitions():
    A = coassociation_matrix([[0, 0, 1, -1], [0, 1, 1, 1]], weights=[3, 1])
    np.testing.assert_allclose(A[0], [1, 0.75, 0, 0])
    np.testing.assert_allclose(A[3], [0, 1, 1, 1])
    for bad, message in [([0, 1], "shape"), ([[0.5, 1]], "integer")]:
        with pytest.raises(ValueError, match=message):
            coassociation_matrix(bad)
    with pytest.raises(ValueError, match="weights"):
        coassociation_matrix([[0, 1]], weights=[-1])


def test_number_of_clusters():
    W = np.kron(np.eye(4), np.ones((6, 6))) + 0.01
    for affinity in (W, sparse.csr_array(W)):
        table = suggest_n_clusters(affinity, max_clusters=8)
        assert table.index[0] == 4
        assert list(table["gap"]) == sorted(table["gap"], reverse=True)
    with pytest.raises(ValueError, match="square"):
        suggest_n_clusters(np.ones((3, 4)))
    with pytest.raises(ValueError, match="max_clusters must be from 2 to n_samples - 1 = 23"):
        suggest_n_clusters(W, max_clusters=24)
    with pytest.raises(ValueError, match="negative"):
        suggest_n_clusters(-W)


def test_compare_views(blobs):
    fit = MultiViewKMeans(4, random_state=0).fit(blobs.views)
    table = compare_views(
        blobs.views, 4,
        methods={"fitted": fit, "new": KernelKMeans(4, random_state=0), "labels": blobs.target},
        labels_true=blobs.target, random_state=0,
    )  # fmt: skip
    assert list(table.index) == [
        "view0 alone", "view1 alone", "view2 alone", "concatenation", "average kernel",
        "fitted", "new", "labels",
    ]  # fmt: skip
    assert table.loc["labels", "ari"] == table.loc["labels", "nmi"] == 1
    assert table.loc["view0 alone", "view0"] == 1
    assert table.loc["view0 alone", "mean"] == pytest.approx(
        table.loc["view0 alone", ["view1", "view2"]].mean()
    )
    assert table.loc["fitted", "largest_weight"] == pytest.approx(1 / 3)
    again = compare_views(blobs.views, 4, random_state=0)
    np.testing.assert_allclose(again["mean"], table["mean"][:5])
    with pytest.raises(ValueError, match=r"labels have shape \(3,\); there are 120 samples"):
        compare_views(blobs.views, 4, methods=[np.zeros(3, dtype=int)])


def test_leading_eigenvectors_of_every_form():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(400, 400))
    A = A + A.T
    values, vectors = np.linalg.eigh(A)
    for matrix in (A, sparse.csr_array(A)):
        found, H = top_eigenvectors(matrix, 5)
        np.testing.assert_allclose(found, values[::-1][:5], rtol=1e-9)
        np.testing.assert_allclose(H @ H.T, vectors[:, -5:] @ vectors[:, -5:].T, atol=1e-7)
        assert (H[np.abs(H).argmax(axis=0), np.arange(5)] > 0).all()
