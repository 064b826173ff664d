"""Searches for a directed acyclic graph that need of the data only a covariance matrix and a sample size.

Each returns a boolean adjacency matrix (edge from row to column) or, the gradient methods, a weight matrix.
"""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
