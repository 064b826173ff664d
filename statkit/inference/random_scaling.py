"""Random scaling: p-values, critical values and joint tests at any level, from the exact distribution."""

from statkit.results.random_scaling import ppf, sf, wald_ppf, wald_sf

__all__ = ["ppf", "sf", "wald_ppf", "wald_sf"]
