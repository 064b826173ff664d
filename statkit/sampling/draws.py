"""Draws with given probabilities or scores: Poisson, priority, reservoir, with replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.sampling.priority import PrioritySampler
from statkit.sampling.probabilities import checked_scores
from statkit.sampling.uniforms import row_uniforms

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


__all__ = ["poisson_sample", "priority_sample", "replacement_sample", "weighted_reservoir"]


def _uniforms(u, random_state, n, row0=0):
    if u is not None:
        u = np.asarray(u, dtype=float)
        if u.shape != (n,):
            raise ValueError(f"u must have one number for each of {n} rows, it has shape {u.shape}")
        return u
    if isinstance(random_state, (int, np.integer)):
        return row_uniforms(int(random_state), 1, row0, row0 + n)
    if isinstance(random_state, np.random.Generator):
        return random_state.random(n)
    from sklearn.utils import check_random_state

    return check_random_state(random_state).random_sample(n)


def poisson_sample(
    pi: ArrayLike,
    *,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    row0: int = 0,
    u: ArrayLike | None = None,
) -> Any:
    """Independent draws: row i with probability ``pi[i]``.

    Parameters
    ----------
    pi : array of shape (N,)
    random_state : int, Generator, RandomState or None
        With an integer, a row's draw depends on it and on ``row0 + i`` alone, so that data in pieces give the
        sample of the whole.
    row0 : int, default=0
        Number of the first row.
    u : array of shape (N,) or None
        Uniform numbers to use instead.

    Returns
    -------
    index : ndarray of int, ascending
        Of random length, ``pi.sum()`` on average.

    Examples
    --------
    >>> from statkit.sampling import poisson_sample
    >>> poisson_sample([0.1, 0.5, 0.9], u=[0.2, 0.3, 0.4])
    array([1, 2])
    """
    pi = np.asarray(pi, dtype=float)
    return np.flatnonzero(_uniforms(u, random_state, len(pi), row0) < pi)


def priority_sample(
    scores: ArrayLike,
    n: int,
    *,
    u: ArrayLike | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> Any:
    """Exactly ``n`` rows with probabilities about proportional to ``scores``, in one pass.

    Parameters
    ----------
    scores : array of shape (N,)
    n : int
    u : array of shape (N,) or None
        Uniform numbers.
    random_state : int, Generator, RandomState or None
        Where ``u`` is None.

    Returns
    -------
    index : ndarray of int, ascending
    pi : ndarray
        Inclusion probabilities: ``1/pi`` are the weights.
    tau : float
        Threshold of the keys.

    Examples
    --------
    >>> from statkit.sampling import priority_sample
    >>> priority_sample([4, 1, 2, 8], 2, u=[0.5, 0.2, 0.8, 0.9])
    (array([0, 3]), array([0.8, 1. ]), 5.0)

    References
    ----------
    N. Duffield, C. Lund and M. Thorup (2007), Priority Sampling for Estimation of Arbitrary Subset Sums.
    """
    m = checked_scores(scores)
    u = _uniforms(u, random_state, len(m))
    return PrioritySampler(n).partial_fit(m, u, np.arange(len(m))).result()


def weighted_reservoir(scores: Any, n: Any, *, u: Any = None, random_state: Seed = None) -> Any:
    """Exactly ``n`` rows by exponential keys (A-Res): the order of successive weighted draws without
    replacement.

    Parameters
    ----------
    scores : array of shape (N,)
        Not negative; a row of score zero is never drawn.
    n : int
        Rows to draw; all with a positive score if these are no more.
    u : array of shape (N,) or None, default=None
        Uniform numbers.
    random_state : int, Generator, RandomState or None, default=None
        Where ``u`` is None.

    Returns
    -------
    index : ndarray of int, ascending
    pi : ndarray
        ``1 − exp(−score · tau)``: ``1/pi`` are the weights.
    tau : float
        The (n+1)-th smallest key; ∞ if everything was kept.

    Raises
    ------
    ValueError
        For scores that are negative or not finite, or ``n`` that is no positive integer.

    Examples
    --------
    >>> from statkit.sampling import weighted_reservoir
    >>> weighted_reservoir([4, 1, 2, 8], 2, u=[0.5, 0.2, 0.8, 0.9])[0]
    array([2, 3])

    References
    ----------
    P. S. Efraimidis and P. G. Spirakis (2006), Weighted Random Sampling with a Reservoir.
    """
    m = checked_scores(scores)
    if not (isinstance(n, (int, np.integer)) and n >= 1):
        raise ValueError(f"n must be a positive integer, not {n!r}")
    u = _uniforms(u, random_state, len(m))
    positive = np.flatnonzero(m > 0)
    keys = -np.log(np.maximum(u[positive], 2.0**-60)) / m[positive]
    if len(positive) <= n:
        return positive, np.ones(len(positive)), np.inf
    order = np.argpartition(keys, n)
    tau = float(keys[order[n]])
    index = np.sort(positive[order[:n]])
    return index, -np.expm1(-m[index] * tau), tau


def replacement_sample(scores: Any, n: Any, *, random_state: Seed = None) -> Any:
    """``n`` draws with replacement, with probabilities proportional to ``scores``.

    Parameters
    ----------
    scores : array of shape (N,)
        Not negative.
    n : int
        Number of draws.
    random_state : int, Generator, RandomState or None, default=None

    Returns
    -------
    index : ndarray of shape (n,), ascending, with repetitions
    p : ndarray of shape (n,)
        Probability of each draw: ``1 / (n p)`` are the weights.

    Examples
    --------
    >>> from statkit.sampling import replacement_sample
    >>> replacement_sample([0, 1, 0], 2, random_state=0)
    (array([1, 1]), array([1., 1.]))
    """
    m = checked_scores(scores)
    if isinstance(random_state, (int, np.integer)):
        random_state = np.random.default_rng([int(random_state), 1])
    u = _uniforms(None, random_state, int(n))
    reached = np.cumsum(m)
    index = np.searchsorted(reached, np.sort(u) * reached[-1], side="right")
    return index, m[index] / reached[-1]
