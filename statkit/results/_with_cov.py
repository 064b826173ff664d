"""Another covariance of an estimate without another fit: from what the fit kept, else from a pass over its rows."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import linalg

from statkit.results._clusters import several_ways, ways_of
from statkit.results.covariance import model_covariance, sandwich_covariance

__all__ = ["with_cov"]

_KINDS = ("nonrobust", "HC0", "HC1", "HC2", "HC3", "robust", "partition")
#: Covariances that come with information at the estimate: those from which "nonrobust" can be had.
_OF_INFORMATION = ("HC0", "HC1", "HC2", "HC3", "cluster", "partition", "bootstrap")
#: Families without a likelihood whose information serves all the same; that of losses and quantiles does not.
_QUASI = ("quasi_binomial", "quasi_poisson", "tweedie")
#: Relative pivot of the information below which inverting it in raw units costs digits that a pass saves.
_SAFE = 1e-3
#: Further results that belong to the covariance of the fit.
_OF_BOOTSTRAP = ("bootstrap_draws", "simultaneous_conf_int")


def with_cov(estimate, cov_type: Any, data: Any, given: dict):
    """See `Estimate.with_cov`."""
    kind, groups = _asked(cov_type, estimate)
    _must_have_errors(estimate)
    if kind == estimate.cov_type and groups is None:
        return _changed(estimate, {})
    refit = estimate._again
    at_hand = refit is not None and (data is not None or refit.has_rows)
    if data is None:
        changes = _from_kept(estimate, kind, at_hand)
        if changes is not None:
            return _changed(estimate, changes)
    if refit is None:
        raise ValueError(
            f"cov_type={kind!r} needs the rows of the fit, and this Estimate is apart from its model (it was copied, "
            "pickled, or read from a record): call with_cov on the estimate_ of the fitted or loaded model"
        )
    ways = None if groups is None else ways_of(groups)
    if ways is not None:
        return _changed(
            estimate, several_ways(estimate, ways, lambda way: refit(estimate, kind, way, data, given))
        )
    return _changed(estimate, refit(estimate, kind, groups, data, given))


def _asked(cov_type, estimate):
    """Kind of covariance, and clusters or None."""
    if isinstance(cov_type, Mapping):
        if list(cov_type) != ["cluster"] or cov_type["cluster"] is None:
            raise ValueError(
                "with_cov takes {'cluster': a column's name or an array of labels, or a list of several}, not "
                f"{dict(cov_type)!r}"
            )
        return "cluster", cov_type["cluster"]
    if isinstance(cov_type, str) and cov_type == estimate.cov_type:
        return cov_type, None
    if isinstance(cov_type, str) and cov_type == "cluster":
        raise ValueError(
            "with_cov('cluster') does not say by what: with_cov({'cluster': 'column'}), or an array of labels"
        )
    if isinstance(cov_type, str) and cov_type in ("HAC", "between", "bootstrap"):
        raise ValueError(f"cov_type={cov_type!r} comes with the fit alone: give it to the estimator")
    if cov_type not in _KINDS:
        raise ValueError(
            f"cov_type must be one of {', '.join(map(repr, _KINDS))}, or {{'cluster': column}}, not {cov_type!r}"
        )
    return cov_type, None


def _must_have_errors(e):
    why = None
    if e.alpha and e.l1_ratio:
        why = "after a penalty with l1_ratio > 0 there are no standard errors"
    elif e.reference in ("random scaling", "chains"):
        why = f"its errors come from the path of the estimate ({e.reference})"
    elif e.target is not None:
        why = f"its errors refer to {e.target}, and hold the error of sampling rows"
    elif e.covariance.ndim == 1:
        why = "only variances are known"
    if why:
        raise ValueError(
            f"{e.plan or 'this fit'} has no other covariance: {why}; fit with plan=Exact() for one"
        )


def _from_kept(e, kind, at_hand):
    """Changes that need no rows; None if there are none."""
    serves = np.isfinite(e.llf) or e.family in _QUASI
    if kind == "nonrobust" and e.cov_type in _OF_INFORMATION and e.information is not None and serves:
        if at_hand and _smallest_pivot(e.information) < _SAFE:
            return None
        return _back(e) | {
            "covariance": model_covariance(e.information, e.scale), "meat": None, "cov_type": kind,
        }  # fmt: skip
    if {kind, e.cov_type} == {"HC0", "HC1"}:
        factor = e.nobs / (e.nobs - e.rank) if e.nobs > e.rank else np.nan
        return {"covariance": e.covariance * (factor if kind == "HC1" else 1 / factor), "cov_type": kind}
    if kind == "robust" and e.family == "quantile" and e.cov_type == "nonrobust":
        return {"covariance": sandwich_covariance(e.information, e.meat), "cov_type": kind}
    return None


def _back(e) -> dict:
    """What a covariance with degrees of freedom of its own had changed beside it."""
    changes: dict[str, Any] = {"df_resid_inference": e.df_resid}
    if e.cov_type == "partition":
        changes["use_t"] = e.scale != 1.0
    return changes


def _smallest_pivot(information) -> float:
    keep = np.diagonal(information) > 0
    root = np.sqrt(np.diagonal(information)[keep])
    factor, failed = linalg.lapack.dpotrf(information[np.ix_(keep, keep)] / np.outer(root, root), lower=1)
    return 0.0 if failed else float(np.diagonal(factor).min(initial=1.0) ** 2)


def _changed(estimate, changes):
    """A copy with other attributes."""
    new = copy.copy(estimate)
    new._again = estimate._again
    new.extra = {
        key: value for key, value in estimate.extra.items() if key not in _OF_BOOTSTRAP or not changes
    }
    for name in ("notes", "_history", "_diagnostics"):
        setattr(new, name, list(getattr(estimate, name)))
    for name, value in changes.items():
        setattr(new, name, value)
    return new
