from statkit.inference import random_scaling as random_scaling
from statkit.inference.addressing import SequentialBlocks as SequentialBlocks
from statkit.inference.addressing import sequential_blocks as sequential_blocks
from statkit.inference.addressing import shuffle_file as shuffle_file
from statkit.inference.bootstraps import BagOfLittleBootstraps as BagOfLittleBootstraps
from statkit.inference.bootstraps import MOutOfNBootstrap as MOutOfNBootstrap
from statkit.inference.bootstraps import SubsampledDoubleBootstrap as SubsampledDoubleBootstrap
from statkit.inference.combine import combine_summaries as combine_summaries
from statkit.inference.jackknife import JackknifeSubsampling as JackknifeSubsampling
from statkit.inference.meta import MetaAnalysis as MetaAnalysis
from statkit.inference.meta import meta_analysis as meta_analysis
from statkit.inference.scalable import ScalableSubsampling as ScalableSubsampling
from statkit.inference.screening import SubsampledFeatureScreening as SubsampledFeatureScreening
from statkit.inference.site_summary import LocalSummary as LocalSummary
from statkit.regression.local_summary import local_summary as local_summary

__all__: list[str]
