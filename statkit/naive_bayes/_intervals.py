"""Confidence intervals of probabilities on the logit scale, and of counts of errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm


def logit_interval(p, se, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Wald interval of the logit of ``p``, back on the scale of ``p``; NaN where ``p`` is 0 or 1."""
    p, se = np.asarray(p, dtype=float), np.asarray(se, dtype=float)
    inside = (p > 0) & (p < 1) & np.isfinite(se)
    safe = np.where(inside, p, 0.5)
    width = norm.ppf((1.0 + level) / 2.0) * np.where(inside, se, np.nan) / (safe * (1.0 - safe))
    return expit(logit(safe) - width), expit(logit(safe) + width)


def interval_frame(
    classes: np.ndarray, T: np.ndarray, se: np.ndarray, level: float, limits: dict
) -> pd.DataFrame:
    """Estimates, standard errors and limits of the cells of a transition matrix.

    ``limits`` has the upper limits of cells (row, column) at zero.
    """
    lower, upper = logit_interval(T, se, level)
    for cell, limit in limits.items():
        lower[cell], upper[cell] = 0.0, limit
    return pd.DataFrame(
        {"estimate": T.ravel(), "std_err": se.ravel(), "lower": lower.ravel(), "upper": upper.ravel()},
        index=pd.MultiIndex.from_product([classes, classes], names=["true", "given"]),
    )


def count_interval(probability: np.ndarray, level: float, rate_se: float | None) -> tuple[float, float]:
    """Interval of the number of errors: of independent events, and of the rate if its error is known."""
    expected = probability.sum()
    variance = (probability * (1.0 - probability)).sum()
    if rate_se is not None and np.isfinite(rate_se):
        variance += (len(probability) * rate_se) ** 2
    half = norm.ppf((1.0 + level) / 2.0) * np.sqrt(variance)
    return max(expected - half, 0.0), min(expected + half, float(len(probability)))
