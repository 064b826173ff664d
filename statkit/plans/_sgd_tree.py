"""HiGrad's tree: the stream's segments, where each continues from its parent's end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["Tree"]


@dataclass
class Tree:
    """Nodes in the order in which they take rows.

    Attributes
    ----------
    parent : ndarray of shape (nodes,)
    depth : ndarray of shape (nodes,)
    ends : ndarray of shape (nodes,)
        Minibatch at which a node ends; minibatches beyond the last belong to it.
    means, tips : ndarray of shape (nodes, Q)
        Mean of a node's iterates, and its last one.
    steps : ndarray of shape (nodes,)
        Steps along a path at the node's end.
    """

    branches: tuple
    parent: np.ndarray
    depth: np.ndarray
    ends: np.ndarray
    means: np.ndarray
    tips: np.ndarray
    steps: np.ndarray
    sizes: np.ndarray
    current: int = -1

    @classmethod
    def grow(cls, branches, n_rows, size, Q):
        """A tree with equal segments, for ``n_rows`` rows in minibatches of ``size``."""
        parent, depth = [-1], [0]
        level = [0]
        for k, branch in enumerate(branches):
            children = []
            for node in level:
                for _ in range(branch):
                    children.append(len(parent))
                    parent.append(node)
                    depth.append(k + 1)
            level = children
        nodes = len(parent)
        batches = n_rows // size
        if batches < 2 * nodes:
            raise ValueError(
                f"inference='higrad' with tree={tuple(branches)} has {nodes} segments: it needs at least "
                f"{2 * nodes} minibatches, and {n_rows:,} rows give {batches} of {size}"
            )
        ends = np.floor(np.arange(1, nodes + 1) * batches / nodes).astype(np.int64)
        zeros = np.zeros((nodes, Q))
        return cls(
            tuple(branches), np.array(parent), np.array(depth), ends, zeros, zeros.copy(),
            np.zeros(nodes, np.int64), np.zeros(nodes, np.int64),
        )  # fmt: skip

    def copy(self):
        return Tree(
            self.branches, self.parent, self.depth, self.ends, self.means.copy(), self.tips.copy(), self.steps.copy(),
            self.sizes.copy(), self.current,
        )  # fmt: skip

    def cut(self, block, first, size):
        """Parts of a block whose minibatches from number ``first`` on lie in one node each."""
        batches = block.n_rows // size
        inside = [int(e) - first for e in self.ends[:-1] if first < e < first + batches]
        edges = [0, *inside, batches]
        if len(edges) == 2:
            return [block]
        return [block.take(slice(a * size, b * size)) for a, b in pairwise(edges)]

    def enter(self, batch, chains):
        """Put the path where the node of minibatch ``batch`` starts."""
        node = min(int(np.searchsorted(self.ends, batch, side="right")), len(self.ends) - 1)
        if node == self.current:
            return
        self.current = node
        if node:
            up = self.parent[node]
            chains.b[0] = self.tips[up]
            chains.counts[0, 0] = self.steps[up]
        chains.mean[0] = chains.b[0]
        chains.counts[0, 1] = 0

    def leave(self, batch, chains):
        """Keep what the node has reached."""
        node = self.current
        self.means[node], self.tips[node] = chains.mean[0], chains.b[0]
        self.steps[node], self.sizes[node] = chains.counts[0, 0], chains.counts[0, 1]

    def threads(self):
        """Averages along the paths to the leaves (L, Q), and the covariance factor Σ (L, L) of them."""
        K = len(self.branches)
        leaves = np.flatnonzero(self.depth == K)
        size = np.array([self.sizes[self.depth == d].mean() for d in range(K + 1)])
        weight = size * np.cumprod([1, *self.branches])
        weight = weight / weight.sum()
        paths = []
        for leaf in leaves:
            path = [leaf]
            while self.parent[path[-1]] >= 0:
                path.append(self.parent[path[-1]])
            paths.append(path[::-1])
        theta = np.array(
            [sum(weight[self.depth[node]] * self.means[node] for node in path) for path in paths]
        )
        sigma = np.zeros((len(leaves), len(leaves)))
        for i, one in enumerate(paths):
            for j, other in enumerate(paths):
                for a, b in zip(one, other, strict=True):
                    if a == b:
                        d = self.depth[a]
                        sigma[i, j] += weight[d] ** 2 / size[d]
        return theta, sigma
