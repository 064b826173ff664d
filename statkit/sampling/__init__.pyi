from statkit.regression.optimal_sampler import OptimalSampler as OptimalSampler
from statkit.sampling.draws import poisson_sample as poisson_sample
from statkit.sampling.draws import priority_sample as priority_sample
from statkit.sampling.draws import replacement_sample as replacement_sample
from statkit.sampling.draws import weighted_reservoir as weighted_reservoir
from statkit.sampling.iboss import IBOSS as IBOSS
from statkit.sampling.independence import IndependenceSampler as IndependenceSampler
from statkit.sampling.leverage import leverage_scores as leverage_scores
from statkit.sampling.logistic_iboss import LogisticIBOSS as LogisticIBOSS
from statkit.sampling.low_condition import LowConSampler as LowConSampler
from statkit.sampling.orthogonal import OrthogonalSampler as OrthogonalSampler
from statkit.sampling.priority import PrioritySampler as PrioritySampler
from statkit.sampling.probabilities import inclusion_probabilities as inclusion_probabilities
from statkit.sampling.scores import subsampling_scores as subsampling_scores
from statkit.sampling.selectors import LeverageSampler as LeverageSampler
from statkit.sampling.uniform_design import UniformDesignSampler as UniformDesignSampler
from statkit.sampling.uniforms import row_uniforms as row_uniforms

__all__: list[str]
