"""What the families share whose loss is no likelihood: quantiles, robust losses, and those that users define."""

from __future__ import annotations

import math

import numpy as np

from .base import Family

__all__ = ["LossFamily"]


class LossFamily(Family):
    """A loss of a linear predictor that is to be least; there is no deviance and no log-likelihood to compare by."""

    links = ("identity",)
    support = "finite values"

    def variance(self, mu, shape=None):
        return np.ones_like(mu)

    def _sums_of(self, eta, y, weight, shape, loss, r, w):
        return {"loss": loss, "pearson": math.nan, "deviance": math.nan}

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """NaN: the loss is no likelihood."""
        return math.nan

    def null_loss(self, sum_y, sum_w, shape=None):
        return math.nan

    def null_eta(self, sum_y, sum_w):
        """The mean: a start, not the model with an intercept only."""
        return sum_y / sum_w
