"""Binomial family (logit, probit, complementary log-log) and its quasi variant with estimated dispersion."""

import math

import numpy as np
from numba import njit
from scipy import special

from ._special import (
    INV_SQRT_2PI,
    KERNEL,
    LOG_SQRT_2PI,
    NO_WEIGHT,
    TILE,
    clip,
    exp,
    exp_parts,
    log,
    log1p,
    mills,
    scale_rows,
    total,
)
from .base import Family


@njit(**KERNEL)
def _logit(eta, y, weight, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            t[i] = exp(-clip(abs(et[i]), 0.0, 700.0))
        for i in range(m):
            # p is the larger of the two probabilities, q the smaller: neither cancels
            p = 1.0 / (1.0 + t[i])
            q = t[i] * p
            rt[i] = yt[i] * q - (1.0 - yt[i]) * p if et[i] >= 0.0 else yt[i] * p - (1.0 - yt[i]) * q
            wt[i] = p * q
        for i in range(m):
            e = et[i]
            t[i] = log1p(t[i]) + ((1.0 - yt[i]) * e if e >= 0.0 else -yt[i] * e)
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _probit(eta, y, weight, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            x = abs(et[i])
            rt[i] = mills(x)
            wt[i] = INV_SQRT_2PI * exp(-clip(0.5 * x * x, 0.0, 700.0))
        for i in range(m):
            e = et[i]
            near = -log1p(-wt[i] * rt[i])  # -log Φ(|η|)
            far = 0.5 * e * e + LOG_SQRT_2PI - log(rt[i])  # -log Φ(-|η|)
            t[i] = yt[i] * near + (1.0 - yt[i]) * far if e >= 0.0 else yt[i] * far + (1.0 - yt[i]) * near
        for i in range(m):
            far = 1.0 / rt[i]  # φ / Φ(-|η|)
            near = wt[i] / (1.0 - wt[i] * rt[i])  # φ / Φ(|η|)
            rt[i] = yt[i] * near - (1.0 - yt[i]) * far if et[i] >= 0.0 else yt[i] * far - (1.0 - yt[i]) * near
            wt[i] = near * far
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _cloglog(eta, y, weight, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            rt[i] = exp(clip(et[i], -700.0, 700.0))  # z = -log(1 - μ)
        for i in range(m):
            scale, p = exp_parts(-clip(rt[i], 0.0, 700.0))
            mu = (1.0 - scale) - scale * p
            wt[i] = rt[i] * ((scale + scale * p) / mu)  # μ' / μ
            t[i] = mu
        for i in range(m):
            t[i] = (1.0 - yt[i]) * rt[i] - yt[i] * log(t[i])
        for i in range(m):
            z = rt[i]
            rt[i] = yt[i] * wt[i] - (1.0 - yt[i]) * z
            wt[i] = z * wt[i]
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _proportions(y, weight):
    """Σ a [y log y + (1-y) log(1-y)] and -Σ a [log Γ(1+y) + log Γ(2-y)]: both 0 where y is 0 or 1."""
    entropy = 0.0
    constant = 0.0
    weighted = weight.shape[0] > 0
    for i in range(y.shape[0]):
        p = y[i]
        if p * (1.0 - p) != 0.0:  # one test, which binary data answer alike
            a = weight[i] if weighted else 1.0
            entropy += a * (p * math.log(p) + (1.0 - p) * math.log1p(-p))
            constant -= a * (math.lgamma(1.0 + p) + math.lgamma(2.0 - p))
    return entropy, constant


_LINK = {"logit": _logit, "probit": _probit, "cloglog": _cloglog}


class Binomial(Family):
    """Binary response, or proportions of trials with the number of trials as weight; the dispersion is 1.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"} or None, default=None
        Link function; None is the logit.

    Notes
    -----
    With proportions, coefficients, errors and deviance are those of R and statsmodels. The log-likelihood
    treats the weights as statsmodels' ``var_weights``: its constant differs from R's, whose binomial
    coefficients are those of the weights taken as numbers of trials.

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models.

    Examples
    --------
    >>> from statkit.families import Binomial
    >>> Binomial(link="probit")
    Binomial(link='probit')
    """

    name = "binomial"
    links = ("logit", "probit", "cloglog")
    canonical_link = "logit"
    support = "0 <= y <= 1"

    def link(self, eta, y, weight, shape, context, r, w):
        return _LINK[self.link_name](eta, y, NO_WEIGHT if weight is None else weight, r, w)

    def variance(self, mu, shape=None):
        return mu * (1.0 - mu)

    def weight_derivative(self, eta, shape=None):
        eta = np.asarray(eta, dtype=float)
        if self.link_name == "logit":
            return -self.dmu(eta) * np.tanh(0.5 * eta)
        if self.link_name == "probit":
            x = np.abs(eta)
            ratio = math.sqrt(math.pi / 2) * special.erfcx(x / math.sqrt(2))
            density = self.dmu(x)
            far, near = 1.0 / ratio, density / special.ndtr(x)
            return np.sign(eta) * near * far * (far - near - 2.0 * x)
        z = np.exp(np.clip(eta, -700.0, 700.0))
        mu = -np.expm1(-z)
        w = z * (z * (np.exp(-z) / mu))
        return w * (2.0 * (1.0 - z) - z * ((1.0 - 2.0 * mu) / mu))

    def unit_deviance(self, y, mu, shape=None):
        y, mu = np.asarray(y, dtype=float), np.asarray(mu, dtype=float)
        own = special.xlogy(y, y) + special.xlog1py(1.0 - y, -y)
        return 2.0 * (own - special.xlogy(y, mu) - special.xlog1py(1.0 - y, -mu))

    def _deviance(self, eta, y, weight, shape, loss):
        return 2.0 * (loss + _proportions(y, NO_WEIGHT if weight is None else weight)[0])

    def _likelihood_terms(self, y, weight, shape):
        return {"constant": _proportions(y, weight)[1]}

    def start(self, y, weight=None):
        return self.link_function(0.5 * (np.asarray(y, dtype=float) + 0.5))

    def _inner_mean(self, sum_y, sum_w):
        mean = sum_y / sum_w
        return mean if 0.0 < mean < 1.0 else (sum_y + 0.5) / (sum_w + 1.0)

    def _supports(self, y):
        return (y >= 0.0) & (y <= 1.0)


class QuasiBinomial(Binomial):
    """Binomial mean and variance up to an estimated dispersion; there is no likelihood.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"} or None, default=None
        Link function; None is the logit.

    Examples
    --------
    >>> from statkit.families import QuasiBinomial
    >>> QuasiBinomial().dispersion
    'pearson'
    """

    name = "quasi_binomial"
    dispersion = "pearson"

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """NaN: a quasi family has no likelihood."""
        return math.nan
