"""DAGMA: least squares with L1 along a central path of the log-determinant barrier of acyclicity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.causal import acyclicity
from statkit.causal.knowledge import Knowledge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["dagma"]


def dagma(
    S: ArrayLike,
    *,
    lambda1: float = 0.03,
    knowledge: Any = None,
    path: Sequence[float] = (1.0, 0.1, 0.01, 1e-3, 1e-4),
) -> np.ndarray:
    """Minimise μ[½ tr((I−W)ᵀS(I−W)) + λ‖W‖₁] − log det(sI − W∘W) for decreasing μ and s.

    Parameters
    ----------
    S : array-like of shape (d, d)
        Covariance matrix.
    lambda1 : float, default=0.03
    knowledge : Knowledge, default=None
    path : sequence of float, default=(1.0, 0.1, 0.01, 1e-3, 1e-4)
        Values of μ.

    Returns
    -------
    ndarray of shape (d, d)

    References
    ----------
    K. Bello, B. Aragam, P. Ravikumar (2022), "DAGMA: learning DAGs via M-matrices and a log-determinant
    acyclicity characterization".

    Examples
    --------
    >>> from statkit.causal.dag_learners import dagma
    >>> dagma([[1, 2], [2, 5]]).round(1) + 0.0
    array([[0., 2.],
           [0., 0.]])
    """
    S = np.asarray(S, dtype=float)
    d = len(S)
    known = Knowledge.none(d) if knowledge is None else knowledge
    price = np.where(known.required, 0.0, lambda1)
    W = np.zeros_like(S)
    for k, mu in enumerate(path):
        s = max(1.0 - 0.1 * k, 0.6)
        steps = _LAST_STEPS if k == len(path) - 1 else _STEPS
        rate = _RATE
        while True:
            moved = _adam(S, W, mu, s, price, known.allowed, steps, rate)
            if moved is not None:
                W = moved
                break
            # The path left the domain of the barrier: smaller steps in a larger domain.
            rate, s = rate / 2, s + 0.1
    return W


_RATE, _STEPS, _LAST_STEPS = 2e-3, 5_000, 10_000


def _adam(S, W, mu, s, price, allowed, steps, rate):
    """Minimise the barrier problem by Adam; None if a step leaves the domain."""
    identity = np.eye(len(S))
    first, second = np.zeros_like(S), np.zeros_like(S)
    W = W.copy()
    before = np.inf
    for t in range(1, steps + 1):
        inverse = np.linalg.inv(s * identity - W * W)
        if (inverse < -1e-12).any():
            return None
        gradient = mu * (price * np.sign(W) - S @ (identity - W)) + 2 * inverse.T * W
        gradient *= allowed
        first += 0.01 * (gradient - first)
        second += 0.001 * (gradient * gradient - second)
        W -= rate * (first / (1 - 0.99**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        if t % 500 == 0:
            D = identity - W
            value = mu * (0.5 * np.sum(D * (S @ D)) + np.sum(price * np.abs(W))) + acyclicity.logdet(W, s)[0]
            if abs(before - value) <= 1e-6 * abs(before):
                break
            before = value
    return W
