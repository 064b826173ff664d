"""Damped Newton (Fisher scoring) on summed gradient and information, with a stopping rule in standard errors.

The squared decrement g'H⁻¹g/φ is the squared distance to the optimum in the metric of the standard errors, to
first order; after the step that follows, the remaining distance is of its order, squared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from statkit.solvers.cholesky import Factor

__all__ = ["NewtonResult", "newton"]

# Standard errors come from the information one step before the estimate; a step of this many standard errors,
# relative to the root of the number of rows, moves them by a millionth.
_STILL = 1e-6
_MOST_HALVINGS = 40
# Along a separating direction each step lengthens η by about one and the squared decrement falls by e.
_SEPARATION_RATIO = (0.3, 0.45)
_SEPARATION_ROUNDS = 3


@dataclass
class NewtonResult:
    """Where the iteration ended.

    Attributes
    ----------
    theta : ndarray
        Estimate; NaN in columns left out because they depend on earlier ones.
    at : Evaluation
        Last accepted evaluation, one step (far below a standard error once converged) before ``theta``.
    factor : Factor
        Of the information at ``at``.
    decrement : float
        Distance of ``at`` to the optimum in standard errors, root mean square over coefficients.
    separated : ndarray of bool
        Columns along which the likelihood has no maximum.
    """

    theta: np.ndarray
    at: object
    factor: Factor
    decrement: float
    converged: bool
    separated: np.ndarray
    history: list[dict] = field(default_factory=list)


def newton(
    evaluate: Callable,
    theta: np.ndarray,
    *,
    tol: float = 1e-4,
    max_rounds: int = 20,
    prior: np.ndarray | None = None,
    dispersion: Callable | None = None,
    may_separate: bool = False,
    keep: np.ndarray | None = None,
    order: np.ndarray | None = None,
    predict: bool = False,
) -> NewtonResult:
    """Minimise a penalised loss by Newton rounds.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(theta, nearly_done) -> Evaluation``: loss, gradient (of minus the loss) and information.
        ``nearly_done`` tells that this evaluation is likely to be the last.
    theta : ndarray of shape (q,)
        Start.
    tol : float
        Distance to the optimum that may remain, in standard errors (root mean square over coefficients). An
        evaluation that finds the distance d is followed by a step after which about d² is left at most.
    max_rounds : int
    prior : ndarray of shape (q,) or None
        Diagonal precision added about zero, for starts from few rows.
    dispersion : callable or None
        ``dispersion(evaluation, rank) -> φ``; None is φ = 1.
    may_separate : bool
        Whether to look for the slow constant progress of a likelihood without a maximum.
    keep : ndarray of bool or None
        Columns to use; None finds the dependent ones at the first evaluation.
    order : ndarray of int or None
        In which columns are looked at to find those that depend on earlier ones.
    predict : bool
        Whether a prediction from the last two steps is enough to stop.
    """
    previous = step = None
    decrement = np.inf
    nearly_done = False
    ratios: list[float] = []
    history: list[dict] = []
    halvings = 0
    slack = 0.0
    result = None
    for number in range(1, max_rounds + 1):
        started = time.perf_counter()
        e = evaluate(theta, nearly_done)
        loss = e.loss if prior is None else e.loss + 0.5 * float(prior @ (theta * theta))
        if previous is None and not np.isfinite(loss):
            raise ValueError(
                "the log-likelihood is not finite at the start: look for extreme values in the response, the "
                "offset or the columns"
            )
        # A step to where the information overflows was too long, whatever the loss there.
        finite = previous is None or bool(np.isfinite(np.diagonal(e.information)).all())
        if previous is not None and not (finite and loss <= previous + slack):
            halvings += 1
            if halvings > _MOST_HALVINGS or result is None:
                break
            step = 0.5 * step
            theta = result.at.theta + step
            history.append(_line(number, loss, np.nan, halvings, started))
            decrement, nearly_done = np.inf, False
            continue
        gradient, H = e.gradient, e.information
        if prior is not None:
            gradient = gradient - prior * theta
            H = H + np.diag(prior)
        factor = Factor(H, keep=keep, order=order)
        if factor.failed:
            diagonal = np.diag(H)
            ridge = 1e-8 * np.maximum(diagonal, diagonal.max(initial=1e-300))
            factor = Factor(H + np.diag(ridge), tolerance=0.0, keep=factor.keep if keep is None else keep)
        keep = factor.keep if factor.keep is not None else np.ones(len(theta), bool)
        step = factor.solve(gradient)
        phi = 1.0 if dispersion is None else dispersion(e, factor.rank)
        squared = max(float(gradient @ step), 0.0) / (phi if phi > 0 else 1.0)
        last, decrement = decrement, float(np.sqrt(squared / max(factor.rank, 1)))
        history.append(_line(number, loss, decrement, halvings, started))
        halvings = 0
        enough = min(np.sqrt(tol), _STILL * np.sqrt(max(e.n, 1)))
        done = decrement < enough or not squared > 0
        # Newton's error is squared by a step, up to a factor that the last step tells.
        curvature = min(decrement / last**2, 1.0) if np.isfinite(last) and last > 0 else 1.0
        nearly_done = curvature * decrement**2 < enough
        done = done or (predict and np.isfinite(last) and curvature * decrement**2 < tol)
        result = NewtonResult(
            np.where(keep, theta + step, np.nan), e, factor, decrement, bool(done),
            np.zeros(len(theta), bool), history,
        )  # fmt: skip
        if done:
            break
        if may_separate:
            ratios.append((decrement / last) ** 2 if np.isfinite(last) and last > 0 else np.inf)
            low, high = _SEPARATION_RATIO
            recent = ratios[-_SEPARATION_ROUNDS:]
            if len(recent) == _SEPARATION_ROUNDS and all(low < ratio < high for ratio in recent):
                size = np.abs(step) * np.sqrt(np.maximum(np.diag(H), 0) / max(e.weight, 1e-300))
                reach = np.abs(step)
                result.separated = (reach > 0.1 * reach.max()) | (size > 0.1 * size.max(initial=1e-300))
                break
        # Rounding in a sum of n terms must not count as an increase.
        previous, slack = loss, 1e-10 * abs(loss) + 1e-10
        theta = theta + step
    return result


def _line(number, loss, decrement, halvings, started) -> dict:
    return {
        "round": number,
        "loss": loss,
        "decrement": decrement,
        "halvings": halvings,
        "seconds": time.perf_counter() - started,
    }
