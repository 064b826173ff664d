"""How an estimate is made from rows too many to refit: one file a plan."""

from statkit._lazy import lazy_names

_HOME = {
    "AveragedSGD": "averaged_sgd",
    "Automatic": "automatic",
    "DebiasedAverage": "debiased_average",
    "Exact": "exact",
    "FederatedSGD": "federated_sgd",
    "FixedMinibatch": "fixed_minibatch",
    "LeastSquaresApproximation": "least_squares_approximation",
    "OneShot": "one_shot",
    "OneStep": "one_step",
    "Plan": "plan",
    "RareEvents": "rare_events",
    "RegularizationPath": "regularization_path",
    "Renewable": "renewable",
    "Subsample": "subsample",
    "SurrogateLikelihood": "surrogate_likelihood",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{file}" for name, file in _HOME.items()})
