"""The shipped fields and the simulator of random fields."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from statkit.datasets import (
    load_north_america_air_temperature,
    load_ozone_midwest,
    make_random_field,
    registry,
)
from statkit.decomposition import icosphere, karhunen_loeve


def test_air_temperature():
    data = load_north_america_air_temperature()
    assert data.data.shape == (240, 37, 49) and data.data.dtype == np.float32
    assert (data.year[0], data.year[-1]) == (1860, 2099) and 200 < data.data.mean() < 300
    assert data.latitude[[0, -1]].tolist() == [15, 60] and data.longitude[[0, -1]].tolist() == [225, 315]
    assert "Open Government Licence" in data.DESCR
    other = load_north_america_air_temperature("E1")
    assert np.array_equal(data.data[:140], other.data[:140]) and not np.array_equal(data.data, other.data)
    flat = load_north_america_air_temperature(detrend=True)
    time = np.linspace(-1, 1, 240)
    for power in range(4):
        assert np.abs(np.tensordot(time**power, flat.data, 1)).max() < 1e-2
    frame = load_north_america_air_temperature(as_frame=True).frame
    assert frame.shape == (240, 37 * 49) and frame.columns.names == ["latitude", "longitude"]
    with pytest.raises(ValueError, match="A1B or E1"):
        load_north_america_air_temperature("B1")


def test_ozone_in_the_source_tree():
    if not (registry.files_root() / "schrodinger_pca" / "ozone_midwest").is_dir():
        pytest.skip("an installed package does not have it")
    data = load_ozone_midwest()
    assert data.data.shape == (89, 153) and data.coordinates.shape == (153, 2)
    assert np.isnan(data.data).mean() == pytest.approx(0.036, abs=0.001)
    assert np.all((data.coordinates[:, 0] < -80) & (data.coordinates[:, 1] > 36))
    frame = load_ozone_midwest(as_frame=True)
    assert list(frame.data.columns) == list(frame.coordinates.index) == data.station
    assert "GNU General Public License" in data.DESCR


def test_ozone_of_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "_files" / "schrodinger_pca").mkdir(parents=True)
    monkeypatch.setattr(registry, "files_root", lambda: tmp_path / "_files")
    for read in (load_ozone_midwest, lambda: registry.description_of("ozone_midwest")):
        with pytest.raises(FileNotFoundError, match="source tree; clone the repository"):
            read()


@pytest.mark.parametrize(
    ("kwargs", "ell"),
    [
        ({"shape": (5, 6)}, 2.0),
        ({"shape": (30,), "coordinates": (np.cumsum(np.linspace(0.5, 1.5, 30)),)}, 3.0),
        ({"coordinates": np.random.default_rng(0).random((25, 2))}, [[0.09, 0.02], [0.02, 0.05]]),
        ({"coordinates": np.random.default_rng(0).random((25, 2)) * 50, "metric": "sphere"}, 0.4),
        ({"mesh": icosphere(0), "metric": "sphere"}, 0.8),
        (
            {
                "shape": (5, 5),
                "coordinates": (np.arange(0, 50, 10.0), np.arange(0, 50, 10.0)),
                "metric": "latlon",
            },
            0.3,
        ),
        ({"graph": np.diag(np.ones(11), 1) + np.diag(np.ones(11), -1)}, 1.0),
    ],
)
@pytest.mark.parametrize("kernel", ["gaussian", "matern32"])
def test_simulated_covariance(kwargs, ell, kernel):
    if "graph" in kwargs and kernel != "gaussian":
        return
    p = make_random_field(1, correlation_length=ell, kernel=kernel, **kwargs).data.shape[1]
    variance = np.linspace(0.5, 2, p)
    n = 6_000
    X = make_random_field(
        n, correlation_length=ell, kernel=kernel, variance=variance, random_state=0, **kwargs
    ).data
    exact = karhunen_loeve(
        kernel, ell, variance, n_components=p, weights=np.ones(p), method="dense", **kwargs
    )
    C = (exact.components.T * exact.eigenvalues) @ exact.components
    S = X.T @ X / n
    se = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / n)
    assert np.abs((S - C) / se).max() < 5


def test_random_waves_where_there_are_many_locations():
    points = np.random.default_rng(0).random((4_100, 2))
    X = make_random_field(
        12, coordinates=points, correlation_length=0.05, kernel="matern52", random_state=0
    ).data
    other = cKDTree(points).query(points + [0.05, 0])[1]
    r = np.linalg.norm(points - points[other], axis=1) / 0.05
    near = np.abs(r - 1) < 0.2
    x = np.sqrt(5) * r[near]
    expected = np.mean((1 + x + x**2 / 3) * np.exp(-x))
    # Some 400 patches a sample, twelve samples.
    assert np.mean(X[:, near] * X[:, other[near]]) == pytest.approx(expected, abs=0.08)
    assert np.mean(X**2) == pytest.approx(1, abs=0.08)


def test_nugget_missing_and_bad_input():
    field = make_random_field(
        2_000, shape=(40,), correlation_length=3.0, nugget=0.5, missing=0.1, random_state=0
    )
    assert np.isnan(field.data).mean() == pytest.approx(0.1, abs=0.01)
    r = np.nanmean(field.data[:, 0] * field.data[:, 1])
    assert r == pytest.approx(0.5 * np.exp(-1 / 18), abs=0.08)
    same = make_random_field(
        2_000, shape=(40,), correlation_length=3.0, nugget=0.5, missing=0.1, random_state=0
    )
    assert np.array_equal(field.data, same.data, equal_nan=True)
    for kwargs, message in (
        ({"n_samples": 0, "shape": (4,)}, "n_samples"),
        ({"shape": (4,), "nugget": 1.0}, "nugget"),
        ({}, "how many locations"),
    ):
        with pytest.raises(ValueError, match=message):
            make_random_field(**kwargs)
