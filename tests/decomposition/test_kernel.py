"""Correlation kernels: mass, second moment and extrapolation length, by quadrature and known constants."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import zeta

from statkit.decomposition.fields.kernel import Kernel

KERNELS = ["gaussian", "exponential", "whittle", "matern32", "matern52", ("matern", 0.8)]


@pytest.mark.parametrize("name", KERNELS, ids=str)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_mass_and_second_moment_are_integrals_of_the_correlation(name, d):
    kernel = Kernel.of(name)
    area = {1: 2.0, 2: 2 * np.pi, 3: 4 * np.pi}[d]
    mass = quad(lambda r: area * r ** (d - 1) * kernel.correlation(r), 0, 60, limit=200)[0]
    second = quad(lambda r: area * r ** (d + 1) * kernel.correlation(r), 0, 80, limit=200)[0] / mass / d
    assert kernel.mass(d) == pytest.approx(mass, rel=1e-6)
    assert kernel.stretch(d) == pytest.approx(second, rel=1e-6)


def test_general_matern_continues_the_closed_forms():
    r = np.linspace(0, 5, 50)
    for nu, name in ((0.5, "exponential"), (1.5, "matern32"), (2.5, "matern52")):
        near = Kernel.of(("matern", nu + 1e-9)).correlation(r)
        np.testing.assert_allclose(near, Kernel.of(name).correlation(r), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "d", "in_lengths"),
    [
        ("gaussian", 1, -zeta(0.5) / np.sqrt(2 * np.pi)),
        ("gaussian", 3, 0.5825971579),
        ("exponential", 1, 1.0),
        ("matern32", 1, 0.74645),
        ("matern32", 2, 0.81837),
    ],
)
def test_extrapolation_length(name, d, in_lengths):
    kernel = Kernel.of(name)
    assert kernel.extrapolation(d) * np.sqrt(kernel.stretch(d)) == pytest.approx(in_lengths, abs=1e-5)


@pytest.mark.parametrize(
    ("alpha", "value"),
    [(1, 0.70711), (1.5, 0.66705), (2, 0.64645), (2.5, 0.63391), (3, 0.62548), (4, 0.61487)],
)
def test_extrapolation_length_of_matern_by_order(alpha, value):
    assert Kernel.of(("matern", alpha - 0.5)).extrapolation(1) == pytest.approx(value, abs=1e-5)
    if alpha > 1:
        assert Kernel.of(("matern", alpha - 1.0)).extrapolation(2) == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("name", ["cubic", ("matern", 0), ("matern",), 3])
def test_unknown_kernels_are_refused(name):
    with pytest.raises(ValueError, match="kernel must be one of gaussian"):
        Kernel.of(name)
