"""A matrix in memory: views in this process, memory maps in others."""

from __future__ import annotations

from statkit.sources.partition import slices
from statkit.sources.rows import Rows
from statkit.sources.source import Beside, MappedArray, Source, TemporaryFolder, fresh_token, row_range

__all__ = ["ArraySource"]


class ArraySource(Source):
    """A dense array or sparse matrix; partitions are slices, and reading one copies nothing.

    Parameters
    ----------
    X : ndarray of shape (n, p) or sparse matrix
        Any dtype and order; sparse formats other than CSR are converted once.
    beside : dict of ndarray
        Some of "y", "weight", "offset", "group".
    rows_per_partition : int
    """

    def __init__(self, X, beside: dict, rows_per_partition: int = 65_536):
        if hasattr(X, "tocsr"):
            X = X.tocsr()
        elif X.ndim != 2:
            raise ValueError(f"X must have two dimensions, it has shape {X.shape}")
        self._X = X
        self.n_rows, self.n_features = X.shape
        self._beside = Beside(beside, self.n_rows)
        self.token = fresh_token()
        self._step = rows_per_partition
        self._partitions = slices(self.n_rows, rows_per_partition)

    def read(self, partition, columns=()):
        a, b = partition.first_row, partition.first_row + partition.n_rows
        X = self._X if partition.n_rows == self.n_rows else self._X[a:b]
        return Rows(a, partition.n_rows, None, X, self._beside.rows(partition), row_range(partition))

    def portable(self):
        return _MappedMatrix(self)


class _MappedMatrix(Source):
    """An :class:`ArraySource` spooled to memory maps."""

    def __init__(self, source: ArraySource):
        self.n_rows, self.n_features, self.token = source.n_rows, source.n_features, source.token
        self._partitions = source._partitions
        self._folder = TemporaryFolder()
        self._beside = source._beside.portable(self._folder)
        X = source._X
        if hasattr(X, "indptr"):
            self._arrays = [
                MappedArray(self._folder, n, getattr(X, n)) for n in ("data", "indices", "indptr")
            ]
        else:
            self._arrays = [MappedArray(self._folder, "X", X)]

    def read(self, partition, columns=()):
        a, b = partition.first_row, partition.first_row + partition.n_rows
        if len(self._arrays) == 1:
            X = self._arrays[0][a:b]
        else:
            from scipy.sparse import csr_array

            data, indices, indptr = self._arrays
            ends = indptr[a : b + 1]
            part = slice(ends[0], ends[-1])
            X = csr_array((data[part], indices[part], ends - ends[0]), shape=(b - a, self.n_features))
        return Rows(a, partition.n_rows, None, X, self._beside.rows(partition), row_range(partition))

    def close(self):
        self._folder.close()
