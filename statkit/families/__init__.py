"""Families: what is modelled. Loss, score and weight of a row in its linear predictor."""

from importlib import import_module

_WHERE = {
    "Binomial": "binomial",
    "Cox": "cox",
    "Expectile": "m_estimators",
    "Family": "base",
    "Gamma": "gamma",
    "Gaussian": "gaussian",
    "Huber": "m_estimators",
    "InverseGaussian": "inverse_gaussian",
    "MEstimator": "m_estimators",
    "NegativeBinomial": "negative_binomial",
    "Ordered": "ordered",
    "Poisson": "poisson",
    "Quantile": "quantile",
    "QuasiBinomial": "binomial",
    "QuasiPoisson": "poisson",
    "Softmax": "softmax",
    "Tweedie": "tweedie",
    "resolve_family": "resolve",
}

__all__ = sorted(_WHERE)


def __getattr__(name):
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)


def __dir__():
    return __all__
