"""Information-based optimal subdata: the extremes of every column."""

from __future__ import annotations

import numpy as np

from statkit.sampling.selector import Selector

__all__ = ["IBOSS"]


class IBOSS(Selector):
    """Rows with the extreme values of each column in turn: a deterministic selection for linear regression.

    For every column, among the rows not yet taken, the r smallest and r largest values, r = size / (2p). The
    variance of the slopes falls with the number of rows even at a fixed size, when columns have heavy tails.
    No weights are needed: the selection does not look at the response.

    Parameters
    ----------
    size : int, default=1000
        At least 2p; ``2 p floor(size / (2p))`` rows are taken.

    Attributes
    ----------
    indices_ : ndarray of int, ascending
    weights_ : ndarray of ones

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import IBOSS
    >>> IBOSS(2).fit(np.array([[3.0], [1], [2], [5]])).indices_
    array([1, 3])

    References
    ----------
    H. Wang, M. Yang and J. Stufken (2019), Information-Based Optimal Subdata Selection for Big Data Linear
    Regression.
    """

    def __init__(self, size=1000):
        self.size = size

    def _select(self, X, y, size):
        n, p = X.shape
        r = size // (2 * p)
        if r < 1:
            raise ValueError(
                f"size={size} is less than two rows for each of {p} columns: raise it to {2 * p}"
            )
        left = np.arange(n)
        taken = []
        for j in range(p):
            x = X[left, j]
            both = np.concatenate([_smallest(x, r), _smallest(-x, r)])
            if len(np.unique(both)) < 2 * r:  # ties: the largest among those that are not the smallest
                low = both[:r]
                rest = np.setdiff1d(np.arange(len(x)), low)
                both = np.concatenate([low, rest[_smallest(-x[rest], r)]])
            taken.append(left[both])
            left = np.delete(left, both)
        index = np.sort(np.concatenate(taken))
        return index, np.ones(len(index))

    def fit_linear(self, X, y):
        """Least squares on the selected rows, with an intercept adjusted by the means of all rows.

        Returns
        -------
        coef : ndarray of shape (p,)
        intercept : float
            ``ȳ − x̄'b``: its error falls with the number of rows, the subdata's own does not.
        covariance : ndarray of shape (p + 1, p + 1)
            Of intercept (the adjusted one first) and slopes.
        """
        X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
        self.fit(X, y)
        chosen, responses = X[self.indices_], y[self.indices_]
        k, p = chosen.shape
        center = chosen.mean(axis=0)
        A = chosen - center
        inverse = np.linalg.pinv(A.T @ A)
        coef = inverse @ (A.T @ (responses - responses.mean()))
        residual = responses - responses.mean() - A @ coef
        sigma2 = float(residual @ residual) / (k - p - 1) if k > p + 1 else np.nan
        mean = X.mean(axis=0)
        V = np.empty((p + 1, p + 1))
        V[1:, 1:] = sigma2 * inverse
        V[0, 1:] = V[1:, 0] = -V[1:, 1:] @ mean
        V[0, 0] = mean @ V[1:, 1:] @ mean + sigma2 / len(X)
        return coef, float(y.mean() - mean @ coef), V


def _smallest(x, r):
    """Positions of the ``r`` smallest values; ties at the cut in row order."""
    if r >= len(x):
        return np.arange(len(x))
    cut = np.partition(x, r - 1)[r - 1]
    below = np.flatnonzero(x < cut)
    return np.concatenate([below, np.flatnonzero(x == cut)[: r - len(below)]])
