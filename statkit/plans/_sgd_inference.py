"""Errors of averaged stochastic gradients: which way there is, and the covariance from what was collected."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from math import ceil, log2
from types import SimpleNamespace

import numpy as np
from scipy.linalg import solve_continuous_lyapunov

from statkit.exceptions import DriftWarning
from statkit.plans import _sgd_kernels as k
from statkit.plans._report import report
from statkit.plans._sgd_pilot import MOST_COLUMNS
from statkit.plans._sgd_theta import theta_now
from statkit.results.covariance import cluster_covariance, hc0_covariance
from statkit.rounds.problem import Evaluation
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import NewtonResult

__all__ = ["Inference", "choose", "finish_stream", "merge_states"]

WAYS = ("auto", "plugin", "rs", "rs_diag", "obm", "ibm", "tbatch", "bootstrap", "higrad", "hulc", None)
_MODES = {
    "rs": k.SCALING, "rs_diag": k.SCALING_DIAGONAL, "obm": k.OVERLAPPING, "ibm": k.INCREASING,
    "tbatch": k.EQUAL,
}  # fmt: skip
_NOTES = {
    "plugin": "Errors: plug-in sandwich from information and score products at the iterates.",
    "rs": "Errors: random scaling; t-values, p-values and limits by its exact distribution, not the normal.",
    "rs_diag": "Errors: random scaling without covariances; p-values and limits by its exact distribution.",
    "obm": "Errors: overlapping batch means of the iterates, which cover less than they say unless there are many.",
    "ibm": "Errors: increasing batch means of the iterates, which cover less than they say unless there are many.",
    "tbatch": "Errors: means of {blocks} equal blocks of iterates, Student's t.",
    "bootstrap": "Errors: spread of {chains} chains with rows weighted 0 or 2 at random.",
    "higrad": "Errors: spread of {threads} threads of a tree of segments, Student's t.",
    "hulc": "Limits: extremes of {chains} independent chains, valid for any estimator without median bias.",
}  # fmt: skip
_PLUGIN_COLUMNS = 1_000
_FULL_SCALING = 200


@dataclass(frozen=True)
class Inference:
    """How errors are found.

    Attributes
    ----------
    name : str or None
    mode : int
        Of `_sgd_kernels`.
    chains : int
        Paths that run side by side.
    why : str
        Why there are none.
    """

    name: str | None
    mode: int = k.NOTHING
    chains: int = 1
    why: str = ""


def choose(plan, problem) -> Inference:
    """What the plan asks for, as far as theory goes."""
    asked = plan.inference
    if asked not in WAYS:
        raise ValueError(
            f"AveragedSGD(inference=…) must be one of {', '.join(map(repr, WAYS))}, not {asked!r}"
        )
    if asked is None:
        return Inference(None, why="no inference was asked for")
    Q, smooth = problem.size, problem.family.curved
    why = _no_theory(plan, problem)
    if asked == "hulc":
        if not 0 < plan.level < 1:
            raise ValueError(f"AveragedSGD(level=…) must lie in (0, 1), not {plan.level!r}")
        return Inference("hulc", chains=ceil(log2(2.0 / (1.0 - plan.level)) - 1e-12))
    if why:
        return Inference(None, why=why)
    several = plan.n_passes > 1
    name = asked
    if asked == "auto":
        name = "plugin" if smooth and Q <= _PLUGIN_COLUMNS else "rs" if Q <= _FULL_SCALING else "rs_diag"
        if several and name != "plugin":
            return Inference(None, why="the path of several passes over the same rows has no theory")
    if name == "plugin" and not smooth:
        raise ValueError(
            f"inference='plugin' needs the curvature of the loss, which that of {problem.family.name} has not: use 'rs'"
        )
    if name != "plugin":
        if several:
            raise ValueError(
                f"inference={name!r} reads errors off the path of one pass; with n_passes={plan.n_passes} use 'plugin' "
                "or refine='newton'"
            )
        if not plan.average or plan.average_power:
            raise ValueError(f"inference={name!r} is about the plain mean of the iterates: set average=True, "
                             "average_power=0")  # fmt: skip
    if name in ("ibm", "higrad") and problem.session is None:
        raise ValueError(
            f"inference={name!r} cuts the rows in advance and must know how many there are: use fit, or 'rs'"
        )
    if Q > MOST_COLUMNS and name != "rs_diag":
        raise ValueError(
            f"inference={name!r} keeps a matrix of {Q:,}² numbers: use 'rs_diag' or 'hulc', which keep vectors"
        )
    if name == "higrad":
        tree = plan.tree
        if not (len(tree) >= 1 and all(isinstance(b, (int, np.integer)) and b >= 2 for b in tree)):
            raise ValueError(f"AveragedSGD(tree=…) must hold integers >= 2, not {tree!r}")
    return Inference(name, _MODES.get(name, k.NOTHING), 1 + plan.n_chains if name == "bootstrap" else 1)


def _no_theory(plan, problem) -> str:
    """Why this descent has no limit law to take errors from; empty where it has one."""
    if plan.code in (k.ADAGRAD, k.RMSPROP, k.ADAM, k.AMSGRAD):
        return (
            f"no theory gives the errors of {plan.method}, whose steps depend on the path; refine='newton' or "
            "inference='hulc' do"
        )
    quadratic = problem.family.quadratic
    if plan.learning_rate in ("exponential", "step"):
        return f"steps that fall as learning_rate={plan.learning_rate!r} stop before the start is forgotten"
    if plan.learning_rate == "constant":
        if not plan.average:
            return "the last iterate of a constant rate does not settle"
        return (
            ""
            if quadratic
            else "a constant rate leaves a bias of its own order in a loss that is not quadratic"
        )
    if not plan.average:
        if plan.power == 1 and plan.learning_rate in ("auto", "power") and plan.code in (k.SGD, k.IMPLICIT):
            return "" if problem.family.curved else "the last iterate's errors need the curvature of the loss"
        return "the last iterate has a limit law for power=1 and method='sgd' or 'implicit' only"
    if not 0.5 < plan.power < 1:
        return f"averages need 1/2 < power < 1, not {plan.power:g}"
    return ""


# -- estimate -------------------------------------------------------------------------------------------------------


def finish_stream(plan, problem, state):
    """The Estimate of a state without rows that wait."""
    problem = problem.with_scaling(state.center, state.scale)
    theta = theta_now(state, plan)
    Q, inference = problem.size, state.inference
    n, T = state.n, int(state.chains.counts[0, 1])
    information = state.information
    factor = SimpleNamespace(rank=Q, keep=None)
    known: dict = {}
    notes = [_NOTES[inference.name]] if inference.name else []
    covariance = public = None
    extra: dict = {}
    if inference.name == "plugin":
        diagonal = problem.penalty(state.weight)
        A = information if diagonal is None else information + np.diag(diagonal)
        factor = Factor(A)
        theta = _without_aliased(theta, A, factor)
        covariance = _plugin(plan, problem, state, A, factor, T)
    elif inference.mode in (k.SCALING, k.SCALING_DIAGONAL):
        known["reference"] = "random scaling"
        if inference.mode == k.SCALING:
            covariance = _scaling(state.memory, state.chains.mean[0], T)
        else:
            public = _scaling_diagonal(problem, state, theta, T)
    elif inference.mode == k.OVERLAPPING:
        covariance = _overlapping(state.memory, state.chains.mean[0], T)
    elif inference.mode == k.INCREASING:
        covariance = _increasing(state.memory, T)
    elif inference.mode == k.EQUAL:
        covariance, blocks = _equal(state.memory)
        known.update(reference="t", df_resid_inference=blocks - 1)
        notes = [notes[0].format(blocks=blocks)]
    elif inference.name == "bootstrap":
        away = state.chains.mean[1:] - state.chains.mean[0]
        covariance = away.T @ away / len(away)
        notes = [notes[0].format(chains=len(away))]
    elif inference.name == "higrad":
        threads, sigma = state.tree.threads()
        L, d = len(threads), threads - threads.mean(axis=0)
        covariance = sigma.sum() / L**2 * (d.T @ np.linalg.solve(sigma, d)) / (L - 1)
        known.update(reference="t", df_resid_inference=L - 1)
        notes = [notes[0].format(threads=L)]
    elif inference.name == "hulc":
        extra["chains"] = [problem.public_values(mean).tolist() for mean in state.chains.mean]
        known["reference"] = "chains"
        notes = [notes[0].format(chains=len(state.chains.mean))]
    why = inference.why
    if covariance is None and public is None:
        public = np.full(len(problem.design.names) * problem.family.predictors, np.nan)
        why = why or "the extremes of independent chains are limits without a standard error"
    at = Evaluation(
        theta, state.loss, None, information, n, state.n_read, state.n_missing, state.weight,
        state.sums.get("pearson"), state.sums, None, state.meat, None, state.y, state.n_rows,
    )  # fmt: skip
    result = NewtonResult(theta, at, factor, np.nan, True, np.zeros(Q, bool), state.history)
    passes = f"{plan.n_passes} passes" if plan.n_passes > 1 else "One pass"
    notes.append(f"{passes}: log-likelihood and deviance are sums at the iterates, not at the estimate.")
    if state.metric.kind == 0 and plan.precondition != "none":
        notes.append(f"Too many columns for precondition={plan.precondition!r}: gradients as they are.")
    lines = _drift(plan, problem, state, theta, covariance, information)
    with warnings.catch_warnings():
        if information is None:
            warnings.simplefilter("ignore", RuntimeWarning)
        estimate = report(
            problem, plan, result, covariance=covariance, public_covariance=public, notes=notes,
            diagnostics=lines, n_passes=float(plan.n_passes), extra=extra,
            cov_type=_label(plan, problem, inference), **known,
        )  # fmt: skip
    if why:
        estimate.why_nan.update({name: why for name in problem.design.names if name not in estimate.why_nan})
    return estimate


def _label(plan, problem, inference) -> str:
    if inference.name == "plugin":
        return "cluster" if problem.cov_type == "cluster" else "plug-in sandwich"
    return {
        None: "none", "rs": "random scaling", "rs_diag": "random scaling, diagonal", "obm": "overlapping batch means",
        "ibm": "increasing batch means", "tbatch": "equal batch means", "bootstrap": "online bootstrap",
        "higrad": "HiGrad", "hulc": "HulC",
    }[inference.name]  # fmt: skip


def _without_aliased(theta, A, factor):
    """Columns that depend on earlier ones share their part with them: NaN there, the same fit elsewhere."""
    if factor.keep is None:
        return theta
    keep = factor.keep
    rest = np.where(keep, 0.0, theta)
    moved = theta + factor.solve(A @ rest)
    return np.where(keep, moved, np.nan)


def _plugin(plan, problem, state, A, factor, T):
    meat = state.meat
    cluster = not isinstance(meat, np.ndarray)
    bread = A
    if factor.keep is not None:
        bread = A.copy()
        bread[~factor.keep] = np.nan
        bread[:, ~factor.keep] = np.nan
    if cluster:
        return cluster_covariance(bread, meat.meat(), state.n, len(getattr(meat, "labels", meat.meat())))
    if plan.average:
        return hc0_covariance(bread, meat)
    # The last iterate of steps γ₁ M / t: (γ₁MA − ½)V + V(γ₁AM − ½) = γ₁² MSM/B, and V/T is its covariance.
    n, B = state.n, plan.batch_size
    M = np.linalg.inv(state.metric.H)
    drift = state.eta0 * M @ (A / n) - 0.5 * np.eye(len(A))
    if np.linalg.eigvals(drift).real.min() <= 0:
        raise ValueError(
            "the last iterate has no limit law at this rate: γ₀ times the least eigenvalue of the preconditioned "
            f"information must exceed 1/2; raise eta0 above {state.eta0:.3g}"
        )
    noise = state.eta0**2 * M @ (meat / n) @ M / B
    return solve_continuous_lyapunov(drift, noise) / max(int(state.chains.counts[0, 0]), 1)


def _scaling(memory, mean, T):
    u = memory.vector
    V = memory.matrix - np.outer(u, mean) - np.outer(mean, u) + memory.numbers[0] * np.outer(mean, mean)
    return V / float(T) ** 3


def _scaling_diagonal(problem, state, theta, T):
    """Variances in public order; the sums are those of raw coefficients."""
    memory = state.memory
    raw = theta.reshape(problem.family.predictors, -1).copy()
    own = raw.copy()
    units = np.ones(problem.width)
    if problem.scale.size:
        M = problem.unscale()
        own[:, 0] = (raw @ M.T)[:, 0] if problem.design.intercept else raw[:, 0]
        units = np.diag(M)
    own = own.ravel()
    V = memory.matrix[0] - 2.0 * memory.vector * own + memory.numbers[0] * own * own
    V = np.maximum(V, 0.0).reshape(problem.family.predictors, -1) * units**2 / float(T) ** 3
    names = len(problem.design.names)
    full = np.full((problem.family.predictors, names), np.nan)
    full[:, problem.design.position] = V
    return full.ravel()


def _overlapping(memory, mean, T):
    P, (length, square) = memory.vector, memory.numbers[:2]
    V = memory.matrix - np.outer(P, mean) - np.outer(mean, P) + square * np.outer(mean, mean)
    return V / length / T


def _increasing(memory, T):
    size = memory.run[1:]
    used = size > 0
    means = memory.matrix[1:][used] / size[used, None]
    total = np.average(means, axis=0, weights=size[used])
    away = means - total
    return (away.T * size[used]) @ away / used.sum() / T


def _equal(memory):
    """Covariance of the mean of complete equal blocks, and how many there are."""
    blocks = int(memory.counters[0]) + int(memory.counters[1] == memory.counters[2])
    if blocks < 2:
        return np.full((memory.matrix.shape[1],) * 2, np.nan), 2
    means = memory.matrix[:blocks] / memory.counters[2]
    away = means - means.mean(axis=0)
    return away.T @ away / (blocks - 1) / blocks, blocks


def _drift(plan, problem, state, theta, covariance, information):
    """Compare the mean at some doubling of the rows with that of all: rows of one law differ by their errors only."""
    if state.inference.name != "plugin" or not plan.average or plan.n_passes > 1 or covariance is None:
        return []
    past = [(n, mean) for n, mean in state.snapshots if n <= 0.75 * state.n_rows]
    if not past or np.isnan(theta).any():
        return []
    n, mean = past[-1]
    away = theta - mean
    spread = covariance * (state.n_rows / n - 1.0)
    factor = Factor(spread)
    statistic = float(away @ factor.solve(away))
    from scipy.special import chdtrc

    p = float(chdtrc(factor.rank, statistic))
    drifts = p < 1e-6 and statistic > 5 * factor.rank
    if drifts:
        warnings.warn(
            f"drift: the mean of the first {n:,} rows and that of all {state.n_rows:,} differ by "
            f"{np.sqrt(statistic / factor.rank):.1f} times what their errors allow (chi2({factor.rank}) = "
            f"{statistic:.0f}): the rows' order matters, and errors of one pass mean nothing; shuffle=True, "
            "refine='newton', or Exact()",
            DriftWarning,
            stacklevel=6,
        )
    return [{
        "name": f"drift after row {n:,}", "value": statistic / factor.rank, "verdict": "FAIL" if drifts else "ok",
        "advice": "the order of the rows matters: shuffle=True or refine='newton'" if drifts else "",
    }]  # fmt: skip


# -- merge --------------------------------------------------------------------------------------------------------


def merge_states(plan, problem, a, b):
    """The state of two independent streams; sums add, paths are averaged with their rows as weights."""
    from statkit.plans._sgd_state import flushed

    if a.inference.name not in ("plugin", "bootstrap", None):
        raise ValueError(
            f"inference={a.inference.name!r} is read off one path, which two streams do not have: merge streams with "
            "inference='plugin'"
        )
    a, b = flushed(plan, problem, a).copy(), flushed(plan, problem, b).copy()
    theta_now(a, plan), theta_now(b, plan)
    M = np.eye(problem.size)
    if not (np.array_equal(a.center, b.center) and np.array_equal(a.scale, b.scale)):
        one, other = (problem.with_scaling(s.center, s.scale).unscale() for s in (a, b))
        M = np.kron(np.eye(problem.family.predictors), np.linalg.solve(other, one))
    share = b.n / max(a.n + b.n, 1)
    back = np.linalg.inv(M)
    for name in ("b", "mean"):
        mine, theirs = getattr(a.chains, name), getattr(b.chains, name)
        mine += share * (theirs @ back.T - mine)
    a.chains.counts += b.chains.counts
    if a.drift is not None:
        a.drift = a.chains.counts[0, 1] * (a.chains.mean[0] - a.chains.b[0])
        a.last[:] = a.chains.counts[0, 1]
    information, meat = a.information, a.meat
    if information is not None and b.information is not None:
        information = information + M.T @ b.information @ M
        meat = meat + M.T @ b.meat @ M if isinstance(meat, np.ndarray) else meat.merge(_moved(b.meat, M))
    sums = {name: _plus(a.sums.get(name), b.sums.get(name)) for name in {**a.sums, **b.sums}}
    return replace(
        a, information=information, meat=meat, n=a.n + b.n, n_rows=a.n_rows + b.n_rows, n_read=a.n_read + b.n_read,
        n_missing=a.n_missing + b.n_missing, weight=a.weight + b.weight, loss=a.loss + b.loss, y=_plus(a.y, b.y),
        sums=sums, n_batches=a.n_batches + b.n_batches, batches=a.batches + b.batches, snapshots=[],
    )  # fmt: skip


def _moved(meat, M):
    from statkit.rounds.tasks import GroupSums

    return GroupSums(meat.labels, meat.sums @ M)


def _plus(a, b):
    if a is None or b is None:
        return b if a is None else a
    return a.merge(b) if hasattr(a, "merge") else a + b
