"""Displays of soft clusterings."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from statkit.cluster import PAC, OnlinePAC
from statkit.plotting import MembershipDisplay, PathDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture
def pac():
    yield PAC(3, m=1.5, random_state=0).fit(load_iris().data)
    matplotlib.pyplot.close("all")


def test_heat_map_shows_the_probabilities_in_group_order(pac):
    display = MembershipDisplay.from_estimator(pac, labels=load_iris().target)
    shown = display.ax_.images[0].get_array()
    np.testing.assert_array_equal(shown, pac.probabilities_[display.order_])
    assert (np.diff(load_iris().target[display.order_]) >= 0).all()
    assert display.figure_ is display.ax_.figure


def test_ternary_places_sure_objects_in_corners(pac):
    display = MembershipDisplay(np.eye(3)).plot(kind="ternary")
    places = np.vstack([group.get_offsets() for group in display.ax_.collections])
    np.testing.assert_allclose(places, [[0, 0], [1, 0], [0.5, np.sqrt(0.75)]])
    MembershipDisplay.from_estimator(pac, load_iris().data[:20], kind="ternary", ax=display.ax_)
    with pytest.raises(ValueError, match="three clusters"):
        MembershipDisplay(np.eye(4)).plot(kind="ternary")
    with pytest.raises(ValueError, match="kind"):
        MembershipDisplay(np.eye(3)).plot(kind="pie")


def test_path_has_every_sweep_and_stage(pac):
    display = PathDisplay.from_estimator(pac)
    drawn = np.concatenate([line.get_ydata() for line in display.ax_.lines if len(line.get_xdata()) != 2])
    assert set(drawn) <= set(pac.objective_path_)
    assert len(display.ax_.texts) == len(pac.objective_stages_)


def test_what_cannot_be_drawn(pac):
    with pytest.raises(NotFittedError):
        MembershipDisplay.from_estimator(PAC(3))
    with pytest.raises(ValueError, match="give X"):
        MembershipDisplay.from_estimator(OnlinePAC(3, random_state=0).fit(load_iris().data))
