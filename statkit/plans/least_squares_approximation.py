"""Least squares approximation: local estimates weighted by their information, corrected for bias."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.plans._bootstrap import GRADIENTS, gradient_bootstrap
from statkit.plans._machine_checks import diagnose, score_tests
from statkit.plans._machines import MachinePlan, combine, line, machine_results, summary_covariance
from statkit.rounds.machines import bias_is_known
from statkit.solvers.cholesky import Factor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["LeastSquaresApproximation"]


class LeastSquaresApproximation(MachinePlan):
    """Weighted least squares of the machines' estimates: one round, as good as all rows once its bias is removed.

    Every machine sends its estimate, its information and the first-order bias that the two make together. The
    combination Σ H_k β_k / Σ H_k is least squares on all rows in linear models; elsewhere the predicted bias is
    subtracted, which brings its error to that of the maximum likelihood estimate unless machines are very small.

    Parameters
    ----------
    n_partitions : int or None, default=None
        Number of machines to cut the rows into; None takes the partitions of the source.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value make one machine.
    bias_correction : {"analytic", None}, default="analytic"
        "analytic" subtracts the bias that the same round predicts; None leaves it and reports it.
    selection : {None, "adaptive_lasso"}, default=None
        Choice of columns on the path of the adaptive lasso for the quadratic around the combined estimate; the
        knots are in ``estimate_.selection_path``.
    criterion : {"bic", "aic"}, default="bic"
        What the choice minimises: the quadratic plus log N, or 2, for every column.
    local : {"auto", "mle", "firth"}, default="auto"
        Local estimate; "auto" is maximum likelihood, and Firth's where a machine's response is separated.
    local_dispersion : bool, default=False
        Whether machines weigh with their own dispersion, for machines of unequal noise. With the common one, linear
        models give least squares on all rows exactly.
    certify : bool, default=False
        Whether a second round measures the distance to the maximum likelihood estimate. Errors that need scores
        (``cov_type`` "HC0", "HC1", "cluster") take that round anyway.
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
        n_partitions: int | None = None,
        *,
        partition_by: str | ArrayLike | None = None,
        bias_correction: Literal["analytic", None] = "analytic",
        selection: Literal[None, "adaptive_lasso"] = None,
        criterion: Literal["bic", "aic"] = "bic",
        local: Literal["auto", "mle", "firth"] = "auto",
        local_dispersion: bool = False,
        certify: bool = False,
        shuffle: bool = False,
    ) -> None:
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.bias_correction = bias_correction
        self.selection = selection
        self.criterion = criterion
        self.local = local
        self.local_dispersion = local_dispersion
        self.certify = certify
        self.shuffle = shuffle

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        started = time.perf_counter()
        self._choice("bias_correction", ("analytic", None))
        self._choice("local", ("auto", "mle", "firth"))
        self._choice("selection", (None, "adaptive_lasso"))
        self._choice("criterion", ("bic", "aic"))
        self._prepare(problem)
        if self.selection is not None and (problem.family.predictors > 1 or problem.cov_type != "nonrobust"):
            raise ValueError("selection is for one linear predictor and cov_type='nonrobust'")
        analytic = bias_is_known(problem.family)
        if not analytic and self.local == "firth":
            raise ValueError(f"local='firth' needs a bias formula, the {problem.family.name} family has none")
        if problem.cov_type == "between":
            raise ValueError("cov_type='between' compares local estimates: it needs plan=OneShot(…)")
        if self.local_dispersion and problem.cov_type not in ("nonrobust", "partition"):
            raise ValueError("local_dispersion=True has errors of cov_type 'nonrobust' and 'partition' only")
        c = self._local(problem, local=self.local)
        if self.local_dispersion:
            c = _with_own_dispersion(c, problem)
        history = [line(1, started, "local fits")]
        bias = c.bias("wlse") if analytic else None
        removed = analytic and self.bias_correction is not None
        theta = c.wlse - bias if removed else c.wlse
        at = decrement = scores = None
        converged = all(m["converged"] for m in c.machines)
        if self.certify or problem.meat in ("rows", "groups") or _few(problem, c):
            started = time.perf_counter()
            at, answers = self._certificate(problem, theta)
            step = Factor(at.information).solve(at.gradient)
            phi = 1.0 if problem.dispersion is None else problem.dispersion(at, c.factor.rank)
            decrement = float(np.sqrt(max(at.gradient @ step, 0.0) / phi / max(c.factor.rank, 1)))
            scores = [answers[k][0] for k in c.index]
            history.append({**line(2, started, "certificate"), "loss": at.loss, "decrement": decrement})
        extra = {}
        if problem.cov_type == "bootstrap" and at is None:
            covariance, extra = gradient_bootstrap(problem, c, theta)
        else:
            covariance = summary_covariance(problem, c, at, theta)
        bse = np.sqrt(c.phi * np.diag(c.factor.inverse()))
        lines = diagnose(
            problem, c, theta, bse, bias=bias, removed=removed, decrement=decrement, scores=scores
        )
        tests, _ = score_tests(problem, c, theta, scores)
        extra |= machine_results(problem, c, tests)
        if bias is not None:
            extra["predicted_bias"] = problem.public_values(bias)
        known = {}
        if self.selection is not None:
            theta, covariance, known = self._select(problem, c, theta)
            for name in ("selected", "selection_path"):
                extra[name] = known.pop(name)
        if problem.cov_type == "partition":
            known["df_resid_inference"] = len(c.machines) - 1
        return self._report(
            problem, c, theta, covariance, history=history, extra=extra, lines=lines, at=at,
            converged=converged, **known,
        )  # fmt: skip

    def _select(self, problem, c, theta):
        """The chosen knot of the path, its covariance, and what the table says of it."""
        import pandas as pd

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
        table = pd.DataFrame([problem.public_values(knot) for knot in path.coefs], columns=design.names)
        table.insert(0, "bic", path.criterion(np.log(c.n)))
        table.insert(0, "aic", path.criterion(2.0))
        table.insert(0, "quadratic", path.loss)
        table.insert(0, "df", path.df)
        known = {
            "selection_path": table,
            "why_nan": {n: "not selected" for n, keep in zip(names, kept, strict=True) if not keep},
            "notes": [
                "Columns were selected on these rows: errors are those of the chosen model.",
            ],
            "selected": [n for n, keep in zip(names, kept, strict=True) if keep],
        }
        return chosen, covariance, known


def _few(problem, c) -> bool:
    """Whether a bootstrap needs the rows' scores, machines being too few to resample."""
    return problem.cov_type == "bootstrap" and len(c.machines) < GRADIENTS


def _with_own_dispersion(c, problem):
    """Machines weighed by the inverse of their own variance; φ is 1 from then on."""
    if problem.family.dispersion == "known":
        return c
    machines = []
    for m in c.machines:
        left = m["n"] - m["rank"]
        phi = m["pearson"] / left if left > 0 else np.nan
        if not phi > 0:
            raise ValueError("local_dispersion=True needs machines with more rows than coefficients")
        machines.append({**m, "H": m["H"] / phi, "b": m["b"] * phi, "H_rows": m["H"]})
    own = combine(machines, c.index, problem)
    own.phi, own.read = 1.0, c.read
    return own
