"""NOTEARS-ICA: the likelihood of logistic-type noise under a smooth constraint of acyclicity."""

from __future__ import annotations

import numpy as np

from statkit.causal import acyclicity
from statkit.causal.dag_learners._descent import augmented_lagrangian, minimise_l1

__all__ = ["ica_loss", "notears_ica"]


def ica_loss(W, X, w) -> tuple[float, np.ndarray]:
    """Return the negative log-likelihood a row under super-Gaussian noise of one scale, and its gradient.

    Parameters
    ----------
    W : ndarray of shape (d, d)
    X : ndarray of shape (n, d)
        Centred.
    w : ndarray of shape (n,)
        Weights that sum to 1.

    Returns
    -------
    value : float
    gradient : ndarray of shape (d, d)
    """
    d = X.shape[1]
    D = np.eye(d) - W
    sign, logdet = np.linalg.slogdet(D)
    if sign == 0:
        return np.inf, np.zeros_like(D)
    E = X @ D
    sigma = np.sqrt(np.sum(w[:, None] * E * E) / d)
    s = E / sigma
    a = np.abs(s)
    value = 2 * np.sum(w @ (a + np.log1p(np.exp(-2 * a)) - np.log(2))) + d * np.log(sigma) - logdet
    g = 2 * w[:, None] * np.tanh(s)
    slope = g / sigma + (d / sigma - np.sum(g * s) / sigma) * w[:, None] * E / (d * sigma)
    return float(value), -X.T @ slope + np.linalg.inv(D).T


def notears_ica(X, *, sample_weight=None, lambda1: float = 0.1, knowledge=None, start=None) -> np.ndarray:
    """Learn weights of a linear model with super-Gaussian noise by penalised likelihood.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Without missing values.
    sample_weight : array-like of shape (n,), default=None
    lambda1 : float, default=0.1
    knowledge : Knowledge, default=None
    start : array-like of shape (d, d), default=None
        First weights; zero if None.

    Returns
    -------
    ndarray of shape (d, d)

    References
    ----------
    X. Zheng (2020), "Learning DAGs with continuous optimization"; E. Gao et al. (2022), "MissDAG".

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal.dag_learners.ica import notears_ica
    >>> e = np.random.default_rng(0).laplace(size=(500, 2))
    >>> notears_ica(np.column_stack([e[:, 0], 2 * e[:, 0] + e[:, 1]]), lambda1=0.01).round(0) + 0.0
    array([[0., 2.],
           [0., 0.]])
    """
    X = np.asarray(X, dtype=float)
    w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    w = w / w.sum()
    X = X - w @ X

    def solve(W, rho, alpha):
        def smooth(W):
            value, gradient = ica_loss(W, X, w)
            h, slope = acyclicity.expm(W)
            return value + 0.5 * rho * h * h + alpha * h, gradient + (rho * h + alpha) * slope

        return minimise_l1(smooth, W, lambda1, knowledge, maxiter=500)

    first = np.zeros((X.shape[1],) * 2) if start is None else np.asarray(start, dtype=float)
    return augmented_lagrangian(solve, lambda W: acyclicity.expm(W)[0], first, h_tol=1e-6, rho_max=1e10)
