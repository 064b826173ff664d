from statkit import causal as causal
from statkit import cluster as cluster
from statkit import datasets as datasets
from statkit import decomposition as decomposition
from statkit import exceptions as exceptions
from statkit import families as families
from statkit import inference as inference
from statkit import naive_bayes as naive_bayes
from statkit import plans as plans
from statkit import plotting as plotting
from statkit import regression as regression
from statkit import sampling as sampling
from statkit._discovery import all_estimators as all_estimators
from statkit.persistence import load as load
from statkit.persistence import save as save
from statkit.regression import coxph as coxph
from statkit.regression import explain as explain
from statkit.regression import glm as glm
from statkit.regression import quantreg as quantreg
from statkit.results import anova as anova
from statkit.results import compare as compare
from statkit.results import likelihood_ratio_test as likelihood_ratio_test

__all__: list[str]
__version__: str
