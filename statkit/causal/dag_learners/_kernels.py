"""Compiled searches over orders and graphs; everything they need of the data is a covariance matrix."""

import numpy as np
from numba import njit

from statkit.causal._kernels import spd_inverse

# A candidate whose variance given the chosen parents falls below this share is taken for a copy of them.
COLLINEAR = 1e-8


@njit(cache=True, nogil=True)
def grow_shrink(S, N, needed, penalty, j, candidates, required, parents):
    """Choose the parents of ``j``: add the best candidate while it pays, then drop what no longer does.

    Parameters
    ----------
    S : (d, d) covariance.
    N : (d, d) number of rows that an edge between two columns may count on.
    needed : (d, d) smallest share of the residual variance that must be explained to pay the penalty.
    candidates : int array; required parents must be among them.
    required : (d,) bool, the parents that are never dropped.
    parents : int array, filled.

    Returns the number of parents and the residual variance.
    """
    n = candidates.shape[0]
    D = np.empty(n)
    r = np.empty(n)
    open_ = np.ones(n, np.bool_)
    L = np.empty((min(n, 16), n))
    must = 0
    for c in range(n):
        D[c] = S[candidates[c], candidates[c]]
        r[c] = S[candidates[c], j]
        if required[candidates[c]]:
            must += 1
    rss = S[j, j]
    floor = COLLINEAR * S[j, j]
    k = 0
    while k < n:
        best = -1
        best_gain = 0.0
        for c in range(n):
            if not open_[c]:
                continue
            i = candidates[c]
            if must > 0:
                if required[i]:
                    best = c
                    break
                continue
            if D[c] <= COLLINEAR * S[i, i]:
                continue
            share = r[c] * r[c] / (D[c] * rss)
            if share <= needed[i, j]:
                continue
            if rss * (1.0 - share) < floor:
                share = 1.0 - floor / rss
                if share <= needed[i, j]:
                    continue
            gain = -0.5 * N[i, j] * np.log1p(-share) - penalty
            if gain > best_gain:
                best_gain = gain
                best = c
        if best < 0:
            break
        if must > 0:
            must -= 1
        open_[best] = False
        b = candidates[best]
        parents[k] = b
        if k == L.shape[0]:
            larger = np.empty((min(n, 2 * k), n))
            larger[:k] = L
            L = larger
        # Row k of the pivoted Cholesky factor of the candidates' covariance.
        for c in range(n):
            L[k, c] = S[b, candidates[c]]
        for h in range(k):
            f = L[h, best]
            for c in range(n):
                L[k, c] -= f * L[h, c]
        if D[best] > COLLINEAR * S[b, b]:
            root = 1.0 / np.sqrt(D[best])
            f = r[best] * root
            for c in range(n):
                L[k, c] *= root
                r[c] -= f * L[k, c]
                D[c] -= L[k, c] * L[k, c]
            rss = max(rss - f * f, floor)
        else:
            for c in range(n):
                L[k, c] = 0.0
        k += 1
    if k > 1:
        k, rss = _shrink(S, N, penalty, j, required, parents, k, rss, floor)
    return k, rss


@njit(cache=True, nogil=True)
def _shrink(S, N, penalty, j, required, parents, k, rss, floor):
    A = np.empty((k, k))
    L = np.empty((k, k))
    V = np.empty((k, k))
    w = np.empty(k)
    while k > 0:
        for a in range(k):
            for b in range(a, k):
                A[a, b] = S[parents[a], parents[b]]
        if not np.isfinite(spd_inverse(A, k, L, V)):
            break
        worst = -1
        best_gain = 0.0
        for a in range(k):
            w[a] = 0.0
            for b in range(k):
                w[a] += V[a, b] * S[parents[b], j]
        for a in range(k):
            if required[parents[a]]:
                continue
            gain = penalty - 0.5 * N[parents[a], j] * np.log1p(w[a] * w[a] / (V[a, a] * rss))
            if gain > best_gain:
                best_gain = gain
                worst = a
        if worst < 0:
            break
        rss = max(rss + w[worst] * w[worst] / V[worst, worst], floor)
        for a in range(worst, k - 1):
            parents[a] = parents[a + 1]
        k -= 1
    return k, rss


