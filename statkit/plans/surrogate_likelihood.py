"""Surrogate likelihood: rounds that send gradients only, since one sample stands for the curvature of all rows."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.plans._machine_checks import distance_line
from statkit.plans._machines import MachinePlan, line
from statkit.plans._pilot import pilot_fit, pilot_sample, pilot_size
from statkit.plans._report import covariance_of, report
from statkit.rounds.machines import Machines, portable
from statkit.rounds.tasks import Want
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult, newton
from statkit.solvers.proximal_newton import proximal_newton

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["SurrogateLikelihood"]

_INNER_TOL, _INNER_ROUNDS = 1e-8, 50


class SurrogateLikelihood(MachinePlan):
    """Few rounds of gradients: the loss of a sample, tilted so that its slope is that of all rows, is minimised.

    A round costs a p-vector a machine instead of a p × p matrix, and a third of the arithmetic. The error shrinks
    every round by how much the sample's curvature differs from that of all rows, so that the sample must be random
    and not small; the gradients tell whether it does, and the table says how far the end is.

    Parameters
    ----------
    n_rounds : int, default=2
        Rounds of gradients.
    method : {"csl", "dane", "cease"}, default="csl"
        Who minimises: the centre, on its sample ("csl"); or every machine on its own rows, and their mean is taken
        ("dane", "cease"), which takes a second round of messages each time. "cease" adds a quadratic pull towards
        the last estimate, which keeps small machines from running away.
    reference : {"pilot", "first"} or int, default="pilot"
        Rows of the centre's sample, for "csl": a random pilot over all machines, or one machine's rows, by number.
    start : {"reference", "average", "least_squares"} or None, default=None
        Where to begin: the fit of the reference sample, or local fits of all machines, which cost a round; None is
        "reference" for "csl", else "least_squares".
    proximal : float or "auto", default="auto"
        Pull of "cease" in units of the mean loss; "auto" is 0.1 p / n for machines of n rows.
    certify : bool, default=False
        Whether a last round measures information and distance at the end. Without it, standard errors come from the
        sample's information, scaled up; errors that need all scores (``cov_type``) take that round anyway.
    pilot_size : int or "auto", default="auto"
        "auto" is ``max(20_000, 20 p, 7 √(N p))`` rows.
    n_partitions : int or None, default=None
        Number of machines to cut the rows into; None takes the partitions of the source.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value make one machine.
    shuffle : bool, default=False
        Whether ``n_partitions`` deals rows at random.

    Notes
    -----
    With a lasso penalty (``alpha``, ``l1_ratio`` of the estimator) "csl" minimises the penalised surrogate.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import SurrogateLikelihood
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(4_000, 3, family="binomial", random_state=0)
    >>> fit = GLMClassifier(plan=SurrogateLikelihood(pilot_size=500, n_partitions=8)).fit(X, y)
    >>> fit.estimate_.converged
    True

    References
    ----------
    M. I. Jordan, J. D. Lee and Y. Yang (2019), Communication-efficient distributed statistical inference. O.
    Shamir, N. Srebro and T. Zhang (2014), Communication-efficient distributed optimization using an approximate
    Newton-type method. J. Fan, Y. Guo and K. Wang (2023), Communication-efficient accurate statistical estimation.
    """

    fits_l1 = True

    def __init__(
        self,
        n_rounds: int = 2,
        *,
        method: Literal["csl", "dane", "cease"] = "csl",
        reference: Literal["pilot", "first"] | int = "pilot",
        start: Literal["reference", "average", "least_squares"] | None = None,
        proximal: float | Literal["auto"] = "auto",
        certify: bool = False,
        pilot_size: int | Literal["auto"] = "auto",
        n_partitions: int | None = None,
        partition_by: str | ArrayLike | None = None,
        shuffle: bool = False,
    ) -> None:
        self.n_rounds = n_rounds
        self.method = method
        self.reference = reference
        self.start = start
        self.proximal = proximal
        self.certify = certify
        self.pilot_size = pilot_size
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.shuffle = shuffle

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        self._check(problem)
        started = time.perf_counter()
        sample = self._reference(problem)
        theta = self._start(problem, sample)
        history = [line(problem.session.n_rounds, started, "start")]
        curvature = None if sample is None else _curvature(sample, theta)
        best, distances, failed = None, [], False
        for number in range(1, self.n_rounds + 1):
            started = time.perf_counter()
            at = self._gradient(problem, theta)
            objective = _objective(problem, at)
            if best is not None and not objective <= best[0] + 1e-9 * abs(best[0]):
                failed = True
                break
            proposed, solved, seen = self._proposed(problem, sample, at, last=number == self.n_rounds)
            curvature = curvature if seen is None else seen
            step = proposed - theta
            H = None if curvature is None else at.weight * curvature
            distance = np.nan if H is None else _distance(problem, at, H, step)
            distances.append(distance)
            history.append({**line(problem.session.n_rounds, started, self.method), "loss": at.loss,
                            "decrement": distance})  # fmt: skip
            best = objective, theta, at
            if not solved or not np.isfinite(proposed).all():
                failed = True
                break
            theta = proposed
        if failed:
            theta = best[1]
            self._warn_diverged()
        return self._finish(problem, theta, best, curvature, distances, history, failed)

    # -- what the rounds are made of --------------------------------------------------------------------------

    def _check(self, problem):
        self._choice("method", ("csl", "dane", "cease"))
        self._choice("start", (None, "reference", "average", "least_squares"))
        if not (isinstance(self.n_rounds, (int, np.integer)) and self.n_rounds >= 1):
            raise ValueError(
                f"SurrogateLikelihood(n_rounds=…) must be an integer >= 1, not {self.n_rounds!r}"
            )
        if self.proximal != "auto" and not self.proximal >= 0:
            raise ValueError(f"SurrogateLikelihood(proximal=…) must be 'auto' or >= 0, not {self.proximal!r}")
        self._prepare(problem)
        machines = len(problem.session.partitions)
        number = isinstance(self.reference, (int, np.integer)) and not isinstance(self.reference, bool)
        if not (self.reference in ("pilot", "first") or (number and 0 <= self.reference < machines)):
            raise ValueError(
                f"SurrogateLikelihood(reference=…) must be 'pilot', 'first' or the number of one of the {machines} "
                f"machines, not {self.reference!r}"
            )
        if problem.cov_type in ("between", "partition"):
            raise ValueError(
                f"cov_type={problem.cov_type!r} compares machines: use OneStep(), or OneShot() for 'between'"
            )
        if problem.is_sparse:
            from statkit.plans._sparse import check_sparse

            check_sparse(problem)
            if self.method != "csl":
                raise ValueError(
                    "l1_ratio > 0 needs method='csl': the mean of sparse estimates is not sparse"
                )

    def _reference(self, problem):
        """The sample that stands for all rows, as a problem in memory."""
        start = self.start or ("reference" if self.method == "csl" else "least_squares")
        if self.method != "csl" and start != "reference":
            return None
        if self.reference == "pilot":
            size = self.pilot_size
            if size == "auto":
                size = max(20_000, pilot_size("auto", problem))
            return pilot_sample(problem, min(size, problem.session.n_rows))
        number = 0 if self.reference == "first" else int(self.reference)
        return problem.sample(10**12, problem.seed, [problem.session.partitions[number]])

    def _start(self, problem, sample):
        start = self.start or ("reference" if self.method == "csl" else "least_squares")
        if start == "reference":
            if problem.is_sparse:
                null = sample.null_theta(*sample.response())
                return proximal_newton(
                    lambda theta, *_: sample.evaluate(theta), null, sample.l1_penalty, tol=1e-4, max_rounds=50
                ).theta
            if self.reference == "pilot":
                return pilot_fit(sample)
            return _inner(sample, sample.null_theta(*sample.response()), None, 0.0, None)[0]
        c = self._local(problem)
        if start == "least_squares":
            return c.wlse
        share = np.array([m["n"] for m in c.machines], float)
        return share @ np.array([m["theta"] for m in c.machines]) / share.sum()

    def _gradient(self, problem, theta):
        null = (
            problem.null_theta(*problem.response())[:: problem.width] if self._needs_null(problem) else None
        )
        return problem.evaluate(theta, Want(True, False, True), null)

    def _proposed(self, problem, sample, at, last):
        """The next estimate, whether its minimisation ended, and the curvature a unit of weight if it is known."""
        slope = at.gradient / at.weight
        if self.method == "csl":
            l1 = problem.l1_penalty if problem.is_sparse else None
            return *_inner(sample, at.theta, slope, 0.0, l1), _curvature(sample, at.theta)
        pull = 0.0
        if self.method == "cease":
            rows = problem.session.n_rows / len(problem.session.partitions)
            pull = 0.1 * problem.size / rows if self.proximal == "auto" else float(self.proximal)
        out = problem.session.round(surrogate_fit, portable(problem), at.theta, slope, pull, last)["machines"]
        out = [m for m in out if m[0]]
        weight = np.array([m[0] for m in out])
        theta = weight @ np.array([m[1] for m in out]) / weight.sum()
        curvature = sum(m[3] for m in out) / weight.sum() if last else None
        return theta, all(m[2] for m in out), curvature

    def _warn_diverged(self):
        from sklearn.exceptions import ConvergenceWarning

        what = "the reference sample" if self.method == "csl" else "some machines"
        warnings.warn(
            f"the surrogate likelihood diverges: {what} is too small, or no random sample of the rows; the estimate "
            "is the last one that lowered the loss. Use reference='pilot' with more rows, method='cease', or OneStep()",
            ConvergenceWarning,
            stacklevel=5,
        )

    # -- the end ------------------------------------------------------------------------------------------------

    def _finish(self, problem, theta, best, curvature, distances, history, failed):
        notes, at = [], None
        if self.certify or problem.meat or curvature is None:
            started = time.perf_counter()
            null = (
                problem.null_theta(*problem.response())[:: problem.width]
                if self._needs_null(problem)
                else None
            )
            at = problem.evaluate(theta, Want(True, True, True, problem.meat, seed=problem.seed), null)
            H = at.information
            factor = Factor(H)
            distance = _distance(problem, at, H, factor.solve(at.gradient))
            history.append({**line(problem.session.n_rounds, started, "certificate"), "loss": at.loss,
                            "decrement": distance})  # fmt: skip
            lines = [distance_line("newton_decrement", distance)]
        else:
            _, before, at = best
            step = theta - before
            H = at.weight * curvature
            factor = Factor(H)
            gain = 2 * float(at.gradient @ step) - float(step @ H @ step)
            at.loss -= gain / 2
            at.sums = {**at.sums, "loss": at.sums["loss"] - gain / 2, "deviance": at.sums["deviance"] - gain}
            if problem.dispersion is not None:
                at.sums["pearson"] = at.sums["pearson"] - gain
            at.information = H
            left = np.inf if failed else _left(distances)
            lines = [distance_line("distance_predicted", left)]
            notes.append(
                "Standard errors come from the information of "
                + (
                    "the reference sample"
                    if self.method == "csl"
                    else "the machines at the last estimate but one"
                )
                + "; log-likelihood and deviance are second-order approximations. certify=True measures them."
            )
        converged = not failed and lines[0]["verdict"] == "OK"
        known = {}
        if problem.is_sparse:
            from statkit.plans._sparse import without_errors

            l1 = problem.l1_penalty(at.weight)
            factor = Factor(H, keep=(theta != 0) | (l1 == 0))
            known = without_errors(problem)
            lines, converged = [], not failed
        result = NewtonResult(
            theta if problem.is_sparse or factor.keep is None else np.where(factor.keep, theta, np.nan),
            at, factor, np.nan, converged, np.zeros(problem.size, bool), history,
        )  # fmt: skip
        if not known:
            scale = 1.0
            if problem.dispersion is not None:
                scale = at.sums["pearson"] / max(at.n - factor.rank, 1)
            known["covariance"] = covariance_of(problem, factor, H, at.meat, scale, at.n)
        self._warn(lines)
        return report(problem, self, result, notes=notes, diagnostics=lines, **known)


def _inner(local, theta, slope, pull, l1):
    """Minimiser of the local loss with its slope at ``theta`` made ``slope`` (None: as it is), and whether it ended.

    ``pull`` and ``slope`` are in units of the mean loss.
    """
    weight = tilt = None

    def evaluate(at, *_):
        nonlocal weight, tilt
        e = local.evaluate(at)
        if tilt is None:
            weight = e.weight
            tilt = np.zeros(len(at)) if slope is None else e.gradient - weight * slope
        away = at - theta
        e.loss += float(tilt @ at) + 0.5 * pull * weight * float(away @ away)
        e.gradient = e.gradient - tilt - pull * weight * away
        e.information = e.information + pull * weight * np.eye(len(at))
        return e

    if l1 is not None:
        result = proximal_newton(evaluate, theta, l1, tol=_INNER_TOL, max_rounds=_INNER_ROUNDS)
    else:
        result = newton(evaluate, theta, tol=_INNER_TOL, max_rounds=_INNER_ROUNDS)
    return np.where(np.isnan(result.theta), theta, result.theta), bool(result.converged)


def surrogate_fit(block, problem, theta, slope, pull, curvature: bool) -> dict:
    """One machine's minimiser of its tilted loss: weight, estimate, whether it ended, information."""
    local = problem.local(block)
    weight = float(block.n_rows if block.weight is None else block.weight.sum())
    if not weight:
        return {"machines": Machines([(0.0, theta, True, 0.0)])}
    at, solved = _inner(local, theta, slope, pull, None)
    information = local.evaluate(at).information if curvature else 0.0
    return {"machines": Machines([(weight, at, solved, information)])}


def _curvature(sample, theta):
    """Information a unit of weight."""
    e = sample.evaluate(theta, Want(False, True))
    return e.information / e.weight


def _objective(problem, e):
    if not problem.is_sparse:
        return e.loss
    return e.loss + float(problem.l1_penalty(e.weight) @ np.abs(e.theta))


def _distance(problem, e, H, step):
    """Length of a step in standard errors, root mean square over coefficients."""
    phi = 1.0
    if problem.dispersion is not None:
        pearson = e.sums["pearson"] if e.pearson is None else e.pearson
        phi = pearson / max(e.n - len(step), 1)
    return float(np.sqrt(max(float(step @ H @ step), 0.0) / (phi if phi > 0 else 1.0) / max(len(step), 1)))


def _left(distances):
    """Distance after the last step: steps shrink by a constant factor."""
    if len(distances) < 2 or not distances[-2] > 0:
        return min(distances[-1], distances[-1] ** 2)
    rate = distances[-1] / distances[-2]
    return distances[-1] * rate / (1 - rate) if rate < 1 else np.inf
