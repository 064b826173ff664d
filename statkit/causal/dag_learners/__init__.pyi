from statkit.causal.dag_learners._dagma import dagma as dagma
from statkit.causal.dag_learners._golem import golem as golem
from statkit.causal.dag_learners._notears import notears as notears
from statkit.causal.dag_learners.lingam import direct_lingam as direct_lingam
from statkit.causal.dag_learners.order import select_parents as select_parents
from statkit.causal.dag_learners.order import top_down as top_down
from statkit.causal.dag_learners.score import boss as boss
from statkit.causal.dag_learners.score import exact as exact
from statkit.causal.dag_learners.score import hill_climbing as hill_climbing
from statkit.causal.dag_learners.splines import additive_splines as additive_splines

__all__: list[str]
