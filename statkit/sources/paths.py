"""From a path, list of paths, folder, glob or URL to files with sizes and times of change."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

__all__ = [
    "File",
    "Files",
    "check_unchanged",
    "find_files",
    "local_stamp",
    "remote_stamp",
    "shown_names",
]

_KINDS = {
    ".parquet": "parquet", ".parq": "parquet", ".pq": "parquet",
    ".csv": "csv", ".tsv": "csv", ".tab": "csv",
    ".arrow": "arrow", ".arrows": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4", ".xz")
_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
_WILDCARDS = "*?["


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was when it was listed."""

    path: str
    stamp: tuple[int, int]
    constants: tuple[tuple[str, Any], ...] = ()
    #: Row groups to read, None for all.
    units: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one kind on one file system (None is the local one)."""

    files: tuple[File, ...]
    kind: str
    filesystem: Any = field(default=None)


def find_files(data: Any) -> Files:
    """List the files that a user means.

    Parameters
    ----------
    data : str, path-like, or list of them
        Files, folders, globs or URLs; all of one kind.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the files are of several kinds, or of none that is known.
    """
    filesystem: Any = None
    found: list[File] = []
    for number, one in enumerate(data if isinstance(data, list | tuple) else [data]):
        if not isinstance(one, str | os.PathLike):
            raise TypeError(f"item {number} of the list of paths is {type(one).__name__}, not a path")
        fs, path = _file_system(os.fspath(one))
        if number and (fs is None) != (filesystem is None):
            raise ValueError("the paths are on different file systems: give those of one at a time")
        filesystem = fs
        found += _local(path) if fs is None else _remote(fs, path)
    kinds = {kind: f.path for f in found if (kind := _kind(f.path)) is not None}
    if len(kinds) > 1:
        (a, first), (b, second) = list(kinds.items())[:2]
        raise ValueError(
            f"the files are of several kinds: {first} is {a}, {second} is {b}; read one kind at a time"
        )
    if kinds:
        kind = next(iter(kinds))
        if not isinstance(data, list | tuple) and len(found) > 1:  # others in a folder: _SUCCESS, README
            found = [f for f in found if _kind(f.path) == kind]
    else:
        kind = _sniff(filesystem, found[0].path)
    return Files(tuple(found), kind, filesystem)


def _file_system(path: str) -> tuple[Any, str]:
    if "://" not in path:
        return None, os.path.expanduser(path)
    if not path.partition("://")[2].strip("/"):  # a cloud's client would look for all buckets, and long
        raise _root_given(path)
    from pyarrow import fs

    try:
        filesystem, inner = fs.FileSystem.from_uri(path)
    except ValueError as error:
        try:
            filesystem, inner = fs.FileSystem.from_uri(f"fsspec+{path}")
        except (ImportError, ValueError, OSError):
            raise ValueError(
                f"cannot open {path}: {error}. pyarrow opens file, s3, gs, abfs and hdfs URLs; "
                "pip install 'statkit-methods[remote]' adds others"
            ) from None
    return (None if isinstance(filesystem, fs.LocalFileSystem) else filesystem), inner


def local_stamp(path: str) -> tuple[int, int]:
    """Size and time of the last change of a local file."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def remote_stamp(info: Any) -> tuple[int, int]:
    """The same of a file elsewhere, as far as its file system tells."""
    return info.size, info.mtime_ns or 0


def check_unchanged(filesystem: Any, path: str, stamp: tuple[int, int] | None, shown: str) -> None:
    """Refuse a file that is not the one that was listed."""
    if stamp is None:
        return
    try:
        now = local_stamp(path) if filesystem is None else remote_stamp(filesystem.get_file_info(path))
    except FileNotFoundError:
        raise ValueError(f"{shown} was removed between passes") from None
    if now != stamp:
        raise ValueError(
            f"{shown} changed between passes: it had {stamp[0]:,} bytes when it was opened and now has "
            f"{now[0] or 0:,}, or was written again; start again once it is complete"
        )


# -- local ------------------------------------------------------------------------------------------


def _local(path: str) -> list[File]:
    if os.path.isdir(path):
        paths = [os.path.join(path, inner) for inner in _visible(_walk(path), path)]
        return [_file(p, _constants(p[len(path) :])) for p in paths]
    if not os.path.exists(path) and any(c in path for c in _WILDCARDS):
        root = _before_wildcard(path)
        if "**" in path:
            shown = (root + p for p in _walk(root or "."))
            paths = sorted(p for p in shown if _matches(p.split("/"), path.split("/")))
        else:
            paths = sorted(p for p in glob.glob(path) if os.path.isfile(p))
        if not paths:
            raise FileNotFoundError(f"no file matches {path}")
        return [_file(p, _constants(p[len(root) :])) for p in paths]
    try:
        return [_file(path)]
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there is no file {path}{_near_file(path)}") from None


def _file(path: str, constants: tuple = ()) -> File:
    # Workers have folders of their own, and this process may go to another.
    return File(os.path.abspath(path), local_stamp(path), constants)


