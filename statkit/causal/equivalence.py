"""What a Gaussian likelihood can tell of a graph: its Markov equivalence class, drawn as a CPDAG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statkit.causal._graph_kernels import meek, v_structures
from statkit.causal.acyclicity import find_cycle
from statkit.causal.knowledge import Knowledge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["cpdag", "effects_over_class"]


def cpdag(A: ArrayLike, *, knowledge: Knowledge | None = None) -> np.ndarray:
    """Return the completed partially directed graph of the Markov equivalence class of a graph.

    Graphs of one class imply the same conditional independences, so no amount of Gaussian data tells them
    apart: an edge keeps its direction if all graphs of the class agree on it, and loses it otherwise.

    Parameters
    ----------
    A : array-like of shape (d, d)
        Acyclic; nonzero ``A[i, j]`` is an edge from i to j.
    knowledge : Knowledge, default=None
        Only graphs of the class that agree with it count; it must hold for ``A``.

    Returns
    -------
    ndarray of bool, shape (d, d)
        Only ``C[i, j]`` for an edge i → j; both ``C[i, j]`` and ``C[j, i]`` for a reversible edge.

    References
    ----------
    C. Meek (1995), "Causal inference and causal explanation with background knowledge".

    Examples
    --------
    >>> from statkit.causal import cpdag
    >>> cpdag([[0, 1, 0], [0, 0, 1], [0, 0, 0]]).astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    A = graph(A, "A")
    fixed = v_structures(A)
    C = A | A.T
    C[fixed.T] = False
    meek(C)
    if knowledge is not None:
        known = (A & (knowledge.precedes | ~knowledge.allowed.T)) & C & C.T
        C[known.T] = False
        meek(C)
    return C


def effects_over_class(C, covariance, i: int, j: int) -> np.ndarray:
    """Return the total effects of i on j for each set of parents that i has in some graph of the class.

    Parameters
    ----------
    C : ndarray of bool, shape (d, d)
        A CPDAG.
    covariance : ndarray of shape (d, d)
    i, j : int

    Returns
    -------
    ndarray
        Sorted, one value a possible parent set.
    """
    sure = np.flatnonzero(C[:, i] & ~C[i])
    open_ = np.flatnonzero(C[:, i] & C[i])
    adjacent = C | C.T
    out = []
    for subset in range(1 << len(open_)):
        extra = open_[[(subset >> k) & 1 == 1 for k in range(len(open_))]]
        # No new collider at i: the added parents are adjacent to each other and to the sure ones.
        if any(not adjacent[a, b] for k, a in enumerate(extra) for b in [*extra[:k], *sure]):
            continue
        parents = np.concatenate([sure, extra]).astype(int)
        if j in parents:
            out.append(0.0)
            continue
        given = np.concatenate([[i], parents])
        out.append(float(np.linalg.solve(covariance[np.ix_(given, given)], covariance[given, j])[0]))
    return np.sort(out)


def graph(A, name: str) -> np.ndarray:
    """Return the nonzero entries of a square, acyclic matrix as booleans."""
    A = np.asarray(A)
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"{name} must be a square matrix, not of shape {A.shape}")
    A = np.ascontiguousarray(A != 0)
    cycle = find_cycle(A)
    if cycle:
        raise ValueError(f"{name} has the cycle {' -> '.join(map(str, cycle))}: it is not a DAG")
    return A
