"""Modes from moments: worked examples, closed forms, invariants."""

import warnings

import numpy as np
import pytest
from scipy.special import spherical_in

from statkit.decomposition import icosphere, karhunen_loeve, schrodinger_modes, subspace_angle


def test_five_cells():
    modes = schrodinger_modes([1, 2, 3, 2, 1], 1.0, boundary="neumann", n_components=5)
    np.testing.assert_allclose(
        modes.energies, [-0.71302651, -0.10581465, 0.30107507, 0.91266747, 1.12019197], atol=1e-8
    )
    np.testing.assert_allclose(
        modes.eigenvalues, [5.11391389, 2.78640765, 1.85496061, 1.00629077, 0.81770517], atol=1e-8
    )
    np.testing.assert_allclose(
        modes.components[0], [0.184545, 0.447716, 0.728688, 0.447716, 0.184545], atol=1e-6
    )


@pytest.mark.parametrize(("r", "k", "worst"), [(0.1, 6, 2.3e-4), (0.2, 6, 1.8e-3), (0.5, 6, 2.7e-2)])
def test_gaussian_amplitude_is_the_harmonic_oscillator(r, k, worst):
    x = np.linspace(-8, 8, 2001)
    h = x[1] - x[0]
    variance = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    modes = schrodinger_modes(variance, r, shape=(len(x),), coordinates=(x,), n_components=k, weights="area")
    order = np.arange(k)
    np.testing.assert_allclose(modes.eigenvalues, r * np.exp(-r * (order + 0.5)), rtol=2e-4)
    exact = r * np.exp(-2 * np.arcsinh(r / 2)) ** (order + 0.5)
    assert np.abs(modes.eigenvalues / exact - 1).max() < 1.3 * worst
    # The exact modes are Hermite functions of a slightly different width.
    c = r / 2 * np.sqrt(1 + r**2 / 4) / r**2
    hermite = np.stack([np.polynomial.hermite.hermval(np.sqrt(2 * c) * x, np.eye(k)[i]) for i in order])
    hermite = hermite * np.exp(-c * x**2)
    assert subspace_angle(modes.components, hermite) < 1.3 * {0.1: 0.11, 0.2: 0.46, 0.5: 2.8}[r]
    assert np.sum(modes.components[0] ** 2) * h == pytest.approx(1)


def test_worked_digits_of_the_oscillator():
    x = np.linspace(-8, 8, 4001)
    variance = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    modes = schrodinger_modes(
        variance, 0.2, shape=(len(x),), coordinates=(x,), n_components=3, weights="area"
    )
    np.testing.assert_allclose(modes.eigenvalues, [0.1809675, 0.1481636, 0.1213061], rtol=2e-5)
    b = np.exp(-2 * np.arcsinh(0.1))
    np.testing.assert_allclose(0.2 * b ** (np.arange(3) + 0.5), [0.1809975, 0.1482374, 0.1214068], atol=5e-8)


def test_sphere_of_constant_variance():
    ell = 0.2
    modes = schrodinger_modes(1.0, ell, mesh=icosphere(5), metric="sphere", weights="area", n_components=25)
    kappa = 1 / ell**2
    # 4 π e^-κ i_l(κ), by the scaled Bessel function to keep e^κ out.
    from scipy.special import ive

    level = np.array([4 * np.pi * np.sqrt(np.pi / (2 * kappa)) * ive(n + 0.5, kappa) for n in range(5)])
    np.testing.assert_allclose(level, [0.25133, 0.24127, 0.22237, 0.19680, 0.16727], atol=1e-5)
    assert level[1] / level[0] == pytest.approx(spherical_in(1, kappa) / spherical_in(0, kappa))
    error = np.abs(modes.eigenvalues / np.repeat(level, 2 * np.arange(5) + 1) - 1)
    for degree, limit in enumerate([1e-3, 0.0008, 0.0024, 0.0048, 0.0078]):
        assert error[degree**2 : (degree + 1) ** 2].max() < 1.3 * limit


def test_latitude_longitude_grid_is_the_sphere():
    latitude, longitude = np.arange(-88.5, 90, 3.0), np.arange(0, 360, 3.0)
    modes = schrodinger_modes(
        1.0,
        0.3,
        shape=(60, 120),
        coordinates=(latitude, longitude),
        metric="latlon",
        weights="area",
        n_components=16,
    )
    from scipy.special import ive

    kappa = 1 / 0.3**2
    level = np.array([4 * np.pi * np.sqrt(np.pi / (2 * kappa)) * ive(n + 0.5, kappa) for n in range(4)])
    np.testing.assert_allclose(modes.eigenvalues, np.repeat(level, [1, 3, 5, 7]), rtol=0.03)


