"""Sums over the rows at risk at each event time, and what a partial likelihood makes of them.

A row is at risk from one point of the grid of event times to another. A partition adds up what leaves the risk
sets at every point (and takes off what enters late); sums from the end, within strata, are the risk sets' sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ._special import KERNEL, exp

__all__ = ["Hazard", "RiskSums", "hazard_of", "row_terms"]

_AT_ONCE = 4_000_000


@njit(**KERNEL)
def row_terms(eta, y, weight, shift, cumulative, own, r, w):
    """Score and information of every row in its own predictor, and Σ a δ (η − shift)."""
    n = eta.shape[0]
    weighted = weight.shape[0] > 0
    tied = own.shape[0] > 0
    total = 0.0
    for i in range(n):
        a = weight[i] if weighted else 1.0
        if a == 0.0:  # its predictor may be anything, even beyond what an exponential holds
            r[i] = 0.0
            w[i] = 0.0
            continue
        first, last = int(y[i, 0]), int(y[i, 1])
        at_risk = 0.0
        if last > first:
            at_risk = cumulative[last] - cumulative[first]
            if tied and y[i, 2] > 0.0:
                at_risk -= own[last - 1]
            at_risk *= a * exp(eta[i] - shift)
        w[i] = at_risk
        r[i] = a * y[i, 2] - at_risk
        if y[i, 2] > 0.0:
            total += a * (eta[i] - shift)
    return total


@njit(cache=True, nogil=True)
def _from_the_end(S, offsets):
    """Sums from the end of every stratum, in place, for each column."""
    d = S.shape[1]
    for s in range(offsets.shape[0] - 1):
        for g in range(offsets[s + 1] - 2, offsets[s] - 1, -1):
            for j in range(d):
                S[g, j] += S[g + 1, j]


@dataclass(slots=True)
class RiskSums:
    """What leaves the risk sets at every grid point, in parts of partitions, mergeable.

    Attributes
    ----------
    size : int
        Grid points.
    parts : list of (shift, points or None, sums, moments)
        ``sums`` (k, 3) are Σ a e^(η−shift), weight and number of events; ``moments`` (k, q) are
        Σ a e^(η−shift) x, or None. They belong to the grid's ``points``, None for all.
    tied : list of (shift, sums, moments)
        The same over the events at tied points, (T,) and (T, q); empty without ties.
    """

    size: int
    parts: list
    tied: list

    def merge(self, other: RiskSums) -> RiskSums:
        """The sums of the rows of both."""
        both = RiskSums(self.size, self.parts + other.parts, self.tied + other.tied)
        # A part with few of the grid's points stays apart, so that a partition is not as large as the grid.
        if sum(len(part[2]) for part in both.parts) > 2 * self.size:
            shift, sums, moments = both.total()
            both.parts = [(shift, None, sums, moments)]
        if len(both.tied) > 2:
            both.tied = [_joined(both.tied)]
        return both

    def total(self):
        """(shift, sums, moments) at all points."""
        shift = max(part[0] for part in self.parts)
        sums = np.zeros((self.size, 3))
        q = None if self.parts[0][3] is None else self.parts[0][3].shape[1]
        moments = None if q is None else np.zeros((self.size, q))
        for own, points, s, m in self.parts:
            factor = _factor(own, shift)
            where = slice(None) if points is None else points
            sums[where] += s * np.array([factor, 1.0, 1.0])
            if moments is not None:
                moments[where] += factor * m
        return shift, sums, moments


def _factor(own, shift):
    return 1.0 if own == shift else (np.exp(own - shift) if np.isfinite(own) else 0.0)


def _joined(tied):
    shift = max(part[0] for part in tied)
    sums = sum(_factor(own, shift) * s for own, s, _ in tied)
    some = tied[0][2] is not None
    return shift, sums, sum(_factor(own, shift) * m for own, _, m in tied) if some else None


def risk_sums(block, eta, offsets, tied, moments) -> RiskSums:
    """Sums of a block's rows at the predictor ``eta``.

    Parameters
    ----------
    block : Block
        Its response holds grid points.
    offsets, tied : ndarray of int
        Where strata start in the grid; points whose events are summed apart (Efron's ties).
    moments : bool
        Whether Σ a e^η x is wanted too.
    """
    D = int(offsets[-1])
    start, stop = block.y[:, 0].astype(np.intp), block.y[:, 1].astype(np.intp)
    at_risk = stop > start
    event = (block.y[:, 2] > 0) & at_risk
    weight = block.weight
    if weight is not None:
        event &= weight > 0
        at_risk &= weight > 0
    inside = eta[at_risk]
    shift = float(inside.max()) if len(inside) else -np.inf
    with np.errstate(over="ignore", invalid="ignore"):
        v = np.where(at_risk, np.exp(eta - shift) if len(inside) else 0.0, 0.0)
    if weight is not None:
        v *= weight
    a = np.ones(len(v)) if weight is None else weight
    fresh = np.zeros(D + 1, bool)
    fresh[offsets] = True
    late = at_risk & ~fresh[start]
    leave = np.where(at_risk, stop - 1, 0)
    enter = np.where(late, start - 1, 0)
    used = np.zeros(D, bool)
    used[leave[at_risk]] = True
    used[enter[late]] = True
    points: Any = np.flatnonzero(used)
    if 2 * len(points) > D:
        points, place = None, None
    else:
        place = np.cumsum(used) - 1
        leave, enter = np.maximum(place[leave], 0), np.maximum(place[enter], 0)
        if not len(points):
            points = np.zeros(1, np.intp)
    size = D if points is None else len(points)
    any_late = bool(late.any())
    entered = np.where(late, -v, 0.0) if any_late else None
    sums = np.empty((size, 3))
    sums[:, 0] = np.bincount(leave, v, size)
    if any_late:
        sums[:, 0] += np.bincount(enter, entered, size)
    sums[:, 1] = np.bincount(leave, np.where(event, a, 0.0), size)
    sums[:, 2] = np.bincount(leave, event, size)
    S1 = block.group_scores(v, leave, size) if moments else None
    if moments and any_late:
        S1 += block.group_scores(entered, enter, size)
    apart = []
    if len(tied):
        at = np.full(D, -1)
        at[tied] = np.arange(len(tied))
        group = np.where(event, at[np.maximum(stop - 1, 0)], -1)
        mine = group >= 0
        ve, group = np.where(mine, v, 0.0), np.where(mine, group, 0)
        apart = [
            (shift, np.bincount(group, ve, len(tied)),
             block.group_scores(ve, group, len(tied)) if moments else None)
        ]  # fmt: skip
    return RiskSums(D, [(shift, points, sums, S1)], apart)


@dataclass(slots=True)
class Hazard:
    """A partial likelihood at one parameter, as far as all rows decide it.

    Attributes
    ----------
    shift : float
        Taken off every η before exponentials.
    cumulative : ndarray of shape (D + 1,)
        Sum of the hazard's jumps before each grid point, over all strata.
    own : ndarray of shape (D,) or (0,)
        Part of the jump that an event's own row does not bear, with Efron's ties.
    loss : float
        Σ log of the risk sets' sums.
    events : float
        Total weight of the events.
    n_events : int
    """

    shift: float
    cumulative: np.ndarray
    own: np.ndarray
    loss: float
    events: float
    n_events: int
    increments: np.ndarray
    variance: np.ndarray
    moments: Any = None

    @property
    def rows(self) -> tuple:
        """What a worker needs for its rows."""
        return self.shift, self.cumulative, self.own

    def correction(self) -> np.ndarray:
        """Σ a S₁S₁'/S₀² (with Efron's ties, of each tied event's risk set): what the rows' weights count too much."""
        S1, aa, T, D1, bb, cc = self.moments
        out = (S1 * aa[:, None]).T @ S1
        if len(T):
            cross = (S1[T] * bb[:, None]).T @ D1
            out += (D1 * cc[:, None]).T @ D1 - cross - cross.T
        return out

    def tables(self) -> tuple:
        """What row scores look up: mean of x over the risk set at an event, Σ over the grid, part of the own event."""
        S1, aa, T, D1, bb, cc = self.moments
        L1, L2 = self._first
        mean = S1 * L1[:, None]
        step = S1 * aa[:, None]
        own = np.zeros((0, 0))
        if len(T):
            mean[T] -= D1 * L2[:, None]
            step[T] -= D1 * bb[:, None]
            own = np.zeros_like(S1)
            own[T] = S1[T] * bb[:, None] - D1 * cc[:, None]
        path = np.zeros((len(S1) + 1, S1.shape[1]))
        np.cumsum(step, axis=0, out=path[1:])
        return mean, path, own

    _first: Any = None


def hazard_of(sums: RiskSums, offsets, tied, efron: bool) -> Hazard:
    """Jumps of the hazard and the terms of the partial likelihood, from the sums of all rows."""
    shift, A, S1 = sums.total()
    if S1 is not None:
        _from_the_end(S1, offsets)
    S0 = np.ascontiguousarray(A[:, :1])
    _from_the_end(S0, offsets)
    S0 = S0[:, 0]
    weight, count = A[:, 1], A[:, 2]
    some = count > 0
    mean = np.divide(weight, count, where=some, out=np.zeros(len(S0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(some, 1.0 / S0, 0.0)
        logs = np.where(some, weight * np.log(S0), 0.0)
    first, second = weight * one, weight * one * one
    T = np.flatnonzero(count[tied] > 1) if efron and len(tied) else np.empty(0, np.intp)
    own = np.empty(0)
    D1 = bb = cc = L2 = None
    L1 = one.copy()
    if len(T):
        at_shift, D0, D1 = _joined(sums.tied)
        factor = _factor(at_shift, shift)
        D0 = factor * D0[T]
        D1 = None if D1 is None else factor * D1[T]
        T = tied[T]
        s = _efron(S0[T], D0, count[T].astype(np.int64))
        w = mean[T]
        first[T], second[T], logs[T] = w * s[0], w * s[2], w * s[5]
        own = np.zeros(len(S0))
        own[T] = w * s[1]
        bb, cc = w * s[3], w * s[4]
        L1[T], L2 = s[0] / count[T], s[1] / count[T]
    cumulative = np.concatenate([[0.0], np.cumsum(first)])
    hazard = Hazard(
        shift, cumulative, own, float(logs.sum()), float(weight.sum()), int(count.sum()), first, second,
        None if S1 is None else (S1, second, T, D1, bb, cc),
    )  # fmt: skip
    hazard._first = (L1, L2)
    return hazard


def _efron(S0, D0, m):
    """Sums over the tied events l = 0 … m−1 of 1/φ, c/φ, 1/φ², c/φ², c²/φ² and log φ, with c = l/m, φ = S₀ − c D₀."""
    out = np.empty((6, len(S0)))
    ends = np.cumsum(m)
    begin = 0
    while begin < len(m):
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + _AT_ONCE, "right")))
        part = slice(begin, end)
        k = m[part]
        firsts = np.concatenate([[0], np.cumsum(k)[:-1]])
        c = (np.arange(k.sum()) - np.repeat(firsts, k)) / np.repeat(k, k)
        with np.errstate(divide="ignore", invalid="ignore"):
            phi = np.repeat(S0[part], k) - c * np.repeat(D0[part], k)
            one = 1.0 / phi
            for i, term in enumerate(
                (one, c * one, one * one, c * one * one, c * c * one * one, np.log(phi))
            ):
                out[i, part] = np.add.reduceat(term, firsts)
        begin = end
    return out