@njit(cache=True, nogil=True)
def _prefix_score(S, N, needed, penalty, j, prefix, extra, allowed, required, scratch, parents):
    """Score of column ``j`` with parents chosen among ``prefix`` and, unless it is -1, ``extra``."""
    n = 0
    for i in prefix:
        if allowed[i, j]:
            scratch[n] = i
            n += 1
    if extra >= 0 and allowed[extra, j]:
        scratch[n] = extra
        n += 1
    k, rss = grow_shrink(S, N, needed, penalty, j, scratch[:n], required[:, j], parents)
    return -0.5 * N[j, j] * np.log(rss) - penalty * k


@njit(cache=True, nogil=True)
def boss_order(S, N, needed, penalty, allowed, required, precedes, order, max_sweeps):
    """Improve ``order`` in place: move each column to its best position until a sweep brings nothing."""
    d = order.shape[0]
    scratch = np.empty(d, np.int64)
    parents = np.empty(d, np.int64)
    rest = np.empty(d - 1, np.int64)
    score = np.empty(d)
    without = np.empty(d - 1)
    with_ = np.empty(d - 1)
    for t in range(d):
        score[t] = _prefix_score(
            S, N, needed, penalty, order[t], order[:t], -1, allowed, required, scratch, parents
        )
    for _ in range(max_sweeps):
        moved = False
        for v in range(d):
            at = 0
            while order[at] != v:
                at += 1
            first = 0  # v stands after what must precede it, before what it must precede
            last = d - 1
            for t in range(d - 1):
                rest[t] = order[t] if t < at else order[t + 1]
                if precedes[rest[t], v]:
                    first = t + 1
                if precedes[v, rest[t]] and t < last:
                    last = t
            if first == last:
                continue
            for t in range(first, last):
                j = rest[t]
                if t < at:
                    without[t] = score[t]
                    with_[t] = _prefix_score(
                        S, N, needed, penalty, j, rest[:t], v, allowed, required, scratch, parents
                    )
                else:
                    with_[t] = score[t + 1]
                    without[t] = _prefix_score(
                        S, N, needed, penalty, j, rest[:t], -1, allowed, required, scratch, parents
                    )
            total = 0.0
            for t in range(first, last):
                total += with_[t]
            best = -np.inf
            best_at = at
            best_own = 0.0
            here = -np.inf
            for k in range(first, last + 1):
                if k == at:
                    own = score[at]
                else:
                    own = _prefix_score(
                        S, N, needed, penalty, v, rest[:k], -1, allowed, required, scratch, parents
                    )
                value = total + own
                if k == at:
                    here = value
                if value > best + 1e-9:  # of equal places the first, whatever the rounding
                    best = value
                    best_at = k
                    best_own = own
                if k < last:
                    total += without[k] - with_[k]
            if best_at == at or not best > here + 1e-7:
                continue
            moved = True
            # The others keep their scores outside the stretch that v passes.
            if best_at < at:
                for t in range(at, best_at, -1):
                    order[t] = order[t - 1]
                    score[t] = with_[t - 1]
            else:
                for t in range(at, best_at):
                    order[t] = order[t + 1]
                    score[t] = without[t]
            order[best_at] = v
            score[best_at] = best_own
        if not moved:
            break
    return score.sum()


@njit(cache=True, nogil=True)
def parents_in_order(S, N, needed, penalty, allowed, required, order):
    """Adjacency of the parents chosen for each column among those before it in ``order``."""
    d = order.shape[0]
    A = np.zeros((d, d), np.bool_)
    scratch = np.empty(d, np.int64)
    parents = np.empty(d, np.int64)
    for t in range(d):
        j = order[t]
        n = 0
        for i in order[:t]:
            if allowed[i, j]:
                scratch[n] = i
                n += 1
        k, _ = grow_shrink(S, N, needed, penalty, j, scratch[:n], required[:, j], parents)
        for a in range(k):
            A[parents[a], j] = True
    return A


@njit(cache=True, nogil=True)
def equal_variance_order(S, precedes):
    """Order in which the next column is the one of least variance given those before it."""
    d = S.shape[0]
    V = S.copy()
    order = np.empty(d, np.int64)
    used = np.zeros(d, np.bool_)
    for t in range(d):
        best = -1
        for j in range(d):
            if used[j]:
                continue
            ready = True
            for i in range(d):
                if precedes[i, j] and not used[i]:
                    ready = False
                    break
            if ready and (best < 0 or V[j, j] < V[best, best]):
                best = j
        used[best] = True
        order[t] = best
        pivot = V[best, best]
        if pivot > COLLINEAR * S[best, best]:
            for i in range(d):
                if not used[i]:
                    f = V[i, best] / pivot
                    for j in range(d):
                        if not used[j]:
                            V[i, j] -= f * V[best, j]
    return order


