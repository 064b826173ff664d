"""Compiled epochs of SAGA and SVRG on dense rows."""

import math

import numpy as np
from numba import njit

OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}


@njit(**OPTIONS)
def slope(binomial, eta, y):
    """Derivative of a row's loss in its predictor."""
    if not binomial:
        return eta - y
    t = math.exp(-abs(eta))
    return (1.0 if eta >= 0.0 else t) / (1.0 + t) - y


@njit(**OPTIONS)
def _shrink(b, threshold, penalised):
    for j in range(penalised, b.shape[0]):
        if b[j] > threshold:
            b[j] -= threshold
        elif b[j] < -threshold:
            b[j] += threshold
        else:
            b[j] = 0.0


@njit(**OPTIONS)
def mean_gradient(X, y, weight, binomial, b, table, g):
    """Slopes of all rows into ``table``, their mean gradient into ``g``."""
    n, p = X.shape
    g[:] = 0.0
    for i in range(n):
        eta = 0.0
        for j in range(p):
            eta += X[i, j] * b[j]
        table[i] = weight[i] * slope(binomial, eta, y[i])
        for j in range(p):
            g[j] += table[i] * X[i, j]
    for j in range(p):
        g[j] /= n


@njit(**OPTIONS)
def saga_epoch(X, y, weight, order, binomial, step, ridge, lasso, penalised, b, table, g):
    """One step for each row of ``order``; ``table`` holds the rows' last slopes, ``g`` their mean gradient."""
    n, p = X.shape
    for i in order:
        eta = 0.0
        for j in range(p):
            eta += X[i, j] * b[j]
        new = weight[i] * slope(binomial, eta, y[i])
        change = new - table[i]
        table[i] = new
        for j in range(p):
            pull = ridge * b[j] if j >= penalised else 0.0
            b[j] -= step * (change * X[i, j] + g[j] + pull)
            g[j] += change * X[i, j] / n
        if lasso > 0.0:
            _shrink(b, step * lasso, penalised)


@njit(**OPTIONS)
def svrg_epoch(X, y, weight, order, binomial, step, ridge, lasso, penalised, b, table, g):
    """Steps corrected by the slopes ``table`` and the gradient ``g`` at the snapshot, which stay."""
    p = X.shape[1]
    for i in order:
        eta = 0.0
        for j in range(p):
            eta += X[i, j] * b[j]
        change = weight[i] * slope(binomial, eta, y[i]) - table[i]
        for j in range(p):
            pull = ridge * b[j] if j >= penalised else 0.0
            b[j] -= step * (change * X[i, j] + g[j] + pull)
        if lasso > 0.0:
            _shrink(b, step * lasso, penalised)


@njit(**OPTIONS)
def steepest(X, weight):
    """max_i weight_i |x_i|²."""
    out = 0.0
    for i in range(X.shape[0]):
        total = 0.0
        for j in range(X.shape[1]):
            total += X[i, j] * X[i, j]
        out = max(out, weight[i] * total)
    return out


def shuffled(rng, n, times):
    """Row numbers for ``times`` passes, each row once in each."""
    return np.concatenate([rng.permutation(n) for _ in range(times)])
