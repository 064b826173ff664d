"""Independence-encouraging subsampling: rows spread so that the columns look independent of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statkit.sampling.selector import Selector

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["IndependenceSampler"]


class IndependenceSampler(Selector):
    """Rows that share as few cells of as many columns as possible, for additive and nonparametric models.

    Every column is cut into cells of equal width. Rows are taken one after another, each the one that agrees
    least with those before: with the smallest sum of squared numbers of cells in common.

    Parameters
    ----------
    size : int, default=1000
    n_cells : int or None, default=None
        Cells of a column; None is 16, or √size where that is less: with fewer rows than pairs of cells, most
        pairs stay empty and dependence is not seen.
    random_state : int, RandomState or None, default=None
        For the first row.

    Attributes
    ----------
    indices_ : ndarray of int, ascending
    weights_ : ndarray of ones

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import IndependenceSampler
    >>> X = np.repeat(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), 5, axis=0)
    >>> X[IndependenceSampler(4, n_cells=2, random_state=0).fit(X).indices_].tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]

    References
    ----------
    Y. Zhang, L. Wang, X. Zhang and H. Wang (2024), Independence-Encouraging Subsampling for Nonparametric Additive
    Models.
    """

    def __init__(
        self,
        size: int = 1000,
        *,
        n_cells: int | None = None,
        random_state: Seed = None,
    ) -> None:
        self.size = size
        self.n_cells = n_cells
        self.random_state = random_state

    def _select(self, X, y, size):
        from sklearn.utils import check_random_state

        cells = max(2, min(16, int(size**0.5))) if self.n_cells is None else self.n_cells
        if isinstance(cells, bool) or not isinstance(cells, (int, np.integer)) or not 2 <= cells <= 256:
            raise ValueError(f"n_cells must be an integer from 2 to 256, not {cells!r}")
        low, high = X.min(axis=0), X.max(axis=0)
        Z = (X - low) / np.where(high > low, high - low, 1.0)
        cell = np.minimum((cells * Z).astype(np.int64), cells - 1).astype(np.uint8)
        loss = np.zeros(len(X))
        row = int(check_random_state(self.random_state).randint(len(X)))
        taken = [row]
        for _ in range(1, size):
            loss += np.count_nonzero(cell == cell[row], axis=1).astype(float) ** 2
            loss[row] = np.inf
            row = int(loss.argmin())
            taken.append(row)
        return np.sort(taken), np.ones(size)
