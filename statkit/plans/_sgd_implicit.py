"""Implicit steps for families without a compiled link."""

from __future__ import annotations

import numpy as np

__all__ = ["implicit_step"]

_MOST_STEPS = 50
_TOL = 1e-10


def implicit_step(family, X, y, weight, shape, gamma, H, ridge, chain, eta) -> None:
    """b = argmin mean loss of the rows + |b − b₀|²_H / 2γ, in place; ``eta`` are the predictors at b₀.

    With ρ the scores at the step's end, the step is (γ/m) (H + γ ridge)⁻¹ (X'ρ − m ridge b₀): a system of as many
    unknowns as there are rows, solved by Newton with halved steps.
    """
    b = chain[0]
    chain[5][0] += 1
    m = len(y)
    metric = H + np.diag(gamma * ridge) if ridge.size else H
    MX = np.linalg.solve(metric, X.T)
    C = gamma / m * (X @ MX)
    pull = gamma * np.linalg.solve(metric, ridge * b) if ridge.size else np.zeros(len(b))
    offset = eta - X @ pull

    def miss(rho):
        r, w = np.empty(m), np.empty(m)
        family.link(offset + C @ rho, y, weight, shape, None, r, w)
        return r - rho, w

    rho = np.zeros(m)
    gap, w = miss(rho)
    for _ in range(_MOST_STEPS):
        size = np.abs(gap).max()
        if not size > _TOL * (1.0 + np.abs(rho).max()):
            break
        step = np.linalg.solve(np.eye(m) + w[:, None] * C, gap)
        for _ in range(30):
            new, weights = miss(rho + step)
            if np.abs(new).max() < size or np.abs(step).max() < 1e-12:
                break
            step = 0.5 * step
        rho, gap, w = rho + step, new, weights
    b += gamma / m * (MX @ rho) - pull
