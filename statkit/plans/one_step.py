"""One Newton step (or a few) on all rows from a cheap start."""

from __future__ import annotations

import time

import numpy as np

from statkit.plans._machine_checks import diagnose, score_tests
from statkit.plans._machines import MachinePlan, line, partition_table
from statkit.solvers.cholesky import Factor

__all__ = ["OneStep"]

_CLOSE = 0.25


class OneStep(MachinePlan):
    """A start from local fits or a pilot, then Newton steps on the summed score and information of all rows.

    One step squares the distance to the maximum likelihood estimate, so that from a start within a standard error
    the answer is within hundredths of one, whatever the split of the rows.

    Parameters
    ----------
    start : {"least_squares", "average", "pilot"}, default="least_squares"
        Bias-corrected least squares approximation, mean of local fits, or a fit on a random pilot over all machines
        (which needs no local fit, and so serves any split).
    steps : int, default=1
        Rounds after the start.
    chord : bool, default=False
        Whether later steps keep the first information and send scores only.
    pilot_size : int or "auto", default="auto"
        "auto" is ``max(7 √(N p), 20 p)``: one step from it ends about a tenth of a standard error off.
    local : {"auto", "mle", "firth"}, default="auto"
    n_partitions, partition_by, shuffle : as in :class:`LeastSquaresApproximation`

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import OneStep
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(4_000, 3, family="binomial", random_state=0)
    >>> GLMClassifier(plan=OneStep(n_partitions=8)).fit(X, y).estimate_.n_rounds
    2

    References
    ----------
    C. Huang and X. Huo (2019), A distributed one-step estimator. F. Wang, Y. Zhu, D. Huang, H. Qi and H. Wang
    (2021), Distributed one-step upgraded estimation for non-uniformly and non-randomly distributed data.
    """

    def __init__(
        self,
        start="least_squares",
        steps=1,
        chord=False,
        *,
        pilot_size="auto",
        local="auto",
        n_partitions=None,
        partition_by=None,
        shuffle=False,
    ):
        self.start = start
        self.steps = steps
        self.chord = chord
        self.pilot_size = pilot_size
        self.local = local
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.shuffle = shuffle

    def estimate(self, problem):
        """Fit ``problem``; returns an :class:`~statkit.results.Estimate`."""
        started = time.perf_counter()
        self._choice("start", ("least_squares", "average", "pilot"))
        self._choice("local", ("auto", "mle", "firth"))
        if not (isinstance(self.steps, (int, np.integer)) and self.steps >= 1):
            raise ValueError(f"OneStep(steps=…) must be an integer >= 1, not {self.steps!r}")
        self._prepare(problem)
        if problem.cov_type == "between":
            raise ValueError("cov_type='between' compares local estimates: it needs plan=OneShot(…)")
        theta, c = self._start(problem)
        history = [line(1, started, self.start)]
        factor = H = first = None
        for step_number in range(1, self.steps + 1):
            started = time.perf_counter()
            fresh = factor is None or not self.chord
            e, answers = self._certificate(problem, theta, information=fresh)
            if fresh:
                factor, H, scales = Factor(e.information), e.information, answers
                phi = 1.0 if problem.dispersion is None else problem.dispersion(e, factor.rank)
            e.information = H
            step = factor.solve(e.gradient)
            distance = float(np.sqrt(max(e.gradient @ step, 0.0) / phi / max(factor.rank, 1)))
            first = distance if first is None else first
            history.append({**line(step_number + 1, started, "step"), "loss": e.loss, "decrement": distance})
            theta = theta + step
        if c is None:
            c = _from_scores(problem, theta - step, scales, e, factor, phi)
        else:
            c.H, c.factor, c.phi = H, factor, phi
        # A step from the distance d leaves about d² relative to the curvature seen: at most what it moved.
        left = min(distance, distance**2)
        bse = np.sqrt(phi * np.diag(factor.inverse()))
        moved = [a[0] - m["H"] @ step for a, m in zip([answers[k] for k in c.index], c.machines, strict=True)]
        lines = diagnose(problem, c, theta, bse, bias=np.zeros(problem.size), decrement=left, scores=moved)
        lines = [x for x in lines if x["name"] != "k_limit"]
        tests, _ = score_tests(problem, c, theta, moved)
        extra = {"partitions": partition_table(problem, c, tests), "start_distance": first}
        return self._report(
            problem, c, theta, None, history=history, extra=extra, lines=lines, at=e,
            converged=bool(left <= _CLOSE),
        )  # fmt: skip

    def _start(self, problem):
        if self.start == "pilot":
            from statkit.plans.exact import Exact

            size, n = self.pilot_size, problem.session.n_rows
            if size == "auto":
                size = int(max(7 * np.sqrt(n * problem.size), 20 * problem.size))
            pilot = problem.sample(min(size, n), problem.seed)
            theta = pilot.null_theta(*pilot.response())
            result, _ = Exact(pilot_size=0, tol=1e-2).solve(pilot, (theta, theta[:: problem.width].copy()))
            return np.where(np.isnan(result.theta), 0.0, result.theta), None
        c = self._local(problem, local=self.local)
        if self.start == "average":
            share = np.array([m["n"] for m in c.machines], float)
            return share @ np.array([m["theta"] for m in c.machines]) / share.sum(), c
        corrected = problem.has_bias_formula
        return (c.wlse - c.bias("wlse") if corrected else c.wlse), c


def _from_scores(problem, theta, answers, e, factor, phi):
    """Machines as one Newton step of each would see them, where no local fit was made."""
    from statkit.plans._machines import Combined

    index = np.array([k for k, a in enumerate(answers) if a[3]], int)
    machines = []
    for k in index:
        g, H, _, n = answers[k]
        local = Factor(H)
        machines.append(
            {"theta": theta + local.solve(g), "H": H, "n": n, "rank": local.rank, "events": np.nan, "rounds": 0,
             "converged": True, "separated": False, "firth": False, "x": None}
        )  # fmt: skip
    wlse = theta + factor.solve(e.gradient)
    Q = float(sum((m["theta"] - wlse) @ m["H"] @ (m["theta"] - wlse) for m in machines))
    return Combined(machines, index, e.information, factor, wlse, Q, phi, e.n)
