"""Compiled loops over the rows of a block: products with a vector and weighted cross products.

Dense columns are copied tile by tile (any dtype and order in, centred and scaled float64 out) and handed to
BLAS; integer codes and CSR rows are scattered. Tiles have a fixed length and start at the block's first row,
because the last bits of a BLAS product depend on the length of what it is given.
"""

import numpy as np
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from statkit._numba import add_columns_dot, add_cross, add_gram, add_rows_dot

# Columns up to which plain loops beat BLAS.
FEW = 4


@intrinsic
def _pointer(typing_context, address):
    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.uintp), code


@njit(cache=True, nogil=True)
def side_by_side(addresses, strides, out):
    """Copy float64 columns, given by address and stride in items, into the columns of C-ordered ``out``.

    The columns are arrays of their own, often views of Arrow memory: by address one compiled loop serves any
    number of them. Some rows of every column at a time, so that the rows of ``out`` stay in cache.
    """
    n, d = out.shape
    T = 64
    for start in range(0, n, T):
        stop = min(start + T, n)
        for j in range(d):
            column = carray(_pointer(addresses[j]), (1 + (n - 1) * strides[j],), np.float64)
            if strides[j] == 1:
                for i in range(start, stop):
                    out[i, j] = column[i]
            else:
                for i in range(start, stop):
                    out[i, j] = column[i * strides[j]]


@njit(cache=True, nogil=True)
def tile_rows(n_columns):
    """Rows of a tile: a few hundred kB, so that a tile stays in the second-level cache."""
    return 4096 if n_columns <= 32 else 1024


@njit(cache=True, nogil=True)
def _load(X, start, m, center, scale, tile):
    d = X.shape[1]
    if center.size:
        for i in range(m):
            for j in range(d):
                tile[i, j] = (X[start + i, j] - center[j]) * scale[j]
    else:
        for i in range(m):
            for j in range(d):
                tile[i, j] = X[start + i, j]


@njit(cache=True, nogil=True)
def _load_columns(X, start, m, center, scale, tile):
    """The same for Fortran order: sweep columns so that reads are contiguous."""
    d = X.shape[1]
    for j in range(d):
        shift = center[j] if center.size else 0.0
        factor = scale[j] if center.size else 1.0
        for i in range(m):
            tile[i, j] = (X[start + i, j] - shift) * factor


@njit(cache=True, nogil=True)
def _fill(X, by_columns, start, m, center, scale, tile):
    if by_columns:
        _load_columns(X, start, m, center, scale, tile)
    else:
        _load(X, start, m, center, scale, tile)


@njit(cache=True, nogil=True)
def dense_matvec(X, by_columns, center, scale, beta, out):
    n, d = X.shape
    if d <= FEW:
        for i in range(n):
            for j in range(d):
                x = (X[i, j] - center[j]) * scale[j] if center.size else X[i, j]
                out[i] += x * beta[j]
        return
    T = tile_rows(d)
    tile = np.empty((min(T, n), d))
    for start in range(0, n, T):
        m = min(T, n - start)
        _fill(X, by_columns, start, m, center, scale, tile)
        add_rows_dot(tile, m, beta, out[start:])


@njit(cache=True, nogil=True)
def dense_transpose_matvec(X, by_columns, center, scale, r, out):
    n, d = X.shape
    T = tile_rows(d)
    tile = np.empty((min(T, n), d))
    for start in range(0, n, T):
        m = min(T, n - start)
        _fill(X, by_columns, start, m, center, scale, tile)
        add_columns_dot(tile, m, r[start:], out)


@njit(cache=True, nogil=True)
def matrix_matvec(X, beta, out):
    """Unscaled C-ordered float64: BLAS reads the rows where they are."""
    n, d = X.shape
    T = tile_rows(d)
    for start in range(0, n, T):
        add_rows_dot(X[start:], min(T, n - start), beta, out[start:])


@njit(cache=True, nogil=True)
def matrix_transpose_matvec(X, r, out):
    n, d = X.shape
    T = tile_rows(d)
    for start in range(0, n, T):
        add_columns_dot(X[start:], min(T, n - start), r[start:], out)


@njit(cache=True, nogil=True)
def _weigh(X, start, m, w, r, weighted):
    """Rows times w, then w itself and r: one product with X gives X'WX, X'w and X'r. ``r`` may be empty."""
    d = X.shape[1]
    for i in range(m):
        wi = w[start + i]
        for j in range(d):
            weighted[i, j] = X[i, j] * wi
        weighted[i, d] = wi
        weighted[i, d + 1] = r[start + i] if r.size else 0.0


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(cache=True, nogil=True)
def few_sandwich(X, center, scale, w, r, gram, border, moment):
    """Upper triangle of X'WX, X'w and X'r for a handful of columns: sums of a column each, without BLAS."""
    n, d = X.shape
    T = 1024
    tile = np.empty((d, T))
    weighted = np.empty(T)
    for start in range(0, n, T):
        stop = min(start + T, n)
        m = stop - start
        for j in range(d):
            shift = center[j] if center.size else 0.0
            factor = scale[j] if center.size else 1.0
            for i in range(m):
                tile[j, i] = (X[start + i, j] - shift) * factor
        for j in range(d):
            for i in range(m):
                weighted[i] = tile[j, i] * w[start + i]
            border[j] += _dot(tile[j, :m], w[start:stop])
            if r.size:
                moment[j] += _dot(tile[j, :m], r[start:stop])
            for k in range(j, d):
                gram[j, k] += _dot(weighted[:m], tile[k, :m])


