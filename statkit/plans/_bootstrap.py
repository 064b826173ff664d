"""Multiplier bootstrap of an estimate: random multipliers of rows, or of the machines' gradients."""

from __future__ import annotations

import numpy as np

from statkit.rounds.multipliers import DRAWS

__all__ = ["GRADIENTS", "bootstrap_results", "gradient_bootstrap"]

#: Machines from which the spread of their gradients tells the error; with fewer, rows are resampled.
GRADIENTS = 20
_LEVEL = 0.05


def gradient_bootstrap(problem, combined, theta):
    """Covariance and results of the K-grad bootstrap: H⁻¹ Σ e_k (g_k − ḡ) with normal e_k.

    References
    ----------
    Y. Yu, S.-K. Chao and G. Cheng (2020), Simultaneous inference for massive data: distributed bootstrap.
    """
    K = len(combined.machines)
    if K < GRADIENTS:
        raise ValueError(
            f"cov_type='bootstrap' resamples the gradients of machines: {K} are too few, {GRADIENTS} are needed; "
            "Exact(), OneStep() and LeastSquaresApproximation() resample rows"
        )
    scores = np.array([m["H"] @ (m["theta"] - theta) for m in combined.machines])
    inverse = combined.factor.inverse()
    scores = (scores - scores.mean(axis=0)) * np.sqrt(K / (K - 1))
    covariance = inverse @ (scores.T @ scores) @ inverse
    multipliers = np.random.default_rng([problem.seed, DRAWS]).standard_normal((DRAWS, K))
    return covariance, bootstrap_results(problem, theta, covariance, multipliers @ scores @ inverse)


def bootstrap_results(problem, theta, covariance, draws) -> dict:
    """Draws of β* − β in public units, and bands that cover all coefficients at once.

    Parameters
    ----------
    draws : ndarray of shape (B, q)
        Internal coordinates.
    """
    import pandas as pd

    keep = ~np.isnan(np.diag(covariance))
    shift = problem.public_values(np.where(keep, theta, np.nan))
    moved = np.array([problem.public_values(np.where(keep, theta + d, np.nan)) for d in draws]) - shift
    error = np.sqrt(np.diag(problem.public_matrix(covariance)))
    seen = np.isfinite(error) & (error > 0)
    reach = float(np.quantile(np.abs(moved[:, seen] / error[seen]).max(axis=1), 1 - _LEVEL))
    names = problem.names * problem.family.predictors
    bands = pd.DataFrame({0: shift - reach * error, 1: shift + reach * error}, index=names)
    return {"bootstrap_draws": moved, "simultaneous_conf_int": bands}
