"""Acyclicity: smooth functions that vanish exactly on acyclic weights, and orders and cycles of graphs."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm as _expm

__all__ = [
    "expm",
    "find_cycle",
    "is_acyclic",
    "logdet",
    "poly",
    "prune_to_acyclic",
    "reachability",
    "topological_order",
]


def expm(W) -> tuple[float, np.ndarray]:
    """Return ``tr exp(W∘W) − d`` and its gradient (Zheng et al. 2018, "DAGs with NO TEARS").

    Parameters
    ----------
    W : array-like of shape (d, d)

    Returns
    -------
    value : float
        0 if and only if the nonzero entries of ``W`` form no cycle.
    gradient : ndarray of shape (d, d)

    Examples
    --------
    >>> from statkit.causal import acyclicity
    >>> acyclicity.expm([[0, 2], [0, 0]])[0]
    0.0
    """
    W = np.asarray(W, dtype=float)
    E = _expm(W * W)
    return float(np.trace(E) - len(W)), 2 * E.T * W


def poly(W) -> tuple[float, np.ndarray]:
    """Return ``tr (I + W∘W/d)^d − d`` and its gradient (Yu et al. 2019, "DAG-GNN").

    Parameters
    ----------
    W : array-like of shape (d, d)

    Returns
    -------
    value : float
        0 if and only if the nonzero entries of ``W`` form no cycle.
    gradient : ndarray of shape (d, d)

    Examples
    --------
    >>> from statkit.causal import acyclicity
    >>> acyclicity.poly([[0, 2], [1, 0]])[0]
    2.0
    """
    W = np.asarray(W, dtype=float)
    d = len(W)
    M = np.eye(d) + W * W / d
    E = np.linalg.matrix_power(M, d - 1)
    return float(np.sum(E.T * M) - d), 2 * E.T * W


def logdet(W, s: float = 1.0) -> tuple[float, np.ndarray]:
    """Return ``−log det(sI − W∘W) + d log s`` and its gradient (Bello et al. 2022, "DAGMA").

    Parameters
    ----------
    W : array-like of shape (d, d)
        The spectral radius of ``W∘W`` must be below ``s``; beyond, the value is infinite.
    s : float, default=1.0

    Returns
    -------
    value : float
        0 if and only if the nonzero entries of ``W`` form no cycle.
    gradient : ndarray of shape (d, d)

    Examples
    --------
    >>> from statkit.causal import acyclicity
    >>> acyclicity.logdet([[0, 0.5], [0, 0]])[0]
    0.0
    """
    W = np.asarray(W, dtype=float)
    d = len(W)
    M = s * np.eye(d) - W * W
    try:
        inverse = np.linalg.inv(M)
    except np.linalg.LinAlgError:
        return np.inf, np.full((d, d), np.nan)
    if (inverse < -1e-12).any():  # not an M-matrix: outside the domain
        return np.inf, np.full((d, d), np.nan)
    return float(-np.linalg.slogdet(M)[1] + d * np.log(s)), 2 * inverse.T * W


def reachability(A) -> np.ndarray:
    """Return the matrix of ``i`` having a directed path of at least one edge to ``j``."""
    reach = np.array(A, dtype=bool)
    for k in range(len(reach)):
        reach |= np.outer(reach[:, k], reach[k])
    return reach


def topological_order(A) -> np.ndarray | None:
    """Return the columns, causes first, the lowest number first among the ready; None if there is a cycle."""
    A = np.asarray(A) != 0
    waiting = A.sum(axis=0)
    ready = [int(i) for i in np.flatnonzero(waiting == 0)]
    out = []
    while ready:
        i = min(ready)
        ready.remove(i)
        out.append(i)
        for j in np.flatnonzero(A[i]):
            waiting[j] -= 1
            if waiting[j] == 0:
                ready.append(int(j))
    return np.array(out, dtype=np.int64) if len(out) == len(A) else None


def is_acyclic(A) -> bool:
    """Return True if the nonzero entries of ``A`` form no cycle.

    Parameters
    ----------
    A : array-like of shape (d, d)

    Returns
    -------
    bool

    Examples
    --------
    >>> from statkit.causal.acyclicity import is_acyclic
    >>> is_acyclic([[0, 1], [1, 0]])
    False
    """
    return topological_order(A) is not None


def find_cycle(A) -> list[int] | None:
    """Return a directed cycle of ``A`` as a list that ends where it began, or None.

    Parameters
    ----------
    A : array-like of shape (d, d)

    Returns
    -------
    list of int, or None

    Examples
    --------
    >>> from statkit.causal.acyclicity import find_cycle
    >>> find_cycle([[0, 1], [1, 0]])
    [0, 1, 0]
    """
    A = np.asarray(A) != 0
    left = np.ones(len(A), dtype=bool)
    while left.any():  # peel off what has no cause left: what stays has a cause in every column
        roots = left & ~(A & left[:, None]).any(axis=0)
        if not roots.any():
            break
        left &= ~roots
    if not left.any():
        return None
    path = [int(np.flatnonzero(left)[0])]
    while True:  # walk against the arrows until a column comes back
        i = int(np.flatnonzero(A[:, path[-1]] & left)[0])
        if i in path:
            cycle = [*path[path.index(i) :], i][::-1]
            at = cycle.index(min(cycle))
            return cycle[at:-1] + cycle[: at + 1]
        path.append(i)


def prune_to_acyclic(W, threshold: float = 0.0, keep=None) -> np.ndarray:
    """Zero the weights of size up to ``threshold``, then the smallest ones until no cycle is left.

    Parameters
    ----------
    W : array-like of shape (d, d)
    threshold : float, default=0.0
    keep : array-like of bool, shape (d, d), default=None
        Edges that are not dropped.

    Returns
    -------
    ndarray of shape (d, d)

    Examples
    --------
    >>> from statkit.causal.acyclicity import prune_to_acyclic
    >>> prune_to_acyclic([[0, 1.0], [0.5, 0]])
    array([[0., 1.],
           [0., 0.]])
    """
    W = np.array(W, dtype=float)
    keep = np.zeros(W.shape, dtype=bool) if keep is None else np.asarray(keep, dtype=bool)
    W[(np.abs(W) <= threshold) & ~keep] = 0.0
    free = np.argwhere((W != 0) & ~keep)
    size = np.abs(W[free[:, 0], free[:, 1]])
    for i, j in free[np.argsort(size, kind="stable")]:
        if is_acyclic(W):
            break
        W[i, j] = 0.0
    return W
