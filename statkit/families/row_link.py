"""Links by number, for compiled loops that need score and weight of a few rows between two steps.

A loop that takes a step every few rows cannot return to Python for ``family.link``; numba loops that take functions
as arguments are compiled again in every process. So the families' own kernels are behind one compiled switch: those
in common use, as each is compiled into every loop that calls it.
"""

from numba import njit

from . import binomial, gamma, gaussian, negative_binomial, poisson, tweedie
from ._special import KERNEL

__all__ = ["CHECK", "fill", "link_code"]

_gaussian = gaussian._identity
_binomial = binomial._logit
_poisson = poisson._log
_gamma = gamma._log
_negative_binomial = negative_binomial._log
_tweedie = tweedie._log

_CODES = {
    ("gaussian", "identity"): 0,
    ("binomial", "logit"): 1,
    ("poisson", "log"): 2,
    ("quantile", "identity"): 3,
    ("gamma", "log"): 4,
    ("negative_binomial", "log"): 5,
    ("tweedie", "log"): 6,
}
_PARAMETER = {3: "tau", 5: "alpha", 6: "power"}
_HERE = tuple(
    f"{__package__}.{name}"
    for name in ("binomial", "gamma", "gaussian", "negative_binomial", "poisson", "quantile", "tweedie")
)

#: code of the check loss
CHECK = 3


def link_code(family):
    """(code, parameter) of a family with a compiled link, or None for others."""
    if type(family).__module__ not in _HERE:  # a user's family may have the name of one of these
        return None
    code = _CODES.get((family.name.removeprefix("quasi_"), family.link_name))
    if code is None:
        return None
    name = _PARAMETER.get(code)
    return code, 0.0 if name is None else float(getattr(family, name))


@njit(**KERNEL)
def fill(code, parameter, eta, y, weight, r, w):
    """``family.link`` of rows with one predictor: fill score and Fisher weight, return the loss.

    Parameters
    ----------
    code, parameter : int, float
        From `link_code`.
    eta, y : ndarray of shape (m,)
    weight : ndarray of shape (m,), or empty
    r, w : ndarray of shape (m,)
    """
    if code == 0:
        return _gaussian(eta, y, weight, r, w)
    if code == 1:
        return _binomial(eta, y, weight, r, w)
    if code == 2:
        return _poisson(eta, y, weight, r, w)
    if code == 3:
        loss = 0.0
        for i in range(y.shape[0]):
            e = y[i] - eta[i]
            r[i] = parameter - 1.0 if e < 0.0 else parameter
            w[i] = 1.0
            if weight.shape[0] > 0:
                r[i] *= weight[i]
                w[i] *= weight[i]
            loss += r[i] * e
        return loss
    if code == 4:
        return _gamma(eta, y, weight, r, w)
    if code == 5:
        return _negative_binomial(eta, y, weight, parameter, r, w)
    return _tweedie(eta, y, weight, parameter, r, w)
