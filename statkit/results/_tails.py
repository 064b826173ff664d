"""Tail areas and quantiles of the reference distributions; by scipy.special, as scipy.stats loads slowly."""

import numpy as np
from scipy import special

__all__ = ["chi2_tail", "f_tail", "two_sided_quantile", "two_sided_tail"]


def two_sided_tail(statistic, df):
    """P(abs(T) > abs(statistic)) for Student's t with ``df`` degrees of freedom; normal if ``df`` is None.

    ``df`` may be another law: an object with ``tail`` and ``quantile``.
    """
    if hasattr(df, "tail"):
        return df.tail(statistic)
    lower = -np.abs(statistic)
    if df is None:
        return 2.0 * special.ndtr(lower)
    return 2.0 * special.stdtr(df, lower) if df > 0 else np.full_like(lower, np.nan)


def two_sided_quantile(alpha, df):
    """The value that abs(T) exceeds with probability ``alpha``; normal if ``df`` is None."""
    if hasattr(df, "quantile"):
        return df.quantile(alpha)
    if df is None:
        return -float(special.ndtri(alpha / 2.0))
    return -float(special.stdtrit(df, alpha / 2.0)) if df > 0 else float("nan")


def chi2_tail(statistic, df):
    """P(chi-squared with ``df`` degrees of freedom > statistic)."""
    return float(special.chdtrc(df, statistic))


def f_tail(statistic, df_num, df_denom):
    """P(F with ``df_num`` and ``df_denom`` degrees of freedom > statistic)."""
    if not df_denom > 0:
        return float("nan")
    if np.isinf(df_denom):
        return chi2_tail(statistic * df_num, df_num)
    return float(special.fdtrc(df_num, df_denom, statistic))
