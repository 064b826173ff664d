"""The pilot of a subsampling plan: a few rows, fitted, from which the scores of all rows follow."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from statkit.exceptions import SeparationWarning
from statkit.plans._subsample_pass import Model, link_rows, pilot_rows, weighted
from statkit.rounds.tasks import _information
from statkit.sampling.criteria import make_scoring
from statkit.sampling.scores import mean_curvature
from statkit.solvers.newton import newton

__all__ = ["Pilot", "draw_pilot", "fit_pilot", "pilot_level"]

# Where reading is dear, the pilot comes from this many windows of consecutive rows, spread over the data.
_WINDOWS = 8
_WINDOW_ROWS = 2  # times the rows that are wanted of it
# Share of the rarer class below which half of the pilot is drawn from it.
_RARE = 0.2
# On scaled columns: pulls in what few rows cannot tell.
_PRIOR = 4.0


@dataclass
class Pilot:
    """Rows, their inclusion probabilities, and the fit on them.

    Attributes
    ----------
    rates : float or tuple
        Inclusion probability of a row (of responses 0 and 1).
    representative : bool
        Whether rows were drawn from everywhere, so that they can be used again in the final fit.
    """

    block: object
    pi: np.ndarray
    rates: object
    representative: bool
    theta: np.ndarray = None
    information: np.ndarray = None
    notes: tuple = ()


def draw_pilot(problem, size, kind) -> Pilot:
    """Draw about ``size`` rows; ``kind`` is "auto", "uniform", "case_control" or "windows"."""
    session, n = problem.session, problem.session.n_rows
    # Blocks of which encoding reads this much are kept between rounds, so that looking twice reads once.
    cheap = problem.in_memory or n * 8 * (len(problem.design.columns) + 2) <= session.cache_bytes
    windows, chosen = None, session.partitions
    binary = problem.family.name in ("binomial", "quasi_binomial")
    rates = min(1.0, size / n)
    if kind == "case_control" and not binary:
        raise ValueError(f"pilot='case_control' is for two classes, not for the {problem.family.name} family")
    if kind == "windows" or (kind == "auto" and not cheap):
        windows, chosen = _windows(problem, size)
        rates = min(1.0, size / max(1, int((windows[:, 1] - windows[:, 0]).sum())))
    elif binary and kind != "uniform" and cheap:
        events, weight = problem.response()
        _forgive(problem, session.partitions)
        share = float(events[0]) / weight
        if kind == "case_control" or min(share, 1 - share) < _RARE:
            rates = tuple(min(1.0, 0.5 * size / max(n * s, 1.0)) for s in (1 - share, share))
    out = session.round(pilot_rows, problem.seed, rates, windows, partitions=chosen)
    read = sum(p.n_rows for p in chosen)
    if problem.in_memory or session.all_cached:
        session.rows_visited -= read - len(out["kept"].keys)  # nothing else was looked at
    block, pi = out["kept"].block(), out["kept"].scores
    if block.n_rows == 0:
        raise ValueError(
            f"the pilot is empty: none of {n:,} rows was drawn at a rate of {rates}; raise pilot_size"
        )
    return Pilot(block, pi, rates, windows is None)


def _forgive(problem, partitions):
    if problem.in_memory:
        problem.session.rows_visited -= sum(p.n_rows for p in partitions)


def _windows(problem, size):
    """Windows of row numbers, and the partitions that hold them; both follow from seed and sizes alone."""
    session = problem.session
    n = max(p.first_row + p.n_rows for p in session.partitions)
    width = min(n // _WINDOWS, max(1, _WINDOW_ROWS * size // _WINDOWS)) or n
    first = np.random.default_rng([problem.seed, 7]).uniform(size=_WINDOWS)
    spacing = n / _WINDOWS
    starts = (np.arange(_WINDOWS) * spacing + first * (spacing - width)).astype(np.int64)
    windows = np.column_stack([starts, starts + width])
    chosen = [
        p for p in session.partitions
        if ((windows[:, 0] < p.first_row + p.n_rows) & (windows[:, 1] > p.first_row)).any()
    ]  # fmt: skip
    return windows, chosen


def fit_pilot(problem, pilot: Pilot, n_drawn: int = 0) -> Pilot:
    """Fit the model on the pilot's rows; a prior steps in where they do not determine it."""
    if problem.family.n_shape and not len(problem.shape):
        problem.shape = _shape(problem, pilot)
    rows = weighted(pilot.block, 1.0 / pilot.pi)
    if not problem.family.curved:
        return _quantile_pilot(problem, pilot, rows, n_drawn)
    local = problem.local(rows)
    start = problem.null_theta(*local.response())
    mass = float(np.sum(rows.weight))

    def fit(prior):
        return newton(
            lambda theta, _: local.evaluate(theta), start, tol=1e-10, max_rounds=50, prior=prior,
            may_separate=problem.may_separate and prior is None,
        )  # fmt: skip

    with np.errstate(over="ignore", invalid="ignore"):
        result = fit(None)
    if result.separated.any():
        warnings.warn(
            "the response is separated in the pilot: look for a column that tells the classes "
            "apart, or raise "
            "pilot_size",
            SeparationWarning,
            stacklevel=6,
        )
    wrong = result.separated.any() or not result.converged or np.isnan(result.theta).any()
    notes = ()
    if wrong or result.factor.keep is not None:
        # On the scale of the weights, so that it counts as a few rows of the pilot.
        prior = np.full(problem.size, _PRIOR * mass / pilot.block.n_rows)
        if problem.design.intercept:
            prior[:: problem.width] = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            result = fit(prior)
        notes = ("The pilot's rows do not determine every coefficient; a prior helped it.",)
    theta = np.where(np.isnan(result.theta), 0.0, result.theta)
    if not np.isfinite(theta).all():
        raise ValueError(
            "the pilot's fit diverged: raise pilot_size, or look for extreme values in the columns"
        )
    model = Model(problem.family, theta, problem.shape, problem.center, problem.scale)
    _, _, w, _ = link_rows(rows, model)
    information = _information(rows.scaled(problem.center, problem.scale), w, problem.family.predictors)
    pilot.theta, pilot.information, pilot.notes = theta, information, notes
    return pilot