def _walk(folder: str) -> list[str]:
    """Files at any depth, but for hidden ones; a part that cannot be listed, or never ends, is an error."""
    if os.path.realpath(folder) == os.path.abspath(os.sep):
        raise _root_given(folder)
    out = []
    for where, folders, names in os.walk(folder, followlinks=True, onerror=_cannot_list):
        folders[:] = [name for name in folders if name[0] != "."]
        for name in folders:
            link = os.path.join(where, name)
            if os.path.islink(link) and _holds(os.path.realpath(link), os.path.realpath(where)):
                raise ValueError(f"{link} leads back to a folder that holds it, whose rows would be read again "
                                 "and again: remove the link or list the files")  # fmt: skip
        inner = os.path.relpath(where, folder)
        out += [os.path.normpath(os.path.join(inner, name)) for name in names if name[0] != "."]
    return [p.replace(os.sep, "/") for p in out]


def _root_given(path: str) -> ValueError:
    return ValueError(f"{path} is the root of a file system: give the folder that holds the data")


def _cannot_list(error: OSError) -> None:
    raise error


def _holds(folder: str, inner: str) -> bool:
    return os.path.commonpath([folder, inner]) == folder


def _visible(inner: list[str], folder: str) -> list[str]:
    """Data files of a folder: those whose names, and folders' names, start neither with ``_`` nor ``.``."""
    if any(p.startswith("_delta_log/") for p in inner):
        raise ValueError(
            f"{folder} is a Delta table, some of whose files may be out of date: give "
            "deltalake.DeltaTable(path).to_pyarrow_dataset()"
        )
    if any(p.startswith("metadata/") and p.endswith(".metadata.json") for p in inner):
        raise ValueError(f"{folder} is an Iceberg table, some of whose files may be out of date: give "
                         "pyiceberg's table.scan().to_arrow_batch_reader()")  # fmt: skip
    paths = sorted(p for p in inner if not any(part[0] in "_." for part in p.split("/")))
    if not paths:
        raise FileNotFoundError(f"the folder {folder} has no data files")
    return paths


def _before_wildcard(pattern: str) -> str:
    fixed = pattern[: min(pattern.index(c) for c in _WILDCARDS if c in pattern)]
    return fixed[: fixed.rfind("/") + 1]


def _near_file(path: str) -> str:
    if "~" in path.strip("~"):
        return ": this is a formula, which comes before the data"
    folder, name = os.path.split(os.path.abspath(path))
    try:
        match = difflib.get_close_matches(name, os.listdir(folder), n=1)
    except OSError:
        return f" (nor a folder {folder})"
    return f"; did you mean {match[0]!r}?" if match else f" (looked in {folder})"


# -- other file systems --------------------------------------------------------------------------------


def _remote(filesystem: Any, path: str) -> list[File]:
    from pyarrow import fs

    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.File:
        return [File(path, remote_stamp(info))]
    is_glob = info.type == fs.FileType.NotFound and any(c in path for c in _WILDCARDS)
    if info.type != fs.FileType.Directory and not is_glob:
        raise FileNotFoundError(f"there is no file {path} on {filesystem.type_name}")
    root = _before_wildcard(path) if is_glob else path.rstrip("/") + "/"
    selector = fs.FileSelector(root.rstrip("/") or "/", recursive=True)
    infos = {i.path: i for i in filesystem.get_file_info(selector) if i.type == fs.FileType.File}
    if is_glob:
        paths = sorted(p for p in infos if _matches(p.split("/"), path.split("/")))
        if not paths:
            raise FileNotFoundError(f"no file matches {path}")
    else:
        paths = [root + p for p in _visible([p[len(root) :] for p in infos], path)]
    return [File(p, remote_stamp(infos[p]), _constants(p[len(root) :])) for p in paths]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


# -- names ------------------------------------------------------------------------------------------


def _constants(inner: str) -> tuple[tuple[str, Any], ...]:
    """Columns that the folders' names hold, as in ``year=2001/month=1/part-0.parquet``."""
    pairs = []
    for part in inner.split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            pairs.append((unquote(name), None if value == _NULL_FOLDER else unquote(value)))
    return tuple(pairs)


def _kind(path: str) -> str | None:
    stem, extension = os.path.splitext(path.lower())
    if extension in _COMPRESSED:
        extension = os.path.splitext(stem)[1]
    return _KINDS.get(extension)


def _sniff(filesystem: Any, path: str) -> str:
    """The kind of a file whose name does not say it."""
    if filesystem is None:
        with open(path, "rb") as file:
            head = file.read(8)
    else:
        with filesystem.open_input_stream(path) as file:
            head = file.read(8)
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:6] == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff":
        return "arrow"
    raise ValueError(
        f"cannot tell what kind of file {path} is: names end in .parquet, .csv, .tsv (also .gz, .bz2), "
        ".arrow or .feather; use CsvSource(path) for text under another name"
    )


def shown_names(paths: Sequence[str]) -> int:
    """How many leading characters of all paths are the same folders, and need not be shown."""
    if not paths:
        return 0
    first = min(paths)[: min(paths).rfind("/") + 1]
    last = max(paths)
    same = next((i for i, c in enumerate(first) if i >= len(last) or last[i] != c), len(first))
    return first[:same].rfind("/") + 1
