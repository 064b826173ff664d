"""Tweedie family: variance a power of the mean; with a power in (1, 2) responses are zero or positive."""

import math

import numpy as np
from numba import njit

from ._special import KERNEL, NO_WEIGHT, TILE, clip, exp, scale_rows, total
from .base import Family


@njit(**KERNEL)
def _log(eta, y, weight, power, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    # both powers of the mean have to be finite, and keep their order
    limit = 700.0 / max(1.0, power - 1.0)
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            e = clip(et[i], -limit, limit)
            rt[i] = exp((1.0 - power) * e)
            wt[i] = exp((2.0 - power) * e)
        for i in range(m):
            a = yt[i] * rt[i]
            t[i] = a / (power - 1.0) + wt[i] / (2.0 - power)
            rt[i] = a - wt[i]
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


class Tweedie(Family):
    """Response whose variance is proportional to a power of the mean; the dispersion is estimated.

    With a power between 1 and 2 it is a Poisson sum of gamma amounts, zero with positive probability, as
    insurance claims and rainfall are.

    Parameters
    ----------
    power : float, default=1.5
        Power of the variance function, in (1, 2) or above 2. (1 is `Poisson`, 2 `Gamma`, 3 is also
        `InverseGaussian`.)
    link : {"log"} or None, default=None
        Link function.

    Notes
    -----
    The density is an infinite series; the log-likelihood, and with it AIC and BIC, is NaN, as in statsmodels.

    References
    ----------
    B. Jørgensen (1987), Exponential dispersion models.

    Examples
    --------
    >>> from statkit.families import Tweedie
    >>> Tweedie(power=1.7)
    Tweedie(power=1.7)
    """

    name = "tweedie"
    links = ("log",)
    dispersion = "pearson"

    def __init__(self, power=1.5, link=None):
        self._set(power=power, link=link)

    def _set(self, **parameters):
        power = parameters["power"]
        if not (power > 1.0 and power != 2.0 and math.isfinite(power)):
            raise ValueError(
                f"power of Tweedie has to be above 1 and not 2, got {power!r}; 1 is Poisson and 2 is Gamma"
            )
        super()._set(**parameters)
        self.power = float(power)

    @property
    def support(self):
        return "y >= 0" if self.power < 2.0 else "y > 0"

    def link(self, eta, y, weight, shape, context, r, w):
        return _log(eta, y, NO_WEIGHT if weight is None else weight, self.power, r, w)

    def variance(self, mu, shape=None):
        return np.power(mu, self.power)

    def _variance_derivative(self, mu, shape=None):
        return self.power * np.power(mu, self.power - 1.0)

    def weight_derivative(self, eta, shape=None):
        k = 2.0 - self.power
        return k * np.exp(np.clip(k * np.asarray(eta, dtype=float), -700.0, 700.0))

    def unit_deviance(self, y, mu, shape=None):
        p, y = self.power, np.asarray(y, dtype=float)
        own = np.power(y, 2.0 - p) / ((1.0 - p) * (2.0 - p))
        return 2.0 * (own - y * np.power(mu, 1.0 - p) / (1.0 - p) + np.power(mu, 2.0 - p) / (2.0 - p))

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """NaN: the density has no closed form."""
        return math.nan

    def start(self, y, weight=None):
        return np.log(np.asarray(y, dtype=float) + 0.1)

    def _supports(self, y):
        return y >= 0.0 if self.power < 2.0 else y > 0.0
