"""What plans of few rounds share: machines from partitions, local fits combined, and an honest report."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from statkit.exceptions import BiasWarning, HeterogeneityWarning
from statkit.plans._report import covariance_of, report
from statkit.plans.plan import Plan
from statkit.rounds.machines import LocalOptions, local_fit, machine_scores, portable
from statkit.rounds.problem import Evaluation
from statkit.rounds.tasks import Want
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult

__all__ = ["Combined", "MachinePlan"]


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

    serves_context = serves_thresholds = True
    n_partitions = None
    partition_by = None
    shuffle = False

    def regrouped(self, source, seed):
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
        if family.n_shape and not len(problem.shape):
            raise ValueError(
                f"{type(self).__name__} needs the shape parameter of the {family.name} family, for instance "
                "NegativeBinomial(alpha=…) or Huber(scale=…); Exact() estimates it"
            )

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
        for line in lines:
            if line["verdict"] == "FAIL" and line["advice"]:
                kind = HeterogeneityWarning if line["name"].startswith("heterogeneity") else BiasWarning
                warnings.warn(f"{line['name']} = {line['value']:.3g}: {line['advice']}", kind, stacklevel=5)
        if covariance is not None:
            known["covariance"] = covariance
        if problem.family.name == "cox":
            from statkit.plans._cox import within_machines

            known["kind"], extra, notes = within_machines(problem, combined, e, extra)
            known["notes"] = [*known.pop("notes", problem.design.notes), *notes]
        return report(problem, self, result, diagnostics=lines, extra=extra, **known)

    def _certificate(self, problem, theta, information=True):
        """One round at θ: the evaluation, and every machine's (score, information, weight, n)."""
        null = (
            problem.null_theta(*problem.response())[:: problem.width] if self._needs_null(problem) else None
        )
        out = problem.session.round(
            machine_scores, problem.family, theta, problem.shape, problem.center, problem.scale, null,
            Want(information=information, sums=True, meat=problem.meat),
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
    moved = float(sum((m["theta"] - theta) @ m["H"] @ (m["theta"] - theta) for m in machines))
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
        theta, sum(m["loss"] for m in machines) + moved / 2, None, combined.H, combined.n, read, missing, weight,
        sums["pearson"], sums, null, None, None, y, sum(m["n_rows"] for m in machines),
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


def partition_table(problem, combined, scores=None):
    """One line a machine."""
    import pandas as pd

    labels = getattr(problem, "machines", None)
    machines = combined.machines
    table = {
        "partition": [labels[k] if labels is not None else int(k) for k in combined.index],
        "rows": [m["n"] for m in machines],
        "events": [m["events"] for m in machines],
        "rank": [m["rank"] for m in machines],
        "iterations": [m["rounds"] for m in machines],
        "converged": [m["converged"] for m in machines],
        "separated": [m["separated"] for m in machines],
        "firth": [m["firth"] for m in machines],
        "share": [float(np.trace(m["H"]) / np.trace(combined.H)) for m in machines],
    }
    if scores is not None:
        table["score_test"] = [float(s) for s in scores]
    return pd.DataFrame(table)


def line(number, started, name) -> dict:
    """A line of the history."""
    return {
        "round": number, "loss": np.nan, "decrement": np.nan, "halvings": 0,
        "seconds": time.perf_counter() - started, "step": name,
    }  # fmt: skip