def test_parabolic_well():
    # A² = 1 - r²/R²: in the plane the quadratic operator is an oscillator of energy -1 + ω (1 + n).
    g = np.arange(-50, 51.0)
    variance = np.maximum(1 - (g[:, None] ** 2 + g**2) / 1600, 0).ravel()
    modes = schrodinger_modes(variance, 3.0, shape=(101, 101), operator="quadratic", n_components=3)
    omega = np.sqrt(2) * 3 / 40
    assert omega == pytest.approx(0.10607, abs=1e-5)
    np.testing.assert_allclose(modes.energies, -1 + omega * np.array([1, 2, 2]), atol=0.015)


@pytest.mark.parametrize("variance", ["flat", "wavy"])
def test_exponential_kernel_on_an_interval_is_exact_by_the_resolvent(variance):
    n = 1000
    x = (np.arange(n) + 0.5) / n
    A2 = np.ones(n) if variance == "flat" else (1 + 0.6 * np.sin(2 * np.pi * x)) ** 2
    args = {"shape": (n,), "coordinates": (x,), "n_components": 5}
    modes = schrodinger_modes(A2, 0.1, kernel="exponential", operator="resolvent", **args)
    exact = karhunen_loeve("exponential", 0.1, A2, method="dense", **args)
    np.testing.assert_allclose(modes.eigenvalues, exact.eigenvalues, rtol=4e-4)
    assert subspace_angle(modes.components, exact.components) < 0.01


def test_resolvent_needs_an_integer_order():
    with pytest.raises(ValueError, match=r"integer nu \+ d/2.*n_refine"):
        schrodinger_modes(1.0, 2.0, shape=(5, 5), kernel="matern32", operator="resolvent")
    with pytest.raises(ValueError, match="integer"):
        schrodinger_modes(1.0, 2.0, shape=(5,), operator="resolvent")


def base(variance, ell=2.0, **kwargs):
    return schrodinger_modes(variance, ell, n_components=6, **kwargs)


def test_scaling_of_amplitude_and_of_coordinates():
    variance = np.random.default_rng(0).uniform(0.8, 1.2, 12 * 11)
    axes = (np.arange(12.0), np.arange(11.0))
    one = base(variance, 3.0, shape=(12, 11), coordinates=axes)
    louder = base(9 * variance, 3.0, shape=(12, 11), coordinates=axes)
    np.testing.assert_allclose(louder.eigenvalues, 9 * one.eigenvalues, rtol=1e-9)
    assert subspace_angle(louder.components, one.components) < 1e-4
    larger = base(variance, 15.0, shape=(12, 11), coordinates=(5 * axes[0], 5 * axes[1]), weights="area")
    area = base(variance, 3.0, shape=(12, 11), coordinates=axes, weights="area")
    np.testing.assert_allclose(larger.eigenvalues, 25 * area.eigenvalues, rtol=1e-9)
    np.testing.assert_allclose(larger.energies, one.energies, rtol=1e-9)


def test_permutation_and_rotation_of_scattered_locations():
    rng = np.random.default_rng(3)
    points, variance = rng.random((60, 2)), rng.uniform(0.9, 1.1, 60)
    one = base(variance, 0.3, coordinates=points, mesh="locations")
    order = rng.permutation(60)
    other = base(variance[order], 0.3, coordinates=points[order], mesh="locations")
    np.testing.assert_allclose(other.eigenvalues, one.eigenvalues, rtol=1e-8)
    np.testing.assert_allclose(np.abs(other.components[0]), np.abs(one.components[0, order]), atol=1e-7)
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    turned = base(variance, 0.3, coordinates=points @ turn, mesh="locations")
    np.testing.assert_allclose(turned.eigenvalues, one.eigenvalues, rtol=1e-6)


def test_modes_are_orthonormal_and_their_variances_do_not_exceed_the_total():
    variance = 1 + 0.5 * np.sin(np.arange(400) / 20)
    modes = schrodinger_modes(variance, 6.0, shape=(400,), n_components=390)
    inner = modes.components @ modes.components.T
    np.testing.assert_allclose(inner, np.eye(len(inner)), atol=1e-10)
    assert np.all(np.diff(modes.energies) >= 0) and np.all(modes.eigenvalues > 0)
    assert modes.eigenvalues.sum() <= 1.03 * variance.sum()


