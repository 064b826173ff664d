"""Families: what is modelled. Loss, score and weight of a row in its linear predictor."""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
