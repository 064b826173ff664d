"""Negative binomial family (NB2, log link) with a given overdispersion or one that is estimated."""

import math

import numpy as np
from numba import njit

from . import _kernels
from ._special import (
    KERNEL,
    NO_WEIGHT,
    TILE,
    clip,
    digamma,
    exp,
    log,
    log1p,
    scale_rows,
    total,
    trigamma,
)
from .base import Family

#: counts up to here take their sums over 0 … y-1 from a table
_TABLE = 4096


@njit(**KERNEL)
def _log(eta, y, weight, alpha, r, w):
    n = eta.shape[0]
    term = np.empty(min(n, TILE))
    theta = 1.0 / alpha
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt = eta[rows], y[rows], r[rows], w[rows]
        m = et.shape[0]
        t = term[:m]
        for i in range(m):
            wt[i] = exp(clip(et[i], -700.0, 700.0))
        for i in range(m):
            t[i] = (yt[i] + theta) * log1p(alpha * wt[i]) - yt[i] * clip(et[i], -700.0, 700.0)
        for i in range(m):
            p = 1.0 / (1.0 + alpha * wt[i])
            q = wt[i] * p
            rt[i] = yt[i] * p - q
            wt[i] = q
        scale_rows(weight[rows], t, rt, wt)
        loss += total(t)
    return loss


@njit(**KERNEL)
def _tables(y, alpha):
    """Σ_{j<k} log(1 + αj), Σ_{j<k} 1/(θ+j) and Σ_{j<k} 1/(θ+j)² for k = 0 … the largest count (bounded)."""
    top = 0.0
    for i in range(y.shape[0]):
        top = y[i] if y[i] > top else top
    size = int(min(top, float(_TABLE))) + 1
    tables = np.zeros((3, size))
    theta = 1.0 / alpha
    for k in range(1, size):
        c = 1.0 / (theta + (k - 1))
        tables[0, k] = tables[0, k - 1] + math.log1p(alpha * (k - 1))
        tables[1, k] = tables[1, k - 1] + c
        tables[2, k] = tables[2, k - 1] + c * c
    return tables


@njit(**KERNEL)
def _count_terms(y, weight, alpha):
    """Σ a [log Γ(y+θ) - log Γ(θ) + y log α], which is 0 for a Poisson response."""
    tables = _tables(y, alpha)
    size = tables.shape[1]
    theta = 1.0 / alpha
    weighted = weight.shape[0] > 0
    out = 0.0
    for i in range(y.shape[0]):
        k = y[i]
        if k < size and k == math.floor(k):
            value = tables[0, int(k)]
        else:
            value = math.lgamma(k + theta) - math.lgamma(theta) + k * math.log(alpha)
        out += value * (weight[i] if weighted else 1.0)
    return out


@njit(**KERNEL)
def _shape_sums(eta, y, weight, alpha):
    tables = _tables(y, alpha)
    size = tables.shape[1]
    theta = 1.0 / alpha
    weighted = weight.shape[0] > 0
    score, information, loglik, excess, square = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(y.shape[0]):
        k = y[i]
        e = clip(eta[i], -700.0, 700.0)
        mu = exp(e)
        if k < size and k == math.floor(k):
            j = int(k)
            l0, d1, d2 = tables[0, j], tables[1, j], tables[2, j]
        else:
            l0 = math.lgamma(k + theta) - math.lgamma(theta) + k * math.log(alpha)
            d1 = digamma(k + theta) - digamma(theta)
            d2 = trigamma(theta) - trigamma(k + theta)
        log_ratio = log1p(alpha * mu)
        c = 1.0 / (theta + mu)
        # first and second derivative in θ = 1/α
        first = d1 - log_ratio + (mu - k) * c
        second = alpha * mu * c - (mu - k) * c * c - d2
        a = weight[i] if weighted else 1.0
        score -= a * theta * first
        information -= a * (theta * theta * second + theta * first)
        loglik += a * (l0 + k * e - (k + theta) * log_ratio)
        excess += a * ((k - mu) * (k - mu) - mu)
        square += a * mu * mu
    return score, information, loglik, excess, square


@njit(**KERNEL)
def _unit_deviance(y, mu, alpha, out):
    for i in range(y.shape[0]):
        k = y[i]
        own = k * log(k / mu[i]) if k > 0.0 else 0.0
        out[i] = 2.0 * (own - (k + 1.0 / alpha) * (log1p(alpha * k) - log1p(alpha * mu[i])))


