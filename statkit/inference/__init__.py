"""Inference beyond one fit: errors from many small samples, and combined studies."""

from statkit._lazy import lazy_names

_WHERE = {
    "BagOfLittleBootstraps": "statkit.inference.bootstraps",
    "combine_summaries": "statkit.inference.combine",
    "JackknifeSubsampling": "statkit.inference.jackknife",
    "LocalSummary": "statkit.inference.site_summary",
    # A fit of rows lives with the fits, a floor above; here is where its readers look for it.
    "local_summary": "statkit.regression.local_summary",
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

__all__ = [*sorted(_WHERE), "random_scaling"]

__getattr__, __dir__ = lazy_names(__name__, _WHERE, ["random_scaling"])
