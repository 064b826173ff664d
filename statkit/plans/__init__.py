"""How an estimate is made from rows too many to refit: one file a plan."""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
