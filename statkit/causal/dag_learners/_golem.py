"""GOLEM: the Gaussian likelihood with soft penalties on size and on cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.causal import acyclicity
from statkit.causal.dag_learners._descent import minimise_l1

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["golem", "golem_loss"]


def golem_loss(W, S, equal_var: bool) -> tuple[float, np.ndarray]:
    """Return the negative profile log-likelihood a row, up to a constant, and its gradient.

    Parameters
    ----------
    W, S : ndarray of shape (d, d)
    equal_var : bool
        One noise variance for all columns.

    Returns
    -------
    value : float
    gradient : ndarray of shape (d, d)
    """
    d = len(S)
    D = np.eye(d) - W
    sign, logdet = np.linalg.slogdet(D)
    if sign == 0:
        return np.inf, np.zeros_like(D)
    SD = S @ D
    inverse = np.linalg.inv(D).T
    if equal_var:
        total = np.sum(D * SD)
        return float(0.5 * d * np.log(total) - logdet), -d / total * SD + inverse
    variances = np.sum(D * SD, axis=0)
    return float(0.5 * np.log(variances).sum() - logdet), -SD / variances + inverse


def golem(
    S: ArrayLike,
    *,
    lambda1: float = 0.02,
    lambda2: float = 5.0,
    equal_var: bool = True,
    knowledge: Any = None,
    start: ArrayLike | None = None,
) -> np.ndarray:
    """Minimise the Gaussian negative log-likelihood + λ₁‖W‖₁ + λ₂ (tr exp(W∘W) − d).

    With unequal variances the search starts from the solution with equal ones. Cycles are penalised, not
    excluded: cut small weights afterwards (`statkit.causal.acyclicity.prune_to_acyclic`).

    Parameters
    ----------
    S : array-like of shape (d, d)
        Covariance matrix.
    lambda1 : float, default=0.02
        The authors use 0.02 with equal and 0.002 with unequal variances.
    lambda2 : float, default=5.0
    equal_var : bool, default=True
        One noise variance for all columns.
    knowledge : Knowledge, default=None
    start : array-like of shape (d, d), default=None
        First weights; zero if None.

    Returns
    -------
    ndarray of shape (d, d)

    References
    ----------
    I. Ng, A. Ghassami, K. Zhang (2020), "On the role of sparsity and DAG constraints for learning linear
    DAGs".

    Examples
    --------
    >>> from statkit.causal.dag_learners import golem
    >>> golem([[1, 2], [2, 5]]).round(1) + 0.0
    array([[0., 2.],
           [0., 0.]])
    """
    S = np.asarray(S, dtype=float)

    def solve(start, equal_var, lambda1):
        def smooth(W):
            value, gradient = golem_loss(W, S, equal_var)
            cycles, slope = acyclicity.expm(W)
            return value + lambda2 * cycles, gradient + lambda2 * slope

        return minimise_l1(smooth, start, lambda1, knowledge, maxiter=2000, maxfun=4000)

    if start is None:
        start = np.zeros_like(S)
        if not equal_var:
            start = solve(start, True, 0.02)
    return solve(np.asarray(start, dtype=float), equal_var, lambda1)
