"""How a batch changes the state of a stream, and how the states of two streams become one."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

from statkit.design.block import concatenate
from statkit.families.numbered import LINK_NUMBERS
from statkit.plans._lags import LagSums, lag_sums
from statkit.plans._stream_kernels import ROW_FAMILIES, absorb_rows, batch_step, dense_pass
from statkit.plans._stream_start import fit_first_rows
from statkit.plans._stream_state import StreamState, plus, rescaled
from statkit.rounds.tasks import GroupSums, Want, column_scaling, evaluate
from statkit.solvers.cholesky import Factor

__all__ = ["first_state", "merge_states", "update_state"]

# A step this long (root mean square, in standard errors) is followed by another evaluation of the batch; after a
# shorter one the batch's score is its linearisation, whose error is of the square of the step times its share.
_LONG_STEP = 0.3
_MOST_STEPS = 25
_MOST_HALVINGS = 30
# Columns with less information than this (of scaled columns) are held by a prior while a batch is solved, so that
# the first few rows of a rare level cannot carry it away. The prior fades as information comes, and does not enter
# the summary.
_THIN, _PRIOR = 25.0, 0.25
# The retained rows are visited again whenever the stream has grown by this factor.
_REVISIT = 1.5
# A visit ends when the squared step, in standard errors, is below this.
_MOST_VISITS, _STILL = 3, 1e-2
# Up to this many coefficients a step is computed by plain compiled loops.
_SMALL = 64
# Up to this many columns rows are swept once for everything; more are better served by wide products.
_NARROW = 48
# Rows of a level that has had fewer than this are retained too: what is known of such a level moves for long. All
# retained rows together are at most some times the first ones.
_RARE, _MOST_RETAINED = 200, 4
_NONE = np.empty(0)


def first_state(plan, problem, block) -> StreamState:
    """An empty stream whose columns are scaled as the first rows suggest, with the plan's prior."""
    scaling = column_scaling(block) if len(block.dense) else {"center": np.empty(0), "scale": np.empty(0)}
    q = problem.size
    state = StreamState(scaling["center"], scaling["scale"], q, A=np.zeros((q, q)), v=np.zeros(q))
    if plan.prior is not None:
        state.A, state.v = plan.prior_summary(problem.with_scaling(state.center, state.scale))
    return state


def update_state(plan, problem, state: StreamState, block) -> StreamState:
    """The state after one more batch; ``state`` itself stays as it is."""
    state = state.copy(n_read=state.n_read + block.n_read, n_missing=state.n_missing + block.n_missing)
    if block.n_rows == 0:
        return state
    state.n_batches += 1
    if state.theta is None:
        state.pending = [*state.pending, _own(block)]
        if sum(b.n_rows for b in state.pending) < plan.first_rows(state.q):
            return state
        block = concatenate(state.pending)
        state.pending = []
        _start(plan, problem, state, block)
        return state
    problem = plan.working(problem, state)
    if plan.method != "renewable":
        _absorb_local_fit(plan, problem, state, block)
    elif plan.newton == "rows":
        _absorb_rows(plan, problem, state, block)
    else:
        _absorb(plan, problem, state, block)
    return state


def _own(block):
    """The same rows in memory of their own: the caller may fill its arrays with the next batch."""
    return block.take(np.arange(block.n_rows))


def _evaluate(problem, state, block, theta, meat=None):
    family = problem.family
    number = LINK_NUMBERS.get((family.name, family.link_name))
    X = block.dense
    if (
        number is not None
        and block.codes is None
        and block.csr is None
        and X.shape[1] <= _NARROW
        and X.dtype == np.float64
        and X.flags.c_contiguous
        and meat in (None, "rows")
    ):
        return _evaluate_dense(number, family, state, block, theta, meat)
    lags = isinstance(meat, int)
    want = Want(sums=True, meat=None if lags else meat)
    center, scale = state.center, state.scale
    out = evaluate(block, problem.family, theta, problem.shape, center, scale, None, want)
    if lags:
        out["meat"] = lag_sums(block, family, theta, problem.shape, center, scale, meat)["meat"]
    return out


