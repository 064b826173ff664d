"""Cholesky of an information matrix: solves, inverse, and the columns that depend on earlier ones."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

__all__ = ["Factor"]


@njit(cache=True, nogil=True)
def _independent(R, tolerance):
    """Mask of the columns of a unit-diagonal Gram matrix whose pivot, in order, stays above ``tolerance``."""
    p = R.shape[0]
    L = np.zeros((p, p))
    keep = np.zeros(p, np.bool_)
    for j in range(p):
        pivot = R[j, j]
        for k in range(j):
            pivot -= L[j, k] ** 2
        if pivot > tolerance:
            keep[j] = True
            L[j, j] = np.sqrt(pivot)
            for i in range(j + 1, p):
                value = R[i, j]
                for k in range(j):
                    value -= L[i, k] * L[j, k]
                L[i, j] = value / L[j, j]
    return keep


class Factor:
    """Factor of a symmetric positive semidefinite matrix, scaled to unit diagonal first.

    Columns that are linear combinations of earlier ones are left out, as R does: solutions are zero there.

    Parameters
    ----------
    H : ndarray of shape (q, q)
    tolerance : float
        Relative pivot, with unit diagonal, below which a column counts as dependent.
    keep : ndarray of bool or None
        Columns to use, when they are known already.
    order : ndarray of int or None
        In which columns are looked at when some must be left out; None is as they stand.

    Attributes
    ----------
    keep : ndarray of bool or None
        None when every column is used.
    smallest_pivot : float
        Smallest relative pivot: the square of the smallest relative distance of a column to the span of the
        earlier ones.
    """

    def __init__(
        self,
        H: np.ndarray,
        tolerance: float = 1e-9,
        keep: np.ndarray | None = None,
        order: np.ndarray | None = None,
    ):
        self.size = len(H)
        self.keep = keep if keep is None or not keep.all() else None
        if not self._factor(H, tolerance) and keep is None:
            diagonal = np.diag(H)
            root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
            R = H / root / root[:, None]
            if order is None:
                self.keep = _independent(np.ascontiguousarray(R), tolerance)
            else:
                self.keep = np.empty(self.size, bool)
                self.keep[order] = _independent(np.ascontiguousarray(R[np.ix_(order, order)]), tolerance)
            self._factor(H, 0.0)

    def _factor(self, H, tolerance) -> bool:
        A = H if self.keep is None else H[np.ix_(self.keep, self.keep)]
        diagonal = np.diag(A)
        self.smallest_pivot = 0.0
        self.failed = True
        if not (diagonal > 0).all():
            return False
        self._root = np.sqrt(diagonal)
        L, info = dpotrf(A / self._root / self._root[:, None], lower=1, clean=0)
        if info:
            return False
        self._L = L
        self.smallest_pivot = float(np.diag(L).min() ** 2) if len(L) else 1.0
        self.failed = not self.smallest_pivot > tolerance
        return not self.failed

    @property
    def rank(self) -> int:
        return self.size if self.keep is None else int(self.keep.sum())

    def solve(self, g: np.ndarray) -> np.ndarray:
        """H⁻¹g, zero for columns left out."""
        if not self.rank:  # LAPACK refuses matrices without rows
            return np.zeros(self.size)
        if self.keep is None:
            return dpotrs(self._L, g / self._root, lower=1)[0] / self._root
        out = np.zeros(self.size)
        out[self.keep] = dpotrs(self._L, g[self.keep] / self._root, lower=1)[0] / self._root
        return out

    def inverse(self) -> np.ndarray:
        """H⁻¹; rows and columns left out are NaN."""
        if not self.rank:
            return np.full((self.size, self.size), np.nan)
        inner, _ = dpotri(self._L, lower=1)
        inner = np.tril(inner)
        inner = (inner + np.tril(inner, -1).T) / self._root / self._root[:, None]
        if self.keep is None:
            return inner
        out = np.full((self.size, self.size), np.nan)
        out[np.ix_(self.keep, self.keep)] = inner
        return out
