"""Compiled loops of stochastic gradient descent: steps of every method, averages, and what inference collects.

A minibatch is read twice while it is in cache: once for its predictors, once for its gradient; everything between
is O(q), or O(q²) with a full metric. Nothing returns to Python between two minibatches of a known family; for other
families `look` and `learn` are called around their ``link``.

Arguments come in tuples: ``rows`` = (X, codes, multiplier, data, indices, indptr, intercept, offset); ``rule`` =
(method, momentum, decay of the first moment, decay of the second, epsilon); ``metric`` = (kind, D, P, root), the
inverse of the information by which gradients are multiplied: 0 none, 1 its diagonal D, 2 all of it, P = root'root;
``chain`` = (b, velocity, second moments, their maxima, mean of the iterates, counts [steps, averaged]); ``memory`` =
(mode, matrix, vector, running sum, numbers, counters, bounds), see `_remember`.
"""

from typing import Any

import numpy as np
from numba import njit

from statkit.families.row_link import CHECK, fill
from statkit.families.softmax import _softmax

OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc"},
}
# What runs once a minibatch: a call would count references of a dozen arrays.
INLINE: dict[str, Any] = {**OPTIONS, "forceinline": True}

SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADAM, AMSGRAD, IMPLICIT = range(8)
NOTHING, SCALING, SCALING_DIAGONAL, OVERLAPPING, INCREASING, EQUAL = range(6)

_IMPLICIT_STEPS = 30
_IMPLICIT_TOL = 1e-9


@njit(**INLINE)
def linear_rows(rows, first, m, beta, eta):
    """η of ``m`` rows from ``first``."""
    X, codes, multiplier, data, indices, indptr, intercept, offset = rows
    i0 = 1 if intercept else 0
    d = X.shape[1]
    base = beta[0] if intercept else 0.0
    slopes = beta[i0:]
    for i in range(m):
        x = X[first + i]
        total = base
        for j in range(d):
            total += x[j] * slopes[j]
        eta[i] = total
    for a in range(codes.shape[1]):
        for i in range(m):
            j = codes[first + i, a]
            if j >= 0:
                eta[i] += beta[j] * (multiplier[first + i, a] if multiplier.size else 1.0)
    if indptr.size > 1:
        for i in range(m):
            for k in range(indptr[first + i], indptr[first + i + 1]):
                eta[i] += data[k] * slopes[indices[k]]
    if offset.size:
        for i in range(m):
            eta[i] += offset[first + i]


@njit(**INLINE)
def add_scores(rows, first, m, r, g):
    """g += X'r over ``m`` rows from ``first``."""
    X, codes, multiplier, data, indices, indptr, intercept, offset = rows
    i0 = 1 if intercept else 0
    d = X.shape[1]
    if intercept:
        total = 0.0
        for i in range(m):
            total += r[i]
        g[0] += total
    slopes = g[i0:]
    for i in range(m):
        x = X[first + i]
        ri = r[i]
        for j in range(d):
            slopes[j] += ri * x[j]
    for a in range(codes.shape[1]):
        for i in range(m):
            j = codes[first + i, a]
            if j >= 0:
                g[j] += r[i] * (multiplier[first + i, a] if multiplier.size else 1.0)
    if indptr.size > 1:
        for i in range(m):
            for k in range(indptr[first + i], indptr[first + i + 1]):
                slopes[indices[k]] += r[i] * data[k]


@njit(**OPTIONS)
def _dense_rows(rows, first, m, out):
    """The rows with every column."""
    X, codes, multiplier, data, indices, indptr, intercept, offset = rows
    i0 = 1 if intercept else 0
    d = X.shape[1]
    out[:m] = 0.0
    for i in range(m):
        if intercept:
            out[i, 0] = 1.0
        for j in range(d):
            out[i, i0 + j] = X[first + i, j]
        for a in range(codes.shape[1]):
            j = codes[first + i, a]
            if j >= 0:
                out[i, j] += multiplier[first + i, a] if multiplier.size else 1.0
        if indptr.size > 1:
            for k in range(indptr[first + i], indptr[first + i + 1]):
                out[i, i0 + indices[k]] += data[k]


