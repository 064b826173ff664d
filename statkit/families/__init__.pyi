from statkit.families.base import Family as Family
from statkit.families.binomial import Binomial as Binomial
from statkit.families.binomial import QuasiBinomial as QuasiBinomial
from statkit.families.cox import Cox as Cox
from statkit.families.gamma import Gamma as Gamma
from statkit.families.gaussian import Gaussian as Gaussian
from statkit.families.inverse_gaussian import InverseGaussian as InverseGaussian
from statkit.families.m_estimators import Expectile as Expectile
from statkit.families.m_estimators import Huber as Huber
from statkit.families.m_estimators import MEstimator as MEstimator
from statkit.families.negative_binomial import NegativeBinomial as NegativeBinomial
from statkit.families.ordered import Ordered as Ordered
from statkit.families.poisson import Poisson as Poisson
from statkit.families.poisson import QuasiPoisson as QuasiPoisson
from statkit.families.quantile import Quantile as Quantile
from statkit.families.resolve import resolve_family as resolve_family
from statkit.families.softmax import Softmax as Softmax
from statkit.families.tweedie import Tweedie as Tweedie

__all__: list[str]
