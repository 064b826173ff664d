"""Inference beyond one fit: errors from many small samples, and combined studies."""

from statkit._lazy import lazy_names

_WHERE = {
    "BagOfLittleBootstraps": "statkit.inference.bootstraps",
    "JackknifeSubsampling": "statkit.inference.jackknife",
    "MetaAnalysis": "statkit.inference.meta",
    "MOutOfNBootstrap": "statkit.inference.bootstraps",
    "ScalableSubsampling": "statkit.inference.scalable",
    "SequentialBlocks": "statkit.inference.addressing",
    "SubsampledDoubleBootstrap": "statkit.inference.bootstraps",
    "SubsampledFeatureScreening": "statkit.inference.screening",
    "meta_analysis": "statkit.inference.meta",
    "sequential_blocks": "statkit.inference.addressing",
    "shuffle_file": "statkit.inference.addressing",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, _WHERE)
