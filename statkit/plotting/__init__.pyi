from statkit.plotting.after_fit import CalibrationDisplay as CalibrationDisplay
from statkit.plotting.after_fit import ResidualDisplay as ResidualDisplay
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

__all__: list[str]