def _evaluate_dense(number, family, state, block, theta, meat):
    """The same for rows of numbers, with less overhead: small batches are mostly that."""
    y, a, n = block.y, block.weight, len(block.y)
    eta, r, w = np.empty((3, n))
    loss, H, g = dense_pass(
        block.dense, block.intercept, state.center, state.scale, y, _NONE if a is None else a,
        _NONE if block.offset is None else block.offset, number, theta, eta, r, w,
    )  # fmt: skip
    out = {
        "n": n if a is None else int(np.count_nonzero(a)),
        "n_rows": n,
        "weight": float(n) if a is None else float(a.sum()),
        "loss": loss,
        "y": np.array([y.sum() if a is None else y @ a]),
        "information": H,
        "gradient": g,
        "sums": family.sums(eta, y, a, None, (loss, r, w)),
    }
    if meat is not None:
        out["meat"] = block.scaled(state.center, state.scale).sandwich(r * r)
    return out


def _start(plan, problem, state, block):
    """Fit the first rows properly: everything later leans on them."""
    state.theta, state.spread = fit_first_rows(plan, problem, state, block, _PRIOR)
    problem = plan.working(problem, state, n=block.n_rows)
    meat = plan.meat(problem)
    theta = state.theta
    keep = np.zeros(block.n_rows, bool)
    keep[: plan.retained()] = True
    if plan.retained() and block.codes is not None:
        state.counts = _counts(block)
        rare = np.flatnonzero(_rare(state.counts, block) & ~keep)
        keep[rare[: (_MOST_RETAINED - 1) * plan.retained()]] = True
    rest = block
    if keep.any():
        state.buffer = block.take(np.flatnonzero(keep))
        rest = block.take(np.flatnonzero(~keep)) if not keep.all() else None
        out = _evaluate(problem, state, state.buffer, theta, meat)
        state.buffer_A, state.buffer_v = out["information"], out["gradient"] + out["information"] @ theta
        _account(state, out)
    if rest is not None:
        out = _evaluate(problem, state, rest, theta, meat)
        state.A = state.A + out["information"]
        state.v = state.v + out["gradient"] + out["information"] @ theta
        _account(state, out)
    total = state.total()[0]
    if plan.forgetting < 1.0:
        state.squares = total
    if plan.method == "cuee":
        state.local = total @ theta
    state.visited = state.n
    state.history = state.history.add(
        block.n_rows, np.nan, 0, np.nan, state.loss / max(state.weight, 1e-300), 1
    )


def _counts(block) -> np.ndarray:
    """Rows by internal column, for coded columns."""
    columns = block.codes.columns
    return np.bincount(columns[columns >= 0], minlength=block.n_columns)


def _rare(counts, block) -> np.ndarray:
    """Mask of the rows that have a level of few rows."""
    few = np.append(counts < _RARE, False)  # −1 is the reference level
    return few[block.codes.columns].any(axis=1)


def _retain_rare(plan, problem, state, block, at) -> bool:
    """Move the batch's rows of rare levels from the summary to the retained rows; whether there were any."""
    counts = state.counts
    state.counts = counts + _counts(block)
    room = _MOST_RETAINED * plan.retained() - state.buffer.n_rows
    if room <= 0 or not (counts < _RARE).any():
        return False
    rows = np.flatnonzero(_rare(counts, block))[:room]
    if not len(rows):
        return False
    part = block.take(rows)
    out = _evaluate(problem, state, part, at)
    H, v = out["information"], out["gradient"] + out["information"] @ at
    state.A, state.v = state.A - H, state.v - v
    state.buffer_A, state.buffer_v = state.buffer_A + H, state.buffer_v + v
    state.buffer = concatenate([state.buffer, part])
    return True


def _forget(plan, state):
    f = plan.forgetting
    state.A, state.v = f * state.A, f * state.v
    state.n_effective *= f
    state.squares = f * f * state.squares
    if isinstance(state.meat, GroupSums):
        state.meat = GroupSums(state.meat.labels, f * state.meat.sums)
    elif isinstance(state.meat, LagSums):
        state.meat = state.meat.scaled(f)
    elif state.meat is not None:
        state.meat = f * f * state.meat


