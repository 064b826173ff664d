"""Gaussian family: least squares, with identity, log and inverse link."""

import math

import numpy as np
from numba import njit

from ._kernels import sum_log
from ._special import KERNEL, NO_WEIGHT, TILE, clip, exp, scale_rows, total
from .base import Family


@njit(**KERNEL)
def _identity(eta, y, weight, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            d = yt[i] - et[i]
            rt[i] = d
            t[i] = 0.5 * d * d
        wt[:] = 1.0
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _log(eta, y, weight, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            # the squared mean has to be finite as well
            wt[i] = exp(clip(et[i], -350.0, 350.0))
        for i in range(m):
            d = yt[i] - wt[i]
            t[i] = 0.5 * d * d
            rt[i] = d * wt[i]
        for i in range(m):
            wt[i] = wt[i] * wt[i]
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _inverse(eta, y, weight, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            # the fourth power of the mean has to be finite
            e = et[i]
            e = 1e-75 if 0.0 <= e < 1e-75 else e
            e = -1e-75 if -1e-75 < e < 0.0 else e
            wt[i] = 1.0 / e
        for i in range(m):
            d = yt[i] - wt[i]
            t[i] = 0.5 * d * d
            rt[i] = -d * wt[i] * wt[i]
        for i in range(m):
            wt[i] = (wt[i] * wt[i]) * (wt[i] * wt[i])
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


_LINK = {"identity": _identity, "log": _log, "inverse": _inverse}


class Gaussian(Family):
    """Normal response with constant variance; the dispersion is estimated.

    Parameters
    ----------
    link : {"identity", "log", "inverse"} or None, default=None
        Link function; None is the identity.

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models.

    Examples
    --------
    >>> from statkit.families import Gaussian
    >>> float(Gaussian(link="log").inverse_link(0.0))
    1.0
    """

    name = "gaussian"
    links = ("identity", "log", "inverse")
    canonical_link = "identity"
    dispersion = "pearson"
    support = "finite y"

    @property
    def solver(self):
        return "least_squares" if self.quadratic else "newton"

    @property
    def quadratic(self):
        return self.link_name == "identity"

    def link(self, eta, y, weight, shape, context, r, w):
        return _LINK[self.link_name](eta, y, NO_WEIGHT if weight is None else weight, r, w)

    def variance(self, mu, shape=None):
        return np.ones_like(mu)

    def _variance_derivative(self, mu, shape=None):
        return np.zeros_like(mu)

    def unit_deviance(self, y, mu, shape=None):
        return np.square(y - mu)

    def _likelihood_terms(self, y, weight, shape):
        return {"log_weight": sum_log(weight, weight)}

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """Log-likelihood as statsmodels' and R's: with the identity link at the maximum likelihood variance
        deviance / n, with another link at ``scale`` (statsmodels; R takes deviance / n there too)."""
        if self.quadratic:
            scale = sums["deviance"] / n
        if not scale > 0:
            return np.inf if scale == 0 else np.nan  # a perfect fit; no residual degree of freedom
        return -0.5 * (sums["deviance"] / scale + n * np.log(2 * np.pi * scale) - sums["log_weight"])

    def null_loss(self, sum_y, sum_w, shape=None):
        return math.nan

    def start(self, y, weight=None):
        if self.link_name == "identity":
            return np.array(y, dtype=float)
        # half way to the mean and on its side of zero, as a response may be where the mean may not
        mean = np.average(y, weights=weight)
        sign = -1.0 if self.link_name == "inverse" and mean < 0.0 else 1.0
        mu = 0.5 * sign * (np.asarray(y, dtype=float) + mean)
        return self.link_function(sign * np.maximum(mu, 0.1 * abs(mean) if mean else 0.1))

    def _inner_mean(self, sum_y, sum_w):
        if self.link_name == "identity" or (self.link_name == "inverse" and sum_y != 0.0):
            return sum_y / sum_w
        return super()._inner_mean(sum_y, sum_w)
