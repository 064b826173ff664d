"""Intervals for predictions: the mean by the delta method on the link scale, observations for gaussian errors."""

from __future__ import annotations

import numpy as np

__all__ = ["interval"]


def interval(model, X, level, kind, offset):
    """Frame with ``mean``, ``lower`` and ``upper`` for every row of ``X``."""
    import pandas as pd
    from scipy import stats

    from statkit.results.random_scaling import ppf

    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, not {level!r}")
    if kind not in ("mean", "observation"):
        raise ValueError(f"kind must be 'mean' or 'observation', not {kind!r}")
    family, estimate = model._fitted_family, model.estimate_
    if kind == "observation" and not (family.name == "gaussian" and family.link_name == "identity"):
        raise ValueError("kind='observation' is for the gaussian family with identity link; use kind='mean'")
    if estimate.covariance.ndim == 1 or np.isnan(estimate._bse).all():
        raise ValueError(
            f"{estimate.plan} gives no covariance of the coefficients, which intervals of predictions need"
        )
    eta, error = model._eta_and_error(X, offset)
    tail = (1 + level) / 2
    q = stats.t.ppf(tail, estimate.df_resid) if estimate.use_t else stats.norm.ppf(tail)
    if estimate.reference is not None:
        q = (
            ppf(level)
            if estimate.reference == "random scaling"
            else stats.t.ppf(tail, estimate.df_resid_inference)
        )
    if kind == "observation":
        error = np.sqrt(error**2 + estimate.scale)
    ends = family.inverse_link(eta - q * error), family.inverse_link(eta + q * error)
    index = getattr(X, "index", None)
    return pd.DataFrame(
        {"mean": family.inverse_link(eta), "lower": np.minimum(*ends), "upper": np.maximum(*ends)},
        index=index if isinstance(index, pd.Index) else None,
    )
