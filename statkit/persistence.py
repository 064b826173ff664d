"""Fitted estimators in a file that runs no code when it is read.

skops writes what an estimator is made of, type by type, and builds only types that are named as trusted. What it
does not know (pandas tables, dicts with tuples as keys) goes through plain holders, so that nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

from statkit._replaced import replaced

__all__ = ["load", "save"]

_HEADER = "statkit.json"
_FORMAT = 1
#: Rooms whose classes hold fitted state. Sources and engines own files and processes: never built from a file.
_ROOMS = (
    "causal",
    "cluster",
    "decomposition",
    "design",
    "families",
    "inference",
    "naive_bayes",
    "persistence",
    "plans",
    "regression",
    "results",
    "rounds",
    "sampling",
    "solvers",
)
#: Types of other packages that skops leaves to its caller.
_OTHERS = frozenset(
    {
        "functools.partial",
        "scipy.sparse._coo.coo_array",
        "scipy.sparse._csc.csc_array",
        "scipy.sparse._csr.csr_array",
        "sklearn.metrics.pairwise.pairwise_distances",
        "sklearn.utils._bunch.Bunch",
    }
)


class StoredTable:
    """A pandas table, series or index as an Arrow stream."""

    def __init__(self, kind: str, name: Any, stream: bytes):
        self.kind = kind
        self.name = name
        self.stream = stream


class StoredPairs:
    """A dict whose keys are not plain values."""

    def __init__(self, keys: list, values: list):
        self.keys = keys
        self.values = values


class StoredObject:
    """A dict of attributes, with the type whose instance had them."""

    def __init__(self, type: type, attributes: dict):
        self.type = type
        self.attributes = attributes


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator to a file, fitted or not.

    The file holds numbers, text and the names of types, and is replaced at once when it is complete.

    Parameters
    ----------
    estimator : estimator
        Of this package, or a scikit-learn pipeline or search that contains one.
    path : str or path-like
        By custom ``name.skops``.

    Raises
    ------
    ImportError
        If skops is not installed (``pip install 'statkit-methods[persist]'``).
    TypeError
        If a part of the estimator cannot be written: a function of your own, an open connection.

    See Also
    --------
    load : The way back.

    Examples
    --------
    >>> import os, tempfile, numpy as np, statkit
    >>> from statkit.cluster import PAC
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "clusters.skops")
    ...     statkit.save(PAC(2, random_state=0).fit(X), path)
    ...     statkit.load(path).labels_.shape
    (60,)
    """
    import statkit

    content = _write_bytes(_to_plain(estimator, "the estimator", {}))
    header = {"format": _FORMAT, "statkit": statkit.__version__, "estimator": type(estimator).__name__}
    with replaced(path) as unfinished:
        unfinished.write_bytes(content)
        with zipfile.ZipFile(unfinished, "a") as file:
            file.writestr(_HEADER, json.dumps(header))


def load(path: str | os.PathLike[str]) -> Any:
    """Read an estimator that :func:`save` wrote. Nothing in the file is run.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator
        Ready to predict, or to go on with ``partial_fit``.

    Raises
    ------
    FileNotFoundError
    ImportError
        If skops is not installed.
    ValueError
        If the file is not one of :func:`save`, is damaged, was written by a newer version, or asks for a type
        that is not trusted; the type is named.

    See Also
    --------
    save : The way there.

    Examples
    --------
    >>> import os, tempfile, statkit
    >>> from statkit.datasets import make_glm
    >>> from statkit.regression import GLMRegressor
    >>> X, y, _ = make_glm(100, 2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "line.skops")
    ...     statkit.save(GLMRegressor().fit(X, y), path)
    ...     model = statkit.load(path)
    >>> model.predict(X).shape
    (100,)
    """
    content = Path(path).read_bytes()
    where = os.fspath(path)
    _check_header(content, where)
    sio = _skops()
    try:
        refused = [name for name in sio.get_untrusted_types(data=content) if not _trusted(name)]
    except Exception as error:
        raise ValueError(f"{where} is damaged: {type(error).__name__}: {error}") from None
    if refused:
        raise ValueError(
            f"{where} asks for types that are not trusted and was not read: {', '.join(refused)}"
        )
    try:
        names = sio.get_untrusted_types(data=content)
        return _from_plain(sio.loads(content, trusted=names), {})
    except Exception as error:
        raise ValueError(f"{where} is damaged: {type(error).__name__}: {error}") from None


def _skops():
    try:
        import skops.io
    except ImportError:
        raise ImportError(
            "saving and loading estimators needs skops: pip install 'statkit-methods[persist]'"
        ) from None
    return skops.io


def _check_header(content: bytes, where: str) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            header = json.loads(file.read(_HEADER))
        number, version = int(header["format"]), str(header["statkit"])
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError):
        raise ValueError(f"{where} is not a file of statkit.save, or is damaged") from None
    if number > _FORMAT:
        raise ValueError(
            f"{where} was written by statkit {version}, which is newer: update statkit to read it"
        )


