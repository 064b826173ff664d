"""Any joblib backend by name, for those that are registered with joblib."""

from __future__ import annotations

from statkit.engines.engine import CACHE_BYTES, Engine, Session, fresh_token
from statkit.engines.local import n_workers
from statkit.engines.worker import work

__all__ = ["JoblibEngine"]


class JoblibSession(Session):
    def __init__(self, backend, n_jobs, load, partitions, cache_bytes, progress):
        super().__init__(load, partitions, cache_bytes, progress)
        from joblib import Parallel

        # One pool for the session: some backends take seconds to make one.
        self._parallel = Parallel(n_jobs=n_jobs, backend=backend, return_as="generator_unordered")
        self._parallel.__enter__()
        self.token = fresh_token("joblib")

    def _answers(self, task, args, chosen):
        from joblib import delayed

        calls = (
            delayed(_numbered)(index, self.token, self.cache_bytes, self.load, partition, task, args)
            for index, partition in enumerate(chosen)
        )
        yield from self._parallel(calls)

    def close(self):
        self._parallel.__exit__(None, None, None)


def _numbered(index, *arguments):
    return index, work(*arguments)


class JoblibEngine(Engine):
    """Rounds on a joblib backend.

    Parameters
    ----------
    backend : str
        "loky", "threading", "multiprocessing", or one registered with joblib.
    n_jobs : int or None
    cache_bytes : int
        Encoded blocks that a worker keeps.
    """

    in_process = False

    def __init__(self, backend: str, n_jobs: int | None = None, cache_bytes: int = CACHE_BYTES):
        self.name = f"joblib {backend}"
        self._backend = backend
        self.n_jobs = n_workers(n_jobs)
        self.cache_bytes = cache_bytes

    def open(self, load, partitions, *, progress=None, cache=True):
        size = self.cache_bytes // self.n_jobs if cache else 0
        return JoblibSession(self._backend, self.n_jobs, load, partitions, size, progress)

    def __repr__(self):
        return f"{self.name}({self.n_jobs})"
