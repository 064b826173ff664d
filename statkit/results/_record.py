"""An Estimate as plain JSON-able values, and back."""

import math

import numpy as np

__all__ = ["from_record", "to_record"]

_VERSION = 1
_MATRICES = ("information", "meat")
_SCALARS = [
    "family",
    "link",
    "use_t",
    "scale",
    "nobs",
    "df_resid",
    "df_model",
    "llf",
    "deviance",
    "null_deviance",
    "pearson_chi2",
    "rank",
    "cov_type",
    "response",
    "formula",
    "plan",
    "engine",
    "rows_read",
    "rows_used",
    "rows_missing",
    "n_passes",
    "n_rounds",
    "seconds",
    "converged",
    "target",
    "df_resid_inference",
    "alpha",
    "l1_ratio",
    "reference",
]
_FLOATS = [
    "scale",
    "df_resid",
    "df_model",
    "llf",
    "deviance",
    "null_deviance",
    "pearson_chi2",
    "n_passes",
    "seconds",
    "df_resid_inference",
    "alpha",
    "l1_ratio",
]


def to_record(estimate, matrices):
    """See `Estimate.to_dict`."""
    if len(set(estimate.labels)) < len(estimate.labels):
        twice = next(label for label in estimate.labels if estimate.labels.count(label) > 1)
        raise ValueError(f"{twice!r} names more than one parameter: it occurs more than once among the names")
    by_label = {
        "params": estimate.values,
        "bse": estimate._bse,
        "tvalues": estimate._tvalues,
        "pvalues": estimate.pvalues.to_numpy(),
    }
    record = {"estimate_version": _VERSION}
    for key, values in by_label.items():
        record[key] = dict(zip(estimate.labels, _numbers(values), strict=True))
    record["conf_int"] = dict(zip(estimate.labels, _numbers(estimate._limits(0.05)), strict=True))
    for key in _SCALARS:
        record[key] = _scalar(getattr(estimate, key))
    for key in ("aic", "bic"):
        record[key] = _scalar(getattr(estimate, key))
    record["names"] = list(estimate.names)
    record["classes"] = None if estimate.classes is None else [_scalar(label) for label in estimate.classes]
    record["terms"] = {term: [int(i) for i in positions] for term, positions in estimate.terms.items()}
    for key in ("shape", "shape_bse"):
        record[key] = {name: _scalar(value) for name, value in getattr(estimate, key).items()}
    record["notes"] = list(estimate.notes)
    record["why_nan"] = dict(estimate.why_nan)
    for key, value in (
        ("history", estimate._history),
        ("diagnostics", estimate._diagnostics),
        ("extra", estimate.extra),
    ):
        record[key] = _pack(value, key)
    if matrices:
        record["cov_params"] = _numbers(estimate.covariance)
        for key in _MATRICES:
            matrix = getattr(estimate, key)
            record[key] = None if matrix is None else _numbers(matrix)
        if estimate.evaluated_at is not None:
            record["evaluated_at"] = _numbers(estimate.evaluated_at)
    return record


def from_record(record):
    """Arguments of `Estimate` from what `to_record` made."""
    if record.get("estimate_version") != _VERSION:
        raise ValueError(
            f"this is not a record of an Estimate that this version can read: {sorted(record)[:8]}"
        )
    if "cov_params" not in record:
        raise ValueError(
            "the record was written without its matrices (matrices=False): the covariance is missing"
        )
    arguments = {key: record[key] for key in _SCALARS if key in record or key != "reference"}
    arguments.update({key: float(record[key]) for key in _FLOATS})
    arguments["names"] = record["names"]
    arguments["values"] = _array(list(record["params"].values()))
    k = arguments["values"].size
    arguments["covariance"] = _array(record["cov_params"])
    if arguments["covariance"].size != k or k == 1:
        arguments["covariance"] = arguments["covariance"].reshape(k, k)
    for key in _MATRICES:
        arguments[key] = None if record[key] is None else _array(record[key]).reshape(k, k)
    if "evaluated_at" in record:
        arguments["evaluated_at"] = _array(record["evaluated_at"]).reshape(2, k)
    for key in ("shape", "shape_bse"):
        arguments[key] = {name: float(value) for name, value in record[key].items()}
    for key in ("classes", "terms", "notes", "why_nan"):
        arguments[key] = record[key]
    for key in ("history", "diagnostics", "extra"):
        arguments[key] = _unpack(record[key])
    return arguments


def _number(value):
    """NaN and infinities as strings that ``float`` reads back."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _numbers(array):
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"cannot write an array of {array.dtype} as JSON numbers: {array!r}")
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    return (
        [_numbers(row) for row in array] if array.ndim > 1 else [_number(value) for value in array.tolist()]
    )


def _array(values):
    return np.array(_floats(values), dtype=np.float64)


def _floats(values):
    return [_floats(value) if isinstance(value, list) else float(value) for value in values]


def _scalar(value):
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return _number(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"cannot write {value!r} of type {type(value).__name__} as JSON")


def _pack(value, where):
    """Nested values of a plan's further results; what is not a list, dict or scalar carries a tag."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"__float__": _number(value)}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_pack(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return {"__items__": [[_pack(key, where), _pack(item, where)] for key, item in value.items()]}
        return {key: _pack(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"__array__": _numbers(value), "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        return {"__array__": _pack(value.tolist(), where), "dtype": "O", "shape": list(value.shape)}
    kind = type(value).__name__
    if kind in ("Series", "DataFrame") and hasattr(value, "to_numpy"):
        frame = value.to_frame(name="values") if kind == "Series" else value
        return {
            f"__{kind}__": [
                [_pack(name, where), _pack(_column(frame, i), where)] for i, name in enumerate(frame)
            ],
            "index": _pack(frame.index.tolist(), where),
            "names": _pack(list(frame.index.names), where),
        }
    raise TypeError(f"cannot write {where}, a {type(value).__module__}.{kind}, as JSON")


def _column(frame, i):
    values = frame.iloc[:, i].to_numpy()
    return values if values.dtype.kind in "biuf" else values.astype(object)


def _unpack(value):
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "__float__" in value:
        return float(value["__float__"])
    if "__items__" in value:
        return {_hashable(_unpack(key)): _unpack(item) for key, item in value["__items__"]}
    if "__array__" in value:
        return _unpack_array(value)
    for kind in ("Series", "DataFrame"):
        if f"__{kind}__" in value:
            return _unpack_frame(value, kind)
    return {key: _unpack(item) for key, item in value.items()}


def _hashable(key):
    return tuple(key) if isinstance(key, list) else key


def _unpack_array(value):
    dtype = np.dtype(value["dtype"])
    if dtype.kind == "O":
        array = np.empty(value["shape"], dtype=object)
        flat = value["__array__"]
        for _ in range(array.ndim - 1):
            flat = [item for row in flat for item in row]
        array.reshape(-1)[:] = [_unpack(item) for item in flat]
        return array
    values = value["__array__"]
    return np.array(_floats(values) if dtype.kind == "f" else values, dtype=dtype).reshape(value["shape"])


def _unpack_frame(value, kind):
    import pandas as pd

    names = value["names"]
    index = _unpack(value["index"])
    if len(names) > 1:
        index = pd.MultiIndex.from_tuples([tuple(item) for item in index], names=names)
    else:
        index = pd.Index(index, name=names[0])
    columns = value[f"__{kind}__"]
    frame = pd.DataFrame({i: _unpack(column) for i, (_, column) in enumerate(columns)}, index=index)
    if kind == "Series":
        return frame[0].rename(None)
    frame.columns = [_hashable(_unpack(name)) for name, _ in columns]
    return frame
