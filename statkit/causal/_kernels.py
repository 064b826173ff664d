"""Compiled loops of the Gaussian E-step: one small inverse a missing pattern, then a few products a row."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def spd_inverse(A, m, L, V):
    """Invert the symmetric positive definite ``A[:m, :m]`` into ``V`` (lower triangle and its mirror).

    ``A`` is overwritten. Returns the log determinant, NaN if ``A`` is not positive definite. All inner
    loops run along rows, which the compiler vectorises without reordering a sum.
    """
    logdet = 0.0
    for k in range(m):  # A = U'U, U in the upper triangle of A
        pivot = A[k, k]
        if not pivot > 0.0:
            return np.nan
        logdet += np.log(pivot)
        root = 1.0 / np.sqrt(pivot)
        for j in range(k, m):
            A[k, j] *= root
        for i in range(k + 1, m):
            f = A[k, i]
            for j in range(i, m):
                A[i, j] -= f * A[k, j]
    for k in range(m):  # L = U'^-1, lower triangular
        for j in range(k + 1):
            L[k, j] = 0.0
        for i in range(k):
            f = A[i, k]
            for j in range(i + 1):
                L[k, j] -= f * L[i, j]
        inverse = 1.0 / A[k, k]
        for j in range(k):
            L[k, j] *= inverse
        L[k, k] = inverse
    for i in range(m):
        for j in range(i + 1):
            V[i, j] = 0.0
    for k in range(m):
        for i in range(k + 1):
            f = L[k, i]
            for j in range(i + 1):
                V[i, j] += f * L[k, j]
    for i in range(m):
        for j in range(i):
            V[j, i] = V[i, j]
    return logdet


@njit(cache=True, nogil=True)
def fill_patterns(R, T, starts, seen, weight, K, Sigma, logdet_K, C, logdet_missing, spread):
    """Replace the missing residuals of every row by their conditional means, pattern by pattern.

    Parameters
    ----------
    R : (rows, d) residuals from the mean, rows sorted by pattern; what is missing is overwritten.
    T : (rows, d) ``R @ K`` with zeros in ``R`` where missing.
    starts : (patterns + 1,) first row of each pattern.
    seen : (patterns, d) bool, True where observed.
    weight : (rows,) row weights.
    K, Sigma : (d, d) precision and covariance.
    logdet_K : log determinant of ``K``.
    C : (d, d) the sum over rows of weight times conditional covariance is added to it.
    logdet_missing : (patterns,) filled with the log determinant of the missing block of ``K``.
    spread : (patterns, d) filled with conditional variances, or (0, 0) if they are not wanted.

    Returns the number of a pattern whose block is not positive definite, or -1.
    """
    d = K.shape[0]
    A = np.empty((d, d))
    L = np.empty((d, d))
    V = np.empty((d, d))
    G = np.empty((d, d))
    observed = np.empty(d, np.int64)
    missing = np.empty(d, np.int64)
    x = np.empty(d)
    for g in range(starts.shape[0] - 1):
        lo = starts[g]
        hi = starts[g + 1]
        o = 0
        m = 0
        for j in range(d):
            if seen[g, j]:
                observed[o] = j
                o += 1
            else:
                missing[m] = j
                m += 1
        if m <= o:
            # V = K_mm^-1, and the filled residuals are -V K_mo r_o.
            for a in range(m):
                for b in range(a, m):
                    A[a, b] = K[missing[a], missing[b]]
            logdet = spd_inverse(A, m, L, V)
            if not np.isfinite(logdet):
                return g
            for r in range(lo, hi):
                for a in range(m):
                    x[a] = 0.0
                for b in range(m):
                    f = -T[r, missing[b]]
                    for a in range(m):
                        x[a] += f * V[b, a]
                for a in range(m):
                    R[r, missing[a]] = x[a]
        else:
            # Fewer observed than missing: B = Sigma_oo^-1 Sigma_om and V = Sigma_mm - Sigma_mo B.
            for a in range(o):
                for b in range(a, o):
                    A[a, b] = Sigma[observed[a], observed[b]]
            logdet = spd_inverse(A, o, L, G)
            if not np.isfinite(logdet):
                return g
            logdet += logdet_K
            B = np.zeros((o, m))
            for b in range(o):
                for c in range(o):
                    f = G[b, c]
                    for a in range(m):
                        B[b, a] += f * Sigma[observed[c], missing[a]]
            for a in range(m):
                for b in range(m):
                    V[a, b] = Sigma[missing[a], missing[b]]
                for c in range(o):
                    f = Sigma[missing[a], observed[c]]
                    for b in range(m):
                        V[a, b] -= f * B[c, b]
            fill_rows(R, lo, hi, observed[:o], missing[:m], B)
        logdet_missing[g] = logdet
        total = 0.0
        for r in range(lo, hi):
            total += weight[r]
        for a in range(m):
            for b in range(m):
                C[missing[a], missing[b]] += total * V[a, b]
        if spread.shape[0] > 0:
            for j in range(o):
                spread[g, observed[j]] = 0.0
            for a in range(m):
                spread[g, missing[a]] = V[a, a]
    return -1


@njit(cache=True, nogil=True)
def fill_rows(R, lo, hi, observed, missing, B):
    """Set missing entries of rows ``lo`` to ``hi`` to the observed ones times ``B`` (observed, missing)."""
    if hi - lo > 16:
        Y = np.empty((hi - lo, observed.shape[0]))
        for r in range(lo, hi):
            for b in range(observed.shape[0]):
                Y[r - lo, b] = R[r, observed[b]]
        Z = np.dot(Y, B)
        for r in range(lo, hi):
            for a in range(missing.shape[0]):
                R[r, missing[a]] = Z[r - lo, a]
    else:
        for r in range(lo, hi):
            for a in range(missing.shape[0]):
                R[r, missing[a]] = 0.0
            for b in range(observed.shape[0]):
                f = R[r, observed[b]]
                for a in range(missing.shape[0]):
                    R[r, missing[a]] += f * B[b, a]
