"""How a state is brought to a minimum: one exponent to convergence, and the annealed path to it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from statkit.cluster._pac_row import near_uniform

#: Exponents visited on the way down, as fractions of min(m*, 2) - 1.
FRACTIONS = (0.7, 0.5, 0.3, 0.15, 0.05)


@dataclass
class Path:
    """The objective sweep by sweep, and where the annealing stages begin."""

    objective: list = field(default_factory=list)
    change: list = field(default_factory=list)
    stages: list = field(default_factory=list)  # (first sweep, exponent)


class Order:
    """The order in which objects are visited: as they stand, or a new permutation each sweep.

    Beyond 200,000 objects runs of 64 neighbouring rows are permuted: single rows of a large matrix in random
    order are read from memory one by one.
    """

    RUN = 64

    def __init__(self, n, rule, rng):
        self.rng = rng
        self.n = n
        self.fixed = None
        if isinstance(rule, str):
            if rule == "data":
                self.fixed = np.arange(n)
        else:
            self.fixed = np.asarray(rule, dtype=np.int64)

    def __call__(self):
        """The next order."""
        if self.fixed is not None:
            return self.fixed
        if self.n < 200_000:
            return self.rng.permutation(self.n)
        starts = self.RUN * self.rng.permutation(-(-self.n // self.RUN))
        order = (starts[:, None] + np.arange(self.RUN)).ravel()
        return order[order < self.n]


def settle(
    state,
    m,
    s,
    a,
    order,
    path,
    *,
    tol,
    max_sweeps,
    min_sweeps=3,
    m_critical=np.inf,
    noise=np.inf,
    relative=0.0,
    verbose=0,
):
    """Sweep until the mean L1 change of a row is below ``tol``; return (converged, sweeps).

    A partition that is still uniform although the exponent is below the critical one sits at a saddle, where
    changes are small too, and while it leaves the saddle they are small but grow: it is stopped at neither.
    ``relative`` stops when the objective falls by less.
    """
    K = state.P.shape[1]
    path.stages.append((len(path.objective), m))
    before = state.objective(a, noise) if relative > 0.0 else np.inf
    last = np.inf
    for sweep in range(1, max_sweeps + 1):
        change = state.sweep(order(), m, s, a, noise)
        if 0.0 < a and _refill(state, a):
            change = np.inf
        now = state.objective(a, noise)
        path.objective.append(now)
        path.change.append(change)
        if verbose:
            print(f"sweep {len(path.objective)}: m = {m:.5g}, objective {now:.10g}, change {change:.3g}")
        if sweep >= min_sweeps and (change < tol or (relative > 0.0 and before - now < relative * abs(now))):
            at_saddle = m < m_critical and K > 1 and near_uniform(state.P, 0.1 / K)
            if not at_saddle and change <= 1.2 * last:
                return True, sweep
        before, last = now, change
    return False, max_sweeps


def _refill(state, a):
    """Give an empty cluster the object that is farthest from its own; with a = 0 they fill again anyway."""
    empty = np.flatnonzero(state.S <= 1e-12 * state.total)
    if empty.size == 0:
        return False
    cost = state.costs(a)
    cost[:, empty] = np.inf
    least = np.where(state.weight > 0, cost.min(axis=1), -np.inf)
    for k in empty:
        i = np.argmax(least)
        if least[i] <= 0:
            return False  # nothing is left to move: fewer distinct objects than clusters
        least[i] = -np.inf
        state.P[i] = 0.0
        state.P[i, k] = 1.0
    state.change_exponent(state.m)
    return True


def noise_start(n, n_clusters, rng, uniformity=1000.0):
    """Almost uniform probabilities: the softmax of standard normal noise over ``uniformity``."""
    logits = rng.standard_normal((n, n_clusters)) / uniformity
    P = np.exp(logits - logits.max(axis=1, keepdims=True))
    return P / P.sum(axis=1, keepdims=True)


def seeded_start(nearest, n_clusters, share=0.9):
    """0.9 for the nearest seed, the rest shared."""
    P = np.full((len(nearest), n_clusters), (1.0 - share) / max(n_clusters - 1, 1))
    P[np.arange(len(nearest)), nearest] = share if n_clusters > 1 else 1.0
    return P


def power_of(m):
    """s = 1 / (m - 1); 1 in the hard version, where it is not used."""
    return 1.0 / (m - 1.0) if m > 1.0 else 1.0


def anneal(state, m, a, order, path, m_critical, n_clusters, skip=0, verbose=0):
    """From almost uniform probabilities down a ladder of exponents to just above ``m``.

    The whole ladder leads to nearly the same minimum from any noise; a start that skips its first rungs may find
    another.
    """
    top = min(m_critical, 2.0) - 1.0
    stages = [c for c in FRACTIONS if 1.0 + c * top > m][skip:]
    P = noise_start(state.n, n_clusters, order.rng)
    state.start(P, 1.0 + stages[0] * top if stages else m)
    for first, c in enumerate(stages):
        stage = 1.0 + c * top
        if first:
            warm(state, stage)
        settle(
            state,
            stage,
            power_of(stage),
            a,
            order,
            path,
            tol=1e-2,
            max_sweeps=60,
            min_sweeps=12 if first == 0 else 3,
            m_critical=m_critical,
            verbose=verbose,
        )
    if m == 1.0:
        one_hot(state)
    elif stages:
        warm(state, m)
    return 3 if stages else 12


def warm(state, m):
    """Lift probabilities off zero, so that no entry is stuck, and move to another exponent."""
    state.P += 1e-6
    state.P /= state.P.sum(axis=1, keepdims=True)
    state.change_exponent(m)


def one_hot(state):
    """Replace probabilities by the most probable cluster, for the hard version."""
    labels = np.argmax(state.P, axis=1)
    state.P = np.zeros_like(state.P)
    state.P[np.arange(state.n), labels] = 1.0
    state.change_exponent(1.0)
