"""Recent statistics papers as dependable software: estimators with standard errors, for data of any size.

Nothing but the standard library is imported here: every name loads when it is used.
"""

from statkit._lazy import lazy_names

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