class NegativeBinomial(Family):
    """Counts with variance μ + αμ²; the dispersion is 1.

    Parameters
    ----------
    alpha : float or None, default=None
        Overdispersion α > 0, the inverse of R's θ; None is estimated by maximum likelihood, as
        ``MASS::glm.nb`` does, and is then found in ``estimate_.shape``.
    link : {"log"} or None, default=None
        Link function.

    References
    ----------
    J. F. Lawless (1987), Negative binomial and mixed Poisson regression.

    Examples
    --------
    >>> from statkit.families import NegativeBinomial
    >>> NegativeBinomial(), NegativeBinomial().n_shape
    (NegativeBinomial(alpha=None), 1)
    >>> float(NegativeBinomial(alpha=0.5).variance(2.0))
    4.0
    """

    name = "negative_binomial"
    links = ("log",)
    support = "y >= 0"

    def __init__(self, alpha=None, link=None):
        self._set(alpha=alpha, link=link)

    def _set(self, **parameters):
        alpha = parameters["alpha"]
        if alpha is not None and not 0.0 < alpha < 1e6:
            raise ValueError(f"alpha of NegativeBinomial has to be in (0, 1e6) or None, got {alpha!r}")
        super()._set(**parameters)
        self.alpha = None if alpha is None else float(alpha)

    @property
    def n_shape(self):
        return int(self.alpha is None)

    def _alpha(self, shape):
        if self.alpha is not None:
            return self.alpha
        if shape is None:
            raise ValueError(
                "alpha of NegativeBinomial(alpha=None) is to be estimated: give its value as shape, "
                "or use NegativeBinomial(alpha=...)"
            )
        return float(np.reshape(shape, -1)[0])

    def link(self, eta, y, weight, shape, context, r, w):
        return _log(eta, y, NO_WEIGHT if weight is None else weight, self._alpha(shape), r, w)

    def variance(self, mu, shape=None):
        return mu + self._alpha(shape) * np.square(mu)

    def _variance_derivative(self, mu, shape=None):
        return 1.0 + 2.0 * self._alpha(shape) * mu

    def weight_derivative(self, eta, shape=None):
        mu, alpha = self.inverse_link(eta), self._alpha(shape)
        return mu / (1.0 + alpha * mu) / (1.0 + alpha * mu)

    def unit_deviance(self, y, mu, shape=None):
        out = np.empty(len(y))
        _unit_deviance(np.asarray(y, dtype=float), np.asarray(mu, dtype=float), self._alpha(shape), out)
        return out

    def _likelihood_terms(self, y, weight, shape):
        return {"constant": _count_terms(y, weight, self._alpha(shape)) - _kernels.log_factorials(y, weight)}

    def shape_sums(self, eta, y, weight, alpha):
        """Sums over the rows that a Newton step for log α needs.

        Parameters
        ----------
        eta, y : ndarray of shape (n,)
            Linear predictor and response.
        weight : ndarray of shape (n,) or None
            Prior weights.
        alpha : float
            Overdispersion at which to evaluate.

        Returns
        -------
        sums : dict of float
            ``score`` and ``information`` (observed; it can be negative far from the maximum) of log α,
            ``loglik`` with all constants, and ``excess`` = Σ a [(y-μ)² - μ] and ``square`` = Σ a μ², whose
            ratio is the moment estimate of α.
        """
        a = NO_WEIGHT if weight is None else weight
        score, information, loglik, excess, square = _shape_sums(eta, y, a, float(alpha))
        return {
            "score": score,
            "information": information,
            "loglik": loglik - _kernels.log_factorials(y, a),
            "excess": excess,
            "square": square,
        }

    def shape_start(self, sums):
        """Moment estimate of α from `shape_sums`, held within [1e-4, 1e4]."""
        return float(np.clip(sums["excess"] / sums["square"], 1e-4, 1e4))

    def shape_step(self, alpha, sums):
        """Next α: a Newton step on log α, bounded, and uphill where the information is not positive."""
        score, information = sums["score"], sums["information"]
        step = score / information if information > 0.0 else math.copysign(1.0, score)
        return float(np.clip(alpha * math.exp(min(max(step, -2.0), 2.0)), 1e-10, 1e5))

    def start(self, y, weight=None):
        return np.log(np.asarray(y, dtype=float) + 0.1)

    def _supports(self, y):
        return y >= 0.0
