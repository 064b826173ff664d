"""The pilot of a subsampling plan: a few rows, fitted, from which the scores of all rows follow."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from statkit.engines.engine import CACHE_BYTES
from statkit.exceptions import SeparationWarning
from statkit.plans._subsample_pass import Model, PilotRates, link_rows, pilot_rows, rare_columns, weighted
from statkit.rounds.tasks import _information
from statkit.sampling.criteria import Scoring, make_scoring
from statkit.sampling.scores import mean_curvature
from statkit.solvers.newton import newton

__all__ = ["Pilot", "draw_pilot", "fit_pilot", "pilot_level"]

# Where reading is dear, the pilot comes from this many windows of consecutive rows, spread over the data.
_WINDOWS = 8
_WINDOW_ROWS = 2  # times the rows that are wanted of it
# Share of the rarer class below which half of the pilot is drawn from it.
_RARE = 0.2
# Any point near the maximum serves: this many standard errors of all rows, far below the pilot's own.
_TOL = 1e-3
# On scaled columns: pulls in what few rows cannot tell.
_PRIOR = 4.0


@dataclass
class Pilot:
    """Rows, their inclusion probabilities, and the fit on them.

    Attributes
    ----------
    rates : PilotRates
    rows : ndarray of int
        Row numbers.
    balance : ndarray or None
        What scores are multiplied by: the weight of a row's rare features, as a map of its columns.
    representative : bool
        Whether rows were drawn from everywhere, so that they can be used again in the final fit.
    """

    block: object
    pi: np.ndarray
    rates: PilotRates
    representative: bool
    balance: np.ndarray | None = None
    rows: np.ndarray | None = None
    theta: np.ndarray = None
    information: np.ndarray = None
    notes: tuple = ()


def draw_pilot(problem, size, kind, rare=None) -> Pilot:
    """Draw about ``size`` rows; ``kind`` and ``rare`` are the plan's ``pilot`` and ``rare_features``."""
    session, n = problem.session, problem.session.n_rows
    cheap = problem.in_memory or _kept_between_rounds(session, n)
    windows, chosen, balance = None, session.partitions, None
    binary = problem.family.name in ("binomial", "quasi_binomial")
    rate = min(1.0, size / n)
    rates = PilotRates(rate, rate)
    if kind == "case_control" and not binary:
        raise ValueError(f"pilot='case_control' is for two classes, not for the {problem.family.name} family")
    if rare is not None:
        balance, balanced = rare_features(problem, rare, size, binary)
        _forgive(problem, session.partitions)
    if kind == "balanced" and balance is None:
        raise ValueError("pilot='balanced' needs rare_features, and no column is rare")
    if balance is not None and kind in ("auto", "balanced"):
        rates = balanced
    elif kind == "windows" or (kind == "auto" and not cheap):
        windows, chosen = _windows(problem, size)
        rate = min(1.0, size / max(1, int((windows[:, 1] - windows[:, 0]).sum())))
        rates = PilotRates(rate, rate)
    elif binary and kind != "uniform" and cheap:
        events, weight = problem.response()
        _forgive(problem, session.partitions)
        share = float(events[0]) / weight
        if kind == "case_control" or min(share, 1 - share) < _RARE:
            rates = PilotRates(*(min(1.0, 0.5 * size / max(n * s, 1.0)) for s in (1 - share, share)))
    out = session.round(pilot_rows, problem.seed, rates, windows, partitions=chosen)
    read = sum(p.n_rows for p in chosen)
    if problem.in_memory or session.all_cached:
        session.rows_visited -= read - len(out["kept"].keys)  # nothing else was looked at
    block, pi = out["kept"].block(), out["kept"].scores
    if block.n_rows == 0:
        raise ValueError(f"the pilot is empty: none of {n:,} rows was drawn; raise pilot_size")
    return Pilot(block, pi, rates, windows is None, balance, block.row_numbers())


def _kept_between_rounds(session, n):
    """Whether all rows are likely to stay encoded, so that looking twice reads once; by the first partition."""
    first = session.partitions[0]
    size = session.round(_encoded_size, partitions=[first])["bytes"]
    session.n_rounds -= 1  # a block that is there already
    session.rows_visited -= first.n_rows
    # Not the session's own limit, which differs between engines: all draw the same rows.
    return size * n <= CACHE_BYTES * max(first.n_rows, 1)


