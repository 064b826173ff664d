"""scikit-learn's own checks of every estimator of the family."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.cluster import PAC, Fanny, FuzzyCMeans, GraphPAC, OnlinePAC, PACHead

# As for KMeans: weights and copies agree at the fixed point, not step by step from a random start.
WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": "starts and orders are drawn a row",
    "check_sample_weight_equivalence_on_sparse_data": "starts and orders are drawn a row",
}
# The check reads the classifier tags of whatever has predict_proba and takes sparse rows.
SPARSE = {
    "check_estimator_sparse_array": "the check takes a clusterer with predict_proba for a classifier",
    "check_estimator_sparse_matrix": "the check takes a clusterer with predict_proba for a classifier",
}


def expected_failures(estimator):
    if isinstance(estimator, PACHead):
        return {}
    if isinstance(estimator, FuzzyCMeans | Fanny) or getattr(estimator, "metric", "") == "euclidean":
        return {k: v for k, v in WEIGHTS.items() if "dense" in k}
    return WEIGHTS | SPARSE


@pytest.mark.filterwarnings("ignore::UserWarning")
@parametrize_with_checks(
    [
        PAC(2),
        PAC(2, metric="cosine"),
        PAC(2, metric="euclidean"),
        OnlinePAC(2, init_size=5),
        GraphPAC(2, n_neighbors=5),
        FuzzyCMeans(2),
        Fanny(2, tol=1e-4),
        PACHead(2, max_iter=5),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
