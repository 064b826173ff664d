"""Low condition number pursuit: the rows nearest to a space-filling design."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import qmc

from statkit.sampling.selector import Selector
from statkit.sampling.uniform_design import nearest_free

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["LowConSampler"]


class LowConSampler(Selector):
    """Rows nearest to the points of a Latin hypercube: robust when the linear model is not quite true.

    Parameters
    ----------
    size : int, default=1000
    trim : float, default=1.0
        The design fills the box between these percentiles of each column and their complements.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    indices_ : ndarray of int, ascending
    weights_ : ndarray of ones

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import LowConSampler
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> len(LowConSampler(20, random_state=0).fit(X).indices_)
    20

    References
    ----------
    C. Meng, R. Xie, A. Mandal, X. Zhang, W. Zhong and P. Ma (2021), LowCon: A Design-Based Subsampling
    Approach in a Misspecified Linear Model.
    """

    def __init__(self, size: int = 1000, *, trim: float = 1.0, random_state: Seed = None) -> None:
        self.size = size
        self.trim = trim
        self.random_state = random_state

    def _select(self, X, y, size):
        if not 0 <= self.trim < 50:
            raise ValueError(f"trim is a percentage below 50, not {self.trim!r}")
        from sklearn.utils import check_random_state

        seed = check_random_state(self.random_state).randint(2**31 - 1)
        low, high = X.min(axis=0), X.max(axis=0)
        Z = 2 * (X - low) / np.where(high > low, high - low, 1.0) - 1
        box = np.percentile(Z, [self.trim, 100 - self.trim], axis=0)
        points = box[0] + qmc.LatinHypercube(X.shape[1], rng=np.random.default_rng(seed)).random(size) * (
            box[1] - box[0]
        )
        index = np.sort(nearest_free(Z, points))
        return index, np.ones(size)
