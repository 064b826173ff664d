"""State of a stream in information form, and how a batch changes it.

All rows so far are summarised by (A, v): A is their information, each batch's at the estimate of its own time, and
v = S + Aθ with their score S there, so that the estimate solves Aθ = v. Summaries of independent streams add.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from statkit.design.block import concatenate
from statkit.rounds.tasks import GroupSums, Want, column_scaling, evaluate, response_sums
from statkit.solvers.cholesky import Factor
from statkit.solvers.newton import newton

__all__ = ["StreamState", "merge_states", "update_state"]

# A step this long (root mean square, in standard errors) is followed by another evaluation of the batch; after a
# shorter one the batch's score is its linearisation, whose error is of the square of the step times its share.
_LONG_STEP = 0.3
_MOST_STEPS = 25
# Columns with less information than this (of scaled columns) are held by a prior while a batch is solved, so that
# the first few rows of a rare level cannot carry it away. The prior does not enter the summary.
_THIN, _PRIOR = 25.0, 0.25
# The retained rows are visited again whenever the stream has grown by this factor.
_REVISIT = 1.25


@dataclass
class StreamState:
    """What a stream remembers.

    Attributes
    ----------
    theta : ndarray of shape (q,) or None
        Estimate in internal coordinates; None before the first solve.
    A, v : ndarray
        Information and information-weighted estimate of all absorbed rows but those in ``buffer``.
    buffer : Block or None
        First rows, kept as they are; ``buffer_A``, ``buffer_v`` are their summary at the last visit.
    pending : list of Block
        Rows that wait for enough others to start.
    n : int
        Rows of positive weight absorbed.
    history : list of dict
        A line for every absorbed batch.
    """

    center: np.ndarray
    scale: np.ndarray
    q: int
    theta: Any = None
    A: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    v: np.ndarray = field(default_factory=lambda: np.zeros(0))
    buffer: object = None
    buffer_A: np.ndarray | None = None
    buffer_v: np.ndarray | None = None
    visited: int = 0
    pending: list = field(default_factory=list)
    n: int = 0
    n_effective: float = 0.0
    weight: float = 0.0
    n_rows: int = 0
    n_read: int = 0
    n_missing: int = 0
    y: Any = None
    loss: float = 0.0
    pearson: float = 0.0
    sums: dict = field(default_factory=dict)
    meat: object = None
    n_batches: int = 0
    history: list = field(default_factory=list)
    drifted: int = 0

    def total(self) -> tuple[np.ndarray, np.ndarray]:
        """(A, v) of all absorbed rows."""
        if self.buffer_A is None:
            return self.A, self.v
        return self.A + self.buffer_A, self.v + self.buffer_v


def first_state(problem, block) -> StreamState:
    """An empty stream whose columns are scaled as the first rows suggest."""
    scaling = column_scaling(block) if len(block.dense) else {"center": np.empty(0), "scale": np.empty(0)}
    q = problem.size
    return StreamState(scaling["center"], scaling["scale"], q, A=np.zeros((q, q)), v=np.zeros(q))


def update_state(plan, problem, state: StreamState, block) -> StreamState:
    """The state after one more batch; ``state`` itself stays as it is."""
    state = replace(
        state, pending=list(state.pending), sums=dict(state.sums), history=list(state.history),
        n_read=state.n_read + block.n_read, n_missing=state.n_missing + block.n_missing,
    )  # fmt: skip
    if block.n_rows == 0:
        return state
    if state.theta is None:
        state.pending.append(block)
        if sum(b.n_rows for b in state.pending) < plan.first_rows(state.q):
            return state
        block = concatenate(state.pending)
        state.pending = []
        _start(plan, problem, state, block)
    else:
        _absorb(plan, problem, state, block)
    return state


def _evaluate(problem, state, block, theta, meat=None):
    want = Want(sums=True, meat=meat)
    return evaluate(block, problem.family, theta, problem.shape, state.center, state.scale, None, want)


def _start(plan, problem, state, block):
    """Fit the first rows properly: everything later leans on them."""
    family = problem.family
    local = problem.local_with(block, state.center, state.scale)
    sums = response_sums(block, family.predictors + 1)
    start = local.null_theta(sums["y"], sums["weight"])
    prior = np.full(state.q, 0.0 if plan.newton == "full" or family.quadratic else 1e-6)
    fit = newton(
        lambda theta, _: local.evaluate(theta), start, tol=1e-12, max_rounds=50, prior=prior,
        dispersion=local.dispersion, may_separate=local.may_separate,
    )  # fmt: skip
    theta = np.where(np.isnan(fit.theta), 0.0, fit.theta)
    if fit.separated.any():
        _warn_separated()
        prior = np.where(fit.separated, _PRIOR, prior)
        fit = newton(lambda theta, _: local.evaluate(theta), start, tol=1e-12, max_rounds=50, prior=prior)
        theta = np.where(np.isnan(fit.theta), 0.0, fit.theta)
    state.theta = theta
    keep = min(block.n_rows, plan.buffer_rows if plan.forgetting == 1.0 else 0)
    rest = block
    if keep:
        state.buffer = block.take(slice(0, keep))
        rest = block.take(slice(keep, block.n_rows)) if keep < block.n_rows else None
        out = _evaluate(problem, state, state.buffer, theta, problem.meat)
        state.buffer_A, state.buffer_v = out["information"], out["gradient"] + out["information"] @ theta
        _account(state, out)
    if rest is not None:
        out = _evaluate(problem, state, rest, theta, problem.meat)
        state.A = out["information"]
        state.v = out["gradient"] + out["information"] @ theta
        _account(state, out)
    state.visited = state.n
    _line(state, block.n_rows, np.nan, 0, np.nan, state.loss / max(state.weight, 1e-300), 1)


def _absorb(plan, problem, state, block):
    if plan.forgetting < 1.0:
        f = plan.forgetting
        state.A, state.v = f * state.A, f * state.v
        state.n_effective *= f
        if state.meat is not None and isinstance(state.meat, np.ndarray):
            state.meat = f * f * state.meat
    A, v = state.total()
    b0 = state.theta
    first = out = _evaluate(problem, state, block, b0)
    phi = _dispersion(problem, state)
    penalty = _thin(plan, problem, A + first["information"]) + _ridge(problem, state, first["weight"])
    factor = Factor(A + first["information"] + np.diag(penalty), tolerance=1e-13)
    statistic, df, p = _drift(factor, first, phi, block.n_rows)
    if plan.alarmed(state, statistic, df, p) and plan.on_drift == "skip":
        _line(state, block.n_rows, statistic, df, p, first["loss"] / max(first["weight"], 1e-300), 0)
        return
    theta, steps = b0, 0
    while True:
        if steps:
            factor = Factor(A + out["information"] + np.diag(penalty), tolerance=1e-13)
        gradient = out["gradient"] + v - A @ theta - penalty * theta
        step = factor.solve(gradient)
        theta = theta + step
        steps += 1
        length = np.sqrt(max(float(gradient @ step), 0.0) / phi / max(factor.rank, 1))
        if plan.newton == "full":
            if length < 1e-7 or steps >= _MOST_STEPS:
                break
        elif length < _LONG_STEP or steps >= _MOST_STEPS:
            break
        new = _evaluate(problem, state, block, theta)
        halvings = 0
        while not _objective(A, b0, new["loss"], theta, v) <= _objective(
            A, b0, out["loss"], theta - step, v
        ) + 1e-9 * (1 + abs(out["loss"])):
            step, halvings = step / 2, halvings + 1
            theta = theta - step
            new = _evaluate(problem, state, block, theta)
            if halvings > 30:
                break
        out = {**out, **{k: new[k] for k in ("loss", "gradient", "information")}}
    at = theta - step  # where `out` was evaluated
    if plan.newton == "full" or problem.meat:
        out = _evaluate(problem, state, block, theta, problem.meat)
        first = {**first, "meat": out.get("meat")}
        at = theta
    state.A = state.A + out["information"]
    state.v = state.v + out["gradient"] + out["information"] @ at
    state.theta = theta
    _account(state, first, drop=float(first["gradient"] @ (theta - b0)))
    if state.buffer is not None and state.n > _REVISIT * state.visited:
        _visit(plan, problem, state)
    _line(state, block.n_rows, statistic, df, p, first["loss"] / max(first["weight"], 1e-300), steps)


def _objective(A, b0, loss, theta, v):
    return loss + 0.5 * float(theta @ (A @ theta)) - float(v @ theta)


def _visit(plan, problem, state):
    """Take the exact score of the retained rows at today's estimate, and solve again."""
    for _ in range(2):
        out = _evaluate(problem, state, state.buffer, state.theta)
        state.buffer_A = out["information"]
        state.buffer_v = out["gradient"] + out["information"] @ state.theta
        A, v = state.total()
        P = _thin(plan, problem, A) + _ridge(problem, state, 0.0)
        before = state.theta
        state.theta = Factor(A + np.diag(P), tolerance=1e-13).solve(v)
        if np.abs(state.theta - before).max(initial=0.0) < 1e-8:
            break
    state.visited = state.n


