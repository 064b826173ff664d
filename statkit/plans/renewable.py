"""Renewable estimation: a stream of batches, each absorbed by a Newton step into a mergeable summary."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from statkit.exceptions import DriftWarning
from statkit.plans._report import report
from statkit.plans._stream import StreamState, first_state, merge_states, update_state
from statkit.plans.plan import Plan
from statkit.rounds.problem import Evaluation
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult

__all__ = ["Renewable"]


class Renewable(Plan):
    """Streaming maximum likelihood: one Newton step a batch, memory of the order of the squared number of columns.

    Averaging or stochastic gradients lose accuracy with every batch boundary; keeping the information of past
    batches and solving ``A(θ − θ_before) = score of the batch`` loses almost none: one pass ends within a few
    hundredths of a standard error of the estimate from all rows together, with its errors.

    Parameters
    ----------
    batch_size : int, default=65_536
        Rows of a batch when a fit reads its own data; ``partial_fit`` takes batches as they come.
    n_passes : int or "auto", default="auto"
        Passes of a fit. "auto" is two: the second, one Newton step on all rows, makes the estimate the maximum
        likelihood estimate to about 1e-4 standard errors. Streams through ``partial_fit`` have one.
    buffer_rows : int, default=5_000
        First rows that are kept as they are and whose exact score is used again as the estimate moves.
    forgetting : float, default=1.0
        Factor by which past information is multiplied at every batch, in (0, 1]; below one the estimate follows
        a changing parameter.
    on_drift : {"warn", "skip", "ignore"}, default="warn"
        What to do with a batch that does not follow the model of the earlier ones: warn (once), leave it out, or
        nothing. Every batch's test is in ``estimate_.history``.
    drift_level : float, default=1e-3
        Probability of a false alarm over the whole stream.
    warm_up : int or "auto", default="auto"
        Rows that are collected before the first fit; "auto" is ``max(10 p, 200)``, 0 starts with the first batch.
    newton : {"auto", "full"}, default="auto"
        "full" iterates every batch to convergence; "auto" only where a step is long.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import Renewable
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(10_000, 3, family="binomial", random_state=0)
    >>> stream = GLMClassifier(plan=Renewable())
    >>> for start in range(0, 10_000, 1_000):
    ...     _ = stream.partial_fit(X[start : start + 1_000], y[start : start + 1_000], classes=[0, 1])
    >>> stream.estimate_.nobs
    10000

    References
    ----------
    L. Luo and P. X.-K. Song (2020), Renewable estimation and incremental inference in generalized linear models
    with streaming data sets.
    """

    def __init__(
        self,
        batch_size=65_536,
        n_passes="auto",
        buffer_rows=5_000,
        forgetting=1.0,
        on_drift="warn",
        *,
        drift_level=1e-3,
        warm_up="auto",
        newton="auto",
    ):
        self.batch_size = batch_size
        self.n_passes = n_passes
        self.buffer_rows = buffer_rows
        self.forgetting = forgetting
        self.on_drift = on_drift
        self.drift_level = drift_level
        self.warm_up = warm_up
        self.newton = newton

    # -- one fit ---------------------------------------------------------------------------------------------

    def estimate(self, problem):
        """Absorb all rows in order, then (unless ``n_passes=1``) take Newton steps on all of them."""
        passes = 2 if self.n_passes == "auto" else self.n_passes
        state = None
        for block in problem.session.blocks():
            for start in range(0, max(block.n_rows, 1), self.batch_size):
                part = (
                    block
                    if block.n_rows <= self.batch_size
                    else block.take(slice(start, start + self.batch_size))
                )
                if start == 0 and part is not block:
                    part.n_read, part.n_missing = part.n_read + block.n_missing, block.n_missing
                state = self.update(problem, state, part)
        problem.session.rows_visited += problem.session.n_rows
        problem.session.n_rounds += 1
        problem.center, problem.scale = state.center, state.scale
        problem.stream = state
        if passes == 1 or state.theta is None:
            return self.finish(problem, state)
        from statkit.plans.exact import Exact

        exact = Exact(max_rounds=passes - 1, certify=False)
        null = problem.null_theta(state.y, state.weight)[:: problem.width].copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result, _ = exact.solve(problem, (np.where(np.isnan(state.theta), 0.0, state.theta), null))
        result.converged = result.decrement < 0.1
        if result.decrement >= 0.1:
            warnings.warn(
                f"the second pass still moved the estimate by {result.decrement:.2g} standard errors: the stream "
                "drifts or its batches are small; use n_passes=3 or Exact()",
                DriftWarning,
                stacklevel=5,
            )
        result.history = state.history
        theta, e = np.where(np.isnan(result.theta), 0.0, result.theta), result.at
        v = e.gradient + e.information @ e.theta
        pearson = e.sums["pearson"]
        problem.stream = replace(
            state, theta=theta, A=e.information, v=v, buffer=None, buffer_A=None, buffer_v=None, sums=e.sums,
            meat=e.meat, loss=e.loss, pearson=pearson,
        )  # fmt: skip
        estimate = report(problem, self, result)
        estimate.notes.append(
            f"Passes after the first moved the estimate by {result.decrement:.2g} standard errors."
        )
        return estimate

    # -- streams ---------------------------------------------------------------------------------------------

    def first_rows(self, q: int) -> int:
        """Rows to collect before the first fit of ``q`` coefficients."""
        return max(10 * q, 200) if self.warm_up == "auto" else max(int(self.warm_up), 1)

    def update(self, problem, state: StreamState | None, block) -> StreamState:
        """A new state with one more batch; the old one is untouched."""
        self._check(problem)
        if state is None:
            state = first_state(problem, block)
        return update_state(self, problem, state, block)

    def merge(self, problem, a: StreamState, b: StreamState) -> StreamState:
        """The state of both streams' rows."""
        return merge_states(self, problem, a, b)

    def alarmed(self, state: StreamState, statistic: float, df: int, p: float) -> bool:
        """Compare the next batch's p-value with its share of the level; warn at the first alarm."""
        number = len(state.history) + 1
        if self.on_drift == "ignore" or not p < self.drift_level * 6 / np.pi**2 / number**2:
            return False
        state.drifted += 1
        if state.drifted == 1:
            warnings.warn(
                f"drift: batch {number} does not follow the model of the earlier ones (chi2({df}) = {statistic:.1f}, "
                f"p = {p:.1e}); see estimate_.history, and Renewable(forgetting=…)",
                DriftWarning,
                stacklevel=7,
            )
        return True

    def finish(self, problem, state: StreamState):
        """The estimate of a stream."""
        if state.theta is None:
            state = self.provisional(problem, state)
        problem = problem.with_scaling(state.center, state.scale)
        theta, A, meat = state.theta, state.total()[0], state.meat
        penalty = problem.penalty(state.weight)
        factor = Factor(A if penalty is None else A + np.diag(penalty))
        if factor.keep is not None:
            theta = np.where(factor.keep, theta, np.nan)
        family = problem.family
        sums = {**state.sums, "pearson": state.pearson}
        if family.quadratic:
            sums["deviance"] = state.pearson
        at = Evaluation(
            theta, state.loss, np.zeros(len(theta)), A, state.n, state.n_read, state.n_missing, state.weight,
            state.pearson, sums, None, meat, None, state.y, state.n_rows,
        )  # fmt: skip
        none = np.zeros(len(theta), bool)
        result = NewtonResult(theta, at, factor, 0.0, not state.pending, none, state.history)
        estimate = report(problem, self, result, n_passes=1.0)
        estimate.notes.append(
            "One pass: log-likelihood and deviance are sums of each batch's at the estimate before it."
        )
        if state.pending:
            waiting = sum(b.n_rows for b in state.pending)
            estimate.notes.append(
                f"Warming up: {waiting} rows wait for more; the estimate is a provisional ridge fit."
            )
        if self.forgetting < 1.0:
            estimate.notes.append(
                f"Forgetting {self.forgetting:g}: about {state.n_effective:,.0f} rows count."
            )
        return estimate

    def provisional(self, problem, state: StreamState) -> StreamState:
        """A state for the rows that still wait: one ridge step from the null model."""
        from statkit.design.block import concatenate
        from statkit.rounds.tasks import Want, evaluate

        block = concatenate(state.pending)
        local = problem.local_with(block, state.center, state.scale)
        theta = local.null_theta(*local.response())
        want = Want(sums=True, meat=problem.meat)
        out = evaluate(block, local.family, theta, local.shape, local.center, local.scale, None, want)
        A = out["information"]
        ridge = 1e-6 * np.trace(A) / state.q + 1e-12
        theta = theta + np.linalg.solve(A + ridge * np.eye(state.q), out["gradient"])
        return replace(
            state, theta=theta, A=A, meat=out.get("meat"),
            n=out["n"], n_rows=out["n_rows"], weight=out["weight"], y=out["y"], loss=out["loss"],
            pearson=out["sums"]["pearson"], sums=out["sums"],
        )  # fmt: skip

    def _check(self, problem):
        if problem.family.n_shape and not len(problem.shape):
            raise ValueError(
                f"Renewable needs the shape of {problem.family.name} to be known: give NegativeBinomial(alpha=…)"
            )
        if not 0 < self.forgetting <= 1:
            raise ValueError(f"Renewable(forgetting=…) must lie in (0, 1], not {self.forgetting!r}")
        if self.on_drift not in ("warn", "skip", "ignore"):
            raise ValueError(
                f"Renewable(on_drift=…) must be 'warn', 'skip' or 'ignore', not {self.on_drift!r}"
            )
        if self.newton not in ("auto", "full"):
            raise ValueError(f"Renewable(newton=…) must be 'auto' or 'full', not {self.newton!r}")
        if self.n_passes != "auto" and not (
            isinstance(self.n_passes, (int, np.integer)) and self.n_passes >= 1
        ):
            raise ValueError(
                f"Renewable(n_passes=…) must be 'auto' or an integer >= 1, not {self.n_passes!r}"
            )
