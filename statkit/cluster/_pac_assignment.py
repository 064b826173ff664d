"""Labels of least total cost with a largest cluster size: successive shortest paths between clusters.

The graph has one node a cluster; the edge from k to l costs the cheapest move of an object of k to l.
Starting from everybody's cheapest cluster, each overfull cluster sends one object at a time along the
shortest path to a cluster with room. Paths are shortest: the assignment stays optimal for its sizes.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _edges_from(k, cost, labels, edge, mover):
    n_clusters = cost.shape[1]
    for other in range(n_clusters):
        edge[k, other] = np.inf
        mover[k, other] = -1
    for i in range(cost.shape[0]):
        if labels[i] == k:
            for other in range(n_clusters):
                step = cost[i, other] - cost[i, k]
                if other != k and step < edge[k, other]:
                    edge[k, other] = step
                    mover[k, other] = i


@njit(cache=True, nogil=True)
def assign_balanced(cost, capacity):
    """Labels (n,) of least total cost with at most ``capacity`` objects a cluster; ``cost`` (n, K)."""
    n, n_clusters = cost.shape
    labels = np.empty(n, np.int32)
    size = np.zeros(n_clusters, np.int64)
    for i in range(n):
        labels[i] = np.argmin(cost[i])
        size[labels[i]] += 1
    edge = np.empty((n_clusters, n_clusters))
    mover = np.empty((n_clusters, n_clusters), np.int64)
    for k in range(n_clusters):
        _edges_from(k, cost, labels, edge, mover)
    while True:
        source = np.argmax(size)
        if size[source] <= capacity:
            return labels
        length = np.full(n_clusters, np.inf)
        back = np.full(n_clusters, -1, np.int64)
        length[source] = 0.0
        for _ in range(n_clusters):  # Bellman and Ford: edges may be negative, cycles are not
            shorter = False
            for k in range(n_clusters):
                for other in range(n_clusters):
                    reached = length[k] + edge[k, other]
                    slack = 1e-12 * abs(reached)  # rounding must not make a cycle
                    if other != source and reached + slack < length[other]:
                        length[other] = reached
                        back[other] = k
                        shorter = True
            if not shorter:
                break
        target = -1
        for k in range(n_clusters):
            if size[k] < capacity and (target < 0 or length[k] < length[target]):
                target = k
        size[target] += 1
        size[source] -= 1
        k = target
        while k != source:
            labels[mover[back[k], k]] = k
            k = back[k]
        k = target
        while True:
            _edges_from(k, cost, labels, edge, mover)
            if k == source:
                break
            k = back[k]
