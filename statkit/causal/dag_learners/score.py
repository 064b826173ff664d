"""Graphs of greatest penalised Gaussian likelihood: BOSS, exact search, hill-climbing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from statkit.causal.dag_learners._kernels import (
    boss_order,
    equal_variance_order,
    exact_parents,
    hill_climb,
    parents_in_order,
)
from statkit.causal.dag_learners._problem import search_problem
from statkit.causal.dag_learners.order import check_order

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


__all__ = ["EXACT_LIMIT", "boss", "exact", "hill_climbing"]

#: Largest number of columns of the exact search: its tables hold d 2^d numbers.
EXACT_LIMIT = 16

_MAX_SWEEPS = 100


def boss(
    S: ArrayLike,
    n: float | ArrayLike,
    *,
    penalty: float | None = None,
    knowledge: Any = None,
    start: Any = None,
    n_starts: int = 1,
    random_state: Seed = None,
) -> Any:
    """Search orders for the one whose sparsest good graph scores best (best order score search).

    Each column in turn is moved to its best place in the order, where the parents of every column are chosen
    by growing and shrinking among its predecessors; sweeps repeat until nothing moves. The score does not
    depend on the units of the columns and is the same for Markov equivalent graphs.

    Parameters
    ----------
    S : array-like of shape (d, d)
        Covariance matrix.
    n : float or array-like of shape (d, d)
        Number of rows behind ``S``; of a matrix of pair counts the mean off the diagonal is used.
    penalty : float, default=None
        Log-likelihood that an edge must bring; ``log n`` if None (twice the BIC's).
    knowledge : Knowledge, default=None
    start : array-like of int, shape (d,), default=None
        First order; that of `top_down` on the correlations if None.
    n_starts : int, default=1
        The first start, and random orders for the others; the best score wins.
    random_state : int, RandomState or None

    Returns
    -------
    ndarray of bool, shape (d, d)

    References
    ----------
    B. Andrews, J. Ramsey, R. Sanchez Romero, J. Camchong, E. Kummerfeld (2023), "Fast scalable and accurate
    discovery of DAGs using the best order score search and grow-shrink trees".

    Examples
    --------
    >>> from statkit.causal.dag_learners import boss
    >>> boss([[1, 0, 0.7], [0, 1, 0.7], [0.7, 0.7, 1.1]], 200).astype(int)
    array([[0, 0, 1],
           [0, 0, 1],
           [0, 0, 0]])
    """
    problem = search_problem(S, n, penalty, knowledge, one_count=True)
    _, N, needed, price, known = problem
    S = _correlations(problem.S)
    random = check_random_state(random_state)
    best_score, best = -np.inf, None
    for k in range(n_starts):
        if k > 0:
            order = known.feasible_order(random.permutation(len(S)))
        elif start is None:
            order = equal_variance_order(S, known.precedes)
        else:
            order = check_order(start, known).copy()
        if len(S) > 1:
            score = boss_order(
                S, N, needed, price, known.allowed, known.required, known.precedes, order, _MAX_SWEEPS
            )
        else:
            score = 0.0
        if score > best_score:
            best_score, best = score, order
    return parents_in_order(S, N, needed, price, known.allowed, known.required, best)


def exact(
    S: ArrayLike, n: float | ArrayLike, *, penalty: float | None = None, knowledge: Any = None
) -> np.ndarray:
    """Find the graph of greatest penalised likelihood of all, for up to 16 columns.

    Parameters
    ----------
    S : array-like of shape (d, d)
        Covariance matrix, d at most 16.
    n : float or array-like of shape (d, d)
        Number of rows behind ``S``; of a matrix of pair counts the mean off the diagonal is used.
    penalty : float, default=None
        Log-likelihood that an edge must bring; ``log n`` if None.
    knowledge : Knowledge, default=None

    Returns
    -------
    ndarray of bool, shape (d, d)

    References
    ----------
    T. Silander, P. Myllymäki (2006), "A simple approach for finding the globally optimal Bayesian network
    structure".

    Examples
    --------
    >>> from statkit.causal.dag_learners import exact
    >>> exact([[1, 0, 0.7], [0, 1, 0.7], [0.7, 0.7, 1.1]], 200).astype(int)
    array([[0, 0, 1],
           [0, 0, 1],
           [0, 0, 0]])
    """
    problem = search_problem(S, n, penalty, knowledge, one_count=True)
    d = len(problem.S)
    if d > EXACT_LIMIT:
        raise ValueError(f"the exact search takes up to {EXACT_LIMIT} columns, S has {d}: use boss")
    known = problem.knowledge
    return exact_parents(
        _correlations(problem.S), problem.N[0, 0], problem.penalty, known.allowed, known.required
    )


def hill_climbing(
    S: ArrayLike,
    n: float | ArrayLike,
    *,
    penalty: float | None = None,
    knowledge: Any = None,
    start: Any = None,
    n_starts: int = 5,
    tabu: int = 10,
    equal_var: bool = False,
    random_state: Seed = None,
) -> Any:
    """Climb by adding, deleting and turning single edges, with a tabu list and random restarts.

    It is quick and stops in poor optima more often than `boss` does.

    Parameters
    ----------
    S : array-like of shape (d, d)
        Covariance matrix.
    n : float or array-like of shape (d, d)
        Number of rows behind ``S``; of a matrix of pair counts the mean off the diagonal is used.
    penalty : float, default=None
        Log-likelihood that an edge must bring; ``log n`` if None.
    knowledge : Knowledge, default=None
    start : array-like of bool, shape (d, d), default=None
        First graph; only the required edges if None.
    n_starts : int, default=5
        The first start, and random graphs for the others; the best score wins.
    tabu : int, default=10
        Number of steps for which an edge that was changed is left alone.
    equal_var : bool, default=False
        Score with one noise variance for all columns.
    random_state : int, RandomState or None

    Returns
    -------
    ndarray of bool, shape (d, d)

    Examples
    --------
    >>> from statkit.causal.dag_learners import hill_climbing
    >>> hill_climbing([[1, 0, 0.7], [0, 1, 0.7], [0.7, 0.7, 1.1]], 200, random_state=0).astype(int)
    array([[0, 0, 1],
           [0, 0, 1],
           [0, 0, 0]])
    """
    S, N, _, price, known = search_problem(S, n, penalty, knowledge, one_count=True)
    d = len(S)
    random = check_random_state(random_state)
    best_score, best = -np.inf, None
    for k in range(n_starts):
        if k == 0:
            A = known.required.copy() if start is None else np.array(start, dtype=bool)
        else:
            place = np.argsort(known.feasible_order(random.permutation(d)))
            ahead = place[:, None] < place
            A = known.required | (ahead & known.allowed & (random.uniform(size=(d, d)) < 2.0 / max(d, 2)))
        score = hill_climb(
            S, N[0, 0], price, known.allowed, known.required, A, tabu, 100 + 20 * d * d, equal_var
        )
        if score > best_score:
            best_score, best = score, A
    return best


def _correlations(S) -> np.ndarray:
    """Return ``S`` in units that make its diagonal 1: the answer is then the same in any units."""
    root = np.sqrt(np.diag(S))
    R = S / np.outer(root, root)
    np.fill_diagonal(R, 1.0)
    return R
