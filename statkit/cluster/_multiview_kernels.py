"""Compiled loops of the multi-view methods: plain arrays in, plain arrays out."""

import numpy as np
from numba import njit

from statkit.cluster._simplex import project_row


@njit(cache=True, nogil=True)
def sum_pairwise_pass(W, weight, labels, sums, squares, mass, counts):
    """One pass of sequential moves that lower the sum of squared distances over pairs inside clusters.

    ``W`` (n, D); ``sums`` (D, k), ``squares``, ``mass`` and ``counts`` (k) are the weighted sums of the
    clusters and are kept up to date with ``labels``. A row goes to the cluster where it costs least, at ties
    to the smaller one, then to the lower number; an empty cluster costs nothing and so is filled. Returns the
    number of moves.
    """
    n, D = W.shape
    k = len(mass)
    cost = np.empty(k)
    moves = 0
    for i in range(n):
        old = labels[i]
        w = weight[i]
        square = 0.0
        for d in range(D):
            square += W[i, d] * W[i, d]
        counted = w > 0.0
        if counted:
            _shift(W, i, -w, old, square, sums, squares, mass)
            counts[old] -= 1
            if counts[old] == 0:  # exactly empty, not up to rounding
                sums[:, old] = 0.0
                squares[old] = 0.0
                mass[old] = 0.0
        for c in range(k):
            cost[c] = squares[c] + mass[c] * square
        for d in range(D):
            twice = 2.0 * W[i, d]
            for c in range(k):
                cost[c] -= twice * sums[d, c]
        new = 0
        for c in range(1, k):
            if cost[c] < cost[new] or (cost[c] == cost[new] and mass[c] < mass[new]):
                new = c
        if counted:
            _shift(W, i, w, new, square, sums, squares, mass)
            counts[new] += 1
        if new != old:
            labels[i] = new
            moves += 1
    return moves


@njit(cache=True, nogil=True, inline="always")
def _shift(W, i, w, c, square, sums, squares, mass):
    for d in range(W.shape[1]):
        sums[d, c] += w * W[i, d]
    squares[c] += w * square
    mass[c] += w


@njit(cache=True, nogil=True)
def shrink_to_means(Z, labels, weight, n_seen, mass, edges, a, pulls):
    """Representations from sums of projected views, in place: the exact minimiser given the labels.

    Space p holds the columns from ``edges[p]``; with den_i = a n_seen_i + pull_p mass_c of the cluster c of
    sample i, z_i = (a b_i + pull_p C_c) / den_i, C_c = Σ_c a w_i b_i / den_i over 1 − pull_p Σ_c w_i / den_i.
    """
    n = len(Z)
    k, P = len(mass), len(pulls)
    centers = np.zeros((k, Z.shape[1]))
    rest = np.ones((k, P))
    for i in range(n):
        c = labels[i]
        for p in range(P):
            den = a * n_seen[i] + pulls[p] * mass[c]
            rest[c, p] -= pulls[p] * weight[i] / den
            share = a / den
            for d in range(edges[p], edges[p + 1]):
                Z[i, d] *= share
                centers[c, d] += weight[i] * Z[i, d]
    for c in range(k):
        for p in range(P):
            if pulls[p] == 0.0 or rest[c, p] == 1.0:  # no pull, or nobody there
                centers[c, edges[p] : edges[p + 1]] = 0.0
            else:
                centers[c, edges[p] : edges[p + 1]] *= pulls[p] / rest[c, p]
    for i in range(n):
        c = labels[i]
        for p in range(P):
            share = 1.0 / (a * n_seen[i] + pulls[p] * mass[c])
            for d in range(edges[p], edges[p + 1]):
                Z[i, d] += share * centers[c, d]


@njit(cache=True, nogil=True)
def space_totals(Z, weight, labels, k, edges, seen):
    """Of every space: sums (D, k) and squares (P, k) of the clusters, and squares of those with a view (P, V)."""
    n, D = Z.shape
    P, V = len(edges) - 1, seen.shape[1]
    sums = np.zeros((k, D))
    squares = np.zeros((P, k))
    norms = np.zeros((P, V))
    for i in range(n):
        w, c = weight[i], labels[i]
        for p in range(P):
            square = 0.0
            for d in range(edges[p], edges[p + 1]):
                square += Z[i, d] * Z[i, d]
                sums[c, d] += w * Z[i, d]
            squares[p, c] += w * square
            for v in range(V):
                if seen[i, v]:
                    norms[p, v] += w * square
    return np.ascontiguousarray(sums.T), squares, norms


