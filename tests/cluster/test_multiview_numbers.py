"""Worked numbers of the multi-view methods, from the authors' programs and independent reconstructions."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from statkit.cluster import (
    LocalSampleWeightedMKC,
    MultipleKernelKMeans,
    OneStepMultiViewClustering,
    kernel_stack,
)

AS_GIVEN = {"kernel": "precomputed", "center": False, "normalize": False}


@pytest.fixture(scope="module")
def toy():
    """Kernels of six points on two lines."""
    x = np.array([0.0, 0.1, 0.2, 1.0, 1.1, 1.2])
    y = np.array([0.0, 1.0, 0.1, 1.1, 0.2, 1.2])
    return np.stack([np.exp(-((a[:, None] - a) ** 2) / 0.5) for a in (x, y)])


@pytest.fixture(scope="module")
def iris():
    X = load_iris().data
    return {"sepal": X[:, :2], "petal": X[:, 2:]}


def test_local_sample_weighted_toy(toy):
    fit = LocalSampleWeightedMKC(
        2, alpha=1, n_neighbors=2, stopping="reference", random_state=0, **AS_GIVEN
    ).fit(toy)
    np.testing.assert_allclose(fit.objective_path_[:3], [-4.38212358, -4.64665797, -4.66629336], atol=1e-8)
    assert fit.objective_path_[-1] == pytest.approx(-4.73387993, abs=1e-8)
    np.testing.assert_allclose(fit.kernel_weights_, [0.87179664, 0.48986796], atol=1e-8)
    gamma = [0.35170538, 0.04423902, 0.25640316]
    np.testing.assert_allclose(fit.sample_reg_, gamma + gamma[::-1], atol=1e-8)
    np.testing.assert_allclose(fit.affinity_[0], [0, 0.398931, 0.556662, 0, 0.044407, 0], atol=1e-6)
    np.testing.assert_allclose(fit.consensus_kernel_[0, [0, 1, 3]], [0.333456, 0.304216, 0.010938], atol=1e-6)


@pytest.mark.parametrize(
    "alpha, first, last, weights, norm, trace",
    [
        (1, -187.36966161, -188.56330067, [0.69011832, 0.72369656], 3.74270108, 18.99038117),
        (8, -148.42923099, -175.59561271, [0.66342816, 0.74823999], 2.89353503, 10.82731657),
        (64, 156.99229856, -149.9920274, [0.61051189, 0.79200709], 2.11636305, 5.96702426),
    ],
)
def test_local_sample_weighted_iris(iris, alpha, first, last, weights, norm, trace):
    fit = LocalSampleWeightedMKC(3, alpha=alpha, stopping="reference", random_state=0).fit(iris)
    assert fit.n_iter_ == 20
    np.testing.assert_allclose(fit.objective_path_[[0, -1]], [first, last], rtol=1e-6)
    np.testing.assert_allclose(fit.kernel_weights_, weights, rtol=1e-6)
    assert np.linalg.norm(fit.consensus_kernel_) == pytest.approx(norm, rel=1e-6)
    assert np.trace(fit.consensus_kernel_) == pytest.approx(trace, rel=1e-6)
    assert fit.sample_reg_.sum() == pytest.approx(22.72155775, rel=1e-6)


def test_kernels_iris(iris):
    raw = kernel_stack(iris, center=False, normalize=False)
    assert raw[0, 0, 1] == pytest.approx(0.70760263, abs=1e-8)
    assert raw[1, 0, 50] == pytest.approx(0.22240063, abs=1e-8)
    K = kernel_stack(iris)
    assert K[0, 0, 1] == pytest.approx(0.39241633, abs=1e-8)
    assert K[1, 0, 50] == pytest.approx(-0.83118761, abs=1e-8)
    np.testing.assert_allclose([np.linalg.norm(k) for k in K], [77.24074122, 108.60793935], atol=1e-7)
    assert (K[0] * K[1]).sum() == pytest.approx(5868.49505462, rel=1e-10)
    top = np.linalg.eigvalsh(K.mean(axis=0))[:-4:-1]
    np.testing.assert_allclose(top, [78.08937279, 31.784054, 11.27662061], rtol=1e-8)


@pytest.mark.parametrize(
    "weighting, reg, weights, objective",
    [
        ("mkkm", 1, [0.94124678, 0.05875322], 0.133288832),
        ("simple", 1, [0.49946926, 0.50053074], 2.5390449085812925),
        ("mr", 0.1, [0.86077911, 0.13922089], 0.96274331),
    ],
)
def test_multiple_kernel_toy(toy, weighting, reg, weights, objective):
    fit = MultipleKernelKMeans(2, weighting=weighting, reg=reg, random_state=0, **AS_GIVEN).fit(toy)
    np.testing.assert_allclose(fit.kernel_weights_, weights, atol=2e-8)
    assert fit.objective_ == pytest.approx(objective, rel=1e-8)


@pytest.mark.parametrize(
    "weighting, options, weights, objective, tolerance",
    [
        ("mkkm", {}, [0.05976982, 0.94023018], 4.798873295, 1e-7),
        ("mr", {"reg": 0.01}, [0.70552626, 0.29447374], 49.80854993, 2e-5),
        ("mr", {"reg": 1}, [0.97520248, 0.02479752], 3008.94775947, 1e-7),
        ("simple", {}, [0.53089926, 0.46910074], 60.23832259, 1e-7),
        ("simple", {"neighborhood": 0.1}, [0.52100538, 0.47899462], 342.59339653, 1e-3),
    ],
)
def test_multiple_kernel_iris(iris, weighting, options, weights, objective, tolerance):
    fit = MultipleKernelKMeans(3, weighting=weighting, random_state=0, **options).fit(iris)
    np.testing.assert_allclose(fit.kernel_weights_, weights, atol=tolerance)
    assert fit.objective_ == pytest.approx(objective, rel=max(1e-9, tolerance / 100))
    assert fit.converged_


@pytest.mark.parametrize(
    "rule, path",
    [
        ("equal", [382.14626646, 255.00868005, 240.46731394, 236.30319958, 234.83006666, 234.11123609]),
        ("reference", [381.36915383, 254.15009459, 239.68800578, 235.41662575, 233.93375622, 233.19657932]),
        ("exact", [381.12971123, 253.93123477, 239.62322864, 235.89893176, 234.4189195, 233.67926269]),
    ],
)
def test_one_step_digits(rule, path):
    I = load_digits().images[::3]
    n = len(I)
    blocks = I.reshape(n, 4, 2, 4, 2).sum(axis=(2, 4)).reshape(n, -1)
    views = [
        I.reshape(n, -1),
        np.abs(np.fft.rfft2(I)).reshape(n, -1),
        np.hstack([I.sum(axis=1), I.sum(axis=2), blocks]),
    ]
    scaled = []
    for X in views:
        spread = X.std(axis=0, ddof=1)
        spread[spread == 0] = np.inf
        scaled.append((X - X.mean(axis=0)) / spread / np.sqrt(X.shape[1]))
    fit = OneStepMultiViewClustering(
        10, scale=None, init=np.arange(n) % 10, latent_weights=rule, max_iter=6, tol=0
    ).fit(scaled)
    np.testing.assert_allclose(fit.objective_path_[:3], path[:3], rtol=1e-8)
    np.testing.assert_allclose(fit.objective_path_, path, rtol=1e-4)
    paper = OneStepMultiViewClustering(
        10, scale=None, init=np.arange(n) % 10, latent_weights=rule, max_iter=2, tol=0,
        reg=0.1 * 3 * 10 / 599, reg_scale="none",
    ).fit(scaled)  # fmt: skip
    np.testing.assert_allclose(paper.objective_path_, path[:2], rtol=1e-8)
