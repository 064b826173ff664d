"""What t-values are compared to where it is neither the normal nor Student's law with the usual degrees of freedom."""

from __future__ import annotations

from statkit.results.wald import WaldTest, linear_effect

__all__ = ["RANDOM_SCALING", "REFERENCES"]

#: Values of ``Estimate.reference``: Student's t with ``df_resid_inference`` whether or not the dispersion was
#: estimated; random scaling; limits that are the extremes of independent estimates.
REFERENCES = (None, "t", "random scaling", "chains")


class _RandomScaling:
    """In the place of degrees of freedom."""

    def tail(self, statistic):
        from statkit.results.random_scaling import sf

        return sf(statistic)

    def quantile(self, alpha):
        from statkit.results.random_scaling import ppf

        return ppf(1.0 - alpha)

    def wald(self, R, q, params, covariance, hypothesis):
        from statkit.results.random_scaling import wald_sf

        effect, bse, chi2 = linear_effect(R, q, params, covariance, hypothesis)
        p = wald_sf(chi2, len(effect))
        return WaldTest(hypothesis, chi2, p, len(effect), None, "random scaling", effect, bse)


RANDOM_SCALING = _RandomScaling()
