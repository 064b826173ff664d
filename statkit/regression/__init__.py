"""Regression estimators and the R-style functions that fit them."""

from statkit._lazy import lazy_names

_HOME = {
    "CoxPHRegressor": "cox",
    "Explanation": "forecast.explanation",
    "GLMClassifier": "generalized_linear",
    "GLMRegressor": "generalized_linear",
    "OrderedClassifier": "ordered",
    "QuantileRegressor": "quantile",
    "coxph": "cox",
    "explain": "forecast.explain",
    "glm": "generalized_linear",
    "polr": "ordered",
    "quantreg": "quantile",
    "regularization_path": "penalty_path",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{file}" for name, file in _HOME.items()})
