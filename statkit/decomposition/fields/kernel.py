"""Correlation kernels: values, mass, second moment, Fourier symbol and boundary extrapolation length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import gammaln, kv

_SMOOTHNESS = {
    "gaussian": math.inf,
    "exponential": 0.5,
    "whittle": 1.0,
    "matern32": 1.5,
    "matern52": 2.5,
}


@dataclass(frozen=True)
class Kernel:
    """Matérn correlation of smoothness `nu`; the Gaussian is `nu` = infinity.

    Distances are in units of the correlation length: the Gaussian is exp(-r²/2), the Matérn has the argument
    sqrt(2 nu) r, so that every kernel with the same length looks alike near its centre.
    """

    nu: float
    name: str

    @classmethod
    def of(cls, kernel: str | tuple | Kernel) -> Kernel:
        """Read ``"gaussian"``, …, ``("matern", nu)``; a ``ValueError`` lists what there is."""
        if isinstance(kernel, Kernel):
            return kernel
        if isinstance(kernel, str) and kernel in _SMOOTHNESS:
            return cls(_SMOOTHNESS[kernel], kernel)
        if isinstance(kernel, tuple) and len(kernel) == 2 and kernel[0] == "matern" and float(kernel[1]) > 0:
            return cls(float(kernel[1]), f"matern({float(kernel[1]):g})")
        raise ValueError(f"kernel must be one of {', '.join(_SMOOTHNESS)} or ('matern', nu), got {kernel!r}")

    @property
    def gaussian(self) -> bool:
        return math.isinf(self.nu)

    def correlation(self, r) -> np.ndarray:
        """ρ(r) at distances in units of the correlation length."""
        r = np.asarray(r, dtype=float)
        if self.gaussian:
            return np.exp(-0.5 * r * r)
        x = math.sqrt(2 * self.nu) * r
        if self.nu == 0.5:
            return np.exp(-x)
        if self.nu == 1.5:
            return (1 + x) * np.exp(-x)
        if self.nu == 2.5:
            return (1 + x + x * x / 3) * np.exp(-x)
        x = np.maximum(x, 1e-8)
        log_scale = (1 - self.nu) * math.log(2) - gammaln(self.nu)
        with np.errstate(under="ignore"):
            return np.minimum(np.exp(log_scale + self.nu * np.log(x)) * kv(self.nu, x), 1.0)

    def mass(self, dimension: int) -> float:
        """∫ρ over R^d for correlation length 1."""
        d = dimension
        if self.gaussian:
            return (2 * math.pi) ** (d / 2)
        log_ratio = gammaln(self.nu + d / 2) - gammaln(self.nu)
        return (4 * math.pi / (2 * self.nu)) ** (d / 2) * math.exp(log_ratio)

    def stretch(self, dimension: int) -> float:
        """Second moment per axis, ∫ r_a² ρ / ∫ρ, for correlation length 1."""
        return 1.0 if self.gaussian else 1 + dimension / (2 * self.nu)

    def order(self, dimension: int) -> float:
        """Exponent α = nu + d/2 of the resolvent (1 + t / 2nu)^-α; infinite for the Gaussian."""
        return self.nu + dimension / 2

    def extrapolation(self, dimension: int) -> float:
        """Distance outside the domain where modes seem to vanish, in units of the root second moment.

        The constant of the half-space (Milne) problem for the kernel; 0.5826 for the Gaussian.
        """
        return _extrapolation(self.nu, dimension)

    def reach(self, tolerance: float = 1e-6) -> float:
        """Distance, in correlation lengths, beyond which the correlation is below `tolerance`."""
        return _reach(self, tolerance)


@lru_cache(maxsize=64)
def _extrapolation(nu: float, dimension: int) -> float:
    stretch = 1.0 if math.isinf(nu) else 1 + dimension / (2 * nu)

    def log_ratio(k: float) -> float:
        if math.isinf(nu):
            one_minus = -math.expm1(-0.5 * k * k)
        else:
            one_minus = -math.expm1(-(nu + dimension / 2) * math.log1p(k * k / (2 * nu)))
        return math.log(2 * one_minus / (stretch * k * k))

    near = quad(lambda k: log_ratio(max(k, 1e-3)) / max(k, 1e-3) ** 2, 0, 1, epsabs=1e-12, epsrel=1e-12)[0]
    far = quad(lambda u: log_ratio(1 / u), 0, 1, epsabs=1e-12, epsrel=1e-12, limit=200)[0]  # k = 1/u
    return -(near + far) / math.pi / math.sqrt(stretch)


@lru_cache(maxsize=64)
def _reach(kernel: Kernel, tolerance: float) -> float:
    high = 1.0
    while kernel.correlation(high) > tolerance:
        high *= 2
    return float(brentq(lambda r: float(kernel.correlation(r)) - tolerance, 0.0, high))
