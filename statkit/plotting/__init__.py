"""Displays of fitted estimators; matplotlib is imported when one is drawn."""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.plotting.naive_bayes import LabelIssuesDisplay as LabelIssuesDisplay
    from statkit.plotting.naive_bayes import TransitionDisplay as TransitionDisplay

__all__ = ["LabelIssuesDisplay", "TransitionDisplay"]
    from statkit.plotting.causal import GraphDisplay as GraphDisplay
    from statkit.plotting.causal import MissingPatternDisplay as MissingPatternDisplay
__all__ = ["GraphDisplay", "MissingPatternDisplay"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "LabelIssuesDisplay": "statkit.plotting.naive_bayes",
        "TransitionDisplay": "statkit.plotting.naive_bayes",
    },
)
"""Display classes; matplotlib is imported when one is drawn."""
_WHERE = {
    "MembershipDisplay": "statkit.plotting.pac",
    "PathDisplay": "statkit.plotting.pac",
}
__all__ = list(_WHERE)
"""Display classes: plots of fitted estimators, with matplotlib imported when used."""
    "AffinityDisplay": "statkit.plotting.multiview",
    "ViewWeightsDisplay": "statkit.plotting.multiview",
__all__ = sorted(_WHERE)
__getattr__, __dir__ = lazy_names(__name__, _WHERE)
"""Display classes: ``XDisplay.from_estimator(…)``; matplotlib is imported when something is drawn."""
_HOME = {
    "CorrelationDisplay": "decomposition",
    "ModesDisplay": "decomposition",
    "ScreeDisplay": "decomposition",
__all__ = sorted(_HOME)
__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{file}" for name, file in _HOME.items()})
        "GraphDisplay": "statkit.plotting.causal",
        "MissingPatternDisplay": "statkit.plotting.causal",
