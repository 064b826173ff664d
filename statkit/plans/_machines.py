"""What plans of few rounds share: machines from partitions, local fits combined, and an honest report."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from statkit.exceptions import BiasWarning, HeterogeneityWarning
from statkit.plans._aggregate import robust_mean, screened
from statkit.plans._report import covariance_of, report
from statkit.plans.plan import Plan
from statkit.rounds.machines import LocalOptions, local_fit, machine_scores, portable
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import Want
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult

__all__ = ["Combined", "MachinePlan"]

#: What the table says where log-likelihood and deviance come from the sums at the local estimates.
_SECOND_ORDER = (
    "Log-likelihood, deviance and dispersion are second-order approximations from the machines' own fits; "
    "certify=True, OneStep() or Exact() measure them."
)


@dataclass
class Combined:
    """Local fits of all machines, and their least squares combination.

    Attributes
    ----------
    machines : list of dict
        Those with rows.
    H : ndarray of shape (q, q)
        Sum of the local informations.
    wlse : ndarray of shape (q,)
        H⁻¹ Σ H_k β_k; zero in columns left out.
    Q : float
        Σ (β_k − β)' H_k (β_k − β) at ``wlse``, without the dispersion.
    """

    machines: list
    index: np.ndarray
    H: np.ndarray
    factor: Factor
    wlse: np.ndarray
    Q: float
    phi: float
    n: int
    read: tuple = (0, 0)

    def bias(self, estimator: str, weights=None) -> np.ndarray:
        """Predicted first-order bias of "wlse" or of the weighted "mean"."""
        if estimator == "wlse":
            return self.phi * self.factor.solve(sum(m["c"] for m in self.machines))
        return self.phi * sum(w * m["b"] for w, m in zip(weights, self.machines, strict=True))


class MachinePlan(Plan):
    """Base of the plans that treat partitions as machines."""

    fits_context = fits_thresholds = bootstraps = True
    n_partitions = None
    partition_by = None
    shuffle = False

    def regrouped(self, source: Any, seed: Any) -> Any:
        """The source with one partition a machine."""
        if self.partition_by is not None:
            if self.n_partitions is not None:
                raise ValueError("give n_partitions or partition_by, not both")
            return source.regroup(by=self.partition_by)
        if self.n_partitions is None:
            return source
        return source.regroup(self.n_partitions, seed=seed if self.shuffle else None)

    def _choice(self, name, allowed):
        value = getattr(self, name)
        if value not in allowed:
            raise ValueError(
                f"{type(self).__name__}({name}=…) must be one of {', '.join(map(repr, allowed))}, not {value!r}"
            )

    def _prepare(self, problem):
        if problem.session.n_rows == 0:
            raise ValueError("there are no rows to fit")
        family = problem.family
        if not family.curved:
            raise ValueError(f"{type(self).__name__} needs a smooth loss, the {family.name} family has none")
        self._needs_shape(problem)

    def _local(self, problem, **options) -> Combined:
        """The round of local fits."""
        options = LocalOptions(seed=problem.seed, **options)
        out = problem.session.round(local_fit, portable(problem), options)["machines"]
        index = np.array([k for k, m in enumerate(out) if m["n"]], int)
        machines = [out[k] for k in index]
        if not machines:
            raise ValueError("no row is left to fit: all rows have missing values or zero weights")
        combined = combine(machines, index, problem)
        combined.read = sum(m["n_read"] for m in out), sum(m["n_missing"] for m in out)
        return combined

    def _report(self, problem, combined, theta, covariance, *, history, extra, lines, at=None, converged=True,
                **known):  # fmt: skip
        """The estimate, with warnings for the diagnostics that fail."""
        factor = combined.factor
        e = at or pooled_evaluation(problem, combined, theta)
        keep = np.ones(problem.size, bool) if factor.keep is None else factor.keep
        result = NewtonResult(
            np.where(keep, theta, np.nan), e, factor, np.nan, converged, np.zeros(problem.size, bool), history
        )
        self._warn(lines)
        if covariance is not None:
            known["covariance"] = covariance
        exact = problem.family.solver == "least_squares"
        if at is None and not exact:
            known["notes"] = [*known.get("notes", ()), _SECOND_ORDER]
        if problem.family.solver == "partial_likelihood":
            from statkit.plans._cox import within_machines

            known["kind"], extra, notes = within_machines(problem, combined, e, extra)
            known["notes"] = [*known.get("notes", ()), *notes]
        return report(problem, self, result, diagnostics=lines, extra=extra, **known)

    @staticmethod
    def _warn(lines):
        for line in lines:
            if line["verdict"] == "FAIL" and line["advice"]:
                kind = HeterogeneityWarning if line["name"].startswith("heterogeneity") else BiasWarning
                warnings.warn(f"{line['name']} = {line['value']:.3g}: {line['advice']}", kind, stacklevel=6)

    def _certificate(self, problem, theta, information=True):
        """One round at θ: the evaluation, and every machine's (score, information, weight, n)."""
        null = (
            problem.null_theta(*problem.response())[:: problem.width] if self._needs_null(problem) else None
        )
        out = problem.session.round(
            machine_scores, problem.family, theta, problem.shape, problem.center, problem.scale, null,
            Want(True, information, True, problem.meat, seed=problem.seed),
        )  # fmt: skip
        return problem._penalised(theta, out), out["machines"]

    @staticmethod
    def _needs_null(problem):
        family = problem.family
        return family.context is None and (family.name == "gaussian" or not problem.design.intercept)


