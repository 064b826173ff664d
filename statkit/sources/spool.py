"""A temporary folder for copies of rows, removed when closed, collected, or at the end of the program."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from statkit._replaced import is_full

__all__ = ["Spool"]


class Spool:
    """A folder that belongs to one source of one process.

    Worker processes that read its files hold paths alone, so that it goes when its owner does.
    """

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="statkit-")
        self._remove = weakref.finalize(self, _remove, self.folder, os.getpid())

    def path(self, name: str) -> str:
        """Path of a file in the folder."""
        return os.path.join(self.folder, name)

    @property
    def closed(self) -> bool:
        return not self._remove.alive

    def close(self) -> None:
        """Remove the folder."""
        self._remove()

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Remove the folder if what is being written to it fails; say so if the disk is full."""
        try:
            yield
        except BaseException as error:
            self.close()
            if is_full(error):
                where = os.path.dirname(self.folder)
                raise OSError(
                    errno.ENOSPC,
                    f"no space left in {where} for a temporary copy of the rows; set the environment "
                    "variable TMPDIR to a larger folder, or write the data to Parquet and give the path",
                ) from error
            raise


def _remove(folder: str, owner: int) -> None:
    # A forked child inherits the object, but the folder is its parent's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
