"""The displays draw what they are given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from statkit.naive_bayes import MislabeledBernoulliNB
from statkit.plotting import LabelIssuesDisplay, TransitionDisplay


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    X = rng.random((600, 12)) < np.where(y[:, None] == 0, 0.2, 0.5)
    z = np.where(rng.random(600) < 0.2, 1 - y, y)
    return MislabeledBernoulliNB().fit(X, z), z != y


def test_transition(fitted):
    nb, _ = fitted
    display = TransitionDisplay.from_estimator(nb, intervals=True)
    texts = [t.get_text() for t in display.ax_.texts]
    assert len(texts) == 4 and texts[0].startswith(f"{nb.transition_[0, 0]:.2f}") and "[" in texts[0]
    assert display.figure_ is display.ax_.figure
    _, ax = matplotlib.pyplot.subplots()
    assert TransitionDisplay.from_estimator(nb, ax=ax).ax_ is ax


def test_label_issues(fitted):
    nb, wrong = fitted
    one = LabelIssuesDisplay.from_estimator(nb)
    assert sum(p.get_height() for p in one.ax_.patches) == 600
    two = LabelIssuesDisplay.from_estimator(nb, wrong=wrong)
    assert len(two.ax_) == 2
    with pytest.raises(ValueError, match="600 labels"):
        LabelIssuesDisplay.from_estimator(nb, wrong=wrong[:5])
    with pytest.raises(ValueError, match="2 Axes"):
        LabelIssuesDisplay.from_estimator(nb, wrong=wrong, ax=one.ax_)
