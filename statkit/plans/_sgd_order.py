"""In which order a descent sees its rows: as they are, or shuffled anew in every pass by a seed."""

from __future__ import annotations

import numpy as np

__all__ = ["ordered_blocks"]


def ordered_blocks(problem, epoch: int, shuffle: bool):
    """Blocks of all partitions; with ``shuffle``, partitions in random order and rows in random order within them.

    The order depends on the problem's seed, the pass and the partition, not on who computes.
    """
    session = problem.session
    if not shuffle:
        yield from session.blocks()
        return
    order = np.random.default_rng([problem.seed, 2, epoch]).permutation(len(session.partitions))
    for index in order:
        block = session.load(session.partitions[index])
        missing = block.n_read, block.n_missing
        rows = np.random.default_rng([problem.seed, 3, epoch, int(index)]).permutation(block.n_rows)
        block = block.take(rows)
        block.n_read, block.n_missing = missing
        yield block
