"""Exact quantile regression on rows too many to hold: only those near the fit enter the linear program.

Rows surely above or below the fit have linear loss there and are summed up; a certificate round counts the
rows for which that was wrong, and with none the solution is optimal for all rows, because the loss is convex.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats

from statkit.plans._report import report
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import Kept, Want, evaluate
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult
from statkit.solvers.quantile import weighted_quantile_regression

__all__ = ["bandwidth", "exact_quantile", "solve_block"]

# Up to this many rows the linear program is solved at once.
_DIRECT = 20_000
_BAND = 6.0
_MOST_ROUNDS = 12
_EXTRA_ROWS = 4


def solve_block(block, tau, *, linear=None) -> np.ndarray:
    """The linear program on a block's (scaled, weighted) rows, its offset taken off the response."""
    y = block.y if block.offset is None else block.y - block.offset
    return weighted_quantile_regression(block.to_dense(), y, tau, block.weight, linear=linear)


def bandwidth(e, weight, tau, n) -> float:
    """Hall and Sheather's bandwidth on the scale of the residuals ``e``, for ``n`` rows."""
    z = stats.norm.ppf(tau)
    h0 = n ** (-1 / 3) * stats.norm.ppf(0.975) ** (2 / 3) * (
        1.5 * stats.norm.pdf(z) ** 2 / (2 * z * z + 1)
    ) ** (1 / 3)  # fmt: skip
    h0 = min(h0, 0.9 * min(tau, 1 - tau))
    a = np.ones_like(e) if weight is None else weight
    order = np.argsort(e)
    share = np.cumsum(a[order]) / a.sum()
    low, high = (e[order][min(np.searchsorted(share, p), len(e) - 1)] for p in (0.25, 0.75))
    mean = np.average(e, weights=a)
    spread = np.sqrt(np.average((e - mean) ** 2, weights=a))
    if high > low:
        spread = min(spread, (high - low) / 1.34)
    h = (stats.norm.ppf(tau + h0) - stats.norm.ppf(tau - h0)) * spread
    return float(h) if h > 0 else float(max(np.abs(e).max(), 1e-300))


class _Rows(Kept):
    def merge(self, other):
        return _Rows(self.pieces + other.pieces)


def band_rows(block, theta, root, center, scale, tau) -> dict:
    """Rows within ``‖root x‖`` of the fit, and what the others add to the score."""
    scaled = block.scaled(center, scale)
    e = block.y - scaled.matvec(theta)
    inside = np.abs(e) <= scaled.row_norms(root)
    psi = np.where(inside, 0.0, np.where(e > 0, tau, tau - 1.0))
    if block.weight is not None:
        psi *= block.weight
    return {"kept": _Rows([block.take(np.flatnonzero(inside))]), "linear": scaled.transpose_matvec(psi)}


def certify(block, family, before, root, theta, shape, center, scale) -> dict:
    """Rows outside the band whose residual changed its sign; and the moments at the new fit."""
    scaled = block.scaled(center, scale)
    old, new = block.y - scaled.matvec(before), block.y - scaled.matvec(theta)
    tiny = 1e-9 * (1 + np.abs(block.y))
    outside = np.zeros(len(old), bool) if root is None else np.abs(old) > scaled.row_norms(root)
    wrong = outside & ((old > 0) & (new < -tiny) | (old < 0) & (new > tiny))
    out = evaluate(block, family, theta, shape, center, scale, None, Want(meat="rows", sums=True))
    weight = np.ones(len(old)) if block.weight is None else block.weight
    out["wrong"] = _Rows([block.take(np.flatnonzero(wrong))])
    out["gram"] = scaled.sandwich(weight)
    return out


