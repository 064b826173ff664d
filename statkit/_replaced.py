"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_full", "replaced"]

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write to, which takes the place of ``path`` once it is complete; errors name ``path``."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        number = errno.ENOSPC if is_full(error) and error.errno is None else error.errno
        if number is None or error.filename not in (None, os.fspath(unfinished)):
            raise
        raise OSError(number, os.strerror(number), os.fspath(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def is_full(error: BaseException) -> bool:
    """Whether writing failed for want of room: on the disk, in a quota, or under a limit on files."""
    if not isinstance(error, OSError):
        return False
    # numpy says in words alone that fewer bytes went out than it was given
    return error.errno in _FULL or (error.errno is None and " requested and " in str(error))
