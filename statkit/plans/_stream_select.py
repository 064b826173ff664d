"""Lasso on a stream's summary: ½θ'Aθ − v'θ is all that is known of the rows, and all that a path needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from statkit.solvers.cholesky import Factor
from statkit.solvers.coordinate_descent import minimise

__all__ = ["Selected", "penalised", "selected"]

_GRID = 50
_SMALLEST = 1e-4


@dataclass
class Selected:
    """The chosen model: coefficients (NaN for columns left out), arguments of the report, and notes."""

    theta: np.ndarray
    known: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


def penalised(problem, state) -> np.ndarray:
    """The estimate with the model's elastic-net penalty, in internal coordinates."""
    A, v = state.total()
    ridge, threshold = problem.penalty(state.weight), problem.l1_penalty(state.weight)
    if ridge is not None:
        A = A + np.diag(ridge)
    return minimise(A, v, threshold, state.theta)


def _free_intercept(problem, values):
    if problem.design.intercept:
        values[:: problem.width] = 0.0
    return values


def selected(plan, problem, state) -> Selected:
    """Columns by BIC on a grid of 50 penalties, with the fit on them.

    Every penalty's columns are fitted anew for the criterion, so that the shrinkage does not count against them.
    """
    import pandas as pd

    A, v = state.total()
    free = Factor(A)
    theta = free.solve(v)
    phi = 1.0
    if problem.family.dispersion != "known":
        phi = state.pearson / max(state.n - free.rank, 1)
    root = np.sqrt(np.maximum(np.diag(A), 1e-300))
    weights = root.copy()  # columns of equal information are penalised alike
    if plan.selection == "adaptive_lasso":
        with np.errstate(divide="ignore"):
            weights = np.where(theta != 0, root / np.abs(theta * root), np.inf)
    weights = _free_intercept(problem, weights)
    at = minimise(A, v, np.where(weights > 0, np.inf, 0.0))  # the intercept alone
    pull = np.abs(v - A @ at)
    finite = (weights > 0) & np.isfinite(weights)
    largest = float((pull[finite] / weights[finite]).max()) if finite.any() else 0.0
    lines, best, seen = [], None, {}
    for penalty in largest * np.geomspace(1.0, _SMALLEST, _GRID):
        at = minimise(A, v, np.where(weights > 0, penalty * weights, 0.0), at)
        kept = (at != 0) | (weights == 0)
        key = kept.tobytes()
        if key not in seen:
            seen[key] = _refitted(A, v, kept)
        fit, gain = seen[key]
        df = int(kept.sum()) - int((weights == 0).sum())
        bic = -2.0 * gain / phi + np.log(max(state.n, 2)) * df
        lines.append({"penalty": penalty, "df": df, "bic": bic, "values": at})
        if best is None or bic < best[0]:
            best = bic, kept, fit
    _, kept, fit = best if best is not None else (0.0, np.ones(state.q, bool), theta)
    design = problem.design
    local = problem.with_scaling(state.center, state.scale)
    path = pd.DataFrame([{k: line[k] for k in ("penalty", "df", "bic")} for line in lines])
    values = pd.DataFrame([local.public_values(line["values"]) for line in lines], columns=list(design.names))
    covariance = np.full(A.shape, np.nan)
    covariance[np.ix_(kept, kept)] = phi * Factor(A[np.ix_(kept, kept)]).inverse()
    names = [design.names[design.position[j]] for j in range(state.q)]
    extra = {
        "selection_path": pd.concat([path, values], axis=1),
        "selected": [name for name, keep in zip(names, kept, strict=True) if keep],
    }
    why = {name: "not selected" for name, keep in zip(names, kept, strict=True) if not keep}
    notes = ["Columns were selected on these rows: errors are those of the chosen model."]
    return Selected(
        np.where(kept, fit, 0.0), {"covariance": covariance, "extra": extra, "why_nan": why}, notes
    )


def _refitted(A, v, kept):
    """Least quadratic on the kept columns, and by how much it lies below zero."""
    fit = np.zeros(len(v))
    fit[kept] = Factor(A[np.ix_(kept, kept)]).solve(v[kept])
    return fit, float(v @ fit - 0.5 * fit @ A @ fit)
