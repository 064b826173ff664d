"""Plots of multi-view clusterings show what the fit says."""

import matplotlib
import numpy as np
import pytest

from statkit.cluster import LateFusionClustering, LocalSampleWeightedMKC, MultiViewKMeans
from statkit.datasets import make_multiview_blobs
from statkit.plotting import AffinityDisplay, ViewWeightsDisplay

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def views():
    return make_multiview_blobs(60, 3, n_features=(4, 5), separations=(4.0, 4.0), random_state=0).views


def test_weights(views):
    fit = LateFusionClustering(3, random_state=0).fit(views)
    display = ViewWeightsDisplay.from_estimator(fit)
    widths = [bar.get_width() for bar in display.ax_.patches]
    np.testing.assert_allclose(widths[:2], fit.summary()["weight"])
    np.testing.assert_allclose(widths[2:], fit.summary()["agreement"])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["view0", "view1"]
    other = display.figure_.add_subplot()
    assert ViewWeightsDisplay(fit.summary()).plot(ax=other).ax_ is other


@pytest.mark.parametrize("solver", ["exact", "sparse"])
def test_affinity_is_ordered(views, solver):
    fit = LocalSampleWeightedMKC(3, solver=solver, random_state=0).fit(views)
    display = AffinityDisplay.from_estimator(fit)
    assert (np.diff(fit.labels_[display.order_]) >= 0).all()
    shown = np.ma.filled(display.ax_.images[0].get_array(), np.nan)
    Z = fit.affinity_.toarray() if solver == "sparse" else fit.affinity_
    wanted = Z[np.ix_(display.order_, display.order_)]
    np.testing.assert_allclose(shown[0, 1:], wanted[0, 1:])


def test_affinity_of_an_embedding_and_of_nothing(views):
    display = AffinityDisplay.from_estimator(LateFusionClustering(3, random_state=0).fit(views))
    assert display.ax_.images[0].get_array().shape == (60, 60)
    with pytest.raises(ValueError, match="neither affinity_ nor embedding_"):
        AffinityDisplay.from_estimator(MultiViewKMeans(3).fit(views))


def test_many_samples_are_thinned():
    labels = np.repeat([0, 1], [4500, 500])
    display = AffinityDisplay(None, labels)
    assert len(display._ordered()) == 2000
    assert set(labels[display._ordered()]) == {0, 1}
