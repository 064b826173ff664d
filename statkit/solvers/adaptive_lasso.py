"""Adaptive lasso on a quadratic: the path of min (β − b)'Ω(β − b) + λ Σ |β_j| / |b_j|, and criteria at its knots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["AdaptivePath", "adaptive_lasso_path"]


@dataclass
class AdaptivePath:
    """Knots of the path, from the empty model to the full one.

    Attributes
    ----------
    coefs : ndarray of shape (m, q)
    loss : ndarray of shape (m,)
        (β − b)'Ω(β − b).
    df : ndarray of shape (m,)
        Nonzero coefficients without the intercept.
    """

    coefs: np.ndarray
    loss: np.ndarray
    df: np.ndarray

    def criterion(self, price: float) -> np.ndarray:
        """Loss plus ``price`` for every coefficient: log N for BIC, 2 for AIC."""
        return self.loss + price * self.df


def adaptive_lasso_path(Omega: np.ndarray, b: np.ndarray, *, intercept: bool = False) -> AdaptivePath:
    """The path for an estimate ``b`` with inverse covariance ``Omega``; a first intercept is never penalised.

    Coefficients that are zero in ``b`` stay zero. Between knots the loss falls while the number of coefficients
    stays, so that the best model of a size is at a knot.

    References
    ----------
    H. Zou (2006), The adaptive lasso and its oracle properties. H. Wang and C. Leng (2007), Unified LASSO
    estimation by least squares approximation.
    """
    from sklearn.linear_model import lars_path_gram

    i = int(intercept)
    slopes = b[i:]
    G = Omega[i:, i:]
    if intercept:
        G = G - np.outer(Omega[1:, 0], Omega[0, 1:]) / Omega[0, 0]
    used = np.flatnonzero(slopes)
    D = np.abs(slopes[used])
    gram = G[np.ix_(used, used)] * D * D[:, None]
    coefs = np.zeros((1, len(b)))
    if len(used):
        # Unit size: the path does not depend on it, the solver's tolerances do.
        size = np.trace(gram) / len(used)
        gram = gram / size
        _, _, path = lars_path_gram(
            gram @ np.sign(slopes[used]), gram, n_samples=1, method="lasso", alpha_min=0
        )
        coefs = np.zeros((path.shape[1], len(b)))
        coefs[:, i + used] = (D[:, None] * path).T
    if intercept:
        coefs[:, 0] = b[0] + (slopes - coefs[:, 1:]) @ Omega[0, 1:] / Omega[0, 0]
    away = coefs - b
    loss = np.maximum(np.einsum("ij,jk,ik->i", away, Omega, away), 0.0)
    return AdaptivePath(coefs, loss, np.count_nonzero(coefs[:, i:], axis=1))
