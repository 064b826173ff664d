"""One row of a Gauss-Seidel sweep, shared by every kernel: costs to probabilities, and the cost of a cluster.

The objective is ``Σ_k A_k / S_k^a`` with ``S_k = Σ_i w_i q_ik``, ``A_k = Σ_ij w_i w_j q_ik q_jk d_ij`` and
``q = p^m``. With the other rows fixed its linear majorant in row i has the slopes
``c_ik = S_k^-a (2 G_ik - a A_k / S_k)``, ``G_ik = Σ_j w_j q_jk d_ij``, and the minimiser is ``p ∝ c^-s``,
``s = 1 / (m - 1)``. In the hard version (``m = 1``) the cost is the exact change of the objective.
"""

import math

from numba import njit

#: Sums may be reassociated for vector units; NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "arcp", "nsz"}
KERNEL = {"cache": True, "nogil": True, "fastmath": FAST, "error_model": "numpy"}

#: Probabilities below exp(-23) = 1e-10 of the largest are zero, without a logarithm or an exponential.
NEGLIGIBLE = 23.0


@njit(**KERNEL)
def power_rows(P, m, Q):
    """Q = P^m, quick where most probabilities are 0 or 1."""
    for i in range(P.shape[0]):
        for k in range(P.shape[1]):
            p = P[i, k]
            Q[i, k] = p if p == 0.0 or p == 1.0 or m == 1.0 else p**m


@njit(**KERNEL)
def near_uniform(P, gap):
    """Whether every probability is within ``gap`` of 1/K; a partition that has left uniform shows in its first rows."""
    level = 1.0 / P.shape[1]
    for i in range(P.shape[0]):
        for k in range(P.shape[1]):
            if abs(P[i, k] - level) >= gap:
                return False
    return True


@njit(**KERNEL)
def cluster_cost(G, S, A, power_S, own, w, a, hard):
    """Cost of cluster k for a row; ``own`` is w_i q_ik as it stands, ``power_S`` is S^-a."""
    if hard:
        if a == 0.0:
            return 2.0 * G
        without = S - own
        rest = A - 2.0 * own * G
        inside = (rest + 2.0 * w * G) / (without + w) ** a
        if without <= 1e-12 * w:
            return inside
        return inside - rest / without**a
    if a == 0.0:
        return 2.0 * G
    return power_S * (2.0 * G - a * A / S)


@njit(**KERNEL)
def set_row(cost, m, s, hard, floor, p_old, p, q):
    """Fill ``p`` ∝ cost^-s and ``q = p^m``; hard: the cheapest cluster, the present one where costs tie."""
    n = cost.shape[0]
    best = 0
    for k in range(n):
        if hard:
            if cost[k] < cost[best]:
                best = k
        else:
            cost[k] = max(cost[k], floor)
            if cost[k] < cost[best]:
                best = k
    if hard:
        for k in range(n):
            if p_old[k] == 1.0 and cost[k] <= cost[best]:
                best = k
        for k in range(n):
            p[k] = 1.0 if k == best else 0.0
            q[k] = p[k]
        return
    low = cost[best]
    limit = low * math.exp(min(NEGLIGIBLE / s, 700.0))
    total = 0.0
    for k in range(n):
        if cost[k] > limit:
            p[k] = 0.0
            continue
        if k == best:
            p[k] = 1.0
        elif s == 1.0:
            p[k] = low / cost[k]
        elif s == 2.0:
            p[k] = (low / cost[k]) ** 2
        else:
            p[k] = math.exp(-s * math.log(cost[k] / low))
        total += p[k]
    if total == 1.0:  # one cluster alone
        for k in range(n):
            q[k] = p[k]
        return
    # q = p^m = p p^(m-1), and p^(m-1) is low / cost up to the normaliser when s = 1 / (m - 1)
    excess = (m - 1.0) * s
    plain = abs(excess - 1.0) < 1e-9
    power_total = total ** (1.0 - m)
    for k in range(n):
        if p[k] == 0.0:
            q[k] = 0.0
        else:
            p[k] /= total
            ratio = low / cost[k]
            q[k] = p[k] * power_total * (ratio if plain else ratio**excess)