@njit(cache=True, nogil=True)
def narrow_sandwich(X, plain, by_columns, center, scale, w, r, gram, border, moment):
    """X'WX into ``gram``, X'w into ``border`` and X'r into ``moment`` for few columns.

    General products of short tiles: with few columns a symmetric product spends its time on bookkeeping. w may
    be negative. ``plain`` tells that X is C-ordered float64 without scaling, so that BLAS can read it in place.
    """
    n, d = X.shape
    T = 128
    tile = np.empty((T, d))
    weighted = np.empty((T, d + 2))
    sums = np.zeros((d, d + 2))
    for start in range(0, n, T):
        m = min(T, n - start)
        if plain:
            _weigh(X[start : start + m], start, m, w, r, weighted)
            add_cross(X[start:], weighted, m, sums)
        else:
            _fill(X, by_columns, start, m, center, scale, tile)
            _weigh(tile, start, m, w, r, weighted)
            add_cross(tile, weighted, m, sums)
    gram += sums[:, :d]
    border += sums[:, d]
    moment += sums[:, d + 1]


@njit(cache=True, nogil=True)
def wide_sandwich(X, by_columns, center, scale, w, r, gram, border, moment):
    """Upper triangle of X'WX into ``gram``, X'w into ``border``, X'r into ``moment``; many columns and w >= 0."""
    n, d = X.shape
    T = 512
    tile = np.empty((T, d))
    root = np.empty(T)
    for start in range(0, n, T):
        m = min(T, n - start)
        for i in range(m):
            root[i] = np.sqrt(w[start + i])
        _fill(X, by_columns, start, m, center, scale, tile)
        if r.size:
            add_columns_dot(tile, m, r[start:], moment)
        for i in range(m):
            for j in range(d):
                tile[i, j] *= root[i]
        add_gram(tile, m, gram)
        add_columns_dot(tile, m, root, border)


@njit(cache=True, nogil=True)
def codes_matvec(codes, multiplier, beta, out):
    n, q = codes.shape
    for i in range(n):
        total = 0.0
        for a in range(q):
            c = codes[i, a]
            if c >= 0:
                total += beta[c] * multiplier[i, a] if multiplier.size else beta[c]
        out[i] += total


@njit(cache=True, nogil=True)
def codes_transpose_matvec(codes, multiplier, r, out):
    n, q = codes.shape
    for i in range(n):
        for a in range(q):
            c = codes[i, a]
            if c >= 0:
                out[c] += r[i] * multiplier[i, a] if multiplier.size else r[i]


@njit(cache=True, nogil=True)
def codes_sandwich(codes, multiplier, X, center, scale, first_dense, intercept, w, r, out, moment):
    """Every cross product that involves a coded column, into the upper triangle of ``out``; X'r into ``moment``.

    Coded columns come after the dense ones and later parts have higher codes, so (row, column) of each
    update is known to lie above the diagonal.
    """
    n, q = codes.shape
    d = X.shape[1]
    row = np.empty(d)
    first = first_dense + d
    # Sums by coded column side by side, so that a row touches one line of cache for each of its codes:
    # w·m, w·m², r·m, then w·m·x of every dense column.
    sums = np.zeros((out.shape[0] - first, 3 + d))
    multiplied = multiplier.size > 0
    for i in range(n):
        wi = w[i]
        ri = r[i] if r.size else 0.0
        if center.size:
            for j in range(d):
                row[j] = (X[i, j] - center[j]) * scale[j] * wi
        else:
            for j in range(d):
                row[j] = X[i, j] * wi
        for a in range(q):
            c = codes[i, a]
            if c < 0:
                continue
            ma = multiplier[i, a] if multiplied else 1.0
            wa = wi * ma
            at = c - first
            sums[at, 0] += wa
            sums[at, 1] += wa * ma
            sums[at, 2] += ri * ma
            for j in range(d):
                sums[at, 3 + j] += row[j] * ma
            for b in range(a + 1, q):
                e = codes[i, b]
                if e >= 0:
                    out[c, e] += wa * multiplier[i, b] if multiplied else wa
    for at in range(sums.shape[0]):
        c = first + at
        if intercept:
            out[0, c] += sums[at, 0]
        out[c, c] += sums[at, 1]
        moment[c] += sums[at, 2]
        for j in range(d):
            out[first_dense + j, c] += sums[at, 3 + j]


