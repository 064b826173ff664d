"""Display classes: ``XDisplay.from_estimator(…)``; matplotlib is imported when something is drawn."""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.plotting.after_fit import CalibrationDisplay as CalibrationDisplay
    from statkit.plotting.after_fit import ResidualDisplay as ResidualDisplay
    from statkit.plotting.causal import GraphDisplay as GraphDisplay
    from statkit.plotting.causal import MissingPatternDisplay as MissingPatternDisplay
    from statkit.plotting.decomposition import CorrelationDisplay as CorrelationDisplay
    from statkit.plotting.decomposition import ModesDisplay as ModesDisplay
    from statkit.plotting.decomposition import ScreeDisplay as ScreeDisplay
    from statkit.plotting.multiview import AffinityDisplay as AffinityDisplay
    from statkit.plotting.multiview import ViewWeightsDisplay as ViewWeightsDisplay
    from statkit.plotting.naive_bayes import LabelIssuesDisplay as LabelIssuesDisplay
    from statkit.plotting.naive_bayes import TransitionDisplay as TransitionDisplay
    from statkit.plotting.pac import MembershipDisplay as MembershipDisplay
    from statkit.plotting.pac import PathDisplay as PathDisplay
    from statkit.plotting.sites import ForestDisplay as ForestDisplay

__all__ = [
    "AffinityDisplay",
    "CalibrationDisplay",
    "CorrelationDisplay",
    "ForestDisplay",
    "GraphDisplay",
    "LabelIssuesDisplay",
    "MembershipDisplay",
    "MissingPatternDisplay",
    "ModesDisplay",
    "PathDisplay",
    "ResidualDisplay",
    "ScreeDisplay",
    "TransitionDisplay",
    "ViewWeightsDisplay",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AffinityDisplay": "statkit.plotting.multiview",
        "CalibrationDisplay": "statkit.plotting.after_fit",
        "CorrelationDisplay": "statkit.plotting.decomposition",
        "ForestDisplay": "statkit.plotting.sites",
        "GraphDisplay": "statkit.plotting.causal",
        "LabelIssuesDisplay": "statkit.plotting.naive_bayes",
        "MembershipDisplay": "statkit.plotting.pac",
        "MissingPatternDisplay": "statkit.plotting.causal",
        "ModesDisplay": "statkit.plotting.decomposition",
        "PathDisplay": "statkit.plotting.pac",
        "ResidualDisplay": "statkit.plotting.after_fit",
        "ScreeDisplay": "statkit.plotting.decomposition",
        "TransitionDisplay": "statkit.plotting.naive_bayes",
        "ViewWeightsDisplay": "statkit.plotting.multiview",
    },
)