def _absorb(plan, problem, state, block):
    """Solve v − Aθ + S(θ) = 0 for the batch's score S, and add the batch to (A, v)."""
    if plan.forgetting < 1.0:
        _forget(plan, state)
    full = plan.newton == "full"
    meat = plan.meat(problem)
    A, v = state.total()
    b0 = state.theta
    first = out = _evaluate(problem, state, block, b0, meat)
    phi = _dispersion(problem, state)
    penalty = _penalty(plan, problem, state, A, first)
    step, squared, test = _step(plan, state, block, A, v, first, b0, penalty, phi)
    if plan.alarmed(state, *test) and plan.on_drift == "skip":
        state.history = state.history.add(block.n_rows, *test, _mean_loss(first), 0)
        return
    theta, steps = b0 + step, 1
    while steps < _MOST_STEPS and not _short(squared, phi, len(b0), full):
        before = _objective(A, penalty, out["loss"], theta - step, v)
        new = _evaluate(problem, state, block, theta, meat)
        slack = 1e-9 * (1.0 + abs(before))
        for _ in range(_MOST_HALVINGS):
            if _objective(A, penalty, new["loss"], theta, v) <= before + slack:
                break
            step = step / 2
            theta = theta - step
            new = _evaluate(problem, state, block, theta, meat)
        out = new
        step, squared, _ = _step(plan, state, None, A, v, out, theta, penalty, phi)
        theta = theta + step
        steps += 1
    at = theta - step  # where `out` was evaluated
    if full:
        out = _evaluate(problem, state, block, theta, meat)
        at = theta
    state.A = state.A + out["information"]
    state.v = state.v + out["gradient"] + out["information"] @ at
    state.theta = theta
    more = False
    if state.counts is not None and block.codes is not None:
        more = _retain_rare(plan, problem, state, block, at)
    if state.squares is not None:
        state.squares = state.squares + out["information"]
    _account(state, first, drop=float(first["gradient"] @ (theta - b0)), meat=out.get("meat"))
    state.history = state.history.add(block.n_rows, *test, _mean_loss(first), steps)
    cheap = more and state.buffer.n_rows <= 2 * block.n_rows
    if cheap or (state.buffer is not None and state.n > _REVISIT * state.visited):
        _visit(plan, problem, state)


def _short(squared, phi, q, full):
    length = np.sqrt(max(squared, 0.0) / phi / max(q, 1))
    return length < (1e-9 if full else _LONG_STEP)


def _step(plan, state, block, A, v, out, theta, penalty, phi):
    """A Newton step, g'step, and (where ``block`` is given) the drift test (statistic, df, p) of the batch."""
    s, H = out["gradient"], out["information"]
    q = len(theta)
    tested = block is not None and plan.on_drift != "off" and block.n_rows >= 2 * q
    meat = out.get("meat") if tested else None
    if q <= _SMALL:
        step, squared, statistic, fine = batch_step(A, v, H, s, theta, penalty, tested and meat is None)
        if fine and meat is None:
            if not tested:
                return step, squared, (np.nan, 0, np.nan)
            statistic = max(statistic / phi, 0.0)
            return step, squared, (statistic, q, float(chdtrc(q, statistic)))
    factor = Factor(A + H + np.diag(penalty), tolerance=1e-13)
    gradient = s + v - A @ theta - penalty * theta
    step = factor.solve(gradient)
    test = (np.nan, 0, np.nan)
    if tested and meat is not None:
        test = _robust_drift(A, state.meat, s, H, meat, block.n_rows)
    elif tested:
        own = Factor(H)
        statistic = max(float(s @ own.solve(s) - s @ factor.solve(s)) / phi, 0.0)
        test = (statistic, own.rank, float(chdtrc(own.rank, statistic)))
    return step, float(gradient @ step), test


def _robust_drift(A, past, s, H, now, n_rows):
    """The same test with the variance of scores that was seen: G + H A⁻¹ G_past A⁻¹ H."""
    G, P = _matrix(now), _matrix(past)
    pieces = len(now.labels) if isinstance(now, GroupSums) else n_rows
    if pieces < 10 * len(s) or P is None:
        return np.nan, 0, np.nan
    try:
        HA = np.linalg.solve(A, H).T
    except np.linalg.LinAlgError:  # a level without rows
        return np.nan, 0, np.nan
    own = Factor(G + HA @ P @ HA.T)
    statistic = max(float(s @ own.solve(s)), 0.0)
    return statistic, own.rank, float(chdtrc(own.rank, statistic))


def _matrix(meat):
    return meat.meat() if hasattr(meat, "meat") else meat


def _mean_loss(out):
    return out["loss"] / max(out["weight"], 1e-300)


