"""Ray: tasks on the cluster that ``ray`` is connected to."""

from __future__ import annotations

import contextlib

from statkit.engines.engine import CACHE_BYTES, Engine, Session, fresh_token
from statkit.engines.worker import without_rows, work

__all__ = ["RayEngine", "connect"]


class RaySession(Session):
    def __init__(self, ray, load, partitions, cache_bytes, progress):
        super().__init__(load, partitions, cache_bytes, progress)
        self._ray = ray
        self.token = fresh_token("ray")
        self._work = ray.remote(work).options(max_retries=3, num_cpus=1)

    def _answers(self, task, args, chosen):
        ray = self._ray
        load, task, args = ray.put(self.load), ray.put(task), ray.put(args)
        waiting = {
            self._work.remote(
                self.token, self.cache_bytes, load, without_rows(partition), task, args,
                None if partition.held is None else partition.held.reference,
            ): index
            for index, partition in enumerate(chosen)
        }  # fmt: skip
        try:
            while waiting:
                done, _ = ray.wait(list(waiting), num_returns=1)
                for reference in done:
                    index = waiting.pop(reference)
                    try:
                        yield index, ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        raise error.cause from None
        finally:
            for reference in waiting:
                with contextlib.suppress(Exception):
                    ray.cancel(reference, force=False)


class RayEngine(Engine):
    """Rounds as Ray tasks; a worker process keeps the blocks that it has loaded.

    Parameters
    ----------
    ray : module
        The initialised ``ray`` module.
    cache_bytes : int
        Encoded blocks that a worker process keeps.
    """

    name = "ray"
    in_process = False

    def __init__(self, ray, cache_bytes: int = CACHE_BYTES):
        if not ray.is_initialized():
            raise ValueError("ray is not initialised: call ray.init() or ray.init(address=…) first")
        self.client = ray
        self.cache_bytes = cache_bytes

    def open(self, load, partitions, *, progress=None, cache=True):
        return RaySession(self.client, load, partitions, self.cache_bytes if cache else 0, progress)

    def __repr__(self):
        return f"ray({int(self.client.cluster_resources().get('CPU', 0))} processors)"


def connect(ray, address: str):
    """The module, connected: to the cluster at ``ray://host:port``, or for "ray" to one that is found or started."""
    if not ray.is_initialized():
        where = {} if address == "ray" else {"address": address}
        try:
            ray.init(log_to_driver=False, logging_level="error", **where)
        except (ConnectionError, TimeoutError, RuntimeError) as error:
            raise ConnectionError(f"no Ray cluster answers at {address!r}: {error}") from None
    return ray
