"""Exact quantile regression on rows too many to hold: only those near the fit enter the linear program.

Rows surely above or below the fit have linear loss there and are summed up; a certificate round counts the
rows for which that was wrong, and with none the solution is optimal for all rows, because the loss is convex.
Several quantiles go through the same rounds, so that they read the data as often as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from statkit.engines.summaries import merge_summaries
from statkit.plans._report import report
from statkit.results import Estimate
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import Kept, Want, _row_meat, _Sums, evaluate, response_sums
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult
from statkit.solvers.quantile import weighted_quantile_regression

__all__ = ["bandwidth", "exact_quantile", "solve_block"]

# Up to this many rows the linear program is solved at once.
_DIRECT = 20_000
_BAND = 6.0
_MOST_ROUNDS = 12


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


class _Each(dict):
    """A summary inside a summary."""

    def merge(self, other):
        return _Each(merge_summaries(self, other))


@dataclass
class _Fit:
    """One quantile on its way: where it is, the band of rows around it, and the sum of the others' scores.

    ``root`` maps a row to the half-width of the band about the coefficients ``before``; None before there is one.
    """

    family: object
    theta: np.ndarray
    h: np.ndarray
    before: np.ndarray
    root: np.ndarray | None = None
    band: object = None
    linear: np.ndarray | None = None

    @property
    def tau(self):
        return self.family.tau


def around(block, families, thetas, shapes, center, scale) -> dict:
    """Score, density and score products at a first estimate of each quantile."""
    want = Want(meat="rows")
    nothing = np.empty(0)
    return {
        str(k): _Each(evaluate(block, family, theta, h, center, scale, None, want) | {"y": nothing})
        for k, (family, theta, h) in enumerate(zip(families, thetas, shapes, strict=True))
    }


def band_rows(block, thetas, roots, center, scale, taus) -> dict:
    """Rows within ‖root x‖ of each fit, and what the others add to the score."""
    scaled = block.scaled(center, scale)
    out = {}
    for k, (theta, root, tau) in enumerate(zip(thetas, roots, taus, strict=True)):
        e = block.y - scaled.matvec(theta)
        inside = np.abs(e) <= scaled.row_norms(root)
        psi = np.where(inside, 0.0, np.where(e > 0, tau, tau - 1.0))
        if block.weight is not None:
            psi *= block.weight
        kept = _Rows([block.take(np.flatnonzero(inside))])
        out[str(k)] = _Each(kept=kept, linear=scaled.transpose_matvec(psi))
    return out


def certify(block, families, befores, roots, thetas, shapes, center, scale) -> dict:
    """Rows outside a band whose residual changed its sign; and the moments at the new fits, of pairs too."""
    scaled = block.scaled(center, scale)
    n, K = block.n_rows, len(families)
    psi, w = np.empty((n, K)), np.empty(n)
    tiny = 1e-9 * (1 + np.abs(block.y))
    out = {}
    for k, (family, theta, h) in enumerate(zip(families, thetas, shapes, strict=True)):
        r = np.empty(n)
        eta = scaled.matvec(theta)
        loss = family.link(eta, block.y, block.weight, h, None, r, w)
        wrong = np.empty(0, np.intp)
        if roots[k] is not None:
            old, new = block.y - scaled.matvec(befores[k]), block.y - eta
            outside = np.abs(old) > scaled.row_norms(roots[k])
            wrong = np.flatnonzero(outside & ((old > 0) & (new < -tiny) | (old < 0) & (new > tiny)))
        near = scaled.take(np.flatnonzero(w))  # rows in the kernel's window
        out[str(k)] = _Each(
            loss=float(loss), gradient=scaled.transpose_matvec(r), information=near.sandwich(w[w != 0]),
            wrong=_Rows([block.take(wrong)]),
        )  # fmt: skip
        psi[:, k] = r
    a = block.weight
    out["meat"] = _row_meat(scaled, psi if K > 1 else psi[:, 0], K)
    out["gram"] = scaled.sandwich(np.ones(n) if a is None else a)
    out["n"] = n if a is None else int(np.count_nonzero(a))
    out["n_rows"] = n
    return out | response_sums(block)


def exact_quantile(plan, problem):
    """Quantile regression on all rows of ``problem``."""
    families, n = problem.family.members, problem.session.n_rows
    pilot_size = int(min(n, max(5_000, np.ceil((problem.width * n) ** (2 / 3)))))
    pilot = problem.sample(n if n <= _DIRECT else pilot_size, problem.seed)
    rows = next(iter(pilot.session.blocks()))
    if not rows.n_rows or (rows.weight is not None and not rows.weight.any()):
        pilot.response()  # says what is missing
    scaled = rows.scaled(problem.center, problem.scale)
    fits = []
    for family in families:
        theta = solve_block(scaled, family.tau)
        h = bandwidth(rows.y - scaled.matvec(theta), rows.weight, family.tau, n)
        fits.append(_Fit(family, theta, np.array([h]), theta))
    if n > _DIRECT:
        _first_bands(problem, fits)
    history = []
    for number in range(1, _MOST_ROUNDS + 1):
        out = problem.session.round(
            certify, families, [f.before for f in fits], [f.root for f in fits], [f.theta for f in fits],
            [f.h for f in fits], problem.center, problem.scale,
        )  # fmt: skip
        each = [out[str(k)] for k in range(len(fits))]
        wrong = [one["wrong"].block() for one in each]
        left = sum(block.n_rows for block in wrong)
        history.append({"round": number, "loss": sum(one["loss"] for one in each), "wrong": left})
        if n <= _DIRECT or left == 0:
            break
        for fit, block in zip(fits, wrong, strict=True):
            _with_rows(problem, fit, block)
    factor = Factor(out["gram"])
    keep = np.ones(problem.width, bool) if factor.keep is None else factor.keep
    covariance = _covariance(problem, fits, each, out, factor, keep)
    if not keep.all():  # moved onto the columns that are kept
        for fit in fits:
            fit.theta = _on_columns(problem, rows if fit.band is None else fit.band, keep, fit)
    return _estimate(plan, problem, fits, each, out, covariance, factor, keep, history)


def _covariance(problem, fits, each, out, factor, keep):
    """Joint covariance of all quantiles' coefficients."""
    K, q = len(fits), problem.width
    kept = np.tile(keep, K)
    if problem.cov_type == "nonrobust":
        gram = np.linalg.pinv(out["gram"])
        heights = [np.trace(gram @ one["information"]) / keep.sum() for one in each]
        inverse = np.where(np.isnan(factor.inverse()), 0.0, factor.inverse())
        taus = np.array([fit.tau for fit in fits])
        joint = (np.minimum.outer(taus, taus) - np.outer(taus, taus)) / np.outer(heights, heights)
        covariance = np.kron(joint, inverse)
    else:
        bread = np.zeros((K * q, K * q))
        for k, one in enumerate(each):
            inverse = Factor(one["information"], keep=factor.keep).inverse()
            bread[k * q : (k + 1) * q, k * q : (k + 1) * q] = np.where(np.isnan(inverse), 0.0, inverse)
        covariance = bread @ out["meat"] @ bread
    covariance[~kept] = np.nan
    covariance[:, ~kept] = np.nan
    return covariance