def combine(machines, index, problem) -> Combined:
    """Information-weighted combination of local fits (in linear models, least squares on all rows)."""
    H = sum(m["H"] for m in machines)
    factor = Factor(H)
    wlse = factor.solve(sum(m["H"] @ m["theta"] for m in machines))
    Q = float(sum((m["theta"] - wlse) @ m["H"] @ (m["theta"] - wlse) for m in machines))
    n = sum(m["n"] for m in machines)
    phi = 1.0
    if problem.family.dispersion != "known":
        # The residual sum of squares of all rows: within machines, and between their estimates.
        phi = (sum(m["pearson"] for m in machines) + Q) / max(n - factor.rank, 1)
    return Combined(machines, index, H, factor, wlse, Q, phi, n)


def pooled_evaluation(problem, combined, theta) -> Evaluation:
    """Sums at θ, to second order, from the sums at the local estimates."""
    machines = combined.machines
    informations = [m.get("H_rows", m["H"]) for m in machines]
    H = sum(informations)
    moved = float(
        sum(
            (m["theta"] - theta) @ h @ (m["theta"] - theta)
            for m, h in zip(machines, informations, strict=True)
        )
    )
    sums = {key: reduce(add, [m["sums"][key] for m in machines]) for key in machines[0]["sums"]}
    sums["loss"] += moved / 2
    sums["deviance"] += moved
    sums["pearson"] += moved if problem.family.dispersion != "known" else 0.0
    weight = sum(m["weight"] for m in machines)
    y = sum(np.asarray(m["y"]) for m in machines)
    null = None
    if machines[0]["null"] is not None:
        deviance = sum(m["null"]["deviance"] for m in machines)
        if problem.design.intercept:
            offset = any(m["offset"] for m in machines)
            score = sum(m["null_score"] for m in machines) if offset else float(np.asarray(y)[0])
            deviance -= score**2 / weight
        null = {"deviance": deviance}
    elif any(m["offset"] for m in machines):
        null = {"deviance": np.nan}  # with an offset the null model has no closed form
    read, missing = combined.read
    return Evaluation(
        theta, sum(m["loss"] for m in machines) + moved / 2, None, H, combined.n, read, missing, weight,
        sums["pearson"], sums, null, y=y, n_rows=sum(m["n_rows"] for m in machines),
    )  # fmt: skip


def partition_meat(scores) -> np.ndarray:
    """Sum over machines of the outer product of scores, with K/(K − 1)."""
    K = len(scores)
    if K < 2:
        raise ValueError("cov_type='partition' needs at least 2 machines: there is nothing to compare")
    if K < 20:
        warnings.warn(
            f"cov_type='partition' with {K} machines: its errors vary much; twenty machines are few enough",
            UserWarning,
            stacklevel=6,
        )
    G = np.array(scores)
    return G.T @ G * (K / (K - 1))


def summary_covariance(problem, combined, e, theta):
    """Covariance of an estimate that is efficient: inverse information, or a sandwich around it."""
    phi, factor = combined.phi, combined.factor
    if problem.cov_type == "nonrobust":
        return phi * factor.inverse()
    if problem.cov_type == "partition":
        inverse = factor.inverse()
        scores = [m["H"] @ (m["theta"] - theta) for m in combined.machines]
        return inverse @ partition_meat(scores) @ inverse
    return covariance_of(problem, factor, e.information, e.meat, phi, e.n)


def label(problem, k):
    """What the machine at position ``k`` is called."""
    labels = problem.machines
    return int(k) if labels is None else labels[k]


