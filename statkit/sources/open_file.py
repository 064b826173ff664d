"""Standard input and open files: bytes that come once, kept in a temporary file and read by their kind."""

from __future__ import annotations

import os
import sys
from typing import Any

from statkit.sources.paths import File, Files, local_stamp
from statkit.sources.source import Source
from statkit.sources.spool import Spool
from statkit.sources.spooled import SpooledSource, parquet_tables

__all__ = ["spool_open_file"]


def spool_open_file(data: Any, beside: dict[str, Any]) -> Source:
    """Copy what a file holds: Parquet, Arrow or CSV (with tabs, if its first line has them and no comma).

    Parameters
    ----------
    data : file object or "-"
        Binary or text; ``"-"`` is standard input.
    beside : dict of str to array
    """
    stream = sys.stdin.buffer if isinstance(data, str) else data
    name = "standard input" if isinstance(data, str) else _name(data)
    spool = Spool()
    try:
        with spool.filling():
            path = spool.path(name)
            with open(path, "wb") as out:
                while chunk := stream.read(2**20):
                    out.write(chunk.encode() if isinstance(chunk, str) else chunk)
        return _read(path, name, beside)
    finally:
        spool.close()


def _name(stream: Any) -> str:
    name = getattr(stream, "name", None)
    return os.path.basename(name) if isinstance(name, str) and os.path.basename(name) else "the open file"


def _read(path: str, name: str, beside: dict[str, Any]) -> Source:
    with open(path, "rb") as file:
        head = file.read(8)
    file_as_it_is = File(path, local_stamp(path))
    if head[:4] == b"PAR1":
        from statkit.sources.parquet import opened

        with opened(None, file_as_it_is, name) as parquet:
            return SpooledSource(parquet_tables(parquet), name, beside)
    if head[:6] == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff":
        from statkit.sources.arrow_file import arrow_tables

        return SpooledSource(
            arrow_tables(Files((file_as_it_is,), "arrow"), len(path) - len(name)), name, beside
        )
    from statkit.sources.csv import CsvSource

    with open(path, "rb") as file:
        line = file.readline(2**16)
    delimiter = "\t" if b"\t" in line and b"," not in line else None
    return CsvSource(Files((file_as_it_is,), "csv"), delimiter=delimiter, **beside)
