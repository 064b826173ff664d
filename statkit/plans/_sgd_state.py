"""State of a stochastic gradient stream, and how rows change it.

Minibatches have a fixed number of rows counted from the first row of the stream, whatever the batches in which rows
arrive: rows that do not fill one wait. So the same rows give the same estimate bit for bit, however they come.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from statkit.design.block import concatenate
from statkit.families.row_link import link_code
from statkit.families.softmax import Softmax
from statkit.plans import _sgd_kernels as k
from statkit.plans._sgd_implicit import implicit_step
from statkit.plans._sgd_pilot import MOST_COLUMNS, Metric, make_metric, make_pilot
from statkit.plans._sgd_theta import theta_now
from statkit.plans._sgd_tree import Tree
from statkit.rounds.tasks import Want, column_scaling, evaluate, response_sums
from statkit.sampling import row_uniforms

__all__ = ["SGDState", "first_state", "flushed", "update_state"]

_EMPTY = np.empty(0)
_NO_CODES, _NO_MULTIPLIER = np.empty((0, 0), np.int32), np.empty((0, 0))
_NO_INDICES, _NO_INDPTR = np.empty(0, np.int32), np.zeros(1, np.int64)
# Rows between two returns to Python.
_PIECE = 8192
# After so many rows plug-in sums take one piece in four, at four times its weight: errors of a thousandth in the
# standard errors, for half of the time.
_PLENTY, _SHARE = 131_072, 4
# A mean loss this many times that of the start is no noise.
_DIVERGED = 1e4
_STREAM = 1000  # row uniforms of bootstrap chains have streams of their own from here


@dataclass
class Chains:
    """Paths of the descent, a row each: the arrays that kernels change in place."""

    b: np.ndarray
    velocity: np.ndarray
    second: np.ndarray
    top: np.ndarray
    mean: np.ndarray
    counts: np.ndarray

    @classmethod
    def at(cls, theta, n, method):
        Q = len(theta)
        some, more = method != k.SGD and method != k.IMPLICIT, method >= k.ADAGRAD
        return cls(
            np.tile(theta, (n, 1)), np.zeros((n, Q if some else 0)), np.zeros((n, Q if more else 0)),
            np.zeros((n, Q if method == k.AMSGRAD else 0)), np.tile(theta, (n, 1)), np.zeros((n, 2), np.int64),
        )  # fmt: skip

    def arrays(self, c):
        return self.b[c], self.velocity[c], self.second[c], self.top[c], self.mean[c], self.counts[c]

    def copy(self):
        return Chains(*(a.copy() for a in vars(self).values()))


@dataclass
class Memory:
    """What `_sgd_kernels._remember` collects."""

    mode: int
    matrix: np.ndarray
    vector: np.ndarray
    run: np.ndarray
    numbers: np.ndarray
    counters: np.ndarray
    bounds: np.ndarray

    @property
    def arrays(self):
        return tuple(vars(self).values())

    def copy(self):
        return Memory(self.mode, *(a.copy() for a in self.arrays[1:]))


@dataclass
class SGDState:
    """What a stream remembers.

    Attributes
    ----------
    theta : ndarray of shape (Q,) or None
        Estimate with every row so far, in internal coordinates; None before the first step.
    pending : list of Block
        Rows that wait for a pilot.
    rest : Block or None
        Rows that do not fill a minibatch.
    information, meat : ndarray or None
        Sums over rows at the iterates (plug-in).
    drift, last : ndarray or None
        Lazy averages of sparse rows.
    """

    center: np.ndarray
    scale: np.ndarray
    inference: Any
    theta: Any = None
    pending: list = field(default_factory=list)
    rest: Any = None
    metric: Metric | None = None
    start: Any = None
    eta0: float = np.nan
    reference: float = 1.0
    chains: Chains | None = None
    memory: Memory | None = None
    tree: Tree | None = None
    drift: Any = None
    last: Any = None
    batches: int = 0
    information: Any = None
    meat: Any = None
    n: int = 0
    n_rows: int = 0
    n_read: int = 0
    n_missing: int = 0
    n_batches: int = 0
    weight: float = 0.0
    loss: float = 0.0
    y: Any = None
    sums: dict = field(default_factory=dict)
    history: list = field(default_factory=list)
    snapshots: list = field(default_factory=list)

    def theta_now(self, plan):
        """The estimate, once no row waits."""
        return theta_now(self, plan)

    def copy(self) -> SGDState:
        """A state that shares no array that is changed in place."""
        other = copy.copy(self)
        for name in ("pending", "sums", "history", "snapshots"):
            setattr(other, name, copy.copy(getattr(self, name)))
        for name in ("chains", "memory", "tree", "drift", "last", "information"):
            value = getattr(self, name)
            setattr(other, name, None if value is None else value.copy())
        other.meat = self.meat.copy() if isinstance(self.meat, np.ndarray) else self.meat
        return other


def first_state(plan, problem, block, inference) -> SGDState:
    """An empty stream whose columns are scaled as the first rows suggest."""
    scaling = column_scaling(block) if len(block.dense) else {"center": _EMPTY, "scale": _EMPTY}
    return SGDState(scaling["center"], scaling["scale"], inference)


def update_state(plan, problem, state: SGDState, block) -> SGDState:
    """``state`` with the rows of ``block``, changed in place."""
    state.n_read += block.n_read
    state.n_missing += block.n_missing
    state.n_batches += state.chains is not None
    if block.weight is not None and block.n_rows and not (block.weight > 0).all():
        block = block.take(np.flatnonzero(block.weight > 0))
    if block.n_rows:
        if state.chains is None:
            state.pending.append(block)
            if sum(b.n_rows for b in state.pending) >= plan.first_rows(problem):
                _begin(plan, problem, state)
        else:
            _take(plan, problem, state, block)
    return state


def flushed(plan, problem, state: SGDState, *, sums: bool = True) -> SGDState:
    """A state in which no row waits: those left over make a last, smaller minibatch.

    Without ``sums`` only the path is brought up to date, as the estimate needs.
    """
    if state.chains is None and state.pending:
        state = state.copy()
        _begin(plan, problem, state)
    elif state.rest is not None:
        state = state.copy()
    if state.rest is not None:
        rest, state.rest = state.rest, None
        _run(plan, problem, state, rest, sums)
    return state


# -- begin --------------------------------------------------------------------------------------------------------


def _begin(plan, problem, state):
    block = concatenate(state.pending)
    state.n_batches += len(state.pending)
    state.pending = []
    Q, method = problem.size, plan.code
    start = None if plan.start is None else plan.internal_start(problem, state)
    most = plan.first_rows(problem)
    first = block if block.n_rows <= most else block.take(slice(0, most))
    pilot = make_pilot(problem, first, state.center, state.scale, start)
    precondition = plan.precondition
    if Q > MOST_COLUMNS and precondition != "none":
        precondition = "none"
    state.metric = make_metric(precondition, pilot, Q)
    state.eta0 = plan.first_rate(pilot, precondition, Q)
    state.reference = pilot.loss
    state.start = pilot.theta.copy()
    kind = state.inference.name
    state.chains = Chains.at(pilot.theta, state.inference.chains, method)
    state.memory = _memory(plan, problem, state, Q)
    if kind == "higrad":
        state.tree = Tree.grow(plan.tree, problem.session.n_rows, plan.batch_size, Q)
    if kind == "plugin":
        state.information = np.zeros((Q, Q))
        state.meat = None
    if _lazy(plan, problem, state, block):
        state.drift, state.last = np.zeros(Q), np.zeros(Q, np.int64)
    _take(plan, problem, state, block)


def _lazy(plan, problem, state, block):
    """Whether steps may touch the entries of sparse rows alone."""
    return (
        block.csr is not None and plan.code == k.SGD and problem.family.predictors == 1
        and link_code(problem.family) is not None and not problem.alpha and state.metric.kind < 2
        and state.memory.mode in (k.NOTHING, k.SCALING_DIAGONAL) and state.inference.chains == 1
        and state.tree is None and plan.average and not plan.average_from and not plan.average_power
    )  # fmt: skip


def _memory(plan, problem, state, Q) -> Memory:
    mode = state.inference.mode
    matrix, run, bounds = np.zeros((0, Q)), np.zeros(0), np.zeros(0, np.int64)
    vector, numbers, counters = np.zeros(Q), np.zeros(4), np.zeros(4, np.int64)
    if mode == k.SCALING:
        matrix = np.zeros((Q, Q))
    elif mode == k.SCALING_DIAGONAL:
        matrix, run = np.zeros((1, Q)), np.zeros(Q)
    elif mode == k.OVERLAPPING:
        matrix, run = np.zeros((Q, Q)), np.zeros(Q)
        numbers[2] = 2.0 / (1.0 - plan.power)
        counters[1] = counters[2] = 1
    elif mode == k.INCREASING:
        steps = -(-problem.session.n_rows // plan.batch_size)
        blocks = plan.increasing_blocks(steps)
        ends = ((np.arange(blocks + 1) + 1.0) / (blocks + 1.0)) ** (1.0 / (1.0 - plan.power)) * steps
        bounds = np.unique(np.maximum(np.floor(ends), 1.0).astype(np.int64))
        bounds[-1] = steps
        matrix, run = np.zeros((len(bounds), Q)), np.zeros(len(bounds))
    elif mode == k.EQUAL:
        matrix = np.zeros((2 * plan.n_blocks, Q))
        counters[2] = 1
    return Memory(mode, matrix, vector, run, numbers, counters, bounds)


# -- rows ---------------------------------------------------------------------------------------------------------


def _take(plan, problem, state, block):
    """All whole minibatches of the rows left over and the new ones."""
    B = plan.batch_size
    if state.rest is not None:
        missing = B - state.rest.n_rows
        if block.n_rows < missing:
            state.rest = concatenate([state.rest, block])  # copies
            return
        whole = concatenate([state.rest, block.take(slice(0, missing))])
        block = block.take(slice(missing, block.n_rows))
        state.rest = None
        _run(plan, problem, state, whole)
    piece = max(_PIECE // B, 1) * B
    full = block.n_rows // B * B
    for start in range(0, full, piece):
        stop = min(start + piece, full)
        part = block if stop - start == block.n_rows else block.take(slice(start, stop))
        for segment in (part,) if state.tree is None else state.tree.cut(part, state.batches, B):
            _run(plan, problem, state, segment)
    if full < block.n_rows:
        state.rest = block.take(np.arange(full, block.n_rows))  # a copy: the caller may fill his arrays anew


def kernel_rows(block):
    """A block (centred and scaled) as the kernels take it."""
    X = block.dense
    if block.center.size:
        X = (X - block.center) * block.scale
    X = _plain(X)
    codes, multiplier = _NO_CODES, _NO_MULTIPLIER
    if block.codes is not None:
        codes = _plain(block.codes.columns, np.int32)
        if block.codes.multiplier.size:
            multiplier = _plain(block.codes.multiplier)
    data, indices, indptr = _EMPTY, _NO_INDICES, _NO_INDPTR
    if block.csr is not None:
        s = block.csr
        data, indices, indptr = _plain(s.data), _plain(s.indices, np.int32), _plain(s.indptr, np.int64)
    offset = _EMPTY if block.offset is None else _plain(block.offset)
    return X, codes, multiplier, data, indices, indptr, bool(block.intercept), offset


def _plain(x, dtype=np.float64):
    """Contiguous and writeable: an array that is not has another type, for which all would be compiled again."""
    x = np.ascontiguousarray(x, dtype=dtype)
    return x if x.flags.writeable else x.copy()


def _run(plan, problem, state, block, sums=True):
    """Steps over the minibatches of ``block``, which begin with its first row."""
    family, B = problem.family, plan.batch_size
    K, n = family.predictors, block.n_rows
    scaled = block.scaled(state.center, state.scale)
    batches = -(-n // B)
    weight = _EMPTY if block.weight is None else _plain(block.weight)
    ridge = _ridge(problem, state)
    kind = state.inference.name
    eta, r, w = np.empty((n, K)), np.empty((n, K)), np.empty((n, K * (K + 1) // 2))
    known = link_code(family) or ((-1, 0.0) if type(family) is Softmax else None)
    if state.tree is not None:
        state.tree.enter(state.batches, state.chains)
    if known is None:
        loss = _descend_generic(plan, problem, state, scaled, ridge, eta, r, w)
    else:
        rows, y = kernel_rows(scaled), _plain(block.y)
        loss = 0.0
        for c in range(state.inference.chains):
            first, stride, a = 0, 1, weight
            if kind == "hulc":
                stride = state.inference.chains
                first = (c - state.batches) % stride
            elif kind == "bootstrap" and c:
                u = row_uniforms(problem.seed, _STREAM + c, state.n_rows, state.n_rows + n)
                a = 2.0 * (u < 0.5) * (weight if weight.size else 1.0)
            steps = len(range(first, batches, stride))
            gammas = plan.rates(state.eta0, state.chains.counts[c, 0], steps)
            chain = state.chains.arrays(c)
            if state.drift is not None:
                loss += k.descend_sparse(
                    rows, y, a, *known, B, gammas, state.metric.D, chain, state.drift, state.last,
                    state.memory.arrays, eta, r, w,
                )  # fmt: skip
                continue
            part = _descend(
                plan, problem, state, known, rows, y, a, first, stride, gammas, ridge, chain,
                c == 0 or kind == "hulc", eta, r, w,
            )  # fmt: skip
            if c == 0 or kind == "hulc":
                loss += part
    if state.tree is not None:
        state.tree.leave(state.batches + batches, state.chains)
    state.batches += batches
    if sums:
        _check(plan, state, loss, block)
        _account(problem, state, scaled, loss, eta, r, w)


def _descend(plan, problem, state, known, rows, y, a, first, stride, gammas, ridge, chain, keep, eta, r, w):
    """The kernel of the method and family."""
    B, metric = plan.batch_size, state.metric.arrays
    tail = (
        ridge, chain, plan.average_start(problem), float(plan.average_power), state.memory.arrays,
        _shift(problem, state), keep, eta, r, w,
    )  # fmt: skip
    if problem.family.predictors > 1:
        K = problem.family.predictors
        return k.descend_classes(rows, y, a, K, B, first, stride, gammas, plan.rule, metric, *tail)
    if plan.code == k.IMPLICIT:
        H = state.metric.H
        return k.descend_implicit(rows, y, a, *known, B, first, stride, gammas, plan.rule, metric, H, *tail)
    return k.descend(rows, y, a, *known, B, first, stride, gammas, plan.rule, metric, *tail)


def _ridge(problem, state):
    """Gradient of the ridge penalty per row and unit of a coefficient."""
    if not problem.alpha:
        return _EMPTY
    return problem.with_scaling(state.center, state.scale).penalty(1.0)


def _shift(problem, state):
    """What centring adds to the intercept of raw columns, by column: for variances alone."""
    if state.inference.mode != k.SCALING_DIAGONAL or not state.scale.size or not problem.design.intercept:
        return _EMPTY
    return problem.with_scaling(state.center, state.scale).unscale()[0] - np.eye(problem.width)[0]


def _descend_generic(plan, problem, state, block, ridge, eta, r, w):
    """The same loop around ``family.link``: families of users."""
    family, B, n = problem.family, plan.batch_size, block.n_rows
    K, Q = family.predictors, problem.size
    q = Q // K
    rows = kernel_rows(block)
    y, a = block.y, block.weight
    metric, shift = state.metric.arrays, _shift(problem, state)
    work = np.empty((4, Q))
    loss = 0.0
    kind, chains = state.inference.name, state.inference.chains
    for c in range(chains):
        first, stride = 0, 1
        if kind == "hulc":
            first, stride = (c - state.batches) % chains, chains
        batches = range(first * B, n, stride * B)
        gammas = plan.rates(state.eta0, state.chains.counts[c, 0], len(batches))
        boot = None
        if kind == "bootstrap" and c:
            boot = 2.0 * (row_uniforms(problem.seed, _STREAM + c, state.n_rows, state.n_rows + n) < 0.5)
        chain = state.chains.arrays(c)
        for gamma, start in zip(gammas, batches, strict=True):
            m = min(B, n - start)
            part = slice(start, start + m)
            E = np.empty((K, m))
            k.look(rows, start, m, plan.rule, chain, q, work[3], E)
            e = E[0] if K == 1 else np.ascontiguousarray(E.T)
            ri, wi = np.empty_like(e), np.empty(m if K == 1 else (m, K * (K + 1) // 2))
            some = None if a is None else a[part]
            value = family.link(e, y[part], some, problem.shape, None, ri, wi)
            if c == 0 or kind == "hulc":
                loss += value
                eta[part], r[part], w[part] = e.reshape(m, K), ri.reshape(m, K), wi.reshape(m, -1)
            if boot is not None:
                ri = ri * (boot[part] if K == 1 else boot[part][:, None])
            if plan.code == k.IMPLICIT:
                if boot is not None:
                    some = boot[part] * (1.0 if some is None else some)
                X = block.take(part).to_dense()
                implicit_step(
                    family, X, y[part], some, problem.shape, gamma * m / B, state.metric.H, ridge, chain, e
                )
                k.note(
                    chain,
                    plan.average_start(problem),
                    float(plan.average_power),
                    state.memory.arrays,
                    shift,
                    q,
                )
                continue
            R = ri.reshape(1, m) if K == 1 else np.ascontiguousarray(ri.T)
            k.learn(rows, start, m, R, gamma * m / B, plan.rule, metric, ridge, chain, q, work)
            k.note(
                chain, plan.average_start(problem), float(plan.average_power), state.memory.arrays, shift, q
            )
    return loss


def _check(plan, state, loss, block):
    """Stop where the steps have run away."""
    n = block.n_rows
    if (
        np.isfinite(loss)
        and abs(loss) / n <= _DIVERGED * (state.reference + 1.0)
        and np.isfinite(state.chains.b).all()
    ):
        return
    size = "not a finite number" if not np.isfinite(loss) else f"{loss / n:.2g}"
    advice = f"a smaller eta0 (it was {state.eta0:.3g})"
    if plan.precondition == "none":
        advice += ", precondition='pilot'"
    if plan.method != "implicit":
        advice += " or method='implicit'"
    raise ValueError(
        f"{plan.method} diverged within {state.n_rows + n:,} rows ({state.batches:,} steps): the mean loss is {size}, "
        f"{state.reference:.2g} before the first step; use {advice}"
    )


def _account(problem, state, block, loss, eta, r, w):
    family, K = problem.family, problem.family.predictors
    n = block.n_rows
    flat = (eta[:, 0], r[:, 0], w[:, 0]) if K == 1 else (eta, r, w)
    sums = family.sums(flat[0], block.y, block.weight, problem.shape, (loss, flat[1], flat[2]))
    for name, value in sums.items():
        old = state.sums.get(name)
        state.sums[name] = (
            value if old is None else old.merge(value) if hasattr(old, "merge") else old + value
        )
    if state.inference.name == "plugin":
        meat = problem.meat or "rows"
        share = 1 if state.n_rows < _PLENTY or meat != "rows" else _SHARE
        if share > 1 and state.n_rows // _PIECE % share:
            pass
        elif K == 1 and meat == "rows":
            state.information += share * block.sandwich(flat[2])
            G = share * block.sandwich(flat[1] * flat[1])
            state.meat = G if state.meat is None else state.meat + G
        else:
            at = state.chains.mean[0]
            out = evaluate(
                block, family, at, problem.shape, state.center, state.scale, None,
                Want(gradient=False, meat=meat),
            )  # fmt: skip
            state.information += share * out["information"]
            G = share * out["meat"] if share > 1 else out["meat"]
            if state.meat is None:
                state.meat = G
            else:
                state.meat = state.meat + G if isinstance(G, np.ndarray) else state.meat.merge(G)
    response = response_sums(block, K + 1)
    state.y = response["y"] if state.y is None else state.y + response["y"]
    state.n += n
    state.n_rows += n
    state.weight += response["weight"]
    state.loss += loss
    if not state.history or state.n_rows >= 2 * state.history[-1]["rows"]:
        size = float(loss) / max(response["weight"], 1e-300)
        state.history.append({"rows": state.n_rows, "steps": int(state.chains.counts[0, 0]), "loss": size})
        if state.drift is None:
            state.snapshots = [*state.snapshots[-2:], (state.n_rows, state.chains.mean[0].copy())]
