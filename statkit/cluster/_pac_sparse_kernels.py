"""Kernels of the linear-cost form for CSR rows: the work of a row is its non-zeros times the clusters.

Sums, not centres, are kept, because a centre changes in every coordinate: S0 = Σ w q, S1 = Σ w q x,
S2 = Σ w q |x|² and R = |S1|². Then ``G_ik = S0 |x_i|² - 2 x_i'S1 + S2``. Under cosine a row's values are
divided by its length, a zero row has |x|² = 1 and ``extra = 1`` (see the dense kernels).
"""

import numpy as np
from numba import njit

from statkit.cluster._pac_row import KERNEL, cluster_cost, set_row


@njit(**KERNEL)
def sum_sparse_rows(data, indices, indptr, inverse, square, extra, weight, Q, S0, S1, S2, R, Z):
    """Recompute the sums from ``Q``; ``S1`` (d, K); ``inverse`` scales a row, ``square`` is its |x|²."""
    n_clusters = S0.shape[0]
    S0[:] = 0.0
    S1[:] = 0.0
    S2[:] = 0.0
    Z[:] = 0.0
    R[:] = 0.0
    for i in range(weight.shape[0]):
        for k in range(n_clusters):
            mass = weight[i] * Q[i, k]
            if mass > 0.0:
                S0[k] += mass
                S2[k] += mass * square[i]
                Z[k] += 2.0 * extra[i] * mass * mass
                for t in range(indptr[i], indptr[i + 1]):
                    S1[indices[t], k] += mass * inverse[i] * data[t]
    for j in range(S1.shape[0]):
        for k in range(n_clusters):
            R[k] += S1[j, k] ** 2


@njit(**KERNEL)
def sparse_sweep(
    data,
    indices,
    indptr,
    inverse,
    square,
    extra,
    weight,
    order,
    P,
    Q,
    S0,
    S1,
    S2,
    R,
    Z,
    m,
    s,
    a,
    noise,
    floor,
):
    """One Gauss-Seidel sweep, in place; return Σ_i w_i Σ_k |p_new - p_old|."""
    n_clusters = S0.shape[0]
    n_columns = P.shape[1]
    hard = m == 1.0
    dot = np.empty(n_clusters)
    cost = np.empty(n_columns)
    p = np.empty(n_columns)
    q = np.empty(n_columns)
    step = np.empty(n_clusters)
    power_S = S0**-a
    change = 0.0
    for i in order:
        w = weight[i]
        dot[:] = 0.0
        for t in range(indptr[i], indptr[i + 1]):
            value = inverse[i] * data[t]
            row = S1[indices[t]]
            for k in range(n_clusters):
                dot[k] += value * row[k]
        for k in range(n_clusters):
            own = w * Q[i, k]
            G = max(S0[k] * square[i] - 2.0 * dot[k] + S2[k] - 2.0 * extra[i] * own, 0.0)
            A = 2.0 * (S0[k] * S2[k] - R[k]) - Z[k]
            cost[k] = cluster_cost(G, S0[k], A, power_S[k], own, w, a, hard)
        for k in range(n_clusters, n_columns):
            cost[k] = noise
        set_row(cost, m, s, hard, floor, P[i], p, q)
        moved = False
        for k in range(n_columns):
            change += w * abs(p[k] - P[i, k])
            P[i, k] = p[k]
            if k < n_clusters:
                step[k] = w * (q[k] - Q[i, k])
                if step[k] != 0.0:
                    moved = True
                    Z[k] += 2.0 * extra[i] * w * w * (q[k] * q[k] - Q[i, k] * Q[i, k])
            Q[i, k] = q[k]
        if not moved:
            continue
        inner = square[i] - extra[i]  # |x|² of what S1 holds
        for k in range(n_clusters):
            R[k] += step[k] * (2.0 * dot[k] + step[k] * inner)
            S0[k] = max(S0[k] + step[k], 1e-300)
            S2[k] += step[k] * square[i]
            if a > 0.0:
                power_S[k] = S0[k] ** -a
        for t in range(indptr[i], indptr[i + 1]):
            value = inverse[i] * data[t]
            row = S1[indices[t]]
            for k in range(n_clusters):
                row[k] += value * step[k]
    return change