def _estimate(plan, problem, fits, each, out, covariance, factor, keep, history):
    K, q = len(fits), problem.width
    information = np.zeros((K * q, K * q))
    for k, one in enumerate(each):
        information[k * q : (k + 1) * q, k * q : (k + 1) * q] = one["information"]
    loss = sum(one["loss"] for one in each)
    sums = _Sums(loss=loss, pearson=np.nan, deviance=np.nan)
    theta = np.concatenate([np.where(keep, fit.theta, np.nan) for fit in fits])
    gradient = np.concatenate([one["gradient"] for one in each])
    at = Evaluation(
        theta, loss, gradient, information, out["n"], out["n_read"], out["n_missing"], out["weight"], None, sums,
        {"deviance": np.nan}, out["meat"], None, out["y"], out["n_rows"],
    )  # fmt: skip
    converged = problem.session.n_rows <= _DIRECT or history[-1]["wrong"] == 0
    result = NewtonResult(theta, at, factor, 0.0, converged, np.zeros(K * q, bool), history)
    taus = [fit.tau for fit in fits]
    told = {
        "objective": [one["loss"] for one in each], "bandwidth": [float(f.h[0]) for f in fits], "quantile": taus,
    }  # fmt: skip
    extra = {name: values[0] if K == 1 else values for name, values in told.items()}
    if K == 1:
        known = {"notes": [f"Quantile {taus[0]:g}."]}
    else:
        known = {"classes": ["quantile", *taus], "kind": QuantilesEstimate}
    return report(problem, plan, result, covariance=covariance, extra=extra, **known)