def _thin(plan, problem, H):
    if problem.family.quadratic or plan.newton == "full":
        return np.zeros(len(H))
    thin = np.diag(H) < _THIN
    if problem.design.intercept:
        thin[:: problem.width] = False
    return _PRIOR * thin


def _ridge(problem, state, weight):
    diagonal = problem.penalty(state.weight + weight) if problem.alpha else None
    return 0.0 if diagonal is None else diagonal


def _drift(both, out, phi, n_rows):
    """Score test of the batch against everything before: s ~ N(0, H + H A⁻¹ H) if nothing changed."""
    s, H = out["gradient"], out["information"]
    if n_rows < 2 * len(s):
        return np.nan, 0, np.nan
    own = Factor(H)
    statistic = float(s @ own.solve(s) - s @ both.solve(s)) / phi
    from scipy.special import chdtrc

    statistic = max(statistic, 0.0)
    return statistic, own.rank, float(chdtrc(own.rank, statistic))


def _dispersion(problem, state):
    if problem.family.dispersion == "known":
        return 1.0
    left = state.n - np.count_nonzero(state.theta)
    return state.pearson / left if left > 0 and state.pearson > 0 else 1.0


def _account(state, out, drop=0.0):
    """Add a batch's counts and sums; ``drop`` corrects Pearson's statistic for the step that followed."""
    state.n += out["n"]
    state.n_rows += out["n_rows"]
    state.n_effective += out["n"]
    state.weight += out["weight"]
    state.loss += out["loss"]
    state.pearson += out["sums"]["pearson"] - drop
    state.y = out["y"] if state.y is None else state.y + out["y"]
    for name, value in out["sums"].items():
        if name in state.sums:
            old = state.sums[name]
            value = old.merge(value) if hasattr(old, "merge") else old + value
        state.sums[name] = value
    if out.get("meat") is not None:
        meat = out["meat"]
        if state.meat is None:
            state.meat = meat
        else:
            state.meat = state.meat.merge(meat) if isinstance(meat, GroupSums) else state.meat + meat
    state.n_batches += 1


