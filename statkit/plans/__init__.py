"""How an estimate is made from rows too many to refit: one file a plan."""

from importlib import import_module

_HOME = {
    "Exact": "exact",
    "LeastSquaresApproximation": "least_squares_approximation",
    "OneShot": "one_shot",
    "OneStep": "one_step",
    "Plan": "plan",
    "RareEvents": "rare_events",
    "Renewable": "renewable",
    "Subsample": "subsample",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"statkit.plans.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
