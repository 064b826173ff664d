"""Gamma family: positive responses with a constant coefficient of variation (log, inverse, identity)."""

import numpy as np
from numba import njit
from scipy import special

from ._kernels import sum_log
from ._log_weights import LogWeights
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
            rt[i] = exp(-clip(et[i], -700.0, 700.0))
        for i in range(m):
            ratio = yt[i] * rt[i]
            t[i] = ratio + et[i]
            rt[i] = ratio - 1.0
        wt[:] = 1.0
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
            e = et[i]
            t[i] = np.inf if e <= 0.0 else yt[i] * e - log(e)
        for i in range(m):
            inside = not et[i] <= 1e-150
            mu = 1.0 / et[i]
            rt[i] = mu - yt[i] if inside else 0.0
            wt[i] = mu * mu if inside else 0.0
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
            t[i] = np.inf if e <= 0.0 else yt[i] / e + log(e)
        for i in range(m):
            inside = not et[i] <= 1e-150
            c = 1.0 / et[i]
            rt[i] = (yt[i] * c - 1.0) * c if inside else 0.0
            wt[i] = c * c if inside else 0.0
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _unit_deviance(y, mu, out):
    for i in range(y.shape[0]):
        ratio = y[i] / mu[i]
        out[i] = 2.0 * (ratio - 1.0 - log(ratio))


_LINK = {"log": _log, "inverse": _inverse, "identity": _identity}


class Gamma(Family):
    """Positive response whose variance is proportional to the squared mean; the dispersion is estimated.

    Parameters
    ----------
    link : {"log", "inverse", "identity"} or None, default=None
        Link function; None is the logarithm (the canonical link is the inverse).

    Notes
    -----
    With the inverse and identity links a predictor that is not positive has no mean: its loss is +inf.

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models.

    Examples
    --------
    >>> from statkit.families import Gamma
    >>> Gamma().link_name, Gamma("inverse").canonical
    ('log', True)
    """

    name = "gamma"
    links = ("log", "inverse", "identity")
    canonical_link = "inverse"
    dispersion = "pearson"
    support = "y > 0"

    def link(self, eta, y, weight, shape, context, r, w):
        return _LINK[self.link_name](eta, y, NO_WEIGHT if weight is None else weight, r, w)

    def variance(self, mu, shape=None):
        return np.square(mu)

    def _variance_derivative(self, mu, shape=None):
        return 2.0 * mu

    def weight_derivative(self, eta, shape=None):
        if self.link_name == "log":
            return np.zeros_like(eta)
        return super().weight_derivative(eta, shape)

    def unit_deviance(self, y, mu, shape=None):
        out = np.empty(len(y))
        _unit_deviance(np.asarray(y, dtype=float), np.asarray(mu, dtype=float), out)
        return out

    def _likelihood_terms(self, y, weight, shape):
        n = len(y)
        used = weight[weight > 0.0]
        return {
            "weight": float(used.sum()) if weight.size else float(n),
            "weight_log_weight": float((used * np.log(used)).sum()),
            "log_y": sum_log(y, weight),
            "log_weights": LogWeights.of(weight, n),
        }

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """Log-likelihood at the estimated ``scale``, as statsmodels'; R's ``logLik`` takes deviance / n."""
        weight = sums["weight"]
        fit = sums["weight_log_weight"] - weight * np.log(scale) - weight - 0.5 * sums["deviance"]
        constant = sums["log_weights"].total(lambda a: special.gammaln(a / scale))
        return fit / scale - constant - sums["log_y"]

    def start(self, y, weight=None):
        return self.link_function(np.array(y, dtype=float))

    def _supports(self, y):
        return y > 0.0
