"""Kernel of the stream: each row is read once, placed, and added to the clusters."""

import numpy as np
from numba import njit

from statkit.cluster._pac_linear_kernels import load_row, squared_distance
from statkit.cluster._pac_row import KERNEL, cluster_cost, set_row


@njit(**KERNEL)
def add_rows(X, order, shift, unit, weight, S, C, T, Z, m, s, a, floor, keep):
    """Add rows one at a time, in place; a row's arrival leaves ``keep`` of the past (1: everything)."""
    n_clusters, d = C.shape
    hard = m == 1.0
    x = np.empty(d)
    square = np.empty(n_clusters)
    cost = np.empty(n_clusters)
    p = np.zeros(n_clusters)
    q = np.empty(n_clusters)
    nothing = np.zeros(n_clusters)
    power_S = S**-a
    for i in order:
        w = weight[i]
        extra = load_row(X, i, shift, unit, x)
        for k in range(n_clusters):
            square[k] = squared_distance(x, C[k])
            G = S[k] * (square[k] + extra) + T[k]
            cost[k] = cluster_cost(G, S[k], 2.0 * S[k] * T[k] - Z[k], power_S[k], 0.0, w, a, hard)
        set_row(cost, m, s, hard, floor, nothing, p, q)
        for k in range(n_clusters):
            if keep < 1.0:
                S[k] *= keep
                T[k] *= keep
                Z[k] *= keep * keep
            mass = w * q[k]
            if mass > 0.0:
                total = S[k] + mass
                T[k] += mass * (S[k] / total * square[k] + extra)
                Z[k] += 2.0 * extra * mass * mass
                part = mass / total
                for j in range(d):
                    C[k, j] += part * (x[j] - C[k, j])
                S[k] = total
            S[k] = max(S[k], 1e-290)
            if a > 0.0:
                power_S[k] = S[k] ** -a
