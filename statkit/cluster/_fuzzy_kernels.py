"""Kernel of fuzzy c-means: one pass over the rows gives memberships, the next centres and the objective."""

import numpy as np
from numba import njit

from statkit.cluster._pac_linear_kernels import load_row, squared_distance
from statkit.cluster._pac_row import KERNEL, set_row


@njit(**KERNEL)
def fuzzy_pass(X, start, stop, shift, weight, C, m, s, floor, mass, first, P):
    """Add to ``mass`` (K,) and ``first`` (K, d) the sums of rows ``start:stop``; return their objective.

    ``P`` (n, K) receives the probabilities unless it is empty.
    """
    n_clusters, d = C.shape
    keep = P.shape[0] > 0
    x = np.empty(d)
    square = np.empty(n_clusters)
    cost = np.empty(n_clusters)
    p = np.zeros(n_clusters)
    q = np.empty(n_clusters)
    objective = 0.0
    for i in range(start, stop):
        load_row(X, i, shift, False, x)
        for k in range(n_clusters):
            square[k] = squared_distance(x, C[k])
            cost[k] = square[k]
        set_row(cost, m, s, m == 1.0, floor, p, p, q)
        for k in range(n_clusters):
            if keep:
                P[i, k] = p[k]
            wq = weight[i] * q[k]
            if wq > 0.0:
                objective += wq * square[k]
                mass[k] += wq
                for j in range(d):
                    first[k, j] += wq * x[j]
    return objective
