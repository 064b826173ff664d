"""Which rows: scores, inclusion probabilities, samplers whose draws depend on seed and row number alone."""

from statkit._lazy import lazy_names

_WHERE = {
    "LeverageSampler": "statkit.sampling.selectors",
    "IBOSS": "statkit.sampling.iboss",
    "IndependenceSampler": "statkit.sampling.independence",
    "LogisticIBOSS": "statkit.sampling.logistic_iboss",
    "LowConSampler": "statkit.sampling.low_condition",
    "OptimalSampler": "statkit.regression.optimal_sampler",
    "OrthogonalSampler": "statkit.sampling.orthogonal",
    "PrioritySampler": "statkit.sampling.priority",
    "UniformDesignSampler": "statkit.sampling.uniform_design",
    "inclusion_probabilities": "statkit.sampling.probabilities",
    "leverage_scores": "statkit.sampling.leverage",
    "poisson_sample": "statkit.sampling.draws",
    "priority_sample": "statkit.sampling.draws",
    "replacement_sample": "statkit.sampling.draws",
    "row_uniforms": "statkit.sampling.uniforms",
    "subsampling_scores": "statkit.sampling.scores",
    "weighted_reservoir": "statkit.sampling.draws",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, _WHERE)
