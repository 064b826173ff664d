"""Compiled steps of a stream: one Newton step in information form with its drift test, and rows one at a time.

Matrices here have a row for each coefficient. Plain loops: for a few dozen coefficients they take microseconds, less
than the bookkeeping of a call to LAPACK from Python.
"""

import numpy as np
from numba import njit

from statkit._numba import add_cross, add_rows_dot
from statkit.families.numbered import link_by_number

__all__ = ["absorb_rows", "batch_step", "dense_pass"]

_TILE = 256

#: Families whose rows can be absorbed one at a time, by the number that ``absorb_rows`` knows them by.
ROW_FAMILIES = {
    ("gaussian", "identity"): 0,
    ("binomial", "logit"): 1,
    ("poisson", "log"): 2,
    ("gamma", "log"): 3,
}


@njit(cache=True, nogil=True)
def dense_pass(X, intercept, center, scale, y, weight, offset, number, theta, eta, r, w):
    """Loss, score and information of rows of numbers in one sweep: a tile of rows is read while it is in cache.

    Parameters
    ----------
    X : C-ordered ndarray of shape (n, d)
    center, scale, weight, offset : ndarray
        Empty for none.
    number : int
        One of ``LINK_NUMBERS``.
    eta, r, w : ndarray of shape (n,)
        Receive the linear predictor, score and weight of every row.

    Returns
    -------
    loss : float
    H : ndarray of shape (q, q)
    g : ndarray of shape (q,)
    """
    n, d = X.shape
    i0 = int(intercept)
    q = i0 + d
    gram = np.zeros((d, d))
    border = np.zeros(d)
    moment = np.zeros(d)
    weighted = np.empty((_TILE, d))
    tile = np.empty((_TILE if center.size else 0, d))
    beta = theta[i0:].copy()
    loss = sum_r = sum_w = 0.0
    for start in range(0, n, _TILE):
        m = min(_TILE, n - start)
        stop = start + m
        e = eta[start:stop]
        for i in range(m):
            e[i] = theta[0] if intercept else 0.0
        if offset.size:
            for i in range(m):
                e[i] += offset[start + i]
        if center.size:
            for i in range(m):
                for j in range(d):
                    tile[i, j] = (X[start + i, j] - center[j]) * scale[j]
            rows = tile
        else:
            rows = X[start:stop]
        add_rows_dot(rows, m, beta, e)
        a = weight[start:stop] if weight.size else weight
        loss += link_by_number(number, e, y[start:stop], a, r[start:stop], w[start:stop])
        for i in range(m):
            wi = w[start + i]
            ri = r[start + i]
            sum_w += wi
            sum_r += ri
            for j in range(d):
                weighted[i, j] = rows[i, j] * wi
                border[j] += weighted[i, j]
            for j in range(d):
                moment[j] += rows[i, j] * ri
        add_cross(rows, weighted, m, gram)
    H = np.empty((q, q))
    g = np.empty(q)
    if intercept:
        g[0] = sum_r
        H[0, 0] = sum_w
    for j in range(d):
        g[i0 + j] = moment[j]
        if intercept:
            H[0, 1 + j] = H[1 + j, 0] = border[j]
        for k in range(j, d):
            H[i0 + j, i0 + k] = H[i0 + k, i0 + j] = gram[j, k]
    return loss, H, g


@njit(cache=True, nogil=True)
def _cholesky(A, root, L):
    """Lower factor of A scaled to unit diagonal by 1/``root``; the smallest pivot, or −1 where a diagonal is not > 0."""
    q = A.shape[0]
    for j in range(q):
        if not A[j, j] > 0.0:
            return -1.0
        root[j] = np.sqrt(A[j, j])
    smallest = 1.0
    for j in range(q):
        for i in range(j, q):
            value = A[i, j] / (root[i] * root[j])
            for k in range(j):
                value -= L[i, k] * L[j, k]
            if i > j:
                L[i, j] = value / L[j, j]
            elif value > 0.0:
                smallest = min(smallest, value)
                L[j, j] = np.sqrt(value)
            else:
                return -1.0
    return smallest


@njit(cache=True, nogil=True)
def _half(L, root, g, out):
    """L⁻¹ g, whose squared length is g'A⁻¹g."""
    squared = 0.0
    for i in range(g.size):
        value = g[i] / root[i]
        for k in range(i):
            value -= L[i, k] * out[k]
        out[i] = value / L[i, i]
        squared += out[i] * out[i]
    return squared


@njit(cache=True, nogil=True)
def _other_half(L, root, half):
    for i in range(half.size - 1, -1, -1):
        value = half[i]
        for k in range(i + 1, half.size):
            value -= L[k, i] * half[k]
        half[i] = value / L[i, i]
    for i in range(half.size):
        half[i] /= root[i]


