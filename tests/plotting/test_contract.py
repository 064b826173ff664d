"""Every display keeps one convention, whichever room it draws; each is made by the example in its docstring."""

import doctest
import inspect

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import ListedColormap, to_hex, to_rgba
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import statkit.plotting
from statkit.plotting._canvas import PALETTE

NAMES = sorted(name for name in statkit.plotting.__all__ if name.endswith("Display"))
#: Perceptually ordered, or with two hues that every kind of colour vision tells apart.
SCALES = ("viridis", "cividis", "RdBu_r")


def display_class(name):
    return getattr(statkit.plotting, name)


@pytest.fixture(scope="module")
def drawn():
    """The object ``display`` of a docstring's example, made once a class."""
    made = {}

    def draw(name):
        if name not in made:
            tests = doctest.DocTestFinder(recurse=False).find(display_class(name), name)
            space: dict = {}
            for example in tests[0].examples:
                exec(compile(example.source, f"<example of {name}>", "single"), space)
            assert type(space.get("display")) is display_class(name), "its example must end with display = …"
            made[name] = space["display"]
            plt.close("all")
        return made[name]

    return draw


def test_there_are_displays():
    assert len(NAMES) >= 16


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    cls = display_class(name)
    makers = [
        getattr(cls, maker)
        for maker in dir(cls)
        if maker.startswith("from_") and inspect.ismethod(getattr(cls, maker))
    ]
    assert makers, "a display is made by from_estimator(…) or another from_…"
    for maker in makers:
        ax = inspect.signature(maker).parameters["ax"]
        assert ax.kind is ax.KEYWORD_ONLY and ax.default is None
        assert "Returns" in maker.__doc__
    _, first, *others = inspect.signature(cls.plot).parameters.values()
    assert first.name == "ax" and first.default is None and first.kind is first.POSITIONAL_OR_KEYWORD
    assert all(other.kind is other.KEYWORD_ONLY for other in others)


@pytest.mark.parametrize("name", NAMES)
def test_a_display_draws_where_it_is_told_and_returns_itself(name, drawn):
    display = drawn(name)
    count = np.size(display.ax_)
    figure, axes = plt.subplots(1, count, figsize=(4.0 * count, 3.5), squeeze=False)
    ax = axes[0, 0] if isinstance(display.ax_, Axes) else axes[0]
    before = plt.get_fignums()
    assert display.plot(ax) is display
    assert plt.get_fignums() == before, "no other figure was opened"
    assert display.figure_ is figure and set(np.ravel(display.ax_)) == set(np.ravel(ax))
    figure.canvas.draw()
    assert display.plot().figure_ is not figure, "without ax there is a new figure"
    plt.close("all")


@pytest.mark.parametrize("name", NAMES)
def test_axes_say_what_they_show(name, drawn):
    display = drawn(name).plot()
    for ax in np.ravel(display.ax_):
        if ax.axison:
            named = bool(ax.get_xlabel() or ax.get_xticklabels()) and bool(
                ax.get_ylabel() or [t for t in ax.get_yticklabels() if t.get_text()]
            )
            assert named, "both axes need a label or the names of their ticks"
        else:
            assert ax.texts or ax.get_legend() or ax.get_title()
    plt.close("all")


def colours(figure):
    """Colours of what was drawn with a colour of its own, and names of scales."""
    for artist in figure.findobj(lambda a: isinstance(a, (Line2D, Patch, Collection, AxesImage))):
        if getattr(artist, "get_array", lambda: None)() is not None:
            scale = artist.get_cmap()
            few = isinstance(scale, ListedColormap) and scale.N < 9
            yield from map(to_hex, scale.colors) if few else (scale.name,)
        elif isinstance(artist, Line2D):
            yield from (to_hex(c) for c in (artist.get_color(), artist.get_markerfacecolor()) if c != "none")
        elif isinstance(artist, Patch):
            if artist.get_fill() and artist.get_visible():
                yield to_hex(artist.get_facecolor())
        else:
            yield from map(to_hex, np.reshape(artist.get_facecolor(), (-1, 4)))
            yield from map(to_hex, np.reshape(artist.get_edgecolor(), (-1, 4)))


def is_grey(colour):
    return colour.startswith("#") and len(set(to_rgba(colour)[:3])) == 1


def strange(figure):
    """Colours that are neither of the palette, nor of a scale (or its end, beyond a colour bar), nor grey."""
    ends = {to_hex(matplotlib.colormaps[scale](end)) for scale in SCALES for end in (0.0, 1.0)}
    allowed = {colour.lower() for colour in PALETTE} | set(SCALES) | ends
    return sorted(c for c in colours(figure) if c not in allowed and not is_grey(c))


@pytest.mark.parametrize("name", NAMES)
def test_colours_are_told_apart_by_everyone(name, drawn):
    found = strange(drawn(name).plot().figure_)
    plt.close("all")
    assert not found, f"take colours from statkit.plotting._canvas: {found}"


def test_a_strange_colour_would_be_found():
    figure, ax = plt.subplots()
    ax.plot([0, 1], color="lime")
    ax.imshow(np.eye(2), cmap="jet")
    ax.hlines([0.5], 0, 1, color="0.4")
    assert set(strange(figure)) == {"#00ff00", "jet"}
    plt.close("all")


def test_the_palette_differs_for_dichromats():
    """Neighbours in the palette keep a distance in lightness or hue when red or green receptors are missing."""
    # Viénot, Brettel and Mollon (1999), Digital video colourmaps for checking the legibility of displays.
    to_lms = np.array(
        [[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]]
    )
    protan = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    deutan = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    rgb = np.array([to_rgba(c)[:3] for c in PALETTE]) ** 2.2
    for missing in (protan, deutan):
        seen = (rgb @ to_lms.T @ missing.T) @ np.linalg.inv(to_lms).T
        seen = np.clip(seen, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=2) + np.eye(len(seen))
        assert apart.min() > 0.1
