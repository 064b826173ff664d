"""The mean of many small samples' estimates, with the bias of small samples removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from statkit._unchanged import unchanged_on_error
from statkit.inference._base import ManySamples, evaluate_statistic
from statkit.inference._known import KnownRegression
from statkit.inference.addressing import sequential_blocks

if TYPE_CHECKING:
    from statkit._typing import Seed

__all__ = ["JackknifeSubsampling"]


class JackknifeSubsampling(ManySamples):
    """Estimate of full quality from many small samples: each corrected for its bias, then averaged.

    The mean of K estimates from n rows has variance of order 1/(nK) but the bias of one, of order 1/n, which
    does not average out. The jackknife (any statistic) or Cox and Snell's formula (generalized linear models)
    takes it to 1/n².

    Parameters
    ----------
    estimator : estimator with ``coef_``, or callable ``(X[, y])``
    size : int, default=1000
        Rows of a sample.
    n_subsamples : int, default=200
    debias : {"auto", "jackknife", "cox_snell"} or None, default="auto"
        "auto" is "cox_snell" for linear, logistic and Poisson regressions without penalty (of scikit-learn or
        statkit), else "jackknife", which leaves out each row of a sample in turn: two Newton steps for those
        regressions, a fit for any other estimator. None averages the samples as they are (subbagging).
    addressing : {"random", "sequential"}, default="random"
        Rows at random, or blocks of consecutive rows: one seek instead of many, for rows in random order.
    target : {"population", "full_data"}, default="population"
    n_jobs, random_state, verbose : as in :class:`BagOfLittleBootstraps`

    Attributes
    ----------
    coef_, bse_ : ndarray of shape (k,)
    estimates_ : ndarray of shape (n_subsamples, k)
        Debiased.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.inference import JackknifeSubsampling
    >>> x = np.random.default_rng(0).exponential(size=20_000)
    >>> def rate(x):
    ...     return 1 / x.mean()
    >>> fit = JackknifeSubsampling(rate, 50, 100, random_state=0).fit(x)
    >>> bool(abs(fit.coef_[0] - 1) < 4 * fit.bse_[0])
    True

    References
    ----------
    S. Wu, X. Zhu and H. Wang (2023), Subsampling and Jackknifing: A Practically Convenient Solution for Large
    Data Analysis With Limited Computational Resources. R. Pan, Y. Zhu, B. Guo, X. Zhu and H. Wang (2023), A
    Sequential Addressing Subsampling Method for Massive Data Analysis Under Memory Constraint.
    """

    def __init__(
        self,
        estimator: Any,
        size: int = 1000,
        n_subsamples: int = 200,
        *,
        debias: Literal["auto", "jackknife", "cox_snell"] | None = "auto",
        addressing: Literal["random", "sequential"] = "random",
        target: Literal["population", "full_data"] = "population",
        n_jobs: Any = None,
        random_state: Seed = None,
        verbose: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.size = size
        self.n_subsamples = n_subsamples
        self.debias = debias
        self.addressing = addressing
        self.target = target
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Sample, correct and average. Returns self."""
        with unchanged_on_error(self):
            X, y = self._check(X, y)
            n_rows = len(X)
            n = self._size(n_rows, None)
            if n < 2:
                raise ValueError("size must be at least 2: leaving one row out must leave one")
            self._positive(n_subsamples=self.n_subsamples)
            for name, allowed in (
                ("debias", ("auto", "jackknife", "cox_snell", None)),
                ("addressing", ("random", "sequential")),
                ("target", ("population", "full_data")),
            ):
                if getattr(self, name) not in allowed:
                    raise ValueError(f"{name} must be one of {allowed}, not {getattr(self, name)!r}")
            known = KnownRegression.of(self.estimator, X, y)
            debias = self.debias
            if debias == "auto":
                debias = "jackknife" if known is None else "cox_snell"
            if debias == "cox_snell" and known is None:
                raise ValueError(
                    "debias='cox_snell' is for unpenalised linear, logistic and Poisson regression"
                )

            def one(i, rng):
                if self.addressing == "sequential":
                    index = next(iter(sequential_blocks(n_rows, n, 1, rng)))
                else:
                    index = rng.integers(0, n_rows, n)
                rows = X[index], None if y is None else y[index]
                design = known.rows(*rows) if known is not None else None
                value = known.fit(*design) if known is not None else None
                if value is None:
                    value = evaluate_statistic(self.estimator, *rows)
                if known is not None and debias != "jackknife":
                    bias, variance = _cox_snell(known.family, *design, value)
                    return (value - bias if debias else value), variance
                if known is not None:
                    left_out = known.left_out(*design, value)
                else:
                    left_out = np.array(
                        [evaluate_statistic(self.estimator, *_but(rows, j)) for j in range(n)]
                    )
                variance = (n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)
                return (n * value - (n - 1) * left_out.mean(axis=0) if debias else value), variance

            estimates, variances = (np.array(p) for p in zip(*self._run(one, self.n_subsamples), strict=True))
            self.estimates_ = estimates
            self.coef_ = estimates.mean(axis=0)
            share = 1 / self.n_subsamples + (n / n_rows if self.target == "population" else 0.0)
            self.bse_ = np.sqrt(share * variances.mean(axis=0))
            return self


def _but(rows, j):
    X, y = rows
    return np.delete(X, j, axis=0), None if y is None else np.delete(y, j)


def _cox_snell(family, X, y, value):
    """Bias of order 1/n of a canonical regression, and the sandwich variance."""
    eta = X @ value
    mu, w = family.inverse_link(eta), family.dmu(eta) * np.ones(len(y))
    inverse = np.linalg.pinv((X.T * w) @ X, hermitian=True)
    Q = np.einsum("ij,jk,ik->i", X, inverse, X)
    bias = -0.5 * inverse @ (X.T @ (Q * family.weight_derivative(eta)))
    r = (y - mu) / np.maximum(1 - w * Q, 1e-3)  # as if each row were left out
    influence = (X * r[:, None]) @ inverse
    return bias, (influence**2).sum(axis=0)
