"""What a fit returns: the Estimate, its tables, tests and covariance estimators; fits against each other."""

from statkit.results.anova import LikelihoodRatioTest, anova, likelihood_ratio_test
from statkit.results.comparison import compare
from statkit.results.covariance import (
    cluster_covariance,
    hc0_covariance,
    hc1_covariance,
    model_covariance,
    sandwich_covariance,
)
from statkit.results.effects import Effects
from statkit.results.estimate import Estimate
from statkit.results.multiplicity import LinearTests, adjusted_pvalues
from statkit.results.summary import Summary, Table
from statkit.results.wald import WaldTest

__all__ = [
    "Effects",
    "Estimate",
    "LikelihoodRatioTest",
    "LinearTests",
    "Summary",
    "Table",
    "WaldTest",
    "adjusted_pvalues",
    "anova",
    "cluster_covariance",
    "compare",
    "hc0_covariance",
    "hc1_covariance",
    "likelihood_ratio_test",
    "model_covariance",
    "sandwich_covariance",
]