class QuantilesEstimate(Estimate):
    """An :class:`~statkit.results.Estimate` of several quantiles; its parameters are indexed (quantile, name)."""

    @property
    def _index(self):
        return super()._index.rename(["quantile", "name"])


def _on_columns(problem, rows, keep, fit):
    """The same fit with the aliased columns left out."""
    y = rows.y if rows.offset is None else rows.y - rows.offset
    X = rows.scaled(problem.center, problem.scale).to_dense()[:, keep]
    out = np.zeros(len(keep))
    linear = None if fit.linear is None else fit.linear[keep]
    out[keep] = weighted_quantile_regression(X, y, fit.tau, rows.weight, linear=linear)
    return out


def _first_bands(problem, fits):
    """One Newton step over all rows from the pilot, the rows around it, and the fit on them."""
    families, taus = [f.family for f in fits], [f.tau for f in fits]
    out = problem.session.round(
        around, families, [f.theta for f in fits], [f.h for f in fits], problem.center, problem.scale
    )
    axes = []
    for k, fit in enumerate(fits):
        e = out[str(k)]
        D = Factor(e["information"])
        fit.before = fit.theta + D.solve(e["gradient"])
        inverse = np.where(np.isnan(D.inverse()), 0.0, D.inverse())
        values, vectors = np.linalg.eigh(inverse @ e["meat"] @ inverse)
        axes.append(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T)
    z = _BAND
    while True:
        for fit, axis in zip(fits, axes, strict=True):
            fit.root = z * axis
        out = problem.session.round(
            band_rows, [f.before for f in fits], [f.root for f in fits], problem.center, problem.scale, taus
        )
        for k, fit in enumerate(fits):
            fit.band, fit.linear = out[str(k)]["kept"].block(), out[str(k)]["linear"]
        if min(fit.band.n_rows for fit in fits) > problem.width:
            break
        z *= 4.0
    for fit in fits:
        _solve(problem, fit)


def _solve(problem, fit):
    fit.theta = solve_block(fit.band.scaled(problem.center, problem.scale), fit.tau, linear=fit.linear)


def _with_rows(problem, fit, wrong):
    """Rows that were summed up with the wrong sign, moved into the linear program."""
    if wrong.n_rows:
        wrong = wrong.take(np.flatnonzero(~np.isin(wrong.row_numbers(), fit.band.row_numbers())))
    if not wrong.n_rows:
        return
    scaled = wrong.scaled(problem.center, problem.scale)
    old = wrong.y - scaled.matvec(fit.before)
    psi = np.where(old > 0, fit.tau, fit.tau - 1.0)
    if wrong.weight is not None:
        psi = psi * wrong.weight
    fit.linear = fit.linear - scaled.transpose_matvec(psi)
    fit.band = fit.band.merge(wrong)
    _solve(problem, fit)
