"""What an engine is: it opens a session over partitions, and a session runs rounds.

A round sends one task, a module-level function of a block, to every partition and returns the sum of the
answers. Engines know nothing of statistics, files or formulas.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from statkit.engines.summaries import TreeSum

#: Encoded blocks that a session keeps between rounds, in bytes, unless told otherwise.
CACHE_BYTES = 96 * 2**20


@lru_cache(maxsize=1)
def _blas_controller():
    # Making a controller inspects every loaded library (2 ms); a kept one sets the limit in microseconds.
    import scipy.linalg  # noqa: F401 - so that its BLAS is among the libraries
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


class one_blas_thread:
    """Context in which BLAS uses one thread: sums repeat bit for bit and workers do not compete.

    The limit belongs to the process: the first to enter sets it, the last to leave lifts it.
    """

    _lock = threading.Lock()
    _inside = 0
    _before: list = []

    def __enter__(self):
        cls = one_blas_thread
        with cls._lock:
            if cls._inside == 0:
                libraries = _blas_controller().lib_controllers
                cls._before = [(lib, n) for lib in libraries if (n := lib.get_num_threads()) != 1]
                for library, _ in cls._before:
                    library.set_num_threads(1)
            cls._inside += 1

    def __exit__(self, *exc):
        cls = one_blas_thread
        with cls._lock:
            cls._inside -= 1
            if cls._inside == 0:
                for library, n in cls._before:
                    library.set_num_threads(n)


class BlockCache:
    """Blocks kept between rounds: the first that fit stay.

    Rounds scan partitions in a cycle, where a least-recently-used rule would evict each block just before it
    is needed again.
    """

    def __init__(self, limit: int):
        self._limit = self._left = limit
        self._blocks: dict[int, object] = {}
        self._lock = threading.Lock()

    def get(self, key: int):
        return self._blocks.get(key)

    def offer(self, key: int, block) -> None:
        if self._limit == 0:
            return
        size = block.nbytes
        with self._lock:
            if key not in self._blocks and size <= self._left:
                self._left -= size
                self._blocks[key] = block

    def __len__(self) -> int:
        return len(self._blocks)

    def clear(self) -> None:
        self._blocks.clear()


class Session:
    """Rounds over partitions. Engines implement ``_answers``.

    Parameters
    ----------
    load : callable
        Partition to block; a ``functools.partial`` of module-level functions, so that it can be pickled.
    partitions : sequence of Partition
    cache_bytes : int
        Bytes of encoded blocks that may be kept between rounds.
    progress : callable or None
        Called as ``progress(n_rounds, rows_done, rows_in_all)`` after every partition.
    """

    def __init__(self, load: Callable, partitions: Sequence, cache_bytes: int, progress: Callable | None):
        self.load = load
        self.partitions = tuple(partitions)
        self.cache_bytes = cache_bytes
        self.progress = progress
        self.n_rounds = 0
        self.rows_visited = 0

    @property
    def n_rows(self) -> int:
        """Raw rows in all partitions."""
        return sum(p.n_rows for p in self.partitions)

    @property
    def all_cached(self) -> bool:
        """Whether another round costs no reading."""
        return False

    def round(self, task: Callable, *args, partitions: Sequence | None = None) -> dict:
        """Run ``task(block, *args)`` on every partition (or those given) and sum the answers in a fixed tree."""
        chosen = self.partitions if partitions is None else tuple(partitions)
        if not chosen:
            raise ValueError("there are no rows: the data have no partition")
        self.n_rounds += 1
        tree = TreeSum(len(chosen))
        rows, done = sum(p.n_rows for p in chosen), 0
        self.rows_visited += rows
        with one_blas_thread():
            for index, summary in self._answers(task, args, chosen):
                tree.add(index, summary)
                if self.progress is not None:
                    done += chosen[index].n_rows
                    self.progress(self.n_rounds, done, rows)
        return tree.result()

    def _answers(self, task, args, chosen) -> Iterator[tuple[int, dict]]:
        """(index, answer) of every partition, in any order."""
        raise NotImplementedError

    def blocks(self) -> Iterator:
        """Blocks in order, in this process."""
        for partition in self.partitions:
            yield self.load(partition)

    def close(self) -> None:
        """Drop what the session keeps."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Engine:
    """Where rounds run."""

    name = "engine"
    #: Whether tasks run in this process, so that sources may hold the caller's arrays.
    in_process = True

    def open(
        self, load: Callable, partitions: Sequence, *, progress: Callable | None = None, cache: bool = True
    ) -> Session:
        """A session over ``partitions``.

        Parameters
        ----------
        load : callable
            Partition to block, picklable.
        partitions : sequence of Partition
        progress : callable or None
            See :class:`Session`.
        cache : bool
            Whether what ``load`` gives is kept between rounds (it then has ``nbytes``).
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.name


_tokens = itertools.count()


def fresh_token(engine: str) -> str:
    """A token that no other session has, in this process or another, of this run or an earlier one."""
    return f"{engine}-{uuid.uuid4().hex[:12]}-{next(_tokens)}"
