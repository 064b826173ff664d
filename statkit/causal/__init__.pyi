from statkit.causal import acyclicity as acyclicity
from statkit.causal import dag_learners as dag_learners
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

__all__: list[str]
