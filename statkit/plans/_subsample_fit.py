"""Fits on few weighted rows, corrected by the full gradient, and what their errors are.

Everything is on the scale of sums over all rows: a row of inclusion probability π has weight 1/π.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from statkit.exceptions import SeparationWarning
from statkit.plans._subsample_pass import Model, link_rows, weighted
from statkit.rounds.tasks import _information, _row_meat
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult, newton

__all__ = ["Solution", "fit_rows", "score_covariance", "solve_weighted"]

# What may remain of the way to the maximum, in standard errors of all rows: nothing beside the sample's error.
_TOL = 1e-6
_MOST_ROUNDS = 60
# Share of the information at zero below which a coefficient that runs away has lost it.
_LOST = 1e-3


@dataclass
class Solution:
    """A weighted fit and its first and second moments.

    Attributes
    ----------
    theta : ndarray
        NaN where a column has no information among the rows.
    information : ndarray
        M, with the penalty.
    meat_full, meat_population : ndarray
        Covariances of the estimating function, given all rows and given the population.
    """

    theta: np.ndarray
    factor: Factor
    information: np.ndarray
    meat_full: np.ndarray
    meat_population: np.ndarray
    result: object

    def covariances(self) -> tuple[np.ndarray, np.ndarray]:
        """Covariance about the fit of all rows, and about the population's parameter."""
        inverse = self.factor.inverse()
        keep = ~np.isnan(np.diag(inverse))
        filled = np.where(np.isnan(inverse), 0.0, inverse)
        out = []
        for meat in (self.meat_full, self.meat_full + self.meat_population):
            V = filled @ meat @ filled
            V[~keep] = np.nan
            V[:, ~keep] = np.nan
            out.append(V)
        return out[0], out[1]


def solve_weighted(problem, block, theta, *, shift=None, penalty=None):
    """Newton's result of a fit on a block whose weights are in place, and the penalty that it took.

    Parameters
    ----------
    shift : ndarray or None
        Subtracted from the score: Σ w s(θ₀) − g(θ₀) makes the estimate a calibrated one.
    penalty : ndarray or None
        Diagonal, on the scale of the weights.
    """
    local = problem.local(block)
    local.alpha = 0.0
    if problem.family.solver == "linear_program":
        return _linear_program(problem, local, block, shift), penalty

    def fit(diagonal, center=0.0):
        def evaluate(theta, _):
            e = local.evaluate(theta)
            if shift is not None:
                e.loss += float(shift @ theta)
                e.gradient = e.gradient - shift
            if diagonal is not None:
                away = theta - center
                e.loss += 0.5 * float(diagonal @ (away * away))
                e.gradient = e.gradient - diagonal * away
                e.information = e.information + np.diag(diagonal)
            return e

        with np.errstate(over="ignore", invalid="ignore"):
            return newton(
                evaluate, theta, tol=_TOL, max_rounds=_MOST_ROUNDS, may_separate=problem.may_separate,
                predict=True,
            )  # fmt: skip

    result = fit(penalty)
    if not result.converged or result.separated.any() or np.isinf(result.theta).any():
        warnings.warn(
            "the fit on the drawn rows has no finite solution: what they do not tell was held near the pilot's estimate, "
            "as if one row more had told it; draw more rows, or leave out rare levels",
            SeparationWarning,
            stacklevel=7,
        )
        given, null = penalty, np.diagonal(local.evaluate(np.zeros(len(theta))).information)
        with np.errstate(invalid="ignore"):
            lost = result.separated | ~np.isfinite(result.theta)
            lost |= ~(np.diagonal(result.at.information) > _LOST * null)
        for held in (lost, np.ones(len(theta), dtype=bool)):  # the others only where that is not enough
            ridge = np.where(held, null.max() / block.n_rows, 0.0)
            if problem.design.intercept:
                ridge[:: problem.width] = 0.0
            penalty = ridge if given is None else given + ridge
            center = np.divide(ridge * theta, penalty, out=np.zeros_like(theta), where=penalty > 0)
            result = fit(penalty, center)
            if result.converged and np.isfinite(result.theta).all():
                break
    return result, penalty


def _linear_program(problem, local, block, shift):
    """The check loss has no Newton steps: its minimum is that of a linear program."""
    from statkit.plans._quantile import solve_block

    scaled = block.scaled(problem.center, problem.scale)
    theta = solve_block(scaled, problem.family.tau, linear=None if shift is None else -shift)
    e = local.evaluate(theta)
    keep = Factor(scaled.sandwich(np.ones(block.n_rows))).keep
    theta = theta if keep is None else np.where(keep, theta, np.nan)
    return NewtonResult(theta, e, Factor(e.information, keep=keep), 0.0, True, np.zeros(len(theta), bool))


def score_covariance(problem, block, r) -> np.ndarray:
    """Σ r r' ⊗ x x' of a block in internal coordinates."""
    return _row_meat(block.scaled(problem.center, problem.scale), r, problem.family.predictors)


def fit_rows(
    problem, block, pi, theta0, *, gradient=None, penalty=None, replacement=False, start=None, correct=True
):
    """Weighted, or calibrated (with ``gradient``), estimate on rows of inclusion probability ``pi``.

    Parameters
    ----------
    pi : ndarray of shape (n,)
        With replacement: n times the probability of a draw.
    theta0 : ndarray
        Pilot estimate.
    gradient : ndarray or None
        Score of all rows at ``theta0``; None is the plain weighted estimate.
    correct : bool
        Whether the covariance gets the factor n/(n − d).
    """
    rows = weighted(block, 1.0 / pi)

    def model(theta):
        return Model(problem.family, theta, problem.shape, problem.center, problem.scale)

    _, r0, _, _ = link_rows(rows, model(theta0))
    shift = None
    if gradient is not None:
        scaled = rows.scaled(problem.center, problem.scale)
        columns = [r0] if r0.ndim == 1 else [np.ascontiguousarray(c) for c in r0.T]
        shift = np.concatenate([scaled.transpose_matvec(c) for c in columns]) - gradient
    start = theta0 if start is None else start
    result, penalty = solve_weighted(problem, rows, start, shift=shift, penalty=penalty)
    theta = np.where(np.isnan(result.theta), 0.0, result.theta)
    _, r, w, _ = link_rows(rows, model(theta))
    K = problem.family.predictors
    M = _information(rows.scaled(problem.center, problem.scale), w, K)
    if penalty is not None:
        M = M + np.diag(penalty)
    residual = r - r0 if gradient is not None else r
    spread = np.ones_like(pi) if replacement else np.sqrt(np.maximum(1.0 - pi, 0.0))
    each = spread if K == 1 else spread[:, None]
    root = np.sqrt(pi) if K == 1 else np.sqrt(pi)[:, None]
    bread = Factor(M, keep=result.factor.keep)
    if bread.failed:  # on the way to the estimate a column lost its information
        bread = Factor(M)
    n = block.n_rows
    factor = n / (n - len(theta)) if correct and n > len(theta) else 1.0
    return Solution(
        result.theta if bread.keep is None else np.where(bread.keep, result.theta, np.nan),
        bread,
        M,
        factor * score_covariance(problem, block, each * residual),
        score_covariance(problem, block, root * r),
        result,
    )
