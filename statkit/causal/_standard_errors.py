"""Standard errors of edge weights given the graph: the observed information, in one pass."""

from __future__ import annotations

import numpy as np
from numba import njit

from statkit.causal._graph_em import covariance, precision
from statkit.causal._kernels import spd_inverse


def weight_standard_errors(data, mean, W, omega, A, S, *, equal_var: bool) -> np.ndarray:
    """Return the standard errors of the weights on the edges of ``A``, 0 elsewhere; NaN if not identified.

    The information in what was observed is that in the completed rows less the variance of their scores given
    what was observed (Louis 1982, "Finding the observed information matrix when using the EM algorithm").

    Parameters
    ----------
    data : IncompleteData
    mean, W, omega : the estimate.
    A : (d, d) bool, the graph.
    S : (d, d) expected covariance at the estimate.
    equal_var : omega is one parameter.
    """
    d = data.d
    sources, targets = np.nonzero(A)
    # A score is a product of two linear functions of (x - mean, 1), divided by omega: the noise e_j, and
    # 1 for an intercept, x_i for a weight, e_j for the variance (on the scale of log omega, halved).
    first = np.concatenate([d + np.arange(d), d + targets, d + np.arange(d)]).astype(np.int64)
    second = np.concatenate([np.full(d, 2 * d), sources, d + np.arange(d)]).astype(np.int64)
    factor = np.concatenate([1 / omega, 1 / omega[targets], 0.5 / omega])
    p = len(first)
    information = np.zeros((p, p))
    _complete_information(information, data.n, S, W, omega, sources, targets, d)
    K, Sigma = precision(W, omega), covariance(W, omega)
    lost = np.zeros((p, p))
    noise = np.eye(d) - W
    for block, R, _, _, _ in data.filled(mean, K, Sigma):
        seen = np.unpackbits(block.packed, axis=1, count=d).astype(bool)
        _lost_information(R, block.starts, seen, block.weight, K, noise, first, second, lost)
    information -= lost * np.outer(factor, factor)
    if equal_var:
        join = np.zeros((p, p - d + 1))
        join[: p - d, : p - d] = np.eye(p - d)
        join[p - d :, -1] = 1.0
        information = join.T @ information @ join
    out = np.zeros((d, d))
    try:
        variances = np.diag(np.linalg.inv(information))[d : d + len(sources)]
        np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        variances = np.full(len(sources), np.nan)
    with np.errstate(invalid="ignore"):
        out[sources, targets] = np.sqrt(variances)
    return out


def _complete_information(out, n, S, W, omega, sources, targets, d):
    """Information of the completed rows at their expected moments, centred columns: blocks by target."""
    out[np.arange(d), np.arange(d)] = n / omega
    for j in range(d):
        mine = np.flatnonzero(targets == j)
        at = d + mine
        out[np.ix_(at, at)] = n * S[np.ix_(sources[mine], sources[mine])] / omega[j]
    variance = d + len(sources) + np.arange(d)
    out[variance, variance] = n / 2  # log omega


@njit(cache=True, nogil=True)
def _lost_information(R, starts, seen, weight, K, noise, first, second, out):
    """Add the conditional covariances of the products of linear functions 0..2d (x, e, 1)."""
    d = K.shape[0]
    p = first.shape[0]
    A = np.empty((d, d))
    L = np.empty((d, d))
    V = np.empty((d, d))
    missing = np.empty(d, np.int64)
    C = np.zeros((2 * d + 1, 2 * d + 1))
    M = np.zeros((2 * d + 1, 2 * d + 1))
    values = np.empty(2 * d + 1)
    open_ = np.empty(2 * d + 1, np.bool_)
    active = np.empty(p, np.int64)
    for g in range(starts.shape[0] - 1):
        m = 0
        for j in range(d):
            if not seen[g, j]:
                missing[m] = j
                m += 1
        for a in range(m):
            for b in range(a, m):
                A[a, b] = K[missing[a], missing[b]]
        spd_inverse(A, m, L, V)
        # Conditional covariances of all functions: noise.T V noise and so on.
        C[:] = 0.0
        for a in range(m):
            for b in range(m):
                C[missing[a], missing[b]] = V[a, b]
        for k in range(2 * d + 1):
            open_[k] = False
        for a in range(m):
            open_[missing[a]] = True
        for j in range(d):
            for a in range(m):
                if noise[missing[a], j] != 0.0:
                    open_[d + j] = True
        for i in range(d):
            if not open_[i]:
                continue
            for j in range(d):
                if open_[d + j]:
                    total = 0.0
                    for a in range(m):
                        total += C[i, missing[a]] * noise[missing[a], j]
                    C[i, d + j] = total
                    C[d + j, i] = total
        for i in range(d):
            if not open_[d + i]:
                continue
            for j in range(d):
                if open_[d + j]:
                    total = 0.0
                    for a in range(m):
                        total += noise[missing[a], i] * C[missing[a], d + j]
                    C[d + i, d + j] = total
        M[:] = 0.0
        total_weight = 0.0
        for r in range(starts[g], starts[g + 1]):
            for j in range(d):
                values[j] = R[r, j]
            for j in range(d):
                total = 0.0
                for i in range(d):
                    total += R[r, i] * noise[i, j]
                values[d + j] = total
            values[2 * d] = 1.0
            for a in range(2 * d + 1):
                f = weight[r] * values[a]
                for b in range(2 * d + 1):
                    M[a, b] += f * values[b]
            total_weight += weight[r]
        n = 0
        for k in range(p):
            if open_[first[k]] or open_[second[k]]:
                active[n] = k
                n += 1
        for s in range(n):
            a = first[active[s]]
            b = second[active[s]]
            for t in range(n):
                c = first[active[t]]
                e = second[active[t]]
                out[active[s], active[t]] += (
                    total_weight * (C[a, c] * C[b, e] + C[a, e] * C[b, c])
                    + M[a, c] * C[b, e]
                    + M[a, e] * C[b, c]
                    + M[b, c] * C[a, e]
                    + M[b, e] * C[a, c]
                )
