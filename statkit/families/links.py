"""Link functions on arrays: inverse, link, derivative of the inverse, and the ratio of its two derivatives.

They serve predictions, starting values and bias corrections; the passes over the rows use the kernels of the
families, in which link and variance function are one closed form.
"""

from typing import NamedTuple, Protocol

import numpy as np
from scipy import special

#: η is held within ±700 inside exp, so that no mean is infinite
LIMIT = 700.0


class LinkFunction(NamedTuple):
    """The four functions of a link; ``ratio`` is μ''/μ'."""

    inverse: "_Function"
    function: "_Function"
    derivative: "_Function"
    ratio: "_Function"


class _Function(Protocol):
    def __call__(self, x: np.ndarray, /) -> np.ndarray: ...


def _exp(eta):
    return np.exp(np.clip(eta, -LIMIT, LIMIT))


def _normal_density(eta):
    return np.exp(-0.5 * np.square(eta)) / np.sqrt(2 * np.pi)


def _inverse_cloglog(eta):
    return -np.expm1(-_exp(eta))


def _cloglog_derivative(eta):
    z = _exp(eta)
    return z * np.exp(-z)


def _logit_derivative(eta):
    e = np.exp(-np.abs(eta))
    return e / np.square(1.0 + e)


LINKS = {
    "identity": LinkFunction(np.array, np.array, np.ones_like, np.zeros_like),
    "log": LinkFunction(_exp, np.log, _exp, np.ones_like),
    "inverse": LinkFunction(
        lambda eta: 1.0 / eta, lambda mu: 1.0 / mu, lambda eta: -1.0 / np.square(eta), lambda eta: -2.0 / eta
    ),
    "inverse_squared": LinkFunction(
        lambda eta: 1.0 / np.sqrt(eta),
        lambda mu: 1.0 / np.square(mu),
        lambda eta: -0.5 * np.power(eta, -1.5),
        lambda eta: -1.5 / eta,
    ),
    "sqrt": LinkFunction(np.square, np.sqrt, lambda eta: 2.0 * eta, lambda eta: 1.0 / eta),
    "logit": LinkFunction(
        special.expit, special.logit, _logit_derivative, lambda eta: -np.tanh(0.5 * np.asarray(eta))
    ),
    "probit": LinkFunction(special.ndtr, special.ndtri, _normal_density, lambda eta: -np.asarray(eta)),
    "cloglog": LinkFunction(
        _inverse_cloglog, lambda mu: np.log(-np.log1p(-mu)), _cloglog_derivative, lambda eta: 1.0 - _exp(eta)
    ),
}

ALIASES = {"1/mu^2": "inverse_squared", "1/mu": "inverse", "logistic": "logit", "normal": "probit"}
