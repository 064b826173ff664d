"""scikit-learn's own checks on every estimator with the (X, y) interface."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.naive_bayes import (
    AnnotatorNB,
    MislabeledBernoulliNB,
    MislabeledComplementNB,
    MislabeledMultinomialNB,
    NoiseCorrectedNB,
)

# Transitions estimated by leaving out: a document of weight 2 is left out at once, two equal ones one by one.
LEFT_OUT = {
    f"check_sample_weight_equivalence_on_{kind}_data": "a document is left out with all its weight"
    for kind in ("dense", "sparse")
}


def expected_failures(estimator):
    estimated = isinstance(estimator, NoiseCorrectedNB) and estimator.transition is None
    return LEFT_OUT if estimated else {}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        MislabeledMultinomialNB(),
        MislabeledMultinomialNB(power=1.0, transition="class"),
        MislabeledComplementNB(),
        MislabeledBernoulliNB(),
        AnnotatorNB(),
        NoiseCorrectedNB(),
        NoiseCorrectedNB("bernoulli", transition=0.1),
    ],
    expected_failed_checks=expected_failures,
)
def test_estimator_checks(estimator, check):
    check(estimator)
