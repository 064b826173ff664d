"""Graphs from a causal order: the equal-variance order, and the choice of parents among predecessors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.causal.dag_learners._kernels import equal_variance_order, parents_in_order
from statkit.causal.dag_learners._problem import search_problem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["select_parents", "top_down"]


def top_down(
    S: ArrayLike,
    n: float | ArrayLike | None = None,
    *,
    penalty: float | None = None,
    knowledge: Any = None,
    return_order: bool = False,
) -> Any:
    """Learn a graph whose noises have equal variance: next in order is the least variance given the chosen.

    Parameters
    ----------
    S : array-like of shape (d, d)
        Covariance matrix.
    n : float or array-like of shape (d, d), default=None
        Number of rows behind ``S``, or behind each pair of columns; needed unless only the order is wanted.
    penalty : float, default=None
        Log-likelihood that an edge must bring; ``log n`` if None (twice the BIC's).
    knowledge : Knowledge, default=None
    return_order : bool, default=False
        Return the order alone.

    Returns
    -------
    ndarray of bool, shape (d, d), or ndarray of int, shape (d,)

    References
    ----------
    W. Chen, M. Drton, Y. S. Wang (2019), "On causal discovery with an equal-variance assumption".

    Examples
    --------
    >>> from statkit.causal.dag_learners import top_down
    >>> S = [[2, 1, 0.5], [1, 1.5, 0.6], [0.5, 0.6, 0.9]]
    >>> top_down(S, return_order=True)
    array([2, 1, 0])
    """
    problem = search_problem(S, 1.0 if n is None else n, penalty, knowledge, one_count=False)
    order = equal_variance_order(problem.S, problem.knowledge.precedes)
    if return_order:
        return order
    if n is None:
        raise ValueError("n, the number of rows behind S, is needed to choose parents")
    return _select(problem, order)


def select_parents(
    S: ArrayLike, n: float | ArrayLike, order: Any, *, penalty: float | None = None, knowledge: Any = None
) -> np.ndarray:
    """Choose the parents of each column among those before it: forward selection, then elimination.

    Parameters
    ----------
    S : array-like of shape (d, d)
        Covariance matrix.
    n : float or array-like of shape (d, d)
        Number of rows behind ``S``, or behind each pair of columns.
    order : array-like of int, shape (d,)
        Column numbers, causes first.
    penalty : float, default=None
        Log-likelihood that an edge must bring; ``log n`` if None.
    knowledge : Knowledge, default=None

    Returns
    -------
    ndarray of bool, shape (d, d)

    Examples
    --------
    >>> from statkit.causal.dag_learners import select_parents
    >>> select_parents([[1, 0.9], [0.9, 1]], 100, [1, 0]).astype(int)
    array([[0, 0],
           [1, 0]])
    """
    problem = search_problem(S, n, penalty, knowledge, one_count=False)
    return _select(problem, check_order(order, problem.knowledge))


def _select(problem, order) -> np.ndarray:
    known = problem.knowledge
    return parents_in_order(
        problem.S, problem.N, problem.needed, problem.penalty, known.allowed, known.required, order
    )


def check_order(order, knowledge) -> np.ndarray:
    """Return ``order`` as integers after checking that it is a permutation that the knowledge allows."""
    order = np.asarray(order)
    d = len(knowledge.allowed)
    if order.shape != (d,) or sorted(order.tolist()) != list(range(d)):
        raise ValueError(f"order must hold each of the numbers 0 to {d - 1} once")
    order = order.astype(np.int64)
    place = np.argsort(order)
    wrong = np.argwhere(knowledge.precedes & (place[:, None] > place))
    if len(wrong):
        i, j = wrong[0]
        raise ValueError(f"order puts column {j} before column {i}, which must precede it")
    return order
