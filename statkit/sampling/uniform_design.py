"""Rows nearest to a uniform design on the data's own distribution: a selection that assumes no model."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import qmc

from statkit.sampling.selector import Selector

__all__ = ["UniformDesignSampler"]

# Generators of the lattice that are compared, and points up to which their discrepancy is computed.
_GENERATORS = 20
_MOST_POINTS = 2_000


class UniformDesignSampler(Selector):
    """Rows that represent the distribution of the data: nearest to a uniform design, matched through quantiles.

    The rows are turned to their principal components. A good lattice point set, uniform in the cube, is mapped
    through the quantiles of each component, and the nearest free row of each point is taken.

    Parameters
    ----------
    size : int, default=1000

    Attributes
    ----------
    indices_ : ndarray of int, ascending
    weights_ : ndarray of ones

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import UniformDesignSampler
    >>> x = np.random.default_rng(0).exponential(size=(2000, 1))
    >>> bool(abs(x[UniformDesignSampler(50).fit(x).indices_].mean() - x.mean()) < 0.03)
    True

    References
    ----------
    M. Zhang, Y. Zhou, Z. Zhou and A. Zhang (2023), Model-Free Subsampling Method Based on Uniform Designs.
    """

    def __init__(self, size: int = 1000) -> None:
        self.size = size

    def _select(self, X, y, size):
        spread = X.std(axis=0)
        Z = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        values, vectors = np.linalg.eigh(Z.T @ Z)
        kept = values > 1e-10 * max(values.max(), 1e-300)
        scores = Z @ vectors[:, kept][:, ::-1] if kept.any() else Z[:, :1]
        points = lattice(size, scores.shape[1])
        target = np.column_stack([np.quantile(s, u) for s, u in zip(scores.T, points.T, strict=True)])
        index = nearest_free(scores, target)
        return np.sort(index), np.ones(size)


def lattice(n, d):
    """Good lattice points in the cube: (i a^j mod n), with the generator of smallest centred discrepancy."""
    if d == 1 or n < 4:
        return np.tile(((np.arange(n) + 0.5) / n)[:, None], (1, d))
    coprime = [a for a in range(2, n) if math.gcd(a, n) == 1]
    spread = np.unique(np.linspace(0, len(coprime) - 1, _GENERATORS).astype(int))
    i = np.arange(1, n + 1)
    best, answer = np.inf, None
    for a in [coprime[k] for k in spread] or [1]:
        power = np.array([pow(int(a), j, n) for j in range(d)], dtype=np.int64)
        points = ((i[:, None] * power) % n + 0.5) / n
        some = points[:_MOST_POINTS]
        value = qmc.discrepancy(some, method="CD")
        if value < best:
            best, answer = value, points
    return answer


def nearest_free(rows, points):
    """For each point in turn the nearest row that no earlier point took."""
    tree = cKDTree(rows)
    taken = np.zeros(len(rows), bool)
    chosen = []
    for point, first in zip(points, tree.query(points)[1], strict=True):
        k, row = 1, int(first)
        while taken[row]:
            k = min(2 * k, len(rows))
            near = np.atleast_1d(tree.query(point, k)[1])
            free = near[~taken[near]]
            row = int(free[0]) if len(free) else row
        taken[row] = True
        chosen.append(row)
    return chosen
