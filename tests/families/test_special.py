"""The scalar functions of the kernels against scipy, through compiled loops."""

import numpy as np
import pytest
from numba import njit
from scipy import special

from statkit.families import _special


def _loop(function):
    @njit(error_model="numpy", fastmath={"contract"})
    def loop(x):
        out = np.empty_like(x)
        for i in range(x.shape[0]):
            out[i] = function(x[i])
        return out

    return loop


def _grid(low, high, n=20_001):
    return np.exp(np.linspace(np.log(low), np.log(high), n))


def _mills(x):
    return np.sqrt(np.pi / 2) * special.erfcx(x / np.sqrt(2))


both_signs = np.concatenate([-_grid(1e-12, 700.0), _grid(1e-12, 700.0)])


@pytest.mark.parametrize(
    ("name", "oracle", "x", "rtol"),
    [
        ("exp", np.exp, both_signs, 4e-16),
        ("expm1", np.expm1, both_signs, 5e-16),
        ("log", np.log, _grid(1e-300, 1e300), 4e-16),
        ("log", np.log, np.linspace(0.5, 2.0, 20_001), 4e-16),
        ("log1p", np.log1p, _grid(1e-300, 1e300), 4e-16),
        ("log1p", np.log1p, -_grid(1e-18, 0.5), 5e-16),
        ("mills", _mills, _grid(1e-12, 1e15), 3e-15),
        ("trigamma", lambda x: special.polygamma(1, x), _grid(1e-6, 1e12), 2e-14),
    ],
)
def test_relative_error(name, oracle, x, rtol):
    np.testing.assert_allclose(_loop(getattr(_special, name))(x), oracle(x), rtol=rtol, atol=0)


def test_digamma():
    x = _grid(1e-6, 1e12)
    # relative near its poles and at infinity, absolute near its zero at 1.46
    np.testing.assert_allclose(_loop(_special.digamma)(x), special.digamma(x), rtol=1e-13, atol=1e-14)


def test_log_normal_tail():
    """log Φ from the Mills ratio, far beyond where Φ underflows."""
    x = np.concatenate([np.linspace(0, 60, 6001), _grid(60, 1e6)])
    ratio = _loop(_special.mills)(x)
    got = -0.5 * x * x - _special.LOG_SQRT_2PI + np.log(ratio)
    np.testing.assert_allclose(got, special.log_ndtr(-x), rtol=1e-14)


def test_edges():
    x = np.array([0.0, np.inf, -1.0, np.nan])
    np.testing.assert_array_equal(_loop(_special.log)(x), [-np.inf, np.inf, np.nan, np.nan])
    for name in ("exp", "expm1", "log1p", "mills"):
        assert np.isnan(_loop(getattr(_special, name))(np.array([np.nan])))[0], name


def test_total_keeps_nan_and_infinity():
    x = np.ones(1001)
    assert _total(x) == 1001.0
    x[500] = np.inf
    assert _total(x) == np.inf
    x[700] = np.nan
    assert np.isnan(_total(x))


@njit
def _total(x):
    return _special.total(x)
