"""Data sets that ship with statkit, and simulators.

Loaders return a scikit-learn ``Bunch``; ``*_path`` functions return the path of a file, for what reads files.
"""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
