"""The law of a mean studentised by its own path: t-values of averaged stochastic gradients.

With a Brownian motion W and its bridge B(r) = W(r) − r W(1), which is independent of W(1), random scaling compares
the estimate to T = W(1) / √∫B². Given the integral, T is normal; Craig's form of the normal tail and the Laplace
transform of ∫B² (the law of Cramér and von Mises) leave one integral of a smooth function.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import optimize

__all__ = ["ppf", "sf", "wald_ppf", "wald_sf"]

_NODES = 400
# Beyond this exponent what is left of the integral is below the last bit.
_FAR = 80.0
_SERIES = 100
_DRAWS, _REPEATS = 40_000, 5
_SEED = 20_210_603


def sf(t):
    """Probability that \\|T\\| exceeds \\|t\\|: two-sided p-values under random scaling.

    Parameters
    ----------
    t : float or array
        Estimate minus hypothesis, over its random-scaling standard error.

    Returns
    -------
    p : float or ndarray of the same shape

    Examples
    --------
    >>> from statkit.inference import random_scaling
    >>> round(random_scaling.sf(6.747302), 6)
    0.05

    References
    ----------
    S. Lee, Y. Liao, M. H. Seo and Y. Shin (2022), Fast and robust online inference with stochastic gradient descent
    via random scaling.
    """
    c = np.abs(np.asarray(t, dtype=float))
    out = np.empty(c.shape)
    for at, value in np.ndenumerate(c):
        out[at] = _tail(float(value))
    return float(out) if out.ndim == 0 else out


def _tail(c: float) -> float:
    if np.isnan(c):
        return np.nan
    if c == 0.0 or np.isinf(c):
        return float(c == 0.0)
    # (2/π) ∫₀^{π/2} √(z / sinh z) dθ with z = c / sin θ; 1 / sin θ = cosh s makes it an even analytic function of s
    # on the whole line, for which equal steps converge faster than any power.
    reach = min(np.arccosh(1.0 + 2.0 * _FAR / c), 46.0)
    s = np.linspace(0.0, reach, _NODES)
    z = c * np.cosh(s)
    ratio = np.where(z < 700.0, z / np.sinh(np.minimum(z, 700.0)), 0.0)
    log_ratio = np.where(z < 700.0, 0.0, np.log(2.0 * z) - z)
    value = np.where(z < 700.0, np.sqrt(ratio), np.exp(0.5 * log_ratio)) / np.cosh(s)
    value[0] *= 0.5
    return float(min(2.0 / np.pi * value.sum() * (s[1] - s[0]), 1.0))


def ppf(level):
    """Critical value: the c for which \\|T\\| stays below c with probability ``level``.

    Parameters
    ----------
    level : float or array, in [0, 1)
        Confidence level, for instance 0.95.

    Returns
    -------
    c : float or ndarray

    Examples
    --------
    >>> from statkit.inference import random_scaling
    >>> round(random_scaling.ppf(0.95), 6)
    6.747302
    """
    level = np.asarray(level, dtype=float)
    if not ((level >= 0) & (level < 1)).all():
        raise ValueError(f"a level lies in [0, 1), not {level!r}: 0.95 gives 95 % intervals")
    out = np.empty(level.shape)
    for at, value in np.ndenumerate(level):
        out[at] = _critical(float(value))
    return float(out) if out.ndim == 0 else out


@lru_cache(maxsize=256)
def _critical(level: float) -> float:
    if level == 0.0:
        return 0.0
    high = 4.0
    while _tail(high) > 1.0 - level:
        high *= 2.0
    return float(optimize.brentq(lambda c: np.log(_tail(c)) - np.log1p(-level), 1e-12, high, xtol=1e-13))


def wald_ppf(level, q):
    """Critical value of the joint test of ``q`` restrictions under random scaling.

    The statistic ``(R b − r)'(R V R')⁻¹(R b − r)`` follows W(1)'(∫BB')⁻¹W(1), with q independent motions. One
    restriction is exact, more are simulated once for every q from the series of the bridge.

    Parameters
    ----------
    level : float in [0, 1)
    q : int
        Number of restrictions.

    Returns
    -------
    c : float

    Examples
    --------
    >>> from statkit.inference import random_scaling
    >>> round(random_scaling.wald_ppf(0.95, 1), 3)
    45.526
    """
    if not 0 <= level < 1:
        raise ValueError(f"a level lies in [0, 1), not {level!r}: 0.95 gives a test at 5 %")
    q = _restrictions(q)
    return ppf(level) ** 2 if q == 1 else float(np.quantile(_draws(q), level))


def wald_sf(statistic, q):
    """p-value of the joint test of ``q`` restrictions; beyond the simulated draws, their smallest, 5e-6.

    Parameters
    ----------
    statistic : float
    q : int

    Returns
    -------
    p : float
    """
    q = _restrictions(q)
    if q == 1:
        return sf(np.sqrt(statistic))
    draws = _draws(q)
    return float((len(draws) - np.searchsorted(draws, statistic) + 1) / (len(draws) + 1))


def _restrictions(q) -> int:
    if q != int(q) or q < 1:
        raise ValueError(f"the number of restrictions must be an integer >= 1, not {q!r}")
    return int(q)


@lru_cache(maxsize=16)
def _draws(q: int) -> np.ndarray:
    """Sorted draws of the joint statistic. ∫BB' = Σ Z_k Z_k' / (πk)², the terms left out by their mean."""
    rng = np.random.default_rng([_SEED, q])
    k = np.arange(1, _SERIES + 1)
    rest = 1.0 / 6.0 - (1.0 / (np.pi * k) ** 2).sum()
    out = []
    for _ in range(0, _DRAWS, 2_000):
        Z = rng.standard_normal((2_000, q, _SERIES)) / (np.pi * k)
        S = Z @ Z.transpose(0, 2, 1) + rest * np.eye(q)
        W = rng.standard_normal((2_000, q, _REPEATS))
        out.append(np.einsum("iqr,iqr->ir", W, np.linalg.solve(S, W)).ravel())
    return np.sort(np.concatenate(out))