@njit(**INLINE)
def _multiply(A, x, out):
    for i in range(A.shape[0]):
        total = 0.0
        for j in range(A.shape[1]):
            total += A[i, j] * x[j]
        out[i] = total


@njit(**OPTIONS)
def _multiply_transposed(A, x, out):
    out[:] = 0.0
    for i in range(A.shape[0]):
        xi = x[i]
        for j in range(A.shape[1]):
            out[j] += A[i, j] * xi


@njit(**INLINE)
def _through(metric, g, out):
    """Metric times gradient."""
    kind, D, P, root = metric
    if kind == 0:
        out[:] = g
    elif kind == 1:
        for j in range(g.shape[0]):
            out[j] = D[j] * g[j]
    else:
        _multiply(P, g, out)


@njit(**INLINE)
def look(rows, first, m, rule, chain, q, z, E):
    """Predictors of a minibatch, (K, m), where the method evaluates its gradient."""
    b, velocity = chain[0], chain[1]
    at = b
    if rule[0] == NESTEROV:
        for j in range(b.shape[0]):
            z[j] = b[j] + rule[1] * velocity[j]
        at = z
    for a in range(E.shape[0]):
        linear_rows(rows, first, m, at[a * q : (a + 1) * q], E[a])


@njit(**OPTIONS)
def _adapt(g, u, h, gamma, rule, metric, chain):
    """A step of the methods whose rates depend on past gradients, in the metric's coordinates."""
    b, velocity, second, top, mean, counts = chain
    method, momentum, first_decay, second_decay, epsilon = rule
    Q = b.shape[0]
    kind, D, P, root = metric
    if kind == 0:
        u[:] = g
    elif kind == 1:
        for j in range(Q):
            u[j] = np.sqrt(D[j]) * g[j]
    else:
        _multiply(root, g, u)
    t = float(counts[0])
    if method == ADAGRAD:
        for j in range(Q):
            second[j] += u[j] * u[j]
            h[j] = gamma * u[j] / (np.sqrt(second[j]) + epsilon)
    elif method == RMSPROP:
        for j in range(Q):
            second[j] = second_decay * second[j] + (1.0 - second_decay) * u[j] * u[j]
            h[j] = gamma * u[j] / (np.sqrt(second[j]) + epsilon)
    else:
        one = 1.0 - first_decay**t
        two = 1.0 - second_decay**t
        for j in range(Q):
            velocity[j] = first_decay * velocity[j] + (1.0 - first_decay) * u[j]
            second[j] = second_decay * second[j] + (1.0 - second_decay) * u[j] * u[j]
            largest = second[j]
            if method == AMSGRAD:
                top[j] = max(top[j], second[j])
                largest = top[j]
            h[j] = gamma * (velocity[j] / one) / (np.sqrt(largest / two) + epsilon)
    if kind == 0:
        u[:] = h
    elif kind == 1:
        for j in range(Q):
            u[j] = np.sqrt(D[j]) * h[j]
    else:
        _multiply_transposed(root, h, u)
    for j in range(Q):
        b[j] += u[j]


@njit(**INLINE)
def learn(rows, first, m, R, gamma, rule, metric, ridge, chain, q, work):
    """One step of an explicit method from the scores R (K, m) of a minibatch."""
    b, velocity, counts = chain[0], chain[1], chain[5]
    method, momentum = rule[0], rule[1]
    Q = b.shape[0]
    g, u, h = work[0], work[1], work[2]
    g[:] = 0.0
    for a in range(R.shape[0]):
        add_scores(rows, first, m, R[a], g[a * q : (a + 1) * q])
    for j in range(Q):
        g[j] /= m
    if ridge.size:
        at = b
        if method == NESTEROV:
            at = work[3]
        for j in range(Q):
            g[j] -= ridge[j] * at[j]
    counts[0] += 1
    if method <= NESTEROV:
        _through(metric, g, u)
        if method == SGD:
            for j in range(Q):
                b[j] += gamma * u[j]
        else:
            for j in range(Q):
                velocity[j] = momentum * velocity[j] + gamma * u[j]
                b[j] += velocity[j]
        return
    _adapt(g, u, h, gamma, rule, metric, chain)