def _line(state, n, statistic, df, p, loss, steps):
    line = {"batch": len(state.history) + 1, "n": n, "statistic": statistic, "df": df, "p": p}
    state.history.append({**line, "loss": loss, "steps": steps})


def _warn_separated():
    import warnings

    from statkit.exceptions import SeparationWarning

    warnings.warn(
        "the first rows of the stream are separated by some columns: these are held by a weak prior until later rows "
        "tell more",
        SeparationWarning,
        stacklevel=6,
    )


def merge_states(plan, problem, a: StreamState, b: StreamState) -> StreamState:
    """The state of two independent streams with the same scaling; retained rows of ``b`` become part of its summary."""
    if not (np.array_equal(a.center, b.center) and np.array_equal(a.scale, b.scale)):
        b = rescaled(problem, b, a.center, a.scale)
    A, v = b.total()
    merged = replace(
        a, A=a.A + A, v=a.v + v, pending=a.pending + b.pending, n=a.n + b.n,
        n_effective=a.n_effective + b.n_effective, n_rows=a.n_rows + b.n_rows, weight=a.weight + b.weight,
        n_read=a.n_read + b.n_read,
        n_missing=a.n_missing + b.n_missing, y=_plus(a.y, b.y), loss=a.loss + b.loss, pearson=a.pearson + b.pearson,
        sums=_added(a.sums, b.sums), meat=_plus(a.meat, b.meat), n_batches=a.n_batches + b.n_batches,
        history=a.history + b.history, drifted=a.drifted + b.drifted,
    )  # fmt: skip
    if a.theta is None and b.theta is None:
        return merged
    total, information = merged.total()
    P = _thin(plan, problem, total) + _ridge(problem, merged, 0.0)
    merged.theta = Factor(total + np.diag(P), tolerance=1e-13).solve(information)
    for part in (a, b):  # what fitting both together costs each
        if part.theta is not None:
            move = merged.theta - part.theta
            merged.pearson += float(move @ part.total()[0] @ move)
    return merged


def rescaled(problem, state, center, scale) -> StreamState:
    """The same summary with other centres and scales of the dense columns."""
    old, new = problem.with_scaling(state.center, state.scale), problem.with_scaling(center, scale)
    K = problem.family.predictors
    # raw = T_old θ_old = T_new θ_new, so θ_old = T_old⁻¹ T_new θ_new
    M = np.linalg.solve(old.unscale(), new.unscale())
    M = np.kron(np.eye(K), M) if K > 1 else M
    A, v = state.total()
    meat = state.meat
    if isinstance(meat, GroupSums):
        meat = GroupSums(meat.labels, meat.sums @ M)
    elif meat is not None:
        meat = M.T @ meat @ M
    theta = None if state.theta is None else np.linalg.solve(M, state.theta)
    return replace(
        state, center=center, scale=scale, A=M.T @ A @ M, v=M.T @ v, theta=theta, meat=meat, buffer=None,
        buffer_A=None, buffer_v=None,
    )  # fmt: skip


def _plus(a, b):
    if a is None or b is None:
        return b if a is None else a
    return a.merge(b) if hasattr(a, "merge") else a + b


def _added(a, b):
    return {name: _plus(a.get(name), b.get(name)) for name in {**a, **b}}
