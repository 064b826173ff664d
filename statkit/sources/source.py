"""What every source offers, and the arrays that lie beside one."""

from __future__ import annotations

import difflib
import itertools
import os
import shutil
import tempfile
import weakref

import numpy as np

from statkit.sources.rows import Rows

__all__ = ["Beside", "Source", "TemporaryFolder", "column_not_found"]

_serial = itertools.count()


def fresh_token() -> str:
    """A token for rows in memory: no other source of any process has it."""
    return f"memory-{os.getpid()}-{next(_serial)}"


class Source:
    """Where rows are. A source knows nothing of statistics.

    Attributes
    ----------
    schema : dict of str to pyarrow.DataType
        Named columns; empty for a plain matrix.
    token : str
        Names these rows, for caches.
    n_rows : int
    n_features : int or None
        Columns of a plain matrix.
    """

    schema: dict = {}  # noqa: RUF012 - replaced, never mutated
    token: str = ""
    n_rows: int = 0
    n_features: int | None = None
    _partitions: tuple = ()

    def partitions(self) -> tuple:
        """Partitions in order; they depend on the data alone."""
        return self._partitions

    def read(self, partition, columns=()) -> Rows:
        """The rows of a partition with the named columns."""
        raise NotImplementedError

    def portable(self) -> Source:
        """The same rows in a form that another process can read cheaply; close it after use."""
        return self

    def close(self) -> None:
        """Remove temporary files."""


def column_not_found(name: str, available) -> ValueError:
    """The error for a column that is not there, with the nearest match."""
    available = [str(c) for c in available]
    near = difflib.get_close_matches(name, available, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(available[:20]) + (f", … ({len(available)} in all)" if len(available) > 20 else "")
    return ValueError(f"there is no column {name!r}{hint} Columns: {shown or 'none'}.")


class TemporaryFolder:
    """A folder that is removed when its owner is closed or gone; copies in other processes only know its path."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="statkit-")
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def close(self) -> None:
        self._remove()

    def __reduce__(self):
        return _FolderElsewhere, (self.path,)


class _FolderElsewhere:
    def __init__(self, path):
        self.path = path

    def close(self) -> None:
        pass


class MappedArray:
    """An array in a file, mapped into memory when used; pickles as its path."""

    def __init__(self, folder, name: str, array: np.ndarray):
        self.path = os.path.join(folder.path, f"{name}.npy")
        np.save(self.path, array)
        self._array: np.ndarray | None = None

    @property
    def array(self) -> np.ndarray:
        if self._array is None:
            self._array = np.load(self.path, mmap_mode="r")
        return self._array

    def __getstate__(self):
        return {"path": self.path, "_array": None}

    def __getitem__(self, index):
        return np.asarray(self.array[index])

    def __len__(self):
        return len(self.array)


class Beside:
    """Arrays that were passed beside the data, one value a row.

    Parameters
    ----------
    arrays : dict
        Some of "y", "weight", "offset", "group"; None is left out.
    n_rows : int
        Rows of the data; an array of another length is an error.
    """

    def __init__(self, arrays: dict, n_rows: int):
        self.arrays = {name: values for name, values in arrays.items() if values is not None}
        for name, values in self.arrays.items():
            if len(values) != n_rows:
                raise ValueError(f"{name} has {len(values):,} values, but the data have {n_rows:,} rows")

    def rows(self, partition) -> dict:
        stop = partition.first_row + partition.n_rows
        return {name: values[partition.first_row : stop] for name, values in self.arrays.items()}

    def portable(self, folder) -> Beside:
        mapped = Beside({}, 0)
        mapped.arrays = {name: MappedArray(folder, name, np.asarray(v)) for name, v in self.arrays.items()}
        return mapped

    def __bool__(self):
        return bool(self.arrays)


def row_range(partition) -> str:
    """The rows of a partition of data in memory, for messages."""
    return f"rows {partition.first_row}–{partition.first_row + partition.n_rows - 1}"
