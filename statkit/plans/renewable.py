"""Renewable estimation: a stream of batches, each absorbed by a Newton step into a mergeable summary."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Literal

import numpy as np

from statkit.exceptions import DriftWarning
from statkit.plans._lags import LagSums, lag_sums
from statkit.plans._report import report
from statkit.plans._stream import first_state, merge_states, update_state
from statkit.plans._stream_losses import SmoothedQuantile, StreamHuber
from statkit.plans._stream_state import StreamState, grown_state
from statkit.plans.plan import Plan
from statkit.results.covariance import hc0_covariance
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import Want
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult

__all__ = ["Renewable"]

_SANDWICH = "The loss is no likelihood: errors are those of the sandwich."


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
        Passes of a fit. "auto" is two (one with forgetting, or where batches are skipped): the second, one Newton
        step on all rows, makes the estimate the maximum likelihood estimate to about 1e-4 standard errors. Streams
        through ``partial_fit`` have one.
    buffer_rows : int, default=5_000
        First rows that are kept as they are and whose exact score is used again as the estimate moves; beside them
        the first 200 rows of every level, up to three times as many in all.
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
    newton : {"auto", "full", "rows"}, default="auto"
        "full" iterates every batch to convergence; "auto" only where a step is long; "rows" absorbs row after row
        by stochastic Newton steps, O(p²) each (numeric columns; gaussian, logistic, Poisson and gamma models).
    method : {"renewable", "cee", "cuee"}, default="renewable"
        The two others combine batches' own estimates (cumulative and cumulatively updated estimating equations):
        for comparison, they need large batches.
    prior : tuple of (mean, precision) or None, default=None
        Normal prior of the parameters, in the order of ``estimate_.params``: a mean (scalar or vector) and a
        precision (scalar, vector, or matrix). What an earlier stream left behind, or a ridge of one's own.
    selection : {None, "lasso", "adaptive_lasso"}, default=None
        Choose columns on the path of the penalised quadratic that (A, v) is, by BIC, and fit on those. The path is
        in ``estimate_.selection_path``; errors are those of the chosen model.
    lags : int, default=10
        Of ``cov_type="HAC"`` (Newey and West), in rows of the stream's order.
    levels : dict of column to list, or None, default=None
        Levels of categorical columns, declared: those that the first batch lacks have their columns from the
        start. A categorical dtype declares its categories by itself.
    unknown_level : {"error", "other", "grow"}, default="error"
        What to do with a level that was not declared or seen before: refuse the batch; count it under a level
        ``"__other__"`` that every categorical text column then has; or give it a column of its own from then on.

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
    with streaming data sets. E. D. Schifano, J. Wu, C. Wang, J. Yan and M.-H. Chen (2016), Online updating of
    statistical inference in the big data setting. B. Bercu, A. Godichon and B. Portier (2020), An efficient
    stochastic Newton algorithm for parameter estimation in logistic regressions.
    """

    def __init__(
        self,
        batch_size: int = 65_536,
        n_passes: int | Literal["auto"] = "auto",
        buffer_rows: int = 5_000,
        forgetting: float = 1.0,
        on_drift: Literal["warn", "skip", "ignore"] = "warn",
        *,
        drift_level: float = 1e-3,
        warm_up: int | Literal["auto"] = "auto",
        newton: Literal["auto", "full", "rows"] = "auto",
        method: Literal["renewable", "cee", "cuee"] = "renewable",
        prior: Any = None,
        selection: Literal[None, "lasso", "adaptive_lasso"] = None,
        lags: int = 10,
        levels: Any = None,
        unknown_level: Literal["error", "other", "grow"] = "error",
    ) -> None:
        self.batch_size = batch_size
        self.n_passes = n_passes
        self.buffer_rows = buffer_rows
        self.forgetting = forgetting
        self.on_drift = on_drift
        self.drift_level = drift_level
        self.warm_up = warm_up
        self.newton = newton
        self.method = method
        self.prior = prior
        self.selection = selection
        self.lags = lags
        self.levels = levels
        self.unknown_level = unknown_level

    fits_l1 = True

    @property
    def shows_bad_values(self) -> bool:
        """Whether a value that is not finite makes the state's information so, without an error on the way."""
        return self.method == "renewable" and self.newton != "rows" and self.on_drift != "skip"

    # -- one fit ---------------------------------------------------------------------------------------------

    def estimate(self, problem: Any) -> Any:
        """Absorb all rows in order, then (unless ``n_passes=1``) take Newton steps on all of them."""
        self._check(problem)
        passes = self.n_passes
        if passes == "auto":  # another pass would bring back what was to be forgotten or left out
            passes = 2 if self.forgetting == 1.0 and self.on_drift != "skip" else 1
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
        if passes == 1 or state.theta is None or problem.is_sparse or self.method != "renewable":
            return self.finish(problem, state)
        return self._again(problem, state, passes - 1)

    def _again(self, problem, state, rounds):
        """Newton steps on all rows from the end of the first pass."""
        from statkit.plans.exact import Exact

        working = self.working(problem, state)
        null = problem.null_theta(state.y, state.weight)[:: problem.width].copy()
        start = np.where(np.isnan(state.theta), 0.0, state.theta)
        if self.prior is not None:
            working = _WithPrior(working, *self.prior_summary(problem))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result, _ = Exact(max_rounds=rounds, certify=False).solve(working, (start, null))
        result.converged = result.decrement < 0.1
        if result.decrement >= 0.1:
            warnings.warn(
                f"the second pass still moved the estimate by {result.decrement:.2g} standard errors: the stream "
                "drifts or its batches are small; use n_passes=3 or Exact()",
                DriftWarning,
                stacklevel=6,
            )
        result.history = state.history.to_dicts()
        theta, e = np.where(np.isnan(result.theta), 0.0, result.theta), result.at
        meat = self.meat(problem)
        if isinstance(meat, int):
            e.meat = problem.session.round(
                lag_sums, working.family, theta, working.shape, problem.center, problem.scale, meat
            )["meat"]
        elif meat and e.meat is None:
            e.meat = working.evaluate(theta, Want(False, False, False, meat)).meat
        v = e.gradient + e.information @ e.theta
        penalty = problem.penalty(e.weight)  # is no part of the summary of the rows
        A = e.information if penalty is None else e.information - np.diag(penalty)
        problem.stream = state.copy(
            theta=theta, A=A, v=v, buffer=None, buffer_A=None, buffer_v=None, counts=None,
            sums=e.sums, meat=e.meat, loss=e.loss, pearson=e.sums["pearson"],
            squares=None if state.squares is None else A, local=None if state.local is None else A @ theta,
            inverse=None,
        )  # fmt: skip
        notes = [f"Passes after the first moved the estimate by {result.decrement:.2g} standard errors."]
        known = {}
        if self.selection is not None:
            return self.finish(problem, problem.stream, passes=1.0 + rounds)
        covariance = self._covariance(problem, result.factor, A, e.meat, None)
        if covariance is not None:
            known = {"covariance": covariance}
        if self.needs_spread(problem.family):
            e.null = {"deviance": np.nan}
            known["cov_type"] = _robust(problem)
            notes.append(_SANDWICH)
        return report(problem, self, result, notes=notes, **known)

    # -- streams ---------------------------------------------------------------------------------------------

    def first_rows(self, q: int) -> int:
        """Rows to collect before the first fit of ``q`` coefficients."""
        return max(10 * q, 200) if self.warm_up == "auto" else max(int(self.warm_up), 1)

    def retained(self) -> int:
        """First rows that are kept as they are."""
        return self.buffer_rows if self.forgetting == 1.0 and self.method == "renewable" else 0

    def needs_spread(self, family: Any) -> bool:
        """Whether the loss has a length that comes from residuals."""
        return family.name in ("quantile", "huber")

    def working(self, problem: Any, state: StreamState, n: int | None = None) -> Any:
        """The problem whose loss a batch meets: with today's bandwidth or threshold, where it has one."""
        family = problem.family
        if not self.needs_spread(family):
            return problem
        if not hasattr(family, "length"):
            quantile = family.solver == "linear_program"
            family = (
                SmoothedQuantile(family.tau) if quantile else StreamHuber(getattr(family, "threshold", 1.345))
            )
        problem = copy.copy(problem)
        problem.family = family
        problem.shape = np.array([family.length(state.spread, state.q, n or state.n)])
        return problem

    def meat(self, problem: Any) -> Any:
        """Which sums of score products are collected: a kind, a number of lags, or None."""
        if problem.cov_type == "HAC":
            return int(self.lags)
        if self.needs_spread(problem.family):
            return problem.meat or "rows"
        return problem.meat

    def prior_summary(self, problem: Any) -> tuple[np.ndarray, np.ndarray]:
        """The prior as (A, v) in internal coordinates."""
        mean, precision = self.prior
        q = problem.size
        P = np.asarray(precision, dtype=float)
        P = P if P.ndim == 2 else np.diag(np.broadcast_to(P, q))
        m = np.broadcast_to(np.asarray(mean, dtype=float), q)
        if problem.family.predictors > 1 or P.shape != (q, q) or len(problem.design.names) != q:
            raise ValueError(
                f"Renewable(prior=…) needs one linear predictor and {q} parameters, for {problem.design.names}"
            )
        T = problem.unscale()
        return T.T @ P @ T, T.T @ (P @ m)

    def update(self, problem: Any, state: StreamState | None, block: Any) -> StreamState:
        """A new state with one more batch; the old one is untouched."""
        if state is None:
            self._check(problem)
            state = first_state(self, problem, block)
        return update_state(self, problem, state, block)

    def merge(self, problem: Any, a: StreamState, b: StreamState) -> StreamState:
        """The state of both streams' rows."""
        return merge_states(self, problem, a, b)

    def grown(self, state: StreamState, to: np.ndarray, width: int, predictors: int) -> StreamState:
        """The state with more columns: column k of a predictor becomes ``to[k]`` of ``width``."""
        return grown_state(state, to, width, predictors)

    def state_to_dict(self, state: StreamState) -> dict:
        """The state in plain values, for a file that holds numbers and text alone."""
        from statkit.plans._stream_document import state_to_dict

        return state_to_dict(state)

    def state_from_dict(self, kept: dict) -> StreamState:
        """The state that ``state_to_dict`` described; ``ValueError`` if it is of another version or damaged."""
        from statkit.plans._stream_document import state_from_dict

        return state_from_dict(kept)

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

    def shown(self, problem: Any, state: StreamState) -> np.ndarray:
        """Coefficients to show (internal coordinates): the estimate, or what penalty or selection make of it."""
        if state.theta is None:
            return self.provisional(problem, state).theta
        if self.selection is None and not problem.is_sparse:
            return state.theta
        from statkit.plans._stream_select import penalised, selected

        if self.selection is None:
            return penalised(problem.with_scaling(state.center, state.scale), state)
        return selected(self, problem, state).theta

    def finish(self, problem: Any, state: StreamState, passes: float = 1.0) -> Any:
        """The estimate of a stream."""
        waiting = state.theta is None
        if waiting:
            state = self.provisional(problem, state)
        problem = problem.with_scaling(state.center, state.scale)
        theta, A, meat = state.theta, state.total()[0], state.meat
        penalty = None if problem.l1_ratio else problem.penalty(state.weight)
        factor = Factor(A if penalty is None else A + np.diag(penalty))
        if factor.keep is not None:
            theta = np.where(factor.keep, theta, np.nan)
        family = problem.family
        sums = {**state.sums, "pearson": state.pearson}
        if family.quadratic:
            sums["deviance"] = state.pearson
        notes = []
        if passes == 1.0:
            notes.append(
                "One pass: log-likelihood and deviance are sums of each batch's at the estimate before it."
            )
        known = {"covariance": self._covariance(problem, factor, A, meat, state)}
        null = None
        if self.needs_spread(family):
            null = {"deviance": np.nan}
            known["cov_type"] = _robust(problem)
            notes.append(_SANDWICH)
        if not waiting and self.selection is not None:
            from statkit.plans._stream_select import selected

            chosen = selected(self, problem, state)
            theta, known, notes = chosen.theta, {**known, **chosen.known}, [*notes, *chosen.notes]
        elif not waiting and problem.is_sparse:
            theta = self.shown(problem, state)
            known["covariance"] = np.full_like(A, np.nan)
            notes.append(
                "A lasso penalty biases the estimate and has no standard errors; Renewable(selection='lasso') has."
            )
        at = Evaluation(
            theta, state.loss, np.zeros(len(theta)), A, state.n, state.n_read, state.n_missing, state.weight,
            state.pearson, sums, null, meat, None, state.y, state.n_rows,
        )  # fmt: skip
        none = np.zeros(len(theta), bool)
        history = state.history.to_dicts()
        result = NewtonResult(theta, at, factor, 0.0, not waiting, none, history)
        if waiting:
            rows = sum(b.n_rows for b in state.pending)
            notes.append(f"Warming up: {rows} rows wait for more; the estimate is a provisional ridge fit.")
        if self.forgetting < 1.0:
            notes.append(f"Forgetting {self.forgetting:g}: about {state.n_effective:,.0f} rows count.")
        if self.prior is not None:
            notes.append("With a normal prior: errors are those of the posterior.")
        if state.drifted:
            times = "1 batch does" if state.drifted == 1 else f"{state.drifted} batches do"
            notes.append(f"Drift: {times} not follow the model of the earlier ones (see history).")
        known = {name: value for name, value in known.items() if value is not None}
        return report(problem, self, result, n_passes=passes, notes=notes, **known)

    def _covariance(self, problem, factor, A, meat, state):
        """Where it is not that of ``cov_type``: losses that are no likelihoods, lags, and forgetting."""
        matrix = meat.meat() if hasattr(meat, "meat") else meat
        if self.needs_spread(problem.family) or isinstance(meat, LagSums):
            if problem.cov_type == "cluster" or meat is None:
                return None
            return hc0_covariance(A, matrix)
        if state is not None and state.squares is not None and problem.cov_type == "nonrobust":
            phi = 1.0
            if problem.family.dispersion != "known":
                phi = state.pearson / max(state.n - factor.rank, 1)
            return phi * hc0_covariance(A, state.squares)
        return None

    def provisional(self, problem: Any, state: StreamState) -> StreamState:
        """A state for the rows that still wait: one ridge step from the null model."""
        from statkit.design.block import concatenate
        from statkit.rounds.tasks import evaluate

        if not state.pending:
            raise ValueError("no row is left to fit: every row so far was dropped for a missing value")
        block = concatenate(state.pending)
        problem = self.working(problem, state, n=block.n_rows)
        local = problem.local_with(block, state.center, state.scale)
        theta = local.null_theta(*local.response())
        meat = self.meat(problem)
        want = Want(sums=True, meat=None if isinstance(meat, int) else meat)
        out = evaluate(block, local.family, theta, local.shape, local.center, local.scale, None, want)
        A = out["information"]
        ridge = 1e-6 * np.trace(A) / state.q + 1e-12
        theta = theta + np.linalg.solve(A + ridge * np.eye(state.q), out["gradient"])
        if isinstance(meat, int):
            args = (local.family, theta, local.shape, local.center, local.scale, meat)
            out["meat"] = lag_sums(block, *args)["meat"]
        return state.copy(
            theta=theta, A=A, meat=out.get("meat"),
            n=out["n"], n_rows=out["n_rows"], weight=out["weight"], y=out["y"], loss=out["loss"],
            pearson=out["sums"]["pearson"], sums=out["sums"],
        )  # fmt: skip

    def _check(self, problem):
        self._needs_shape(problem)
        if not 0 < self.forgetting <= 1:
            raise ValueError(f"Renewable(forgetting=…) must lie in (0, 1], not {self.forgetting!r}")
        choices = {
            "on_drift": ("warn", "skip", "ignore"),
            "newton": ("auto", "full", "rows"),
            "method": ("renewable", "cee", "cuee"),
            "selection": (None, "lasso", "adaptive_lasso"),
            "unknown_level": ("error", "other", "grow"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"Renewable({name}=…) must be one of {', '.join(map(repr, allowed))}, not "
                    f"{getattr(self, name)!r}"
                )
        for name, least in (("batch_size", 1), ("buffer_rows", 0), ("lags", 0)):
            value = getattr(self, name)
            if not (isinstance(value, (int, np.integer)) and value >= least):
                raise ValueError(f"Renewable({name}=…) must be an integer >= {least}, not {value!r}")
        if self.n_passes != "auto" and self.n_passes > 1 and (self.forgetting < 1 or self.on_drift == "skip"):
            raise ValueError(
                f"n_passes={self.n_passes!r} would bring back the rows that forgetting={self.forgetting!r}, "
                f"on_drift={self.on_drift!r} leave behind: use n_passes=1"
            )
        if self.method != "renewable" and self.forgetting < 1:
            raise ValueError(f"Renewable(method={self.method!r}) has no forgetting")
        if self.selection is not None and (problem.family.predictors > 1 or problem.cov_type != "nonrobust"):
            raise ValueError("Renewable(selection=…) is for one linear predictor and cov_type='nonrobust'")
        if self.n_passes != "auto" and not (
            isinstance(self.n_passes, (int, np.integer)) and self.n_passes >= 1
        ):
            raise ValueError(
                f"Renewable(n_passes=…) must be 'auto' or an integer >= 1, not {self.n_passes!r}"
            )


def _robust(problem) -> str:
    """The name of the errors of a loss that is no likelihood."""
    return "robust" if problem.cov_type == "nonrobust" else problem.cov_type


class _WithPrior:
    """A problem whose evaluations hold a normal prior in information form too."""

    def __init__(self, problem, A, v):
        self._problem, self._A, self._v = problem, A, v

    def __getattr__(self, name):
        return getattr(self._problem, name)

    def evaluate(self, theta, *args):
        e = self._problem.evaluate(theta, *args)
        e.loss += 0.5 * float(theta @ self._A @ theta) - float(self._v @ theta)
        if e.gradient is not None:
            e.gradient = e.gradient + self._v - self._A @ theta
        if e.information is not None:
            e.information = e.information + self._A
        return e
