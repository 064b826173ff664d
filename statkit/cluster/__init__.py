"""Clustering: probability aggregation and its family, and several views or kernels of the same objects."""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
