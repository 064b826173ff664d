"""What users call views becomes a list of checked arrays with names: lists, dicts, frames, column maps.

Every estimator of the family reads its input here, so that all of them understand the same things and all
errors name the view, the row and the column.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from statkit._magnitude import check_magnitude


@dataclass
class Views:
    """Views of the same samples, checked.

    ``arrays`` are float64 of shape (n_samples, n_features of the view), dense or CSR; ``columns`` are the
    names (or positions) of their columns; ``seen`` is None, or a boolean array of shape (n_samples, n_views),
    False where a sample lacks a view (its row there is zero).
    """

    arrays: list[Any]
    names: list[str]
    columns: list[list]
    n_features: int
    feature_names: np.ndarray | None = None
    seen: np.ndarray | None = None
    selectors: list[np.ndarray] | None = field(default=None, repr=False)

    @property
    def n_samples(self) -> int:
        return self.arrays[0].shape[0]


def is_view_collection(X) -> bool:
    """Say whether X is several views: a dict, or a list or tuple of two-dimensional things."""
    if sparse.issparse(X):  # one of their formats is a dict
        return False
    if isinstance(X, Mapping):
        return True
    return isinstance(X, list | tuple) and len(X) > 0 and all(_n_dimensions(view) == 2 for view in X)


def _n_dimensions(view) -> int:
    if hasattr(view, "ndim"):
        return view.ndim
    if hasattr(view, "shape"):
        return len(view.shape)
    if isinstance(view, list | tuple) and len(view):
        return 1 + _n_dimensions(view[0])
    return 0


def as_pandas(X):
    """Turn a polars or Arrow frame into a pandas one; leave everything else."""
    if hasattr(X, "columns") and not hasattr(X, "iloc") and hasattr(X, "to_pandas"):
        return X.to_pandas()
    return X


def read_views(X, views=None, *, estimator=None, missing=False, accept_sparse=True) -> Views:
    """Read and check the views that a method is fitted to.

    Parameters
    ----------
    X : list, tuple, dict, array or frame
        What the user gave.
    views : dict, list or array, default=None
        Columns of each view, when X is one array or frame.
    estimator : estimator, default=None
        Named in messages.
    missing : bool, default=False
        Whether a row that is NaN throughout a view means "not observed"; otherwise any NaN raises.
    accept_sparse : bool, default=True
        Whether a view may stay sparse (CSR); otherwise sparse views raise.

    Returns
    -------
    Views
    """
    if is_view_collection(X):
        if views is not None:
            raise ValueError(
                "views= divides the columns of one array or frame; X is already a list or dict of views"
            )
        return _read_collection(X, estimator, missing, accept_sparse)
    return _read_table(X, views, estimator, missing, accept_sparse)


def read_new_views(X, views, fitted: Views, *, estimator, missing=False, accept_sparse=True) -> Views:
    """Read the views of new samples and check that they are those of the fit."""
    if is_view_collection(X) != (fitted.selectors is None):
        given, wanted = ("one table", "a list or dict of views")[:: -1 if is_view_collection(X) else 1]
        raise ValueError(f"X is {given}, but {type(estimator).__name__} was fitted to {wanted}")
    if fitted.selectors is not None:
        return _read_table(X, views, estimator, missing, accept_sparse, fitted)
    if isinstance(X, Mapping):
        absent = [name for name in fitted.names if name not in map(str, X)]
        if absent:
            raise ValueError(f"X lacks the views {absent}; the fit had {fitted.names}")
        by_name = {str(name): view for name, view in X.items()}
        X = {name: by_name[name] for name in fitted.names}
    if len(X) != len(fitted.names):
        raise ValueError(f"X has {len(X)} views; the fit had {len(fitted.names)}: {', '.join(fitted.names)}")
    new = _read_collection(X, estimator, missing, accept_sparse)
    for name, array, old, columns, known in zip(
        fitted.names, new.arrays, fitted.arrays, new.columns, fitted.columns, strict=True
    ):
        if array.shape[1] != old.shape[1]:
            raise ValueError(f"view {name!r} has {array.shape[1]} columns; the fit had {old.shape[1]}")
        if all(isinstance(c, str) for c in [*columns, *known]) and columns != known:
            at = next(i for i, (a, b) in enumerate(zip(columns, known, strict=True)) if a != b)
            raise ValueError(f"view {name!r}: column {at} is {columns[at]!r}; the fit had {known[at]!r}")
    new.names = fitted.names
    return new


# -- a list or dict of views --------------------------------------------------------------------------------


def _read_collection(X, estimator, missing, accept_sparse) -> Views:
    if isinstance(X, Mapping):
        if not X:
            raise ValueError("X is an empty dict: it needs at least one view")
        names, raw = [str(name) for name in X], [as_pandas(view) for view in X.values()]
    else:
        names, raw = [f"view{i}" for i in range(len(X))], [as_pandas(view) for view in X]
    _same_index(names, raw)
    arrays, columns = [], []
    for name, view in zip(names, raw, strict=True):
        if _n_dimensions(view) != 2:
            raise ValueError(f"view {name!r} has {_n_dimensions(view)} dimensions; a view is a table of two")
        arrays.append(_check_view(view, name, estimator, accept_sparse))
        columns.append(_column_names(view, arrays[-1].shape[1]))
    counts = [array.shape[0] for array in arrays]
    if len(set(counts)) > 1:
        told = ", ".join(f"{name!r}: {count}" for name, count in zip(names, counts, strict=True))
        raise ValueError(f"views must have the same number of rows, one a sample; they have {told}")
    read = Views(arrays, names, columns, sum(array.shape[1] for array in arrays))
    return _settle_missing(read, missing)


def _same_index(names, raw) -> None:
    """Frames are aligned by position: indices that disagree are refused, with their first difference."""
    frames = [(name, view.index) for name, view in zip(names, raw, strict=True) if hasattr(view, "iloc")]
    for name, index in frames[1:]:
        first_name, first = frames[0]
        if len(index) != len(first) or index.equals(first):
            continue  # unequal lengths have an error of their own
        at = next(i for i in range(len(index)) if index[i] != first[i])
        raise ValueError(
            f"views {first_name!r} and {name!r} have different indices: row {at} is "
            f"{first[at]!r} in the first and "
            f"{index[at]!r} in the second. Rows are matched by position: reindex the frames, "
            "or drop their index"
        )


def _column_names(view, width) -> list:
    if hasattr(view, "iloc"):
        return [c if isinstance(c, tuple) else str(c) for c in view.columns]
    return list(range(width))


def _check_view(view, name, estimator, accept_sparse):
    try:
        array = check_array(
            view, accept_sparse="csr" if accept_sparse else False, dtype=np.float64, ensure_all_finite=False,
            ensure_min_samples=0, ensure_min_features=0, estimator=estimator,
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise type(error)(f"view {name!r}: {error}") from error
    if array.shape[0] == 0 or array.shape[1] == 0:
        what = "rows" if array.shape[0] == 0 else "columns"
        raise ValueError(f"view {name!r} is empty: it has no {what} (shape {array.shape})")
    check_magnitude(array, f"view {name!r}")
    return array


# -- one table ----------------------------------------------------------------------------------------------


def _read_table(X, views, estimator, missing, accept_sparse, fitted: Views | None = None) -> Views:
    X = as_pandas(X)
    if _n_dimensions(X) == 3:
        raise ValueError(
            "X has three dimensions: give the views as a list, list(X), or use kernel='precomputed'"
        )
    levels = _first_levels(X)
    names_in = X.columns if hasattr(X, "iloc") else None
    # scikit-learn's bookkeeping of names, on an object of its own so that a fit that fails leaves no trace.
    holder = _Holder()
    holder.__class__.__name__ = type(estimator).__name__ if estimator is not None else "read_views"
    if fitted is not None:
        holder.n_features_in_ = fitted.n_features
        if fitted.feature_names is not None:
            holder.feature_names_in_ = fitted.feature_names
    flat = X
    if levels is not None:  # scikit-learn reads names that are strings
        flat = X.copy(deep=False)
        flat.columns = [" / ".join(map(str, c)) for c in X.columns]
    array = validate_data(
        holder, flat, reset=fitted is None, accept_sparse="csr" if accept_sparse else False, dtype=np.float64,
        ensure_all_finite=False, order="C",
    )  # fmt: skip
    check_magnitude(array)
    if fitted is not None:
        names, selectors = fitted.names, fitted.selectors
    elif views is None and levels is None:
        names, selectors = ["view0"], [np.arange(array.shape[1])]
    elif views is None:
        names = list(dict.fromkeys(levels))
        selectors = [np.flatnonzero([level == name for level in levels]) for name in names]
        names = [str(name) for name in names]
    else:
        names, selectors = _select(views, names_in, array.shape[1], X)
    labels = _column_names(X, array.shape[1])
    assert selectors is not None  # for the type checker
    read = Views(
        [
            array if len(at) == array.shape[1] and np.all(np.diff(at) == 1) else _take_columns(array, at)
            for at in selectors
        ],
        names,
        [[labels[j] for j in at] for at in selectors],
        array.shape[1],
        getattr(holder, "feature_names_in_", None),
        None,
        selectors,
    )
    return _settle_missing(read, missing)


class _Holder(BaseEstimator):
    """Carries ``n_features_in_`` and ``feature_names_in_`` while the input is being checked."""


def _take_columns(array, at):
    return array[:, at] if sparse.issparse(array) else np.ascontiguousarray(array[:, at])


def _first_levels(X):
    columns = getattr(X, "columns", None)
    return list(columns.get_level_values(0)) if getattr(columns, "nlevels", 1) > 1 else None


def _select(views, names_in, n_features, X):
    """Names of the views and positions of their columns, from whatever ``views`` is."""
    if isinstance(views, Mapping):
        names, wanted = [str(name) for name in views], list(views.values())
    elif isinstance(views, list | tuple) and len(views) and not np.isscalar(views[0]):
        names, wanted = [f"view{i}" for i in range(len(views))], list(views)
    else:
        ids = np.asarray(views)
        if ids.shape != (n_features,):
            raise ValueError(
                f"views is an array of shape {ids.shape}; as view ids it needs one a column, "
                f"shape ({n_features},). "
                "Otherwise give a dict: name of the view -> its columns"
            )
        kinds = list(dict.fromkeys(ids.tolist()))
        return [str(kind) for kind in kinds], [np.flatnonzero(ids == kind) for kind in kinds]
    if not names:
        raise ValueError("views is empty: it needs at least one view")
    selectors = [
        _positions(columns, name, names_in, n_features, X)
        for name, columns in zip(names, wanted, strict=True)
    ]
    for name, at in zip(names, selectors, strict=True):
        if len(at) == 0:
            raise ValueError(f"view {name!r} is empty: views gives it no columns")
    ignored = sorted(set(range(n_features)) - set(np.concatenate(selectors).tolist()))
    if ignored:
        told = [str(names_in[j]) if names_in is not None else j for j in ignored[:5]]
        more = f" and {len(ignored) - 5} more" if len(ignored) > 5 else ""
        warnings.warn(f"columns in no view are ignored: {told}{more}", UserWarning, stacklevel=5)
    return names, selectors


def _positions(columns, view, names_in, n_features, X) -> np.ndarray:
    if callable(columns):
        columns = columns(X)
    if isinstance(columns, slice):
        if any(isinstance(end, str) for end in (columns.start, columns.stop)):
            if names_in is None:
                raise ValueError(f"view {view!r}: columns are named, but X has no names")
            columns = names_in.slice_indexer(columns.start, columns.stop, columns.step)
        return np.arange(n_features)[columns]
    columns = [columns] if isinstance(columns, str) else list(columns)
    if columns and all(isinstance(c, bool | np.bool_) for c in columns):
        if len(columns) != n_features:
            raise ValueError(
                f"view {view!r}: the mask has {len(columns)} entries; X has {n_features} columns"
            )
        return np.flatnonzero(columns)
    at = []
    for column in columns:
        if isinstance(column, int | np.integer) and (names_in is None or column not in names_in):
            if not -n_features <= column < n_features:
                raise ValueError(f"view {view!r}: there is no column {column}; X has {n_features} columns")
            at.append(int(column) % n_features)
        elif names_in is None:
            raise ValueError(f"view {view!r}: column {column!r} is named, but X has no names")
        else:
            found = np.flatnonzero([name == column for name in names_in])
            if len(found) == 0:
                raise ValueError(f"view {view!r}: X has no column {column!r}{_near(column, names_in)}")
            at.extend(found.tolist())
    return np.asarray(at, dtype=np.intp)


def _near(column, names_in) -> str:
    import difflib

    near = difflib.get_close_matches(str(column), [str(name) for name in names_in], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


# -- holes --------------------------------------------------------------------------------------------------


def _settle_missing(read: Views, missing: bool) -> Views:
    """Refuse NaN and infinity, or note the rows that a view lacks and set them to zero."""
    seen = np.ones((read.n_samples, len(read.arrays)), dtype=bool)
    for v, (name, array) in enumerate(zip(read.names, read.arrays, strict=True)):
        values = array.data if sparse.issparse(array) else array
        if np.isfinite(values.sum()):  # one pass without a temporary; overflow alone is looked at below
            continue
        bad = ~np.isfinite(array.toarray() if sparse.issparse(array) else array)
        if not bad.any():
            continue
        if missing and not sparse.issparse(array):
            empty = np.isnan(array).all(axis=1)
            seen[:, v] = ~empty
            bad[empty] = False
        if bad.any():
            row, column = np.argwhere(bad)[0]
            value = array[row, column]
            what = "NaN" if np.isnan(value) else "infinity"
            hint = (
                "; a sample that lacks a view needs NaN in all its columns"
                if missing
                else "; some methods take missing views: missing='mask'"
            )
            raise ValueError(
                f"Input X contains {what}: view {name!r}, row {row}, column {read.columns[v][column]!r}{hint}"
            )
        if empty.all():
            raise ValueError(f"view {name!r} has no observed row: leave it out")
        array = array.copy()
        array[empty] = 0.0
        read.arrays[v] = array
    if not seen.all():
        nowhere = np.flatnonzero(~seen.any(axis=1))
        if len(nowhere):
            raise ValueError(f"row {nowhere[0]} is missing in every view: drop it ({len(nowhere)} such rows)")
        read.seen = seen
    return read