@njit(cache=True, nogil=True)
def subset_log_determinants(S):
    """log det of every principal submatrix; bit i of the index is column i. -inf where it is singular."""
    d = S.shape[0]
    out = np.zeros(1 << d)
    A = np.empty((d, d))
    chosen = np.empty(d, np.int64)
    for subset in range(1, 1 << d):
        m = 0
        for j in range(d):
            if (subset >> j) & 1:
                chosen[m] = j
                m += 1
        total = 0.0
        for a in range(m):
            for b in range(a, m):
                A[a, b] = S[chosen[a], chosen[b]]
        for k in range(m):
            pivot = max(A[k, k], COLLINEAR * S[chosen[k], chosen[k]])
            total += np.log(pivot)
            for i in range(k + 1, m):
                f = A[k, i] / pivot
                for j in range(i, m):
                    A[i, j] -= f * A[k, j]
        out[subset] = total
    return out


@njit(cache=True, nogil=True)
def exact_parents(S, n, penalty, allowed, required):
    """Adjacency of the best graph of all: dynamic programming over subsets (Silander and Myllymäki 2006)."""
    d = S.shape[0]
    size = 1 << d
    logdet = subset_log_determinants(S)
    best = np.full((d, size), -np.inf)
    choice = np.zeros((d, size), np.int32)
    for j in range(d):
        may = 0
        must = 0
        for i in range(d):
            if i != j and allowed[i, j]:
                may |= 1 << i
            if required[i, j]:
                must |= 1 << i
        for U in range(size):
            if (U >> j) & 1:
                continue
            if (U & ~may) == 0 and (must & ~U) == 0:
                n_parents = 0
                for i in range(d):
                    n_parents += (U >> i) & 1
                score = -0.5 * n * (logdet[U | (1 << j)] - logdet[U]) - penalty * n_parents
                best[j, U] = score
                choice[j, U] = U
            for i in range(d):
                if (U >> i) & 1:
                    smaller = U & ~(1 << i)
                    if best[j, smaller] >= best[j, U]:
                        best[j, U] = best[j, smaller]
                        choice[j, U] = choice[j, smaller]
    value = np.full(size, -np.inf)
    sink = np.full(size, -1, np.int64)
    value[0] = 0.0
    for U in range(1, size):
        for j in range(d):
            if (U >> j) & 1:
                before = U & ~(1 << j)
                score = value[before] + best[j, before]
                if score > value[U]:
                    value[U] = score
                    sink[U] = j
    A = np.zeros((d, d), np.bool_)
    U = size - 1
    while U:
        j = sink[U]
        U &= ~(1 << j)
        for i in range(d):
            if (choice[j, U] >> i) & 1:
                A[i, j] = True
    return A


@njit(cache=True, nogil=True)
def residual_variance(S, A, j):
    """Variance of column ``j`` given its parents in ``A``."""
    d = S.shape[0]
    p = 0
    chosen = np.empty(d + 1, np.int64)
    for i in range(d):
        if A[i, j]:
            chosen[p] = i
            p += 1
    chosen[p] = j
    B = np.empty((p + 1, p + 1))
    for a in range(p + 1):
        for b in range(a, p + 1):
            B[a, b] = S[chosen[a], chosen[b]]
    for k in range(p):
        pivot = B[k, k]
        if pivot <= COLLINEAR * S[chosen[k], chosen[k]]:
            continue
        for i in range(k + 1, p + 1):
            f = B[k, i] / pivot
            for b in range(i, p + 1):
                B[i, b] -= f * B[k, b]
    return max(B[p, p], COLLINEAR * S[j, j])


@njit(cache=True, nogil=True)
def ordinary_least_squares(S, A, W, omega):
    """Fill weights of the edges in ``A`` and residual variances; returns False if a fit is singular."""
    d = S.shape[0]
    P = np.empty((d, d))
    L = np.empty((d, d))
    V = np.empty((d, d))
    chosen = np.empty(d, np.int64)
    fine = True
    W[:] = 0.0
    for j in range(d):
        p = 0
        for i in range(d):
            if A[i, j]:
                chosen[p] = i
                p += 1
        for a in range(p):
            for b in range(a, p):
                P[a, b] = S[chosen[a], chosen[b]]
        if p > 0 and not np.isfinite(spd_inverse(P, p, L, V)):
            fine = False  # copies among the parents: spread the weight by a small ridge
            for a in range(p):
                for b in range(a, p):
                    P[a, b] = S[chosen[a], chosen[b]]
                P[a, a] *= 1.0 + 1e-6
            spd_inverse(P, p, L, V)
        rss = S[j, j]
        for a in range(p):
            w = 0.0
            for b in range(p):
                w += V[a, b] * S[chosen[b], j]
            W[chosen[a], j] = w
            rss -= w * S[chosen[a], j]
        omega[j] = max(rss, COLLINEAR * S[j, j])
    return fine


