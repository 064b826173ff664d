"""Selection by leverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statkit.sampling.draws import priority_sample, replacement_sample
from statkit.sampling.leverage import leverage_scores
from statkit.sampling.selector import Selector

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["LeverageSampler"]


def _generator(random_state):
    from sklearn.utils import check_random_state

    return check_random_state(random_state)


class LeverageSampler(Selector):
    """Rows with chances that follow their leverage.

    Parameters
    ----------
    size : int, default=1000
        Rows to draw.
    shrinkage : float, default=0.9
        Share λ of leverage in the probabilities: ``λ h/p + (1 − λ)/n``.
    replacement : bool, default=False
        Draw with replacement as in the literature, or exactly ``size`` different rows (priority sampling).
    fit_intercept : bool, default=True
        Whether leverage counts a column of ones.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    indices_ : ndarray of int, ascending
        Rows that were drawn, with repetitions if ``replacement``.
    weights_ : ndarray of shape (size,)
        Inverses of the inclusion probabilities: any weighted method that takes ``X[indices_]`` needs them.
    n_features_in_ : int

    Raises
    ------
    ValueError
        For a ``shrinkage`` outside [0, 1], or missing or infinite values.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import LeverageSampler
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> LeverageSampler(50, random_state=0).fit(X).indices_.shape
    (50,)

    References
    ----------
    P. Ma, M. W. Mahoney and B. Yu (2015), A Statistical Perspective on Algorithmic Leveraging.
    """

    def __init__(
        self,
        size: int = 1000,
        *,
        shrinkage: float = 0.9,
        replacement: bool = False,
        fit_intercept: bool = True,
        random_state: Seed = None,
    ) -> None:
        self.size = size
        self.shrinkage = shrinkage
        self.replacement = replacement
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    def _select(self, X, y, size):
        if not 0 <= self.shrinkage <= 1:
            raise ValueError(f"shrinkage must lie between 0 and 1, not {self.shrinkage!r}")
        if self.fit_intercept:
            X = np.column_stack([np.ones(len(X)), X])
        h = leverage_scores(X, random_state=self.random_state)
        p = self.shrinkage * h / h.sum() + (1 - self.shrinkage) / len(X)
        rng = _generator(self.random_state)
        if self.replacement:
            index, drawn = replacement_sample(p, size, random_state=rng)
            return index, 1.0 / (size * drawn)
        index, pi, _ = priority_sample(p, size, u=rng.random_sample(len(p)))
        return index, 1.0 / pi
