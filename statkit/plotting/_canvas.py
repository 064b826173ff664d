"""What all displays share: where to draw, and colours that every kind of colour vision tells apart."""

from __future__ import annotations

from typing import Any

#: Okabe and Ito (2008), *Color universal design*; in the order in which series take them.
BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, YELLOW, BLACK = PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000",
)  # fmt: skip


def pyplot() -> Any:
    """matplotlib's pyplot, or an error that says what to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as missing:
        raise ImportError("pictures need matplotlib: pip install 'statkit-methods[plot]'") from missing
    return plt


def canvas(ax: Any, width: float = 5.2, height: float = 3.6) -> Any:
    """``ax``, or the Axes of a new figure of this size in inches."""
    if ax is not None:
        return ax
    return pyplot().subplots(figsize=(width, height), layout="constrained")[1]
