"""How far a subsample's estimate will be from that of all rows: the plan's own variance, its sums taken over the pilot.

Every row of the pilot stands for N/m rows. At the pilot's estimate its score, its Fisher weight and with them its
inclusion probability are known, and so is each sum in the variance of the estimate that will be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statkit.regression.forecast.pilot import Pilot
from statkit.sampling.criteria import make_scoring
from statkit.solvers.cholesky import Factor

__all__ = ["cluster_effect", "sampling_distance"]

#: Draws of the pilot's error where there are many columns.
_DRAWS = 24
#: Windows from which the plan's pilot comes where reading is dear.
_WINDOWS = 8


@dataclass
class _Rows:
    """The pilot's rows at its estimate: residual factors, Fisher weights, and the columns as they are scaled."""

    scaled: Any
    eta: np.ndarray
    r: np.ndarray
    w: np.ndarray


def sampling_distance(plan: Any, pilot: Pilot, n_rows: int, pilot_size: int, scheme: str) -> float:
    """Distance to the exact estimate in its standard errors, root mean square; NaN where there is no formula.

    Parameters
    ----------
    plan : Subsample
    pilot : Pilot
    n_rows : int
        Rows in all.
    pilot_size : int
        Rows of the plan's own pilot.
    scheme : {"uniform", "case_control", "windows"}
        How these are drawn; those from windows do not enter the fit.
    """
    family = pilot.problem.family
    known = family.predictors == 1 and family.context is None and not family.n_thresholds and family.curved
    if not known or plan.likelihood != "weighted" or plan.criterion == "LUC":
        return np.nan
    rows = _at_estimate(pilot)
    each = n_rows / pilot.n
    bread = Factor(pilot.information * each).inverse()
    bread = np.where(np.isnan(bread), 0.0, bread)
    pi0 = _pilot_rates(pilot.block.y, n_rows, pilot_size, scheme)
    pi = _probabilities(plan, pilot, rows, each)
    if plan.combine != "none" and scheme != "windows":
        pi = pi0 + pi - pi0 * pi
    spread = 1 / pi if plan.sampling == "replacement" else (1 - pi) / pi
    residual = rows.r**2
    if plan.refine == "calibrated":
        spread0 = (1 - pi0) / pi0
        start = bread @ (each * rows.scaled.sandwich(spread0 * rows.r**2)) @ bread
        if scheme == "windows":
            start = start * cluster_effect(pilot, pilot_size, _WINDOWS, 2 * pilot_size // _WINDOWS)
        # The pilot's error moves the score of a row by w x'δ.
        residual = rows.w**2 * _mean_squares(rows.scaled, start)
    meat = each * rows.scaled.sandwich(np.ascontiguousarray(spread * residual))
    drawn = float((each * pi).sum())
    q = len(pilot.theta)
    inflation = drawn / (drawn - q) if drawn > q else np.inf
    variance = np.diag(bread @ meat @ bread) * inflation / plan.repeats
    exact = pilot.variance * pilot.n / n_rows
    good = np.isfinite(exact) & (exact > 0)
    distance = float(np.sqrt(np.mean(variance[good] / exact[good])))
    if plan.refine == "one_step":
        # A step from the distance d leaves about d/√n: the information comes from n rows.
        return distance / np.sqrt(drawn)
    return 0.0 if plan.refine == "newton" else distance


def _at_estimate(pilot: Pilot) -> _Rows:
    problem, block = pilot.problem, pilot.block
    scaled = block.scaled(problem.center, problem.scale)
    eta = scaled.matvec(pilot.theta)
    r, w = np.empty_like(eta), np.empty_like(eta)
    problem.family.link(eta, block.y, block.weight, problem.shape, None, r, w)
    return _Rows(scaled, eta, r, w)


def _pilot_rates(y: np.ndarray, n_rows: int, size: int, scheme: str) -> np.ndarray:
    if scheme != "case_control":
        return np.full(len(y), min(1.0, size / n_rows))
    share = float(np.mean(y == 1.0))
    rates = [min(1.0, 0.5 * size / max(n_rows * s, 1.0)) for s in (1 - share, share)]
    return np.where(y == 1.0, rates[1], rates[0])


def _probabilities(plan, pilot: Pilot, rows: _Rows, each: float) -> np.ndarray:
    """Inclusion probabilities of the pilot's rows in the second stage."""
    problem, block = pilot.problem, pilot.block
    inverse = np.linalg.inv(problem.unscale())
    information = inverse.T @ pilot.information @ inverse
    curvature = None
    if plan.criterion == "optV":
        from statkit.sampling.scores import mean_curvature

        curvature = mean_curvature(block, problem.family, rows.eta)
    contrast = plan.contrast
    if plan.criterion == "optC":
        names = list(problem.design.names)
        contrast = np.array(names) == contrast if isinstance(contrast, str) else np.asarray(contrast)
        contrast = np.asarray(contrast, float)[problem.design.position]
    scoring = make_scoring(plan.criterion, information, curvature=curvature, contrast=contrast)
    m = scoring.scores(block, problem.family, rows.eta, rows.r, rows.w, block.y)
    if not m.any():
        m = np.ones(len(m))
    mixed = (1 - plan.mixture) * m + plan.mixture * m.mean()
    return np.minimum(1.0, mixed / _level(mixed, plan.size / each))


def _level(m: np.ndarray, n: float) -> float:
    """H with Σ min(m/H, 1) = n."""
    m = np.sort(m)[::-1]
    above = np.arange(len(m))
    left = np.cumsum(m[::-1])[::-1]
    level = left / np.maximum(n - above, 1e-300)
    fits = np.flatnonzero((above < n) & (m <= level))
    return max(float(level[fits[0]]), 1e-300) if len(fits) else 1e-300


def _mean_squares(scaled, V: np.ndarray) -> np.ndarray:
    """E (x'δ)² of every row, δ of covariance V; of many columns by draws of δ, which only sums are made of."""
    values, vectors = np.linalg.eigh(V)
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    if len(V) <= 2 * _DRAWS:
        return scaled.row_norms(root) ** 2
    rng = np.random.default_rng(0)
    return np.mean([scaled.matvec(d) ** 2 for d in rng.standard_normal((_DRAWS, len(V))) @ root], axis=0)


def cluster_effect(pilot: Pilot, size: int, clusters: int, span: int) -> float:
    """Variance of scores of rows from a few places over that of rows from everywhere, told by the pilot's pieces.

    Parameters
    ----------
    size, clusters : int
        Rows, and the number of places that they come from.
    span : int
        Consecutive rows of a place.
    """
    family = pilot.problem.family
    if family.predictors > 1 or family.context is not None or family.n_thresholds:
        return 1.0
    rows = _at_estimate(pilot)
    # Places as long as the plan's, as far as the pilot's are as long.
    inside = pilot.block.row_numbers() // max(span, 1)
    place = np.unique(np.column_stack([pilot.piece, inside]), axis=0, return_inverse=True)[1].ravel()
    count = int(place.max()) + 1
    if not 3 <= count <= pilot.n // 20:
        return 1.0
    scores = rows.scaled.group_scores(np.ascontiguousarray(rows.r), place, count)
    inverse = np.nan_to_num(Factor(pilot.information).inverse())
    between = np.einsum("kj,ji,ki->", scores, inverse, scores) * count / (count - 1)
    within = np.trace(inverse @ rows.scaled.sandwich(np.ascontiguousarray(rows.r**2)))
    effect = between / max(within, 1e-300)
    correlation = max(effect - 1.0, 0.0) / max(pilot.n / count - 1, 1.0)
    return 1.0 + max(size / clusters - 1, 0.0) * correlation
