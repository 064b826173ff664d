"""Display classes: ``XDisplay.from_estimator(…)``; matplotlib is imported when something is drawn."""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.plotting.causal import GraphDisplay as GraphDisplay
    from statkit.plotting.causal import MissingPatternDisplay as MissingPatternDisplay
    from statkit.plotting.coefficients import CoefficientDisplay as CoefficientDisplay
    from statkit.plotting.decomposition import CorrelationDisplay as CorrelationDisplay
    from statkit.plotting.decomposition import ModesDisplay as ModesDisplay
    from statkit.plotting.decomposition import ScreeDisplay as ScreeDisplay
    from statkit.plotting.multiview import AffinityDisplay as AffinityDisplay
    from statkit.plotting.multiview import ViewWeightsDisplay as ViewWeightsDisplay
    from statkit.plotting.naive_bayes import LabelIssuesDisplay as LabelIssuesDisplay
    from statkit.plotting.naive_bayes import TransitionDisplay as TransitionDisplay
    from statkit.plotting.pac import MembershipDisplay as MembershipDisplay
    from statkit.plotting.pac import PathDisplay as PathDisplay
    from statkit.plotting.penalty_path import PenaltyPathDisplay as PenaltyPathDisplay
    from statkit.plotting.sites import ForestDisplay as ForestDisplay
    from statkit.plotting.streams import DriftDisplay as DriftDisplay
    from statkit.plotting.survival import SurvivalDisplay as SurvivalDisplay

__all__ = [
    "AffinityDisplay",
    "CoefficientDisplay",
    "CorrelationDisplay",
    "DriftDisplay",
    "ForestDisplay",
    "GraphDisplay",
    "LabelIssuesDisplay",
    "MembershipDisplay",
    "MissingPatternDisplay",
    "ModesDisplay",
    "PathDisplay",
    "PenaltyPathDisplay",
    "ScreeDisplay",
    "SurvivalDisplay",
    "TransitionDisplay",
    "ViewWeightsDisplay",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AffinityDisplay": "statkit.plotting.multiview",
        "CoefficientDisplay": "statkit.plotting.coefficients",
        "CorrelationDisplay": "statkit.plotting.decomposition",
        "DriftDisplay": "statkit.plotting.streams",
        "ForestDisplay": "statkit.plotting.sites",
        "GraphDisplay": "statkit.plotting.causal",
        "LabelIssuesDisplay": "statkit.plotting.naive_bayes",
        "MembershipDisplay": "statkit.plotting.pac",
        "MissingPatternDisplay": "statkit.plotting.causal",
        "ModesDisplay": "statkit.plotting.decomposition",
        "PathDisplay": "statkit.plotting.pac",
        "PenaltyPathDisplay": "statkit.plotting.penalty_path",
        "ScreeDisplay": "statkit.plotting.decomposition",
        "SurvivalDisplay": "statkit.plotting.survival",
        "TransitionDisplay": "statkit.plotting.naive_bayes",
        "ViewWeightsDisplay": "statkit.plotting.multiview",
    },
)