@njit(cache=True, nogil=True)
def csr_matvec(data, indices, indptr, beta, out):
    for i in range(indptr.size - 1):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            total += data[k] * beta[indices[k]]
        out[i] += total


@njit(cache=True, nogil=True)
def csr_transpose_matvec(data, indices, indptr, r, out):
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            out[indices[k]] += data[k] * r[i]


@njit(cache=True, nogil=True)
def csr_sandwich(data, indices, indptr, w, gram, border):
    """Symmetric X'WX (both triangles) and X'w; the order of the entries in a row does not matter."""
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            wk = w[i] * data[k]
            ck = indices[k]
            border[ck] += wk
            for e in range(indptr[i], indptr[i + 1]):
                gram[ck, indices[e]] += wk * data[e]


@njit(cache=True, nogil=True)
def dense_square_norms(X, square, out):
    n, d = X.shape
    for i in range(n):
        total = 0.0
        for j in range(d):
            x = float(X[i, j])
            total += square[j] * x * x
        out[i] += total


# Sums along a row may be reordered into vector code; NaN and infinity keep their meaning.
_ROW_LOOP = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract"}}


@njit(**_ROW_LOOP)
def predict_and_measure(X, center, slopes, square, eta, length):
    """Add Σ_j (x_ij − c_j) b_j and Σ_j square_j x_ij² of every row in one read; ``center`` is empty for zeros.

    A row's sums do not depend on the tile it lies in.
    """
    n, d = X.shape
    for i in range(n):
        e = 0.0
        q = 0.0
        if center.size:
            for j in range(d):
                x = np.float64(X[i, j])
                e += (x - center[j]) * slopes[j]
                q += x * x * square[j]
        else:
            for j in range(d):
                x = np.float64(X[i, j])
                e += x * slopes[j]
                q += x * x * square[j]
        eta[i] += e
        length[i] += q


@njit(**_ROW_LOOP)
def add_row_multiples(X, center, r, out):
    """Add Σ_i r_i (x_i − c) to ``out``, four rows at a time."""
    n, d = X.shape
    whole = n - n % 4
    for i in range(0, whole, 4):
        a, b, c, e = r[i], r[i + 1], r[i + 2], r[i + 3]
        if center.size:
            for j in range(d):
                z = center[j]
                out[j] += (a * (X[i, j] - z) + b * (X[i + 1, j] - z)) + (
                    c * (X[i + 2, j] - z) + e * (X[i + 3, j] - z)
                )
        else:
            for j in range(d):
                out[j] += (a * X[i, j] + b * X[i + 1, j]) + (c * X[i + 2, j] + e * X[i + 3, j])
    for i in range(whole, n):
        for j in range(d):
            x = np.float64(X[i, j])
            out[j] += r[i] * (x - center[j] if center.size else x)


@njit(cache=True, nogil=True)
def codes_square_norms(codes, multiplier, square, out):
    n, q = codes.shape
    for i in range(n):
        for a in range(q):
            c = codes[i, a]
            if c >= 0:
                m = multiplier[i, a] if multiplier.size else 1.0
                out[i] += square[c] * m * m


@njit(cache=True, nogil=True)
def csr_square_norms(data, indices, indptr, square, out):
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            out[i] += square[indices[k]] * data[k] * data[k]


@njit(cache=True, nogil=True)
def mirror(A):
    """Copy the upper triangle of a square matrix to the lower one."""
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] = A[j, i]


@njit(**_ROW_LOOP)
def all_finite(X):
    """Whether every value is finite: one read, no temporary, in any order of summation."""
    n, d = X.shape
    total = 0.0
    for i in range(n):
        for j in range(d):
            total += X[i, j] * 0.0
    return total == 0.0


@njit(cache=True, nogil=True)
def group_scores(X, by_columns, center, scale, r, inverse, out):
    """Sum of r·x by group for the dense columns; ``inverse`` is the group's row in ``out``."""
    n, d = X.shape
    for i in range(n):
        g = inverse[i]
        for j in range(d):
            x = (X[i, j] - center[j]) * scale[j] if center.size else X[i, j]
            out[g, j] += r[i] * x


@njit(cache=True, nogil=True)
def codes_group_scores(codes, multiplier, r, inverse, out):
    n, q = codes.shape
    for i in range(n):
        for a in range(q):
            c = codes[i, a]
            if c >= 0:
                out[inverse[i], c] += r[i] * multiplier[i, a] if multiplier.size else r[i]


@njit(cache=True, nogil=True)
def csr_group_scores(data, indices, indptr, r, inverse, out):
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            out[inverse[i], indices[k]] += data[k] * r[i]
