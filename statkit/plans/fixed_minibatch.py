"""Gradient descent over a fixed partition of the rows, and the mean of a sweep, which is nearly the estimate itself."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np

from statkit.design.block import concatenate
from statkit.exceptions import BiasWarning
from statkit.plans._report import report
from statkit.plans._sgd_order import ordered_blocks
from statkit.plans.plan import Plan
from statkit.rounds.tasks import Want, evaluate

__all__ = ["FixedMinibatch"]

SCHEDULES = ("fixed", "shuffle", "replace", "buffered")
DECAYS = (None, "inverse", "halving", "cosine")
_DIVERGED = 1e4
# Distance to the maximum likelihood estimate, in standard errors, from which its errors do not describe the end.
_FAR = 0.1
_HALVING_SWEEPS = 10


class FixedMinibatch(Plan):
    """Minibatch gradient descent on rows that can be read again, with the errors of the estimate it ends at.

    The rows are split once into blocks that are swept in the same order. With a constant step the end of a sweep
    settles at a point that is off by the step times the number of blocks, in standard errors; the mean over a sweep
    cancels that bias to first order, and is what this plan returns. A last pass measures how far it is from the
    maximum likelihood estimate.

    Parameters
    ----------
    n_blocks : int, default=20
        Blocks M of the fixed partition.
    step : float, "auto" or "lqa", default="auto"
        Step α on the mean gradient of a block; "auto" is 1/(4 λ) with λ the largest eigenvalue of the mean
        information, which keeps the remainder of the mean over a sweep negligible. "lqa" chooses each step by a local
        quadratic approximation of the loss along the gradient: good for optimisation, but noise never averages out.
    epochs : int, default=50
        Sweeps at most.
    momentum : float, default=0.0
        Share m of the last step that is added; the effective step is α/(1 − m).
    average : {"cycle", "last"}, default="cycle"
        Mean of the iterates of the last sweep, or its end.
    schedule : {"fixed", "shuffle", "replace", "buffered"}, default="fixed"
        "shuffle" deals the rows anew in every sweep and "replace" draws blocks at random, for comparison: both are
        worse for estimation. "buffered" takes the rows in buffers of n/M and makes ``sweeps`` sweeps of minibatches
        of ``batch_size`` within each.
    decay : {None, "inverse", "halving", "cosine"}, default=None
        Step of sweep e: α, α/(1 + e), halved every ten sweeps, or α (1 + cos(π e / epochs))/2.
    batch_size, sweeps : int, default=200, 1
        For schedule="buffered".
    tol : float, default=1e-4
        A sweep is the last when n ḡ'H⁻¹ḡ falls below it, ḡ the mean of its gradients.
    refine : {None, "newton"}, default=None
        "newton": one Newton step from the last pass, which is there for the errors anyway.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import FixedMinibatch
    >>> from statkit.regression import GLMRegressor
    >>> X, y, coef = make_glm(5_000, 3, random_state=0)
    >>> fit = GLMRegressor(plan=FixedMinibatch(20, step=0.2)).fit(X, y)
    >>> exact = GLMRegressor().fit(X, y).estimate_
    >>> bool((abs(fit.estimate_.params - exact.params) < 0.1 * exact.bse).all())
    True

    References
    ----------
    H. Qi, F. Wang and H. Wang (2023), Statistical analysis of fixed mini-batch gradient descent estimator.
    Y. Gao, X. Zhu, H. Qi, G. Li, R. Zhang and H. Wang (2023), An asymptotic analysis of random partition based
    minibatch momentum methods for linear regression models.
    H. Qi, D. Huang, Y. Zhu, D. Huang and H. Wang (2023), Mini-batch gradient descent with buffer.
    Y. Zhu, D. Huang, Y. Gao, R. Wu, Y. Chen, B. Zhang and H. Wang (2021), Automatic, dynamic, and nearly optimal
    learning rate specification via local quadratic approximation.
    """

    def __init__(
        self,
        n_blocks: int = 20,
        *,
        step: float | Literal["auto"] | Literal["lqa"] = "auto",
        epochs: int = 50,
        momentum: float = 0.0,
        average: Literal["cycle", "last"] = "cycle",
        schedule: Literal["fixed", "shuffle", "replace", "buffered"] = "fixed",
        decay: Literal[None, "inverse", "halving", "cosine"] = None,
        batch_size: int = 200,
        sweeps: int = 1,
        tol: float = 1e-4,
        refine: Literal[None, "newton"] = None,
    ) -> None:
        self.n_blocks = n_blocks
        self.step = step
        self.epochs = epochs
        self.momentum = momentum
        self.average = average
        self.schedule = schedule
        self.decay = decay
        self.batch_size = batch_size
        self.sweeps = sweeps
        self.tol = tol
        self.refine = refine

    def estimate(self, problem: Any) -> Any:
        """Sweep the blocks, then measure errors and distance in one pass over all rows."""
        self._check(problem)
        session = problem.session
        theta = problem.null_theta(*problem.response())
        null = theta[:: problem.width].copy()
        start = problem.evaluate(theta)
        n = start.n
        mean_information = start.information / n
        largest = float(np.linalg.eigvalsh(mean_information)[-1])
        inverse = np.linalg.pinv(mean_information, hermitian=True)
        path = _Path(self, problem, theta, 1.0 / max(largest, 1e-300), abs(start.loss) / n + largest)
        converged = False
        with np.errstate(over="ignore", invalid="ignore"):
            for epoch in range(self.epochs):
                path.begin(epoch)
                for block in self._epoch(problem, epoch, n):
                    path.step(block)
                session.rows_visited += session.n_rows
                session.n_rounds += 1
                gradient = path.gradient / max(path.taken, 1)
                left = n * float(gradient @ inverse @ gradient)
                path.history.append(
                    {"sweep": epoch + 1, "loss": path.loss / max(path.taken, 1), "left": left}
                )
                if not np.isfinite(path.theta).all() or not path.worst < _DIVERGED:
                    raise ValueError(self._runaway(path.size, largest, epoch))
                if left < self.tol and epoch:
                    converged = True
                    break
        theta = path.theta if self.average == "last" else path.total / path.taken
        return self._finish(problem, theta, null, path, converged)

    def _finish(self, problem, theta, null, path, converged):
        from statkit.plans.exact import Exact

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result, _ = Exact(max_rounds=1, certify=False).solve(problem, (theta, null))
        distance = result.decrement
        result.history = path.history
        refined = self.refine == "newton"
        if not refined:
            result.theta = np.where(np.isnan(result.theta), np.nan, theta)
        result.converged = converged or distance < 0.01 or (refined and distance < 1.0)
        far = distance > _FAR and not refined
        if far:
            advice = (
                "average='cycle'"
                if self.average == "last"
                else "a smaller step, more epochs, or refine='newton'"
            )
            warnings.warn(
                f"the descent ends {distance:.2g} standard errors from the maximum likelihood estimate, which its "
                f"errors do not show: use {advice}",
                BiasWarning,
                stacklevel=5,
            )
        note = f"The last pass: {distance:.2g} standard errors from the maximum likelihood estimate"
        note += ", which one Newton step went." if refined else "."
        line = {
            "name": "distance to the maximum likelihood estimate", "value": distance,
            "verdict": "WARN" if far else "ok",
            "advice": "in standard errors; the errors do not show it" if far else "in standard errors",
        }  # fmt: skip
        return report(problem, self, result, notes=[note], diagnostics=[line])

    def _epoch(self, problem, epoch, n):
        """The blocks of a sweep in order."""
        M = self.n_blocks
        if self.schedule == "replace":
            whole = concatenate(list(problem.session.blocks()))
            rng = np.random.default_rng([problem.seed, 4, epoch])
            for _ in range(M):
                yield whole.take(np.sort(rng.integers(0, whole.n_rows, max(whole.n_rows // M, 1))))
            return
        ends = np.floor(np.arange(1, M + 1) * (n / M) + 1e-9).astype(int)
        sizes = np.diff([0, *ends])
        blocks = fixed_blocks(ordered_blocks(problem, epoch, self.schedule == "shuffle"), sizes)
        if self.schedule != "buffered":
            yield from blocks
            return
        for buffer in blocks:
            for _ in range(self.sweeps):
                for first in range(0, buffer.n_rows, self.batch_size):
                    yield buffer.take(slice(first, min(first + self.batch_size, buffer.n_rows)))

    def _runaway(self, size, largest, epoch):
        return (
            f"gradient descent with step {size:.3g} diverged in sweep {epoch + 1}: the largest eigenvalue of the mean "
            f"information is {largest:.3g}, and a step times it must stay below "
            f"{2 * (1 + self.momentum):.3g} (in every block); use step='auto' or a step below {1 / largest:.2g}"
        )

    def _check(self, problem):
        for name, allowed in (
            ("average", ("cycle", "last")), ("schedule", SCHEDULES), ("decay", DECAYS),
            ("refine", (None, "newton")),
        ):  # fmt: skip
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(
                    f"FixedMinibatch({name}=…) must be one of {', '.join(map(repr, allowed))}, not {value!r}"
                )
        for name in ("n_blocks", "epochs", "batch_size", "sweeps"):
            value = getattr(self, name)
            if not (isinstance(value, (int, np.integer)) and value >= 1):
                raise ValueError(f"FixedMinibatch({name}=…) must be an integer >= 1, not {value!r}")
        if isinstance(self.step, str):
            if self.step not in ("auto", "lqa"):
                raise ValueError(
                    f"FixedMinibatch(step=…) must be a number, 'auto' or 'lqa', not {self.step!r}"
                )
        elif not (np.isfinite(self.step) and self.step > 0):
            raise ValueError(f"FixedMinibatch(step=…) must be positive, not {self.step!r}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"FixedMinibatch(momentum=…) must lie in [0, 1), not {self.momentum!r}")
        family = problem.family
        if not family.curved:
            raise ValueError(
                f"FixedMinibatch gives errors from the curvature of the loss, which that of {family.name} has not: use "
                "AveragedSGD()"
            )
        self._needs_shape(problem)
        if problem.session.n_rows < self.n_blocks:
            raise ValueError(f"{problem.session.n_rows} rows cannot be split into {self.n_blocks} blocks")


class _Path:
    """Iterates of a descent, and the sums of the current sweep."""

    def __init__(self, plan, problem, theta, scale, reference):
        self.plan, self.problem = plan, problem
        self.theta, self.before = theta, theta
        self.size = (
            {"auto": 0.25 * scale, "lqa": scale}.get(plan.step) if isinstance(plan.step, str) else plan.step
        )
        self.reference = reference
        self.history: list[dict] = []
        self.worst = 0.0

    def begin(self, epoch):
        plan = self.plan
        factor = {
            None: 1.0, "inverse": 1.0 / (1 + epoch), "halving": 0.5 ** (epoch // _HALVING_SWEEPS),
            "cosine": 0.5 * (1 + np.cos(np.pi * epoch / plan.epochs)),
        }[plan.decay]  # fmt: skip
        self.rate = self.size * factor
        self.total, self.gradient = np.zeros_like(self.theta), np.zeros_like(self.theta)
        self.taken, self.loss = 0, 0.0

    def step(self, block):
        problem = self.problem
        out = evaluate(
            block, problem.family, self.theta, problem.shape, problem.center, problem.scale, None,
            Want(information=False),
        )  # fmt: skip
        rows = max(block.n_rows, 1)
        gradient = out["gradient"] / rows
        ridge = problem.penalty(1.0)
        if ridge is not None:
            gradient = gradient - ridge * self.theta
        rate = self.rate
        if self.plan.step == "lqa":
            rate = self.size = local_quadratic_step(
                problem, block, self.theta, gradient, out["loss"], self.size
            )
        new = self.theta + rate * gradient + self.plan.momentum * (self.theta - self.before)
        self.before, self.theta = self.theta, new
        self.total += new
        self.gradient += gradient
        self.taken += 1
        self.loss += out["loss"] / rows
        size = abs(out["loss"]) / rows / (self.reference + 1.0)
        self.worst = max(self.worst, size) if np.isfinite(size) else np.inf


def local_quadratic_step(problem, block, theta, gradient, loss, probe) -> float:
    """The minimum along the gradient of a parabola through three losses; exact for quadratic losses.

    ``gradient`` is the mean score (uphill), ``loss`` the summed loss at ``theta``, ``probe`` the distance to look.
    """

    def at(distance):
        want = Want(gradient=False, information=False)
        scaling = problem.center, problem.scale
        out = evaluate(
            block, problem.family, theta + distance * gradient, problem.shape, *scaling, None, want
        )
        return out["loss"]

    ahead, behind = at(probe), at(-probe)
    a = (ahead + behind - 2.0 * loss) / (2.0 * probe**2)
    c = (ahead - behind) / (2.0 * probe)
    if not a > 0 or not np.isfinite(a + c):
        return probe
    return float(np.clip(-c / (2.0 * a), 0.1 * probe, 10.0 * probe))


def fixed_blocks(blocks, sizes):
    """Rows of a stream of blocks, cut anew into blocks of ``sizes`` rows."""
    held, have = [], 0
    sizes = iter(sizes)
    wanted = next(sizes, None)
    for block in blocks:
        at = 0
        while wanted is not None and have + block.n_rows - at >= wanted:
            take = wanted - have
            part = block.take(slice(at, at + take)) if take < block.n_rows else block
            yield concatenate([*held, part]) if held else part
            held, have, at = [], 0, at + take
            wanted = next(sizes, None)
        if wanted is not None and at < block.n_rows:
            part = block.take(slice(at, block.n_rows)) if at else block
            held.append(part)
            have += part.n_rows
    if held:
        yield concatenate(held)
