"""Compiled loops over graphs: Meek's rules and active paths."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def v_structures(A):
    """Mark the edges of ``A`` that are part of an unshielded collider."""
    d = A.shape[0]
    out = np.zeros((d, d), np.bool_)
    for k in range(d):
        for i in range(d):
            if not A[i, k]:
                continue
            for j in range(i):
                if A[j, k] and not A[i, j] and not A[j, i]:
                    out[i, k] = True
                    out[j, k] = True
    return out


@njit(cache=True, nogil=True)
def meek(C):
    """Orient the undirected edges of ``C`` (both entries True) that Meek's rules 1 to 4 force, in place."""
    d = C.shape[0]
    changed = True
    while changed:
        changed = False
        for a in range(d):
            for b in range(d):
                if not (C[a, b] and C[b, a]):
                    continue
                if _forced(C, a, b, d):
                    C[b, a] = False
                    changed = True


@njit(cache=True, nogil=True)
def _forced(C, a, b, d):
    """True if a - b must become a -> b."""
    for c in range(d):
        if c == a or c == b:
            continue
        if C[c, a] and not C[a, c] and not C[c, b] and not C[b, c]:  # rule 1: c -> a - b
            return True
        if C[a, c] and not C[c, a] and C[c, b] and not C[b, c]:  # rule 2: a -> c -> b
            return True
    for c in range(d):
        if c == b or not (C[a, c] and C[c, a]):
            continue
        if C[c, b] and not C[b, c]:  # rule 3: a - c -> b, a - e -> b, c and e not adjacent
            for e in range(d):
                if e == c or e == b or not (C[a, e] and C[e, a]):
                    continue
                if C[e, b] and not C[b, e] and not C[c, e] and not C[e, c]:
                    return True
        for e in range(d):  # rule 4: a - c -> e -> b, c and b not adjacent, a and e adjacent
            if e == a or e == b or e == c:
                continue
            if C[c, e] and not C[e, c] and C[e, b] and not C[b, e]:
                if not C[c, b] and not C[b, c] and (C[a, e] or C[e, a]):
                    return True
    return False


@njit(cache=True, nogil=True)
def d_connected(A, i, Z, ancestor_of_Z, cut, reached):
    """Mark the columns that an active path given ``Z`` joins to ``i`` (Bayes ball).

    The edges from ``i`` to the columns in ``cut`` are taken as absent. ``ancestor_of_Z`` marks ``Z`` and its
    ancestors in the same graph.
    """
    d = A.shape[0]
    seen = np.zeros((2, d), np.bool_)  # 0: arrived against the arrows (from a child), 1: along them
    stack = np.empty((2 * d + 1, 2), np.int64)
    stack[0, 0] = i
    stack[0, 1] = 0
    seen[0, i] = True
    n = 1
    while n:
        n -= 1
        v = stack[n, 0]
        along = stack[n, 1]
        if v != i:
            reached[v] = True
        if (along == 0 and not Z[v]) or (along == 1 and ancestor_of_Z[v]):
            for u in range(d):  # up to the parents
                if A[u, v] and not seen[0, u] and not (u == i):
                    seen[0, u] = True
                    stack[n, 0] = u
                    stack[n, 1] = 0
                    n += 1
        if not Z[v]:
            for u in range(d):  # down to the children
                if A[v, u] and not seen[1, u] and u != i and not (v == i and cut[u]):
                    seen[1, u] = True
                    stack[n, 0] = u
                    stack[n, 1] = 1
                    n += 1


@njit(cache=True, nogil=True)
def count_wrong_interventions(true, estimate, descends):
    """Number of ordered pairs for which adjusting for the estimated parents gives a wrong effect.

    ``descends[i, j]``: j is a true descendant of i.
    """
    d = true.shape[0]
    wrong = 0
    cut = np.zeros(d, np.bool_)
    reached = np.zeros(d, np.bool_)
    ancestor_of_Z = np.zeros(d, np.bool_)
    for i in range(d):
        Z = estimate[:, i].copy()
        for j in range(d):
            if j == i:
                continue
            if Z[j]:
                if descends[i, j]:
                    wrong += 1
                continue
            # Columns on a directed path from i to j, and what descends from them, must not be in Z.
            bad = False
            for c in range(d):
                cut[c] = true[i, c] and (c == j or descends[c, j])
            for c in range(d):
                if c != i and (c == j or descends[c, j]) and descends[i, c]:
                    for z in range(d):
                        if Z[z] and (z == c or descends[c, z]):
                            bad = True
            if bad:
                wrong += 1
                continue
            for v in range(d):
                ancestor_of_Z[v] = Z[v]
                for z in range(d):
                    if Z[z] and descends[v, z]:
                        ancestor_of_Z[v] = True
            reached[:] = False
            d_connected(true, i, Z, ancestor_of_Z, cut, reached)
            if reached[j]:
                wrong += 1
    return wrong
