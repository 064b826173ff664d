"""Intervals for predictions under R's names: mean, lower and upper."""

from __future__ import annotations

__all__ = ["interval"]


def interval(model, X, level, kind, offset):
    """Frame with ``mean``, ``lower`` and ``upper`` for every row of ``X``."""
    from statkit.regression.predicting import predictions

    if kind not in ("mean", "observation"):
        raise ValueError(f"kind must be 'mean' or 'observation', not {kind!r}")
    family = model._fitted_family
    if kind == "observation" and not (family.name == "gaussian" and family.link_name == "identity"):
        raise ValueError("kind='observation' is for the gaussian family with identity link; use kind='mean'")
    asked, what = ("confidence", "mean_ci") if kind == "mean" else ("prediction", "obs_ci")
    frame = predictions(model, X, interval=asked, level=level, offset=offset, engine="threads")
    names = {"mean": "mean", f"{what}_lower": "lower", f"{what}_upper": "upper"}
    return frame[list(names)].rename(columns=names)