def _objective(A, penalty, loss, theta, v):
    return loss + 0.5 * float(theta @ (A @ theta) + penalty @ (theta * theta)) - float(v @ theta)


def _absorb_rows(plan, problem, state, block):
    """Stochastic Newton: every row by itself."""
    family = problem.family
    code = ROW_FAMILIES.get((family.name, family.link_name))
    if code is None or block.codes is not None or block.csr is not None:
        raise ValueError(
            "Renewable(newton='rows') is for numeric columns and gaussian, binomial (logit), poisson (log) or gamma "
            "(log) responses; use newton='auto', which takes batches of one row too"
        )
    if plan.meat(problem) is not None or plan.forgetting < 1.0:
        raise ValueError("Renewable(newton='rows') has cov_type='nonrobust' and no forgetting")
    A, v = state.total()
    before = state.theta
    P = np.diag(_penalty(plan, problem, state, A, None))
    A, v, theta = A.copy(), v.copy(), before.copy()
    # Rank-one updates drift from the inverse by rounding: each call starts from a fresh one.
    B = np.linalg.pinv(A + P) if block.n_rows > len(theta) or state.inverse is None else state.inverse.copy()
    none = np.empty(0)
    loss, pearson = absorb_rows(
        np.ascontiguousarray(block.dense, dtype=float), block.intercept, state.center, state.scale, block.y,
        none if block.weight is None else block.weight, none if block.offset is None else block.offset,
        code, B, A, v, theta, state.n,
    )  # fmt: skip
    out = _evaluate(problem, state, block, before)
    out["loss"] = loss
    if state.buffer is not None:
        A, v = A - state.buffer_A, v - state.buffer_v
    state.A, state.v, state.theta, state.inverse = A, v, theta, B
    _account(state, out, drop=out["sums"]["pearson"] - pearson)
    state.history = state.history.add(block.n_rows, np.nan, 0, np.nan, _mean_loss(out), block.n_rows)


def _absorb_local_fit(plan, problem, state, block):
    """CEE and CUEE: every batch by its own estimate, for comparison with the renewable one."""
    from statkit.solvers.newton import newton

    local = problem.local_with(block, state.center, state.scale)
    fit = newton(lambda theta, _: local.evaluate(theta), state.theta, tol=1e-12, max_rounds=50)
    own = np.where(np.isnan(fit.theta), 0.0, fit.theta)
    meat = plan.meat(problem)
    out = _evaluate(problem, state, block, own, meat)
    H = out["information"]
    penalty = _penalty(plan, problem, state, state.A, out)
    if plan.method == "cuee":
        # The batch is linearised at the estimate that its own one makes together with the earlier ones.
        at = Factor(state.A + H, tolerance=1e-13).solve(state.local + H @ own)
        out = _evaluate(problem, state, block, at, meat)
        H = out["information"]
        state.local = state.local + H @ at
    else:
        at = own
        out["gradient"] = np.zeros_like(at)
    before, earlier = state.theta, state.A
    state.A = state.A + H
    state.v = state.v + out["gradient"] + H @ at
    state.theta = Factor(state.A + np.diag(penalty), tolerance=1e-13).solve(state.v)
    moves = ((state.theta - at, H), (state.theta - before, earlier))  # what one estimate for both costs each
    cost = sum(float(d @ M @ d) for d, M in moves) - 2 * float(out["gradient"] @ moves[0][0])
    _account(state, out, drop=-cost)
    state.history = state.history.add(block.n_rows, np.nan, 0, np.nan, _mean_loss(out), len(fit.history))


def _visit(plan, problem, state):
    """Take the exact score of the retained rows at today's estimate, and solve again."""
    for _ in range(_MOST_VISITS):
        out = _evaluate(problem, state, state.buffer, state.theta)
        state.buffer_A = out["information"]
        state.buffer_v = out["gradient"] + out["information"] @ state.theta
        A, v = state.total()
        P = _penalty(plan, problem, state, A, None)
        step = Factor(A + np.diag(P), tolerance=1e-13).solve(v) - state.theta
        state.theta = state.theta + step
        if float(step @ A @ step) < _STILL * _dispersion(problem, state):
            break
    state.visited = state.n


