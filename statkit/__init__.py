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
    from statkit.regression import explain as explain
    from statkit.regression import glm as glm
    from statkit.regression import quantreg as quantreg

__version__ = "0.1.0"

__all__ = ["__version__", "all_estimators", "coxph", "explain", "glm", "load", "quantreg", "save"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "all_estimators": "statkit._discovery",
        "coxph": "statkit.regression",
        "explain": "statkit.regression",
        "glm": "statkit.regression",
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
