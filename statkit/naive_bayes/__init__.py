"""Naive Bayes for partly wrong labels: the clean classifier, the wrong labels, the error rates."""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
