"""Softmax (multinomial logit) family: several classes, one linear predictor for each but the first."""

import numpy as np
from numba import njit

from ._special import KERNEL, NO_WEIGHT, TILE, clip, exp, log1p, total
from .base import Family


@njit(**KERNEL)
def _softmax(eta, y, weight, r, w):
    n, k = eta.shape
    size = min(n, TILE)
    odds = np.empty((k + 1, size))  # exp(η - max η), a row for a class
    top, small, others, term = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    loss = 0.0
    for start in range(0, n, TILE):
        rows = slice(start, min(n, start + TILE))
        et, yt, rt, wt, at = eta[rows], y[rows], r[rows], w[rows], weight[rows]
        m = yt.shape[0]
        for i in range(m):
            for c in range(k):
                odds[c + 1, i] = et[i, c]
        top[:m] = 0.0
        term[:m] = 0.0
        for c in range(1, k + 1):
            e = odds[c, :m]
            for i in range(m):
                top[i] = e[i] if e[i] > top[i] else top[i]
            for i in range(m):
                term[i] -= e[i] if yt[i] == float(c) else 0.0
        odds[0, :m] = 0.0
        others[:m] = -1.0
        small[:m] = 0.0
        for c in range(k + 1):
            e = odds[c, :m]
            for i in range(m):
                e[i] = exp(clip(e[i] - top[i], -700.0, 0.0))
            # the most likely class has odds 1; what the others add to it must keep its digits
            for i in range(m):
                others[i] += 1.0 if e[i] >= 1.0 else 0.0
                small[i] += 0.0 if e[i] >= 1.0 else e[i]
        for i in range(m):
            others[i] += small[i]
            term[i] += log1p(others[i]) + top[i]
        for i in range(m):
            share = 1.0 / (1.0 + others[i])
            others[i] *= share
            top[i] = share
        if at.shape[0] > 0:
            for i in range(m):
                term[i] *= at[i]
        loss += total(term[:m])

        for c in range(k + 1):
            e = odds[c, :m]
            for i in range(m):
                e[i] *= top[i]
        for i in range(m):
            a = at[i] if at.shape[0] > 0 else 1.0
            position = 0
            for c in range(k):
                p = odds[c + 1, i]
                rest = others[i] if p == top[i] else 1.0 - p
                rt[i, c] = a * (rest if yt[i] == c + 1.0 else -p)
                wt[i, position] = a * p * rest
                for d in range(c + 1, k):
                    wt[i, position + d - c] = -a * p * odds[d + 1, i]
                position += k - c
    return loss


class Softmax(Family):
    """Response in one of several classes, coded 0, 1, …; class 0 is the reference.

    Parameters
    ----------
    n_classes : int
        Number of classes C, at least 2; a row has C - 1 linear predictors.
    link : {"logit"} or None, default=None
        Link function: predictors are log-odds against class 0.

    Notes
    -----
    `link` takes predictors (n, C-1) and fills the score (n, C-1) and the information (n, C(C-1)/2), the upper
    triangle of diag(π) - ππ' packed by rows.

    References
    ----------
    P. McCullagh and J. A. Nelder (1989), Generalized Linear Models.

    Examples
    --------
    >>> from statkit.families import Softmax
    >>> Softmax(3).inverse_link([[0.0, 0.0]]).round(3)
    array([[0.333, 0.333, 0.333]])
    """

    name = "softmax"
    links = ("logit",)
    canonical_link = "logit"

    def __init__(self, n_classes, link=None):
        self._set(n_classes=n_classes, link=link)

    def _set(self, **parameters):
        n = parameters["n_classes"]
        if int(n) != n or n < 2:
            raise ValueError(f"n_classes of Softmax has to be an integer of at least 2, got {n!r}")
        super()._set(**parameters)
        self.n_classes = int(n)

    @property
    def predictors(self):
        return self.n_classes - 1

    @property
    def support(self):
        return f"class codes 0, …, {self.n_classes - 1}"

    def link(self, eta, y, weight, shape, context, r, w):
        return _softmax(eta, y, NO_WEIGHT if weight is None else weight, r, w)

    def inverse_link(self, eta):
        """Class probabilities (n, C) of predictors (n, C-1)."""
        eta = np.asarray(eta, dtype=float)
        full = np.concatenate([np.zeros((*eta.shape[:-1], 1)), eta], axis=-1)
        full -= full.max(axis=-1, keepdims=True)
        np.exp(full, out=full)
        full /= full.sum(axis=-1, keepdims=True)
        return full

    def link_function(self, mu):
        """Log-odds (n, C-1) against class 0 of probabilities (n, C)."""
        log_mu = np.log(mu)
        return log_mu[..., 1:] - log_mu[..., :1]

    def _missing(self, what):
        raise NotImplementedError(f"the softmax family has no {what}: it has several predictors a row")

    def dmu(self, eta):
        self._missing("derivative of the mean in one predictor")

    def dmu_ratio(self, eta):
        self._missing("ratio of the mean's derivatives (bias correction)")

    def variance(self, mu, shape=None):
        """Variance π(1-π) of the indicator of each class."""
        return mu * (1.0 - mu)

    def weight_derivative(self, eta, shape=None):
        self._missing("derivative of the weight (bias correction)")

    def unit_deviance(self, y, mu, shape=None):
        codes = np.asarray(y).astype(np.int64)
        return -2.0 * np.log(np.take_along_axis(np.asarray(mu), codes[:, None], axis=1)[:, 0])

    def sums(self, eta, y, weight, shape=None, known=None):
        if known is None:
            k = self.predictors
            r, w = np.empty((len(y), k)), np.empty((len(y), k * (k + 1) // 2))
            loss = self.link(eta, y, weight, shape, None, r, w)
        else:
            loss = known[0]
        codes = np.asarray(y).astype(np.int64)
        own = np.take_along_axis(self.inverse_link(eta), codes[:, None], axis=1)[:, 0]
        unit = 1.0 / own - 1.0
        pearson = float((unit if weight is None else weight * unit).sum())
        return {"loss": loss, "pearson": pearson, "deviance": 2.0 * loss, "constant": 0.0}

    def start(self, y, weight=None):
        c = self.n_classes
        mu = np.full((len(y), c), 0.5 / c)
        mu[np.arange(len(y)), np.asarray(y).astype(np.int64)] += 0.5
        return self.link_function(mu)

    def null_eta(self, sum_y, sum_w):
        """Predictors (C-1,) of the model with intercepts only; ``sum_y`` (C,) is the weight of each class."""
        counts = np.asarray(sum_y, dtype=float)
        return self.link_function(counts + 0.5 if counts.min() <= 0.0 else counts)

    def null_loss(self, sum_y, sum_w, shape=None):
        counts = np.asarray(sum_y, dtype=float)
        share = counts[counts > 0] / counts.sum()
        return -float(counts[counts > 0] @ np.log(share))

    def _supports(self, y):
        return (y >= 0.0) & (y < self.n_classes) & (y == np.floor(y))

    def check_response(self, y):
        y = np.asarray(y)
        bad = ~self._supports(y)
        if not bad.any():
            return None
        index = int(np.argmax(bad))
        return index, f"softmax needs {self.support}, found {float(y[index])!r}"
