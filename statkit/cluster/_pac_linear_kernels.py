"""Kernels of the linear-cost form: squared Euclidean and cosine distances, dense rows.

A cluster is its mass S, centre C and scatter T = Σ w q |x - C|²; then ``G_ik = S_k |x_i - C_k|² + T_k``, and
a row that changes updates the three as Welford's variance does, without cancellation. Rows are centred
(squared Euclidean) or brought to length one (cosine) as they are read, so no copy of X is made. Under
cosine a zero row is at distance one from every other row: it stands for a unit vector on an axis of its own.
The square of that part, ``extra``, counts in its distances; ``Z_k = Σ 2 extra (w q)²`` is what its distance
to itself would add.
"""

import math

import numpy as np
from numba import njit

from statkit.cluster._pac_row import KERNEL, cluster_cost, set_row


@njit(**KERNEL)
def load_row(X, i, shift, unit, x):
    """Copy row i, centred or of length one, to ``x``; return 1 for a zero row under cosine, else 0."""
    d = x.shape[0]
    if not unit:
        for j in range(d):
            x[j] = X[i, j] - shift[j]
        return 0.0
    norm = 0.0
    for j in range(d):
        x[j] = X[i, j]
        norm += x[j] * x[j]
    if norm == 0.0:
        return 1.0
    norm = 1.0 / math.sqrt(norm)
    for j in range(d):
        x[j] *= norm
    return 0.0


@njit(**KERNEL)
def squared_distance(x, c):
    """|x - c|²."""
    out = 0.0
    for j in range(x.shape[0]):
        out += (x[j] - c[j]) ** 2
    return out


@njit(**KERNEL)
def sum_rows(X, shift, unit, weight, Q, S, C, T, Z):
    """Recompute S, C, T, Z from ``Q``; the C that comes in is the origin that the sums are taken about."""
    n, d = X.shape
    n_clusters = S.shape[0]
    x = np.empty(d)
    S[:] = 0.0
    T[:] = 0.0
    Z[:] = 0.0
    first = np.zeros((n_clusters, d))
    for i in range(n):
        extra = load_row(X, i, shift, unit, x)
        for k in range(n_clusters):
            mass = weight[i] * Q[i, k]
            if mass > 0.0:
                S[k] += mass
                square = 0.0
                for j in range(d):
                    gap = x[j] - C[k, j]
                    first[k, j] += mass * gap
                    square += gap * gap
                T[k] += mass * (square + extra)
                Z[k] += 2.0 * extra * mass * mass
    for k in range(n_clusters):
        if S[k] > 0.0:
            square = 0.0
            for j in range(d):
                first[k, j] /= S[k]
                C[k, j] += first[k, j]
                square += first[k, j] ** 2
            T[k] = max(T[k] - S[k] * square, 0.0)


@njit(**KERNEL)
def sweep(X, shift, unit, weight, order, P, Q, S, C, T, Z, m, s, a, noise, floor):
    """One Gauss-Seidel sweep, in place; return Σ_i w_i Σ_k |p_new - p_old|.

    ``P`` may have one column more than there are clusters: the noise column, of constant cost ``noise``.
    """
    d = X.shape[1]
    n_clusters = S.shape[0]
    n_columns = P.shape[1]
    hard = m == 1.0
    x = np.empty(d)
    square = np.empty(n_clusters)
    cost = np.empty(n_columns)
    p = np.empty(n_columns)
    q = np.empty(n_columns)
    power_S = S**-a
    change = 0.0
    for i in order:
        w = weight[i]
        extra = load_row(X, i, shift, unit, x)
        for k in range(n_clusters):
            square[k] = squared_distance(x, C[k])
            own = w * Q[i, k]
            G = S[k] * (square[k] + extra) + T[k] - 2.0 * extra * own
            cost[k] = cluster_cost(G, S[k], 2.0 * S[k] * T[k] - Z[k], power_S[k], own, w, a, hard)
        for k in range(n_clusters, n_columns):
            cost[k] = noise
        set_row(cost, m, s, hard, floor, P[i], p, q)
        for k in range(n_columns):
            change += w * abs(p[k] - P[i, k])
            old = Q[i, k]
            P[i, k] = p[k]
            step = q[k] - old
            if k >= n_clusters or abs(step) < 1e-15:
                if k >= n_clusters:
                    Q[i, k] = q[k]
                continue
            Q[i, k] = q[k]
            mass = w * step
            total = S[k] + mass
            if total <= 1e-300:
                S[k] = 1e-300
                T[k] = 0.0
            else:
                T[k] = max(T[k] + mass * (S[k] / total * square[k] + extra), 0.0)
                part = mass / total
                for j in range(d):
                    C[k, j] += part * (x[j] - C[k, j])
                S[k] = total
            Z[k] += 2.0 * extra * w * w * (q[k] * q[k] - old * old)
            if a > 0.0:
                power_S[k] = S[k] ** -a
    return change


@njit(**KERNEL)
def predict_rows(X, start, stop, shift, unit, S, C, T, Z, m, s, a, noise, floor, P, Q):
    """Probabilities of rows ``start:stop`` from fixed clusters, and p^m unless ``Q`` is empty."""
    n_clusters = S.shape[0]
    x = np.empty(X.shape[1])
    cost = np.empty(P.shape[1])
    q = np.empty(P.shape[1])
    power_S = S**-a
    for i in range(start, stop):
        extra = load_row(X, i, shift, unit, x)
        for k in range(n_clusters):
            G = S[k] * (squared_distance(x, C[k]) + extra) + T[k]
            cost[k] = cluster_cost(G, S[k], 2.0 * S[k] * T[k] - Z[k], power_S[k], 0.0, 1.0, a, False)
        for k in range(n_clusters, P.shape[1]):
            cost[k] = noise
        set_row(cost, m, s, m == 1.0, floor, P[i], P[i], Q[i] if Q.shape[0] else q)


@njit(**KERNEL)
def mean_distances(X, start, stop, shift, unit, S, C, T, out):
    """G_ik / S_k: mean distance of rows ``start:stop`` to the members of each cluster."""
    x = np.empty(X.shape[1])
    for i in range(start, stop):
        extra = load_row(X, i, shift, unit, x)
        for k in range(S.shape[0]):
            out[i, k] = squared_distance(x, C[k]) + extra + T[k] / S[k]
