"""One-shot averaging: every machine fits its own rows, the centre takes the mean."""

from __future__ import annotations

import time

import numpy as np

from statkit.plans._aggregate import AGGREGATES, robust_mean, screened, variance_factor
from statkit.plans._machine_checks import diagnose, score_tests
from statkit.plans._machines import MachinePlan, combine, line, partition_table, summary_covariance
from statkit.solvers.cholesky import Factor

__all__ = ["OneShot"]


class OneShot(MachinePlan):
    """Mean of the estimates of the machines: one round, biased when machines are many.

    The bias of a local fit falls with its own number of rows while the error of the mean falls with all of them,
    so that the mean of many machines is far from the estimate of all rows in standard errors. How far is predicted
    in the same round (``estimate_.diagnostics``) and can be subtracted.

    Parameters
    ----------
    weights : {"n", "equal"}, default="n"
        Weights of the machines: their numbers of rows, or all alike.
    local : {"auto", "mle", "firth"}, default="auto"
        Local estimate; "auto" is maximum likelihood, and Firth's where a machine's response is separated.
    bias_correction : {None, "cox_snell", "jackknife", "savgm"}, default=None
        None reports the bias; "cox_snell" subtracts the analytic bias of every machine; "jackknife" fits the halves
        of the rows too; "savgm" fits a share of them and extrapolates, which costs variance.
    aggregate : {"mean", "median", "trimmed", "geometric", "vrmom", "screened"}, default="mean"
        How estimates are combined; all but "mean" withstand some machines that are wrong. "screened" is the mean of
        the machines near the geometric median, and loses nothing when none is wrong; the others ignore ``weights``.
    subsample : float, default=0.5
        Share of "savgm".
    n_partitions : int or None, default=None
        Number of machines to cut the rows into; None takes the partitions of the source.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value make one machine.
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
        weights="n",
        local="auto",
        bias_correction=None,
        aggregate="mean",
        *,
        subsample=0.5,
        n_partitions=None,
        partition_by=None,
        shuffle=False,
    ):
        self.weights = weights
        self.local = local
        self.bias_correction = bias_correction
        self.aggregate = aggregate
        self.subsample = subsample
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.shuffle = shuffle

    sandwich = "between"

    def estimate(self, problem):
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        started = time.perf_counter()
        self._choice("weights", ("n", "equal"))
        self._choice("local", ("auto", "mle", "firth"))
        self._choice("bias_correction", (None, "cox_snell", "jackknife", "savgm"))
        self._choice("aggregate", AGGREGATES)
        if not 0 < self.subsample < 1:
            raise ValueError(f"OneShot(subsample=…) must be in (0, 1), not {self.subsample!r}")
        self._prepare(problem)
        if problem.cov_type in ("HC0", "HC1", "cluster"):
            raise ValueError(
                f"cov_type={problem.cov_type!r} needs scores at the estimate: use LeastSquaresApproximation(), "
                "OneStep() or Exact()"
            )
        analytic = problem.has_bias_formula
        if self.bias_correction == "cox_snell" and not analytic:
            raise ValueError(
                f"bias_correction='cox_snell' has no formula for the {problem.family.name} family; use 'jackknife'"
            )
        if self.local == "firth" and not analytic:
            raise ValueError(f"local='firth' has no formula for the {problem.family.name} family")
        c = self._local(
            problem, local=self.local, halves=self.bias_correction == "jackknife",
            subsample=self.subsample if self.bias_correction == "savgm" else None,
        )  # fmt: skip
        self._identified(problem, c)
        share = np.array([m["n"] for m in c.machines], float)
        if self.weights == "equal":
            share = np.ones(len(share))
        share /= share.sum()
        estimates = self._estimates(c)
        rejected = []
        if self.aggregate == "mean":
            theta = share @ estimates
        else:
            metric = np.median([m["H"] for m in c.machines], axis=0) / _typical_dispersion(c)
            used = np.ones(len(metric), bool) if c.factor.keep is None else c.factor.keep
            B, metric = estimates[:, used], metric[np.ix_(used, used)]
            theta = np.zeros(problem.size)
            if self.aggregate == "screened":
                size = np.array([m["n"] for m in c.machines], float)
                theta[used], kept = screened(B, metric, share, size / size.mean())
                labels = problem.machines
                rejected = [int(k) if labels is None else labels[k] for k in c.index[~kept]]
                if not kept.all():
                    # The rest of the report speaks of the machines that were kept.
                    machines = [m for m, keep in zip(c.machines, kept, strict=True) if keep]
                    read = c.read
                    c = combine(machines, c.index[kept], problem)
                    c.read = read
                    estimates, share = estimates[kept], share[kept] / share[kept].sum()
            else:
                theta[used] = robust_mean(self.aggregate, B, metric)
        covariance = self._covariance(problem, c, estimates, share, theta)
        bse = np.sqrt(np.diag(self._model_covariance(c, share)))
        bias = c.bias("mean", share) if analytic else None
        removed = self.bias_correction is not None
        lines = diagnose(problem, c, theta, bse, bias=bias, removed=removed)
        tests, _ = score_tests(problem, c, theta)
        extra = {"partitions": partition_table(problem, c, tests), "rejected_partitions": rejected}
        if bias is not None:
            extra["predicted_bias"] = problem.public_values(bias)
        known = {}
        if problem.cov_type in ("partition", "between"):
            known["df_resid_inference"] = len(c.machines) - 1
        return self._report(
            problem, c, theta, covariance, history=[line(1, started, "local fits")], extra=extra, lines=lines,
            converged=all(m["converged"] for m in c.machines), **known,
        )  # fmt: skip

    def _identified(self, problem, c):
        for k, m in zip(c.index, c.machines, strict=True):
            if m["rank"] < c.factor.rank:
                label = k if problem.machines is None else problem.machines[k]
                raise ValueError(
                    f"partition {label!r} identifies {m['rank']} of {c.factor.rank} coefficients, so that its estimate "
                    "cannot be averaged; use LeastSquaresApproximation(), which needs no local estimate, or Exact()"
                )

    def _estimates(self, c):
        theta = np.array([m["theta"] for m in c.machines])
        if self.bias_correction == "cox_snell":
            return theta - c.phi * np.array([m["b"] for m in c.machines])
        if self.bias_correction == "jackknife":
            # A half whose response is separated has no estimate: that machine stays uncorrected.
            halves = [m["halves"] for m in c.machines]
            use = np.array([a[1] and b[1] for a, b in halves])
            mean = np.array([(a[0] + b[0]) / 2 for a, b in halves])
            return np.where(use[:, None], 2 * theta - mean, theta)
        if self.bias_correction == "savgm":
            r = self.subsample
            part = np.array([m["part"][0] for m in c.machines])
            use = np.array([m["part"][1] for m in c.machines])
            return np.where(use[:, None], (theta - r * part) / (1 - r), theta)
        return theta

    def _model_covariance(self, c, share):
        # Extrapolating from a share of the rows costs variance; the other corrections cost none to first order.
        inflation = 1 / (1 - self.subsample) if self.bias_correction == "savgm" else 1.0
        total = sum(
            w**2 * Factor(m["H"], keep=c.factor.keep).inverse()
            for w, m in zip(share, c.machines, strict=True)
        )
        return c.phi * inflation * variance_factor(self.aggregate, c.factor.rank) * total

    def _covariance(self, problem, c, estimates, share, theta):
        if problem.cov_type == "between":
            K = len(estimates)
            if K < 2:
                raise ValueError("cov_type='between' needs at least 2 machines: there is nothing to compare")
            deviation = (estimates - theta) * (share * K)[:, None]
            covariance = deviation.T @ deviation / (K - 1) / K
            if c.factor.keep is not None:
                covariance[~c.factor.keep] = np.nan
                covariance[:, ~c.factor.keep] = np.nan
            return covariance
        if problem.cov_type == "partition":
            return summary_covariance(problem, c, None, theta)
        return self._model_covariance(c, share)


def _typical_dispersion(c):
    """Dispersion that wrong machines cannot move: the median of the machines' own."""
    own = [m["pearson"] / max(m["n"] - m["rank"], 1) for m in c.machines]
    return 1.0 if c.phi == 1.0 else float(np.median(own))
