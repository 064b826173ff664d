"""Links by number, for compiled loops that need score and weight of a few rows between two steps.

A loop that takes a step every few rows cannot return to Python for ``family.link``; numba loops that take functions
as arguments are compiled again in every process. So the families' own kernels are behind one compiled switch.
"""

from numba import njit

from . import binomial, gamma, gaussian, inverse_gaussian, negative_binomial, poisson, tweedie
from ._special import KERNEL

_binomial_logit = binomial._logit
_binomial_probit = binomial._probit
_binomial_cloglog = binomial._cloglog
_gaussian_identity = gaussian._identity
_gaussian_log = gaussian._log
_gaussian_inverse = gaussian._inverse
_poisson_log = poisson._log
_poisson_identity = poisson._identity
_poisson_sqrt = poisson._sqrt
_gamma_log = gamma._log
_gamma_inverse = gamma._inverse
_gamma_identity = gamma._identity
_inverse_gaussian_log = inverse_gaussian._log
_inverse_gaussian_squared = inverse_gaussian._inverse_squared
_negative_binomial_log = negative_binomial._log
_tweedie_log = tweedie._log

_CODES = {
    ("gaussian", "identity"): 0,
    ("binomial", "logit"): 1,
    ("poisson", "log"): 2,
    ("quantile", "identity"): 3,
    ("gamma", "log"): 4,
    ("negative_binomial", "log"): 5,
    ("tweedie", "log"): 6,
    ("inverse_gaussian", "log"): 7,
    ("binomial", "probit"): 8,
    ("binomial", "cloglog"): 9,
    ("poisson", "identity"): 10,
    ("poisson", "sqrt"): 11,
    ("gaussian", "log"): 12,
    ("gaussian", "inverse"): 13,
    ("gamma", "inverse"): 14,
    ("gamma", "identity"): 15,
    ("inverse_gaussian", "inverse_squared"): 16,
}
_PARAMETER = {3: "tau", 5: "alpha", 6: "power"}
_HERE = tuple(module.__name__ for module in (
    binomial, gamma, gaussian, inverse_gaussian, negative_binomial, poisson, tweedie,
)) + (f"{__package__}.quantile",)  # fmt: skip

#: code of the check loss
CHECK = 3


def link_code(family):
    """(code, parameter) of a family of this package, or None for others (softmax, families of users)."""
    if type(family).__module__ not in _HERE:
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
        return _gaussian_identity(eta, y, weight, r, w)
    if code == 1:
        return _binomial_logit(eta, y, weight, r, w)
    if code == 2:
        return _poisson_log(eta, y, weight, r, w)
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
        return _gamma_log(eta, y, weight, r, w)
    if code == 5:
        return _negative_binomial_log(eta, y, weight, parameter, r, w)
    if code == 6:
        return _tweedie_log(eta, y, weight, parameter, r, w)
    if code == 7:
        return _inverse_gaussian_log(eta, y, weight, r, w)
    if code == 8:
        return _binomial_probit(eta, y, weight, r, w)
    if code == 9:
        return _binomial_cloglog(eta, y, weight, r, w)
    if code == 10:
        return _poisson_identity(eta, y, weight, r, w)
    if code == 11:
        return _poisson_sqrt(eta, y, weight, r, w)
    if code == 12:
        return _gaussian_log(eta, y, weight, r, w)
    if code == 13:
        return _gaussian_inverse(eta, y, weight, r, w)
    if code == 14:
        return _gamma_inverse(eta, y, weight, r, w)
    if code == 15:
        return _gamma_identity(eta, y, weight, r, w)
    return _inverse_gaussian_squared(eta, y, weight, r, w)
