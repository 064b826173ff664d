"""From a solved problem to an Estimate: units, covariance, fit statistics, what was done."""

from __future__ import annotations

import time
import warnings

import numpy as np

from statkit.exceptions import AliasedColumnsWarning
from statkit.results import Estimate
from statkit.results.covariance import cluster_covariance, hc0_covariance, hc1_covariance
from statkit.results.estimate import NO_ROW

__all__ = ["covariance_of", "evaluation_points", "report"]


def covariance_of(problem, factor, information, meat, scale, nobs):
    """Covariance of internal coefficients for the problem's ``cov_type``."""
    kind = problem.cov_type
    if kind == "nonrobust":
        return scale * factor.inverse()
    bread = information if factor.keep is None else _without(information, ~factor.keep)
    if kind == "HC0":
        return hc0_covariance(bread, meat)
    if kind == "HC1":
        return hc1_covariance(bread, meat, nobs)
    if kind in ("partition", "bootstrap", "HAC"):
        return hc0_covariance(bread, meat.meat())
    if kind == "between":
        raise ValueError("cov_type='between' compares local estimates: it needs plan=OneShot(…)")
    return cluster_covariance(bread, meat.meat(), nobs, len(meat.labels))


def evaluation_points(problem, e) -> np.ndarray:
    """Where information, and where sums and scores were evaluated, in public units: `Estimate.evaluated_at`."""
    scores = e.theta if e.sums_theta is None else e.sums_theta
    return np.array([problem.public_values(e.theta), problem.public_values(scores)])


def report(
    problem, plan, result, *, covariance=None, public_covariance=None, kind=Estimate, notes=(), **known
) -> Estimate:
    """The Estimate of a Newton (or least squares) result on ``problem``.

    Parameters
    ----------
    result : NewtonResult
        With sums, null sums and meat in ``result.at``.
    covariance : ndarray or None
        Of the internal coefficients, where the plan has its own; None is that of the problem's ``cov_type``.
    public_covariance : ndarray or None
        In public order and units, instead; of shape (k,) for variances alone.
    kind : type
        Estimate or a subclass.
    notes : sequence of str
        Added to the design's.
    **known
        Further arguments of Estimate (``shape``, ``shape_bse``, ``target``, ``extra``), or other values of
        those that are filled in here (``rows_used``, ``cov_type``).
    """
    family, design, session, e = problem.family, problem.design, problem.session, result.at
    rank = result.factor.rank
    residual = e.n - rank
    sums = e.sums
    estimated = family.dispersion != "known"
    scale = 1.0
    if estimated:
        scale = sums["pearson"] / residual if residual > 0 else np.nan
    if covariance is None and public_covariance is None:
        covariance = covariance_of(problem, result.factor, e.information, e.meat, scale, e.n)
    clusters = len(e.meat.labels) if problem.cov_type == "cluster" and e.meat is not None else None
    if problem.cov_type == "partition" and e.meat is not None:
        known.setdefault("df_resid_inference", len(e.meat.scores) - 1)
    if problem.cov_type in ("partition", "between"):
        known.setdefault("use_t", True)  # as few degrees of freedom as there are machines
    left_out = np.isnan(result.theta)
    if problem.cov_type == "bootstrap" and e.meat is not None:
        from statkit.plans._bootstrap import bootstrap_results

        draws = e.meat.sums @ np.nan_to_num(result.factor.inverse())
        known["extra"] = {
            **known.get("extra", {}), **bootstrap_results(problem, result.theta, covariance, draws)
        }  # fmt: skip
    why = {}
    if left_out.any():
        # A level of a stream that is declared but has not come yet is nothing to warn of.
        empty = left_out & (np.diag(e.information) == 0)
        waiting = empty & hasattr(plan, "update")
        names = _names(problem, left_out & ~waiting)
        why = dict.fromkeys(names, "aliased, a linear combination of other columns")
        why |= dict.fromkeys(_names(problem, empty), NO_ROW)
        why |= dict.fromkeys(_names(problem, waiting), f"{NO_ROW} so far")
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        if names:
            warnings.warn(
                f"these columns are linear combinations of others and have no coefficient: {shown}",
                AliasedColumnsWarning,
                stacklevel=6,
            )
    notes = [*design.notes, *notes]
    if result.separated.any():
        notes.append("The response is separated: the likelihood has no maximum along some columns.")
    why |= known.pop("why_nan", {})
    for name in design.limits:
        why[name] = "a limit, the response is constant at this level"
    arguments = dict(
        names=problem.names,
        values=problem.public_values(result.theta),
        covariance=problem.public_matrix(covariance) if public_covariance is None else public_covariance,
        terms=design.terms,
        family=family.name,
        link=family.link_name,
        use_t=estimated,
        scale=float(scale),
        nobs=e.n,
        df_resid=residual,
        df_model=rank - family.predictors * int(design.intercept) - family.n_thresholds,
        llf=family.loglik(sums, scale, e.n),
        deviance=sums["deviance"],
        null_deviance=_null_deviance(problem, e),
        pearson_chi2=sums["pearson"],
        rank=rank,
        cov_type=problem.cov_type,
        df_resid_inference=None if clusters is None else clusters - 1,
        information=None
        if e.information is None
        else problem.public_matrix(_without(e.information, left_out), inverse=True),
        meat=None if e.meat is None else problem.public_matrix(_matrix(e.meat), inverse=True),
        response=design.response_name,
        formula=design.formula,
        classes=_modelled_classes(problem),
        plan=repr(plan),
        engine=problem.engine_name,
        rows_read=e.n_read,
        rows_used=e.n_rows,
        rows_missing=e.n_missing,
        n_passes=session.rows_visited / max(session.n_rows, 1) if session is not None else 1.0,
        n_rounds=session.n_rounds if session is not None else 1,
        seconds=time.perf_counter() - problem.started,
        converged=bool(result.converged),
        history=result.history,
        diagnostics=[],
        notes=notes,
        why_nan=why,
        alpha=problem.alpha,
        l1_ratio=problem.l1_ratio if problem.alpha else 0.0,
    )
    return kind(**{**arguments, **known})


def _names(problem, internal) -> list[str]:
    """Names of the columns that a mask of internal coefficients marks."""
    names = [problem.internal_names[j] for j in np.flatnonzero(internal)]
    return list(dict.fromkeys(names))


def _null_deviance(problem, e) -> float:
    """Deviance of the model with an intercept (and the offset) only."""
    if e.null is not None:
        return e.null["deviance"]
    y = e.y if len(e.y) > 1 else e.y[0]
    return e.sums["deviance"] + 2 * (problem.family.null_loss(y, e.weight, problem.shape) - e.sums["loss"])


def _modelled_classes(problem):
    """Classes with parameters of their own, or two of which one is modelled; ordered classes share theirs."""
    if problem.family.n_thresholds:
        return None
    return problem.design.classes if problem.classes is None else problem.classes


def _matrix(meat):
    return meat if isinstance(meat, np.ndarray) else meat.meat()


def _without(H, left_out):
    if not left_out.any():
        return H
    H = H.copy()
    H[left_out] = np.nan
    H[:, left_out] = np.nan
    return H
