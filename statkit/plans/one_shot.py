"""One-shot averaging: every machine fits its own rows, the centre takes the mean."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.plans._aggregate import AGGREGATES, variance_factor
from statkit.plans._bootstrap import gradient_bootstrap
from statkit.plans._machine_checks import diagnose, score_tests
from statkit.plans._machines import (
    MachinePlan,
    aggregated,
    identified,
    keeping,
    label,
    line,
    machine_results,
    summary_covariance,
)
from statkit.rounds.machines import bias_is_known
from statkit.solvers.cholesky import Factor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["OneShot"]

_SAVGM_ROWS = 40


class OneShot(MachinePlan):
    """Mean of the estimates of the machines: one round, biased when machines are many.

    The bias of a local fit falls with its own number of rows while the error of the mean falls with all of them,
    so that the mean of many machines is far from the estimate of all rows in standard errors. How far is predicted
    in the same round (``estimate_.diagnostics``) and subtracted.

    Parameters
    ----------
    n_partitions : int or None, default=None
        Number of machines to cut the rows into; None takes the partitions of the source.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value make one machine.
    weights : {"n", "equal"}, default="n"
        Weights of the machines: their numbers of rows, or all alike.
    bias_correction : {"auto", "cox_snell", "jackknife", "savgm", None}, default="auto"
        "cox_snell" subtracts the analytic bias of every machine; "jackknife" fits the halves of the rows too;
        "savgm" fits a share of them and extrapolates, which costs variance; None leaves the bias and reports it.
        "auto" is "cox_snell" where it is known, else "jackknife".
    aggregate : {"mean", "median", "trimmed", "geometric", "vrmom", "screened"}, default="mean"
        How estimates are combined; all but "mean" withstand some machines that are wrong. "screened" is the mean of
        the machines near the geometric median, and loses nothing when none is wrong; the others ignore ``weights``.
    local : {"auto", "mle", "firth"}, default="auto"
        Local estimate; "auto" is maximum likelihood, and Firth's where a machine's response is separated.
    subsample : float, default=0.5
        Share of "savgm", which needs machines of 40 rows a coefficient.
    shuffle : bool, default=False
        Whether ``n_partitions`` deals rows at random.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import OneShot
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(4_000, 3, family="binomial", random_state=0)
    >>> fit = GLMClassifier(plan=OneShot(n_partitions=4)).fit(X, y)
    >>> fit.estimate_.partitions.shape[0]
    4

    References
    ----------
    Y. Zhang, J. C. Duchi and M. J. Wainwright (2013), Communication-efficient algorithms for statistical
    optimization. D. R. Cox and E. J. Snell (1968), A general definition of residuals. D. Firth (1993), Bias
    reduction of maximum likelihood estimates.
    """

    def __init__(
        self,
        n_partitions: int | None = None,
        *,
        partition_by: str | ArrayLike | None = None,
        weights: Literal["n", "equal"] = "n",
        bias_correction: Literal["auto", "cox_snell", "jackknife", "savgm", None] = "auto",
        aggregate: Literal["mean", "median", "trimmed", "geometric", "vrmom", "screened"] = "mean",
        local: Literal["auto", "mle", "firth"] = "auto",
        subsample: float = 0.5,
        shuffle: bool = False,
    ) -> None:
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.weights = weights
        self.bias_correction = bias_correction
        self.aggregate = aggregate
        self.local = local
        self.subsample = subsample
        self.shuffle = shuffle

    sandwich = "between"

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        started = time.perf_counter()
        self._choice("weights", ("n", "equal"))
        self._choice("local", ("auto", "mle", "firth"))
        self._choice("bias_correction", ("auto", None, "cox_snell", "jackknife", "savgm"))
        self._choice("aggregate", AGGREGATES)
        if not 0 < self.subsample < 1:
            raise ValueError(f"OneShot(subsample=…) must be in (0, 1), not {self.subsample!r}")
        self._prepare(problem)
        if problem.cov_type in ("HC0", "HC1", "cluster"):
            raise ValueError(
                f"cov_type={problem.cov_type!r} needs scores at the estimate: use LeastSquaresApproximation(), "
                "OneStep() or Exact()"
            )
        analytic = bias_is_known(problem.family)
        correction = self.bias_correction
        if correction == "auto":
            correction = "cox_snell" if analytic else "jackknife"
        if not analytic and (correction == "cox_snell" or self.local == "firth"):
            raise ValueError(f"the bias of the {problem.family.name} family has no formula: use 'jackknife'")
        c = self._local(
            problem, local=self.local, halves=correction == "jackknife",
            subsample=self.subsample if correction == "savgm" else None,
        )  # fmt: skip
        if self.bias_correction == "auto" and len(c.machines) == 1:
            correction = None  # the maximum likelihood estimate itself
        identified(problem, c)
        self._large_enough(problem, c, correction)
        share = np.array([m["n"] for m in c.machines], float)
        if self.weights == "equal":
            share = np.ones(len(share))
        share /= share.sum()
        estimates = self._estimates(c, correction)
        theta, kept = aggregated(self.aggregate, c, estimates, share)
        rejected = [label(problem, k) for k in c.index[~kept]]
        if not kept.all():
            # The rest of the report speaks of the machines that were kept.
            c = keeping(c, kept, problem)
            estimates, share = estimates[kept], share[kept] / share[kept].sum()
        covariance, extra = self._covariance(problem, c, estimates, share, theta, correction)
        bse = np.sqrt(np.diag(self._model_covariance(c, share, correction)))
        bias = c.bias("mean", share) if analytic else None
        removed = correction is not None
        lines = diagnose(problem, c, theta, bse, bias=bias, removed=removed)
        tests, _ = score_tests(problem, c, theta)
        extra |= machine_results(problem, c, tests)
        extra["rejected_partitions"] = rejected
        if bias is not None:
            extra["predicted_bias"] = problem.public_values(bias)
        known = {}
        if problem.cov_type in ("partition", "between"):
            known["df_resid_inference"] = len(c.machines) - 1
        return self._report(
            problem, c, theta, covariance, history=[line(1, started, "local fits")], extra=extra, lines=lines,
            converged=all(m["converged"] for m in c.machines), **known,
        )  # fmt: skip

    def _large_enough(self, problem, c, correction):
        least = min(m["n"] for m in c.machines)
        if correction == "savgm" and least < _SAVGM_ROWS * c.factor.rank:
            raise ValueError(
                f"bias_correction='savgm' fits {self.subsample:.0%} of a machine's rows and extrapolates: it needs "
                f"{_SAVGM_ROWS} rows a coefficient, and a machine has {least} for {c.factor.rank}"
            )

    def _estimates(self, c, correction):
        theta = np.array([m["theta"] for m in c.machines])
        if correction == "cox_snell":
            return theta - c.phi * np.array([m["b"] for m in c.machines])
        if correction == "jackknife":
            # A half whose response is separated has no estimate: that machine stays uncorrected.
            halves = [m["halves"] for m in c.machines]
            use = np.array([a[1] and b[1] for a, b in halves])
            mean = np.array([(a[0] + b[0]) / 2 for a, b in halves])
            return np.where(use[:, None], 2 * theta - mean, theta)
        if correction == "savgm":
            r = self.subsample
            part = np.array([m["part"][0] for m in c.machines])
            use = np.array([m["part"][1] for m in c.machines])
            return np.where(use[:, None], (theta - r * part) / (1 - r), theta)
        return theta

    def _model_covariance(self, c, share, correction):
        # Extrapolating from a share of the rows costs variance; the other corrections cost none to first order.
        inflation = 1 / (1 - self.subsample) if correction == "savgm" else 1.0
        total = sum(
            w**2 * Factor(m["H"], keep=c.factor.keep).inverse()
            for w, m in zip(share, c.machines, strict=True)
        )
        return c.phi * inflation * variance_factor(self.aggregate, c.factor.rank) * total

    def _covariance(self, problem, c, estimates, share, theta, correction):
        """Covariance, and what else came with it."""
        K = len(estimates)
        if problem.cov_type == "between":
            if K < 2:
                raise ValueError("cov_type='between' needs at least 2 machines: there is nothing to compare")
            deviation = (estimates - theta) * (share * K)[:, None]
            covariance = deviation.T @ deviation / (K - 1) / K
            if c.factor.keep is not None:
                covariance[~c.factor.keep] = np.nan
                covariance[:, ~c.factor.keep] = np.nan
            return covariance, {}
        if problem.cov_type == "partition":
            return summary_covariance(problem, c, None, theta), {}
        if problem.cov_type == "bootstrap":
            return gradient_bootstrap(problem, c, theta)
        return self._model_covariance(c, share, correction), {}
