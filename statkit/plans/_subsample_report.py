"""From a fit on drawn rows to its estimate: sums over all rows, diagnostics, and what the design did."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from statkit.exceptions import BiasWarning
from statkit.plans._report import report
from statkit.plans._subsample_estimate import SubsampleEstimate
from statkit.plans._subsample_fit import Solution
from statkit.plans._subsample_pass import link_rows, weighted
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import Want
from statkit.solvers.newton import NewtonResult

__all__ = ["TARGETS", "all_rows", "known_shape", "report_sample", "require_classes", "sample_extra"]

TARGETS = {"population": "population parameter", "full_data": "fit of all rows"}
# A level with fewer drawn rows than this is told of.
_FEW_ROWS = 10


def report_sample(plan, problem, pilot, drawn, block, pi, solution, covariances, notes=(), step=None):
    """The estimate of ``plan`` from a solution on the rows of ``block``, drawn with probabilities ``pi``.

    Parameters
    ----------
    covariances : tuple of two ndarrays
        About the fit of all rows, and about the population's parameter.
    notes : sequence of str
    step : float or None
        Length of the last step over all rows, where there was one.
    """
    e = _evaluation(problem, pilot, drawn, block, pi, solution)
    theta = solution.theta
    result = NewtonResult(
        theta, e, solution.factor, solution.result.decrement, solution.result.converged,
        solution.result.separated, solution.result.history,
    )  # fmt: skip
    notes = [*notes, "Log-likelihood, deviance and dispersion are estimates from the drawn rows."]
    diagnostics, rare = _diagnostics(problem, drawn, block, pi)
    if step is not None:
        diagnostics.append(_line("step in standard errors of the full fit", step, "ok", ""))
    for text in rare:
        warnings.warn(text, BiasWarning, stacklevel=7)
    extra = sample_extra(problem, pilot, drawn, block, pi, solution, covariances)
    if step is not None:
        extra["step_norm"] = step
    return report(
        problem,
        plan,
        result,
        covariance=covariances[plan.target == "population"],
        kind=SubsampleEstimate,
        notes=notes,
        rows_used=_distinct(block.row_numbers()),
        cov_type="sandwich",
        target=TARGETS[plan.target],
        diagnostics=diagnostics,
        extra=extra,
        **known_shape(problem),
    )


def require_classes(problem, drawn, block):
    """Raise for a class of the response that no drawn row has: its coefficients would be infinite."""
    family = problem.family
    if family.name not in ("binomial", "softmax") or problem.alpha or (block.y % 1).any():
        return  # proportions have no classes; a ridge penalty keeps absent ones finite
    K = family.predictors + 1
    total = drawn["y"] if K > 2 else np.array([drawn["weight"] - drawn["y"][0], drawn["y"][0]])
    seen = np.bincount(block.y.astype(np.intp), minlength=K)
    absent = np.flatnonzero((seen == 0) & (total > 0))
    if not len(absent):
        return
    labels = problem.design.classes if problem.classes is None else problem.classes
    names = [labels[k] if labels is not None else k for k in absent[:6]]
    told = ", ".join(
        f"{str(name)!r} ({total[k] * block.n_rows / drawn['weight']:.1f} expected)"
        for name, k in zip(names, absent, strict=False)
    )
    raise ValueError(
        f"no drawn row has the class {told}: raise size, take pilot='case_control' or plans.RareEvents for a rare "
        "event, or leave the class out"
    )


def _distinct(rows):
    """Number of different row numbers: they ascend, but for samples joined one after another."""
    step = np.diff(rows)
    return len(np.unique(rows)) if (step < 0).any() else 1 + int(np.count_nonzero(step))


def known_shape(problem):
    if not problem.family.n_shape:
        return {}
    name = problem.family.shape_name
    errors = {name: np.nan} if problem.family.likelihood else {}
    return {"shape": {name: float(problem.shape[0])}, "shape_bse": errors}


def _evaluation(problem, pilot, drawn, block, pi, solution):
    """Sums over all rows at the estimate: those at the pilot plus the difference on the drawn rows."""
    rows = weighted(block, 1.0 / pi)
    theta = np.where(np.isnan(solution.theta), 0.0, solution.theta)

    def sums(at):
        model = replace(drawn["model"], theta=at)
        eta, r, w, loss = link_rows(rows, model)
        return problem.family.sums(eta, rows.y, rows.weight, problem.shape, (loss, r, w))

    here, there = sums(theta), sums(drawn.get("at", pilot.theta))
    total = dict(drawn["sums"])
    for name in ("loss", "pearson", "deviance"):  # the others do not depend on the coefficients
        total[name] += here[name] - there[name]
    for name in ("pearson", "deviance"):
        if not total[name] > 0:
            total[name] = here[name]
    null = None
    if block.offset is not None or not block.intercept or problem.family.name == "gaussian":
        local = problem.local(rows)
        start = problem.null_theta(*local.response())
        null = local.evaluate(start, Want(False, False, True), start[:: problem.width]).null
    return Evaluation(
        theta, total["loss"], None, solution.information, drawn["n"], drawn["n_read"], drawn["n_missing"],
        drawn["weight"], total["pearson"], total, null, None, None, drawn["y"],
    )  # fmt: skip


def sample_extra(problem, pilot, drawn, block, pi, solution, covariances):
    """What a SubsampleEstimate knows beyond any other."""
    import pandas as pd

    names = _labels(problem)
    full, population = (pd.DataFrame(problem.public_matrix(V), names, names) for V in covariances)
    with np.errstate(invalid="ignore", divide="ignore"):
        effect = np.diag(full) / np.diag(problem.public_matrix(_uniform(solution, drawn["n"], len(pi))))
    return {
        "sample_indices": block.row_numbers(),
        "inclusion_prob": pi,
        "sample_weights": 1.0 / pi,
        "pilot_params": pd.Series(problem.public_values(pilot.theta), names),
        "pilot_indices": pilot.rows,
        "threshold": float(drawn["threshold"]),
        "expected_size": drawn["expected"],
        "covariance_full_data": full,
        "covariance_population": population,
        "design_effects": effect,
    }


def _diagnostics(problem, drawn, block, pi):
    w = 1.0 / pi
    effective = float(w.sum() ** 2 / (w * w).sum())
    lines = [
        _line("effective sample size", effective, "ok" if effective > 10 * problem.size else "small",
              "" if effective > 10 * problem.size else "raise size or mixture"),
        _line("largest weight over mean weight", float(w.max() / w.mean()), "ok", ""),
    ]  # fmt: skip
    rare = []
    if block.codes is not None:
        c = block.codes.columns
        seen = np.bincount(c[c >= 0].ravel(), minlength=block.n_columns)
        expected = drawn["coded"] * len(pi) / max(drawn["n"], 1)
        first = int(block.intercept) + block.dense.shape[1]
        few = [j for j in range(first, block.n_columns) if seen[j] == 0]
        thin = [j for j in range(first, block.n_columns) if 0 < seen[j] < _FEW_ROWS]

        def told(columns):
            names = [problem.design.names[problem.design.position[j]] for j in columns[:6]]
            shown = ", ".join(
                f"{name} ({expected[j]:.1f} expected)" for name, j in zip(names, columns, strict=False)
            )
            return shown + (f" and {len(columns) - 6} more" if len(columns) > 6 else "")

        if few:
            rare.append(
                f"no drawn row has these levels, so they have no coefficient: {told(few)}; raise size"
            )
        if thin:
            lines.append(
                _line(
                    f"levels with fewer than {_FEW_ROWS} drawn rows",
                    float(len(thin)),
                    "few rows",
                    told(thin),
                )
            )
    return lines, rare


def all_rows(plan, problem):
    """The exact fit: there are no more rows than would be drawn."""
    from statkit.plans.exact import Exact

    estimate = Exact().estimate(problem)
    estimate.plan = repr(plan)
    estimate.__class__ = SubsampleEstimate
    k = len(estimate.values)
    rows = problem.session.round(_row_numbers)["rows"].rows
    estimate.extra.update(
        sample_indices=rows,
        inclusion_prob=np.ones(len(rows)),
        sample_weights=np.ones(len(rows)),
        pilot_params=estimate.params,
        pilot_indices=rows[:0],
        threshold=0.0,
        expected_size=float(len(rows)),
        covariance_population=estimate.cov_params(),
        covariance_full_data=0.0 * estimate.cov_params(),
        design_effects=np.zeros(k),
    )
    estimate.target = TARGETS[plan.target]
    estimate.notes.append("There are no more rows than the sample and its pilot would have: all were fitted.")
    if plan.target == "full_data":
        estimate.covariance = 0.0 * estimate.covariance
    return estimate


class _Rows:
    def __init__(self, rows):
        self.rows = rows

    def merge(self, other):
        return _Rows(np.concatenate([self.rows, other.rows]))


def _row_numbers(block) -> dict:
    return {"rows": _Rows(block.row_numbers())}


def _labels(problem):
    import pandas as pd

    names, K = list(problem.design.names), problem.family.predictors
    if K == 1:
        return pd.Index(names)
    classes = problem.design.classes
    return pd.MultiIndex.from_arrays(
        [[c for c in classes[1:] for _ in names], names * K], names=["class", "name"]
    )


def _uniform(solution: Solution, n: int, drawn: int):
    """Covariance about the full fit that as many uniform rows without refinement would have."""
    inverse = solution.factor.inverse()
    clean = np.where(np.isnan(inverse), 0.0, inverse)
    V = clean @ solution.meat_population @ clean * max(n - drawn, 0) / drawn
    V[np.isnan(np.diag(inverse))] = np.nan
    V[:, np.isnan(np.diag(inverse))] = np.nan
    return V


def _line(name, value, verdict, advice):
    return {"name": name, "value": float(value), "verdict": verdict, "advice": advice}
