"""NOTEARS: least squares with L1 under a smooth constraint of acyclicity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.causal import acyclicity
from statkit.causal.dag_learners._descent import augmented_lagrangian, minimise_l1

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["notears"]

_CONSTRAINTS = {"expm": acyclicity.expm, "poly": acyclicity.poly}


def notears(
    S: ArrayLike,
    *,
    lambda1: float = 0.02,
    constraint: str = "expm",
    knowledge: Any = None,
    start: ArrayLike | None = None,
    h_tol: float = 1e-8,
    rho_max: float = 1e16,
) -> np.ndarray:
    """Minimise ½ tr((I−W)ᵀS(I−W)) + λ‖W‖₁ over acyclic weights, by an augmented Lagrangian.

    The answer depends on the units of the columns and is biased towards zero; small weights remain that
    should be cut (`statkit.causal.acyclicity.prune_to_acyclic`).

    Parameters
    ----------
    S : array-like of shape (d, d)
        Covariance matrix.
    lambda1 : float, default=0.02
    constraint : {"expm", "poly"}, default="expm"
        The smooth function that is driven to zero.
    knowledge : Knowledge, default=None
    start : array-like of shape (d, d), default=None
        First weights; zero if None.
    h_tol : float, default=1e-8
        Stop when the constraint is below.
    rho_max : float, default=1e16
        Largest penalty of the augmented Lagrangian.

    Returns
    -------
    ndarray of shape (d, d)

    References
    ----------
    X. Zheng, B. Aragam, P. Ravikumar, E. P. Xing (2018), "DAGs with NO TEARS: continuous optimization for
    structure learning".

    Examples
    --------
    >>> from statkit.causal.dag_learners import notears
    >>> notears([[1, 2], [2, 5]]).round(1) + 0.0
    array([[0., 2.],
           [0., 0.]])
    """
    S = np.asarray(S, dtype=float)
    if constraint not in _CONSTRAINTS:
        raise ValueError(f"constraint must be 'expm' or 'poly', not {constraint!r}")
    h = _CONSTRAINTS[constraint]
    identity = np.eye(len(S))

    def solve(W, rho, alpha):
        def smooth(W):
            D = identity - W
            SD = S @ D
            value, gradient = h(W)
            loss = 0.5 * np.sum(D * SD) + 0.5 * rho * value**2 + alpha * value
            return loss, -SD + (rho * value + alpha) * gradient

        return minimise_l1(smooth, W, lambda1, knowledge)

    first = np.zeros_like(S) if start is None else np.asarray(start, dtype=float)
    return augmented_lagrangian(solve, lambda W: h(W)[0], first, h_tol=h_tol, rho_max=rho_max)
