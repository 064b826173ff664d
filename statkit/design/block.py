"""Encoded rows: a dense part, integer codes or CSR, and the products that estimation needs of them.

Nothing is expanded: a categorical column stays one small integer a row, a sparse matrix stays sparse, the
intercept is a flag. Centring and scaling apply to dense columns only and happen while a tile is copied.

Columns are numbered [intercept, dense columns, part 1, part 2, …] or [intercept, CSR columns].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from statkit.design import _kernels as k

_NONE = np.empty(0)
# Columns up to which a general product of short tiles is faster than a symmetric one.
_NARROW = 48


@dataclass(slots=True)
class CodePart:
    """One coded group of columns: row i contributes ``multiplier[i]`` (or 1) in column ``codes[i]``.

    Parameters
    ----------
    codes : integer ndarray of shape (n,)
        Column within the part; −1 contributes nothing (the reference level).
    width : int
        Number of columns of the part.
    multiplier : float64 ndarray of shape (n,) or None
    """

    codes: np.ndarray
    width: int
    multiplier: np.ndarray | None = None


@dataclass(slots=True)
class Csr:
    """The three arrays of a CSR matrix and its number of columns."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    width: int


@dataclass(slots=True)
class Codes:
    """All coded parts of a block side by side: absolute column numbers, −1 for none."""

    columns: np.ndarray
    multiplier: np.ndarray
    width: int


def _stack(parts: Sequence[CodePart], first: int) -> Codes | None:
    if not parts:
        return None
    width = sum(part.width for part in parts)
    kind = np.int16 if first + width < 2**15 else np.int32
    columns = np.empty((len(parts[0].codes), len(parts)), kind)
    multiplied = any(part.multiplier is not None for part in parts)
    multiplier = np.ones(columns.shape) if multiplied else np.empty((0, 0))
    offset = first
    for a, part in enumerate(parts):
        codes = part.codes.astype(kind)
        columns[:, a] = np.where(codes < 0, -1, codes + offset)
        if part.multiplier is not None:
            multiplier[:, a] = part.multiplier
        offset += part.width
    return Codes(columns, multiplier, width)


