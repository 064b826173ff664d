"""Kernels for a distance matrix in memory, for blocks of its rows, and for a sparse affinity graph."""

import numpy as np
from numba import njit

from statkit.cluster._pac_row import KERNEL, cluster_cost, set_row


@njit(**KERNEL)
def pairs_sweep(D, weight, order, P, Q, S, A, G, m, s, a, noise, floor):
    """One Gauss-Seidel sweep over all pairs; ``G`` = D (w q) is kept for every row, (n, K).

    Only the columns of ``G`` whose weight changed are updated, so a settled row costs K, not n K.
    """
    n, n_clusters = G.shape
    n_columns = P.shape[1]
    hard = m == 1.0
    cost = np.empty(n_columns)
    p = np.empty(n_columns)
    q = np.empty(n_columns)
    moved = np.empty(n_clusters, np.int64)
    mass = np.empty(n_clusters)
    power_S = S**-a
    change = 0.0
    for i in order:
        w = weight[i]
        for k in range(n_clusters):
            cost[k] = cluster_cost(G[i, k], S[k], A[k], power_S[k], w * Q[i, k], w, a, hard)
        for k in range(n_clusters, n_columns):
            cost[k] = noise
        set_row(cost, m, s, hard, floor, P[i], p, q)
        n_moved = 0
        for k in range(n_columns):
            change += w * abs(p[k] - P[i, k])
            P[i, k] = p[k]
            step = q[k] - Q[i, k]
            if k < n_clusters and abs(step) >= 1e-12:
                moved[n_moved] = k
                mass[n_moved] = w * step
                n_moved += 1
                A[k] = max(A[k] + 2.0 * w * step * G[i, k], 0.0)
                S[k] = max(S[k] + w * step, 1e-300)
                if a > 0.0:
                    power_S[k] = S[k] ** -a
            Q[i, k] = q[k]
        if n_moved == n_clusters:
            for k in range(n_clusters):
                p[k] = mass[k]
            for j in range(n):
                distance = D[i, j]
                for k in range(n_clusters):
                    G[j, k] += distance * p[k]
        elif n_moved:
            for j in range(n):
                distance = D[i, j]
                for t in range(n_moved):
                    G[j, moved[t]] += distance * mass[t]
    return change


@njit(**KERNEL)
def block_sweep(D, rows, weight, P, Q, S, A, G, m, s, a, noise, floor):
    """Sweep over one block of rows: ``D`` (b, b) among them, ``G`` (b, K) against all; exact in block."""
    b, n_clusters = G.shape
    n_columns = P.shape[1]
    hard = m == 1.0
    cost = np.empty(n_columns)
    p = np.empty(n_columns)
    q = np.empty(n_columns)
    change = 0.0
    for r in range(b):
        i = rows[r]
        w = weight[i]
        for k in range(n_clusters):
            cost[k] = cluster_cost(G[r, k], S[k], A[k], S[k] ** -a, w * Q[i, k], w, a, hard)
        for k in range(n_clusters, n_columns):
            cost[k] = noise
        set_row(cost, m, s, hard, floor, P[i], p, q)
        for k in range(n_columns):
            change += w * abs(p[k] - P[i, k])
            P[i, k] = p[k]
            if k < n_clusters:
                mass = w * (q[k] - Q[i, k])
                if mass != 0.0:
                    A[k] = max(A[k] + 2.0 * mass * G[r, k], 0.0)
                    S[k] = max(S[k] + mass, 1e-300)
                    for t in range(r + 1, b):
                        G[t, k] += D[t, r] * mass
            Q[i, k] = q[k]
    return change


@njit(**KERNEL)
def graph_votes(data, indices, indptr, weight, Q, V):
    """V_ik = Σ_j a_ij w_j q_jk, the votes of the neighbours; ``V`` has a column for each cluster."""
    n, n_clusters = V.shape
    for i in range(n):
        for k in range(n_clusters):
            V[i, k] = 0.0
        for t in range(indptr[i], indptr[i + 1]):
            j = indices[t]
            vote = data[t] * weight[j]
            for k in range(n_clusters):
                V[i, k] += vote * Q[j, k]


@njit(**KERNEL)
def graph_sweep(data, indices, indptr, weight, order, P, Q, S, A, V, m, s, a, noise, floor):
    """One Gauss-Seidel sweep on a sparse affinity with a zero diagonal, d_ij = 1 - a_ij.

    ``G_ik = S_k - w_i q_ik - V_ik``, and the votes ``V`` are kept: a row whose weights changed tells its
    neighbours, a settled row costs K. A weight that would change by less than 1e-10 stays, so votes and weights
    agree.
    """
    n_clusters = S.shape[0]
    n_columns = P.shape[1]
    hard = m == 1.0
    G = np.empty(n_clusters)
    cost = np.empty(n_columns)
    p = np.empty(n_columns)
    q = np.empty(n_columns)
    moved = np.empty(n_clusters, np.int64)
    mass = np.empty(n_clusters)
    power_S = S**-a
    change = 0.0
    for i in order:
        w = weight[i]
        for k in range(n_clusters):
            G[k] = max(S[k] - w * Q[i, k] - V[i, k], 0.0)
            cost[k] = cluster_cost(G[k], S[k], A[k], power_S[k], w * Q[i, k], w, a, hard)
        for k in range(n_clusters, n_columns):
            cost[k] = noise
        set_row(cost, m, s, hard, floor, P[i], p, q)
        n_moved = 0
        for k in range(n_columns):
            change += w * abs(p[k] - P[i, k])
            P[i, k] = p[k]
            step = q[k] - Q[i, k]
            if k >= n_clusters:
                Q[i, k] = q[k]
            elif abs(step) >= 1e-10:
                Q[i, k] = q[k]
                moved[n_moved] = k
                mass[n_moved] = w * step
                n_moved += 1
        if n_moved == 0:
            continue
        for r in range(n_moved):
            k = moved[r]
            A[k] = max(A[k] + 2.0 * mass[r] * G[k], 0.0)
            S[k] = max(S[k] + mass[r], 1e-300)
            if a > 0.0:
                power_S[k] = S[k] ** -a
        for t in range(indptr[i], indptr[i + 1]):
            j = indices[t]
            for r in range(n_moved):
                V[j, moved[r]] += data[t] * mass[r]
    return change


@njit(**KERNEL)
def rows_from_costs(cost, m, s, floor, P, Q):
    """Fill the probabilities of rows whose costs are known, and p^m unless ``Q`` is empty."""
    q = np.empty(P.shape[1])
    hard = m == 1.0
    for i in range(P.shape[0]):
        set_row(cost[i], m, s, hard, floor, P[i], P[i], Q[i] if Q.shape[0] else q)
