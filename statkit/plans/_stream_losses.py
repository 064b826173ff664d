"""Losses of streams that are no likelihoods: the smoothed check loss and Huber's, with sandwich errors.

Both have a length in units of the response (a bandwidth, a threshold) that comes from the first rows' residuals.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from statkit.families.loss import LossFamily

__all__ = ["SmoothedQuantile", "StreamHuber", "residual_spread"]


def residual_spread(e: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Median absolute deviation of residuals in units of a normal's σ; their deviation where most are equal."""
    a = np.ones_like(e) if weight is None else weight
    deviation = np.abs(e - _weighted_quantile(e, a, 0.5))
    spread = _weighted_quantile(deviation, a, 0.5) / 0.6744897501960817
    if not spread > 0:
        spread = math.sqrt(float(np.average(deviation**2, weights=a)))
    return spread if spread > 0 else 1.0


def _weighted_quantile(values, weight, level) -> float:
    order = np.argsort(values)
    share = np.cumsum(weight[order])
    return float(values[order][min(np.searchsorted(share, level * share[-1]), len(values) - 1)])


class _Loss(LossFamily):
    """What the two share: errors by the sandwich."""

    sandwich = True

    def _filled(self, loss, weight, r, w):
        if weight is not None:
            loss, r[:], w[:] = loss * weight, r * weight, w * weight
        return float(loss.sum())


class SmoothedQuantile(_Loss):
    """The check loss convolved with a normal kernel of bandwidth ``shape``.

    M. Fernandes, E. Guerre and E. Horta (2021), Smoothing quantile regressions; X. He, X. Pan, K. M. Tan and W.-X.
    Zhou (2023), Smoothed quantile regression with large-scale inference.
    """

    name = "quantile"

    def __init__(self, tau=0.5):
        self._given = {"tau": tau}
        self.tau = float(tau)
        self.link_name = "identity"

    def length(self, spread: float, q: int, n: int) -> float:
        """Bandwidth for ``n`` rows and ``q`` coefficients."""
        return spread * ((q + math.log(n + 1)) / max(n, 1)) ** 0.4

    def unit(self, spread: float) -> float:
        """About the variance of a score over its information: what a standard error's square is worth."""
        return self.tau * (1 - self.tau) * 2.5 * spread

    def link(self, eta, y, weight, shape, context, r, w):
        h = float(shape[0])
        u = (y - eta) / h
        below = special.ndtr(-u)
        density = np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)
        np.subtract(self.tau, below, out=r)
        np.divide(density, h, out=w)
        return self._filled(h * (density + u * (self.tau - below)), weight, r, w)


class StreamHuber(_Loss):
    """Squares of small residuals, absolute values of those beyond ``threshold`` times their scale.

    Parameters
    ----------
    threshold : float, default=1.345
        In units of the residuals' scale, the median absolute deviation; 1.345 is 95 % efficient for normal errors.
    """

    name = "huber"

    def __init__(self, threshold=1.345, link=None):
        if not threshold > 0:
            raise ValueError(f"threshold must be positive, not {threshold!r}")
        self._set(threshold=threshold, link=link)
        self.threshold = float(threshold)

    def length(self, spread: float, q: int, n: int) -> float:
        """Threshold in units of the response."""
        return self.threshold * spread

    def unit(self, spread: float) -> float:
        return spread**2

    def link(self, eta, y, weight, shape, context, r, w):
        c = float(shape[0]) if shape is not None and len(shape) else self.threshold
        e = y - eta
        np.clip(e, -c, c, out=r)
        np.less_equal(np.abs(e), c, out=w, casting="unsafe")
        return self._filled(np.where(w > 0, 0.5 * e * e, c * np.abs(e) - 0.5 * c * c), weight, r, w)
