"""scikit-learn's checks of estimators whose plan is stochastic gradient descent."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.plans import AveragedSGD, FixedMinibatch
from statkit.regression import GLMClassifier, GLMRegressor, QuantileRegressor

# A row of weight two is one longer step and not two steps; scikit-learn's own SGD says the same.
STEPS = {
    "check_sample_weight_equivalence_on_dense_data": "a row of weight two is one step",
    "check_sample_weight_equivalence_on_sparse_data": "a row of weight two is one step",
}


def known(estimator):
    return STEPS if isinstance(estimator.plan, AveragedSGD) else {}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        GLMRegressor(plan=AveragedSGD()),
        GLMClassifier(plan=AveragedSGD(inference="rs_diag")),
        QuantileRegressor(plan=AveragedSGD()),
    ],
    expected_failed_checks=known,
)
def test_checks(estimator, check):
    check(estimator)


def test_fixed_blocks_need_as_many_rows():
    with pytest.raises(ValueError, match="cannot be split"):
        GLMRegressor(plan=FixedMinibatch(20)).fit([[1.0], [2.0]], [1.0, 2.0])
