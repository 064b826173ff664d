"""Engines inside this process: one partition after the other, or several on threads."""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import lru_cache

from statkit.engines.engine import CACHE_BYTES, BlockCache, Engine, Session

__all__ = ["SerialEngine", "ThreadsEngine"]


class SerialSession(Session):
    def __init__(self, load, partitions, cache_bytes, progress):
        super().__init__(load, partitions, cache_bytes, progress)
        self._cache = BlockCache(cache_bytes)

    @property
    def all_cached(self) -> bool:
        return len(self._cache) == len(self.partitions)

    def block(self, partition):
        block = self._cache.get(partition.key)
        if block is None:
            block = self.load(partition)
            self._cache.offer(partition.key, block)
        return block

    def blocks(self):
        for partition in self.partitions:
            yield self.block(partition)

    def _answers(self, task, args, chosen):
        for index, partition in enumerate(chosen):
            yield index, task(self.block(partition), *args)

    def close(self):
        self._cache.clear()


@lru_cache(maxsize=4)
def _pool(n_jobs: int, process: int) -> ThreadPoolExecutor:
    # Kept between fits: starting threads costs more than a small round. Keyed by process id because a forked
    # child inherits the object but not its threads.
    return ThreadPoolExecutor(n_jobs, thread_name_prefix="statkit")


class ThreadsSession(SerialSession):
    def __init__(self, load, partitions, cache_bytes, progress, n_jobs):
        super().__init__(load, partitions, cache_bytes, progress)
        self.n_jobs = n_jobs

    def _answers(self, task, args, chosen):
        nested = threading.current_thread().name.startswith("statkit")
        if self.n_jobs == 1 or len(chosen) == 1 or nested:
            yield from super()._answers(task, args, chosen)
            return
        pool = _pool(self.n_jobs, os.getpid())
        queue = iter(enumerate(chosen))
        running = {}

        def start_next():
            for index, partition in queue:
                running[pool.submit(lambda p: task(self.block(p), *args), partition)] = index
                return

        for _ in range(2 * self.n_jobs):
            start_next()
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    index = running.pop(future)
                    answer = future.result()
                    start_next()
                    yield index, answer
        finally:
            for future in running:
                future.cancel()
            wait(running)


class SerialEngine(Engine):
    """One partition after the other, in this thread.

    Parameters
    ----------
    cache_bytes : int, default=100_663_296
        Bytes of encoded blocks that are kept between rounds.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.engines import SerialEngine
    >>> from statkit.regression import GLMRegressor
    >>> X, y, _ = make_glm(100, 2, random_state=0)
    >>> GLMRegressor(engine=SerialEngine(cache_bytes=0)).fit(X, y).estimate_.engine
    'serial'
    """

    name = "serial"

    def __init__(self, cache_bytes: int = CACHE_BYTES):
        self.cache_bytes = cache_bytes

    def open(self, load, partitions, *, progress=None, cache=True):
        return SerialSession(load, partitions, self.cache_bytes if cache else 0, progress)


class ThreadsEngine(Engine):
    """Partitions on ``n_jobs`` threads; the kernels release the interpreter lock.

    Parameters
    ----------
    n_jobs : int or None, default=None
        Threads; None is the number of processors this process may use, negative counts from it as in joblib.
    cache_bytes : int, default=100_663_296
        Bytes of encoded blocks that are kept between rounds.

    Examples
    --------
    >>> from statkit.engines import ThreadsEngine
    >>> ThreadsEngine(2)
    threads(2)
    """

    name = "threads"

    def __init__(self, n_jobs: int | None = None, cache_bytes: int = CACHE_BYTES):
        self.n_jobs = n_workers(n_jobs)
        self.cache_bytes = cache_bytes

    def open(self, load, partitions, *, progress=None, cache=True):
        return ThreadsSession(load, partitions, self.cache_bytes if cache else 0, progress, self.n_jobs)

    def __repr__(self):
        return f"threads({self.n_jobs})"


@lru_cache(maxsize=1)
def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def n_workers(n_jobs: int | None) -> int:
    """Workers that ``n_jobs`` asks for: None is all processors, −1 too, −2 all but one."""
    if n_jobs is None:
        return _processors()
    if isinstance(n_jobs, bool) or not hasattr(n_jobs, "__index__") or n_jobs == 0:
        raise ValueError(f"n_jobs must be None or an integer other than 0, not {n_jobs!r}")
    return n_jobs if n_jobs > 0 else max(1, _processors() + 1 + n_jobs)