def test_north_to_south_axes_are_mirrored():
    variance = np.random.default_rng(0).uniform(0.5, 1.5, (9, 8))
    latitude, longitude = np.linspace(20, 60, 9), np.linspace(0, 70, 8)
    up = base(variance.ravel(), 0.4, shape=(9, 8), coordinates=(latitude, longitude), metric="latlon")
    down = base(
        variance[::-1].ravel(), 0.4, shape=(9, 8), coordinates=(latitude[::-1], longitude), metric="latlon"
    )
    np.testing.assert_allclose(down.eigenvalues, up.eigenvalues, rtol=1e-9)
    flipped = down.components[0].reshape(9, 8)[::-1].ravel()
    np.testing.assert_allclose(np.abs(flipped), np.abs(up.components[0]), atol=1e-7)
    place = np.array([[31.0, 22.0]])
    assert abs(down.at(place)[0, 0]) == pytest.approx(abs(up.at(place)[0, 0]), rel=1e-6)
    tensor = np.array([[4.0, 1.5], [1.5, 2.0]])
    one = base(np.ones(63), tensor, shape=(9, 7))
    two = base(np.ones(63), tensor, shape=(9, 7), coordinates=(-np.arange(9.0), np.arange(7.0)))
    mirrored = base(np.ones(63), tensor * [[1, -1], [-1, 1]], shape=(9, 7))
    assert not np.allclose(two.components[0], one.components[0], atol=1e-3)
    np.testing.assert_allclose(np.abs(two.components[0]), np.abs(mirrored.components[0]), atol=1e-2)


def test_graph_without_coupling_concentrates_where_the_variance_is_largest():
    import networkx

    graph = networkx.random_regular_graph(3, 20, seed=0)
    variance = np.arange(1.0, 21)
    modes = schrodinger_modes(variance, 1e-4, graph=graph, n_components=3)
    assert np.argmax(np.abs(modes.components), axis=1).tolist() == [19, 18, 17]
    np.testing.assert_allclose(modes.eigenvalues, [20, 19, 18], rtol=1e-6)


def test_masked_and_empty_cells():
    variance = np.ones((8, 8))
    variance[2:4, 2:4] = np.nan
    variance[6, 6] = 0
    modes = base(variance.ravel(), 2.0, shape=(8, 8))
    hidden = modes.components.reshape(-1, 8, 8)
    assert np.all(hidden[:, 2:4, 2:4] == 0) and np.all(hidden[:, 6, 6] == 0)
    whole = base(np.ones(64), 2.0, shape=(8, 8))
    assert modes.eigenvalues[0] < whole.eigenvalues[0]


def test_quadratic_drops_modes_of_negative_variance():
    with pytest.warns(UserWarning, match="negative variance"):
        modes = schrodinger_modes(np.ones(30), 8.0, shape=(30,), operator="quadratic", n_components=20)
    assert len(modes.components) < 20 and np.all(modes.eigenvalues > 0)


def test_warnings_of_unresolved_and_rough_fields():
    with pytest.warns(UserWarning, match="not resolved"):
        base(np.ones(20), 0.2, shape=(20,))
    rough = np.random.default_rng(0).uniform(0.01, 1, 40)
    with pytest.warns(UserWarning, match="changes faster"):
        base(rough, 6.0, shape=(40,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        base(np.ones(40), 6.0, shape=(40,))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"correlation_length": 0}, "positive"),
        ({"correlation_length": [[1.0, 2.0], [2.0, 1.0]]}, "positive definite"),
        ({"correlation_length": [[1.0, 0.2], [0.3, 1.0]]}, "not symmetric"),
        ({"correlation_length": np.ones(3)}, "shape"),
        ({"correlation_length": np.nan}, "NaN"),
        ({"variance": -np.ones(20)}, "location 0"),
        ({"variance": np.full(20, np.nan)}, "NaN at every"),
        ({"shape": (4, 4)}, "16 cells"),
        ({"shape": (4, 5), "graph": np.eye(20)}, "shape and graph"),
        ({"shape": (4, 5), "metric": "latlon"}, "latitude"),
        ({"shape": (4, 5), "coordinates": (np.arange(4), np.arange(4))}, r"coordinates\[1\] has 4"),
        ({"shape": (4, 5), "coordinates": (np.zeros(4), np.arange(5))}, "must increase"),
        ({"shape": None, "coordinates": np.zeros((19, 2))}, "19 rows"),
        ({"shape": None, "coordinates": np.zeros((20, 4))}, "4 dimensions"),
        ({"shape": None, "coordinates": np.full((20, 2), 95.0), "metric": "sphere"}, "latitude 95"),
        ({"boundary": "open"}, "boundary must be"),
        ({"operator": "cubic"}, "operator must be"),
        ({"weights": np.zeros(20)}, "positive"),
        ({"weights": np.ones(3)}, "20 locations"),
        ({"mesh": "fine"}, "mesh must be"),
        ({"resolution": 0.2}, "resolution"),
        ({"solver": "fft", "correlation_length": np.linspace(1, 2, 20)}, "equal cells"),
        ({"kernel": "cubic"}, "kernel"),
    ],
)
def test_bad_input(kwargs, message):
    arguments = {"variance": np.ones(20), "correlation_length": 2.0, "shape": (4, 5), **kwargs}
    with pytest.raises(ValueError, match=message):
        schrodinger_modes(arguments.pop("variance"), arguments.pop("correlation_length"), **arguments)
