"""Bootstraps whose fits see few rows: bags of little bootstraps, subsampled double, m out of n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from statkit._unchanged import unchanged_on_error
from statkit.inference._base import ManySamples, evaluate_statistic
from statkit.inference._known import KnownRegression

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["BagOfLittleBootstraps", "MOutOfNBootstrap", "SubsampledDoubleBootstrap"]


def _pick(X, y, index):
    return X[index], None if y is None else y[index]


def _counts(rng, n, b):
    return rng.multinomial(n, np.full(b, 1.0 / b)).astype(float)


def _bag(estimator, known, rows, n, resamples, rng):
    """Estimate on a bag as if it were all n rows, and those on ``resamples`` of its resamples."""
    b = len(rows[0])
    if known is not None:
        X, y = known.rows(*rows)
        center = known.fit(X, y)
        if center is not None:
            counts = np.array([_counts(rng, n, b) for _ in range(resamples)])
            return center, known.resampled(X, y, center, counts)
    center = evaluate_statistic(estimator, *rows, np.full(b, n / b))
    return center, np.array(
        [evaluate_statistic(estimator, *rows, _counts(rng, n, b)) for _ in range(resamples)]
    )


class BagOfLittleBootstraps(ManySamples):
    """Standard errors of full size from fits on small bags, whose rows are counted up to the size of the
    data.

    Each bag holds ``size`` different rows; each of its resamples draws N rows from them, as integer weights.

    Parameters
    ----------
    estimator : estimator with ``coef_`` that takes ``sample_weight``, or callable ``(X[, y], sample_weight=None)``
    size : int or None, default=None
        Rows of a bag; None is ``N ** 0.65``.
    n_bags : int, default=10
    n_resamples : int, default=60
    fast : bool, default=True
        For least squares, logistic and Poisson regression without penalty (of scikit-learn or statkit) a resample
        costs one Newton step from the bag's fit, which is off by the square of the error that is estimated.
        Other estimators are fitted to every resample.
    n_jobs : int or None, default=None
        Threads; results do not depend on it.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0

    Attributes
    ----------
    coef_ : ndarray of shape (k,)
        Mean over bags; the intercept first.
    bse_ : ndarray of shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.inference import BagOfLittleBootstraps
    >>> x = np.random.default_rng(0).standard_normal(10_000)
    >>> def mean(x, sample_weight=None):
    ...     return np.average(x, weights=sample_weight)
    >>> bool(abs(BagOfLittleBootstraps(mean, random_state=0).fit(x).bse_[0] - 0.01) < 0.002)
    True

    References
    ----------
    A. Kleiner, A. Talwalkar, P. Sarkar and M. I. Jordan (2014), A Scalable Bootstrap for Massive Data.
    """

    def __init__(
        self,
        estimator: Any,
        size: int | None = None,
        n_bags: int = 10,
        n_resamples: int = 60,
        *,
        fast: bool = True,
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.size = size
        self.n_bags = n_bags
        self.n_resamples = n_resamples
        self.fast = fast
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Resample. Returns self."""
        with unchanged_on_error(self):
            X, y = self._check(X, y)
            n = len(X)
            b = self._size(n, max(2, int(n**0.65)))
            self._positive(n_bags=self.n_bags, n_resamples=self.n_resamples)

            known = KnownRegression.of(self.estimator, X, y) if self.fast else None

            def bag(_, rng):
                rows = _pick(X, y, rng.choice(n, b, replace=False))
                center, draws = _bag(self.estimator, known, rows, n, self.n_resamples, rng)
                return center, draws - center

            bags = self._run(bag, self.n_bags)
            self.coef_ = np.mean([center for center, _ in bags], axis=0)
            self.bse_ = np.mean([roots.std(axis=0, ddof=1) for _, roots in bags], axis=0)
            self.roots_ = np.concatenate([roots for _, roots in bags])
            return self


