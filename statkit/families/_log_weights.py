"""The distribution of the prior weights, small enough to send: for log-likelihoods not linear in them.

The gamma log-likelihood holds Σ log Γ(a/φ), and φ is known only after the pass that sees the weights a. They
are therefore spread over a fixed grid of log a with the coefficients of local polynomial interpolation; any
smooth function of log a can be summed from the grid afterwards, to about 1e-14.
"""

import numpy as np
from numba import njit

from ._special import KERNEL

_PER_UNIT = 16  # grid points in a unit of log a
_NODES = 12  # of the local polynomial
_LEFT = 5

#: Π_{j≠k} (k - j) over the nodes
_DENOMINATOR = np.array([np.prod([float(k - j) for j in range(_NODES) if j != k]) for k in range(_NODES)])


class LogWeights:
    """Mass on the grid points ``start, start + 1, …`` of log a; merging adds masses.

    Parameters
    ----------
    start : int
        First grid point.
    mass : ndarray
        Interpolation mass on the grid points.
    """

    __slots__ = ("mass", "start")

    def __init__(self, start, mass):
        self.start = start
        self.mass = mass

    @classmethod
    def of(cls, weight, n):
        """Of the rows of positive ``weight`` (n,), or of ``n`` rows of weight 1 where ``weight`` is empty."""
        if weight.size == 0:
            return cls(0, np.array([float(n)]))
        log_weight = np.log(weight[weight > 0.0])
        if log_weight.size == 0:
            return cls(0, np.zeros(1))
        start = int(np.floor(log_weight.min() * _PER_UNIT)) - _LEFT
        stop = int(np.floor(log_weight.max() * _PER_UNIT)) - _LEFT + _NODES
        mass = np.zeros(stop - start)
        _spread(log_weight * _PER_UNIT, start, mass)
        return cls(start, mass)

    def merge(self, other):
        start = min(self.start, other.start)
        stop = max(self.start + self.mass.size, other.start + other.mass.size)
        mass = np.zeros(stop - start)
        for part in (self, other):
            mass[part.start - start : part.start - start + part.mass.size] += part.mass
        return LogWeights(start, mass)

    __add__ = merge

    def total(self, function):
        """Sum of ``function(a)`` over the rows."""
        return float(self.mass @ function(np.exp((self.start + np.arange(self.mass.size)) / _PER_UNIT)))


@njit(**KERNEL)
def _spread(position, start, mass):
    for i in range(position.shape[0]):
        first = int(np.floor(position[i])) - _LEFT
        s = position[i] - first
        for k in range(_NODES):
            product = 1.0
            for j in range(_NODES):
                if j != k:
                    product *= s - j
            mass[first - start + k] += product / _DENOMINATOR[k]
