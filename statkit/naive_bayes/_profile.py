"""Upper limits of transition probabilities that are estimated at zero, by the profile likelihood.

At the boundary there is no Wald interval. The largest value that the data do not reject is found by holding the
cell at a value, fitting everything else, and watching the log posterior fall.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

from statkit.naive_bayes._corpus import Corpus
from statkit.naive_bayes._fit import Fit, plain_em
from statkit.naive_bayes._louis import BOUNDARY
from statkit.naive_bayes._transition import Transition

#: Iterations of a fit that starts at the solution with one cell moved.
_WARM = 30


class Pinned(Transition):
    """A "full" transition of one source in which one cell is held at a value."""

    def __init__(self, transition: Transition, cell: tuple[int, int], value: float):
        super().__init__("full", transition.n_classes, 1, transition.prior, transition.mask)
        self.pseudo = transition.pseudo
        self.cell, self.value = cell, value

    def update(self, C: np.ndarray, previous: np.ndarray, adapt: bool = True) -> np.ndarray:
        return self.pinned(super().update(C, previous, adapt=False))

    def pinned(self, T: np.ndarray) -> np.ndarray:
        """``T`` with the cell at its value and the rest of its row scaled to sum to what is left."""
        row, column = self.cell
        T = T.copy()
        T[0, row, column] = 0.0
        T[0, row] *= (1.0 - self.value) / T[0, row].sum()
        T[0, row, column] = self.value
        return T


def upper_limits(corpus: Corpus, fit: Fit, transition: Transition, level: float) -> dict:
    """Upper limit of every cell (row, column) of a "full" transition that is estimated at zero."""
    if transition.structure != "full" or transition.n_sources > 1:
        return {}
    allowed = np.ones_like(fit.T[0], dtype=bool) if transition.mask is None else transition.mask
    cells = np.argwhere((fit.T[0] <= BOUNDARY) & allowed)
    return {
        (row, column): _upper_limit(corpus, fit, transition, (row, column), level) for row, column in cells
    }


def _upper_limit(corpus, fit, transition, cell, level) -> float:
    fall = chi2.ppf(level, 1) / 2.0

    def excess(value: float) -> float:
        model = Pinned(transition, cell, value)
        moved = plain_em(corpus, replace(fit, T=model.pinned(fit.T)), model, _WARM, 1e-6)
        return fit.objective[-1] - moved.objective[-1] - fall

    high = 1e-3
    while excess(high) < 0.0:
        if high > 0.5:
            return 1.0
        high *= 2.0
    return float(brentq(excess, BOUNDARY, high, xtol=high / 50))
