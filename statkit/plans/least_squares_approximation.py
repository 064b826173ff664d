"""Least squares approximation: local estimates weighted by their information, corrected for bias."""

from __future__ import annotations

import time

import numpy as np

from statkit.plans._machine_checks import diagnose, score_tests
from statkit.plans._machines import MachinePlan, line, partition_table, summary_covariance
from statkit.solvers.cholesky import Factor

__all__ = ["LeastSquaresApproximation"]


class LeastSquaresApproximation(MachinePlan):
    """Weighted least squares of the machines' estimates: one round, as good as all rows once its bias is removed.

    Every machine sends its estimate, its information and the first-order bias that the two make together. The
    combination Σ H_k β_k / Σ H_k is least squares on all rows in linear models; elsewhere the predicted bias is
    subtracted, which brings its error to that of the maximum likelihood estimate unless machines are very small.

    Parameters
    ----------
    bias_correction : {"auto", "analytic", None}, default="auto"
        "auto" subtracts the predicted bias where it is known (families with one linear predictor).
    local : {"auto", "mle", "firth"}, default="auto"
        Local estimate; "auto" is maximum likelihood, and Firth's where a machine's response is separated.
    selection : {None, "adaptive_lasso"}, default=None
        Choice of columns on the path of the adaptive lasso for the quadratic around the combined estimate.
    criterion : {"bic", "aic"}, default="bic"
        What the choice minimises: the quadratic plus log N, or 2, for every column.
    certify : bool, default=False
        Whether a second round measures the distance to the maximum likelihood estimate. Errors that need scores
        (``cov_type`` "HC0", "HC1", "cluster") take that round anyway.
    n_partitions : int or None, default=None
        Number of machines to cut the rows into; None takes the partitions of the source.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value make one machine.
    shuffle : bool, default=False
        Whether ``n_partitions`` deals rows at random.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import LeastSquaresApproximation
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(4_000, 3, family="binomial", random_state=0)
    >>> fit = GLMClassifier(plan=LeastSquaresApproximation(n_partitions=4)).fit(X, y)
    >>> fit.estimate_.n_rounds
    1

    References
    ----------
    X. Zhu, F. Li and H. Wang (2021), Least-square approximation for a distributed system.
    """

    def __init__(
        self,
        bias_correction="auto",
        local="auto",
        certify=False,
        *,
        selection=None,
        criterion="bic",
        n_partitions=None,
        partition_by=None,
        shuffle=False,
    ):
        self.bias_correction = bias_correction
        self.local = local
        self.certify = certify
        self.selection = selection
        self.criterion = criterion
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.shuffle = shuffle

    def estimate(self, problem):
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        started = time.perf_counter()
        self._choice("bias_correction", ("auto", "analytic", None))
        self._choice("local", ("auto", "mle", "firth"))
        self._choice("selection", (None, "adaptive_lasso"))
        self._choice("criterion", ("bic", "aic"))
        self._prepare(problem)
        if self.selection is not None and (problem.family.predictors > 1 or problem.cov_type != "nonrobust"):
            raise ValueError("selection is for one linear predictor and cov_type='nonrobust'")
        analytic = problem.has_bias_formula
        if not analytic and (self.bias_correction == "analytic" or self.local == "firth"):
            raise ValueError(
                f"{'local' if self.local == 'firth' else 'bias_correction'} has no formula for the "
                f"{problem.family.name} family: choose another"
            )
        if problem.cov_type == "between":
            raise ValueError("cov_type='between' compares local estimates: it needs plan=OneShot(…)")
        c = self._local(problem, local=self.local)
        history = [line(1, started, "local fits")]
        bias = c.bias("wlse") if analytic else None
        removed = analytic and self.bias_correction is not None
        theta = c.wlse - bias if removed else c.wlse
        at = decrement = scores = None
        converged = all(m["converged"] for m in c.machines)
        if self.certify or problem.meat in ("rows", "groups"):
            started = time.perf_counter()
            at, answers = self._certificate(problem, theta)
            step = Factor(at.information).solve(at.gradient)
            decrement = float(np.sqrt(max(at.gradient @ step, 0.0) / c.phi / max(c.factor.rank, 1)))
            scores = [answers[k][0] for k in c.index]
            history.append({**line(2, started, "certificate"), "loss": at.loss, "decrement": decrement})
        covariance = summary_covariance(problem, c, at, theta)
        bse = np.sqrt(c.phi * np.diag(c.factor.inverse()))
        lines = diagnose(
            problem, c, theta, bse, bias=bias, removed=removed, decrement=decrement, scores=scores
        )
        tests, _ = score_tests(problem, c, theta, scores)
        extra = {"partitions": partition_table(problem, c, tests)}
        if bias is not None:
            extra["predicted_bias"] = problem.public_values(bias)
        known = {}
        if self.selection is not None:
            theta, covariance, known = self._select(problem, c, theta)
            extra["selected"] = known.pop("selected")
        if problem.cov_type == "partition":
            known["df_resid_inference"] = len(c.machines) - 1
        return self._report(
            problem, c, theta, covariance, history=history, extra=extra, lines=lines, at=at,
            converged=converged, **known,
        )  # fmt: skip

    def _select(self, problem, c, theta):
        """The chosen knot of the path, its covariance, and what the table says of it."""
        from statkit.solvers.adaptive_lasso import adaptive_lasso_path

        if c.factor.keep is not None:
            raise ValueError("selection needs columns that are not combinations of others")
        i = int(problem.design.intercept)
        path = adaptive_lasso_path(c.H / c.phi, theta, intercept=bool(i))
        price = np.log(c.n) if self.criterion == "bic" else 2.0
        chosen = path.coefs[int(np.argmin(path.criterion(price)))]
        kept = chosen != 0
        kept[:i] = True
        covariance = np.full(c.H.shape, np.nan)
        covariance[np.ix_(kept, kept)] = c.phi * Factor(c.H[np.ix_(kept, kept)]).inverse()
        design = problem.design
        names = [design.names[design.position[j]] for j in range(problem.size)]
        known = {
            "why_nan": {n: "not selected" for n, keep in zip(names, kept, strict=True) if not keep},
            "notes": [
                *design.notes,
                "Columns were selected on these rows: errors are those of the chosen model.",
            ],
            "selected": [n for n, keep in zip(names, kept, strict=True) if keep],
        }
        return chosen, covariance, known