def identified(problem, c):
    """Refuse machines whose local estimate does not exist."""
    for k, m in zip(c.index, c.machines, strict=True):
        if m["rank"] < c.factor.rank:
            raise ValueError(
                f"partition {label(problem, k)!r} identifies {m['rank']} of {c.factor.rank} coefficients, so that its "
                "estimate cannot be averaged; use LeastSquaresApproximation(), which needs no local estimate, or Exact()"
            )


def aggregated(kind, c, estimates, share):
    """Mean of the local ``estimates``, weighted or robust, and which machines it kept."""
    kept = np.isfinite(estimates).all(axis=1)
    if not kept.any():
        raise ValueError("no machine has a finite estimate: every partition was rejected")
    if kind == "mean":
        return share[kept] @ estimates[kept] / share[kept].sum(), kept
    metric = np.median([m["H"] for m in c.machines], axis=0) / _typical_dispersion(c)
    used = np.ones(len(metric), bool) if c.factor.keep is None else c.factor.keep
    B, metric = estimates[np.ix_(kept, used)], metric[np.ix_(used, used)]
    theta = np.zeros(estimates.shape[1])
    if kind != "screened":
        theta[used] = robust_mean(kind, B, metric)
        return theta, kept
    size = np.array([m["n"] for m in c.machines], float)[kept]
    theta[used], near = screened(B, metric, share[kept], size / size.mean())
    if not near.any():
        raise ValueError("every partition was rejected: no two machines agree")
    kept[kept] = near
    return theta, kept


def _typical_dispersion(c):
    """Dispersion that wrong machines cannot move: the median of the machines' own."""
    own = [m["pearson"] / max(m["n"] - m["rank"], 1) for m in c.machines]
    typical = float(np.median(own))
    return typical if c.phi != 1.0 and typical > 0 else 1.0


def keeping(c, kept, problem) -> Combined:
    """The machines that were kept, combined."""
    machines = [m for m, keep in zip(c.machines, kept, strict=True) if keep]
    fewer = combine(machines, c.index[kept], problem)
    fewer.read = c.read
    return fewer


def machine_results(problem, c, tests) -> dict:
    """Further results of the plans over machines: a table of them, and how much each coefficient differs."""
    return {
        "partitions": partition_table(problem, c, tests),
        "heterogeneity": heterogeneity_table(problem, c),
    }


def partition_table(problem, combined, scores=None):
    """One line a machine."""
    import pandas as pd

    machines = combined.machines
    table = {
        "partition": [label(problem, k) for k in combined.index],
        "rows": [m["n"] for m in machines],
        "events": [m["events"] for m in machines],
        "rank": [m["rank"] for m in machines],
        "condition": [m["condition"] for m in machines],
        "iterations": [m["rounds"] for m in machines],
        "converged": [m["converged"] for m in machines],
        "separated": [m["separated"] for m in machines],
        "firth": [m["firth"] for m in machines],
        "share": [float(np.trace(m["H"]) / np.trace(combined.H)) for m in machines],
    }
    if scores is not None:
        table["score_test"] = [float(s) for s in scores]
    return pd.DataFrame(table)


def heterogeneity_table(problem, combined):
    """Cochran's Q of every coefficient over the machines that identify it, its law, and I²."""
    import pandas as pd
    from scipy import stats

    T, q = problem.unscale(), problem.size
    T = np.kron(np.eye(problem.family.predictors), T) if problem.family.predictors > 1 else T
    values = np.full((len(combined.machines), q), np.nan)
    variances = np.full_like(values, np.nan)
    for k, m in enumerate(combined.machines):
        if m["rank"] < q:
            continue
        values[k] = T @ m["theta"]
        variances[k] = combined.phi * np.diag(T @ Factor(m["H"]).inverse() @ T.T)
    seen = np.isfinite(variances) & (variances > 0)
    weight = np.where(seen, 1 / np.where(seen, variances, 1.0), 0.0)
    filled = np.where(seen, values, 0.0)
    total = weight.sum(axis=0)
    mean = (weight * filled).sum(axis=0) / np.where(total > 0, total, 1.0)
    Q = (weight * (filled - mean) ** 2).sum(axis=0)
    df = seen.sum(axis=0) - 1
    Q = np.where(df > 0, Q, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(Q > 0, np.maximum(0.0, 1 - df / Q), 0.0)
        p = stats.chi2.sf(Q, df)
    columns = {"Q": Q, "df": df, "p": p, "I2": np.where(df > 0, share, np.nan)}
    return pd.DataFrame(columns, index=problem.internal_names)


def line(number, started, name) -> dict:
    """A line of the history."""
    return {
        "round": number, "loss": np.nan, "decrement": np.nan, "halvings": 0,
        "seconds": time.perf_counter() - started, "step": name,
    }  # fmt: skip
