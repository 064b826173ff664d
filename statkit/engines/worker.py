"""What runs in a worker process of any engine: load or find the block, do the task, answer.

Blocks are kept in the worker's module, where the next round's task finds them: an engine's own store would
move them or hold them twice.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace

from statkit.engines.engine import BlockCache, one_blas_thread

__all__ = ["end_with", "forget", "without_rows", "work"]

_caches: dict[str, BlockCache] = {}
# Sessions of which a worker keeps blocks: one that was never closed must not keep its memory for good.
_MOST_SESSIONS = 4


def work(token: str, cache_bytes: int, load, partition, task, args, held=None):
    """Answer of ``task`` for a partition; the block is kept for the session's next round if it fits.

    ``held`` are the partition's rows, where the engine's own store has them.
    """
    cache = _caches.get(token)
    if cache is None:
        while len(_caches) >= _MOST_SESSIONS:
            _caches.pop(next(iter(_caches)), None)
        cache = _caches.setdefault(token, BlockCache(cache_bytes))
    with one_blas_thread():
        block = cache.get(partition.key)
        if block is None:
            block = load(partition if held is None else replace(partition, held=held))
            cache.offer(partition.key, block)
        return task(block, *args)


def end_with(parent: int) -> None:
    """End this process when its parent is gone: one that was killed could not tell its workers."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="statkit-parent").start()


def forget(token: str) -> None:
    """Drop a session's blocks."""
    _caches.pop(token, None)


def without_rows(partition):
    """The partition as it is sent: its rows, if the cluster holds them, take their own way."""
    return partition if partition.held is None else replace(partition, held=None)
