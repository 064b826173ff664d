"""Inverse Gaussian family: positive responses whose variance grows with the cube of the mean (log, 1/μ²)."""

import numpy as np
from numba import njit

from ._kernels import sum_log
from ._special import KERNEL, NO_WEIGHT, TILE, clip, exp, scale_rows, total
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
            # 1/μ; its square times y has to be finite as well
            wt[i] = exp(-clip(et[i], -300.0, 300.0))
        for i in range(m):
            ratio = yt[i] * wt[i]
            t[i] = wt[i] * (0.5 * ratio - 1.0)
            rt[i] = wt[i] * (ratio - 1.0)
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _inverse_squared(eta, y, weight, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            root = np.sqrt(abs(et[i]))
            t[i] = np.inf if et[i] <= 0.0 else 0.5 * yt[i] * et[i] - root
        for i in range(m):
            inside = not et[i] <= 1e-150
            mu = 1.0 / np.sqrt(abs(et[i]))
            rt[i] = 0.5 * (mu - yt[i]) if inside else 0.0
            wt[i] = 0.25 * mu * mu * mu if inside else 0.0
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


_LINK = {"log": _log, "inverse_squared": _inverse_squared}


class InverseGaussian(Family):
    """Positive response whose variance is proportional to the cubed mean; the dispersion is estimated.

    Parameters
    ----------
    link : {"log", "inverse_squared"} or None, default=None
        Link function; None is the logarithm. The canonical link 1/μ² may also be written ``"1/mu^2"``.

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models.

    Examples
    --------
    >>> from statkit.families import InverseGaussian
    >>> InverseGaussian("1/mu^2").link_name
    'inverse_squared'
    """

    name = "inverse_gaussian"
    links = ("log", "inverse_squared")
    canonical_link = "inverse_squared"
    dispersion = "pearson"
    support = "y > 0"

    def link(self, eta, y, weight, shape, context, r, w):
        return _LINK[self.link_name](eta, y, NO_WEIGHT if weight is None else weight, r, w)

    def variance(self, mu, shape=None):
        return np.power(mu, 3)

    def _variance_derivative(self, mu, shape=None):
        return 3.0 * np.square(mu)

    def weight_derivative(self, eta, shape=None):
        if self.link_name == "log":
            return -np.exp(-np.clip(eta, -700.0, 700.0))
        return super().weight_derivative(eta, shape)

    def unit_deviance(self, y, mu, shape=None):
        return np.square((y - mu) / mu) / y

    def _likelihood_terms(self, y, weight, shape):
        return {"log_weight": sum_log(weight, weight), "log_y": sum_log(y, weight)}

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """Log-likelihood at the estimated ``scale``, as statsmodels'; R's ``logLik`` takes deviance / n."""
        constant = n * np.log(2 * np.pi * scale) - sums["log_weight"] + 3.0 * sums["log_y"]
        return -0.5 * (sums["deviance"] / scale + constant)

    def start(self, y, weight=None):
        return self.link_function(np.array(y, dtype=float))

    def _supports(self, y):
        return y > 0.0
