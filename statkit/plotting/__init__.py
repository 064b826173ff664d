"""Display classes: ``XDisplay.from_estimator(…)``; matplotlib is imported when something is drawn."""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