def _encoded_size(block) -> dict:
    return {"bytes": block.nbytes}


def _forgive(problem, partitions):
    """A look at the responses is no pass where the rows stay in memory for the pass that follows."""
    if problem.in_memory or problem.session.all_cached:
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
    if problem.family.solver == "linear_program":
        return _quantile_pilot(problem, pilot, rows, n_drawn)
    local = problem.local(rows)
    start = problem.null_theta(*local.response())
    mass = float(np.sum(rows.weight))

    def fit(prior):
        return newton(
            lambda theta, _: local.evaluate(theta), start, tol=_TOL, max_rounds=50, prior=prior,
            may_separate=problem.may_separate and prior is None, predict=True,
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
    # At the last step but one: scores need no more.
    information = result.at.information
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


def scoring_of(problem, pilot: Pilot, criterion, contrast, size=None):
    """The criterion at the pilot for ``size`` rows, in the units of the raw columns: sampled rows must not
    depend on scaling."""
    if criterion == "LUC":
        if problem.family.name not in ("binomial", "softmax"):
            raise ValueError(f"criterion='LUC' is for classes, not for the {problem.family.name} family")
        return Scoring("LUC", ratio=problem.session.n_rows / size, balance=pilot.balance)
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
    scoring = make_scoring(criterion, information, predictors=K, curvature=curvature, contrast=contrast)
    return scoring if pilot.balance is None else replace(scoring, balance=pilot.balance)


# Columns of zeros and ones that fewer rows have than this are rare.
_RARE_FEATURE = 0.05


def rare_features(problem, which, size, binary):
    """Map that weighs rows by their rare features, Σ_j |Z_ij − Z̄_j| / Z̄_j, and pilot rates that follow it.

    The sum is linear in zeros and ones. Two classes get half of the pilot each.

    Parameters
    ----------
    which : "auto" or sequence of str
    size : int
        Rows of the pilot.

    Returns
    -------
    balance : ndarray of shape (q,) or None
        None without rare columns.
    rates : PilotRates or None
    """
    out = problem.session.round(rare_columns)
    count, sums, indicator = out["n"], out["sums"], out["other"] == 0
    mean = np.maximum(sums.sum(axis=0), 0.5) / max(count.sum(), 1)
    names = [problem.design.names[j] for j in problem.design.position]
    i = int(problem.design.intercept)
    if isinstance(which, str):
        rare = indicator & (mean < _RARE_FEATURE)
        rare[:i] = False
    else:
        unknown = [name for name in which if name not in names]
        if unknown:
            raise ValueError(f"rare_features: {unknown[0]!r} is not a column of the model: {names[:8]}")
        rare = np.isin(names, list(which))
        wrong = [names[j] for j in np.flatnonzero(rare) if not indicator[j]]
        if wrong:
            raise ValueError(f"rare_features: {wrong[0]!r} has values other than 0 and 1")
    if not rare.any():
        return None, None
    if not i:
        raise ValueError("rare_features needs a model with an intercept")
    balance = np.where(rare, (1.0 - 2.0 * mean) / mean, 0.0)
    balance[0] = rare.sum()
    # Rows without and with each of the rare features; rows with two of them are few.
    values = np.append(balance[0], balance[0] + balance[rare])
    held = sums[:, rare]
    counts = np.column_stack([np.maximum(count - held.sum(axis=1), 0.0), held])
    if binary and (count > 0).all():
        zero, one = (_rate(0.5 * size, values, c) for c in counts)
    else:
        zero = one = _rate(size, values, counts.sum(axis=0))
    return balance, PilotRates(zero, one, balance)


def _rate(size, values, counts) -> float:
    """λ with Σ counts min(1, λ values) = size."""
    order = np.argsort(values)[::-1]
    values, counts = values[order], counts[order]
    left = np.cumsum((counts * values)[::-1])[::-1]
    for value, total, sure in zip(values, left, np.cumsum(counts) - counts, strict=True):
        if total > 0 and (size - sure) * value <= total:
            return max(size - sure, 0.0) / total
    return np.inf


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
