"""How columns become a matrix: formulas, levels, scaling; the block of encoded rows and its kernels."""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