@njit(cache=True, nogil=True)
def batch_step(A, v, H, s, theta, penalty, test):
    """One Newton step of v − Aβ + S(β) = 0 from ``theta``, where the batch has score ``s`` and information ``H``.

    Parameters
    ----------
    A, H : ndarray of shape (q, q)
    v, s, theta, penalty : ndarray of shape (q,)
    test : bool
        Whether to compute the homogeneity statistic s'H⁻¹s − s'(A + H)⁻¹s too.

    Returns
    -------
    step : ndarray of shape (q,)
    squared : float
        Gradient times step.
    statistic : float
        NaN when not asked for.
    fine : bool
        False when a matrix is nearly singular: nothing else holds then.
    """
    q = theta.size
    M = np.empty((q, q))
    L = np.zeros((q, q))
    root = np.empty(q)
    gradient = np.empty(q)
    step = np.empty(q)
    for i in range(q):
        total = s[i] + v[i] - penalty[i] * theta[i]
        for j in range(q):
            total -= A[i, j] * theta[j]
            M[i, j] = A[i, j] + H[i, j]
        M[i, i] += penalty[i]
        gradient[i] = total
    if not _cholesky(M, root, L) > 1e-13:
        return step, 0.0, np.nan, False
    statistic = np.nan
    if test:
        statistic = -_half(L, root, s, step)
    squared = _half(L, root, gradient, step)
    _other_half(L, root, step)
    if test:
        if not _cholesky(H, root, L) > 1e-9:
            return step, squared, np.nan, False
        statistic += _half(L, root, s, gradient)
    return step, squared, statistic, True


@njit(cache=True, nogil=True)
def absorb_rows(X, intercept, center, scale, y, weight, offset, family, B, A, v, theta, seen):
    """Stochastic Newton: every row moves ``theta`` by its own step, and the inverse information ``B`` by rank one.

    ``B``, ``A``, ``v`` and ``theta`` change in place; B is the inverse of A but for rounding and the floor on
    weights. A and v collect each row's information at the estimate of its own time, as batches do.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    family : int
        One of ``ROW_FAMILIES``.
    weight, offset : ndarray of shape (n,), or empty
    seen : int
        Rows absorbed before.

    Returns
    -------
    loss, pearson : float
        At the estimate before each row; Pearson's statistic less what the row's step took off.
    """
    n, d = X.shape
    i0 = int(intercept)
    q = theta.size
    x = np.empty(q)
    u = np.empty(q)
    if intercept:
        x[0] = 1.0
    loss = 0.0
    pearson = 0.0
    for i in range(n):
        for j in range(d):
            x[i0 + j] = (X[i, j] - center[j]) * scale[j] if center.size else X[i, j]
        a = weight[i] if weight.size else 1.0
        if a == 0.0:
            continue
        eta = offset[i] if offset.size else 0.0
        for j in range(q):
            eta += x[j] * theta[j]
        if family == 0:
            r, w = y[i] - eta, 1.0
            loss += 0.5 * a * r * r
        elif family == 1:
            t = np.exp(-min(abs(eta), 700.0))
            mu = 1.0 / (1.0 + t) if eta >= 0 else t / (1.0 + t)
            r, w = y[i] - mu, t / (1.0 + t) ** 2
            loss += a * (np.log1p(t) + ((1.0 - y[i]) * eta if eta >= 0 else -y[i] * eta))
        elif family == 2:
            w = np.exp(max(min(eta, 700.0), -700.0))
            r = y[i] - w
            loss += a * (w - y[i] * eta)
        else:
            t = y[i] * np.exp(-max(min(eta, 700.0), -700.0))
            r, w = t - 1.0, 1.0
            loss += a * (t + eta)
        pearson += a * r * r / w if w > 0.0 else 0.0
        # A row of almost no information would leave B as it was for ever.
        w = a * max(w, 1e-3 * (seen + i + 1.0) ** -0.25) if family == 1 else a * w
        r *= a
        curved = 0.0
        for j in range(q):
            total = 0.0
            for k in range(q):
                total += B[j, k] * x[k]
            u[j] = total
            curved += total * x[j]
        shrink = 1.0 / (1.0 + w * curved)
        pearson -= r * r * curved * shrink
        # η moves by r·curved·shrink: the frozen score of the row is that at its own estimate, to first order.
        held = r + w * (eta - (offset[i] if offset.size else 0.0))
        for j in range(q):
            for k in range(q):
                B[j, k] -= w * shrink * u[j] * u[k]
                A[j, k] += w * x[j] * x[k]
            v[j] += held * x[j]
            theta[j] += r * shrink * u[j]
    return loss, pearson
