"""Distances between a true and a learned graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statkit.causal._graph_kernels import count_wrong_interventions
from statkit.causal.acyclicity import reachability
from statkit.causal.equivalence import cpdag, graph

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["dag_metrics", "shd", "sid"]


def shd(true: ArrayLike, estimate: ArrayLike) -> int:
    """Return the structural Hamming distance: pairs of columns whose edge differs.

    A missing, an extra and a turned edge count one each. For CPDAGs, with both entries nonzero for a
    reversible edge, a pair whose mark differs counts one.

    Parameters
    ----------
    true, estimate : array-like of shape (d, d)
        Weights or adjacency; nonzero is an edge from row to column.

    Returns
    -------
    int

    Examples
    --------
    >>> from statkit.causal import shd
    >>> shd([[0, 1], [0, 0]], [[0, 0], [1, 0]])
    1
    """
    A, B = _pair(true, estimate)
    differs = A != B
    return int(np.triu(differs | differs.T, 1).sum())


def sid(true: ArrayLike, estimate: ArrayLike) -> int:
    """Return the structural intervention distance: ordered pairs whose effect the estimated graph gets wrong.

    For each pair (i, j) the effect of i on j is computed by adjusting for the parents of i in the estimate;
    it is counted if that is not valid in the true graph.

    Parameters
    ----------
    true, estimate : array-like of shape (d, d)
        Acyclic; nonzero is an edge from row to column.

    Returns
    -------
    int
        Between 0 and d(d−1). It is not symmetric.

    References
    ----------
    J. Peters, P. Bühlmann (2015), "Structural intervention distance for evaluating causal graphs".

    Examples
    --------
    >>> from statkit.causal import sid
    >>> sid([[0, 1], [0, 0]], [[0, 0], [1, 0]])
    2
    """
    A, B = _pair(true, estimate)
    A, B = graph(A, "true"), graph(B, "estimate")
    return int(count_wrong_interventions(A, B, reachability(A)))


def dag_metrics(true: ArrayLike, estimate: ArrayLike, *, zero_division: float = 0.0) -> dict[str, float]:
    """Compare a learned graph with the true one.

    Parameters
    ----------
    true, estimate : array-like of shape (d, d)
        Acyclic; nonzero is an edge from row to column.
    zero_division : float, default=0.0
        Value of a rate whose denominator is 0.

    Returns
    -------
    dict
        ``shd``, ``cpdag_shd``, ``sid``, ``n_edges`` of the estimate; ``tpr`` (correctly directed / true),
        ``fdr`` ((turned + extra) / estimated), ``precision``, ``recall``, ``f1`` of directed edges and
        ``skeleton_f1`` of adjacencies.

    Examples
    --------
    >>> from statkit.causal import dag_metrics
    >>> m = dag_metrics([[0, 1, 0], [0, 0, 1], [0, 0, 0]], [[0, 1, 1], [0, 0, 0], [0, 0, 0]])
    >>> m["shd"], m["tpr"], m["fdr"]
    (2, 0.5, 0.5)
    """
    A, B = _pair(true, estimate)

    def rate(count, total):
        return float(count / total) if total else float(zero_division)

    correct = int((A & B).sum())
    joined_true, joined = np.triu(A | A.T), np.triu(B | B.T)
    recall, precision = rate(correct, A.sum()), rate(correct, B.sum())
    return {
        "shd": shd(A, B),
        "cpdag_shd": shd(cpdag(A), cpdag(B)),
        "sid": sid(A, B),
        "n_edges": int(B.sum()),
        "tpr": recall,
        "fdr": rate(B.sum() - correct, B.sum()),
        "precision": precision,
        "recall": recall,
        "f1": rate(2 * correct, A.sum() + B.sum()),
        "skeleton_f1": rate(2 * (joined_true & joined).sum(), joined_true.sum() + joined.sum()),
    }


def _pair(true, estimate):
    A, B = np.asarray(true) != 0, np.asarray(estimate) != 0
    if A.shape != B.shape or A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"graphs must be square and of one shape, not {A.shape} and {B.shape}")
    return A, B
