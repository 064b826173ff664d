"""Ordered classes: a latent predictor that thresholds cut into classes (cumulative logit and probit)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, log_expit, log_ndtr, ndtr

from .base import Family

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class Ordered(Family):
    """Response in one of several classes in order, coded 0, 1, …: P(y ≤ j) = F(c_j − η).

    Parameters
    ----------
    n_classes : int
        At least 2.
    link : {"logit", "probit"} or None, default=None
        Which distribution F is: logistic (proportional odds) or normal.

    Notes
    -----
    The thresholds c are parameters after the coefficients, estimated with them; η has no intercept.

    Examples
    --------
    >>> from statkit.families import Ordered
    >>> Ordered(3).probabilities([0.0], [-1.0, 1.0]).round(3)
    array([[0.269, 0.462, 0.269]])

    References
    ----------
    P. McCullagh (1980), Regression models for ordinal data.
    """

    name = "ordered"
    solver = "thresholds"
    links = ("logit", "probit")
    analytic_bias = False
    centered = True

    def __init__(self, n_classes, link=None):
        self._set(n_classes=n_classes, link=link)

    def _set(self, **parameters):
        n = parameters["n_classes"]
        if int(n) != n or n < 2:
            raise ValueError(f"n_classes of Ordered has to be an integer of at least 2, got {n!r}")
        super()._set(**parameters)
        self.n_classes = int(n)

    @property
    def n_thresholds(self):
        return self.n_classes - 1

    @property
    def support(self):
        return f"class codes 0, …, {self.n_classes - 1}"

    def _supports(self, y):
        return (y >= 0.0) & (y < self.n_classes) & (y == np.floor(y))

    def null_thresholds(self, counts):
        """Thresholds of the model without columns, from the weight of each class."""
        counts = np.asarray(counts, dtype=float)
        if counts.min() <= 0:
            counts = counts + 0.5
        share = np.cumsum(counts)[:-1] / counts.sum()
        return self.link_function(share)

    def link_function(self, mu):
        if self.link_name == "logit":
            return np.log(mu) - np.log1p(-mu)
        from scipy.special import ndtri

        return ndtri(mu)

    def rows(self, eta, y, thresholds):
        """Terms of every row in its two cuts u = c_y − η and l = c_{y−1} − η.

        Returns
        -------
        loss : ndarray of shape (n,)
            Minus log P(l < latent ≤ u); infinite where the thresholds are out of order.
        a, b : ndarray of shape (n,)
            Derivatives of log P: a in u, −b in l.
        uu, ll, ul : ndarray of shape (n,)
            Minus the second derivatives.
        """
        code = y.astype(np.intp)
        ends = np.concatenate([[-np.inf], thresholds, [np.inf]])
        u, low = ends[code + 1] - eta, ends[code] - eta
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if self.link_name == "logit":
                width = -np.expm1(np.where(np.isinf(u) | np.isinf(low), -np.inf, low - u))
                loss = -(log_expit(u) + log_expit(-low) + np.log(width))
                a = np.where(np.isinf(u), 0.0, np.exp(log_expit(-u) - log_expit(-low)) / width)
                b = np.where(np.isinf(low), 0.0, np.exp(log_expit(low) - log_expit(u)) / width)
                du, dl = a * (1 - 2 * expit(u)), b * (1 - 2 * expit(low))
            else:
                flip = low > 0  # the tail on the left is the accurate one
                high, small = np.where(flip, -low, u), np.where(flip, -u, low)
                top = log_ndtr(high)
                loss = -(top + np.log(-np.expm1(np.where(np.isinf(small), -np.inf, log_ndtr(small) - top))))
                a = np.where(np.isinf(u), 0.0, np.exp(loss - 0.5 * u * u - _LOG_ROOT_2PI))
                b = np.where(np.isinf(low), 0.0, np.exp(loss - 0.5 * low * low - _LOG_ROOT_2PI))
                du = np.where(np.isinf(u), 0.0, -u * a)
                dl = np.where(np.isinf(low), 0.0, -low * b)
        return loss, a, b, a * a - du, b * b + dl, -a * b

    def probabilities(self, eta, thresholds):
        """Probability of each class, (n, n_classes)."""
        eta = np.asarray(eta, dtype=float)[:, None]
        F = expit if self.link_name == "logit" else ndtr
        below = F(np.asarray(thresholds, dtype=float) - eta)
        full = np.concatenate([np.zeros_like(eta), below, np.ones_like(eta)], axis=1)
        return np.where(np.isnan(eta), np.nan, np.diff(full, axis=1))

    def inverse_link(self, eta):
        """The latent predictor itself."""
        return eta

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        return -sums["loss"]

    def null_loss(self, sum_y, sum_w, shape=None):
        counts = np.atleast_1d(np.asarray(sum_y, dtype=float))
        if len(counts) == 1:  # two classes come as the weight of the second
            counts = np.array([sum_w - counts[0], counts[0]])
        return -float(counts[counts > 0] @ np.log(counts[counts > 0] / counts.sum()))
