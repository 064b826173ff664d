"""Dask: a ``distributed.Client`` computes; every partition has a worker that keeps its block."""

from __future__ import annotations

import contextlib
from functools import lru_cache

from statkit.engines.engine import CACHE_BYTES, Engine, Session, fresh_token
from statkit.engines.worker import forget, without_rows, work

__all__ = ["DaskEngine"]

_RETRIES = 3
#: Seconds to wait for a scheduler.
_PATIENCE = 15


class DaskSession(Session):
    def __init__(self, client, load, partitions, cache_bytes, progress):
        super().__init__(load, partitions, cache_bytes, progress)
        self._client = client
        self.token = fresh_token("dask")
        self._number = {p.key: i for i, p in enumerate(self.partitions)}

    def _answers(self, task, args, chosen):
        from distributed import as_completed

        workers = sorted(self._client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise RuntimeError(
                "the Dask cluster has no worker: start one, or wait for it (client.wait_for_workers(1))"
            )
        # A future's arguments are sent with the task: data scattered to a worker would be lost with it.
        futures = {}
        for index, partition in enumerate(chosen):
            rows, where = partition.held, {}
            if rows is None:
                home = workers[self._number[partition.key] % len(workers)]
                where = {"workers": [home], "allow_other_workers": True}
            # Rows of a Dask frame are an argument of their own: the scheduler sends the task to where they are.
            future = self._client.submit(
                work, self.token, self.cache_bytes, self.load, without_rows(partition), task, args,
                None if rows is None else rows.reference,
                key=f"statkit-{self.token}-{self.n_rounds}-{index}", pure=False, retries=_RETRIES, **where,
            )  # fmt: skip
            futures[future] = index
        try:
            for future in as_completed(list(futures)):
                yield futures[future], future.result()
                future.release()
        finally:
            for future in futures:
                future.cancel()

    def close(self):
        with contextlib.suppress(Exception):  # a cluster that is gone has forgotten already
            self._client.run(forget, self.token)


class DaskEngine(Engine):
    """Rounds on a Dask cluster.

    Arrays and frames in memory are spooled to files of this machine, so the workers must share its disk; larger
    data are best in Parquet files that all workers can read.

    Parameters
    ----------
    client : distributed.Client, or the address of a scheduler
    cache_bytes : int or None
        Encoded blocks that a worker keeps; None is 30 % of its memory limit.
    """

    name = "dask"
    in_process = False

    def __init__(self, client, cache_bytes: int | None = None):
        if isinstance(client, str):
            client = _connect(client)
        self.client = client
        self.cache_bytes = cache_bytes

    def open(self, load, partitions, *, progress=None, cache=True):
        size = self.cache_bytes
        if size is None:
            limits = [
                w.get("memory_limit") or 0
                for w in self.client.scheduler_info(n_workers=-1)["workers"].values()
            ]
            size = int(0.3 * min(limits)) if limits and min(limits) else CACHE_BYTES
        return DaskSession(self.client, load, partitions, size if cache else 0, progress)

    def __repr__(self):
        n = len(self.client.scheduler_info(n_workers=-1)["workers"])
        return f"dask({n} workers)"


@lru_cache(maxsize=8)
def _connected(address: str):
    from distributed import Client

    try:
        return Client(address, set_as_default=False, timeout=_PATIENCE)
    except OSError as error:
        raise ConnectionError(f"no Dask scheduler answers at {address}: {error}") from None


def _connect(address: str):
    """A client of the scheduler at an address; the same one for all fits, as long as it lives."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise ImportError("engine 'dask' needs Dask: pip install 'statkit-methods[dask]'") from None
    address = address.replace("dask://", "tcp://", 1)
    client = _connected(address)
    if client.status != "running":
        _connected.cache_clear()
        client = _connected(address)
    return client