@njit(cache=True, nogil=True)
def cluster_totals(W, weight, labels, k):
    """Weighted sums (D, k) of the clusters; sums of squares, masses and counts of weighted rows (k)."""
    n, D = W.shape
    sums = np.zeros((D, k))
    squares = np.zeros(k)
    mass = np.zeros(k)
    counts = np.zeros(k, dtype=np.int64)
    for i in range(n):
        w = weight[i]
        if w > 0.0:
            c = labels[i]
            counts[c] += 1
            mass[c] += w
            for d in range(D):
                sums[d, c] += w * W[i, d]
                squares[c] += w * W[i, d] * W[i, d]
    return sums, squares, mass, counts


@njit(cache=True, nogil=True)
def project_rows_off_diagonal(V, first, out):
    """Project rows on the simplex over all columns but their own; row r is sample ``first + r``."""
    rows, n = V.shape
    work = np.empty(n)
    kept = np.empty(n)
    projected = np.empty(n)
    for r in range(rows):
        i = first + r
        m = 0
        for j in range(n):
            if j != i:
                kept[m] = V[r, j]
                m += 1
        project_row(kept, m, work, projected)
        out[r, :i] = projected[:i]
        out[r, i] = 0.0
        out[r, i + 1 :] = projected[i : n - 1]


@njit(cache=True, nogil=True)
def project_rows(V, out):
    """Project every row of ``V`` on the simplex."""
    n, m = V.shape
    work = np.empty(m)
    for i in range(n):
        project_row(V[i], m, work, out[i])


@njit(cache=True, nogil=True)
def factor_entries(F, candidates, out):
    """``out[i, j]`` = ⟨F_i, F_{candidates[i, j]}⟩: the entries of F Fᵀ on a sparse support."""
    n, c = candidates.shape
    r = F.shape[1]
    for i in range(n):
        for j in range(c):
            other = candidates[i, j]
            total = 0.0
            for d in range(r):
                total += F[i, d] * F[other, d]
            out[i, j] = total


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _gather_row(columns, values, A, first, row):
    """``row[first:]`` = Σ_j values_j A[columns_j, first:], four rows of ``A`` at a time."""
    n, K = A.shape[1], len(columns)
    row[first:] = 0.0
    j = 0
    while j + 4 <= K:
        a, b = A[columns[j]], A[columns[j + 1]]
        c, d = A[columns[j + 2]], A[columns[j + 3]]
        p, q, r, s = values[j], values[j + 1], values[j + 2], values[j + 3]
        for t in range(first, n):
            row[t] += p * a[t] + q * b[t] + r * c[t] + s * d[t]
        j += 4
    while j < K:
        a, p = A[columns[j]], values[j]
        for t in range(first, n):
            row[t] += p * a[t]
        j += 1


@njit(cache=True, nogil=True)
def diffuse(columns, values, A, turned, out):
    """The upper half of ``out = S A Sᵀ`` for a symmetric A and a sparse S with ``K`` entries a row.

    ``turned`` is room for (S A)ᵀ; the lower half of ``out`` is left as it is.
    """
    n = len(columns)
    block = 8  # rows that are turned together: a line of the cache
    rows = np.empty((block, n))
    for start in range(0, n, block):
        stop = min(start + block, n)
        for i in range(start, stop):
            _gather_row(columns[i], values[i], A, 0, rows[i - start])
        for t in range(n):
            for i in range(start, stop):
                turned[t, i] = rows[i - start, t]
    for i in range(n):
        _gather_row(columns[i], values[i], turned, i, out[i])


@njit(cache=True, nogil=True)
def normalize_upper(W):
    """A symmetric W, given by its upper half, over twice its off-diagonal row sums, ½ on the diagonal.

    Dividing the rows and taking the symmetric part of that is one factor for each pair.
    """
    n = len(W)
    total = np.zeros(n)
    for i in range(n):
        for j in range(i + 1, n):
            total[i] += W[i, j]
            total[j] += W[i, j]
    for i in range(n):
        total[i] = 0.25 / total[i] if total[i] > 0 else 0.25
    block = 32
    for first in range(0, n, block):
        for second in range(first, n, block):
            for i in range(first, min(first + block, n)):
                for j in range(max(second, i + 1), min(second + block, n)):
                    W[i, j] *= total[i] + total[j]
                    W[j, i] = W[i, j]
    for i in range(n):
        W[i, i] = 0.5


@njit(cache=True, nogil=True)
def add_identity_upper(W, factor):
    """``factor`` W + I for a symmetric W that is given by its upper half."""
    n = len(W)
    block = 32
    for first in range(0, n, block):
        for second in range(first, n, block):
            for i in range(first, min(first + block, n)):
                for j in range(max(second, i), min(second + block, n)):
                    W[i, j] *= factor
                    W[j, i] = W[i, j]
    for i in range(n):
        W[i, i] += 1.0


