"""The forest plot draws what it is given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from statkit.inference import combine_summaries, local_summary, meta_analysis
from statkit.plotting import ForestDisplay


def test_forest_of_sites():
    rng = np.random.default_rng(0)
    sites = []
    for k in range(5):
        X = rng.normal(size=(100 * (k + 1), 2))
        sites.append(local_summary(X, X @ [1 + k / 4, 0] + rng.normal(size=len(X)), site=f"site {k}"))
    display = ForestDisplay.from_estimate(combine_summaries(sites, "random"), "x0")
    labels = [t.get_text() for t in display.ax_.get_yticklabels()]
    assert labels == [*(f"site {k}" for k in range(5)), "combined", "a new one"]
    assert display.ax_.get_xlabel() == "x0" and display.figure_ is display.ax_.figure
    assert display.lower[-1] < display.effects[-1] < display.upper[-1]
    with pytest.raises(ValueError, match="'x9'"):
        ForestDisplay.from_estimate(combine_summaries(sites, bias_correction=None), "x9")


def test_forest_of_studies():
    result = meta_analysis([0.1, 0.5, 0.3], [0.01, 0.02, 0.01])
    _, ax = matplotlib.pyplot.subplots()
    display = ForestDisplay.from_meta_analysis(result, labels=["a", "b", "c"], ax=ax)
    assert display.ax_ is ax and display.combined[0] == result.effect[0]
