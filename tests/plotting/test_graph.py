"""Edges of a drawn graph go round the boxes of nodes that they do not join."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd

from statkit.plotting import GraphDisplay
from statkit.plotting.causal import _clear_bend


def test_an_edge_over_a_node_goes_round_it():
    edges = pd.DataFrame(
        [("a", "b", 0.8, False, np.nan), ("b", "c", 0.5, False, np.nan), ("a", "c", 0.5, False, np.nan)],
        columns=["from", "to", "strength", "reversible", "confidence"],
    )
    places = {"a": (0.0, 0.0), "b": (0.0, -1.0), "c": (0.0, -2.0)}
    display = GraphDisplay(edges, list("abc"), places).plot()
    bends = [arrow.get_connectionstyle().rad for arrow in display.ax_.patches]
    assert bends[:2] == [0.0, 0.0] and bends[2] != 0.0
    # The curve as it is drawn, from centre to centre, and the box in its way.
    start, end = display.ax_.transData.transform([places["a"], places["c"]])
    path = display.ax_.patches[2].get_connectionstyle().connect(start, end)
    (box,) = (
        text.get_bbox_patch().get_window_extent() for text in display.ax_.texts if text.get_text() == "b"
    )
    assert not path.interpolated(100).intersects_bbox(box, filled=False)


def test_a_free_edge_is_straight():
    assert _clear_bend(np.array([0.0, 0.0]), np.array([100.0, 0.0]), [], 1) == 0.0
