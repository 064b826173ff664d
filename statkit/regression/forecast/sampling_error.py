"""How far a subsample's estimate will be from that of all rows: the plan's own variance, its sums taken over the pilot.

Every row of the pilot stands for N/m rows. At the pilot's estimate its score, its Fisher weight and with them its
inclusion probability are known, and so is each sum in the variance of the estimate that will be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statkit.regression.forecast.pilot import Pilot, held_back
from statkit.sampling.criteria import make_scoring
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import newton

__all__ = [
    "at_estimate",
    "cluster_effect",
    "determined",
    "level",
    "mapped_scores",
    "prior_pull",
    "sampling_distance",
]

#: Draws of the pilot's error where there are many columns.
_DRAWS = 24
#: Windows from which the plan's pilot comes where reading is dear.
_WINDOWS = 8
#: The prior of a plan's pilot, in rows of it, and one so weak that it only keeps the fit finite.
PLANS_PRIOR, _WEAK = 4.0, 0.1
#: Places, and rows of each, from which their likeness can be told.
_FEWEST, _ROWS_EACH = 3, 20


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
    rows = at_estimate(pilot)
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
            start = start + _window_variance(pilot, pilot_size)
        squares = _mean_squares(rows.scaled, start)
        pull = prior_pull(pilot, pilot_size, np.minimum(pi0 * each, 1.0))
        if pull is not None:
            squares = squares + rows.scaled.matvec(pull) ** 2
        # The pilot's error moves the score of a row by w x'δ.
        residual = rows.w**2 * squares
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


def at_estimate(pilot: Pilot) -> _Rows:
    problem, block = pilot.problem, pilot.block
    scaled = block.scaled(problem.center, problem.scale)
    eta = scaled.matvec(pilot.theta)
    r, w = np.empty_like(eta), np.empty_like(eta)
    problem.family.link(eta, block.y, block.weight, problem.shape, None, r, w)
    return _Rows(scaled, eta, r, w)


def determined(pilot: Pilot, rates: np.ndarray) -> bool:
    """Whether rows drawn with these probabilities from the pilot's determine every coefficient."""
    if pilot.separated:
        return False
    rng = np.random.default_rng(7)
    local = pilot.problem.local(pilot.block.take(np.flatnonzero(rng.random(pilot.n) < rates)))
    with np.errstate(over="ignore", invalid="ignore"):
        fit = newton(
            lambda theta, _: local.evaluate(theta), pilot.theta, tol=1e-2, max_rounds=20,
            may_separate=local.may_separate,
        )  # fmt: skip
    known = fit.converged and not fit.separated.any() and fit.factor.keep is None
    return bool(known and np.isfinite(fit.theta).all())


def prior_pull(pilot: Pilot, size: int, rates: np.ndarray) -> np.ndarray | None:
    """How far the prior moves the fit of a plan's pilot; None where its rows determine every coefficient without.

    One level without events is enough for the prior to be on all columns: it holds that one back, and pulls each
    other level of a factor towards the first.

    Parameters
    ----------
    rates : ndarray of shape (n,)
        Probability of each row of the forecast's pilot to be in the plan's.
    """
    if determined(pilot, rates):
        return None
    free, held = (
        held_back(pilot.problem, pilot.theta, prior) for prior in (_WEAK, PLANS_PRIOR * pilot.n / size)
    )
    return held - free


def _pilot_rates(y: np.ndarray, n_rows: int, size: int, scheme: str) -> np.ndarray:
    if scheme != "case_control":
        return np.full(len(y), min(1.0, size / n_rows))
    share = float(np.mean(y == 1.0))
    rates = [min(1.0, 0.5 * size / max(n_rows * s, 1.0)) for s in (1 - share, share)]
    return np.where(y == 1.0, rates[1], rates[0])


def _probabilities(plan, pilot: Pilot, rows: _Rows, each: float) -> np.ndarray:
    """Inclusion probabilities of the pilot's rows in the second stage."""
    m = mapped_scores(plan, pilot, rows, rows.r)
    if not m.any():
        m = np.ones(len(m))
    mixed = (1 - plan.mixture) * m + plan.mixture * m.mean()
    return np.minimum(1.0, mixed / level(mixed, plan.size / each))