def _quantile_pilot(problem, pilot, rows, n_drawn):
    """Pilot of a quantile regression; its residuals give the bandwidth for the rows that will be drawn."""
    from statkit.plans._quantile import bandwidth, solve_block

    scaled = rows.scaled(problem.center, problem.scale)
    theta = solve_block(scaled, problem.family.tau)
    e = rows.y - scaled.matvec(theta)
    problem.shape = np.array([bandwidth(e, rows.weight, problem.family.tau, len(e) + n_drawn)])
    model = Model(problem.family, theta, problem.shape, problem.center, problem.scale)
    pilot.theta, pilot.information = theta, _information(scaled, link_rows(rows, model)[2], 1)
    return pilot


def _shape(problem, pilot):
    """Shape parameter (negative binomial α) from the pilot's rows."""
    from statkit.plans.exact import Exact

    local = problem.local(weighted(pilot.block, np.full(pilot.block.n_rows, 1.0)))
    with np.errstate(over="ignore", invalid="ignore"):
        estimate = Exact(pilot_size=0, max_rounds=60).estimate(local_with_engine(local))
    return np.array([estimate.shape[problem.family.shape_name]])


def local_with_engine(local):
    local.engine_name = "serial"
    return local


def scoring_of(problem, pilot: Pilot, criterion, contrast):
    """The criterion at the pilot, in the units of the raw columns: sampled rows must not depend on
    scaling."""
    K = problem.family.predictors
    inverse = np.linalg.inv(problem.unscale())
    U = np.kron(np.eye(K), inverse) if K > 1 else inverse
    information = U.T @ pilot.information @ U
    curvature = None
    if criterion == "optV":
        rows = weighted(pilot.block, 1.0 / pilot.pi)
        model = Model(problem.family, pilot.theta, problem.shape, problem.center, problem.scale)
        curvature = mean_curvature(rows, problem.family, link_rows(rows, model)[0])
    if contrast is not None and criterion == "optC":
        contrast = _contrast(problem, contrast)
    return make_scoring(criterion, information, predictors=K, curvature=curvature, contrast=contrast)


# Columns of zeros and ones that fewer rows have than this are rare.
_RARE_FEATURE = 0.05


def rare_features(problem, pilot, which) -> tuple[np.ndarray | None, list[str]]:
    """Map that weighs rows by their rare features: Σ_j |Z_ij − Z̄_j| / Z̄_j, linear in zeros and ones.

    Parameters
    ----------
    which : "auto" or sequence of str
    """
    X, w = pilot.block.to_dense(), 1.0 / pilot.pi
    mean = np.maximum(np.average(X, axis=0, weights=w), 0.5 / len(w))
    names = [problem.design.names[j] for j in problem.design.position]
    i = int(problem.design.intercept)
    rare = np.zeros(len(names), bool)
    if isinstance(which, str):
        rare[i:] = np.isin(X[:, i:], (0.0, 1.0)).all(axis=0) & (mean[i:] < _RARE_FEATURE)
    else:
        unknown = [name for name in which if name not in names]
        if unknown:
            raise ValueError(f"rare_features: {unknown[0]!r} is not a column of the model: {names[:8]}")
        rare = np.isin(names, list(which))
        wrong = [names[j] for j in np.flatnonzero(rare) if not np.isin(X[:, j], (0.0, 1.0)).all()]
        if wrong:
            raise ValueError(f"rare_features: {wrong[0]!r} has values other than 0 and 1")
    if not rare.any():
        return None, []
    if not i:
        raise ValueError("rare_features needs a model with an intercept")
    balance = np.where(rare, (1.0 - 2.0 * mean) / mean, 0.0)
    balance[0] = rare.sum()
    return balance, [name for name, hit in zip(names, rare, strict=True) if hit]


def _contrast(problem, contrast):
    """A contrast over public coefficients, by internal position."""
    names, K, position = list(problem.design.names), problem.family.predictors, problem.design.position
    if isinstance(contrast, str):
        if contrast not in names:
            raise ValueError(f"contrast={contrast!r} is not a coefficient: they are {names[:8]}")
        contrast = np.tile(np.array(names) == contrast, K).astype(float)
    contrast = np.asarray(contrast, dtype=float)
    if contrast.shape != (K * len(names),):
        raise ValueError(
            f"contrast needs {K * len(names)} numbers, one for each coefficient, not {contrast.shape}"
        )
    return contrast.reshape(K, -1)[:, position].ravel()


def pilot_level(m, w, n) -> float:
    """H with ``Σ w min(m / H, 1) = n``: the threshold that the pilot predicts for all rows."""
    order = np.argsort(m)[::-1]
    m, w = m[order], w[order]
    above = np.concatenate([[0.0], np.cumsum(w)[:-1]])
    left = np.cumsum((w * m)[::-1])[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        level = left / (n - above)
    fits = np.flatnonzero((above < n) & (m <= level))
    return float(level[fits[0]]) if len(fits) else 0.0
