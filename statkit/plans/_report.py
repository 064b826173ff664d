"""From a solved problem to an Estimate: units, covariance, fit statistics, what was done."""

from __future__ import annotations

import time
import warnings

import numpy as np

from statkit.exceptions import AliasedColumnsWarning
from statkit.results import Estimate
from statkit.results.covariance import cluster_covariance, hc0_covariance, hc1_covariance

__all__ = ["covariance_of", "report"]


def covariance_of(problem, factor, information, meat, scale, nobs):
    """Covariance of internal coefficients for the problem's ``cov_type``."""
    kind = problem.cov_type
    if kind == "nonrobust":
        return scale * factor.inverse()
    bread = information
    if factor.keep is not None:
        bread = information.copy()
        bread[~factor.keep] = np.nan
        bread[:, ~factor.keep] = np.nan
    if kind == "HC0":
        return hc0_covariance(bread, meat)
    if kind == "HC1":
        return hc1_covariance(bread, meat, nobs)
    return cluster_covariance(bread, meat.meat(), nobs, len(meat.labels))


def report(problem, plan, result, **known) -> Estimate:
    """The Estimate of a Newton (or least squares) result on ``problem``.

    Parameters
    ----------
    result : NewtonResult
        With sums, null sums and meat in ``result.at``.
    **known
        Further arguments of Estimate (``shape``, ``shape_bse``).
    """
    family, design, session, e = problem.family, problem.design, problem.session, result.at
    rank = result.factor.rank
    residual = e.n - rank
    sums = e.sums
    estimated = family.dispersion != "known"
    scale = 1.0
    if estimated:
        scale = sums["pearson"] / residual if residual > 0 else np.nan
    inner = covariance_of(problem, result.factor, e.information, e.meat, scale, e.n)
    values, covariance = problem.public(result.theta, inner)
    aliased = np.isnan(result.theta)
    notes, why = list(design.notes), {}
    if aliased.any():
        names = [design.names[design.position[j % problem.width]] for j in np.flatnonzero(aliased)]
        names = list(dict.fromkeys(names))
        why = dict.fromkeys(names, "aliased: a linear combination of other columns")
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        notes.append(f"Not identified, because they are linear combinations of other columns: {shown}.")
        warnings.warn(
            f"these columns are linear combinations of others and have no coefficient: {shown}",
            AliasedColumnsWarning,
            stacklevel=6,
        )
    if problem.alpha:
        notes.append(f"Ridge penalty alpha = {problem.alpha:g}: errors are conditional on it and ignore its bias.")
    if result.separated.any():
        notes.append("The response is separated: the likelihood has no maximum along some columns.")
    for name, limit in design.limits.items():
        why[name] = f"limit {limit:+}: the response is constant at this level"
    return Estimate(
        names=design.names,
        values=values,
        covariance=covariance,
        terms=design.terms,
        family=family.name,
        link=family.link_name,
        use_t=estimated,
        scale=float(scale),
        nobs=e.n,
        df_resid=residual,
        df_model=rank - family.predictors * int(design.intercept),
        llf=family.loglik(sums, scale, e.n),
        deviance=sums["deviance"],
        null_deviance=e.null["deviance"] if e.null is not None else np.nan,
        pearson_chi2=sums["pearson"],
        rank=rank,
        cov_type=problem.cov_type,
        information=e.information,
        meat=e.meat,
        response=design.response_name,
        formula=design.formula,
        classes=design.classes if family.predictors > 1 else None,
        plan=repr(plan),
        engine=problem.engine_name,
        rows_read=session.n_rows,
        rows_used=e.n_read - e.n_missing - sum(design.set_aside.values()),
        rows_missing=e.n_missing,
        n_passes=session.rows_visited / max(session.n_rows, 1),
        n_rounds=session.n_rounds,
        seconds=time.perf_counter() - problem.started,
        converged=bool(result.converged),
        history=result.history,
        diagnostics=[],
        notes=notes,
        why_nan=why,
        **known,
    )
