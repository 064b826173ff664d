"""Causal graphs from tables with holes: the estimator, its parts, simulators and diagnostics."""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
