"""Information-based optimal subdata: the extremes of every column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from statkit._unchanged import unchanged_on_error
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

    def __init__(self, size: int = 1000) -> None:
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

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Take in the next rows of data seen in pieces; the selection is that of all of them at once.

        Of each column only the rows that can still be wanted are held: for column j those of the r (2 j + 1)
        smallest and largest values, since the columns before it take 2 r j rows at most.

        Parameters
        ----------
        X : array of shape (m, p)
        y : array of shape (m,) or None
            Held with the rows, for :meth:`fit_linear` without arguments.

        Returns
        -------
        self : IBOSS
            With ``indices_`` counted over all pieces, and ``weights_``.

        Examples
        --------
        >>> import numpy as np
        >>> from statkit.sampling import IBOSS
        >>> x = np.array([[3.0], [1], [2], [5]])
        >>> IBOSS(2).partial_fit(x[:2]).partial_fit(x[2:]).indices_
        array([1, 3])
        """
        with unchanged_on_error(self):
            state = vars(self).get("_stream")
            size = self._checked_size()
            X = validate_data(self, X, dtype=np.float64, reset=state is None)
            y = None if y is None else np.asarray(y, dtype=float)
            if y is not None and len(y) != len(X):
                raise ValueError(f"y has {len(y)} values for {len(X)} rows")
            if state is not None and (y is None) != (state.y is None):
                raise ValueError("y must be given with all pieces or with none")
            p = X.shape[1]
            r = size // (2 * p)
            if r < 1:
                raise ValueError(
                    f"size={size} is less than two rows for each of {p} columns: raise it to {2 * p}"
                )
            self._stream = state = _joined(state, X, y, r)
            if state.n <= size:
                chosen = np.arange(len(state.rows))
            else:
                chosen, _ = self._select(state.X, None, size)
            self.indices_, self.weights_ = state.rows[chosen], np.ones(len(chosen))
            self._chosen = chosen
            return self

    def _selected(self):
        """What :meth:`fit_linear` needs after pieces: selected rows and responses, means of all rows, their number."""
        state = vars(self).get("_stream")
        if state is None or state.y is None:
            raise ValueError("fit_linear needs X and y, or pieces with y given to partial_fit before")
        return (
            state.X[self._chosen],
            state.y[self._chosen],
            state.sum_x / state.n,
            state.sum_y / state.n,
            state.n,
        )


@dataclass
class _Stream:
    """Rows of a stream that may still be selected, in order, and sums over all."""

    rows: np.ndarray
    X: np.ndarray
    y: np.ndarray | None
    n: int
    sum_x: np.ndarray
    sum_y: float


def _joined(state, X, y, r):
    """The state after further rows."""
    before = 0 if state is None else state.n
    rows = np.arange(before, before + len(X))
    n, sum_x, sum_y = before + len(X), X.sum(axis=0), 0.0 if y is None else float(y.sum())
    if state is not None:
        rows, X = np.concatenate([state.rows, rows]), np.vstack([state.X, X])
        y = None if y is None else np.concatenate([state.y, y])
        sum_x, sum_y = state.sum_x + sum_x, state.sum_y + sum_y
    wanted = np.zeros(len(X), bool)
    for j in range(X.shape[1]):
        # Ties with the smallest can keep a row from being among the largest, hence both at once.
        few = min(2 * r * (2 * j + 1) if np.ptp(X[:, j]) == 0 else r * (2 * j + 2), len(X))
        wanted[_smallest(X[:, j], few)] = True
        wanted[_smallest(-X[:, j], few)] = True
    index = np.flatnonzero(wanted)
    return _Stream(rows[index], X[index], None if y is None else y[index], n, sum_x, sum_y)


def _smallest(x, r):
    """Positions of the ``r`` smallest values; ties at the cut in row order."""
    if r >= len(x):
        return np.arange(len(x))
    cut = np.partition(x, r - 1)[r - 1]
    below = np.flatnonzero(x < cut)
    return np.concatenate([below, np.flatnonzero(x == cut)[: r - len(below)]])
