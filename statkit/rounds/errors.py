"""The covariance of coefficients that are known, from one more look at the rows: another one than the fit's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statkit.results.covariance import cluster_covariance, hc0_covariance, hc1_covariance
from statkit.rounds.problem import Evaluation, Problem
from statkit.rounds.tasks import Want, linear_predictor, score_products
from statkit.solvers.cholesky import Factor

__all__ = ["Errors", "errors_at"]

# A row with a leverage this close to one is fitted exactly whatever its response.
_ALONE = 1e-10


@dataclass(frozen=True)
class Errors:
    """A covariance with what it came from, in internal units.

    Attributes
    ----------
    covariance : ndarray of shape (q, q)
    meat : ndarray of shape (q, q) or None
    at : Evaluation
        Sums of the rows.
    clusters : int or None
        Labels, or partitions, whose scores were compared.
    """

    covariance: np.ndarray
    meat: np.ndarray | None
    at: Evaluation
    clusters: int | None


def errors_at(problem: Problem, points: np.ndarray, keep: np.ndarray, scale: float) -> Errors:
    """The covariance of ``problem.cov_type``, which may be "HC2" or "HC3" too.

    Parameters
    ----------
    problem : Problem
    points : ndarray of shape (2, q)
        Coefficients at which the fit took its information, and its scores.
    keep : ndarray of shape (q,)
        False for coefficients that were left out.
    scale : float
        Dispersion, for "nonrobust".
    """
    kind = problem.cov_type
    by_leverage = kind in ("HC2", "HC3")
    meat_of = None if by_leverage else problem.meat
    bread_at, scores_at = points
    same = np.array_equal(bread_at, scores_at)
    want = Want(information=same, sums=True, meat=meat_of, seed=problem.seed)
    e = problem.evaluate(scores_at, want)
    information = e.information if same else problem.evaluate(bread_at).information
    factor = Factor(information, keep=keep)
    if problem.family.context is not None and meat_of is not None:
        hazard = problem.context(scores_at)
        e.meat = problem.session.round(
            score_products, problem.family, scores_at, problem.center, problem.scale, hazard.rows,
            hazard.tables(), meat_of,
        )["meat"]  # fmt: skip
    if kind == "nonrobust":
        return Errors(scale * factor.inverse(), None, e, None)
    bread = information.copy()
    bread[~keep] = np.nan
    bread[:, ~keep] = np.nan
    if by_leverage:
        meat = _leverage_meat(problem, scores_at, factor, 1 if kind == "HC2" else 2)
        return Errors(hc0_covariance(bread, meat), meat, e, None)
    if isinstance(e.meat, np.ndarray):
        covariance = hc1_covariance(bread, e.meat, e.n) if kind == "HC1" else hc0_covariance(bread, e.meat)
        return Errors(covariance, e.meat, e, None)
    meat = e.meat.meat()
    if kind == "partition":
        return Errors(hc0_covariance(bread, meat), meat, e, len(e.meat.scores))
    G = len(e.meat.labels)
    return Errors(cluster_covariance(bread, meat, e.n, G), meat, e, G)


def _leverage_meat(problem, theta, factor, power):
    """Sum over rows of score products divided by (1 − leverage) to ``power``."""
    inverse = np.nan_to_num(factor.inverse())
    values, vectors = np.linalg.eigh(inverse)
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    out = problem.session.round(
        leverage_products, problem.family, theta, problem.shape, problem.center, problem.scale, root, power
    )
    return out["meat"]


def leverage_products(block, family, theta, shape, center, scale, root, power) -> dict:
    """Score products of a block's rows, each divided by (1 − h) to ``power``, h = w ‖root x‖² its leverage.

    Raises
    ------
    ValueError
        For a row with leverage one: its residual is zero whatever its response.
    """
    scaled = block.scaled(center, scale)
    eta = linear_predictor(scaled, theta, 1)
    r, w = np.empty_like(eta), np.empty_like(eta)
    family.link(eta, block.y, block.weight, shape, None, r, w)
    left = 1.0 - w * scaled.row_norms(root) ** 2
    if len(left) and left.min() < _ALONE:
        row = block.row_numbers()[int(np.argmin(left))]
        raise ValueError(
            f"row {row} alone decides a coefficient (leverage 1): HC2 and HC3 divide by zero there; use 'HC1', or "
            "leave out the column or level that only this row has"
        )
    return {"meat": scaled.sandwich(r * r / left**power)}
