"""Where stochastic gradients start, and the information that makes their steps the same in every direction."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from statkit.rounds.tasks import Want, evaluate, response_sums
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import newton

__all__ = ["Metric", "Pilot", "make_metric", "make_pilot"]

#: Columns up to which a matrix of their pairs is kept.
MOST_COLUMNS = 3_000
# A column that the pilot saw in fewer rows than this counts as seen in so many: the first rows of a rare level
# would otherwise take steps of the inverse of next to nothing.
_SEEN = 25.0
_RIDGE = 1e-3


@dataclass
class Pilot:
    """A fit of the first rows.

    Attributes
    ----------
    theta : ndarray of shape (Q,)
    information : ndarray of shape (Q, Q), or None with many columns
        Mean over rows at ``theta``, made regular.
    trace : float
        Trace of the mean information.
    loss : float
        Size of a row's loss before anything was fitted, to which a diverging one is compared.
    """

    theta: np.ndarray
    information: np.ndarray | None
    trace: float
    loss: float


@dataclass
class Metric:
    """Inverse information by which gradients are multiplied, as the kernels take it, and itself."""

    kind: int
    D: np.ndarray
    P: np.ndarray
    root: np.ndarray
    H: np.ndarray

    @property
    def arrays(self):
        return self.kind, self.D, self.P, self.root


def make_pilot(problem, block, center, scale, start=None) -> Pilot:
    """Fit the rows of ``block``; with ``start``, only the information there."""
    family = problem.family
    local = problem.local_with(block, center, scale)
    sums = response_sums(block, family.predictors + 1)
    null = local.null_theta(sums["y"], sums["weight"])
    n = max(block.n_rows, 1)
    many = problem.size > MOST_COLUMNS
    want = Want(gradient=True, information=not many, sums=True)
    first = _at(local, block, null, want)
    pearson = first["sums"]["pearson"]  # of the size of a response's variance, where the loss is near zero
    loss = (abs(first["loss"]) + (pearson if np.isfinite(pearson) else 0.0)) / n
    if many:
        theta = null if start is None else start
        return Pilot(theta, None, _trace(local, block, theta), loss)
    if start is not None:
        theta = start
    elif family.solver == "linear_program":
        theta = _quantile(local, block)
    else:
        theta = _fit(local, null)
        if not _at(local, block, theta, Want(False, False))["loss"] <= first["loss"]:
            theta = null
    shape = _bandwidth(local, block, theta) if family.solver == "linear_program" else local.shape
    H = _at(local, block, theta, Want(gradient=False), shape)["information"] / n
    unit = H[0, 0] if problem.design.intercept else float(np.median(np.diag(H)))
    return Pilot(theta, _regular(H, n, unit), float(np.trace(H)), loss)


def _at(local, block, theta, want, shape=None):
    shape = local.shape if shape is None else shape
    return evaluate(block, local.family, theta, shape, local.center, local.scale, None, want)


def _fit(local, start):
    """Newton, with a weak prior where the first rows are separated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prior = np.full(local.size, 1e-6)
        for _ in range(2):
            fit = newton(
                lambda theta, _: local.evaluate(theta), start, tol=1e-6, max_rounds=50, prior=prior,
                dispersion=local.dispersion, may_separate=local.may_separate,
            )  # fmt: skip
            if not fit.separated.any() and np.isfinite(fit.theta[~np.isnan(fit.theta)]).all():
                break
            prior = np.where(fit.separated, 0.25, prior)
    return np.where(np.isnan(fit.theta), 0.0, fit.theta)


def _quantile(local, block):
    from statkit.plans._quantile import solve_block

    return solve_block(block.scaled(local.center, local.scale), local.family.tau)


def _bandwidth(local, block, theta):
    from statkit.plans._quantile import bandwidth

    e = block.y - block.scaled(local.center, local.scale).matvec(theta)
    return np.array([bandwidth(e, block.weight, local.family.tau, block.n_rows)])


def _trace(local, block, theta) -> float:
    """Trace of the mean information, from the rows' lengths."""
    eta = block.scaled(local.center, local.scale).matvec(theta)
    r, w = np.empty_like(eta), np.empty_like(eta)
    local.family.link(eta, block.y, block.weight, local.shape, None, r, w)
    length = block.scaled(local.center, local.scale).row_norms(np.ones(local.width))
    return float((w * length**2).mean())


def _regular(H, n, unit):
    """The mean information ``H`` of n rows with something in every direction; ``unit`` is that of a full column."""
    diagonal = np.diag(H)
    unit = unit if unit > 0 else 1.0
    H = H + np.diag(np.where(diagonal * n < _SEEN * unit, _SEEN * unit / n, 0.0))
    factor = Factor(H)
    if factor.keep is not None or factor.failed:
        H = H + _RIDGE * np.trace(H) / len(H) * np.eye(len(H))
    return H


def make_metric(precondition, pilot: Pilot | None, Q: int) -> Metric:
    """The metric of ``precondition``: "pilot", "diag" or "none"."""
    none, square = np.empty(0), np.empty((0, 0))
    if precondition == "none" or pilot is None or pilot.information is None:
        small = Q <= MOST_COLUMNS
        return Metric(0, none, square, square, np.eye(Q) if small else square)
    H = pilot.information
    if precondition == "diag":
        return Metric(1, 1.0 / np.diag(H), square, square, np.diag(np.diag(H)))
    factor = Factor(H, tolerance=0.0)
    P = np.ascontiguousarray(factor.inverse())
    # P = root'root with root the inverse of the lower factor of H.
    L = np.linalg.cholesky(H)
    root = np.linalg.solve(L, np.eye(Q))
    return Metric(2, none, P, np.ascontiguousarray(root), np.ascontiguousarray(H))
