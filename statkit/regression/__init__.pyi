from statkit.regression.cox import CoxPHRegressor as CoxPHRegressor
from statkit.regression.cox import coxph as coxph
from statkit.regression.forecast.explain import explain as explain
from statkit.regression.forecast.explanation import Explanation as Explanation
from statkit.regression.generalized_linear import GLMClassifier as GLMClassifier
from statkit.regression.generalized_linear import GLMRegressor as GLMRegressor
from statkit.regression.generalized_linear import glm as glm
from statkit.regression.margins import marginal_effects as marginal_effects
from statkit.regression.ordered import OrderedClassifier as OrderedClassifier
from statkit.regression.ordered import polr as polr
from statkit.regression.penalty_path import regularization_path as regularization_path
from statkit.regression.predicting import predictions as predictions
from statkit.regression.quantile import QuantileRegressor as QuantileRegressor
from statkit.regression.quantile import quantreg as quantreg

__all__: list[str]