class SubsampledDoubleBootstrap(ManySamples):
    """Standard errors of full size from one resample of each of many bags.

    Parameters
    ----------
    estimator : as in :class:`BagOfLittleBootstraps`
    size : int or None, default=None
        Rows of a bag; None is ``N ** 0.65``.
    n_resamples : int, default=200
        Bags, with one resample each.
    fast : bool, default=True
        As in :class:`BagOfLittleBootstraps`.
    n_jobs, random_state, verbose : as in :class:`BagOfLittleBootstraps`

    Attributes
    ----------
    coef_, bse_ : ndarray of shape (k,)
    roots_ : ndarray of shape (n_resamples, k)

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.inference import SubsampledDoubleBootstrap
    >>> x = np.random.default_rng(0).standard_normal(10_000)
    >>> def mean(x, sample_weight=None):
    ...     return np.average(x, weights=sample_weight)
    >>> bool(abs(SubsampledDoubleBootstrap(mean, random_state=0).fit(x).bse_[0] - 0.01) < 0.002)
    True

    References
    ----------
    S. Sengupta, S. Volgushev and X. Shao (2016), A Subsampled Double Bootstrap for Massive Data.
    """

    def __init__(
        self,
        estimator: Any,
        size: int | None = None,
        n_resamples: int = 200,
        *,
        fast: bool = True,
        n_jobs: Any = None,
        random_state: Seed = None,
        verbose: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.size = size
        self.n_resamples = n_resamples
        self.fast = fast
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Resample. Returns self."""
        with unchanged_on_error(self):
            X, y = self._check(X, y)
            n = len(X)
            b = self._size(n, max(2, int(n**0.65)))
            self._positive(n_resamples=self.n_resamples)

            known = KnownRegression.of(self.estimator, X, y) if self.fast else None

            def one(_, rng):
                rows = _pick(X, y, rng.choice(n, b, replace=False))
                center, draws = _bag(self.estimator, known, rows, n, 1, rng)
                return center, draws[0] - center

            centers, roots = (np.array(part) for part in zip(*self._run(one, self.n_resamples), strict=True))
            self.coef_, self.roots_ = centers.mean(axis=0), roots
            self.bse_ = roots.std(axis=0, ddof=1)
            return self


class MOutOfNBootstrap(ManySamples):
    """Bootstrap with samples much smaller than the data, rescaled by the rate of convergence.

    It is right where the bootstrap fails (extremes, non-smooth statistics), if the rate is.

    Parameters
    ----------
    estimator : as in :class:`BagOfLittleBootstraps`; weights are not needed
    size : int or None, default=None
        Rows of a sample, drawn with replacement; None is ``N ** 0.7``.
    n_resamples : int, default=200
    rate : float or None, default=0.5
        The statistic's error falls as N to this power; None estimates it from samples of ``size`` and
        ``size / 4`` rows.
    n_jobs, random_state, verbose : as in :class:`BagOfLittleBootstraps`

    Attributes
    ----------
    coef_ : ndarray of shape (k,)
        The statistic of all rows.
    bse_ : ndarray of shape (k,)
    rate_ : float or ndarray of shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.inference import MOutOfNBootstrap
    >>> x = np.random.default_rng(0).standard_normal(10_000)
    >>> bool(abs(MOutOfNBootstrap(np.median, random_state=0).fit(x).bse_[0] - 0.0125) < 0.003)
    True

    References
    ----------
    P. J. Bickel, F. Götze and W. R. van Zwet (1997), Resampling Fewer Than n Observations.
    """

    def __init__(
        self,
        estimator: Any,
        size: int | None = None,
        n_resamples: int = 200,
        *,
        rate: float | None = 0.5,
        n_jobs: Any = None,
        random_state: Seed = None,
        verbose: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.size = size
        self.n_resamples = n_resamples
        self.rate = rate
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Resample. Returns self."""
        with unchanged_on_error(self):
            X, y = self._check(X, y)
            n = len(X)
            b = self._size(n, max(2, int(n**0.7)))
            self._positive(n_resamples=self.n_resamples)
            full = evaluate_statistic(self.estimator, X, y)
            small = max(2, b // 4)

            def one(_, rng):
                draw = evaluate_statistic(self.estimator, *_pick(X, y, rng.integers(0, n, b)))
                if self.rate is not None:
                    return draw, draw
                return draw, evaluate_statistic(self.estimator, *_pick(X, y, rng.integers(0, n, small)))

            draws, fewer = (np.array(part) for part in zip(*self._run(one, self.n_resamples), strict=True))
            if self.rate is None:
                low, high = (np.subtract(*np.quantile(d, [0.75, 0.25], axis=0)) for d in (draws, fewer))
                with np.errstate(divide="ignore", invalid="ignore"):
                    self.rate_ = np.log(high / low) / np.log(b / small)
            else:
                self.rate_ = float(self.rate)
            self.coef_ = full
            self.roots_ = (b / n) ** self.rate_ * (draws - full)
            self.bse_ = self.roots_.std(axis=0, ddof=1)
            return self
