"""Orthogonal subsampling: rows far out whose signs balance, like a two-level orthogonal array."""

from __future__ import annotations

import numpy as np

from statkit.sampling.selector import Selector

__all__ = ["OrthogonalSampler"]


class OrthogonalSampler(Selector):
    """Rows that come closest to a two-level orthogonal array: extreme and balanced in sign.

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
    >>> from statkit.sampling import OrthogonalSampler
    >>> corners = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1], [0.1, 0], [0, 0.1]])
    >>> OrthogonalSampler(4).fit(corners).indices_
    array([0, 1, 2, 3])

    References
    ----------
    L. Wang, J. Elmstedt, W. K. Wong and H. Xu (2021), Orthogonal Subsampling for Big Data Linear Regression.
    """

    def __init__(self, size: int = 1000) -> None:
        self.size = size

    def _select(self, X, y, size):
        n, p = X.shape
        # Columns to [-1, 1]: with longer rows the discrepancy would reward equal signs.
        low, high = X.min(axis=0), X.max(axis=0)
        Z = 2 * (X - low) / np.where(high > low, high - low, 1.0) - 1
        norm = (Z * Z).sum(axis=1)
        sign = np.sign(Z)
        left = np.arange(n)
        taken = [int(norm.argmax())]
        left = np.delete(left, taken[0])
        loss = np.zeros(len(left))
        power = 1.0 if n > size**2 else np.log(n) / np.log(size) - 1.0
        for t in range(2, size + 1):
            last = taken[-1]
            agree = (p + sign[left] @ sign[last]) / 2 - 0.5 * (sign[left] == 0) @ (sign[last] != 0)
            loss += (p - norm[left] / 2 - norm[last] / 2 + agree) ** 2
            best = int(loss.argmin())
            taken.append(int(left[best]))
            left, loss = np.delete(left, best), np.delete(loss, best)
            keep = max(int(n / t**power), size - t)
            if keep < len(left):
                few = np.sort(np.argpartition(loss, keep)[:keep])
                left, loss = left[few], loss[few]
        index = np.sort(taken)
        return index, np.ones(len(index))
