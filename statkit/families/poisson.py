"""Poisson family (log, identity, square root) and its quasi variant with estimated dispersion."""

import math

import numpy as np
from numba import njit

from . import _kernels
from ._special import KERNEL, NO_WEIGHT, TILE, clip, exp, log, scale_rows, total
from .base import Family


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
            wt[i] = exp(clip(et[i], -700.0, 700.0))
        for i in range(m):
            t[i] = wt[i] - yt[i] * et[i]
            rt[i] = yt[i] - wt[i]
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


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
            e = et[i]
            inside = not e <= 1e-150  # NaN goes through, to be seen
            e = e if inside else 1.0
            t[i] = e - (yt[i] * log(e) if yt[i] > 0.0 else 0.0) if inside else np.inf
        for i in range(m):
            inside = not et[i] <= 1e-150
            e = et[i] if inside else 1.0
            rt[i] = yt[i] / e - 1.0 if inside else 0.0
            wt[i] = 1.0 / e if inside else 0.0
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _sqrt(eta, y, weight, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            e = et[i]
            t[i] = e * e - (2.0 * yt[i] * log(abs(e)) if yt[i] > 0.0 else 0.0)
        for i in range(m):
            e = et[i]
            rt[i] = 2.0 * ((0.0 if abs(e) < 1e-150 else yt[i] / e) - e)
            wt[i] = 4.0
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _unit_deviance(y, mu, out):
    for i in range(y.shape[0]):
        k = y[i]
        out[i] = 2.0 * ((k * log(k / mu[i]) if k > 0.0 else 0.0) - (k - mu[i]))


_LINK = {"log": _log, "identity": _identity, "sqrt": _sqrt}


class Poisson(Family):
    """Counts whose variance is their mean; the dispersion is 1.

    Parameters
    ----------
    link : {"log", "identity", "sqrt"} or None, default=None
        Link function; None is the logarithm.

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models.

    Examples
    --------
    >>> from statkit.families import Poisson
    >>> Poisson().check_response([3.0, -1.0])
    (1, 'poisson needs y >= 0, found -1.0')
    """

    name = "poisson"
    links = ("log", "identity", "sqrt")
    canonical_link = "log"
    support = "y >= 0"

    def link(self, eta, y, weight, shape, context, r, w):
        return _LINK[self.link_name](eta, y, NO_WEIGHT if weight is None else weight, r, w)

    def variance(self, mu, shape=None):
        return np.array(mu, dtype=float)

    def _variance_derivative(self, mu, shape=None):
        return np.ones_like(mu)

    def weight_derivative(self, eta, shape=None):
        if self.link_name == "log":
            return self.inverse_link(eta)
        if self.link_name == "sqrt":
            return np.zeros_like(eta)
        return super().weight_derivative(eta, shape)

    def unit_deviance(self, y, mu, shape=None):
        out = np.empty(len(y))
        _unit_deviance(np.asarray(y, dtype=float), np.asarray(mu, dtype=float), out)
        return out

    def _likelihood_terms(self, y, weight, shape):
        return {"constant": -_kernels.log_factorials(y, weight)}

    def start(self, y, weight=None):
        return self.link_function(np.asarray(y, dtype=float) + 0.1)

    def _supports(self, y):
        return y >= 0.0


class QuasiPoisson(Poisson):
    """Poisson mean and variance up to an estimated dispersion; there is no likelihood.

    Parameters
    ----------
    link : {"log", "identity", "sqrt"} or None, default=None
        Link function; None is the logarithm.

    Examples
    --------
    >>> from statkit.families import QuasiPoisson
    >>> QuasiPoisson().dispersion
    'pearson'
    """

    name = "quasi_poisson"
    dispersion = "pearson"

    def _likelihood_terms(self, y, weight, shape):
        return {}

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """NaN: a quasi family has no likelihood."""
        return math.nan
