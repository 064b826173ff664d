"""Searches for a directed acyclic graph that need of the data only a covariance matrix and a sample size.

Each returns a boolean adjacency matrix (edge from row to column) or, the gradient methods, a weight matrix.
"""

from statkit._lazy import lazy_names

__all__ = [
    "additive_splines",
    "boss",
    "dagma",
    "direct_lingam",
    "exact",
    "golem",
    "hill_climbing",
    "notears",
    "select_parents",
    "top_down",
]

_order = "statkit.causal.dag_learners.order"
_score = "statkit.causal.dag_learners.score"

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "additive_splines": "statkit.causal.dag_learners.splines",
        "boss": _score,
        "dagma": "statkit.causal.dag_learners._dagma",
        "direct_lingam": "statkit.causal.dag_learners.lingam",
        "exact": _score,
        "golem": "statkit.causal.dag_learners._golem",
        "hill_climbing": _score,
        "notears": "statkit.causal.dag_learners._notears",
        "select_parents": _order,
        "top_down": _order,
    },
)
