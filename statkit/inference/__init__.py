"""Inference beyond one fit: combining studies and sites."""

from statkit._lazy import lazy_names

_HOME = {
    "MetaAnalysis": "statkit.inference.meta",
    "meta_analysis": "statkit.inference.meta",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
