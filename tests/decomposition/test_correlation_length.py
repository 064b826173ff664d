"""The correlation length: recovery, standard errors, anisotropy, graphs, and what cannot be identified."""

import numpy as np
import pytest

from statkit.datasets import make_random_field
from statkit.decomposition import estimate_correlation_length
from statkit.decomposition.fields.pairs import choose_pairs, pair_correlations


def test_pair_correlations_are_numpys_over_common_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(25, 6)) + 100
    pairs = choose_pairs(rng.random((6, 2)), rng, max_distance=10.0)
    weights = np.ones((1, 25))
    np.testing.assert_allclose(
        pair_correlations(X, pairs, weights)[0], np.corrcoef(X.T)[pairs.i, pairs.j], atol=1e-12
    )
    X[rng.random(X.shape) < 0.3] = np.nan
    found = pair_correlations(X, pairs, weights)[0]
    for k, (i, j) in enumerate(zip(pairs.i, pairs.j, strict=True)):
        both = np.isfinite(X[:, [i, j]]).all(axis=1)
        assert found[k] == pytest.approx(np.corrcoef(X[both, i], X[both, j])[0, 1], abs=1e-12)
    # Weights are repetitions.
    counts = rng.integers(0, 4, 25)
    X = rng.normal(size=(25, 6))
    twice = pair_correlations(np.repeat(X, counts, axis=0), pairs, np.ones((1, counts.sum())))
    np.testing.assert_allclose(pair_correlations(X, pairs, counts[None].astype(float)), twice, atol=1e-12)


def test_sampled_pairs_cover_all_scales():
    rng = np.random.default_rng(0)
    pairs = choose_pairs(rng.random((3_000, 2)), rng, n_rows=1_000, spacing=0.02)
    assert len(np.unique(pairs.i * 3_000 + pairs.j)) == len(pairs) and np.all(pairs.i < pairs.j)
    for low, high in ((0, 0.03), (0.03, 0.1), (0.1, 0.3), (0.3, 0.7)):
        assert np.sum((pairs.distance > low) & (pairs.distance < high)) > 500


@pytest.mark.parametrize("kernel", ["gaussian", "matern32", "exponential"])
def test_length_and_nugget_are_recovered(kernel):
    points = np.random.default_rng(1).random((150, 2))
    X = make_random_field(
        400, coordinates=points, correlation_length=0.1, kernel=kernel, nugget=0.2, random_state=2
    ).data
    fit = estimate_correlation_length(X, points, kernel=kernel, random_state=0)
    assert abs(fit.length - 0.1) < 4 * fit.se and fit.se < 0.01
    assert fit.nugget == pytest.approx(0.2, abs=0.05)
    low, high = fit.conf_int()
    assert low < fit.length < high
    given = estimate_correlation_length(X, points, kernel=kernel, nugget=0.2, random_state=0)
    assert given.length == pytest.approx(fit.length, rel=0.1) and given.nugget == pytest.approx(0.2)
    assert fit.identified and set(fit.table) == {"distance", "correlation", "fitted", "n_pairs"}


def test_auto_kernel_takes_the_least_error():
    points = np.random.default_rng(1).random((150, 2))
    for truth in ("gaussian", "exponential"):
        X = make_random_field(
            400, coordinates=points, correlation_length=0.15, kernel=truth, random_state=3
        ).data
        fit = estimate_correlation_length(X, points, kernel="auto", random_state=0)
        assert fit.kernel == truth == min(fit.sse, key=fit.sse.get)


def test_anisotropy():
    turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    sigma = turn @ np.diag([0.12**2, 0.05**2]) @ turn.T
    points = np.random.default_rng(0).random((200, 2))
    X = make_random_field(50, coordinates=points, correlation_length=sigma, random_state=1).data
    fit = estimate_correlation_length(X, points, form="anisotropic", nugget=0.0, random_state=0)
    value, axes = np.linalg.eigh(fit.length)
    short, long = np.sqrt(value)
    assert short == pytest.approx(0.05, abs=0.008) and long == pytest.approx(0.12, abs=0.014)
    angle = np.arctan2(axes[1, 1], axes[0, 1]) % np.pi
    assert angle == pytest.approx(0.6, abs=0.1)
    assert fit.se.shape == (2,) and np.all((fit.se > 0) & (fit.se < 0.03))


