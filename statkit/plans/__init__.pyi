from statkit.plans.automatic import Automatic as Automatic
from statkit.plans.averaged_sgd import AveragedSGD as AveragedSGD
from statkit.plans.debiased_average import DebiasedAverage as DebiasedAverage
from statkit.plans.exact import Exact as Exact
from statkit.plans.federated_sgd import FederatedSGD as FederatedSGD
from statkit.plans.fixed_minibatch import FixedMinibatch as FixedMinibatch
from statkit.plans.least_squares_approximation import LeastSquaresApproximation as LeastSquaresApproximation
from statkit.plans.one_shot import OneShot as OneShot
from statkit.plans.one_step import OneStep as OneStep
from statkit.plans.plan import Plan as Plan
from statkit.plans.rare_events import RareEvents as RareEvents
from statkit.plans.regularization_path import RegularizationPath as RegularizationPath
from statkit.plans.renewable import Renewable as Renewable
from statkit.plans.subsample import Subsample as Subsample
from statkit.plans.surrogate_likelihood import SurrogateLikelihood as SurrogateLikelihood

__all__: list[str]
