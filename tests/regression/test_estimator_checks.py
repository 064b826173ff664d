"""The estimators keep scikit-learn's contracts."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.plans import Renewable
from statkit.regression import GLMClassifier, GLMRegressor, QuantileRegressor


@parametrize_with_checks(
    [
        GLMRegressor(),
        GLMClassifier(),
        GLMClassifier(alpha=0.1),
        GLMRegressor(plan=Renewable()),
        GLMClassifier(plan=Renewable()),
        QuantileRegressor(plan=Renewable()),
    ]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)
