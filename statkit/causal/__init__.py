"""Causal graphs from tables with holes: the estimator, its parts, simulators and diagnostics."""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.causal.em_gaussian import estep_gaussian as estep_gaussian
    from statkit.causal.em_gaussian import mvn_em as mvn_em
    from statkit.causal.em_gaussian import observed_loglik as observed_loglik
    from statkit.causal.equivalence import cpdag as cpdag
    from statkit.causal.knowledge import Knowledge as Knowledge
    from statkit.causal.metrics import dag_metrics as dag_metrics
    from statkit.causal.metrics import shd as shd
    from statkit.causal.metrics import sid as sid
    from statkit.causal.missdag import MissDAG as MissDAG
    from statkit.causal.missingness import little_mcar_test as little_mcar_test
    from statkit.causal.missingness import missing_patterns as missing_patterns
    from statkit.causal.missingness import missingness_parents as missingness_parents
    from statkit.causal.model_selection import MissDAGCV as MissDAGCV
    from statkit.causal.mvpc import MVPC as MVPC
    from statkit.causal.sensitivity import mnar_sensitivity as mnar_sensitivity
    from statkit.causal.simulate import ampute as ampute
    from statkit.causal.simulate import simulate_dag as simulate_dag
    from statkit.causal.simulate import simulate_sem as simulate_sem

__all__ = [
    "Knowledge",
    "MVPC",
    "MissDAG",
    "MissDAGCV",
    "acyclicity",
    "ampute",
    "cpdag",
    "dag_learners",
    "dag_metrics",
    "estep_gaussian",
    "little_mcar_test",
    "missing_patterns",
    "missingness_parents",
    "mnar_sensitivity",
    "mvn_em",
    "observed_loglik",
    "shd",
    "sid",
    "simulate_dag",
    "simulate_sem",
]

_em = "statkit.causal.em_gaussian"
_metrics = "statkit.causal.metrics"
_missingness = "statkit.causal.missingness"
_simulate = "statkit.causal.simulate"

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Knowledge": "statkit.causal.knowledge",
        "MVPC": "statkit.causal.mvpc",
        "MissDAG": "statkit.causal.missdag",
        "MissDAGCV": "statkit.causal.model_selection",
        "ampute": _simulate,
        "cpdag": "statkit.causal.equivalence",
        "dag_metrics": _metrics,
        "estep_gaussian": _em,
        "little_mcar_test": _missingness,
        "missing_patterns": _missingness,
        "missingness_parents": _missingness,
        "mnar_sensitivity": "statkit.causal.sensitivity",
        "mvn_em": _em,
        "observed_loglik": _em,
        "shd": _metrics,
        "sid": _metrics,
        "simulate_dag": _simulate,
        "simulate_sem": _simulate,
    },
    ("acyclicity", "dag_learners"),
)
