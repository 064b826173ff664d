"""A fitted model in one file: a zip of ``model.json`` and ``.npy`` arrays. Reading it runs no code.

A document is made of dicts, lists, tuples, strings, numbers (infinities and NaN too), None and arrays. JSON
holds all but the arrays, which are members of their own, referred to by number. What JSON cannot say is a
dict with one key that starts with "$".
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from statkit._replaced import replaced

FORMAT = "statkit-model"
VERSION = 1

#: A model is small. What claims to be larger than this is not read (a zip can claim anything).
MAX_BYTES = 2 * 2**30
_DOCUMENT = "model.json"
_KINDS = "biufcUSMm"  # no objects: those need pickle


def write_model(path: str | os.PathLike[str], document: dict[str, Any], format: str = FORMAT) -> None:
    """Write a document to a file, which is replaced at once when it is complete.

    Parameters
    ----------
    path : str or path-like
    document : dict
        Nested dicts, lists, tuples, str, bool, int, float, None, numpy scalars and arrays of numbers, strings
        or times. Arrays of Python strings become arrays of numpy strings.
    format : str
        Says what kind of document it is.

    Raises
    ------
    TypeError
        If a value is of another type; the message says where it is.

    Examples
    --------
    >>> import tempfile, os, numpy as np
    >>> from statkit._model_file import read_model, write_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model")
    ...     write_model(path, {"params": np.array([1.0, np.inf]), "family": "binomial"})
    ...     read_model(path)
    {'params': array([ 1., inf]), 'family': 'binomial'}
    """
    if not isinstance(document, dict):
        raise TypeError(f"a model document must be a dict; got {type(document).__name__}")
    arrays: list[np.ndarray] = []
    head = {"format": format, "version": VERSION, "document": _encode(document, "document", arrays)}
    with replaced(path) as unfinished, open(unfinished, "wb") as content:
        _write(content, head, arrays)


def model_to_bytes(document: dict[str, Any]) -> bytes:
    """What `write_model` would write to a file."""
    arrays: list[np.ndarray] = []
    head = {"format": FORMAT, "version": VERSION, "document": _encode(document, "document", arrays)}
    content = io.BytesIO()
    _write(content, head, arrays)
    return content.getvalue()


def model_from_bytes(content: bytes, what: str = "the state") -> dict[str, Any]:
    """What `model_to_bytes` was given; a ``ValueError`` says why the bytes are not a model."""
    try:
        return _read(io.BytesIO(content), FORMAT)
    except RecursionError:
        raise ValueError(f"{what} is not a statkit model: it is nested too deeply") from None
    except _DAMAGE as error:
        raise ValueError(f"{what} cannot be read as a statkit model: {error}") from None


def _write(content: BinaryIO, head: dict[str, Any], arrays: list[np.ndarray]) -> None:
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        _add(file, _DOCUMENT, json.dumps(head, allow_nan=False, ensure_ascii=False).encode())
        for i, array in enumerate(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            _add(file, f"{i}.npy", buffer.getvalue())


def read_model(path: str | os.PathLike[str], format: str = FORMAT) -> dict[str, Any]:
    """Read what `write_model` wrote.

    Raises
    ------
    ValueError
        If the file is not a model, is damaged, or was written by a newer version.
    """
    with open(path, "rb") as content:
        try:
            document = _read(content, format)
        except RecursionError:
            raise ValueError(f"{os.fspath(path)} is not a {_kind(format)}: it is nested too deeply") from None
        except _DAMAGE as error:
            raise ValueError(f"{os.fspath(path)} cannot be read as a {_kind(format)}: {error}") from None
    return document


def write_text(path: str | os.PathLike[str], document: dict[str, Any], format: str) -> None:
    """Write a document as JSON that people can read, arrays among it, as `write_model` writes it as a zip."""
    arrays: list[np.ndarray] = []
    tree = _encode(document, "document", arrays)
    listed = []
    for array in arrays:
        if array.dtype.kind not in "iufb" or not np.isfinite(array).all():
            raise TypeError(f"an array of {array.dtype} that is not finite cannot be written as text")
        listed.append(
            {"dtype": array.dtype.str, "shape": list(array.shape), "values": array.ravel().tolist()}
        )
    head = {"format": format, "version": VERSION, "document": tree, "arrays": listed}
    with replaced(path) as unfinished:
        unfinished.write_text(
            json.dumps(head, allow_nan=False, ensure_ascii=False, indent=1), encoding="utf-8"
        )


def read_text(path: str | os.PathLike[str], format: str) -> dict[str, Any]:
    """Read what `write_text` wrote.

    Raises
    ------
    ValueError
        If the file is not such a document, is damaged, or was written by a newer version.
    """
    try:
        if os.path.getsize(path) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES} bytes")
        head = json.loads(Path(path).read_bytes(), parse_constant=_no_constant)
        _check_head(head, format)
        document = _decode(head["document"], _Listed(head.get("arrays")))
        if not isinstance(document, dict):
            raise ValueError("its document is not a dict")
    except FileNotFoundError:
        raise
    except RecursionError:
        raise ValueError(f"{os.fspath(path)} is not a {_kind(format)}: it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError(f"{os.fspath(path)} cannot be read as a {_kind(format)}: it holds no text") from None
    except _DAMAGE as error:
        raise ValueError(f"{os.fspath(path)} cannot be read as a {_kind(format)}: {error}") from None
    return document


def _kind(format: str) -> str:
    return format.replace("-", " ")


#: What zipfile, zlib, json and numpy raise at contents that are not what they should be.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def _read(content: BinaryIO, format: str) -> dict[str, Any]:
    with zipfile.ZipFile(content) as file:
        sizes = {info.filename: info.file_size for info in file.infolist()}
        if len(sizes) != len(file.infolist()):
            raise ValueError("two members have one name")
        if sum(sizes.values()) > MAX_BYTES:
            raise ValueError(f"it claims to unpack to more than {MAX_BYTES} bytes")
        if _DOCUMENT not in sizes:
            raise ValueError(f"it has no {_DOCUMENT}")
        head = json.loads(file.read(_DOCUMENT), parse_constant=_no_constant)
        _check_head(head, format)
        document = _decode(head["document"], _Members(file, sizes))
    if not isinstance(document, dict):
        raise ValueError("its document is not a dict")
    return document


def _add(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed date: the same model gives the same bytes.
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(info, content)


def _encode(value: Any, where: str, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, dict):
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return {k: _encode(v, f"{where}[{k!r}]", arrays) for k, v in value.items()}
        items = [[_encode(k, where, arrays), _encode(v, f"{where}[{k!r}]", arrays)] for k, v in value.items()]
        return {"$dict": items}
    if isinstance(value, (list, tuple)):
        items = [_encode(v, f"{where}[{i}]", arrays) for i, v in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, (np.ndarray, np.generic)):
        arrays.append(_plain_array(np.asarray(value), where))
        return {"$array": len(arrays) - 1}
    raise TypeError(f"{where} is a {type(value).__name__}, which a model file cannot hold")


def _plain_array(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype.kind in "OT":
        if not all(isinstance(v, str) for v in array.ravel()):
            raise TypeError(f"{where} is an array of objects, which a model file cannot hold")
        text = array.astype(str)
        if array.size and not (text.astype(object) == array).all():
            raise TypeError(f"{where} has strings that end in a null character, which an array cannot hold")
        return text
    if array.dtype.kind not in _KINDS:
        raise TypeError(f"{where} is an array of dtype {array.dtype}, which a model file cannot hold")
    return array


class _Members:
    """The arrays of a file, each read when referred to, and not at all if it is not what it claims to be."""

    def __init__(self, file: zipfile.ZipFile, sizes: dict[str, int]):
        self._file, self._sizes = file, sizes

    def read(self, number: Any) -> np.ndarray:
        name = f"{number}.npy"
        if type(number) is not int or name not in self._sizes:
            raise ValueError(f"it refers to an array {number!r} that it does not have")
        buffer = io.BytesIO(self._file.read(name))
        version = np.lib.format.read_magic(buffer)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(buffer)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(buffer)
        else:
            raise ValueError(f"{name} is of npy version {version}")
        if dtype.kind not in _KINDS or dtype.hasobject:
            raise ValueError(f"{name} holds {dtype}, which a model does not have")
        if math.prod(shape) * dtype.itemsize != self._sizes[name] - buffer.tell():
            raise ValueError(f"{name} has the wrong length for its shape {shape}")
        buffer.seek(0)
        return np.load(buffer, allow_pickle=False)


class _Listed:
    """The arrays of a text document, checked as those of a zip are."""

    def __init__(self, arrays: Any):
        self._arrays = arrays if isinstance(arrays, list) else []

    def read(self, number: Any) -> np.ndarray:
        if type(number) is not int or not 0 <= number < len(self._arrays):
            raise ValueError(f"it refers to an array {number!r} that it does not have")
        part = self._arrays[number]
        dtype = np.dtype(part["dtype"])
        if dtype.kind not in "iufb" or dtype.hasobject:
            raise ValueError(f"array {number} holds {dtype}, which it cannot")
        values, shape = part["values"], part["shape"]
        if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) != len(values):
            raise ValueError(f"array {number} has the wrong length for its shape {shape}")
        if not all(isinstance(v, (int, float)) for v in values):
            raise ValueError(f"array {number} holds what are no numbers")
        return np.array(values, dtype=dtype).reshape(shape)


def _decode(value: Any, members: _Members | _Listed) -> Any:
    if isinstance(value, list):
        return [_decode(v, members) for v in value]
    if not isinstance(value, dict):
        return value
    marks = [k for k in value if k.startswith("$")]
    if not marks:
        return {k: _decode(v, members) for k, v in value.items()}
    if len(value) != 1:
        raise ValueError(f"a key {marks[0]!r} stands beside others")
    content = value[marks[0]]
    match marks[0], content:
        case "$float", "inf" | "-inf" | "nan":
            return float(content)
        case "$tuple", list():
            return tuple(_decode(v, members) for v in content)
        case "$dict", list():
            return {_decode(k, members): _decode(v, members) for k, v in content}
        case "$array", _:
            return members.read(content)
    raise ValueError(f"{marks[0]!r} with {str(content)[:40]!r} means nothing")


def _check_head(head: Any, format: str) -> None:
    if not isinstance(head, dict) or head.get("format") != format or "document" not in head:
        raise ValueError(f"it is not that of a {_kind(format)}")
    version = head.get("version")
    if type(version) is not int or version < 1:
        raise ValueError(f"version {version!r} does not exist")
    if version > VERSION:
        raise ValueError(
            f"it was written by a newer statkit (format {version}; this one reads up to {VERSION}): "
            "upgrade statkit-methods"
        )


def _no_constant(name: str) -> None:
    raise ValueError(f"{_DOCUMENT} holds {name}, which is not JSON")
