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
    ]
)
def test_estimator_checks(estimator, check):
    check(estimator)
