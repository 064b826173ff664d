"""Proximal Newton: rounds of summed gradient and information, each followed by a lasso on their quadratic.

The iteration is a generator that asks for evaluations, so that many penalties can share the rounds over the data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import numpy as np

from statkit.solvers.cholesky import Factor
from statkit.solvers.coordinate_descent import minimise
from statkit.solvers.newton import NewtonResult

__all__ = ["proximal_newton", "proximal_steps"]

# Length of a step, in the metric of the mean loss, that may be left: the violation of optimality is of its order.
_STILL = 1e-9
# The step before a step that leaves so little.
_NEAR = 3e-3
# A step this short changes the information little: scores alone serve the next rounds, as long as each step is this
# much shorter than the one before.
_SHORT, _SHRINKS = 0.05, 0.3
_MOST_HALVINGS = 40


def proximal_newton(
    evaluate: Callable, theta: np.ndarray, l1: Callable, *, tol: float = 1e-4, max_rounds: int = 20,
    dispersion: Callable | None = None, newton: bool = False,
) -> NewtonResult:  # fmt: skip
    """Minimise a smooth loss plus Σ l1_j |θ_j|.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(theta, nearly_done, fresh) -> Evaluation``, without the absolute values; the information is needed
        where ``fresh``.
    theta : ndarray of shape (q,)
        Start.
    l1 : callable
        ``l1(weight) -> ndarray of shape (q,)`` for the total weight of the rows.
    tol, max_rounds, dispersion : as in :func:`statkit.solvers.newton.newton`
    newton : bool
        Whether the information is the loss's second derivative (canonical links), not its expectation.

    Returns
    -------
    result : NewtonResult
        ``factor`` is that of the nonzero coefficients.

    References
    ----------
    J. D. Lee, Y. Sun and M. A. Saunders (2014), Proximal Newton-type methods for minimizing composite functions.
    """
    steps = proximal_steps(
        theta, l1, tol=tol, max_rounds=max_rounds, dispersion=dispersion, newton=newton
    )  # fmt: skip
    question = next(steps)
    while True:
        try:
            question = steps.send(evaluate(*question))
        except StopIteration as end:
            return end.value


def proximal_steps(
    theta: np.ndarray, l1: Callable, *, tol: float = 1e-4, max_rounds: int = 20,
    dispersion: Callable | None = None, newton: bool = False,
) -> Generator:  # fmt: skip
    """The iteration of :func:`proximal_newton`: yields ``(theta, nearly_done, fresh)``, is sent the Evaluation."""
    previous = result = step = H = None
    halvings, slack, nearly_done, length, fresh, phi = 0, 0.0, False, np.inf, True, 1.0
    history: list[dict] = []
    for number in range(1, max_rounds + 1):
        started = time.perf_counter()
        e = yield theta, nearly_done, fresh
        price = l1(e.weight)
        objective = e.loss + float(price @ np.abs(theta))
        if previous is None and not np.isfinite(objective):
            raise ValueError(
                "the log-likelihood is not finite at the start: look for extreme values in the response, the "
                "offset or the columns"
            )
        if previous is not None and not objective <= previous + slack:
            halvings += 1
            if halvings > _MOST_HALVINGS:
                break
            step = 0.5 * step
            theta, fresh = result.at.theta + step, True
            history.append(_line(number, objective, np.nan, halvings, started))
            continue
        if e.information is None:
            e.information = H
        H = e.information
        goal = minimise(H, H @ theta + e.gradient, price, theta)
        step = goal - theta
        used = (goal != 0) | (price == 0)
        factor = Factor(H, keep=used)
        if dispersion is not None and e.pearson is not None:
            phi = dispersion(e, factor.rank)
        squared = max(float(step @ H @ step), 0.0)
        last, length = length, float(np.sqrt(squared / e.weight))
        # Newton steps square the distance; those with expected or earlier information shrink it by a factor.
        shrinkage = min(length / last, 1.0) if 0 < last < np.inf else 1.0
        left = length**2 if newton and fresh else max(length**2, length * shrinkage if length else 0.0)
        decrement = float(np.sqrt(squared / (phi if phi > 0 else 1.0) / max(factor.rank, 1)))
        history.append(_line(number, objective, decrement, halvings, started))
        halvings = 0
        done = left <= _STILL and decrement < np.sqrt(tol)
        nearly_done = length < _NEAR
        fresh = not (length < _SHORT and (shrinkage < _SHRINKS or fresh))
        result = NewtonResult(
            goal, e, factor, decrement, bool(done), np.zeros(len(theta), bool), history
        )  # fmt: skip
        if done:
            break
        previous, slack = objective, 1e-10 * abs(objective) + 1e-10
        theta = goal
    return result


def _line(number, loss, decrement, halvings, started) -> dict:
    return {
        "round": number, "loss": loss, "decrement": decrement, "halvings": halvings,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
