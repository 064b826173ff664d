"""From the summaries of several sites to one estimate whose table says what was done."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from statkit.exceptions import BiasWarning, HeterogeneityWarning
from statkit.inference.agreement import align
from statkit.inference.meta import moment_tau2
from statkit.inference.site_checks import by_parameter, diagnose, scores_at, site_table
from statkit.inference.site_summary import LocalSummary
from statkit.results import Estimate
from statkit.solvers.cholesky import Factor

__all__ = ["combine_summaries"]

_METHODS = ("auto", "weighted", "average", "random", "one_step")
_COV_TYPES = {
    "weighted": ("nonrobust", "HC0", "HC1", "partition"),
    "one_step": ("nonrobust", "HC0", "HC1", "partition"),
    "average": ("nonrobust", "between"),
    "random": ("nonrobust",),
}


def combine_summaries(
    summaries: Any,
    method: Literal["auto", "weighted", "average", "random", "one_step"] = "auto",
    *,
    bias_correction: Literal["auto", "analytic", None] = "auto",
    own: Sequence[str] = (),
    dispersion: Literal["pooled", "own"] = "pooled",
    cov_type: Literal["nonrobust", "HC0", "HC1", "partition", "between"] = "nonrobust",
) -> Estimate:
    """Combine the summaries of several sites.

    Parameters
    ----------
    summaries : sequence of LocalSummary or paths
    method : {"auto", "weighted", "average", "random", "one_step"}, default="auto"
        "weighted" is the least squares approximation: estimates weighted by their information, and the bias
        that this has subtracted; in linear models it is least squares on all rows. "average" is the mean of
        the estimates by numbers of rows. "random" lets the sites' parameters differ and estimates their mean
        (DerSimonian and Laird's moments, for all parameters jointly). "one_step" is a Newton step from the
        parameter at which the sites gave score and information. "auto" is "one_step" for summaries of that
        kind, and "weighted" for others.
    bias_correction : {"auto", "analytic", None}, default="auto"
        "auto" subtracts the predicted bias where it is known; None only reports it.
    own : sequence of str, default=()
        Parameters or terms that every site has for itself (``["Intercept"]``); the others are shared.
    dispersion : {"pooled", "own"}, default="pooled"
        Whether sites share the dispersion, or are weighted by their own.
    cov_type : {"nonrobust", "HC0", "HC1", "partition", "between"}, default="nonrobust"
        "partition" takes the sites as clusters; "between" is the spread of the estimates of "average".

    Returns
    -------
    estimate : statkit.results.Estimate
        With ``partitions`` (one line a site), ``diagnostics``, the sites' own estimates ``site_params`` and
        ``site_bse``, their differences parameter by parameter in ``heterogeneity``, and for "random" ``tau2``,
        ``prediction`` and ``site_effects``.

    Raises
    ------
    ValueError
        If the sites' models differ (the message names site, factor and remedy), or a method needs what the
        summaries lack.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.inference import combine_summaries, local_summary
    >>> X, y, coef = make_glm(3_000, 2, family="binomial", random_state=0)
    >>> sites = [local_summary(X[k::3], y[k::3], family="binomial", site=f"s{k}") for k in range(3)]
    >>> first = combine_summaries(sites)
    >>> again = [
    ...     local_summary(X[k::3], y[k::3], family="binomial", site=f"s{k}", at=first) for k in range(3)]
    >>> combine_summaries(again).n_rounds
    2

    References
    ----------
    X. Zhu, F. Li and H. Wang (2021), Least-square approximation for a distributed system. D. Jackson, I. R. White
    and R. D. Riley (2013), A matrix-based method of moments for fitting the multivariate random effects model for
    meta-analysis and meta-regression. C. Huang and X. Huo (2019), A distributed one-step estimator.
    """
    started = time.perf_counter()
    for name, value, allowed in (
        ("method", method, _METHODS),
        ("bias_correction", bias_correction, ("auto", "analytic", None)),
        ("dispersion", dispersion, ("pooled", "own")),
        ("cov_type", cov_type, {kind for kinds in _COV_TYPES.values() for kind in kinds}),
    ):
        if value not in allowed:
            raise ValueError(
                f"{name} must be one of {', '.join(map(repr, sorted(allowed, key=str)))}, not {value!r}"
            )
    sites = _loaded(summaries)
    scores = sites[0].kind == "score"
    if method == "auto":
        method = "one_step" if scores else "weighted"
    own = (own,) if isinstance(own, str) else tuple(own)
    model = align(sites, own)
    _check(sites, model, method, own, cov_type)
    family = _family(sites[0])
    c = _sums(sites, model, family, dispersion)
    answer = _HOW[method](c, model, bias_correction is not None, cov_type)
    if cov_type in ("HC0", "HC1", "partition"):
        answer.covariance = _sandwich(c, answer.theta, cov_type)
    extra = answer.extra
    if answer.bias is not None:
        extra["predicted_bias"] = model.to_raw @ answer.bias
    extra["partitions"] = site_table(sites, c, answer.theta)
    if not scores:
        extra["site_params"], extra["site_bse"] = _site_frames(sites, c.own)
        extra["heterogeneity"] = by_parameter(extra["site_params"], extra["site_bse"])
    lines = diagnose(sites, c, answer, random=method == "random")
    for line in lines:
        if line["verdict"] == "FAIL":
            kind = HeterogeneityWarning if line["name"].startswith("heterogeneity") else BiasWarning
            warnings.warn(f"{line['name']} = {line['value']:.3g}: {line['advice']}", kind, stacklevel=2)
    what = {"method": method, "own": own, "cov_type": cov_type, "seconds": time.perf_counter() - started}
    return _estimate(sites, model, family, c, answer, lines, **what)


@dataclass
class Answer:
    """An estimate in common coordinates, and what is known of it.

    Attributes
    ----------
    bias : ndarray or None
        Predicted bias, whether or not it was ``removed``.
    decrement : float or None
        Distance to the maximum likelihood estimate, in standard errors, that a Newton step may have left.
    """

    theta: np.ndarray
    covariance: np.ndarray
    bias: np.ndarray | None = None
    removed: bool = False
    decrement: float | None = None
    extra: dict = field(default_factory=dict)


def _check(sites, model, method, own, cov_type):
    if (sites[0].kind == "score") != (method == "one_step"):
        need = "of the first round"
        if method == "one_step":
            need = "at a common parameter (local_summary(…, at=…))"
        raise ValueError(f"method={method!r} needs summaries {need}")
    if cov_type not in _COV_TYPES[method]:
        raise ValueError(
            f"cov_type={cov_type!r} is not for method={method!r}, which has {', '.join(map(repr, _COV_TYPES[method]))}"
        )
    if method not in ("average", "random"):
        return
    if own:
        raise ValueError(f"method={method!r} combines whole estimates: own is for 'weighted' and 'one_step'")
    Q = len(model.names)
    for s, B in zip(sites, model.maps, strict=True):
        if s.rank < Q or len(B) < Q:
            raise ValueError(
                f"site {s.site!r} identifies {s.rank} of {Q} parameters, so that its estimate cannot enter "
                f"method={method!r}; use 'weighted'"
            )


def _site_frames(sites, dispersions):
    """Estimates and standard errors of the sites, a line each; NaN where a site has no such parameter."""
    import pandas as pd

    params = pd.DataFrame({s.site: s.params for s in sites}).T
    errors = {s.site: np.sqrt(f) * s.unit_bse for s, f in zip(sites, dispersions, strict=True)}
    names = list(dict.fromkeys(name for s in sites for name in s.names))
    bse = pd.DataFrame(errors).T[names]
    return params[names].where(bse.notna()), bse


def _loaded(summaries) -> list[LocalSummary]:
    if isinstance(summaries, (LocalSummary, str, os.PathLike)):
        raise ValueError("combine_summaries takes a list of summaries, one a site")
    sites = [s if isinstance(s, LocalSummary) else LocalSummary.load(s) for s in summaries]
    if not sites:
        raise ValueError("there is no summary to combine")
    names = [s.site for s in sites]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two summaries are of site {twice!r}: give each site its name (site=…, --site)")
    return sites


def _family(site: LocalSummary):
    from statkit import families
    from statkit.families.resolve import FAMILIES

    name = site.family["name"]
    if name not in FAMILIES:
        raise ValueError(f"site {site.site!r} has an unknown family {name!r}")
    try:
        return getattr(families, FAMILIES[name])(**site.family["parameters"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"the family of site {site.site!r} cannot be made: {error}") from None


def _sums(sites, model, family, dispersion) -> SimpleNamespace:
    """All sites in common coordinates: informations, scores, biases, and their weighted combination."""
    estimated = family.dispersion != "known"
    own = [s.sums["pearson"] / max(s.nobs - s.rank, 1) if estimated else 1.0 for s in sites]
    weights = [1 / f if dispersion == "own" and estimated else 1.0 for f in own]
    H = [B.T @ s.information @ B for s, B in zip(sites, model.maps, strict=True)]
    r = [B.T @ (s.information @ s.point) for s, B in zip(sites, model.maps, strict=True)]
    c = SimpleNamespace(sites=sites, maps=model.maps, own=own, weights=weights, informations=H)
    c.scores = [B.T @ s.score for s, B in zip(sites, model.maps, strict=True)]
    c.meat = sum(w**2 * (B.T @ s.meat @ B) for w, s, B in zip(weights, sites, model.maps, strict=True))
    c.H = sum(w * M for w, M in zip(weights, H, strict=True))
    c.factor = Factor(c.H)
    c.wlse = c.factor.solve(sum(w * v for w, v in zip(weights, r, strict=True)))
    c.n = sum(s.nobs for s in sites)
    pearson = sum(s.sums["pearson"] for s in sites)
    if sites[0].kind == "fit":
        pearson += _distance(c, c.wlse)
    c.phi = pearson / max(c.n - c.factor.rank, 1) if estimated else 1.0
    # What multiplies the inverse of H in the covariance.
    c.scale = 1.0 if dispersion == "own" else c.phi
    c.weighting = sum(
        w * (f if dispersion == "own" else c.phi) * (B.T @ s.weighting)
        for w, f, s, B in zip(weights, own, sites, model.maps, strict=True)
    )
    c.estimates, c.biases = [], []
    for s, B in zip(sites, model.maps, strict=True):
        if B.shape[0] == B.shape[1]:
            c.estimates.append(np.linalg.solve(B, s.point))
            c.biases.append(np.linalg.solve(B, s.bias))
    return c


def _distance(c, theta) -> float:
    """Σ (θ_k − θ)' H_k (θ_k − θ) over the sites."""
    away = [s.point - B @ theta for s, B in zip(c.sites, c.maps, strict=True)]
    return sum(float(d @ s.information @ d) for d, s in zip(away, c.sites, strict=True))


def _weighted(c, model, removed, cov_type) -> Answer:
    bias = c.factor.solve(c.weighting)
    theta = c.wlse - bias if removed else c.wlse
    return Answer(theta, c.scale * c.factor.inverse(), bias, removed)


def _average(c, model, removed, cov_type) -> Answer:
    share = np.array([s.nobs for s in c.sites]) / c.n
    estimates = np.array(c.estimates)
    bias = c.phi * share @ np.array(c.biases)
    theta = share @ estimates - (bias if removed else 0.0)
    K = len(share)
    if cov_type == "nonrobust":
        covariance = c.phi * sum(
            w**2 * Factor(H).inverse() for w, H in zip(share, c.informations, strict=True)
        )
    elif K < 2:
        raise ValueError("cov_type='between' needs at least 2 sites: there is nothing to compare")
    else:
        deviation = (estimates - share @ estimates) * (share * K)[:, None]
        covariance = deviation.T @ deviation / (K - 1) / K
    return Answer(theta, covariance, bias, removed)


def _one_step(c, model, removed, cov_type) -> Answer:
    """Newton step from the parameter that all sites were given."""
    B = np.vstack(c.maps)
    points = np.concatenate([s.point for s in c.sites])
    start, *_ = np.linalg.lstsq(B, points, rcond=None)
    if (np.abs(B @ start - points) > 1e-8 * (1 + np.abs(points))).any():
        raise ValueError(
            "the sites' scores are at different parameters: all take the same file or estimate as at"
        )
    g = sum(w * v for w, v in zip(c.weights, c.scores, strict=True))
    step = c.factor.solve(g)
    c.gain = float(g @ step)
    moved = float(np.sqrt(max(c.gain, 0.0) / c.scale / max(c.factor.rank, 1)))
    # A step from the distance d leaves about d².
    return Answer(start + step, c.scale * c.factor.inverse(), decrement=min(moved, moved**2))


def _sandwich(c, theta, cov_type):
    inverse = c.factor.inverse()
    inner = np.where(np.isnan(inverse), 0.0, inverse)
    meat = c.meat
    if cov_type == "partition":
        K = len(c.sites)
        if K < 2:
            raise ValueError("cov_type='partition' needs at least 2 sites: there is nothing to compare")
        scores = scores_at(c.sites, c, theta)
        G = np.array([w * (B.T @ g) for w, B, g in zip(c.weights, c.maps, scores, strict=True)])
        meat = G.T @ G * (K / (K - 1))
    covariance = inner @ meat @ inner
    if cov_type == "HC1":
        covariance *= c.n / max(c.n - c.factor.rank, 1)
    return np.where(np.isnan(inverse), np.nan, covariance)


def _random(c, model, removed, cov_type) -> Answer:
    """Mean of parameters that differ between sites, with their covariance between sites by moments."""
    import pandas as pd
    from scipy import stats

    K = len(c.sites)
    if K < 2:
        raise ValueError("method='random' needs at least 2 sites")
    b = np.array(c.estimates)
    if removed:
        b = b - np.array([f * bias for f, bias in zip(c.own, c.biases, strict=True)])
    V = np.array([f * Factor(H).inverse() for f, H in zip(c.own, c.informations, strict=True)])
    T = moment_tau2(b, V)
    W = np.linalg.inv(V + T)
    covariance = np.linalg.inv(W.sum(axis=0))
    theta = covariance @ np.einsum("kij,kj->i", W, b)
    R = model.to_raw
    between, raw = R @ T @ R.T, R @ theta
    reach = stats.t.ppf(0.975, K - 2) if K > 2 else np.nan
    far = reach * np.sqrt(np.diag(between) + np.diag(R @ covariance @ R.T))
    effects = [R @ (theta + T @ w @ (one - theta)) for w, one in zip(W, b, strict=True)]
    extra = {
        "tau2": np.diag(between),
        "prediction": pd.DataFrame({"lower": raw - far, "upper": raw + far}, index=model.names),
        "site_effects": pd.DataFrame(effects, index=[s.site for s in c.sites], columns=model.names),
    }
    return Answer(theta, covariance, extra=extra)


_HOW = {"weighted": _weighted, "average": _average, "random": _random, "one_step": _one_step}


def _estimate(sites, model, family, c, answer, lines, *, method, own, cov_type, seconds):
    first, theta = sites[0], answer.theta
    keep = np.ones(len(theta), bool) if c.factor.keep is None else c.factor.keep
    rank, n = c.factor.rank, c.n
    sums = _sums_at(c, theta, family)
    estimated = family.dispersion != "known"
    scale = c.phi if estimated else 1.0
    values = np.where(keep, model.to_raw @ np.where(keep, theta, 0.0), np.nan)
    left_out = [name for name, k in zip(model.names, keep, strict=True) if not k]
    notes = [_said(sites, method, own, answer.removed)]
    small = [s.site for s in sites if not s.converged]
    if small:
        notes.append(f"Local fits that have not converged: {', '.join(small)}.")
    df = None
    if cov_type in ("partition", "between"):
        df = len(sites) - 1
    plan = f"combine_summaries({method!r}" + (f", own={list(own)}" if own else "") + ")"
    return Estimate(
        names=model.names, values=values, covariance=_raw_covariance(model, answer.covariance, keep), terms=model.terms,
        family=family.name, link=family.link_name, use_t=estimated, scale=float(scale), nobs=n,
        df_resid=n - rank, df_model=rank - _n_intercepts(first, own, sites), rank=rank,
        llf=family.loglik(sums, scale, n), deviance=sums["deviance"],
        null_deviance=_null_deviance(sites, sums, family), pearson_chi2=sums["pearson"], cov_type=cov_type,
        df_resid_inference=df, response=first.response, formula=first.formula, classes=first.classes,
        plan=plan, engine=f"files of {len(sites)} sites", rows_read=sum(s.rows_read for s in sites), rows_used=n,
        rows_missing=sum(s.rows_missing for s in sites), n_passes=2.0 if first.kind == "score" else 1.0,
        n_rounds=2 if first.kind == "score" else 1, seconds=seconds,
        converged=all(s.converged for s in sites), diagnostics=lines, notes=notes,
        why_nan=dict.fromkeys(left_out, "aliased, no site tells it from other columns"), extra=answer.extra,
    )  # fmt: skip


def _n_intercepts(first, own, sites) -> int:
    return (len(sites) if "Intercept" in own else 1) if first.intercept else 0


def _raw_covariance(model, covariance, keep):
    inner = model.to_raw @ np.where(np.isnan(covariance), 0.0, covariance) @ model.to_raw.T
    inner = (inner + inner.T) / 2
    inner[~keep] = np.nan
    inner[:, ~keep] = np.nan
    return inner


def _said(sites, method, own, removed) -> str:
    how = {
        "weighted": "estimates weighted by their information",
        "average": "mean of the estimates, by rows",
        "random": "mean of parameters that differ between sites",
        "one_step": "one Newton step from the parameter that the sites were given",
    }[method]
    bias = ", the predicted bias subtracted" if removed else ""
    alone = f"; every site has its own {', '.join(own)}" if own else ""
    return f"Combined from {len(sites)} sites ({', '.join(s.site for s in sites)}): {how}{bias}{alone}."


def _sums_at(c, theta, family) -> dict:
    """Sums over all rows at θ, to second order."""
    sums = {key: reduce(add, [s.sums[key] for s in c.sites]) for key in c.sites[0].sums}
    if c.sites[0].kind == "score":
        sums["loss"] -= c.gain / 2
        sums["deviance"] -= c.gain
        sums["pearson"] -= c.gain if family.dispersion != "known" and family.quadratic else 0.0
        return sums
    moved = _distance(c, theta)
    sums["loss"] += moved / 2
    sums["deviance"] += moved
    sums["pearson"] += moved if family.dispersion != "known" else 0.0
    return sums


def _null_deviance(sites, sums, family) -> float:
    weight, y = sum(s.weight for s in sites), sum(s.y for s in sites)
    offset = any(s.offset for s in sites)
    if all(s.null is not None for s in sites):
        deviance = sum(s.null["deviance"] for s in sites)
        if sites[0].intercept:
            deviance -= (sum(s.null_score for s in sites) if offset else y) ** 2 / weight
        return float(deviance)
    if offset:
        return float("nan")  # with an offset the null model has no closed form
    return float(sums["deviance"] + 2 * (family.null_loss(y, weight) - sums["loss"]))
