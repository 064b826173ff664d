"""A sample of rows drawn while data stream by: the rows of the smallest uniform numbers, which merges exactly."""

from __future__ import annotations

import numpy as np

from statkit.sampling.uniforms import uniforms_of_rows

__all__ = ["Reservoir"]

#: Stream of uniform numbers that is this purpose's own.
_STREAM = 7


class Reservoir:
    """At most ``size`` rows, each set of rows as likely as any other, whatever the partitions.

    Parameters
    ----------
    size : int
    order : ndarray of shape (m,)
        Uniform numbers of the rows kept.
    columns : dict of str to ndarray
        What is kept of each row.
    seen : int
        Rows that were offered.
    """

    def __init__(self, size: int, order: np.ndarray, columns: dict, seen: int):
        self.size, self.order, self.columns, self.seen = size, order, columns, seen

    @classmethod
    def choose(cls, size: int, seed: int, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(index, uniforms) of the rows, with these numbers, that a sample may need."""
        u = uniforms_of_rows(seed, _STREAM, numbers, len(numbers))
        if len(u) <= size:
            return np.arange(len(u)), u
        kept = np.sort(np.argpartition(u, size)[:size])
        return kept, u[kept]

    def merge(self, other: Reservoir) -> Reservoir:
        order = np.concatenate([self.order, other.order])
        columns = {name: np.concatenate([a, other.columns[name]]) for name, a in self.columns.items()}
        seen = self.seen + other.seen
        if len(order) <= self.size:
            return Reservoir(self.size, order, columns, seen)
        kept = np.sort(np.argpartition(order, self.size)[: self.size])
        return Reservoir(self.size, order[kept], {name: a[kept] for name, a in columns.items()}, seen)
