"""Displays of modes draw what they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import networkx
import numpy as np
import pytest

from statkit.datasets import make_random_field
from statkit.decomposition import SchrodingerPCA, estimate_correlation_length, icosphere
from statkit.plotting import CorrelationDisplay, ModesDisplay, ScreeDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def grid():
    X = make_random_field(20, shape=(9, 12), correlation_length=2.5, random_state=0).data
    X[:, 5] = np.nan
    return SchrodingerPCA(5, shape=(9, 12), random_state=0).fit(X)


def test_maps_of_a_grid_leave_masked_cells_blank(grid):
    display = ModesDisplay.from_estimator(grid, n_components=3)
    assert len(display.ax_) == 3 and display.figure_ is display.ax_[0].figure
    drawn = display.ax_[0].collections[0].get_array()
    assert drawn.size == 108 and np.ma.getmaskarray(drawn).ravel()[5]
    shown = np.delete(np.ma.filled(drawn, 0).ravel(), 5)
    np.testing.assert_allclose(shown, np.delete(grid.components_[0], 5))
    assert display.ax_[0].get_title().startswith("mode 1: ")
    low, high = display.ax_[0].collections[0].get_clim()
    assert low == -high
    figure, axes = plt.subplots(1, 2)
    assert ModesDisplay.from_estimator(grid, n_components=2, ax=axes).figure_ is figure
    with pytest.raises(ValueError, match="need 3 Axes"):
        ModesDisplay.from_estimator(grid, n_components=3, ax=axes)


def test_every_structure_is_drawn():
    rng = np.random.default_rng(0)
    vertices = rng.random((40, 2))
    from scipy.spatial import Delaunay

    for kwargs, ell in (
        ({"shape": (30,)}, 3.0),
        ({"shape": (4, 5, 6)}, 2.0),
        ({"coordinates": vertices}, 0.4),
        ({"mesh": (vertices, Delaunay(vertices).simplices)}, 0.4),
        ({"coordinates": vertices * 40, "metric": "sphere"}, 0.3),
        ({"mesh": icosphere(1), "metric": "sphere"}, 0.6),
        (
            {
                "shape": (6, 5),
                "coordinates": (np.linspace(60, 20, 6), np.linspace(0, 40, 5)),
                "metric": "latlon",
            },
            0.3,
        ),
        ({"graph": networkx.grid_2d_graph(5, 6)}, 1.0),
    ):
        X = make_random_field(20, correlation_length=ell, random_state=0, **kwargs).data
        model = SchrodingerPCA(2, correlation_length=ell, **kwargs).fit(X)
        display = ModesDisplay.from_estimator(model, n_components=2)
        display.figure_.canvas.draw()
        assert len(display.ax_) == 2


def test_correlation_and_scree(grid):
    display = CorrelationDisplay.from_estimator(grid)
    line = display.ax_.lines[-1]
    np.testing.assert_allclose(line.get_ydata(), grid.correlation_table_["fitted"])
    X = make_random_field(20, shape=(50,), correlation_length=3.0, random_state=0).data
    fit = estimate_correlation_length(X, random_state=0)
    assert "nugget" in CorrelationDisplay.from_fit(fit).ax_.get_legend().get_texts()[1].get_text()
    scree = ScreeDisplay.from_estimator(grid)
    heights = scree.ax_.containers[0].lines[0].get_ydata()
    np.testing.assert_allclose(heights, 100 * grid.explained_variance_ratio_)
    given = SchrodingerPCA(2, correlation_length=3.0).fit(X)
    with pytest.raises(ValueError, match="not fitted"):
        CorrelationDisplay.from_estimator(given)
