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
def tile_moments(X, rows, start, stop, mean, squares, first, second):
    """Means and sums of squares about them of columns ``start:stop`` over the selected rows, in place.

    Blocks of rows, twice through the cache each, are merged as Chan, Golub and LeVeque (1983) do; a column with NaN
    comes out as NaN. `first` and `second` are work.
    """
    width = stop - start
    for j in range(start, stop):
        mean[j] = 0.0
        squares[j] = 0.0
    for at in range(0, len(rows), 32):
        end = min(at + 32, len(rows))
        size = end - at
        first[:width] = 0.0
        for k in range(at, end):
            row = X[rows[k], start:stop]
            for j in range(width):
                first[j] += row[j]
        for j in range(width):
            first[j] /= size
            second[j] = 0.0
        for k in range(at, end):
            row = X[rows[k], start:stop]
            for j in range(width):
                step = row[j] - first[j]
                second[j] += step * step
        share = size / end
        cross = at * share
        for j in range(width):
            step = first[j] - mean[start + j]
            mean[start + j] += step * share
            squares[start + j] += second[j] + step * step * cross


@njit(cache=True, nogil=True)
def column_moments(X, rows, columns, mean, squares, count):
    """Welford's update of some columns over the selected rows, in place; NaN values are left out."""
    for n in range(len(rows)):
        i = rows[n]
        for j in columns:
            x = X[i, j]
            if not math.isnan(x):
                count[j] += 1.0
                step = x - mean[j]
                mean[j] += step / count[j]
                squares[j] += step * (x - mean[j])


@njit(cache=True, nogil=True)
def cell_sums(X, mean, root, cells, sums, squares):
    """Sums of the centred, weighted values of each row over cells, and of their squares, added in place."""
    for i in range(len(X)):
        row, into = X[i], sums[i]
        total = 0.0
        for j in range(len(cells)):
            value = (row[j] - mean[j]) * root[j]
            into[cells[j]] += value
            total += value * value
        squares[i] += total


@njit(cache=True, nogil=True)
def gather(X, start, columns, centre, out):
    """Some columns, less their centre, of the rows of X from `start` on, as many as `out` has."""
    for r in range(len(out)):
        row, into = X[start + r], out[r]
        for k in range(len(columns)):
            into[k] = row[columns[k]] - centre[k]


@njit(cache=True, nogil=True)
def pair_products(Z, first, second, out):
    """Products of pairs of columns of Z, row by row."""
    for r in range(len(Z)):
        row, into = Z[r], out[r]
        for k in range(len(first)):
            into[k] = row[first[k]] * row[second[k]]


@njit(cache=True, nogil=True)
def solve_lower(pointers, rows, values, x):
    """x ← L⁻¹ x for a unit lower triangle by columns, the diagonal first in each, and eight right-hand sides.

    Unsigned indices: numba then leaves out the test for negative ones, a third of the time.
    """
    for j in range(len(x)):
        u = np.uint64(j)
        a, b, c, d = x[u, 0], x[u, 1], x[u, 2], x[u, 3]
        e, f, g, h = x[u, 4], x[u, 5], x[u, 6], x[u, 7]
        for at in range(np.uint64(pointers[j] + 1), np.uint64(pointers[j + 1])):
            i = np.uint64(rows[at])
            v = values[at]
            x[i, 0] -= v * a
            x[i, 1] -= v * b
            x[i, 2] -= v * c
            x[i, 3] -= v * d
            x[i, 4] -= v * e
            x[i, 5] -= v * f
            x[i, 6] -= v * g
            x[i, 7] -= v * h


@njit(cache=True, nogil=True)
def solve_upper(pointers, rows, values, reciprocals, x):
    """x ← (D Lᵀ)⁻¹ x for the same L and the reciprocals of D."""
    for j in range(len(x) - 1, -1, -1):
        u = np.uint64(j)
        s = reciprocals[j]
        a, b, c, d = s * x[u, 0], s * x[u, 1], s * x[u, 2], s * x[u, 3]
        e, f, g, h = s * x[u, 4], s * x[u, 5], s * x[u, 6], s * x[u, 7]
        for at in range(np.uint64(pointers[j] + 1), np.uint64(pointers[j + 1])):
            i = np.uint64(rows[at])
            v = values[at]
            a -= v * x[i, 0]
            b -= v * x[i, 1]
            c -= v * x[i, 2]
            d -= v * x[i, 3]
            e -= v * x[i, 4]
            f -= v * x[i, 5]
            g -= v * x[i, 6]
            h -= v * x[i, 7]
        x[u, 0], x[u, 1], x[u, 2], x[u, 3] = a, b, c, d
        x[u, 4], x[u, 5], x[u, 6], x[u, 7] = e, f, g, h


@njit(cache=True, nogil=True)
def lanczos_ground(pointers, columns, values, vectors, diagonal, beside, start, stop):
    """Steps of Lanczos' three-term recurrence on a sparse matrix; rows of `vectors`: this, the one before, work."""
    n = vectors.shape[1]
    this, before, work = vectors[0], vectors[1], vectors[2]
    for step in range(start, stop):
        past = beside[step - 1] if step else 0.0
        alpha = 0.0
        for i in range(n):
            total = 0.0
            for at in range(pointers[i], pointers[i + 1]):
                total += values[at] * this[columns[at]]
            if step:
                total -= past * before[i]
            work[i] = total
            alpha += total * this[i]
        norm = 0.0
        for i in range(n):
            work[i] -= alpha * this[i]
            norm += work[i] * work[i]
        norm = math.sqrt(norm)
        diagonal[step], beside[step] = alpha, norm
        if norm == 0.0:
            norm = 1.0
        for i in range(n):
            before[i] = this[i]
            this[i] = work[i] / norm
