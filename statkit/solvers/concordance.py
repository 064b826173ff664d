"""Harrell's concordance: how often, of two rows, the one with the higher risk has its event first."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["concordance"]


@njit(cache=True, nogil=True)
def _add(tree, place, amount):
    i = place + 1
    while i < tree.shape[0]:
        tree[i] += amount
        i += i & (-i)


@njit(cache=True, nogil=True)
def _sum(tree, place):
    """Weight at places below ``place``."""
    total = 0.0
    i = place
    while i > 0:
        total += tree[i]
        i -= i & (-i)
    return total


@njit(cache=True, nogil=True)
def _count(rank, start, stop, event, weight, leaving, entering, tree):
    """Concordant, discordant and tied pairs, over grid points from the last to the first.

    A row is compared with an event while it is at risk after it: its last point is later, or it is censored there.
    """
    n = rank.shape[0]
    concordant = discordant = tied = 0.0
    present = 0.0
    k = n - 1  # next row to leave it, by the start of its time
    i = n - 1
    while i >= 0:
        g = stop[leaving[i]]
        begin = i
        while begin > 0 and stop[leaving[begin - 1]] == g:
            begin -= 1
        # Rows that start at this point or later are not at risk here.
        while k >= 0 and start[entering[k]] >= g:
            row = entering[k]
            if stop[row] > start[row] and stop[row] > g:
                _add(tree, rank[row], -weight[row])
                present -= weight[row]
            k -= 1
        # Censored at this point: still at risk at its event.
        for m in range(begin, i + 1):
            row = leaving[m]
            if event[row] == 0.0 and stop[row] > start[row]:
                _add(tree, rank[row], weight[row])
                present += weight[row]
        for m in range(begin, i + 1):
            row = leaving[m]
            if event[row] > 0.0 and stop[row] > start[row]:
                below = _sum(tree, rank[row])
                equal = _sum(tree, rank[row] + 1) - below
                concordant += weight[row] * below
                tied += weight[row] * equal
                discordant += weight[row] * (present - below - equal)
        for m in range(begin, i + 1):
            row = leaving[m]
            if event[row] > 0.0 and stop[row] > start[row]:
                _add(tree, rank[row], weight[row])
                present += weight[row]
        i = begin - 1
    return concordant, discordant, tied


def concordance(risk, start, stop, event, weight, offsets) -> float:
    """Weighted share of comparable pairs in the right order, ties of the risk counting half.

    Parameters
    ----------
    risk : ndarray of shape (n,)
        Higher means an earlier event.
    start, stop : ndarray of shape (n,)
        Grid points: first at risk, one past the last.
    event, weight : ndarray of shape (n,)
    offsets : ndarray of int
        Where strata start in the grid: rows are compared within strata.

    Returns
    -------
    concordance : float
        NaN when no pair can be compared.
    """
    start, stop = np.asarray(start, np.int64), np.asarray(stop, np.int64)
    event, weight = np.asarray(event, float), np.asarray(weight, float)
    total = np.zeros(3)
    stratum = np.searchsorted(offsets, np.maximum(stop - 1, start), "right")
    for s in np.unique(stratum):
        rows = np.flatnonzero((stratum == s) & ~np.isnan(risk))
        _, rank = np.unique(np.asarray(risk)[rows], return_inverse=True)
        leaving = np.argsort(stop[rows], kind="stable")
        entering = np.argsort(start[rows], kind="stable")
        tree = np.zeros(rank.max(initial=0) + 2)
        total += _count(rank, start[rows], stop[rows], event[rows], weight[rows], leaving, entering, tree)
    pairs = total.sum()
    return float((total[0] + 0.5 * total[2]) / pairs) if pairs > 0 else float("nan")
