"""Recent statistics papers as dependable software: estimators with standard errors, for data of any size.

Nothing but the standard library is imported here: every name loads when it is used.
"""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit._discovery import all_estimators as all_estimators
    from statkit.persistence import load as load
    from statkit.persistence import save as save
    from statkit.regression import coxph as coxph
    from statkit.regression import glm as glm
    from statkit.regression import quantreg as quantreg
    from statkit.results import anova as anova
    from statkit.results import compare as compare
    from statkit.results import likelihood_ratio_test as likelihood_ratio_test

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "all_estimators",
    "anova",
    "compare",
    "coxph",
    "glm",
    "likelihood_ratio_test",
    "load",
    "quantreg",
    "save",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "all_estimators": "statkit._discovery",
        "anova": "statkit.results",
        "compare": "statkit.results",
        "coxph": "statkit.regression",
        "glm": "statkit.regression",
        "likelihood_ratio_test": "statkit.results",
        "load": "statkit.persistence",
        "quantreg": "statkit.regression",
        "save": "statkit.persistence",
    },
    (
        "causal",
        "cluster",
        "datasets",
        "decomposition",
        "exceptions",
        "families",
        "inference",
        "naive_bayes",
        "plans",
        "plotting",
        "regression",
        "sampling",
    ),
)
