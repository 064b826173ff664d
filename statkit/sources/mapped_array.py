"""Arrays written once to memory maps, which other processes of this machine open by name."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from statkit.sources.array import ArraySource
from statkit.sources.spool import Spool

__all__ = ["MappedArray", "MappedArraySource", "MappedArrays", "map_arrays", "with_mapped_beside"]


@dataclass(frozen=True, slots=True)
class MappedArray:
    """Where an array is on disk."""

    path: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    order: Literal["C", "F"]

    def open(self) -> np.ndarray:
        """The array, read-only, without reading it."""
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        return np.asarray(
            np.memmap(self.path, self.dtype, "r", offset=self.offset, shape=self.shape, order=self.order)
        )


def map_array(array: np.ndarray, spool: Spool, name: str) -> MappedArray:
    """Write an array to the spool, unless it is a part of a file already."""
    found = _on_disk(array)
    if found is not None:
        return found
    if array.dtype.hasobject:
        raise TypeError(
            f"{name} has dtype {array.dtype}: Python objects cannot be shared with other processes; convert "
            "it to numbers, or use engine='threads'"
        )
    path = spool.path(f"{name}.npy")
    np.save(path, array)
    stored = np.load(path, mmap_mode="r")
    order: Literal["C", "F"] = "F" if stored.flags.f_contiguous and not stored.flags.c_contiguous else "C"
    return MappedArray(path, array.dtype, array.shape, getattr(stored, "offset", 0), order)


def _on_disk(array: np.ndarray) -> MappedArray | None:
    """The place of a contiguous part of a memory map in its file."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    if not isinstance(owner, np.memmap) or owner.filename is None or owner.mode == "c":
        return None  # "c": what was changed is in memory alone
    memory = getattr(owner, "_mmap", None)
    if not isinstance(memory, mmap.mmap) or not (array.flags.c_contiguous or array.flags.f_contiguous):
        return None
    if 0 in array.shape or array.dtype.hasobject:
        return None
    # A slice keeps the attributes of the whole, so that its place follows from the addresses alone.
    inside = array.ctypes.data - np.frombuffer(memory, np.uint8).ctypes.data
    start = owner.offset - owner.offset % mmap.ALLOCATIONGRANULARITY
    if owner.mode != "r":
        owner.flush()
    order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
    return MappedArray(str(owner.filename), array.dtype, array.shape, start + inside, order)


class MappedArrays(dict[str, np.ndarray]):
    """Arrays by name, open as memory maps; pickles hold their places."""

    def __init__(self, places: dict[str, MappedArray], spool: Spool | None = None):
        super().__init__({name: place.open() for name, place in places.items()})
        self.places = places
        self.spool = spool

    def __reduce__(self) -> tuple:
        return MappedArrays, (self.places,)

    def close(self) -> None:
        if self.spool is not None:
            self.spool.close()


def map_arrays(arrays: dict[str, np.ndarray]) -> MappedArrays:
    """The arrays as memory maps in a spool of their own."""
    spool = Spool()
    with spool.filling():
        return MappedArrays({name: map_array(values, spool, name) for name, values in arrays.items()}, spool)


class MappedArraySource(ArraySource):
    """An `ArraySource` whose arrays are memory maps; pickles hold their places.

    Parameters
    ----------
    source : ArraySource
    """

    def __init__(self, source: ArraySource):
        self._step, self.n_rows, self.n_features = source._step, source.n_rows, source.n_features
        self.schema = {}
        self._token = source.token
        X = source._X
        dense = isinstance(X, np.ndarray)
        parts = ("data", "indices", "indptr")
        self._kind = None if dense else type(X)
        self._matrix = map_arrays({"X": X} if dense else {part: getattr(X, part) for part in parts})
        try:
            self._beside = map_arrays(source._beside)
        except BaseException:
            self._matrix.close()
            raise
        self._attach()

    def _attach(self) -> None:
        if self._kind is None:
            self._X = self._matrix["X"]
            return
        self._X = self._kind((self.n_rows, self.n_features), dtype=self._matrix["data"].dtype)
        for part, values in self._matrix.items():
            setattr(self._X, part, values)

    def portable(self) -> ArraySource:
        return self

    def close(self) -> None:
        self._matrix.close()
        self._beside.close()  # type: ignore[attr-defined]

    def __getstate__(self) -> dict:
        return vars(self) | {"_X": None, "_partitions": None}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._attach()


def with_mapped_beside(source: Any) -> Any:
    """A copy of a source of files whose arrays beside them can go to other processes."""
    twin = object.__new__(type(source))
    vars(twin).update(source.__getstate__())
    twin._beside = map_arrays(source._beside)
    twin._origin = source  # whose temporary files, if it has any, the copy reads
    return twin
