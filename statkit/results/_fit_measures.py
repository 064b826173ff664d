"""How well a model fits: information criteria and shares of explained variation, from likelihoods and deviances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["FitMeasures"]


class FitMeasures:
    """Measures of fit of what :class:`~statkit.results.Estimate` holds."""

    family: str
    link: str
    nobs: int
    rank: int
    df_model: float
    df_resid: float
    llf: float
    deviance: float
    null_deviance: float
    scale: float
    shape: Any

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 llf + 2 (rank + estimated shape parameters).

        As statsmodels' GLM, an estimated dispersion is not counted (R counts it for gaussian and gamma).
        """
        return -2.0 * self.llf + 2.0 * (self.rank + len(self.shape))

    @property
    def bic(self) -> float:
        """Schwarz' criterion, -2 llf + log(nobs) (rank + estimated shape parameters).

        As statsmodels' ``bic_llf``, not its older criterion from the deviance.
        """
        return -2.0 * self.llf + math.log(self.nobs) * (self.rank + len(self.shape))

    @property
    def bic_llf(self) -> float:
        """`bic` under the name that statsmodels' GLM gives it."""
        return self.bic

    @property
    def llnull(self) -> float:
        """Log-likelihood with the intercept alone, from the two deviances.

        At the same dispersion and shape; for the gaussian family at its own, as ``llf`` is.
        """
        if self.family == "gaussian":
            with np.errstate(divide="ignore", invalid="ignore"):
                return float(
                    self.llf - 0.5 * self.nobs * np.log(np.divide(self.null_deviance, self.deviance))
                )
        return self.llf - 0.5 * (self.null_deviance - self.deviance) / self.scale

    def pseudo_rsquared(self, kind: str = "cs") -> float:
        """Share of explained variation.

        Parameters
        ----------
        kind : {"cs", "mcf"}
            Cox and Snell (1989), which is R² for the gaussian family, or McFadden (1974).
        """
        if kind == "cs":
            return -math.expm1(2.0 / self.nobs * (self.llnull - self.llf))
        if kind == "mcf":
            return 1.0 - self.llf / self.llnull
        raise ValueError(f'kind must be "cs" or "mcf", got {kind!r}')

    @property
    def rsquared(self) -> float:
        """Share of explained variance; NaN outside linear regression: see `pseudo_rsquared`."""
        linear = self.family == "gaussian" and self.link == "identity"
        return 1.0 - self.deviance / self.null_deviance if linear else math.nan

    @property
    def rsquared_adj(self) -> float:
        """`rsquared`, adjusted for the number of parameters."""
        return 1.0 - (1.0 - self.rsquared) * (self.df_resid + self.df_model) / self.df_resid
