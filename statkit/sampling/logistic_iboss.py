"""Information-based subdata for logistic regression: rows whose log-odds tell most, and their extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from statkit.sampling.iboss import IBOSS
from statkit.sampling.selector import Selector

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["LogisticIBOSS"]

# Rows of the band around the best log-odds, for each that is to be taken from it.
_BAND = 8


class LogisticIBOSS(Selector):
    """Rows near the support of the D-optimal design of a logistic regression, and far out in their columns.

    A D-optimal design puts its points where the log-odds are ±c, with c maximising c² ψ(c)ᵈ, ψ the logistic
    density and d the number of coefficients. A pilot fit tells the log-odds of every row; of the rows nearest to
    ±c the extremes of each column are taken, half on either side. No weights are needed.

    Parameters
    ----------
    size : int, default=1000
    pilot_size : int or None, default=None
        Random rows of the pilot fit; None is ``size``.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    indices_ : ndarray of int, ascending
    weights_ : ndarray of ones
    log_odds_ : float
        c.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import LogisticIBOSS
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((5000, 1))
    >>> y = rng.random(5000) < 1 / (1 + np.exp(-X[:, 0]))
    >>> round(LogisticIBOSS(100, random_state=0).fit(X, y).log_odds_, 4)
    1.5434

    References
    ----------
    Q. Cheng, H. Wang and M. Yang (2020), Information-Based Optimal Subdata Selection for Big Data Logistic
    Regression.
    """

    _needs_y = True

    def __init__(
        self,
        size: int = 1000,
        *,
        pilot_size: int | None = None,
        random_state: Seed = None,
    ) -> None:
        self.size = size
        self.pilot_size = pilot_size
        self.random_state = random_state

    def _select(self, X, y, size):
        from sklearn.linear_model import LogisticRegression
        from sklearn.utils import check_random_state

        n, p = X.shape
        if size < 4 * p:
            raise ValueError(f"size={size} is less than two rows a column on both sides: raise it to {4 * p}")
        rng = check_random_state(self.random_state)
        y = np.asarray(y)
        if len(np.unique(y)) != 2:
            raise ValueError(f"LogisticIBOSS is for two classes, y has {len(np.unique(y))}")
        pilot = rng.choice(n, min(n, self.pilot_size or size), replace=False)
        if len(np.unique(y[pilot])) < 2:
            raise ValueError(f"the pilot of {len(pilot)} rows holds one class only: raise pilot_size")
        eta = LogisticRegression(C=1e4, max_iter=1000).fit(X[pilot], y[pilot]).decision_function(X)
        self.log_odds_ = best_log_odds(p + 1)
        index = []
        for sign in (-1.0, 1.0):
            away = np.abs(eta - sign * self.log_odds_)
            away[index] = np.inf
            free = n - len(index)
            want = size // 2 if sign < 0 else size - size // 2
            band = np.sort(np.argpartition(away, min(_BAND * want, free) - 1)[: min(_BAND * want, free)])
            index.extend(band[IBOSS(want).fit(X[band]).indices_])
        index = np.sort(index)
        return index, np.ones(len(index))


def best_log_odds(d):
    """c > 0 that maximises c² ψ(c)ᵈ: the root of c tanh(c/2) = 2/d."""
    return float(brentq(lambda c: c * np.tanh(c / 2) - 2.0 / d, 1e-9, 5.0))