def _trusted(name: str) -> bool:
    """Whether a type may be built: a class of this package's rooms of fitted state, or one of a few others."""
    if name in _OTHERS:
        return True
    module, _, attribute = name.rpartition(".")
    parts = module.split(".")
    if parts[0] != "statkit" or len(parts) < 2 or parts[1] not in _ROOMS:
        return False
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return inspect.isclass(found) and found.__module__ == module


def _write_bytes(plain: Any) -> bytes:
    try:
        return _skops().dumps(plain)
    except (TypeError, NotImplementedError, AttributeError) as error:
        raise TypeError(f"the estimator holds something that cannot be saved safely: {error}") from None


def _is_ours(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "statkit"


def _attributes(value: Any) -> dict:
    """What the object says is its state (sessions and caches are not)."""
    state = value.__getstate__()
    if isinstance(state, list):  # a frozen dataclass with slots gives its values alone
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    parts = state if isinstance(state, tuple) else (state,)
    return {name: attribute for part in parts if part for name, attribute in part.items()}


def _to_plain(value: Any, where: str, seen: dict) -> Any:
    """The same value with holders in place of what skops cannot write; ``seen`` keeps one object one."""
    import pandas as pd

    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        plain: Any = _table(value, where)
    elif type(value) is dict:
        pairs = {k: _to_plain(v, f"{where}[{k!r}]", seen) for k, v in value.items()}
        simple = all(k is None or isinstance(k, str | int | float | bool) for k in pairs)
        plain = pairs if simple else StoredPairs(list(pairs), list(pairs.values()))
    elif type(value) in (list, tuple):
        plain = type(value)(_to_plain(v, f"{where}[{i}]", seen) for i, v in enumerate(value))
    elif _is_ours(value) and not inspect.isclass(value) and not inspect.isroutine(value):
        state = value._asdict() if hasattr(value, "_asdict") else _attributes(value)
        attributes = {k: _to_plain(v, f"{where}.{k}", seen) for k, v in state.items()}
        plain = StoredObject(type(value), attributes)
    elif hasattr(value, "get_params") and not inspect.isclass(value):
        plain = _copied(value, where, seen)
    else:
        plain = value
    seen[id(value)] = value, plain  # the value too, so that its id stays its own
    return plain


def _copied(value: Any, where: str, seen: dict) -> Any:
    """A scikit-learn object with its attributes made plain (pipelines hold our estimators)."""
    plain = object.__new__(type(value))
    plain.__dict__.update({k: _to_plain(v, f"{where}.{k}", seen) for k, v in vars(value).items()})
    return plain


def _table(value: Any, where: str) -> StoredTable:
    import pandas as pd
    import pyarrow as pa

    kind = (
        "frame" if isinstance(value, pd.DataFrame) else "series" if isinstance(value, pd.Series) else "index"
    )
    frame = (
        value if kind == "frame" else value.to_frame("0") if kind == "series" else pd.DataFrame(index=value)
    )
    try:
        table = pa.Table.from_pandas(frame)
    except pa.ArrowException as error:
        raise TypeError(f"{where} is a table that cannot be saved: {error}") from None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    name = getattr(value, "name", None)
    return StoredTable(kind, name, sink.getvalue().to_pybytes())


def _from_plain(value: Any, seen: dict) -> Any:
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, StoredTable):
        found: Any = _untable(value)
    elif isinstance(value, StoredPairs):
        keys = [tuple(k) if isinstance(k, list) else k for k in value.keys]
        found = dict(zip(keys, (_from_plain(v, seen) for v in value.values), strict=True))
    elif isinstance(value, StoredObject):
        found = _built(value.type, {k: _from_plain(v, seen) for k, v in value.attributes.items()})
    elif type(value) is dict:
        found = {k: _from_plain(v, seen) for k, v in value.items()}
    elif type(value) in (list, tuple):
        found = type(value)(_from_plain(v, seen) for v in value)
    elif hasattr(value, "get_params") and not inspect.isclass(value):
        for name, attribute in list(vars(value).items()):
            setattr(value, name, _from_plain(attribute, seen))
        found = value
    else:
        found = value
    seen[id(value)] = value, found
    return found


def _built(type: type, attributes: dict) -> Any:
    if issubclass(type, tuple):
        return type(**attributes)
    found = object.__new__(type)
    for name, attribute in attributes.items():
        object.__setattr__(found, name, attribute)
    return found


def _untable(stored: StoredTable) -> Any:
    import pyarrow as pa

    table = pa.ipc.open_stream(pa.py_buffer(stored.stream)).read_all()
    table.validate(full=True)
    frame = table.to_pandas()
    if stored.kind == "frame":
        return frame
    found = frame["0"] if stored.kind == "series" else frame.index
    return found.rename(stored.name)
