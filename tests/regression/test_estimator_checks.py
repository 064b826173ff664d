"""The estimators keep scikit-learn's contracts."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.regression import GLMClassifier, GLMRegressor


@parametrize_with_checks(
    [GLMRegressor(), GLMClassifier(), GLMClassifier(alpha=0.1), GLMRegressor(na_action="raise")]
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)
