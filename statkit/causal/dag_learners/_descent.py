"""Smooth loss + L1 on a weight matrix: L-BFGS-B on its positive and negative parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from statkit.causal.knowledge import Knowledge


def minimise_l1(
    smooth: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    lambda1: float,
    knowledge: Knowledge | None,
    **options,
) -> np.ndarray:
    """Minimise ``smooth(W) + lambda1 * sum |W|``; forbidden edges stay 0, required ones are not penalised.

    ``smooth`` returns value and gradient; it may return infinity outside its domain.
    """
    d = len(start)
    known = Knowledge.none(d) if knowledge is None else knowledge
    price = np.where(known.required, 0.0, lambda1).ravel()
    bounds = [(0.0, None if free else 0.0) for free in known.allowed.ravel()] * 2

    def objective(w):
        W = (w[: d * d] - w[d * d :]).reshape(d, d)
        value, gradient = smooth(W)
        if not np.isfinite(value):
            return 1e100, np.zeros_like(w)
        g = gradient.ravel()
        return value + price @ (w[: d * d] + w[d * d :]), np.concatenate([g + price, price - g])

    W0 = np.where(known.allowed, start, 0.0).ravel()
    w0 = np.concatenate([np.maximum(W0, 0), np.maximum(-W0, 0)])
    w = minimize(objective, w0, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return (w[: d * d] - w[d * d :]).reshape(d, d)


def augmented_lagrangian(solve, h, start, *, h_tol, rho_max, max_outer=100) -> np.ndarray:
    """Drive ``h(W)`` to zero: ``solve(W, rho, alpha)`` minimises the loss plus ``rho h²/2 + alpha h``."""
    W, rho, alpha, last = start, 1.0, 0.0, np.inf
    for _ in range(max_outer):
        new, value = W, h(W)
        while rho < rho_max:
            new = solve(W, rho, alpha)
            value = h(new)
            if value <= 0.25 * last:
                break
            rho *= 10
        W, last = new, value
        alpha += rho * value
        if value <= h_tol or rho >= rho_max:
            break
    return W
