"""Meta-analysis: one number from several studies, with or without differences between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

__all__ = ["MetaAnalysis", "meta_analysis", "moment_tau2"]


@dataclass(frozen=True)
class MetaAnalysis:
    """Combined effects, one per column of the input.

    Attributes
    ----------
    effect, bse : ndarray of shape (q,)
    lower, upper : ndarray of shape (q,)
        Confidence limits of the (mean) effect.
    prediction_lower, prediction_upper : ndarray of shape (q,)
        Limits for the effect of a new study; NaN with fewer than three studies.
    tau2 : ndarray of shape (q,)
        Variance between studies; zero for the fixed effect.
    Q, p, I2 : ndarray of shape (q,)
        Test of equal effects, its p-value, and the share of variation that is between studies.
    effects, variances, weights : ndarray of shape (K, q)
        What was combined, and the share of every study in it.
    """

    effect: np.ndarray
    bse: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    prediction_lower: np.ndarray
    prediction_upper: np.ndarray
    tau2: np.ndarray
    Q: np.ndarray
    p: np.ndarray
    I2: np.ndarray
    effects: np.ndarray
    variances: np.ndarray
    weights: np.ndarray

    def to_frame(self, names: Any = None) -> Any:
        """The answers as a frame with a row for each column of the input."""
        import pandas as pd

        columns = (
            "effect",
            "bse",
            "lower",
            "upper",
            "prediction_lower",
            "prediction_upper",
            "tau2",
            "Q",
            "p",
            "I2",
        )
        frame = pd.DataFrame({name: getattr(self, name) for name in columns})
        return frame if names is None else frame.set_axis(list(names))


def meta_analysis(
    effects: Any,
    variances: Any,
    method: Literal["random", "fixed"] = "random",
    *,
    hartung_knapp: bool = False,
    level: float = 0.95,
) -> MetaAnalysis:
    """Combine the effects of several studies.

    Parameters
    ----------
    effects, variances : array of shape (K,) or (K, q)
        Estimates of K studies and their squared standard errors; columns are combined one by one.
    method : {"random", "fixed"}, default="random"
        "random" is DerSimonian and Laird's: studies have different effects, the answer is their mean.
    hartung_knapp : bool, default=False
        Whether the error comes from the spread of the studies, with Student's t.
    level : float, default=0.95

    Returns
    -------
    result : MetaAnalysis

    Raises
    ------
    ValueError
        For fewer than two studies, and variances that are not positive.

    Examples
    --------
    >>> from statkit.inference import meta_analysis
    >>> meta_analysis([0.1, 0.3, 0.2], [0.01, 0.02, 0.01], method="fixed").effect.round(3)
    array([0.18])

    References
    ----------
    R. DerSimonian and N. Laird (1986), Meta-analysis in clinical trials. G. Knapp and J. Hartung (2003), Improved
    tests for a random effects meta-regression with a single covariate.
    """
    b, v = np.asarray(effects, dtype=float), np.asarray(variances, dtype=float)
    if b.shape != v.shape or b.ndim not in (1, 2):
        raise ValueError(f"effects {b.shape} and variances {v.shape} must have one shape, (K,) or (K, q)")
    b, v = b.reshape(len(b), -1), v.reshape(len(v), -1)
    K = len(b)
    if K < 2:
        raise ValueError(f"a meta-analysis needs at least 2 studies, not {K}")
    if not (np.isfinite(b).all() and np.isfinite(v).all() and (v > 0).all()):
        row = int(np.argmin((np.isfinite(b) & np.isfinite(v) & (v > 0)).all(axis=1)))
        raise ValueError(f"study {row} has an effect or a variance that is not finite and positive")
    if method not in ("random", "fixed"):
        raise ValueError(f"method must be 'random' or 'fixed', not {method!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")
    w = 1 / v
    total = w.sum(axis=0)
    Q = (w * (b - (w * b).sum(axis=0) / total) ** 2).sum(axis=0)
    tau2 = np.zeros(b.shape[1])
    if method == "random":
        tau2 = np.maximum(0.0, (Q - (K - 1)) / (total - (w**2).sum(axis=0) / total))
    w = 1 / (v + tau2)
    total = w.sum(axis=0)
    effect = (w * b).sum(axis=0) / total
    bse = total**-0.5
    if hartung_knapp:
        bse = np.sqrt((w * (b - effect) ** 2).sum(axis=0) / (K - 1) / total)
    tail = (1 + level) / 2
    reach = (stats.t.ppf(tail, K - 1) if hartung_knapp else stats.norm.ppf(tail)) * bse
    # A new study differs from the mean by the error of the mean and by the spread of studies.
    far = stats.t.ppf(tail, K - 2) * np.sqrt(tau2 + bse**2) if K > 2 else np.full(len(bse), np.nan)
    return MetaAnalysis(
        effect, bse, effect - reach, effect + reach, effect - far, effect + far, tau2, Q,
        stats.chi2.sf(Q, K - 1), np.maximum(0.0, 1 - (K - 1) / np.maximum(Q, 1e-300)),
        b, v, w / total,
    )  # fmt: skip


def moment_tau2(effects: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Covariance between studies by moments; with one effect, DerSimonian and Laird's variance.

    Parameters
    ----------
    effects : ndarray of shape (K, q)
    covariances : ndarray of shape (K, q, q)
        Of the effects within studies.

    Returns
    -------
    T : ndarray of shape (q, q)
        Positive semidefinite: what the moments have below zero is set to zero.

    References
    ----------
    D. Jackson, I. R. White and R. D. Riley (2013), A matrix-based method of moments for fitting the multivariate
    random effects model for meta-analysis and meta-regression.
    """
    W = np.linalg.inv(covariances)
    whole = W.sum(axis=0)
    center = np.linalg.solve(whole, np.einsum("kij,kj->i", W, effects))
    away = effects - center
    # E Σ W (b − c)(b − c)' = (K − 1) I + (Σ W − Σ W (ΣW)⁻¹ W) T
    moment = np.einsum("kij,kj,kl->il", W, away, away)
    slope = whole - sum(w @ np.linalg.solve(whole, w) for w in W)
    T = np.linalg.solve(slope, moment - (len(effects) - 1) * np.eye(effects.shape[1]))
    values, vectors = np.linalg.eigh((T + T.T) / 2)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