def test_varying_lengths_follow_the_truth():
    x = (np.arange(300) + 0.5) / 300
    truth = 0.03 * (1 + 1.5 * x)
    X = make_random_field(300, shape=(300,), coordinates=(x,), correlation_length=truth, random_state=0).data
    fit = estimate_correlation_length(
        X, shape=(300,), coordinates=(x,), form="varying", nugget=0.0, random_state=0
    )
    assert np.corrcoef(fit.length, truth)[0, 1] > 0.9
    assert np.abs(fit.length / truth - 1).mean() < 0.15


def test_graph_length():
    import networkx

    graph = networkx.grid_2d_graph(20, 20)
    X = make_random_field(200, graph=graph, correlation_length=1.5, random_state=0).data
    X /= X.std(axis=0)
    fit = estimate_correlation_length(X, graph=graph, nugget=0.0, random_state=0)
    assert fit.length == pytest.approx(1.5, abs=4 * fit.se) and fit.se < 0.15


def test_neighbour_method_is_the_formula():
    X = make_random_field(300, shape=(200,), correlation_length=3.0, random_state=0).data
    fit = estimate_correlation_length(X, method="neighbor", random_state=0)
    r = np.mean([np.corrcoef(X[:, j], X[:, j + 1])[0, 1] for j in range(199)])
    assert fit.length == pytest.approx(np.sqrt(-1 / (2 * np.log(r))), rel=1e-6)


def test_white_noise_is_not_identifiable():
    X = np.random.default_rng(0).normal(size=(30, 60))
    with pytest.warns(UserWarning, match="not identifiable"):
        fit = estimate_correlation_length(X, nugget=0.0, random_state=0)
    assert not fit.identified


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"nugget": 1.0}, "nugget"),
        ({"nugget": "yes"}, "nugget"),
        ({"form": "round"}, "form"),
        ({"method": "variogram"}, "method"),
        ({"X": np.ones((1, 5))}, "2 samples"),
        ({"X": np.ones(5)}, "two dimensions"),
        ({"X": np.full((3, 5), np.inf)}, "infinite"),
    ],
)
def test_bad_input(kwargs, message):
    arguments = {"X": np.random.default_rng(0).normal(size=(10, 5)), **kwargs}
    with pytest.raises(ValueError, match=message):
        estimate_correlation_length(arguments.pop("X"), **arguments)


@pytest.mark.slow
def test_estimator_is_unbiased_and_its_interval_covers():
    """Forty replications: bias within 3 %, coverage of the 95 % interval between 0.8 and 1."""
    lengths, covered = [], 0
    for seed in range(40):
        points = np.random.default_rng(seed).random((150, 2))
        X = make_random_field(30, coordinates=points, correlation_length=0.1, random_state=seed).data
        fit = estimate_correlation_length(X, points, nugget=0.0, random_state=seed)
        low, high = fit.conf_int()
        lengths.append(fit.length)
        covered += low <= 0.1 <= high
    assert np.mean(lengths) == pytest.approx(0.1, rel=0.03)
    assert 0.8 <= covered / 40 <= 1


@pytest.mark.slow
def test_sparse_network_is_not_biased_as_bins_are():
    lengths = []
    for seed in range(20):
        points = np.random.default_rng(seed).random((60, 2))
        X = make_random_field(100, coordinates=points, correlation_length=0.03, random_state=seed).data
        lengths.append(
            estimate_correlation_length(X, points, nugget=0.0, random_state=seed, n_bootstrap=0).length
        )
    assert np.mean(lengths) == pytest.approx(0.03, rel=0.06)
