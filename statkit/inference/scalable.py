"""Scalable subsampling: estimates on consecutive blocks, averaged, with intervals from their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from statkit._unchanged import unchanged_on_error
from statkit.inference._base import ManySamples, evaluate_statistic

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["ScalableSubsampling"]


class ScalableSubsampling(ManySamples):
    """Mean of an estimator over blocks of rows: no randomness, every row read once, and errors from the
    spread.

    The rows must be in random order, or a stationary series.

    Parameters
    ----------
    estimator : estimator with ``coef_``, or callable ``(X[, y])``
    size : int or None, default=None
        Rows of a block; None is ``2 · N ** 0.45``: more than N^(1/3), so that bias stays below noise.
    overlap : float in [0, 1), default=0.0
        Share of a block that the next one repeats.
    n_jobs, random_state, verbose : as in :class:`BagOfLittleBootstraps`

    Attributes
    ----------
    coef_, bse_ : ndarray of shape (k,)
    estimates_ : ndarray of shape (blocks, k)

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.inference import ScalableSubsampling
    >>> x = np.random.default_rng(0).standard_normal(10_000)
    >>> bool(abs(ScalableSubsampling(np.mean).fit(x).bse_[0] - 0.01) < 0.003)
    True

    References
    ----------
    D. N. Politis (2024), Scalable Subsampling: Computation, Aggregation and Inference.
    """

    def __init__(
        self,
        estimator: Any,
        size: int | None = None,
        *,
        overlap: float = 0.0,
        n_jobs: Any = None,
        random_state: Seed = None,
        verbose: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.size = size
        self.overlap = overlap
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Estimate on every block. Returns self."""
        with unchanged_on_error(self):
            X, y = self._check(X, y)
            if not 0 <= self.overlap < 1:
                raise ValueError(f"overlap must lie in [0, 1), not {self.overlap!r}")
            n = len(X)
            b = self._size(n, min(n, max(2, int(2 * n**0.45))))
            step = max(1, round(b * (1 - self.overlap)))
            starts = range(0, n - b + 1, step)
            if len(starts) < 2:
                raise ValueError(f"blocks of {b} of {n} rows: at least two are needed; lower size")

            def one(i, rng):
                rows = slice(starts[i], starts[i] + b)
                return evaluate_statistic(self.estimator, X[rows], None if y is None else y[rows])

            self.estimates_ = np.array(self._run(one, len(starts)))
            self.coef_ = self.estimates_.mean(axis=0)
            self.bse_ = self.estimates_.std(axis=0, ddof=1) * np.sqrt(b / n)
            return self
