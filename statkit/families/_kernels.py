"""Kernels that several families share: Pearson's statistic, and sums of functions of the response alone."""

import math

import numpy as np
from numba import njit

from ._special import KERNEL, TILE, total

#: log k! for the counts that nearly all data consist of
_LOG_FACTORIAL = np.array([math.lgamma(k + 1.0) for k in range(256)])


@njit(**KERNEL)
def pearson(r, w):
    """Σ a (y-μ)²/V from the score r = a (y-μ) μ'/V and the Fisher weight w = a μ'²/V."""
    n = r.shape[0]
    term = np.empty(min(n, TILE))
    out = 0.0
    for start in range(0, n, TILE):
        m = min(TILE, n - start)
        rt = r[start : start + m]
        wt = w[start : start + m]
        t = term[:m]
        for i in range(m):
            t[i] = rt[i] * rt[i] / wt[i] if rt[i] != 0.0 else 0.0
        out += total(t)
    return out


@njit(**KERNEL)
def log_factorials(y, weight):
    """Σ a log Γ(y + 1)."""
    out = 0.0
    weighted = weight.shape[0] > 0
    for i in range(y.shape[0]):
        k = y[i]
        if 0.0 <= k < 256.0 and k == math.floor(k):
            value = _LOG_FACTORIAL[int(k)]
        else:
            value = math.lgamma(k + 1.0)
        out += value * (weight[i] if weighted else 1.0)
    return out


def sum_log(x, weight):
    """Σ log x over the rows of positive weight; ``weight`` (n,), or empty where there is none."""
    if weight.size:
        x = x[weight > 0.0]
    return float(np.log(x).sum())
