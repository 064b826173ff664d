"""Frames and xarray objects: where their columns are, without importing xarray unless it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_SAMPLE_DIMS = ("time", "sample", "samples", "year", "member", "realization")
_LATITUDE, _LONGITUDE = ("lat", "latitude"), ("lon", "longitude")


def is_labelled(X) -> bool:
    """Whether X speaks xarray's protocol: named dimensions with coordinates."""
    return hasattr(X, "dims") and hasattr(X, "coords") and hasattr(X, "transpose")


@dataclass(frozen=True)
class Labels:
    """Names and coordinates of the spatial dimensions of a DataArray."""

    sample: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, Any]  # name to (dims, values)

    def _axis(self, dim: str, size: int):
        values = np.asarray(self.coords[dim][1]) if dim in self.coords else np.arange(size)
        return values.astype(float) if values.dtype.kind in "iuf" else np.arange(size, dtype=float)

    def _find(self, names) -> str | None:
        return next((c for c in self.coords if c.lower() in names), None)

    def structure(self) -> dict[str, Any]:
        """Keyword arguments that describe the locations."""
        latitude, longitude = self._find(_LATITUDE), self._find(_LONGITUDE)
        if len(self.dims) == 1:
            dim = self.dims[0]
            if latitude and longitude and self.coords[latitude][0] == self.coords[longitude][0] == (dim,):
                rows = np.column_stack([self.coords[latitude][1], self.coords[longitude][1]])
                return {"coordinates": rows, "shape": None, "metric": "sphere"}
            return {
                "coordinates": (self._axis(dim, self.shape[0]),),
                "shape": self.shape,
                "metric": "euclidean",
            }
        axes = tuple(self._axis(d, n) for d, n in zip(self.dims, self.shape, strict=True))
        latlon = len(self.dims) == 2 and self.dims == (latitude, longitude)
        return {"coordinates": axes, "shape": self.shape, "metric": "latlon" if latlon else "euclidean"}

    def fold(self, values: np.ndarray, dim: str):
        """Rows (m, p) as a DataArray (dim, …space…)."""
        import xarray

        coords = {name: (dims, data) for name, (dims, data) in self.coords.items()}
        return xarray.DataArray(
            values.reshape(len(values), *self.shape), dims=(dim, *self.dims), coords=coords
        )


def unfold(X, like: Labels | None = None) -> tuple[np.ndarray, Labels]:
    """A DataArray as a matrix (samples, locations), and its columns' labels; `like` fixes their order."""
    dims = tuple(X.dims)
    if len(dims) < 2:
        raise ValueError(f"a DataArray needs a dimension of samples and one or more of space, got {dims}")
    sample = like.sample if like is not None else next((d for d in _SAMPLE_DIMS if d in dims), dims[0])
    space = like.dims if like is not None else tuple(d for d in dims if d != sample)
    if like is None and len(space) == 2 and space[0].lower() in _LONGITUDE and space[1].lower() in _LATITUDE:
        space = space[::-1]
    if set((sample, *space)) != set(dims):
        raise ValueError(f"the DataArray has dimensions {dims}, the model was fitted to {(sample, *space)}")
    X = X.transpose(sample, *space)
    values = np.asarray(X.values)
    coords = {}
    for name, coordinate in X.coords.items():
        if sample not in coordinate.dims and coordinate.dims:
            coords[str(name)] = (tuple(coordinate.dims), np.asarray(coordinate.values))
    labels = Labels(sample, space, values.shape[1:], coords)
    if like is not None:
        for name, (_, old) in like.coords.items():
            if name in coords and not np.array_equal(coords[name][1], old):
                raise ValueError(
                    f"the coordinate {name!r} of the DataArray differs from that of the fitted data"
                )
    return values.reshape(len(values), -1), labels


def ordered_coordinates(coordinates, names, columns):
    """Coordinates in the order of the columns of X: a frame is looked up by name, "columns" read off."""
    if isinstance(coordinates, str):
        if columns is None or getattr(columns, "nlevels", 1) < 2:
            raise ValueError(
                'coordinates="columns" needs a DataFrame whose columns are a MultiIndex of coordinates'
            )
        try:
            return np.asarray(columns.to_list(), dtype=float)
        except ValueError as error:
            raise ValueError('coordinates="columns": the column labels are not all numbers') from error
    if coordinates is None or not hasattr(coordinates, "loc"):
        return coordinates
    if names is None:
        raise ValueError(
            "coordinates is a DataFrame, whose index is matched with column names, but X has none: pass "
            "coordinates.to_numpy() if the order is that of the columns"
        )
    index = coordinates.index.astype(str)
    if not index.is_unique:
        raise ValueError(f"coordinates has several rows called {index[index.duplicated()][0]!r}")
    missing = [str(name) for name in names if str(name) not in set(index)]
    if missing:
        raise ValueError(f"coordinates has no row for the column {missing[0]!r} ({len(missing)} are missing)")
    frame = coordinates.copy()
    frame.index = index
    return frame.loc[[str(n) for n in names]].to_numpy(dtype=float)
