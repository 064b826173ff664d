"""Pictures look as they did: a few displays against small images in ``baseline/``.

After a change that is meant, ``python tests/plotting/test_images.py`` draws the baseline anew; look at it.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.testing.compare import compare_images

from statkit import plotting

BASELINE = Path(__file__).parent / "baseline"
#: Root mean square of the differences (0 to 255). Another rasteriser moves edges by less; a lost curve is more.
TOLERANCE = 6.0


def forest():
    low, middle, high = [0.1, -0.3, 0.4], [0.5, 0.2, 0.7], [0.9, 0.7, 1.0]
    return plotting.ForestDisplay(
        ["north", "south", "west"], middle, low, high, combined=(0.5, 0.3, 0.7), prediction=(0.0, 1.0), weights=[1, 2, 4]
    )  # fmt: skip


def coefficients():
    exact = pd.DataFrame(
        {"estimate": [1.0, -0.5], "lower": [0.8, -0.9], "upper": [1.2, -0.1]}, index=["age", "dose"]
    )
    return plotting.CoefficientDisplay({"exact": exact, "one round": exact * 1.1})


def transition():
    T = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]])
    return plotting.TransitionDisplay(T, ["a", "b", "c"], lower=T - 0.05, upper=T + 0.05)


def graph():
    edges = pd.DataFrame(
        [("a", "b", 0.8, False, 0.9), ("a", "c", -0.5, False, 0.4), ("b", "c", 0.3, True, np.nan)],
        columns=["from", "to", "strength", "reversible", "confidence"],
    )
    return plotting.GraphDisplay(
        edges, ["a", "b", "c"], {"a": (0.0, 0.0), "b": (-0.8, -1.0), "c": (0.8, -1.5)}
    )


def survival():
    time = np.linspace(1, 10, 10)
    parts = [
        pd.DataFrame({"row": k, "time": time, "survival": S, "lower": S**1.3, "upper": S**0.7})
        for k, S in enumerate((np.exp(-time / 5), np.exp(-time / 12)))
    ]
    return plotting.SurvivalDisplay(pd.concat(parts), ["treated", "not"])


def drift():
    return plotting.DriftDisplay(np.arange(1, 9), [np.nan, 0.3, 0.8, 0.1, 0.04, 1e-9, 0.5, 0.2])


PICTURES = [forest, coefficients, transition, graph, survival, drift]


def save(picture, path, change=None):
    """Draw with matplotlib's own defaults and its own font, whatever the user's settings are."""
    with matplotlib.rc_context(matplotlib.rcParamsDefault | {"backend": "agg", "font.family": "DejaVu Sans"}):
        display = picture().plot()
        if change:
            change(display.ax_)
        display.figure_.savefig(path, dpi=50, metadata={"Software": None})
        plt.close(display.figure_)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.__name__)
def test_picture(picture, tmp_path):
    drawn = tmp_path / f"{picture.__name__}.png"
    save(picture, drawn)
    difference = compare_images(str(BASELINE / drawn.name), str(drawn), tol=TOLERANCE)
    assert difference is None, difference


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.__name__)
def test_a_lost_part_would_be_seen(picture, tmp_path):
    def change(ax):
        for artist in [*ax.lines, *ax.patches, *ax.collections, *ax.images]:
            artist.remove()

    drawn = tmp_path / f"{picture.__name__}.png"
    save(picture, drawn, change)
    assert compare_images(str(BASELINE / drawn.name), str(drawn), tol=TOLERANCE) is not None


if __name__ == "__main__":
    BASELINE.mkdir(exist_ok=True)
    for one in PICTURES:
        save(one, BASELINE / f"{one.__name__}.png")