def _penalty(plan, problem, state, A, batch) -> np.ndarray:
    """Ridge penalty of the rows so far and those of ``batch``, and a weak prior where there is little information."""
    q = len(A)
    penalty = np.zeros(q)
    if problem.alpha and not problem.is_sparse:
        penalty += problem.penalty(state.weight + (0.0 if batch is None else batch["weight"]))
    if not state.thick and not problem.family.quadratic and plan.newton != "full":
        diagonal = np.diagonal(A) if batch is None else np.diagonal(A) + np.diagonal(batch["information"])
        thin = diagonal < _THIN
        if thin.any():
            if problem.design.intercept:
                thin[:: problem.width] = False
            penalty[thin] += _PRIOR * (1.0 - diagonal[thin] / _THIN) ** 2
        else:  # from now on too: information only grows, but for forgetting
            state.thick = plan.forgetting == 1.0
    return penalty


def _dispersion(problem, state):
    family = problem.family
    if hasattr(family, "unit"):
        return family.unit(state.spread)
    if family.dispersion == "known":
        return 1.0
    left = state.n - np.count_nonzero(state.theta)
    return state.pearson / left if left > 0 and state.pearson > 0 else 1.0


def _account(state, out, drop=0.0, meat=None):
    """Add a batch's counts and sums; ``drop`` corrects Pearson's statistic for the step that followed."""
    state.n += out["n"]
    state.n_rows += out["n_rows"]
    state.n_effective += out["n"]
    state.weight += out["weight"]
    state.loss += out["loss"]
    state.pearson += out["sums"]["pearson"] - drop
    state.y = out["y"] if state.y is None else state.y + out["y"]
    sums = state.sums
    state.sums = {name: sums[name] + value if name in sums else value for name, value in out["sums"].items()}
    state.meat = plus(state.meat, out.get("meat") if meat is None else meat)


def merge_states(plan, problem, a: StreamState, b: StreamState) -> StreamState:
    """The state of two independent streams; retained rows of ``b`` become part of its summary.

    Rows of ``b`` that still wait for a start are absorbed last.
    """
    if not (np.array_equal(a.center, b.center) and np.array_equal(a.scale, b.scale)):
        b = rescaled(problem, b, a.center, a.scale)
    A, v = b.total()
    if plan.prior is not None and b.theta is not None:  # counted once
        prior_A, prior_v = plan.prior_summary(problem.with_scaling(a.center, a.scale))
        A, v = A - prior_A, v - prior_v
    merged = a.copy(
        A=a.A + A, v=a.v + v, pending=[] if b.theta is not None else [*a.pending, *b.pending],
        n=a.n + b.n, n_effective=a.n_effective + b.n_effective, n_rows=a.n_rows + b.n_rows,
        weight=a.weight + b.weight, n_read=a.n_read + b.n_read, n_missing=a.n_missing + b.n_missing,
        y=plus(a.y, b.y), loss=a.loss + b.loss, pearson=a.pearson + b.pearson, sums=_added(a.sums, b.sums),
        meat=plus(a.meat, b.meat), n_batches=a.n_batches + b.n_batches, history=a.history.merge(b.history),
        drifted=a.drifted + b.drifted, squares=plus(a.squares, b.squares), local=plus(a.local, b.local),
        inverse=None, spread=a.spread if a.theta is not None else b.spread,
    )  # fmt: skip
    if a.theta is None and b.theta is None:
        if sum(block.n_rows for block in merged.pending) < plan.first_rows(merged.q):
            return merged
        block, merged.pending = concatenate(merged.pending), []
        _start(plan, problem, merged, block)
        return merged
    waiting = a.pending if a.theta is None else b.pending if b.theta is None else []
    merged.pending = []
    total, information = merged.total()
    P = _penalty(plan, problem, merged, total, None)
    merged.theta = Factor(total + np.diag(P), tolerance=1e-13).solve(information)
    for part in (a, b):  # what fitting both together costs each
        if part.theta is not None:
            move = merged.theta - (part.theta if part is a else b.theta)
            merged.pearson += float(move @ part.total()[0] @ move)
    for block in waiting:  # they were counted as read already
        merged = update_state(
            plan, problem,
            merged.copy(
                n_read=merged.n_read - block.n_read, n_missing=merged.n_missing - block.n_missing,
                n_batches=merged.n_batches - 1,
            ),
            block,
        )  # fmt: skip
    return merged


def _added(a, b):
    return {name: plus(a.get(name), b.get(name)) for name in {**a, **b}}