def mapped_scores(plan: Any, pilot: Pilot, rows: Any, r: np.ndarray) -> np.ndarray:
    """By what a plan's criterion prefers the pilot's rows, with residual factors ``r``."""
    problem, block = pilot.problem, pilot.block
    inverse = np.linalg.inv(problem.unscale())
    information = inverse.T @ pilot.information @ inverse
    curvature = None
    if plan.criterion == "optV":
        from statkit.sampling.scores import mean_curvature

        curvature = mean_curvature(block, problem.family, rows.eta)
    contrast = getattr(plan, "contrast", None)
    if plan.criterion == "optC":
        names = list(problem.design.names)
        contrast = np.array(names) == contrast if isinstance(contrast, str) else np.asarray(contrast)
        contrast = np.asarray(contrast, float)[problem.design.position]
    scoring = make_scoring(plan.criterion, information, curvature=curvature, contrast=contrast)
    return scoring.scores(block, problem.family, rows.eta, r, rows.w, block.y)


def level(m: np.ndarray, n: float) -> float:
    """H with Σ min(m/H, 1) = n."""
    m = np.sort(m)[::-1]
    above = np.arange(len(m))
    left = np.cumsum(m[::-1])[::-1]
    heights = left / np.maximum(n - above, 1e-300)
    fits = np.flatnonzero((above < n) & (m <= heights))
    return max(float(heights[fits[0]]), 1e-300) if len(fits) else 1e-300


def _root(V: np.ndarray) -> np.ndarray:
    """T with T'T = V."""
    values, vectors = np.linalg.eigh(V)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def _mean_squares(scaled, V: np.ndarray) -> np.ndarray:
    """E (x'δ)² of every row, δ of covariance V; of many columns by draws of δ, which only sums are made of."""
    root = _root(V)
    if len(V) <= 2 * _DRAWS:
        return scaled.row_norms(root) ** 2
    rng = np.random.default_rng(0)
    return np.mean([scaled.matvec(d) ** 2 for d in rng.standard_normal((_DRAWS, len(V))) @ root], axis=0)


@dataclass
class _Places:
    """How scores of rows near each other hang together.

    Attributes
    ----------
    own : ndarray of shape (q, q)
        Covariance of a row's score.
    shared : ndarray of shape (q, q)
        Covariance of the scores of two rows of one place; an estimate, which may have negative directions.
    """

    own: np.ndarray
    shared: np.ndarray


def _places(pilot: Pilot, span: int) -> _Places | None:
    """Places as long as ``span`` rows, as far as the pilot's pieces are as long; None where there are too few."""
    family = pilot.problem.family
    if family.predictors > 1 or family.context is not None or family.n_thresholds:
        return None
    inside = pilot.block.row_numbers() // max(span, 1)
    place = np.unique(np.column_stack([pilot.piece, inside]), axis=0, return_inverse=True)[1].ravel()
    count = int(place.max()) + 1
    if not _FEWEST <= count <= pilot.n // _ROWS_EACH:
        return None
    rows = at_estimate(pilot)
    scores = rows.scaled.group_scores(np.ascontiguousarray(rows.r), place, count)
    own = rows.scaled.sandwich(np.ascontiguousarray(rows.r**2))
    sizes = np.bincount(place).astype(float)
    return _Places(own / pilot.n, (scores.T @ scores - own) / max(sizes @ (sizes - 1), 1.0))


def cluster_effect(pilot: Pilot, size: int, clusters: int, span: int) -> float:
    """Variance of scores of rows from a few places over that of rows from everywhere, told by the pilot's pieces.

    Parameters
    ----------
    size, clusters : int
        Rows, and the number of places that they come from.
    span : int
        Consecutive rows of a place.
    """
    places = _places(pilot, span)
    if places is None:
        return 1.0
    inverse = np.nan_to_num(Factor(pilot.information).inverse())
    ratio = np.sum(inverse * places.shared) / max(np.sum(inverse * places.own), 1e-300)
    return 1.0 + max(size / clusters - 1, 0.0) * max(float(ratio), 0.0)


def _window_variance(pilot: Pilot, size: int) -> np.ndarray:
    """What windows add to the variance of the plan's own pilot: rows of one window hang together."""
    places = _places(pilot, 2 * size // _WINDOWS)
    if places is None:
        return np.zeros_like(pilot.information)
    root = _root(np.nan_to_num(Factor(pilot.information).inverse()))
    values, vectors = np.linalg.eigh(root @ places.shared @ root.T)
    # Directions that chance made negative are left out, and the others shrunk to the same total.
    positive = np.maximum(values, 0.0)
    positive *= max(values.sum(), 0.0) / max(positive.sum(), 1e-300)
    mapped = vectors.T @ root
    return pilot.n**2 / size * (size / _WINDOWS - 1) * (mapped.T * positive) @ mapped
