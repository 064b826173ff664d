"""The links of the commonest families by number, so that compiled loops over rows can call them.

A compiled function as an argument defeats numba's cache; a number does not.
"""

from numba import njit

from ._special import KERNEL
from .binomial import _logit
from .gaussian import _identity
from .poisson import _log

__all__ = ["LINK_NUMBERS", "link_by_number"]

#: (family, link) → number
LINK_NUMBERS = {("gaussian", "identity"): 0, ("binomial", "logit"): 1, ("poisson", "log"): 2}


@njit(**KERNEL)
def link_by_number(number, eta, y, weight, r, w):
    """`Family.link` of a family in ``LINK_NUMBERS``; ``weight`` is empty where there is none."""
    if number == 0:
        return _identity(eta, y, weight, r, w)
    if number == 1:
        return _logit(eta, y, weight, r, w)
    return _log(eta, y, weight, r, w)
