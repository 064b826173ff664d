"""Worker processes on this machine (loky): for loads that hold the interpreter lock.

Every partition has its own worker, so that a worker's cache is asked for the blocks it holds. A worker that
dies is replaced and its partitions are done again.
"""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache

from statkit.engines.engine import CACHE_BYTES, Engine, Session, fresh_token
from statkit.engines.local import n_workers
from statkit.engines.worker import end_with, forget, work

__all__ = ["ProcessesEngine"]

_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
_ATTEMPTS = 3


@lru_cache(maxsize=64)
def _worker(number: int):
    return _new_worker()


def _new_worker():
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(
        max_workers=1, timeout=300, env=_ONE_THREAD, initializer=end_with, initargs=(os.getpid(),)
    )


_replaced: dict[int, object] = {}


def _executor(number: int):
    return _replaced.get(number) or _worker(number)


def _replace(number: int):
    _replaced[number] = _new_worker()


class ProcessesSession(Session):
    def __init__(self, load, partitions, cache_bytes, progress, n_jobs):
        super().__init__(load, partitions, cache_bytes, progress)
        self.n_jobs = n_jobs
        self.token = fresh_token("processes")
        self._home = {p.key: i % n_jobs for i, p in enumerate(self.partitions)}

    def _answers(self, task, args, chosen):
        def submit(partition):
            home = self._home[partition.key]
            share = self.cache_bytes // self.n_jobs
            try:
                return _executor(home).submit(work, self.token, share, self.load, partition, task, args)
            except BrokenProcessPool:
                _replace(home)
                return _executor(home).submit(work, self.token, share, self.load, partition, task, args)

        running = {submit(p): (index, 1) for index, p in enumerate(chosen)}
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    index, attempt = running.pop(future)
                    try:
                        yield index, future.result()
                    except BrokenProcessPool:
                        if attempt == _ATTEMPTS:
                            raise
                        running[submit(chosen[index])] = (index, attempt + 1)
        finally:
            for future in running:
                future.cancel()

    def close(self):
        for number in range(self.n_jobs):
            try:
                _executor(number).submit(forget, self.token)
            except BrokenProcessPool:
                _replace(number)


class ProcessesEngine(Engine):
    """Partitions on ``n_jobs`` processes.

    Parameters
    ----------
    n_jobs : int or None
        Processes; None is the number of processors this process may use.
    cache_bytes : int
        Encoded blocks that all workers together keep between rounds.
    """

    name = "processes"
    in_process = False

    def __init__(self, n_jobs: int | None = None, cache_bytes: int = CACHE_BYTES):
        self.n_jobs = n_workers(n_jobs)
        self.cache_bytes = cache_bytes

    def open(self, load, partitions, *, progress=None, cache=True):
        return ProcessesSession(load, partitions, self.cache_bytes if cache else 0, progress, self.n_jobs)

    def __repr__(self):
        return f"processes({self.n_jobs})"