@dataclass(slots=True)
class Block:
    """Rows ready for estimation. Build with :func:`make_block`."""

    dense: np.ndarray
    csr: Csr | None
    codes: Codes | None
    intercept: bool
    y: np.ndarray | None
    weight: np.ndarray | None
    offset: np.ndarray | None
    group: np.ndarray | None
    rows: int | np.ndarray
    n_read: int
    n_missing: int
    center: np.ndarray = field(default_factory=lambda: _NONE)
    scale: np.ndarray = field(default_factory=lambda: _NONE)
    owned: bool = True

    @property
    def n_rows(self) -> int:
        if self.csr is not None:
            return len(self.csr.indptr) - 1
        return len(self.dense)

    @property
    def n_columns(self) -> int:
        coded = self.codes.width if self.codes is not None else 0
        sparse = self.csr.width if self.csr is not None else 0
        return int(self.intercept) + self.dense.shape[1] + coded + sparse

    @property
    def nbytes(self) -> int:
        """Bytes that keeping this block costs; views of the caller's arrays cost nothing."""
        if not self.owned:
            return 0
        arrays = [self.dense, self.y, self.weight, self.offset, self.group, self.rows]
        if self.codes is not None:
            arrays += [self.codes.columns, self.codes.multiplier]
        if self.csr is not None:
            arrays += [self.csr.data, self.csr.indices, self.csr.indptr]
        return sum(a.nbytes for a in arrays if isinstance(a, np.ndarray))

    @property
    def _by_columns(self) -> bool:
        return not self.dense.flags.c_contiguous

    @property
    def _plain(self) -> bool:
        """Dense part that BLAS can read in place."""
        X = self.dense
        return self.center.size == 0 and X.dtype == np.float64 and X.flags.c_contiguous

    def scaled(self, center: np.ndarray, scale: np.ndarray) -> Block:
        """The same rows with dense columns read as ``(x − center)·scale``."""
        return (
            self if center.size == 0 and self.center.size == 0 else replace(self, center=center, scale=scale)
        )

    def row_numbers(self) -> np.ndarray:
        if isinstance(self.rows, np.ndarray):
            return self.rows
        return np.arange(self.rows, self.rows + self.n_rows)

    def matvec(self, beta: np.ndarray, offset: bool = True) -> np.ndarray:
        """η = Xβ, plus the rows' offset."""
        n = self.n_rows
        eta = np.full(n, beta[0]) if self.intercept else np.zeros(n)
        i = int(self.intercept)
        d = self.dense.shape[1]
        if d and beta[i : i + d].any():
            part = np.ascontiguousarray(beta[i : i + d])
            if self._plain:
                k.matrix_matvec(self.dense, part, eta)
            else:
                k.dense_matvec(self.dense, self._by_columns, self.center, self.scale, part, eta)
        if self.codes is not None:
            k.codes_matvec(self.codes.columns, self.codes.multiplier, beta, eta)
        if self.csr is not None:
            s = self.csr
            k.csr_matvec(s.data, s.indices, s.indptr, beta[i:], eta)
        if offset and self.offset is not None:
            eta += self.offset
        return eta

    def predict_and_measure(
        self, beta: np.ndarray, square: np.ndarray, rows: slice, eta: np.ndarray, length: np.ndarray
    ) -> None:
        """Fill ``eta`` with Xβ plus the offset and ``length`` with Σ_j square_j x_ij² of ``rows``, in one read.

        Lengths are those of the raw columns, whatever their scaling.
        """
        i = int(self.intercept)
        d = self.dense.shape[1]
        if (self._by_columns and d > 1) or self.csr is not None:
            part = self.take(rows)
            eta[:] = part.matvec(beta)
            length[:] = part._square_lengths(square)
            return
        eta[:] = beta[0] if i else 0.0
        length[:] = square[0] if i else 0.0
        slopes = beta[i : i + d] * self.scale if self.center.size else beta[i : i + d]
        k.predict_and_measure(self.dense[rows], self.center, slopes, square[i : i + d], eta, length)
        if self.codes is not None:
            columns, multiplier = self.codes.columns[rows], self.codes.multiplier
            multiplier = multiplier[rows] if multiplier.size else multiplier
            k.codes_matvec(columns, multiplier, beta, eta)
            k.codes_square_norms(columns, multiplier, square, length)
        if self.offset is not None:
            eta += self.offset[rows]

    def add_scores(self, r: np.ndarray, rows: slice, out: np.ndarray) -> None:
        """Add X'r of ``rows`` to ``out``; for tiles that were read just before."""
        i = int(self.intercept)
        d = self.dense.shape[1]
        if (self._by_columns and d > 1) or self.csr is not None:
            out += self.take(rows).transpose_matvec(r)
            return
        if i:
            out[0] += r.sum()
        part = np.zeros(d)
        k.add_row_multiples(self.dense[rows], self.center, r, part)
        out[i : i + d] += part * self.scale if self.center.size else part
        if self.codes is not None:
            columns, multiplier = self.codes.columns[rows], self.codes.multiplier
            multiplier = multiplier[rows] if multiplier.size else multiplier
            k.codes_transpose_matvec(columns, multiplier, r, out)

    def transpose_matvec(self, r: np.ndarray) -> np.ndarray:
        """X'r."""
        out = np.zeros(self.n_columns)
        i = int(self.intercept)
        d = self.dense.shape[1]
        if self.intercept:
            out[0] = r.sum()
        if d:
            part = np.zeros(d)
            if self._plain:
                k.matrix_transpose_matvec(self.dense, r, part)
            else:
                k.dense_transpose_matvec(self.dense, self._by_columns, self.center, self.scale, r, part)
            out[i : i + d] = part
        if self.codes is not None:
            k.codes_transpose_matvec(self.codes.columns, self.codes.multiplier, r, out)
        if self.csr is not None:
            s = self.csr
            k.csr_transpose_matvec(s.data, s.indices, s.indptr, r, out[i:])
        return out

    def sandwich(self, w: np.ndarray, nonnegative: bool = True) -> np.ndarray:
        """X'WX, symmetric (q, q); ``nonnegative=False`` when some weights are below zero."""
        return self._products(w, _NONE, nonnegative)[0]

    def normal_equations(self, w: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X'WX (q, q) for w >= 0 and X'r (q,), in one sweep over the rows."""
        return self._products(w, r, True)

    def _products(self, w, r, nonnegative):
        q = self.n_columns
        i = int(self.intercept)
        d = self.dense.shape[1]
        out = np.zeros((q, q))
        moment = np.zeros(q)
        if self.intercept:
            out[0, 0] = w.sum()
            moment[0] = r.sum()
        if d:
            gram = np.zeros((d, d))
            border = np.zeros(d)
            part = moment[i : i + d]
            if d <= k.FEW:
                k.few_sandwich(self.dense, self.center, self.scale, w, r, gram, border, part)
            elif d <= _NARROW or not nonnegative:
                k.narrow_sandwich(
                    self.dense,
                    self._plain,
                    self._by_columns,
                    self.center,
                    self.scale,
                    w,
                    r,
                    gram,
                    border,
                    part,
                )
            else:
                k.wide_sandwich(
                    self.dense, self._by_columns, self.center, self.scale, w, r, gram, border, part
                )
            out[i : i + d, i : i + d] = gram
            if self.intercept:
                out[0, 1 : 1 + d] = border
        if self.codes is not None:
            c = self.codes
            k.codes_sandwich(
                c.columns,
                c.multiplier,
                self.dense,
                self.center,
                self.scale,
                i,
                self.intercept,
                w,
                r,
                out,
                moment,
            )
        if self.csr is not None:
            s = self.csr
            gram = np.zeros((s.width, s.width))
            border = np.zeros(s.width)
            k.csr_sandwich(s.data, s.indices, s.indptr, w, gram, border)
            if r.size:
                k.csr_transpose_matvec(s.data, s.indices, s.indptr, r, moment[i:])
            out[i:, i:] = gram
            if self.intercept:
                out[0, 1:] = border
        k.mirror(out)
        return out, moment

    def group_scores(self, r: np.ndarray, inverse: np.ndarray, n_groups: int) -> np.ndarray:
        """Sums of r·x by group, (n_groups, q)."""
        out = np.zeros((n_groups, self.n_columns))
        i = int(self.intercept)
        d = self.dense.shape[1]
        if self.intercept:
            out[:, 0] = np.bincount(inverse, r, n_groups)
        if d:
            part = np.zeros((n_groups, d))
            k.group_scores(self.dense, self._by_columns, self.center, self.scale, r, inverse, part)
            out[:, i : i + d] = part
        if self.codes is not None:
            k.codes_group_scores(self.codes.columns, self.codes.multiplier, r, inverse, out)
        if self.csr is not None:
            s = self.csr
            part = np.zeros((n_groups, s.width))
            k.csr_group_scores(s.data, s.indices, s.indptr, r, inverse, part)
            out[:, i:] = part
        return out

    def row_norms(self, T: np.ndarray) -> np.ndarray:
        """‖T x_i‖ of every row; ``T`` (m, q), or (q,) for a diagonal map."""
        n = self.n_rows
        if T.ndim == 1 and self.center.size == 0:
            return np.sqrt(self._square_lengths(T * T))
        out = np.empty(n)
        step = 4096
        for start in range(0, n, step):
            rows = self.take(slice(start, min(start + step, n))).to_dense()
            mapped = rows * T if T.ndim == 1 else rows @ T.T
            out[start : start + step] = np.sqrt(np.einsum("ij,ij->i", mapped, mapped))
        return out

    def _square_lengths(self, square: np.ndarray) -> np.ndarray:
        """Σ_j square_j x_ij², without expanding codes or sparse entries."""
        i = int(self.intercept)
        d = self.dense.shape[1]
        out = np.full(self.n_rows, square[0] if self.intercept else 0.0)
        if d:
            k.dense_square_norms(self.dense, square[i : i + d], out)
        if self.codes is not None:
            k.codes_square_norms(self.codes.columns, self.codes.multiplier, square, out)
        if self.csr is not None:
            s = self.csr
            k.csr_square_norms(s.data, s.indices, s.indptr, square[i:], out)
        return out

    def to_dense(self) -> np.ndarray:
        """Every column as float64, (n, q): for small blocks (pilots, subsamples, tests)."""
        n = self.n_rows
        i = int(self.intercept)
        d = self.dense.shape[1]
        out = np.zeros((n, self.n_columns))
        if self.intercept:
            out[:, 0] = 1.0
        out[:, i : i + d] = self.dense
        if self.center.size:
            out[:, i : i + d] -= self.center
            out[:, i : i + d] *= self.scale
        if self.codes is not None:
            at = np.arange(n)
            for a in range(self.codes.columns.shape[1]):
                c = self.codes.columns[:, a]
                hit = c >= 0
                value = self.codes.multiplier[hit, a] if self.codes.multiplier.size else 1.0
                out[at[hit], c[hit]] += value
        if self.csr is not None:
            s = self.csr
            at = np.repeat(np.arange(n), np.diff(s.indptr))
            np.add.at(out, (at, i + s.indices), s.data)
        return out

    def take(self, index) -> Block:
        """The rows of an index array, mask or slice, with their row numbers."""

        def pick(array):
            return None if array is None else array[index]

        whole = isinstance(index, slice) and not isinstance(self.rows, np.ndarray) and index.step in (None, 1)
        rows = self.rows + (index.start or 0) if whole else self.row_numbers()[index]
        codes = csr = None
        if self.codes is not None:
            c = self.codes
            codes = Codes(
                c.columns[index], c.multiplier[index] if c.multiplier.size else c.multiplier, c.width
            )
        if self.csr is not None:
            from scipy.sparse import csr_array

            s = self.csr
            shape = (len(s.indptr) - 1, s.width)
            part = csr_array((s.data, s.indices, s.indptr), shape=shape)[index]
            csr = Csr(part.data, part.indices, part.indptr, s.width)
        dense = self.dense[index]
        n = len(csr.indptr) - 1 if csr is not None else len(dense)
        return replace(
            self,
            dense=dense,
            csr=csr,
            codes=codes,
            y=pick(self.y),
            weight=pick(self.weight),
            offset=pick(self.offset),
            group=pick(self.group),
            rows=rows,
            n_read=n,
            n_missing=0,
            owned=True,
        )

    def merge(self, other: Block) -> Block:
        """This block's rows followed by the other's."""
        return concatenate([self, other])


def concatenate(blocks: Sequence[Block]) -> Block:
    """Rows of several blocks of one design, in order."""
    first = blocks[0]
    if len(blocks) == 1:
        return first

    def join(name):
        arrays = [getattr(b, name) for b in blocks]
        return None if arrays[0] is None else np.concatenate(arrays)

    codes = csr = None
    if first.codes is not None:
        some = [b.codes.multiplier for b in blocks]
        codes = Codes(
            np.concatenate([b.codes.columns for b in blocks]),
            np.concatenate(some) if some[0].size else some[0],
            first.codes.width,
        )
    if first.csr is not None:
        ends = np.cumsum([0] + [b.csr.indptr[-1] for b in blocks])
        csr = Csr(
            np.concatenate([b.csr.data for b in blocks]),
            np.concatenate([b.csr.indices for b in blocks]),
            np.concatenate(
                [b.csr.indptr[(j > 0) :] + end for j, (b, end) in enumerate(zip(blocks, ends, strict=False))]
            ),
            first.csr.width,
        )
    return replace(
        first,
        dense=np.concatenate([b.dense for b in blocks]),
        csr=csr,
        codes=codes,
        y=join("y"),
        weight=join("weight"),
        offset=join("offset"),
        group=join("group"),
        rows=np.concatenate([b.row_numbers() for b in blocks]),
        n_read=sum(b.n_read for b in blocks),
        n_missing=sum(b.n_missing for b in blocks),
        owned=True,
    )


def make_block(
    dense: np.ndarray | None = None,
    csr: Csr | None = None,
    parts: Sequence[CodePart] = (),
    *,
    n_rows: int,
    intercept: bool = True,
    y: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    offset: np.ndarray | None = None,
    group: np.ndarray | None = None,
    rows: int | np.ndarray = 0,
    n_read: int | None = None,
    n_missing: int = 0,
    owned: bool = True,
) -> Block:
    """Assemble a block of ``n_rows`` encoded rows.

    Parameters
    ----------
    dense : ndarray of shape (n_rows, d), any numeric dtype and order, or None
    csr : Csr or None
        Instead of ``dense`` and ``parts``.
    parts : sequence of CodePart
    y : float64 ndarray of shape (n_rows,) or (n_rows, k), or None for prediction
    weight, offset : float64 ndarray of shape (n_rows,) or None
    group : ndarray of shape (n_rows,) or None
    rows : int or int64 ndarray
        Number of the first row, or of every row once rows were dropped.
    n_read, n_missing : int
        Raw rows read, and rows dropped because a value was missing.
    owned : bool
        False when the arrays are views of the caller's memory.
    """
    if dense is None:
        dense = np.empty((n_rows, 0))
    codes = _stack(parts, int(intercept) + dense.shape[1])
    return Block(
        dense, csr, codes, intercept, y, weight, offset, group, rows,
        n_rows if n_read is None else n_read, n_missing, owned=owned,
    )  # fmt: skip