def exact_quantile(plan, problem):
    """Quantile regression on all rows of ``problem``."""
    family, tau, n = problem.family, problem.family.tau, problem.session.n_rows
    pilot_size = int(min(n, max(5_000, np.ceil((problem.size * n) ** (2 / 3)))))
    pilot = problem.sample(n if n <= _DIRECT else pilot_size, problem.seed)
    rows = next(iter(pilot.session.blocks()))
    if not rows.n_rows or (rows.weight is not None and not rows.weight.any()):
        pilot.response()  # says what is missing
    scaled = rows.scaled(problem.center, problem.scale)
    theta = solve_block(scaled, tau)
    e = rows.y - scaled.matvec(theta)
    h = np.array([bandwidth(e, rows.weight, tau, n)])
    history, before, root = [], theta, None
    if n > _DIRECT:
        theta, before, root, band, linear = _first_band(problem, theta, h)
    else:
        band, linear = None, None
    for number in range(1, _MOST_ROUNDS + 1):
        out = problem.session.round(certify, family, before, root, theta, h, problem.center, problem.scale)
        wrong = out["wrong"].block()
        history.append({"round": number, "loss": out["loss"], "wrong": wrong.n_rows})
        if band is None or wrong.n_rows == 0:
            break
        theta, band, linear = _with_rows(problem, theta, before, band, wrong, linear, tau)
    factor = Factor(out["gram"])
    keep = np.ones(len(theta), bool) if factor.keep is None else factor.keep
    density = Factor(out["information"], keep=factor.keep)
    inverse = np.where(np.isnan(density.inverse()), 0.0, density.inverse())
    if problem.cov_type == "nonrobust":
        height = np.trace(np.linalg.pinv(out["gram"]) @ out["information"]) / keep.sum()
        covariance = tau * (1 - tau) / height**2 * factor.inverse()
    else:
        covariance = inverse @ out["meat"] @ inverse
    covariance[~keep] = np.nan
    covariance[:, ~keep] = np.nan
    at = Evaluation(
        theta,
        out["loss"],
        out["gradient"],
        out["information"],
        out["n"],
        out["n_read"],
        out["n_missing"],
        out["weight"],
        None,
        out["sums"] | {"pearson": np.nan},
        {"deviance": np.nan},
        out["meat"],
        None,
        out["y"],
    )
    if not keep.all():  # moved onto the columns that are kept
        final, linear = (rows, None) if band is None else (band, linear)
        theta = _on_columns(problem, final, keep, tau, linear)
    converged = band is None or wrong.n_rows == 0
    result = NewtonResult(
        np.where(keep, theta, np.nan), at, factor, 0.0, converged, np.zeros(len(theta), bool), history
    )
    extra = {"objective": float(out["loss"]), "bandwidth": float(h[0]), "quantile": tau}
    return report(problem, plan, result, covariance=covariance, extra=extra, notes=[f"Quantile {tau:g}."])


def _on_columns(problem, rows, keep, tau, linear):
    """The same fit with the aliased columns left out."""
    y = rows.y if rows.offset is None else rows.y - rows.offset
    X = rows.scaled(problem.center, problem.scale).to_dense()[:, keep]
    out = np.zeros(len(keep))
    linear = None if linear is None else linear[keep]
    out[keep] = weighted_quantile_regression(X, y, tau, rows.weight, linear=linear)
    return out


def _first_band(problem, theta, h):
    """One Newton step over all rows from the pilot, the rows around it, and the fit on them."""
    tau = problem.family.tau
    problem.shape = h
    e = problem.evaluate(theta, Want(meat="rows"))
    problem.shape = np.empty(0)
    D = Factor(e.information)
    theta = theta + D.solve(e.gradient)
    inverse = np.where(np.isnan(D.inverse()), 0.0, D.inverse())
    spread = inverse @ e.meat @ inverse
    values, vectors = np.linalg.eigh(spread)
    z = _BAND
    while True:
        root = z * np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
        out = problem.session.round(band_rows, theta, root, problem.center, problem.scale, tau)
        band = out["kept"].block()
        if band.n_rows > problem.size:
            break
        z *= 4.0
    start = theta
    return _solve(problem, band, out["linear"], tau), start, root, band, out["linear"]


def _solve(problem, band, linear, tau):
    return solve_block(band.scaled(problem.center, problem.scale), tau, linear=linear)


def _with_rows(problem, theta, before, band, wrong, linear, tau):
    """Rows that were summed up with the wrong sign, moved into the linear program."""
    scaled = wrong.scaled(problem.center, problem.scale)
    old = wrong.y - scaled.matvec(before)
    psi = np.where(old > 0, tau, tau - 1.0)
    if wrong.weight is not None:
        psi = psi * wrong.weight
    known = np.isin(wrong.row_numbers(), band.row_numbers())
    if known.any():
        new = np.flatnonzero(~known)
        wrong, psi, scaled = wrong.take(new), psi[new], scaled.take(new)
    if not wrong.n_rows:
        return theta, band, linear
    linear = linear - scaled.transpose_matvec(psi)
    band = replace(band.merge(wrong))
    return _solve(problem, band, linear, tau), band, linear
