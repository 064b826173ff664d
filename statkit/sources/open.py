"""From whatever holds the rows to a source."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

import numpy as np

from statkit.sources.source import Source

__all__ = ["as_source"]

_ACCEPTED = (
    "an array, a sparse matrix, a pandas or polars frame, a pyarrow table, dataset or reader, anything with "
    "__arrow_c_stream__, an iterator of frames, or paths (files, folders, globs, URLs) of Parquet, CSV or Arrow files"
)
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+://")
_CSV = re.compile(r"\.(csv|tsv|tab|txt)(\.(gz|bz2|zst|lz4))?$", re.IGNORECASE)
_ARROW = re.compile(r"\.(arrow|feather|ipc|arrows)$", re.IGNORECASE)
_PARQUET = re.compile(r"\.(parquet|pq|parq)$", re.IGNORECASE)


def as_source(X, y=None, weight=None, offset=None, group=None, *, rows_per_partition: int = 65_536) -> Source:
    """A source on the rows of ``X``.

    Parameters
    ----------
    X : array, sparse matrix, frame, table, dataset, stream, path, URL, glob, list of paths, or Source
    y, weight, offset, group : ndarray of shape (n,) or None
        Arrays beside the data.
    rows_per_partition : int, default=65536
        Of data in memory.

    Returns
    -------
    source : Source

    Raises
    ------
    TypeError
        If ``X`` is of an unknown type.
    FileNotFoundError, ValueError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> source = as_source(np.zeros((100_000, 2)))
    >>> [p.n_rows for p in source.partitions()]
    [65536, 34464]
    """
    if isinstance(X, Source):
        return X
    beside = {"y": y, "weight": weight, "offset": offset, "group": group}
    if isinstance(X, np.ndarray) or hasattr(X, "tocsr"):
        from statkit.sources.arrays import ArraySource

        return ArraySource(X, beside, rows_per_partition)
    if isinstance(X, (str, os.PathLike)):
        return _from_paths([os.fspath(X)], beside)
    if isinstance(X, (list, tuple)) and X and all(isinstance(p, (str, os.PathLike)) for p in X):
        return _from_paths([os.fspath(p) for p in X], beside)
    module, name = type(X).__module__.split(".")[0], type(X).__name__
    if (module, name) in {
        ("pandas", "DataFrame"),
        ("polars", "DataFrame"),
        ("pyarrow", "Table"),
        ("pyarrow", "RecordBatch"),
    }:
        from statkit.sources.frames import FrameSource

        return FrameSource(X, beside, rows_per_partition)
    from statkit.sources.spool import spool

    if (module, name) == ("polars", "LazyFrame"):
        return _from_lazy(X, beside)
    if module == "pyarrow" and hasattr(X, "get_fragments"):
        from statkit.sources.dataset import open_dataset

        return open_dataset(X, beside)
    if hasattr(X, "__arrow_c_stream__"):
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_stream(X)
        return spool(reader, reader.schema, beside, name=f"{name} stream")
    if isinstance(X, Iterator):
        return spool(map(_table, X), None, beside)
    raise TypeError(f"rows cannot be read from {name}: give {_ACCEPTED}")


def _table(frame):
    """A batch of a stream as an Arrow table."""
    import pyarrow as pa

    if isinstance(frame, (pa.Table, pa.RecordBatch)):
        return frame
    if type(frame).__module__.split(".")[0] == "pandas":
        return pa.Table.from_pandas(frame, preserve_index=False)
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(frame).read_all()
    raise TypeError(f"an iterator of rows must give frames or Arrow batches, not {type(frame).__name__}")


def _from_lazy(frame, beside):
    """A polars query, run once into a temporary Parquet file without holding its rows."""
    from statkit.sources.source import TemporaryFolder
    from statkit.sources.spool import ROWS, SpooledSource

    folder = TemporaryFolder()
    try:
        path = os.path.join(folder.path, "spool.parquet")
        frame.sink_parquet(path, compression="lz4", row_group_size=ROWS)
        return SpooledSource(folder, path, beside, "lazy frame")
    except BaseException:
        folder.close()
        raise


def _from_paths(given: list[str], beside):
    if given == ["-"]:
        from statkit.sources.text import open_standard_input

        return open_standard_input(beside)
    filesystem, paths = None, []
    for path in given:
        if _URL.match(path):
            filesystem, found = _from_url(path)
        else:
            found = _local(path)
        paths += found
    first = paths[0]
    if filesystem is None and not _PARQUET.search(first):
        kind = _sniff(first)
        if _CSV.search(first) or kind == "csv":
            from statkit.sources.text import open_csv

            return open_csv(paths, beside)
        if _ARROW.search(first) or kind == "arrow":
            from statkit.sources.arrow_file import open_arrow

            if len(paths) == 1:
                return open_arrow(first, beside)
            raise ValueError("give Arrow files one at a time, or as a pyarrow.dataset")
        if os.path.isdir(first):
            import pyarrow.dataset as ds

            from statkit.sources.dataset import open_dataset

            return open_dataset(ds.dataset(first, format="parquet", partitioning="hive"), beside)
    from statkit.sources.parquet import ParquetSource

    return ParquetSource(paths, filesystem, beside)


def _local(path: str) -> list[str]:
    """Files that a path, folder or glob names; a folder with hive partitions stands for itself."""
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        files = sorted(
            os.path.join(root, name)
            for root, folders, names in os.walk(path)
            for name in names
            if not name.startswith((".", "_")) and "/." not in root
        )
        if not files:
            raise FileNotFoundError(f"the folder {path} holds no file")
        return [path] if any("=" in os.path.relpath(f, path) for f in files) else files
    if os.path.exists(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True))
    if found:
        return found
    what = "no file matches" if glob.has_magic(path) else "there is no file"
    raise FileNotFoundError(f"{what} {path}")


def _from_url(url: str):
    from pyarrow import fs

    try:
        filesystem, path = fs.FileSystem.from_uri(url)
    except Exception as first:
        try:
            import fsspec

            inner, path = fsspec.core.url_to_fs(url)
            filesystem = fs.PyFileSystem(fs.FSSpecHandler(inner))
        except ImportError:
            raise ValueError(
                f"{url} cannot be opened: {first}; pip install 'statkit-methods[remote]' adds file systems"
            ) from None
        except Exception:
            raise ValueError(f"{url} cannot be opened: {first}") from None
    if isinstance(filesystem, fs.LocalFileSystem):
        return None, _local(path)
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.Directory:
        inside = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
        paths = sorted(i.path for i in inside if i.is_file and not i.base_name.startswith((".", "_")))
        if not paths:
            raise FileNotFoundError(f"{url} holds no file")
        return filesystem, paths
    return filesystem, [path]


def _sniff(path: str) -> str:
    """What a local file without a telling name is, by its first bytes."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        head = file.read(512)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    text = head and b"\0" not in head and b"\n" in head and (b"," in head or b"\t" in head)
    return "csv" if text and "." not in os.path.basename(path) else ""
