"""Displays of fitted estimators; matplotlib is imported when one is drawn."""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.plotting.causal import GraphDisplay as GraphDisplay
    from statkit.plotting.causal import MissingPatternDisplay as MissingPatternDisplay

__all__ = ["GraphDisplay", "MissingPatternDisplay"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "GraphDisplay": "statkit.plotting.causal",
        "MissingPatternDisplay": "statkit.plotting.causal",
    },
)