@njit(cache=True, nogil=True)
def center_and_scale(K, shift, scale):
    """``K_ij ← (½(K_ij + K_ji) − shift_i − shift_j) scale_i scale_j`` in place, in one pass."""
    n = len(K)
    block = 32
    for first in range(0, n, block):
        for second in range(first, n, block):
            for i in range(first, min(first + block, n)):
                for j in range(max(second, i), min(second + block, n)):
                    value = (0.5 * (K[i, j] + K[j, i]) - shift[i] - shift[j]) * (scale[i] * scale[j])
                    K[i, j] = value
                    K[j, i] = value


@njit(cache=True, nogil=True)
def rbf_exponent(inner, x_squares, y_squares, gamma):
    """``−γ ‖x_i − y_j‖²`` in the place of the inner products; never positive."""
    rows, columns = inner.shape
    for i in range(rows):
        for j in range(columns):
            squared = x_squares[i] + y_squares[j] - 2.0 * inner[i, j]
            inner[i, j] = -gamma * max(squared, 0.0)


@njit(cache=True, nogil=True)
def simplex_regression(Q, C, tol, out):
    """For every row c of ``C`` minimise ½ zᵀQz − cᵀz over the simplex, by an exact active set.

    ``Q`` (r, r) is symmetric positive definite; ``out`` (n, r) receives the minimisers. The support grows by
    the coordinate of smallest gradient; the equality-constrained minimiser on the support is found from a
    Cholesky factor, and what would become negative leaves.
    """
    n, r = C.shape
    support = np.empty(r, dtype=np.int64)
    inside = np.empty(r, dtype=np.bool_)
    L = np.empty((r, r))
    u = np.empty(r)
    v = np.empty(r)
    z = np.empty(r)
    for i in range(n):
        c = C[i]
        best = 0
        for j in range(1, r):
            if 0.5 * Q[j, j] - c[j] < 0.5 * Q[best, best] - c[best]:
                best = j
        inside[:] = False
        z[:] = 0.0
        z[best] = 1.0
        inside[best] = True
        support[0] = best
        s = 1
        mu = Q[best, best] - c[best]
        for _ in range(10 * r):
            entering = -1
            lowest = mu - tol
            for j in range(r):
                if not inside[j]:
                    g = -c[j]
                    for a in range(s):
                        g += Q[j, support[a]] * z[support[a]]
                    if g < lowest:
                        lowest = g
                        entering = j
            if entering < 0:
                break
            support[s] = entering
            inside[entering] = True
            s += 1
            while True:
                # Minimiser on the support: Q u = c, Q v = 1, z = u − μ v with μ so that Σz = 1.
                for a in range(s):
                    for b in range(a + 1):
                        x = Q[support[a], support[b]]
                        for t in range(b):
                            x -= L[a, t] * L[b, t]
                        if a == b:
                            L[a, a] = np.sqrt(x)
                        else:
                            L[a, b] = x / L[b, b]
                for a in range(s):
                    x = c[support[a]]
                    y = 1.0
                    for t in range(a):
                        x -= L[a, t] * u[t]
                        y -= L[a, t] * v[t]
                    u[a] = x / L[a, a]
                    v[a] = y / L[a, a]
                for a in range(s - 1, -1, -1):
                    for t in range(a + 1, s):
                        u[a] -= L[t, a] * u[t]
                        v[a] -= L[t, a] * v[t]
                    u[a] /= L[a, a]
                    v[a] /= L[a, a]
                mu_total = -1.0
                mu_scale = 0.0
                for a in range(s):
                    mu_total += u[a]
                    mu_scale += v[a]
                # The gradient Qz − c on the support is −(mu_total / mu_scale).
                step = 1.0
                leaving = -1
                for a in range(s):
                    target = u[a] - mu_total / mu_scale * v[a]
                    if target < 0.0:
                        old = z[support[a]]
                        if old / (old - target) < step or leaving < 0:
                            step = old / (old - target)
                            leaving = support[a]
                for a in range(s):
                    target = u[a] - mu_total / mu_scale * v[a]
                    z[support[a]] += step * (target - z[support[a]])
                if leaving < 0:
                    mu = -mu_total / mu_scale
                    break
                kept = 0
                for a in range(s):
                    j = support[a]
                    if j == leaving:
                        z[j] = 0.0
                        inside[j] = False
                    else:
                        support[kept] = j
                        kept += 1
                s = kept
        out[i] = z
