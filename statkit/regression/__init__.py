"""Regression estimators and the R-style functions that fit them."""

from importlib import import_module

_HOME = {
    "GLMClassifier": "generalized_linear",
    "GLMRegressor": "generalized_linear",
    "QuantileRegressor": "quantile",
    "glm": "generalized_linear",
    "quantreg": "quantile",
}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"statkit.regression.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
