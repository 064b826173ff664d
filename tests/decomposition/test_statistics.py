"""What few samples give: captured variance on the disc, and held-out variance on a climate model."""

import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA

from statkit.datasets import load_north_america_air_temperature, make_random_field
from statkit.decomposition import SchrodingerPCA, karhunen_loeve

G = np.arange(-50, 51.0)
DISC = np.maximum(1 - (G[:, None] ** 2 + G**2) / 1600, 0).ravel()
ELL = np.sqrt(18)


def test_twenty_samples_on_the_disc():
    exact = karhunen_loeve("gaussian", ELL, DISC, shape=(101, 101), n_components=120)
    best = exact.eigenvalues[:10].sum()

    def captured(modes):
        inside = exact.components @ np.linalg.qr(modes.T)[0]
        return np.sum(exact.eigenvalues[:, None] * inside**2) / best

    X = make_random_field(20, shape=(101, 101), correlation_length=ELL, variance=DISC, random_state=0).data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        pure = SchrodingerPCA(
            10, shape=(101, 101), shrinkage=1.0, variance_smoothing="cv", random_state=0
        ).fit(X)
        shrunk = SchrodingerPCA(10, shape=(101, 101), random_state=0).fit(X)
    assert pure.correlation_length_ == pytest.approx(ELL, rel=0.05)
    assert captured(pure.components_) > 0.96
    assert captured(shrunk.components_) > 0.85  # its weight is an estimate from twenty samples
    assert captured(PCA(10, random_state=0).fit(X).components_) < 0.6


TABLE = {  # held-out share of the variance of 3, 5, 10, 20 modes
    10: {"pca": [0.45, 0.53], "log": [0.48, 0.59, 0.75, 0.84], "auto": [0.49, 0.61, 0.75, 0.84]},
    20: {"pca": [0.48, 0.60, 0.70, 0.75], "log": [0.46, 0.60, 0.75, 0.84], "auto": [0.51, 0.63, 0.77, 0.85]},
    40: {"pca": [0.53, 0.64, 0.75, 0.82], "log": [0.48, 0.60, 0.76, 0.84], "auto": [0.53, 0.66, 0.78, 0.86]},
}


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 20, 40])
def test_climate_table(n):
    data = load_north_america_air_temperature(detrend=True)
    X = data.data.reshape(240, -1).astype(float)
    root = np.sqrt(np.cos(np.deg2rad(np.repeat(data.latitude, 49))))
    found = {}
    for name, shrinkage in (("pca", 0.0), ("log", 1.0), ("auto", "auto")):
        made = []
        for seed in range(6):
            order = np.random.default_rng(seed).permutation(240)
            model = SchrodingerPCA(
                20,
                shape=(37, 49),
                coordinates=(data.latitude, data.longitude),
                metric="latlon",
                radius=6371.0,
                nugget="fit",
                shrinkage=shrinkage,
                random_state=0,
            ).fit(X[order[:n]])
            rest = (X[order[n:]] - model.mean_) * root
            made.append(
                [
                    np.sum((rest @ np.linalg.qr((model.components_[:k] * root).T)[0]) ** 2) / np.sum(rest**2)
                    for k in (3, 5, 10, 20)
                ]
            )
        found[name] = np.mean(made, axis=0)
        expected = TABLE[n][name]
        # Six splits of 240 years leave a Monte Carlo error of about 0.01.
        np.testing.assert_allclose(found[name][: len(expected)], expected, atol=0.035)
    if n >= 20:
        assert np.all(found["auto"] >= np.maximum(found["pca"], found["log"]) - 0.01)
