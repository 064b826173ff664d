"""What a fit returns: the Estimate, its tables, Wald tests and covariance estimators."""

from statkit.results.covariance import (
    cluster_covariance,
    hc0_covariance,
    hc1_covariance,
    model_covariance,
    sandwich_covariance,
)
from statkit.results.effects import Effects
from statkit.results.estimate import Estimate
from statkit.results.summary import Summary
from statkit.results.wald import WaldTest

__all__ = [
    "Effects",
    "Estimate",
    "Summary",
    "WaldTest",
    "cluster_covariance",
    "hc0_covariance",
    "hc1_covariance",
    "model_covariance",
    "sandwich_covariance",
]
