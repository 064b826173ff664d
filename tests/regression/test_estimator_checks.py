"""The estimators keep scikit-learn's contracts."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.plans import Renewable
from statkit.regression import GLMClassifier, GLMRegressor, QuantileRegressor


def batches(estimator):
    """A stream takes rows as they come: of 15 rows, some waiting, a bandwidth depends on how many came."""
    if not isinstance(estimator, QuantileRegressor):
        return {}
    return {
        f"check_sample_weight_equivalence_on_{data}": "the bandwidth of the smoothed loss follows the rows"
        for data in ("dense_data", "sparse_data")
    }


@parametrize_with_checks(
    [
        GLMRegressor(),
        GLMClassifier(),
        GLMClassifier(alpha=0.1),
        GLMRegressor(plan=Renewable()),
        GLMClassifier(plan=Renewable()),
        QuantileRegressor(plan=Renewable()),
    ],
    expected_failed_checks=batches,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)
