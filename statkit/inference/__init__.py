"""Errors of estimates from many small samples, for any estimator or statistic."""

from statkit._lazy import lazy_names

_WHERE = {
    "BagOfLittleBootstraps": "statkit.inference.bootstraps",
    "JackknifeSubsampling": "statkit.inference.jackknife",
    "MOutOfNBootstrap": "statkit.inference.bootstraps",
    "ScalableSubsampling": "statkit.inference.scalable",
    "SubsampledDoubleBootstrap": "statkit.inference.bootstraps",
    "SubsampledFeatureScreening": "statkit.inference.screening",
    "sequential_blocks": "statkit.inference.addressing",
    "shuffle_file": "statkit.inference.addressing",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, _WHERE)