@njit(cache=True, nogil=True)
def _reaches(A, start, goal, stack, visited):
    d = A.shape[0]
    visited[:] = False
    stack[0] = start
    visited[start] = True
    n = 1
    while n:
        n -= 1
        i = stack[n]
        if i == goal:
            return True
        for j in range(d):
            if A[i, j] and not visited[j]:
                visited[j] = True
                stack[n] = j
                n += 1
    return False


@njit(cache=True, nogil=True)
def hill_climb(S, n, penalty, allowed, required, A, tabu_length, max_steps, equal_var):
    """Add, delete or turn one edge at a time, with a tabu list; ``A`` becomes the best graph seen."""
    d = S.shape[0]
    rss = np.empty(d)
    plus = np.empty((d, d))  # residual variance of j after toggling the edge i -> j
    tabu = np.zeros((d, d), np.int64)
    stack = np.empty(d, np.int64)
    visited = np.empty(d, np.bool_)
    stale = np.ones(d, np.bool_)
    for j in range(d):
        rss[j] = residual_variance(S, A, j)
    edges = A.sum()
    score = _graph_score(rss, n, penalty, edges, equal_var)
    best_score = score
    best = A.copy()
    idle = 0
    for step in range(1, max_steps + 1):
        for j in range(d):
            if stale[j]:
                for i in range(d):
                    if i != j and (allowed[i, j] or A[i, j]):
                        A[i, j] = not A[i, j]
                        plus[i, j] = residual_variance(S, A, j)
                        A[i, j] = not A[i, j]
                stale[j] = False
        total = rss.sum()
        best_gain = -np.inf
        move = 0
        bi = -1
        bj = -1
        for i in range(d):
            for j in range(d):
                if i == j or tabu[i, j] > step:
                    continue
                if not A[i, j]:
                    if A[j, i] or not allowed[i, j]:
                        continue
                    gain = _gain(rss[j], plus[i, j], total, n, d, equal_var) - penalty
                    if gain > best_gain and not _reaches(A, j, i, stack, visited):
                        best_gain, move, bi, bj = gain, 1, i, j
                elif not required[i, j]:
                    gain = _gain(rss[j], plus[i, j], total, n, d, equal_var) + penalty
                    if gain > best_gain:
                        best_gain, move, bi, bj = gain, 2, i, j
                    if allowed[j, i]:
                        changed = total - rss[j] + plus[i, j]
                        gain += _gain(rss[i], plus[j, i], changed, n, d, equal_var) - penalty
                        if gain > best_gain:
                            A[i, j] = False
                            if not _reaches(A, i, j, stack, visited):
                                best_gain, move, bi, bj = gain, 3, i, j
                            A[i, j] = True
        if bi < 0:
            break
        A[bi, bj] = move == 1
        edges += 1 if move == 1 else -1
        rss[bj] = residual_variance(S, A, bj)
        stale[bj] = True
        if move == 3:
            A[bj, bi] = True
            edges += 1
            rss[bi] = residual_variance(S, A, bi)
            stale[bi] = True
        tabu[bi, bj] = step + tabu_length
        tabu[bj, bi] = step + tabu_length
        score = _graph_score(rss, n, penalty, edges, equal_var)
        if score > best_score + 1e-9 * (1.0 + abs(best_score)):
            best_score = score
            best[:] = A
            idle = 0
        else:
            idle += 1
            if idle > tabu_length:
                break
    A[:] = best
    return best_score


@njit(cache=True, nogil=True)
def _gain(before, after, total, n, d, equal_var):
    if equal_var:
        return -0.5 * n * d * np.log((total - before + after) / total)
    return -0.5 * n * np.log(after / before)


@njit(cache=True, nogil=True)
def _graph_score(rss, n, penalty, edges, equal_var):
    d = rss.shape[0]
    if equal_var:
        return -0.5 * n * d * np.log(rss.sum() / d) - penalty * edges
    return -0.5 * n * np.log(rss).sum() - penalty * edges