@njit(**INLINE)
def note(chain, average_from, power, memory, shift, q):
    """Average the new iterate, and collect what the errors need of it."""
    b, mean, counts = chain[0], chain[4], chain[5]
    if counts[0] <= average_from:
        mean[:] = b
        return
    counts[1] += 1
    t = float(counts[1])
    share = (power + 1.0) / (t + power)
    for j in range(b.shape[0]):
        mean[j] += share * (b[j] - mean[j])
    if memory[0] != NOTHING:
        _remember(b, mean, counts[1], memory, shift, q)


@njit(**OPTIONS)
def _remember(b, mean, t, memory, shift, q):
    """Sums by mode.

    Random scaling: Σ s² b̄b̄', Σ s² b̄, Σ s²; its diagonal in raw units, where centring moves the intercept by
    ``shift``. Overlapping batch means: V = Σ WW', Σ l W, the running W, [Σ l, Σ l²], [l, block k, next start].
    Increasing and equal batches: sums of blocks in the rows of the matrix; [block, rows of it, length].
    """
    mode, matrix, vector, run, numbers, counters, bounds = memory
    Q = b.shape[0]
    s = float(t)
    if mode == SCALING:
        for i in range(Q):
            a = s * s * mean[i]
            vector[i] += a
            for j in range(Q):
                matrix[i, j] += a * mean[j]
        numbers[0] += s * s
    elif mode == SCALING_DIAGONAL:
        at = mean
        if shift.size:
            run[:] = mean
            for a in range(Q // q):
                for j in range(q):
                    run[a * q] += shift[j] * mean[a * q + j]
            at = run
        square = s * s
        sums = matrix[0]
        for j in range(Q):
            a = square * at[j]
            vector[j] += a
            sums[j] += a * at[j]
        numbers[0] += square
    elif mode == OVERLAPPING:
        if t == counters[2]:
            run[:] = b
            counters[0] = 1
            while counters[2] <= t:
                counters[1] += 1
                counters[2] = int(np.floor(float(counters[1]) ** numbers[2]))
        else:
            for j in range(Q):
                run[j] += b[j]
            counters[0] += 1
        length = float(counters[0])
        numbers[0] += length
        numbers[1] += length * length
        for i in range(Q):
            vector[i] += length * run[i]
            for j in range(Q):
                matrix[i, j] += run[i] * run[j]
    elif mode == INCREASING:
        while counters[0] < bounds.shape[0] - 1 and t > bounds[counters[0]]:
            counters[0] += 1
        for j in range(Q):
            matrix[counters[0], j] += b[j]
        run[counters[0]] += 1.0
    else:
        if counters[1] == counters[2]:
            counters[0] += 1
            counters[1] = 0
        if counters[0] == matrix.shape[0]:
            half = matrix.shape[0] // 2
            for k in range(half):
                for j in range(Q):
                    matrix[k, j] = matrix[2 * k, j] + matrix[2 * k + 1, j]
            matrix[half:] = 0.0
            counters[0] = half
            counters[2] *= 2
        for j in range(Q):
            matrix[counters[0], j] += b[j]
        counters[1] += 1


@njit(**OPTIONS)
def scalar_root(code, parameter, eta0, c, y, weight):
    """ξ = r(η₀ + cξ): the score of a row after its own implicit step; c = γ x'Mx, ``weight`` its prior weight."""
    c = c * weight
    if code == CHECK:
        e = y - eta0
        if e > c * parameter:
            return weight * parameter
        if e < -c * (1.0 - parameter):
            return weight * (parameter - 1.0)
        return weight * e / c
    eta, value, r, w = np.empty(1), np.empty(1), np.empty(1), np.empty(1)
    none = np.empty(0)
    value[0] = y
    eta[0] = eta0
    fill(code, parameter, eta, value, none, r, w)
    if code == 0:
        return weight * r[0] / (1.0 + c)
    low, high = min(eta0, eta0 + c * r[0]), max(eta0, eta0 + c * r[0])
    at = eta0
    last = high - low
    for _ in range(200):
        f = at - eta0 - c * r[0]
        if f > 0.0:
            high = at
        else:
            low = at
        new = at - f / (1.0 + c * w[0])
        # Halve where Newton leaves the bracket or creeps, as it does along an exponential.
        if not (low < new < high) or abs(new - at) > 0.5 * last:
            new = 0.5 * (low + high)
        last = abs(new - at)
        if abs(new - at) <= 1e-13 * (1.0 + abs(new)):
            at = new
            break
        at = new
        eta[0] = at
        fill(code, parameter, eta, value, none, r, w)
    # ξ from the root rather than r there: they agree at the root, and this is the step that is taken
    return weight * (at - eta0) / c if c > 0.0 else weight * r[0]


@njit(**OPTIONS)
def _implicit_row(rows, first, y, weight, gamma, code, parameter, metric, chain, eta, row, step):
    kind, D, P, root = metric
    b = chain[0]
    _dense_rows(rows, first, 1, row)
    x = row[0]
    _through(metric, x, step)
    length = 0.0
    for j in range(b.shape[0]):
        length += x[j] * step[j]
    xi = scalar_root(code, parameter, eta, gamma * length, y, weight)
    for j in range(b.shape[0]):
        b[j] += gamma * xi * step[j]


@njit(**OPTIONS)
def _implicit_batch(rows, first, m, y, weight, gamma, code, parameter, metric, H, ridge, chain, E, R, W, X):
    """b = argmin mean loss of the minibatch + |b − b₀|²_H / 2γ, by Newton."""
    b = chain[0]
    Q = b.shape[0]
    _dense_rows(rows, first, m, X)
    start = b.copy()
    eta = E[:m]
    r, w = R[:m], W[:m]
    a = weight[first : first + m] if weight.size else weight
    if m >= Q or ridge.size:
        for _ in range(_IMPLICIT_STEPS):
            fill(code, parameter, eta, y[first : first + m], a, r, w)
            A = H / gamma
            g = np.zeros(Q)
            for i in range(m):
                for j in range(Q):
                    g[j] += X[i, j] * r[i] / m
                    for k in range(Q):
                        A[j, k] += w[i] / m * X[i, j] * X[i, k]
            for j in range(Q):
                pull = 0.0
                for k in range(Q):
                    pull += H[j, k] * (b[k] - start[k])
                g[j] -= pull / gamma
                if ridge.size:
                    g[j] -= ridge[j] * b[j]
                    A[j, j] += ridge[j]
            step = np.linalg.solve(A, g)
            longest = 0.0
            size = 0.0
            for i in range(m):
                change = 0.0
                for j in range(Q):
                    change += X[i, j] * step[j]
                longest = max(longest, abs(change))
            shrink = min(1.0, 5.0 / max(longest, 1e-300))
            for j in range(Q):
                b[j] += shrink * step[j]
            for i in range(m):
                change = 0.0
                for j in range(Q):
                    change += X[i, j] * step[j]
                eta[i] += shrink * change
                size = max(size, abs(eta[i]))
            if longest <= _IMPLICIT_TOL * (1.0 + size):
                return
        return
    # Fewer rows than columns: the step is γ/m M X'ρ with ρ = r(η₀ + Cρ), C = γ/m XMX'.
    MX = np.empty((m, Q))
    for i in range(m):
        _through(metric, X[i], MX[i])
    C = np.zeros((m, m))
    for i in range(m):
        for k in range(m):
            total = 0.0
            for j in range(Q):
                total += X[i, j] * MX[k, j]
            C[i, k] = gamma / m * total
    rho = np.zeros(m)
    eta0 = eta.copy()
    for _ in range(_IMPLICIT_STEPS):
        fill(code, parameter, eta, y[first : first + m], a, r, w)
        A = np.empty((m, m))
        for i in range(m):
            for k in range(m):
                A[i, k] = w[i] * C[i, k]
            A[i, i] += 1.0
        step = np.linalg.solve(A, r - rho)
        rho += step
        longest = 0.0
        size = 0.0
        for i in range(m):
            total = eta0[i]
            for k in range(m):
                total += C[i, k] * rho[k]
            longest = max(longest, abs(total - eta[i]))
            size = max(size, abs(total))
            eta[i] = total
        if longest <= _IMPLICIT_TOL * (1.0 + size):
            break
    for i in range(m):
        for j in range(Q):
            b[j] += gamma / m * rho[i] * MX[i, j]


@njit(**OPTIONS)
def descend(
    rows, y, weight, code, parameter, size, first, stride, gammas, rule, metric, ridge, chain, average_from,
    power, memory, shift, keep, eta_out, r_out, w_out,
):  # fmt: skip
    """Explicit steps over the minibatches ``first, first + stride, …`` of some rows, for one chain.

    ``weight`` multiplies a row's loss. With ``keep``, predictors, scores and Fisher weights of every row at the
    iterate before its step go to the ``_out`` arrays. Returns the loss summed over these iterates.
    """
    n = y.shape[0]
    q = chain[0].shape[0]
    E, R, W = np.empty((1, size)), np.empty((1, size)), np.empty(size)
    work = np.empty((4, q))
    number = 0
    loss = 0.0
    for batch in range(first, (n + size - 1) // size, stride):
        start = batch * size
        m = min(size, n - start)
        look(rows, start, m, rule, chain, q, work[3], E)
        gamma = gammas[number] * m / size
        number += 1
        a = weight[start : start + m] if weight.size else weight
        loss += fill(code, parameter, E[0, :m], y[start : start + m], a, R[0, :m], W[:m])
        if keep:
            for i in range(m):
                eta_out[start + i, 0], r_out[start + i, 0], w_out[start + i, 0] = E[0, i], R[0, i], W[i]
        learn(rows, start, m, R, gamma, rule, metric, ridge, chain, q, work)
        note(chain, average_from, power, memory, shift, q)
    return loss


@njit(**OPTIONS)
def descend_classes(
    rows, y, weight, K, size, first, stride, gammas, rule, metric, ridge, chain, average_from, power, memory,
    shift, keep, eta_out, r_out, w_out,
):  # fmt: skip
    """The same for the softmax family with K predictors a row."""
    n = y.shape[0]
    q = chain[0].shape[0] // K
    # Predictors and scores by class for the rows' products; by row as the link wants them.
    E, R = np.empty((K, size)), np.empty((K, size))
    eta, r, w = np.empty((size, K)), np.empty((size, K)), np.empty((size, K * (K + 1) // 2))
    work = np.empty((4, chain[0].shape[0]))
    number = 0
    loss = 0.0
    for batch in range(first, (n + size - 1) // size, stride):
        start = batch * size
        m = min(size, n - start)
        look(rows, start, m, rule, chain, q, work[3], E)
        gamma = gammas[number] * m / size
        number += 1
        a = weight[start : start + m] if weight.size else weight
        for i in range(m):
            for c in range(K):
                eta[i, c] = E[c, i]
        loss += _softmax(eta[:m], y[start : start + m], a, r[:m], w[:m])
        for i in range(m):
            for c in range(K):
                R[c, i] = r[i, c]
        if keep:
            eta_out[start : start + m], r_out[start : start + m] = eta[:m], r[:m]
            w_out[start : start + m] = w[:m]
        learn(rows, start, m, R, gamma, rule, metric, ridge, chain, q, work)
        note(chain, average_from, power, memory, shift, q)
    return loss


@njit(**OPTIONS)
def descend_implicit(
    rows, y, weight, code, parameter, size, first, stride, gammas, rule, metric, H, ridge, chain,
    average_from, power, memory, shift, keep, eta_out, r_out, w_out,
):  # fmt: skip
    """The same with implicit steps; ``H`` is the inverse of the metric."""
    n = y.shape[0]
    q = chain[0].shape[0]
    E, R, W = np.empty((1, size)), np.empty(size), np.empty(size)
    step = np.empty(q)
    X = np.empty((size, q))
    number = 0
    loss = 0.0
    for batch in range(first, (n + size - 1) // size, stride):
        start = batch * size
        m = min(size, n - start)
        look(rows, start, m, rule, chain, q, step, E)
        gamma = gammas[number] * m / size
        number += 1
        a = weight[start : start + m] if weight.size else weight
        loss += fill(code, parameter, E[0, :m], y[start : start + m], a, R[:m], W[:m])
        if keep:
            for i in range(m):
                eta_out[start + i, 0], r_out[start + i, 0], w_out[start + i, 0] = E[0, i], R[i], W[i]
        chain[5][0] += 1
        if m == 1 and ridge.size == 0:
            prior = weight[start] if weight.size else 1.0
            _implicit_row(
                rows, start, y[start], prior, gamma, code, parameter, metric, chain, E[0, 0], X, step
            )
        else:
            _implicit_batch(
                rows, start, m, y, weight, gamma, code, parameter, metric, H, ridge, chain, E[0], R, W, X
            )
        note(chain, average_from, power, memory, shift, q)
    return loss


@njit(**OPTIONS)
def _catch_up(j, t, b, drift, last, matrix, vector, scaled):
    """Bring coordinate j's random-scaling sums to step t; between touches s·b̄_s = s b + drift is linear in s."""
    a, z = float(last[j]), float(t)
    if scaled and z > a:
        count = z - a
        one = 0.5 * (z * (z + 1.0) - a * (a + 1.0))
        two = (z * (z + 1.0) * (2.0 * z + 1.0) - a * (a + 1.0) * (2.0 * a + 1.0)) / 6.0
        matrix[0, j] += b[j] * b[j] * two + 2.0 * b[j] * drift[j] * one + drift[j] * drift[j] * count
        vector[j] += b[j] * two + drift[j] * one
    last[j] = t


@njit(**OPTIONS)
def descend_sparse(
    rows, y, weight, code, parameter, size, gammas, D, chain, drift, last, memory, eta_out, r_out, w_out
):
    """The same for explicit steps on sparse rows, at a cost of the entries of a minibatch.

    Averages are lazy: with b_t = b_{t−1} + δ_t, the sum of the iterates is t b_t − Σ (s−1) δ_s, so that only
    coordinates that move are touched (Xu 2011). Random scaling's sums are polynomials between two touches.
    """
    data, indices, indptr, intercept = rows[3], rows[4], rows[5], rows[6]
    b, counts = chain[0], chain[5]
    i0 = 1 if intercept else 0
    scaled = memory[0] == SCALING_DIAGONAL
    matrix, vector, numbers = memory[1], memory[2], memory[4]
    n = y.shape[0]
    E, R, W = np.empty(size), np.empty(size), np.empty(size)
    g = np.zeros(b.shape[0])
    loss = 0.0
    for number in range((n + size - 1) // size):
        start = number * size
        m = min(size, n - start)
        linear_rows(rows, start, m, b, E)
        a = weight[start : start + m] if weight.size else weight
        loss += fill(code, parameter, E[:m], y[start : start + m], a, R[:m], W[:m])
        for i in range(m):
            eta_out[start + i, 0], r_out[start + i, 0], w_out[start + i, 0] = E[i], R[i], W[i]
        before = counts[0]
        counts[0] += 1
        counts[1] += 1
        # A partial minibatch has a proportionally shorter step, as in `descend`, and g is a mean.
        gamma = gammas[number] / size
        if intercept:
            total = 0.0
            for i in range(m):
                total += R[i]
            g[0] = total
            _move(0, g, gamma, before, D, b, drift, last, vector, matrix, scaled)
        low, high = indptr[start], indptr[start + m]
        for i in range(m):
            for k in range(indptr[start + i], indptr[start + i + 1]):
                g[i0 + indices[k]] += R[i] * data[k]
        for k in range(low, high):
            _move(i0 + indices[k], g, gamma, before, D, b, drift, last, vector, matrix, scaled)
        if scaled:
            s = float(counts[1])
            numbers[0] += s * s
    return loss


@njit(**OPTIONS)
def _move(j, g, gamma, before, D, b, drift, last, vector, matrix, scaled):
    if g[j] == 0.0:
        return
    _catch_up(j, before, b, drift, last, matrix, vector, scaled)
    delta = gamma * g[j] * (D[j] if D.size else 1.0)
    b[j] += delta
    drift[j] -= before * delta
    g[j] = 0.0


@njit(**OPTIONS)
def settle(b, drift, last, t, matrix, vector, scaled, mean):
    """The average of all iterates, and every coordinate's sums at step t."""
    for j in range(b.shape[0]):
        _catch_up(j, t, b, drift, last, matrix, vector, scaled)
        mean[j] = b[j] + drift[j] / t if t > 0 else b[j]
