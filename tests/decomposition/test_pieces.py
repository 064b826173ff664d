"""The pieces of a fit against plain numpy: covariance products, variances, shrinkage, scores, rotation."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from statkit.datasets import make_random_field
from statkit.decomposition import (
    captured_variance,
    estimate_variance_field,
    karhunen_loeve,
    promax,
    subspace_angle,
    varimax,
)
from statkit.decomposition.fields.covariance import GridCorrelation, PairCorrelation
from statkit.decomposition.fields.kernel import Kernel
from statkit.decomposition.fields.lengths import Lengths, read_lengths
from statkit.decomposition.fields.scores import ScoreModel
from statkit.decomposition.fields.shrinkage import CellMeans, Samples, combined_modes, optimal_weight
from statkit.decomposition.fields.variance import moments
from statkit.decomposition.meshes.grid import GridMesh

KERNELS = ["gaussian", "exponential", "matern32", "matern52", ("matern", 1.2)]


@pytest.mark.parametrize("name", KERNELS, ids=str)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_pair_products(name, d):
    rng = np.random.default_rng(0)
    points, block = rng.random((200, d)) * 30, rng.normal(size=(200, 3))
    kernel = Kernel.of(name)
    exact = kernel.correlation(cdist(points, points) / 0.9) @ block
    found = PairCorrelation(points, read_lengths(0.9, d, 200), kernel) @ block
    np.testing.assert_allclose(found, exact, atol=3e-4 if isinstance(name, tuple) else 1e-4)


@pytest.mark.parametrize("name", ["gaussian", "matern32"])
def test_pair_products_with_tensors(name):
    rng = np.random.default_rng(1)
    points, block = rng.random((80, 2)), rng.normal(size=(80, 2))
    kernel = Kernel.of(name)
    sigma = np.array([[0.05, 0.02], [0.02, 0.03]])
    difference = points[:, None] - points
    r = np.sqrt(np.einsum("ijk,kl,ijl->ij", difference, np.linalg.inv(sigma), difference))
    found = PairCorrelation(points, Lengths(sigma, 2, False), kernel) @ block
    np.testing.assert_allclose(found, kernel.correlation(r) @ block, atol=1e-4)
    tensors = sigma * rng.uniform(0.5, 2, 80)[:, None, None]
    mean = 0.5 * (tensors[:, None] + tensors)
    r = np.sqrt(np.einsum("ijk,ijkl,ijl->ij", difference, np.linalg.inv(mean), difference))
    det = np.linalg.det
    scale = (det(tensors)[:, None] * det(tensors)) ** 0.25 / np.sqrt(det(mean))
    found = PairCorrelation(points, Lengths(tensors, 2, True), kernel) @ block
    np.testing.assert_allclose(found, (scale * kernel.correlation(r)) @ block, atol=1e-4)


def test_grid_products():
    rng = np.random.default_rng(2)
    mask = rng.random((9, 7)) < 0.8
    mesh = GridMesh((np.arange(9.0), 2 * np.arange(7.0)), mask=mask)
    sigma = np.array([[4.0, 1.0], [1.0, 3.0]])
    block = rng.normal(size=(mask.sum(), 3))
    difference = mesh.nodes[:, None] - mesh.nodes
    r = np.sqrt(np.einsum("ijk,kl,ijl->ij", difference, np.linalg.inv(sigma), difference))
    for name in ("gaussian", "exponential"):
        kernel = Kernel.of(name)
        found = GridCorrelation(mesh, Lengths(sigma, 2, False), kernel) @ block
        np.testing.assert_allclose(found, kernel.correlation(r) @ block, atol=1e-6)


def test_exact_modes_by_three_methods():
    rng = np.random.default_rng(3)
    variance = rng.uniform(0.5, 2, 300)
    args = {"shape": (20, 15), "n_components": 5}
    fft = karhunen_loeve("gaussian", 3.0, variance, method="fft", **args)
    dense = karhunen_loeve("gaussian", 3.0, variance, method="dense", **args)
    np.testing.assert_allclose(fft.eigenvalues, dense.eigenvalues, rtol=1e-6)
    assert subspace_angle(fft.components, dense.components) < 1e-3
    x = fft.at(np.array([[4.0, 5.0], [10.5, 3.5]]))
    assert x[:, 0] == pytest.approx(fft.components[:, 4 * 15 + 5], rel=1e-4)
    points = rng.random((1500, 2))
    exact = karhunen_loeve("gaussian", 0.3, coordinates=points, n_components=4, method="dense")
    landmarks = karhunen_loeve(
        "gaussian", 0.3, coordinates=points, n_components=4, method="nystrom", n_landmarks=600, random_state=0
    )
    np.testing.assert_allclose(landmarks.eigenvalues, exact.eigenvalues, rtol=0.1)
    assert subspace_angle(landmarks.components[:1], exact.components[:1]) < 6
    own = karhunen_loeve(
        lambda a, b: np.exp(-0.5 * cdist(a, b, "sqeuclidean") / 0.09), coordinates=points, n_components=4
    )
    np.testing.assert_allclose(own.eigenvalues, exact.eigenvalues, rtol=1e-9)
    with pytest.raises(ValueError, match="method"):
        karhunen_loeve("gaussian", shape=(4,), method="qr")
    with pytest.raises(ValueError, match="equal cells"):
        karhunen_loeve("gaussian", coordinates=points, method="fft")
    with pytest.raises(ValueError, match="n_components"):
        karhunen_loeve("gaussian", shape=(4,), n_components=9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_moments_are_numpys(dtype):
    rng = np.random.default_rng(4)
    X = (rng.normal(size=(300, 40)) + 280).astype(dtype)
    holes = X.copy()
    holes[rng.random(X.shape) < 0.2] = np.nan
    for data in (X, holes):
        mean, variance, count = moments(data)
        np.testing.assert_allclose(mean, np.nanmean(data.astype(float), axis=0), rtol=1e-12)
        np.testing.assert_allclose(variance, np.nanvar(data.astype(float), axis=0, ddof=1), rtol=1e-9)
        assert np.array_equal(count, np.isfinite(data).sum(axis=0))
    assert moments(np.full((5, 2), 0.1 + 1e8))[1].tolist() == [0, 0]


def test_variance_smoothing():
    truth = (1 + 0.5 * np.sin(np.arange(400) / 40)) ** 2
    field = make_random_field(8, shape=(400,), correlation_length=2.0, variance=truth, random_state=0)
    raw = estimate_variance_field(field.data, smoothing=None)
    np.testing.assert_allclose(raw, field.data.var(axis=0, ddof=1))
    smooth = estimate_variance_field(field.data, smoothing="cv", random_state=0)
    assert np.mean((np.log(smooth) - np.log(truth)) ** 2) < 0.5 * np.mean((np.log(raw) - np.log(truth)) ** 2)
    wide = estimate_variance_field(field.data, smoothing=5.0)
    assert wide.mean() == pytest.approx(raw.mean(), rel=1e-9)  # the smoother keeps the integral
    many = make_random_field(3_000, shape=(60,), variance=1 + (np.arange(60) % 2), random_state=1).data
    np.testing.assert_allclose(estimate_variance_field(many), many.var(axis=0, ddof=1), rtol=0.02)
    masked = field.data.copy()
    masked[:, 100:120] = np.nan
    out = estimate_variance_field(masked, shape=(20, 20), smoothing=2.0)
    assert np.isnan(out[100:120]).all() and np.isfinite(np.delete(out, np.s_[100:120])).all()
    for bad, message in (({"smoothing": "best"}, "smoothing"), ({"smoothing": -1.0}, "negative")):
        with pytest.raises(ValueError, match=message):
            estimate_variance_field(field.data, **bad)


def test_smoothing_does_not_bring_zeros_in():
    variance = np.ones(50)
    variance[:10] = 0
    X = np.random.default_rng(0).normal(size=(30, 50)) * np.sqrt(variance)
    X[:, 10:] /= X[:, 10:].std(axis=0, ddof=1)
    np.testing.assert_allclose(estimate_variance_field(X, smoothing=6.0)[10:], 1, rtol=1e-9)


@pytest.mark.parametrize(("n", "p"), [(12, 40), (60, 20)])
def test_shrinkage_formula(n, p):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n, p)) + 3
    weights = rng.uniform(0.5, 2, p)
    vectors = np.linalg.qr(rng.normal(size=(p, 6)))[0]
    vectors = vectors + 0.01 * rng.normal(size=vectors.shape)  # not quite orthonormal, as at few stations
    scale = np.sort(rng.uniform(1, 5, 6))[::-1]
    samples = Samples(X, X.mean(axis=0), weights)
    gram, product = samples.gram(), samples.product(vectors)
    Y = (X - X.mean(axis=0)) * np.sqrt(weights)
    S, T = Y.T @ Y / (n - 1), (vectors * scale) @ vectors.T
    pi = sum(np.sum((np.outer(y, y) - Y.T @ Y / n) ** 2) for y in Y) * n / (n - 1) ** 3  # unbiased
    alpha = np.clip(pi / np.sum((S - T) ** 2), 0, 1)
    found = optimal_weight(gram, product, vectors.T @ vectors, scale)
    assert found == pytest.approx(alpha, rel=1e-9)
    for weight in (0.0, 0.3, 1.0):
        value, modes, scores = combined_modes(
            samples, gram, product, vectors.T @ vectors, vectors, scale, weight, 4
        )
        exact, axes = np.linalg.eigh(weight * T + (1 - weight) * S)
        np.testing.assert_allclose(value, exact[::-1][:4], rtol=1e-8)
        assert subspace_angle(modes.T, axes[:, ::-1][:, :4].T) < 1e-4
        if scores is not None:
            np.testing.assert_allclose(scores, Y @ modes, atol=1e-10)


def test_cell_means_are_the_samples_where_these_are_flat():
    rng = np.random.default_rng(8)
    cells = rng.permutation(np.repeat(np.arange(7), 5))
    X = rng.normal(size=(9, 8))[:, cells]  # no location lies in the last cell
    vectors = rng.normal(size=(8, 3))[cells]
    samples = Samples(X, X.mean(axis=0), np.ones(35))
    rows = CellMeans(samples, cells, 8)
    np.testing.assert_allclose(rows.gram(), samples.gram(), atol=1e-12)
    np.testing.assert_allclose(rows.product(vectors), samples.product(vectors), atol=1e-12)
    noisy = Samples(X + rng.normal(size=X.shape), X.mean(axis=0), rng.uniform(1, 2, 35))
    rows = CellMeans(noisy, cells, 8)
    np.testing.assert_allclose(np.diag(rows.gram()), np.diag(noisy.gram()), rtol=1e-12)


def test_crowded_locations_give_the_modes_that_all_inner_products_give(monkeypatch):
    from statkit.datasets import make_random_field
    from statkit.decomposition import SchrodingerPCA
    from statkit.decomposition.meshes import placement

    rough = np.exp(-(np.linspace(-2, 2, 150) ** 2))  # the field varies most in the middle: levels are apart
    X = make_random_field(
        60, shape=(150, 150), correlation_length=14.0, variance=np.outer(rough, rough**2), random_state=0
    ).data
    options = {"shape": (150, 150), "correlation_length": 14.0}
    near = SchrodingerPCA(6, **options).fit(X)
    assert near._modes.placement.cells() is not None
    monkeypatch.setattr(placement, "CROWDED", 1e9)
    full = SchrodingerPCA(6, **options).fit(X)
    assert near.shrinkage_ == pytest.approx(full.shrinkage_, abs=0.03)
    assert subspace_angle(near.components_[:3], full.components_[:3]) < 1.5
    np.testing.assert_allclose(near.explained_variance_, full.explained_variance_, rtol=0.01)
    np.testing.assert_allclose(near.score_variance_, near.transform(X).var(axis=0, ddof=1), rtol=1e-8)


def test_shrinkage_completes_a_short_basis():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(4, 30))
    samples = Samples(X, X.mean(axis=0), np.ones(30))
    vectors = np.linalg.qr(rng.normal(size=(30, 8)))[0]
    gram, product = samples.gram(), samples.product(vectors)
    value, modes, _ = combined_modes(samples, gram, product, np.eye(8), vectors, np.ones(8), 0.0, 6)
    np.testing.assert_allclose(modes.T @ modes, np.eye(6), atol=1e-8)
    assert np.all(value[:3] > 0) and np.allclose(value[3:], 0, atol=1e-10)


def test_blup_is_the_conditional_expectation():
    rng = np.random.default_rng(7)
    components, lam = rng.normal(size=(3, 12)), np.array([4.0, 2.0, 0.5])
    noise = rng.uniform(0.1, 1, 12)
    model = ScoreModel(components, lam, np.ones(12), noise)
    x = rng.normal(size=(4, 12))
    x[1, :5] = np.nan
    x[2, 3:] = np.nan
    x[3] = np.nan
    scores = model.score(x, "blup")
    C = (components.T * lam) @ components + np.diag(noise)
    for row in range(3):
        seen = np.isfinite(x[row])
        cross = (lam[:, None] * components)[:, seen]
        exact = cross @ np.linalg.solve(C[np.ix_(seen, seen)], x[row, seen])
        np.testing.assert_allclose(scores[row], exact, rtol=1e-9)
        posterior = np.diag(lam) - cross @ np.linalg.solve(C[np.ix_(seen, seen)], cross.T)
        np.testing.assert_allclose(model.covariance(seen), posterior, atol=1e-10)
    assert np.all(scores[3] == 0)
    least = model.score(x[:1], "lstsq")[0]
    np.testing.assert_allclose(least, np.linalg.lstsq(components.T, x[0], rcond=None)[0], rtol=1e-9)


def test_varimax_and_promax():
    rng = np.random.default_rng(8)
    simple = np.zeros((30, 3))
    for k in range(3):
        simple[10 * k : 10 * k + 10, k] = rng.uniform(0.5, 1, 10)
    mixing = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned, rotation = varimax(simple @ mixing)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-10)
    match = np.abs(turned.T @ simple)
    assert np.all(match.max(axis=1) > 0.999 * np.sum(simple**2, axis=0)[match.argmax(axis=1)])
    oblique, matrix = promax(simple @ mixing)
    np.testing.assert_allclose(oblique, simple @ mixing @ matrix, atol=1e-12)


def test_angles_and_captured_variance():
    assert subspace_angle([[1, 0], [0, 1]], [[0.6, 0.8], [1, 0]]) == pytest.approx(0, abs=1e-5)
    assert subspace_angle([[1.0, 0]], [[1, 1.0]], weights=[1, 3]) == pytest.approx(60)
    C = np.diag([4.0, 2, 1])
    assert captured_variance(np.eye(3)[:2], C) == pytest.approx(1)
    assert captured_variance(np.eye(3)[1:], C, relative=False) == pytest.approx(3)
    with pytest.raises(ValueError, match="locations"):
        subspace_angle([[1, 0]], [[1, 0, 0]])
    with pytest.raises(ValueError, match="weights"):
        subspace_angle([[1, 0]], [[1, 0]], weights=[1])
