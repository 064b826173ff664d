"""Noise families: log densities, scales and choice by maximum likelihood; the sampler of missing cells."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Families by code. "gumbel" has its long tail to the right, code 6 is its mirror image.
FAMILIES = ("gaussian", "logistic", "laplace", "student", "subgaussian", "gumbel", "gumbel_left")

_EULER = 0.5772156649015329
_LOG2 = 0.6931471805599453


@njit(cache=True, nogil=True)
def log_density(code, u):
    """Log density at ``u`` = residual / scale of a family, the residual having mean 0."""
    if code == 0:
        return -0.5 * u * u - 0.9189385332046727
    if code == 1:
        a = abs(u)
        return -2.0 * (a + np.log1p(np.exp(-2.0 * a)) - _LOG2) - _LOG2
    if code == 2:
        return -abs(u) - _LOG2
    if code == 3:
        return -2.5 * np.log1p(0.25 * u * u) - 0.9808292530117262
    if code == 4:
        a = abs(u)
        return a + np.log1p(np.exp(-2.0 * a)) - _LOG2 - 0.5 * u * u - 1.4189385332046727
    v = u + _EULER if code == 5 else _EULER - u
    return -v - np.exp(-v)


@njit(cache=True, nogil=True)
def total_log_density(code, e, scale, w):
    """Weighted log-likelihood of residuals."""
    total = 0.0
    for i in range(e.shape[0]):
        total += w[i] * (log_density(code, e[i] / scale) - np.log(scale))
    return total


@njit(cache=True, nogil=True)
def gibbs_column(X, E, rows, j, children, W, scale, family, step, uniform):
    """Update the missing entries of column ``j`` by one Metropolis step each; returns the number accepted.

    ``X``, ``E`` are completed rows and their residuals, both kept up to date; ``rows`` are the rows in which
    the entry is missing; ``step`` are proposed changes, ``uniform`` logarithms of uniform numbers.
    """
    accepted = 0
    for k in range(rows.shape[0]):
        r = rows[k]
        delta = step[k]
        ratio = log_density(family[j], (E[r, j] + delta) / scale[j]) - log_density(
            family[j], E[r, j] / scale[j]
        )
        for c in children:
            ratio += log_density(family[c], (E[r, c] - W[j, c] * delta) / scale[c]) - log_density(
                family[c], E[r, c] / scale[c]
            )
        if uniform[k] < ratio:
            accepted += 1
            X[r, j] += delta
            E[r, j] += delta
            for c in children:
                E[r, c] -= W[j, c] * delta
    return accepted


def scale_of(code: int, e, w) -> float:
    """Return the maximum likelihood scale of residuals with mean 0 (gumbel, subgaussian: by the variance)."""
    total = w.sum()
    deviation = float(np.sqrt(w @ (e * e) / total))
    if deviation == 0:
        return 1e-12
    if code == 0:
        return deviation
    if code == 2:
        return float(w @ np.abs(e) / total)
    if code == 4:
        return deviation / np.sqrt(2.0)
    if code >= 5:
        return deviation * np.sqrt(6.0) / np.pi
    scale = deviation * (0.6 if code == 1 else 0.7)
    for _ in range(50):
        u = e / scale
        moment = 2 * u * np.tanh(u) if code == 1 else 5 * u * u / (4 + u * u)
        factor = np.sqrt(w @ moment / total)
        scale *= factor
        if abs(factor - 1) < 1e-6:
            break
    return float(scale)


def fit_noise(E, w, noise: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the family code and scale of each column of residuals."""
    d = E.shape[1]
    if noise == "auto":
        codes = range(len(FAMILIES))
    elif noise == "gumbel":
        codes = (5, 6)
    else:
        codes = (FAMILIES.index(noise),)
    family, scale = np.zeros(d, dtype=np.int64), np.ones(d)
    for j in range(d):
        e = np.ascontiguousarray(E[:, j])
        best = -np.inf
        for code in codes:
            s = scale_of(code, e, w)
            value = total_log_density(code, e, s, w)
            if value > best:
                best, family[j], scale[j] = value, code, s
    return family, scale
