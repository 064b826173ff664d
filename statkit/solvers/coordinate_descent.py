"""Lasso on a quadratic: coordinate descent finds the nonzero coefficients, a linear solve makes them exact."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.linalg import LinAlgError, cho_factor, cho_solve

__all__ = ["kkt_residual", "minimise"]

# Largest change of a coefficient (unit diagonal, relative to the largest) that ends each round of descent.
_TOLERANCES = (1e-3, 1e-5, 1e-7, 1e-9, 1e-12)
_SWEEPS = 10_000
# What may be lost to rounding when a coefficient is kept at zero.
_SLACK = 1e-10


def minimise(H: np.ndarray, c: np.ndarray, l1: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """The minimiser of ½ β'Hβ − c'β + Σ l1_j |β_j|, with exact zeros.

    Parameters
    ----------
    H : ndarray of shape (q, q)
        Positive semidefinite. Coefficients of zero diagonal stay zero.
    c : ndarray of shape (q,)
    l1 : ndarray of shape (q,)
        Nonnegative; zero where a coefficient is free.
    start : ndarray of shape (q,) or None

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani (2010), Regularization paths for generalized linear models via
    coordinate descent.
    """
    diagonal = np.diag(H)
    alive = diagonal > 0
    root = np.sqrt(np.where(alive, diagonal, 1.0))
    unit = np.ascontiguousarray(H / root / root[:, None])
    moment, price = c / root, l1 / root
    beta = np.zeros(len(c)) if start is None else np.where(alive, start * root, 0.0)
    left = moment - np.dot(unit, beta)
    size = np.abs(moment).max(initial=0.0)
    for tolerance in _TOLERANCES:
        reach = max(np.abs(beta).max(initial=0.0), size)
        _descend(unit, price, alive, beta, left, tolerance * reach, _SWEEPS)
        exact = _solved(unit, moment, price, beta, size)
        if exact is not None:
            return exact / root
        left = moment - np.dot(unit, beta)
    return beta / root


def _solved(unit, moment, price, beta, size):
    """The minimiser with the signs of ``beta``, or None where it has others or violates a bound."""
    active = np.flatnonzero(beta)
    sign = np.sign(beta[active])
    exact = np.zeros_like(beta)
    if len(active):
        try:
            factor = cho_factor(unit[np.ix_(active, active)], lower=True)
        except LinAlgError:
            return None
        if np.diag(factor[0]).min() ** 2 < 1e-13:
            return None
        exact[active] = cho_solve(factor, moment[active] - price[active] * sign)
    free = price[active] == 0
    if not ((np.sign(exact[active]) == sign) | free).all():
        return None
    left = np.abs(moment - np.dot(unit, exact))
    left[active] = 0.0
    return exact if (left <= price * (1 + _SLACK) + _SLACK * size).all() else None


def kkt_residual(score: np.ndarray, beta: np.ndarray, l1: np.ndarray) -> float:
    """Largest violation of optimality, given the score (minus the gradient) of the smooth part at ``beta``."""
    active = np.abs(score - l1 * np.sign(beta))
    return float(np.where(beta != 0, active, np.maximum(np.abs(score) - l1, 0.0)).max(initial=0.0))


@njit(cache=True, nogil=True)
def _descend(H, l1, alive, beta, left, tolerance, most):
    """Cyclic descent on unit diagonal, in place; ``left`` is c − Hβ. Full sweeps enclose sweeps over the nonzero."""
    q = beta.shape[0]
    full = True
    for _ in range(most):
        change = 0.0
        for j in range(q):
            if not alive[j] or (not full and beta[j] == 0.0 and l1[j] > 0.0):
                continue
            old = beta[j]
            z = left[j] + old
            new = z - l1[j] if z > l1[j] else z + l1[j] if z < -l1[j] else 0.0
            step = new - old
            if step != 0.0:
                beta[j] = new
                for i in range(q):
                    left[i] -= H[j, i] * step
                change = max(change, abs(step))
        if change <= tolerance:
            if full:
                return
            full = True
        else:
            full = False
