"""Which rows: scores, inclusion probabilities, samplers whose draws depend on seed and row number alone."""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
