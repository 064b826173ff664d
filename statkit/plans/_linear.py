"""Least squares in one round, and in a few more where rounding would cost digits.

The normal equations of centred and scaled columns keep enough digits for well-conditioned data. Where they do
not, the rows are reduced to a triangular factor (QR, partition by partition) and the solution is refined with
residuals of the rows themselves.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from statkit.plans._report import report
from statkit.rounds.tasks import Want
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult

__all__ = ["least_squares"]

# Below this relative pivot (squared distance of a column to the others) the solution is refined, and below the
# second the rows are factored by QR.
_REFINE = 1e-4
_FACTOR = 1e-7
# A column is a linear combination of earlier ones when its distance to them is this small relative to its length.
_ALIASED = 1e-11
# Residual share of the sum of squares below which subtracting sums loses digits that matter.
_CANCELLATION = 1e-6


def _r(A: np.ndarray) -> np.ndarray:
    """Triangular factor R of A."""
    return np.asarray(np.linalg.qr(A, mode="r"))


class Triangle:
    """R of the rows seen so far, mergeable: [R₁; R₂] is factored again."""

    def __init__(self, R: np.ndarray):
        self.R = R

    def merge(self, other):
        return Triangle(_r(np.vstack([self.R, other.R])))


def triangle(block, center, scale) -> dict:
    """Triangular factor of a block's weighted rows."""
    block = block.scaled(center, scale)
    X = block.to_dense()
    if block.weight is not None:
        X *= np.sqrt(block.weight)[:, None]
    return {"R": Triangle(_r(X))}


class QRFactor:
    """The same interface as :class:`~statkit.solvers.cholesky.Factor`, from a triangular factor."""

    def __init__(self, R: np.ndarray, penalty: np.ndarray | None):
        q = R.shape[1]
        if penalty is not None:
            R = _r(np.vstack([R, np.diag(np.sqrt(penalty))]))
        length = np.linalg.norm(R, axis=0)
        keep = np.zeros(q, bool)
        basis = np.zeros((0, R.shape[0]))
        for j in range(q):  # in order: the later of two equal columns is the one left out
            column = R[:, j] - basis.T @ (basis @ R[:, j])
            column -= basis.T @ (basis @ column)
            distance = np.linalg.norm(column)
            if distance > _ALIASED * length[j] and length[j] > 0:
                keep[j] = True
                basis = np.vstack([basis, column / distance])
        self.size = q
        self.keep = None if keep.all() else keep
        self._kept = keep
        self._R = _r(R[:, keep])

    @property
    def rank(self) -> int:
        return int(self._kept.sum())

    def solve(self, g):
        out = np.zeros(self.size)
        half = solve_triangular(self._R, g[self._kept], trans="T")
        out[self._kept] = solve_triangular(self._R, half)
        return out

    def inverse(self):
        inner = solve_triangular(self._R, np.eye(self.rank))
        out = np.full((self.size, self.size), np.nan)
        out[np.ix_(self._kept, self._kept)] = inner @ inner.T
        return out


def least_squares(plan, problem):
    """The least squares (or ridge) estimate of ``problem``."""
    theta = np.zeros(problem.size)
    e = problem.evaluate(theta, Want(sums=True))
    total = e.sums["deviance"]
    if problem.design.intercept:
        # About the mean response, without reading again: the intercept's score is the sum of the responses.
        total -= e.gradient[0] ** 2 / e.weight
    factor = Factor(e.information)
    history = [{"round": 1, "loss": e.loss, "decrement": np.nan, "halvings": 0, "seconds": np.nan}]
    penalty = problem.penalty(e.weight)
    if factor.keep is not None or factor.smallest_pivot < _FACTOR:
        R = problem.session.round(triangle, problem.center, problem.scale)["R"].R
        factor = QRFactor(R, penalty)
        pivot = 0.0
    else:
        pivot = factor.smallest_pivot
    step = factor.solve(e.gradient)
    residual = e.sums["deviance"] - float(e.gradient @ step)
    total = max(total, 0.0)
    rounds = 1
    if (
        pivot < _REFINE
        or residual < _CANCELLATION * e.sums["deviance"]
        or problem.meat
        or penalty is not None
        or factor.keep is not None
    ):
        refinements = 3 if pivot < _FACTOR else 1
        for _ in range(refinements):
            theta = theta + step
            last = problem.evaluate(
                theta, Want(information=False, sums=True, meat=problem.meat, seed=problem.seed)
            )
            step = factor.solve(last.gradient)
            rounds += 1
            history.append(
                {"round": rounds, "loss": last.loss, "decrement": np.nan, "halvings": 0, "seconds": np.nan}
            )
        sums = last.sums
        e.meat = last.meat
        theta = theta + step
    else:
        sums = dict(e.sums)
        sums["deviance"] = sums["pearson"] = residual
        if "loss" in sums:
            sums["loss"] = residual / 2
        theta = theta + step
    e.sums = sums
    e.null = {"deviance": total}
    keep = np.ones(len(theta), bool) if factor.keep is None else factor.keep
    result = NewtonResult(
        np.where(keep, theta, np.nan), e, factor, 0.0, True, np.zeros(len(theta), bool), history
    )
    return report(problem, plan, result)
