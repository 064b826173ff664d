"""Open Parquet files kept between reads, so that a row group costs no second parsing of the footer.

A ``ParquetFile`` must not be used by two threads at once: a handle is lent to one reader at a time, and there
are as many for a file as readers that met.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["drop_handles", "lent", "open_parquet"]

_MOST_IDLE = 32

_lock = threading.Lock()
_idle: dict[tuple, list[Any]] = {}  # oldest first


def open_parquet(filesystem: Any, path: str, text: tuple[str, ...] = ()) -> Any:
    """Open a file whose columns ``text`` are read as dictionaries."""
    import pyarrow.parquet as pq

    # Read-ahead would keep the whole file in memory.
    options = {"filesystem": filesystem, "pre_buffer": False}
    try:
        return pq.ParquetFile(path, read_dictionary=list(text), **options)
    except KeyError:  # a file of a data set that lacks some of the columns
        with pq.ParquetFile(path, **options) as file:
            names = set(file.schema_arrow.names)
        return pq.ParquetFile(path, read_dictionary=[name for name in text if name in names], **options)


@contextmanager
def lent(filesystem: Any, path: str, stamp: tuple | None, text: tuple[str, ...]) -> Iterator[Any]:
    """An open file for one reader; kept for the next one unless reading fails."""
    key = (path, stamp, text, None if filesystem is None else repr(filesystem.type_name))
    with _lock:
        handles = _idle.get(key)
        handle = handles.pop() if handles else None
        if handles == []:
            del _idle[key]
    if handle is None:
        handle = open_parquet(filesystem, path, text)
    try:
        yield handle
    except BaseException:
        handle.close(force=True)
        raise
    surplus = []
    with _lock:
        _idle.setdefault(key, []).append(handle)
        while sum(map(len, _idle.values())) > _MOST_IDLE:
            oldest = next(iter(_idle))
            surplus.append(_idle[oldest].pop(0))
            if not _idle[oldest]:
                del _idle[oldest]
    for old in surplus:
        old.close(force=True)


def drop_handles(paths: set[str]) -> None:
    """Close the idle handles of some files."""
    with _lock:
        dropped = [_idle.pop(key) for key in list(_idle) if key[0] in paths]
    for handles in dropped:
        for handle in handles:
            handle.close(force=True)
