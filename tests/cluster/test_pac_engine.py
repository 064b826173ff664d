"""The engine: worked numbers, brute force, descent, and the identities between its forms."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.metrics import pairwise_distances

from statkit.cluster import critical_exponent, kernel_to_distance, pac_objective, probability_aggregation
from statkit.cluster._pac_base import state_of
from statkit.cluster._pac_descent import noise_start
from statkit.cluster._pac_pairs import Graph, RowBlocks

LINE = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
FIRST = np.array([0.6, 0.55, 0.5, 0.5, 0.45, 0.4])
START = np.column_stack([FIRST, 1 - FIRST])


def brute_force_sweep(P, D, weight, m, a):
    """One Gauss-Seidel sweep by the formulas, every sum anew."""
    P = P.copy()
    s = 1 / (m - 1)
    for i in range(len(P)):
        wQ = weight[:, None] * P**m
        S = wQ.sum(axis=0)
        G = D @ wQ
        A = (wQ * G).sum(axis=0)
        cost = S**-a * (2 * G[i] - a * A / S)
        logs = -s * np.log(cost)
        e = np.exp(logs - logs.max())
        P[i] = e / e.sum()
    return P


def brute_force_objective(P, D, weight, m, a):
    wQ = weight[:, None] * P**m
    return float(((wQ * (D @ wQ)).sum(axis=0) / wQ.sum(axis=0) ** a).sum())


@pytest.fixture(scope="module")
def cloud():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 4)) + 3.0 * rng.integers(0, 3, size=60)[:, None]
    return X, rng.dirichlet(np.ones(3), size=60), rng.uniform(0.5, 2.0, size=60)


WORKED = [
    # a, m, first column after one sweep, objective: before, after one sweep, converged
    (
        0.0,
        2.0,
        [0.60822855, 0.60966436, 0.60592165, 0.30097660, 0.29678689, 0.30174435],
        (228.4445, 202.87477923821902, 23.279239049311172),
    ),
    (
        0.0,
        1.5,
        [0.65972867, 0.66131055, 0.65373972, 0.12993274, 0.12636035, 0.13411194],
        (455.7576288873719, 352.72176418819566, 23.993783991712355),
    ),
    (
        0.5,
        2.0,
        [0.63506349, 0.65440439, 0.68648382, 0.20038527, 0.17049318, 0.15873511],
        (184.98894885955735, 121.95516945281253, 13.599744065699436),
    ),
    (
        1.0,
        2.0,
        [0.67959301, 0.76131856, 0.89765906, 0.00744296, 0.02607228, 0.03815911],
        (149.79967213114753, 42.37390487657755, 7.918385355216852),
    ),
]


@pytest.mark.parametrize(("a", "m", "column", "objectives"), WORKED)
@pytest.mark.parametrize("form", ["rows", "distances", "csr"])
def test_worked_example(a, m, column, objectives, form):
    data = {
        "rows": {"X": LINE},
        "distances": {"D": (LINE - LINE.T) ** 2},
        "csr": {"X": sparse.csr_array(LINE)},
    }[form]
    assert pac_objective(START, **data, m=m, size_exponent=a) == pytest.approx(objectives[0], rel=1e-12)
    once, history = probability_aggregation(**data, P0=START, m=m, size_exponent=a, max_sweeps=1)
    np.testing.assert_allclose(once[:, 0], column, atol=6e-9)
    assert history.objective[0] == pytest.approx(objectives[1], rel=1e-12)
    end, history = probability_aggregation(**data, P0=START, m=m, size_exponent=a, tol=1e-13, max_sweeps=1000)
    assert history.converged
    assert history.objective[-1] == pytest.approx(objectives[2], rel=1e-11)
    if (a, m) == (0.0, 2.0):
        np.testing.assert_allclose(
            end[:, 0], [0.98640505, 0.99327015, 0.97977278, 0.02022722, 0.00672985, 0.01359495], atol=6e-9
        )


@pytest.mark.parametrize("a", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("metric", ["sqeuclidean", "cityblock", "random"])
def test_sweeps_are_gauss_seidel(cloud, a, metric):
    X, P, weight = cloud
    if metric == "random":
        if a > 0:
            pytest.skip("only a = 0 is defined for what is not a metric")
        D = np.abs(np.random.default_rng(0).normal(size=(60, 60)))
        D = D + D.T
        np.fill_diagonal(D, 0.0)
        data = {"D": D}
    else:
        D = pairwise_distances(X, metric=metric)
        data = {"X": X, "metric": metric}
    expected = P
    for _ in range(3):
        expected = brute_force_sweep(expected, D, weight, 1.2, a)
    found, history = probability_aggregation(
        **data, P0=P, m=1.2, size_exponent=a, sample_weight=weight, max_sweeps=3
    )
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert history.objective[-1] == pytest.approx(
        brute_force_objective(expected, D, weight, 1.2, a), rel=1e-9
    )


@pytest.mark.parametrize("a", [0.0, 0.5, 1.0])
def test_blocks_graph_and_matrix_agree(cloud, a):
    X, P, weight = cloud
    D = pairwise_distances(X, metric="cityblock")
    order = np.random.default_rng(0).permutation(60)
    whole = state_of(D, weight, "precomputed", None, 2**30)
    blocks = RowBlocks(X, weight, lambda A, B: pairwise_distances(A, B, metric="cityblock"), 7)
    affinity = 1.0 - D / D.max()
    np.fill_diagonal(affinity, 0.0)
    graph = Graph(sparse.csr_array(affinity), weight)
    joined = state_of((D / D.max()), weight, "precomputed", None, 2**30)
    for first, second, scale in ((whole, blocks, 1.0), (joined, graph, 1.0)):
        first.start(P.copy(), 1.1)
        second.start(P.copy(), 1.1)
        for _ in range(3):
            change = [state.sweep(order, 1.1, 10.0, a) for state in (first, second)]
            assert change[0] == pytest.approx(change[1], rel=1e-6)
            assert first.objective(a) == pytest.approx(scale * second.objective(a), rel=1e-9)
        np.testing.assert_allclose(first.P, second.P, atol=1e-7)
        np.testing.assert_allclose(first.distances(), second.distances(), rtol=1e-8)


@pytest.mark.parametrize("a", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("m", [1.0, 1.05, 1.5])
@pytest.mark.parametrize("kind", ["dense", "float32", "csr", "cosine", "zero rows", "cityblock"])
def test_no_sweep_raises_the_objective(cloud, a, m, kind):
    X, P, weight = cloud
    metric = {"cosine": "cosine", "zero rows": "cosine", "cityblock": "cityblock"}.get(kind, "sqeuclidean")
    if kind == "zero rows":
        X = np.where(np.arange(60)[:, None] % 7 == 0, 0.0, X)
    if kind == "float32":
        X = X.astype(np.float32)
    if kind == "csr":
        X = sparse.csr_array(np.where(np.abs(X) < 1, 0.0, X))
    _, history = probability_aggregation(
        X, P0=P, m=m, size_exponent=a, metric=metric, sample_weight=weight, max_sweeps=30, tol=0.0
    )
    steps = np.diff(history.objective)
    assert steps.max() <= 1e-9 * history.objective[0]


def test_limit_is_stationary(cloud):
    X, P, weight = cloud
    for a in (0.0, 0.5, 1.0):
        end, history = probability_aggregation(
            X, P0=P, m=1.5, size_exponent=a, sample_weight=weight, tol=1e-14, max_sweeps=3000
        )
        rng = np.random.default_rng(1)
        for i in rng.choice(60, 10, replace=False):
            step = np.zeros_like(end)
            step[i] = [1e-5, -1e-5, 0.0]
            ends = [
                pac_objective(end + sign * step, X, m=1.5, size_exponent=a, sample_weight=weight)
                for sign in (1, -1)
            ]
            assert abs(ends[0] - ends[1]) / 2e-5 < 1e-6 * history.objective[-1]


def test_invariances(cloud):
    X, P, _ = cloud
    options = dict(P0=P, m=1.2, max_sweeps=5)
    base, _ = probability_aggregation(X, **options)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    np.testing.assert_allclose(
        probability_aggregation(7.0 * X @ rotation + 5.0, **options)[0], base, atol=1e-8
    )
    permuted, _ = probability_aggregation(X, P0=P[:, [2, 0, 1]], m=1.2, max_sweeps=5)
    np.testing.assert_allclose(permuted, base[:, [2, 0, 1]], atol=1e-12)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosine, history = probability_aggregation(X, metric="cosine", **options)
    squared, twice = probability_aggregation(unit, **options)
    np.testing.assert_allclose(cosine, squared, atol=1e-9)
    assert 2 * history.objective[-1] == pytest.approx(twice.objective[-1], rel=1e-10)
    kernel, _ = probability_aggregation(D=kernel_to_distance(X @ X.T), **options)
    np.testing.assert_allclose(kernel, base, atol=1e-7)


@pytest.mark.parametrize("a", [0.0, 0.5, 1.0])
def test_dense_sparse_and_distances_agree(a):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 5)) * (rng.random((80, 5)) < 0.6)
    X[[3, 17]] = 0.0
    P = rng.dirichlet(np.ones(4), size=80)
    for metric in ("sqeuclidean", "cosine"):
        D = pairwise_distances(X, metric=metric)
        if metric == "cosine":
            D[[3, 17]], D[:, [3, 17]] = 1.0, 1.0
            np.fill_diagonal(D, 0.0)
        ends = [
            probability_aggregation(P0=P, m=1.3, size_exponent=a, max_sweeps=4, metric=metric, **data)
            for data in ({"X": X}, {"X": sparse.csr_array(X)}, {"X": X.astype(np.float32)}, {"D": D})
        ]
        for (found, history), tolerance in zip(ends[1:], (1e-8, 1e-4, 1e-8), strict=True):
            np.testing.assert_allclose(found, ends[0][0], atol=tolerance)
            assert history.objective[-1] == pytest.approx(ends[0][1].objective[-1], rel=tolerance)


@pytest.mark.parametrize("a", [0.0, 0.5, 1.0])
def test_weights_are_copies(cloud, a):
    X, P, _ = cloud
    copies = np.random.default_rng(0).integers(1, 4, size=60)
    options = dict(m=1.3, size_exponent=a, tol=1e-14, max_sweeps=3000)
    weighted, _ = probability_aggregation(X, P0=P, sample_weight=copies, **options)
    copied, _ = probability_aggregation(
        np.repeat(X, copies, axis=0), P0=np.repeat(P, copies, axis=0), **options
    )
    # The fixed point may be another one: bring the copies there from the weighted answer
    start = np.repeat(weighted, copies, axis=0)
    settled, _ = probability_aggregation(np.repeat(X, copies, axis=0), P0=start, **options)
    np.testing.assert_allclose(settled, start, atol=1e-10)
    assert copied.shape == start.shape


def test_hard_objective_is_size_times_scatter():
    X = np.random.default_rng(0).normal(size=(30, 3))
    labels = np.arange(30) % 4
    parts = [X[labels == k] for k in range(4)]
    expected = sum(2 * len(part) * ((part - part.mean(axis=0)) ** 2).sum() for part in parts)
    assert pac_objective(np.eye(4)[labels], X, m=1.0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("a", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_hard_version_finds_the_exhaustive_optimum(seed, a):
    from itertools import product

    rng = np.random.default_rng(seed)
    X = rng.normal(size=(9, 2))
    D = pairwise_distances(X, metric="sqeuclidean")

    def objective(labels):
        Q = np.eye(3)[labels]
        sizes = Q.sum(axis=0)
        return ((Q * (D @ Q)).sum(axis=0) / np.maximum(sizes, 1) ** a).sum()

    best = min(objective(np.array((0, *labels))) for labels in product(range(3), repeat=8))
    found = min(
        probability_aggregation(
            X, P0=rng.dirichlet(np.ones(3), size=9), m=1.0, size_exponent=a, min_sweeps=2, tol=1e-12
        )[1].objective[-1]
        for _ in range(40)
    )
    assert found == pytest.approx(best, rel=1e-9)


def test_critical_exponent_figures():
    digits, iris, wine = load_digits().data, load_iris().data, load_wine().data
    wine = (wine - wine.mean(axis=0)) / wine.std(axis=0)
    assert critical_exponent(iris) == pytest.approx(4.28, abs=0.01)
    assert critical_exponent(iris, exact=True) == pytest.approx(4.72, abs=0.01)
    for X, figures in (
        (digits, (1.1733, 1.2457, 1.3713, 1.4265)),
        (wine, (1.5297, 1.8607, 2.7977, 3.5237)),
    ):
        for a, figure in zip((0.0, 0.5, 0.9, 1.0), figures, strict=True):
            assert critical_exponent(X, size_exponent=a) == pytest.approx(figure, abs=6e-5)
    D = pairwise_distances(wine, metric="sqeuclidean")
    assert critical_exponent(D=D) == pytest.approx(critical_exponent(wine, exact=True), rel=1e-4)
    assert critical_exponent(sparse.csr_array(wine)) == pytest.approx(critical_exponent(wine), rel=1e-9)


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
@pytest.mark.parametrize("a", [0.0, 0.9])
def test_the_uniform_partition_is_left_below_the_critical_exponent_only(metric, a):
    X = load_wine().data
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    critical = critical_exponent(X, metric=metric, size_exponent=a, exact=a == 0.0)
    P0 = noise_start(len(X), 3, np.random.RandomState(0))
    distance = []
    for factor in (0.95, 1.05):
        m = 1 + factor * (critical - 1)
        P, _ = probability_aggregation(
            X, P0=P0, m=m, metric=metric, size_exponent=a, max_sweeps=1500, min_sweeps=1500
        )
        distance.append(np.abs(P - 1 / 3).max())
    assert distance[0] > 0.05
    assert distance[1] < 1e-6
