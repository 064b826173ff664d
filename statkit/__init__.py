"""Recent statistics papers as dependable software: estimators with standard errors, for data of any size.

Nothing but the standard library is imported here: every name loads when it is used.
"""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.regression import coxph as coxph
    from statkit.regression import glm as glm
    from statkit.regression import quantreg as quantreg

__version__ = "0.1.0"

__all__ = ["__version__", "coxph", "glm", "quantreg"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {"coxph": "statkit.regression", "glm": "statkit.regression", "quantreg": "statkit.regression"},
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
