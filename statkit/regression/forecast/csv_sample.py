"""A look at CSV files: blocks of lines from several places, and how many lines there must be."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from statkit.regression.forecast.opening import Opened

__all__ = ["sample_csv"]

#: Bytes of a block of lines, and blocks over all files.
_BLOCK, _BLOCKS = 1 << 20, 8


def sample_csv(files: Any, n_bytes: int, beside: dict[str, Any]) -> Opened:
    """Blocks of lines of CSV files as a source, with the number of rows that their length implies.

    Raises
    ------
    ValueError
        If a file is empty or cannot be read, or arrays are given beside the files.
    """
    from statkit.sources.spooled import SPOOLED_ROWS

    given = [name for name, values in beside.items() if values is not None]
    if given:
        raise ValueError(
            f"{given[0]} is an array beside CSV files, whose rows are not counted yet: give a column's name"
        )
    try:
        source, copied, read, share = _sampled(files, _BLOCKS)
    except ValueError:
        # A line break inside quotes makes the middle of a file unreadable; its beginning is always what it seems.
        try:
            source, copied, read, share = _sampled(files, 1)
        except ValueError as error:
            name = os.path.basename(files.files[0].path)
            raise ValueError(str(error).replace("sample.csv", name)) from None
    source.name = files.files[0].path
    rows = source.n_rows or 0
    n_rows = rows if share >= 1 else round(rows / share)
    full, rest = divmod(n_rows, SPOOLED_ROWS)
    parts = (SPOOLED_ROWS,) * full + ((rest,) if rest else ())
    return Opened(
        source, n_rows, share >= 1, n_bytes, "CSV", parts,
        copy_seconds=copied / max(share, 1e-12) if rows else 0.0,
        notes=[f"The number of rows is estimated from {read:,} bytes of lines."] if share < 1 else [],
    )  # fmt: skip


def _sampled(files: Any, blocks: int) -> tuple[Any, float, int, float]:
    """A source of sampled lines, the seconds it took to make it, and the bytes of the lines and their share."""
    from statkit.sources.csv import CsvSource

    with tempfile.TemporaryDirectory(prefix="statkit-") as folder:
        suffix = ".tsv" if re.search(r"\.(tsv|tab)(\.\w+)?$", files.files[0].path.lower()) else ".csv"
        path = os.path.join(folder, "sample" + suffix)
        read, share = _write_sample(files, path, blocks)
        wall, cpu = time.perf_counter(), time.process_time()
        source = CsvSource(path)
        # Lines are read by several threads, and others may use the processors.
        return source, min(time.perf_counter() - wall, time.process_time() - cpu), read, share


def _write_sample(files: Any, path: str, blocks: int) -> tuple[int, float]:
    """Write header and sampled lines; returns bytes of lines written and their share of all."""
    listed = files.files
    step = max(1, len(listed) // blocks)
    chosen = listed[::step][:blocks]
    each = max(1, blocks // len(chosen))
    total = sum(f.stamp[0] for f in listed)
    written, looked = 0, 0.0
    with open(path, "wb") as out:
        for number, file in enumerate(chosen):
            if file.stamp[0] == 0:
                raise ValueError(f"{file.path} is empty (0 bytes): it has no line of column names")
            for block, (lines, stored) in enumerate(_blocks(files.filesystem, file, each)):
                header, _, body = lines.partition(b"\n")
                if number == 0 and block == 0:
                    out.write(header.rstrip(b"\r") + b"\n")
                rest = body if block == 0 else lines
                out.write(rest if rest.endswith(b"\n") or not rest else rest + b"\n")
                written += len(rest)
                looked += stored
    return written, min(looked / max(total, 1), 1.0)


def _blocks(filesystem: Any, file: Any, each: int) -> Iterator[tuple[bytes, float]]:
    """(whole lines, how many bytes of the file as it is stored they are), the first with the header.

    Of a compressed file only the beginning: there is no way into its middle.
    """
    import pyarrow as pa

    size = file.stamp[0]
    compressed = file.path.lower().endswith((".gz", ".bz2", ".zst", ".lz4", ".xz"))
    if compressed:
        with _raw(filesystem, file.path) as raw, pa.CompressedInputStream(raw, _codec(file.path)) as stream:
            data = stream.read(each * _BLOCK)
            more = bool(stream.read(1))
            lines = _whole(data) if more else data
            yield lines, (raw.tell() * len(lines) / max(len(data), 1)) if more else size
        return
    with _raw(filesystem, file.path) as raw:
        if size <= each * _BLOCK:
            yield raw.read(), size
            return
        for k in range(each):
            at = k * (size - _BLOCK) // max(each - 1, 1) if each > 1 else 0
            raw.seek(at)
            data = raw.read(_BLOCK)
            if k:
                data = data[data.find(b"\n") + 1 :]
            lines = _whole(data) if at + _BLOCK < size else data
            if lines:
                yield lines, len(lines)


def _whole(data: bytes) -> bytes:
    """The lines that are complete: none ends within quotes."""
    end = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, end)
    while end and quotes % 2:
        before = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    return data[:end]


def _raw(filesystem: Any, path: str) -> Any:
    import pyarrow as pa

    return pa.OSFile(path, "rb") if filesystem is None else filesystem.open_input_file(path)


def _codec(path: str) -> str:
    ending = path.lower().rsplit(".", 1)[1]
    return {"gz": "gzip", "zst": "zstd", "xz": "xz"}.get(ending, ending)
