"""A plain matrix in memory: dense of any type and order, a memory map, or sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statkit.sources.memory import MemorySource
from statkit.sources.source import ROWS_PER_PARTITION, beside_arrays, fresh_token

__all__ = ["ArraySource", "is_labelled_array"]


def is_labelled_array(X: Any) -> bool:
    """Whether ``X`` is an xarray array: a matrix, although its Arrow stream has a row for each of its cells."""
    return hasattr(X, "__array__") and hasattr(X, "dims") and hasattr(X, "coords")


class ArraySource(MemorySource):
    """Rows of a matrix, as views: nothing is copied.

    Parameters
    ----------
    X : array or scipy sparse matrix of shape (n_rows, n_features)
        Dense with any type and order, ``numpy.memmap`` included. Sparse data other than canonical CSR are
        converted once.
    y, weight, offset, group : array of shape (n_rows, …) or None
    rows_per_partition : int, default=65_536

    Raises
    ------
    ValueError
        If ``X`` is not two-dimensional, or an array beside it has another length.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sources import ArraySource
    >>> source = ArraySource(np.eye(3), y=np.arange(3.0))
    >>> rows = source.read(source.partitions()[0])
    >>> rows.X.shape, rows.beside["y"], rows.where
    ((3, 3), array([0., 1., 2.]), 'rows 0–2')
    """

    def __init__(
        self,
        X: Any,
        y: Any = None,
        weight: Any = None,
        offset: Any = None,
        group: Any = None,
        *,
        rows_per_partition: int = ROWS_PER_PARTITION,
    ):
        self._check_step(rows_per_partition)
        if not isinstance(X, np.ndarray):
            X = _canonical_csr(X) if hasattr(X, "tocsr") else np.asarray(X)
        if X.ndim != 2:
            hint = "; reshape one column with X.reshape(-1, 1)" if X.ndim == 1 else ""
            raise ValueError(f"X must have two dimensions (rows, columns), it has shape {X.shape}{hint}")
        self._X = X
        self.n_rows, self.n_features = X.shape
        self.schema = {}
        self._beside = beside_arrays(self.n_rows, y, weight, offset, group)

    @property
    def token(self) -> str:  # type: ignore[override]
        # Made when first asked for: small fits never ask.
        if "_token" not in vars(self):
            self._token = fresh_token()
        return self._token

    def portable(self) -> ArraySource:
        from statkit.sources.mapped_array import MappedArraySource

        return MappedArraySource(self)

    def _take(self, rows: slice | np.ndarray, columns: Sequence[str]) -> tuple[Any, Any]:
        self._check_columns(columns)
        X = self._X
        if isinstance(X, np.ndarray) or not isinstance(rows, slice):
            return None, _computable(X[rows])
        return None, _csr_rows(X, rows)


def _computable(part: Any) -> Any:
    """Values that kernels compute with: in this machine's byte order (FITS and NetCDF files have another), and
    neither in half precision, which is exact in single, nor in more than double."""
    dtype = part.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        dtype = np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return part if part.dtype == dtype and part.dtype.isnative else part.astype(dtype)


def _canonical_csr(X: Any) -> Any:
    csr = X.tocsr()
    if csr.dtype.kind == "f":
        csr = _computable(csr)
    if csr.ndim == 2 and not csr.has_canonical_format:
        # Duplicate entries would be counted one by one.
        csr = csr.copy() if csr is X else csr
        csr.sum_duplicates()
    return csr


def _csr_rows(X: Any, rows: slice) -> Any:
    """Rows of a CSR matrix that share its values; scipy's own slicing copies them."""
    if rows.start == 0 and rows.stop >= X.shape[0]:
        return X
    first, last = X.indptr[rows.start], X.indptr[rows.stop]
    part = type(X)((rows.stop - rows.start, X.shape[1]), dtype=X.dtype)
    part.data = X.data[first:last]
    part.indices = X.indices[first:last]
    part.indptr = X.indptr[rows.start : rows.stop + 1] - first
    return part
