"""One Newton step (or a few) on all rows from a cheap start."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np

from statkit.plans._aggregate import AGGREGATES, robust_total, variance_factor
from statkit.plans._machine_checks import diagnose, score_tests
from statkit.plans._machines import MachinePlan, aggregated, identified, label, line, machine_results
from statkit.plans._pilot import pilot_fit, pilot_sample, pilot_size
from statkit.rounds.machines import bias_is_known
from statkit.solvers.cholesky import Factor

__all__ = ["OneStep"]

_CLOSE = 0.25


class OneStep(MachinePlan):
    """A start from a pilot or local fits, then Newton steps on the summed score and information of all rows.

    One step squares the distance to the maximum likelihood estimate, so that from a start within a standard error
    the answer is within hundredths of one, whatever the split of the rows.

    Parameters
    ----------
    start : {"pilot", "least_squares", "average"}, default="pilot"
        A fit on a random pilot over all machines (which needs no local fit, and so serves any split), the
        bias-corrected least squares approximation, or the mean of local fits.
    n_steps : int, default=1
        Rounds after the start, at most.
    chord : bool, default=False
        Whether later steps keep the first information and send scores only.
    tol : float, default=0
        Distance to the maximum likelihood estimate, in standard errors, at which steps end early.
    aggregate : {"mean", "median", "trimmed", "geometric", "vrmom", "screened"}, default="mean"
        How scores and local estimates of the machines are combined; all but "mean" withstand some machines that
        are wrong, and need ``start="average"``.
    pilot_size : int or "auto", default="auto"
        "auto" is ``max(7 √(N p), 20 p)``: one step from it ends about a tenth of a standard error off. A class of
        a logistic regression with less than 2 % of the rows is drawn in full.
    local : {"auto", "mle", "firth"}, default="auto"
    n_partitions, partition_by, shuffle : as in :class:`LeastSquaresApproximation`

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import OneStep
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(4_000, 3, family="binomial", random_state=0)
    >>> GLMClassifier(plan=OneStep("least_squares", n_partitions=8)).fit(X, y).estimate_.n_rounds
    2

    References
    ----------
    C. Huang and X. Huo (2019), A distributed one-step estimator. F. Wang, Y. Zhu, D. Huang, H. Qi and H. Wang
    (2021), Distributed one-step upgraded estimation for non-uniformly and non-randomly distributed data. D. Yin,
    Y. Chen, K. Ramchandran and P. Bartlett (2018), Byzantine-robust distributed learning.
    """

    def __init__(
        self,
        start: Literal["pilot", "least_squares", "average"] = "pilot",
        n_steps: int = 1,
        *,
        chord: bool = False,
        tol: float = 0.0,
        aggregate: Literal["mean", "median", "trimmed", "geometric", "vrmom", "screened"] = "mean",
        pilot_size: int | Literal["auto"] = "auto",
        local: Literal["auto", "mle", "firth"] = "auto",
        n_partitions: Any = None,
        partition_by: Any = None,
        shuffle: Any = False,
    ) -> None:
        self.start = start
        self.n_steps = n_steps
        self.chord = chord
        self.tol = tol
        self.aggregate = aggregate
        self.pilot_size = pilot_size
        self.local = local
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.shuffle = shuffle

    def estimate(self, problem: Any) -> Any:
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        started = time.perf_counter()
        self._check(problem)
        theta, c = self._start(problem)
        history = [line(1, started, self.start)]
        factor = H = first = None
        kept = np.ones(len(problem.session.partitions), bool)
        for number in range(1, self.n_steps + 1):
            started = time.perf_counter()
            fresh = factor is None or not self.chord
            e, answers = self._certificate(problem, theta, information=fresh)
            if fresh:
                H, scales = self._information(e, answers), answers
                factor = Factor(H)
                phi = self._dispersion(problem, e, factor, answers)
            e.information = H
            e.gradient, kept = self._score(e, answers, H / phi)
            step = factor.solve(e.gradient)
            distance = float(np.sqrt(max(e.gradient @ step, 0.0) / phi / max(factor.rank, 1)))
            first = distance if first is None else first
            history.append({**line(number + 1, started, "step"), "loss": e.loss, "decrement": distance})
            theta = theta + step
            if distance < self.tol:
                break
        if self.aggregate == "mean":
            phi = _moved_sums(problem, e, float(e.gradient @ step), factor)
        if c is None:
            c = _from_scores(problem, theta - step, scales, e, factor, phi)
        else:
            c.H, c.factor, c.phi = H, factor, phi
        # A step from the distance d leaves about d² relative to the curvature seen: at most what it moved.
        left = min(distance, distance**2)
        model = phi * variance_factor(self.aggregate, factor.rank) * factor.inverse()
        moved = [a[0] - m["H"] @ step for a, m in zip([answers[k] for k in c.index], c.machines, strict=True)]
        lines = diagnose(
            problem,
            c,
            theta,
            np.sqrt(np.diag(model)),
            bias=np.zeros(problem.size),
            decrement=left,
            scores=moved,
        )
        lines = [x for x in lines if x["name"] != "k_limit"]
        tests, _ = score_tests(problem, c, theta, moved)
        extra = {**machine_results(problem, c, tests), "start_distance": first}
        extra["rejected_partitions"] = [label(problem, k) for k in np.flatnonzero(~kept)]
        notes = []
        if self.aggregate != "mean":
            notes.append("Log-likelihood and deviance are those of all machines, the rejected ones too.")
        elif not problem.family.quadratic:
            notes.append("Log-likelihood and deviance are second-order approximations after the last step.")
        return self._report(
            problem, c, theta, model if self.aggregate != "mean" else None, history=history, extra=extra,
            lines=lines, at=e, converged=bool(left <= _CLOSE), notes=notes,
        )  # fmt: skip

    def _check(self, problem):
        self._choice("start", ("least_squares", "average", "pilot"))
        self._choice("local", ("auto", "mle", "firth"))
        self._choice("aggregate", AGGREGATES)
        if not (isinstance(self.n_steps, (int, np.integer)) and self.n_steps >= 1):
            raise ValueError(f"OneStep(n_steps=…) must be an integer >= 1, not {self.n_steps!r}")
        if not self.tol >= 0:
            raise ValueError(f"OneStep(tol=…) must be a number >= 0, not {self.tol!r}")
        self._prepare(problem)
        if problem.cov_type == "between":
            raise ValueError("cov_type='between' compares local estimates: it needs plan=OneShot(…)")
        if self.aggregate != "mean":
            if self.start != "average":
                raise ValueError(
                    f"aggregate={self.aggregate!r} needs start='average': machines that are wrong would move the "
                    f"start {self.start!r}"
                )
            if problem.cov_type != "nonrobust":
                raise ValueError(f"aggregate={self.aggregate!r} has errors of cov_type='nonrobust' only")

    def _information(self, e, answers):
        """Information of all rows; never the word of a single machine where some may be wrong."""
        if self.aggregate == "mean":
            return e.information
        sound = [a for a in answers if a[3] and np.isfinite(a[1]).all()]
        return e.n * np.median([a[1] / a[3] for a in sound], axis=0)

    def _score(self, e, answers, H):
        """Score of all rows, and which machines it believes."""
        if self.aggregate == "mean":
            return e.gradient, np.ones(len(answers), bool)
        filled = np.array([a[3] > 0 for a in answers])
        scores = np.array([a[0] for a, keep in zip(answers, filled, strict=True) if keep])
        sizes = np.array([a[3] for a in answers], float)[filled]
        total, kept = robust_total(self.aggregate, scores, sizes, H)
        filled[filled] = kept
        return total, filled | np.array([a[3] == 0 for a in answers])

    def _dispersion(self, problem, e, factor, answers):
        if problem.dispersion is None:
            return 1.0
        if self.aggregate == "mean":
            return problem.dispersion(e, factor.rank)
        return float(np.median([a[4] / a[3] for a in answers if a[3]])) * e.n / max(e.n - factor.rank, 1)

    def _start(self, problem):
        if self.start == "pilot":
            return pilot_fit(pilot_sample(problem, pilot_size(self.pilot_size, problem))), None
        c = self._local(problem, local=self.local)
        corrected = bias_is_known(problem.family)
        if self.start == "least_squares":
            return (c.wlse - c.bias("wlse") if corrected else c.wlse), c
        identified(problem, c)
        share = np.array([m["n"] for m in c.machines], float)
        estimates = np.array([m["theta"] for m in c.machines])
        if self.aggregate != "mean" and corrected:
            # What all local fits share is no contamination.
            estimates = estimates - c.phi * np.array([m["b"] for m in c.machines])
        return aggregated(self.aggregate, c, estimates, share / share.sum())[0], c


def _moved_sums(problem, e, gain, factor):
    """Sums of the evaluation carried over the step that follows it, to second order; the dispersion then."""
    e.loss -= gain / 2
    e.sums = {**e.sums, "loss": e.sums["loss"] - gain / 2, "deviance": e.sums["deviance"] - gain}
    if problem.dispersion is None:
        return 1.0
    e.sums["pearson"] = e.pearson = e.sums["pearson"] - gain
    return problem.dispersion(e, factor.rank)


def _from_scores(problem, theta, answers, e, factor, phi):
    """Machines as one Newton step of each would see them, where no local fit was made."""
    from statkit.plans._machines import Combined

    index = np.array([k for k, a in enumerate(answers) if a[3]], int)
    machines = []
    for k in index:
        g, H, _, n, _ = answers[k]
        local = Factor(H)
        machines.append(
            {"theta": theta + local.solve(g), "H": H, "n": n, "rank": local.rank, "events": np.nan, "rounds": 0,
             "converged": True, "separated": False, "firth": False, "x": None,
             "condition": 1 / max(local.smallest_pivot, 1e-300)}
        )  # fmt: skip
    wlse = theta + factor.solve(e.gradient)
    Q = float(sum((m["theta"] - wlse) @ m["H"] @ (m["theta"] - wlse) for m in machines))
    return Combined(machines, index, e.information, factor, wlse, Q, phi, e.n)
