"""What a fit returns: the Estimate, its tables, Wald tests and covariance estimators."""

from statkit.results.covariance import (
    cluster_covariance,
    hc0_covariance,
    hc1_covariance,
    model_covariance,
    sandwich_covariance,
)
from statkit.results.estimate import Estimate
from statkit.results.multiplicity import LinearTests, adjusted_pvalues
from statkit.results.summary import Summary, Table
from statkit.results.wald import WaldTest

__all__ = [
    "Estimate",
    "LinearTests",
    "Summary",
    "Table",
    "WaldTest",
    "adjusted_pvalues",
    "cluster_covariance",
    "hc0_covariance",
    "hc1_covariance",
    "model_covariance",
    "sandwich_covariance",
]
