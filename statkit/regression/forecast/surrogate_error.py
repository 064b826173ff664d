"""How far rounds of gradients end from the exact estimate, when a sample stands for the curvature of all rows.

A round leaves (I − H_s⁻¹ H) δ of a distance δ. Of a sample of m random rows the curvature H_s differs from H by a mean
of m independent matrices: a random δ shrinks by ρ, ρ² = (mean h² / p − 1) / m, with h the leverage of a row in units of
its mean over p. The mean over machines of what each leaves is of second order in their ρ: it is no mean of zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statkit.regression.forecast.pilot import Pilot
from statkit.regression.forecast.sampling_error import at_estimate
from statkit.solvers.cholesky import Factor

__all__ = ["curvature_spread", "rounds_distance"]

#: Products of a row's columns from which leverages are summed.
_MOST_PRODUCTS = 2e8


def curvature_spread(pilot: Pilot) -> float:
    """m ρ²: how much the curvature of a random row differs from the mean, along a random direction."""
    q = len(pilot.theta)
    rows = at_estimate(pilot)
    count = int(min(pilot.n, max(_MOST_PRODUCTS / q**2, 1_000)))
    index = np.sort(np.random.default_rng(5).choice(pilot.n, count, replace=False))
    values, vectors = np.linalg.eigh(np.nan_to_num(Factor(pilot.information).inverse()))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    h = pilot.n * rows.w[index] * rows.scaled.take(index).row_norms(root) ** 2
    return float(max(np.mean(h**2) / q - 1.0, 0.0))


def rounds_distance(
    plan: Any, pilot: Pilot, start: float, size: float, n_rows: int, curvature: float = 1.0
) -> float:
    """Distance after the rounds of a plan that begin at the distance ``start``.

    Parameters
    ----------
    size : float
        Rows of the sample, or of one machine, that stand for all.
    curvature : float
        Of a row of the sample over that of a row of all: with another than 1 a round goes a part of the way.
    """
    if curvature != 1.0:
        return start * abs(1.0 - 1.0 / curvature) ** plan.n_rounds
    squared = curvature_spread(pilot) * max(1 / size - 1 / n_rows, 0.0)
    if plan.method != "csl":
        rate = squared
        if plan.method == "cease":
            rate += 0.1 * len(pilot.theta) / size if plan.proximal == "auto" else float(plan.proximal)
        return start * min(rate, 1.0) ** plan.n_rounds
    # The same sample each time: its second power has twice the squared length of two independent ones.
    repeated = np.sqrt(2.0) if plan.n_rounds > 1 else 1.0
    return start * min(np.sqrt(squared), 1.0) ** plan.n_rounds * repeated
