"""Hot loops: moments of columns with holes; the exact covariance of scattered points, never stored."""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def correlation(r2, nu):
    """Closed forms: nu = inf (Gaussian), 1/2, 3/2, 5/2; r2 in squared correlation lengths."""
    if math.isinf(nu):
        return math.exp(-0.5 * r2)
    x = math.sqrt(2.0 * nu * r2)
    if nu == 0.5:
        return math.exp(-x)
    if nu == 1.5:
        return (1.0 + x) * math.exp(-x)
    return (1.0 + x + x * x / 3.0) * math.exp(-x)


@njit(cache=True, nogil=True)
def tabulated(r2, table, step):
    """Linear in a table over r: kernels without a closed form."""
    at = math.sqrt(r2) / step
    i = int(at)
    if i + 1 >= len(table):
        return 0.0
    return table[i] + (at - i) * (table[i + 1] - table[i])


@njit(cache=True, nogil=True)
def add_pair(out, block, i, j, rho):
    """Add entry (i, j) and, off the diagonal, (j, i)."""
    for m in range(block.shape[1]):
        out[i, m] += rho * block[j, m]
    if i != j:
        for m in range(block.shape[1]):
            out[j, m] += rho * block[i, m]


@njit(cache=True, nogil=True)
def apply_stationary(points, starts, cells, counts, reach2, nu, table, step, block, out):
    """out += ρ(points_i - points_j) block_j over pairs within reach.

    `points` (n, 3) are whitened and sorted by cell; cell c holds rows starts[c] … starts[c+1]-1; `cells`
    (m, 3) are the occupied cells' integer coordinates inside `counts`, in the sorted order.
    """
    n_cells = len(cells)
    lookup = np.full(counts[0] * counts[1] * counts[2], -1)
    for c in range(n_cells):
        lookup[(cells[c, 0] * counts[1] + cells[c, 1]) * counts[2] + cells[c, 2]] = c
    for c in range(n_cells):
        for dx in range(-1, 2):
            x = cells[c, 0] + dx
            if x < 0 or x >= counts[0]:
                continue
            for dy in range(-1, 2):
                y = cells[c, 1] + dy
                if y < 0 or y >= counts[1]:
                    continue
                for dz in range(-1, 2):
                    z = cells[c, 2] + dz
                    if z < 0 or z >= counts[2]:
                        continue
                    other = lookup[(x * counts[1] + y) * counts[2] + z]
                    if other < 0:
                        continue
                    for i in range(starts[c], starts[c + 1]):
                        for j in range(max(i, starts[other]), starts[other + 1]):
                            a = points[i, 0] - points[j, 0]
                            b = points[i, 1] - points[j, 1]
                            g = points[i, 2] - points[j, 2]
                            r2 = a * a + b * b + g * g
                            if r2 > reach2:
                                continue
                            rho = tabulated(r2, table, step) if len(table) else correlation(r2, nu)
                            add_pair(out, block, i, j, rho)


@njit(cache=True, nogil=True)
def apply_varying(points, sigma, root, nu, table, step, reach2, block, out):
    """The same with a tensor a point (Paciorek–Schervish), for dimensions 1, 2 and 3.

    ρ(i, j) = |Σ_i|^¼ |Σ_j|^¼ / |S|^½ · ρ(√(hᵀ S⁻¹ h)), S = (Σ_i + Σ_j) / 2; `root` is |Σ_i|^¼.
    """
    n, d = points.shape
    s = np.zeros((3, 3))
    h = np.zeros(3)
    for i in range(n):
        for j in range(i, n):
            for a in range(3):
                for b in range(3):
                    s[a, b] = 1.0 if a == b else 0.0
            for a in range(d):
                h[a] = points[i, a] - points[j, a]
                for b in range(d):
                    s[a, b] = 0.5 * (sigma[i, a, b] + sigma[j, a, b])
            c00 = s[1, 1] * s[2, 2] - s[1, 2] * s[1, 2]
            c01 = s[0, 2] * s[1, 2] - s[0, 1] * s[2, 2]
            c02 = s[0, 1] * s[1, 2] - s[0, 2] * s[1, 1]
            c11 = s[0, 0] * s[2, 2] - s[0, 2] * s[0, 2]
            c12 = s[0, 1] * s[0, 2] - s[0, 0] * s[1, 2]
            c22 = s[0, 0] * s[1, 1] - s[0, 1] * s[0, 1]
            det = s[0, 0] * c00 + s[0, 1] * c01 + s[0, 2] * c02
            r2 = (
                h[0] * h[0] * c00
                + h[1] * h[1] * c11
                + h[2] * h[2] * c22
                + 2.0 * (h[0] * h[1] * c01 + h[0] * h[2] * c02 + h[1] * h[2] * c12)
            ) / det
            if r2 > reach2:
                continue
            rho = tabulated(r2, table, step) if len(table) else correlation(r2, nu)
            rho *= root[i] * root[j] / math.sqrt(det)
            add_pair(out, block, i, j, rho)


@njit(cache=True, nogil=True)
def column_moments(X, rows, start, stop, mean, squares, count):
    """Welford's update of columns ``start:stop`` over the selected rows, in place; NaN values are left out.

    As many columns as stay in the cache with their sums: then X is read once, and nothing else.
    """
    whole = True
    for n in range(len(rows)):
        i = rows[n]
        total = 0.0
        for j in range(start, stop):
            total += X[i, j] * 0.0  # NaN and infinities do not vanish
        if whole and total == 0.0:  # every count is n so far: no division a value
            share = 1.0 / (n + 1)
            for j in range(start, stop):
                step = X[i, j] - mean[j]
                mean[j] += step * share
                squares[j] += step * (X[i, j] - mean[j])
            continue
        if whole:
            whole = False
            for j in range(start, stop):
                count[j] = n
        for j in range(start, stop):
            x = X[i, j]
            if not math.isnan(x):
                count[j] += 1.0
                step = x - mean[j]
                mean[j] += step / count[j]
                squares[j] += step * (x - mean[j])
    if whole:
        for j in range(start, stop):
            count[j] = len(rows)
