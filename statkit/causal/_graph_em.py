"""The EM that alternates expected moments and a graph search, for linear Gaussian models."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from statkit.causal._incomplete import IncompleteData
from statkit.causal.dag_learners._kernels import ordinary_least_squares

#: The graph may change this often before it is settled.
MAX_CHANGES = 20


class State(NamedTuple):
    """Parameters of a linear graph model, and what the E-step at them gave.

    ``moments`` are the expected ones at these parameters (they start the next M-step); ``loglik`` is that of
    the observed entries, ``score`` the same less the penalty of the edges.
    """

    W: np.ndarray
    omega: np.ndarray
    mean: np.ndarray
    next_mean: np.ndarray
    S: np.ndarray
    loglik: float
    score: float

    @property
    def A(self) -> np.ndarray:
        return self.W != 0


class Path(NamedTuple):
    """A finished run: its best state and how it went."""

    state: State
    A: np.ndarray
    loglik: list[float]
    score: list[float]
    converged: bool


def precision(W, omega) -> np.ndarray:
    """Return (I − W) Ω⁻¹ (I − W)ᵀ."""
    D = np.eye(len(W)) - W
    return (D / omega) @ D.T


def covariance(W, omega) -> np.ndarray:
    """Return (I − W)⁻ᵀ Ω (I − W)⁻¹."""
    B = np.linalg.inv(np.eye(len(W)) - W)
    Sigma = (B.T * omega) @ B
    return (Sigma + Sigma.T) / 2


def regress(S, A, equal_var: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and noise variances of maximum likelihood on the edges of ``A``."""
    W, omega = np.empty_like(S), np.empty(len(S))
    ordinary_least_squares(S, A, W, omega)
    if equal_var:
        omega[:] = omega.mean()
    return W, omega


def residual_variances(S, W, equal_var: bool) -> np.ndarray:
    """Return the noise variances that are most likely for given weights."""
    D = np.eye(len(S)) - W
    omega = np.maximum(np.einsum("ij,ik,kj->j", D, S, D, optimize=True), 1e-8 * np.diag(S))
    return np.full(len(S), omega.mean()) if equal_var else omega


def estep(data: IncompleteData, mean, W, omega, price: float) -> State:
    """Run the E-step at given parameters; ``price`` is the penalty of an edge."""
    moments = data.estep(mean, precision(W, omega), covariance(W, omega))
    score = moments.loglik - price * np.count_nonzero(W)
    return State(W, omega, mean, moments.mean, moments.covariance, moments.loglik, score)


def fixed_graph_em(data, A, mean, S, *, equal_var, price, max_iter, tol) -> Path:
    """Fit weights and variances on the edges of ``A``, starting from expected moments."""
    logliks, scores = [], []
    state, converged = None, False
    for _ in range(max(max_iter, 1)):
        state = estep(data, mean, *regress(S, A, equal_var), price)
        mean, S = state.next_mean, state.S
        logliks.append(state.loglik)
        scores.append(state.loglik - price * A.sum())
        if not data.has_holes or (len(logliks) > 1 and logliks[-1] - logliks[-2] <= tol * abs(logliks[-1])):
            converged = True
            break
    return Path(state._replace(score=scores[-1]), A, logliks, scores, converged)


def search_em(
    data: IncompleteData,
    choose: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    first: np.ndarray,
    mean: np.ndarray,
    S: np.ndarray,
    *,
    equal_var: bool,
    price: float,
    accept_better_only: bool,
    max_iter: int,
    tol: float,
) -> Path:
    """Alternate E-steps with a graph search until neither graph nor likelihood changes.

    Parameters
    ----------
    data : IncompleteData
    choose : callable
        ``choose(S, A)`` searches for a graph for the expected covariance, starting from the graph ``A``.
    first : (d, d) bool, the graph chosen for the first moments.
    mean, S : the first moments.
    equal_var : one noise variance for all columns.
    price : penalty of an edge.
    accept_better_only : keep the graph unless the new one raises the penalised expected likelihood: then the
        penalised likelihood of the observed entries never falls.
    max_iter, tol : of the whole run, in E-steps and in shares of the log-likelihood.

    Returns
    -------
    Path
        Its state is the one of greatest penalised likelihood seen, run to convergence on its graph.
    """
    A, best, seen = first, None, set()
    logliks: list[float] = []
    scores: list[float] = []
    changes, settled = 0, False
    while len(logliks) < max_iter:
        state = estep(data, mean, *regress(S, A, equal_var), price)
        state = state._replace(score=state.loglik - price * A.sum())
        rise = state.loglik - logliks[-1] if logliks else np.inf
        logliks.append(state.loglik)
        scores.append(state.score)
        mean, S = state.next_mean, state.S
        if best is None or state.score > best[0].score:
            best = (state, A)
        if not data.has_holes:
            return Path(state, A, logliks, scores, True)
        if settled and rise > tol * abs(state.loglik):
            continue  # on a settled graph the search is asked again when the likelihood stands still
        chosen = choose(S, A)
        if accept_better_only and _expected(S, chosen, data.n, equal_var, price) <= _expected(
            S, A, data.n, equal_var, price
        ):
            chosen = A
        if np.array_equal(chosen, A):
            if settled and state.score >= best[0].score - tol * abs(state.loglik):
                return Path(best[0] if best[0].score > state.score else state, A, logliks, scores, True)
            if settled:
                break
            settled = True
            continue
        settled = False
        seen.add(A.tobytes())
        A = chosen
        changes += 1
        if changes >= MAX_CHANGES or A.tobytes() in seen:
            break
    # The search went around: stay with the best graph seen.
    state, A = best
    rest = fixed_graph_em(
        data,
        A,
        state.next_mean,
        state.S,
        equal_var=equal_var,
        price=price,
        max_iter=max(max_iter - len(logliks), 1),
        tol=tol,
    )
    return Path(rest.state, A, logliks + rest.loglik, scores + rest.score, rest.converged)


def continuous_em(data, learn, mean, W, omega, *, equal_var, price, n_iter, threshold) -> Path:
    """Run a given number of EM steps with weights as the learner leaves them: small ones stay until the end.

    ``learn(S)`` returns a weight matrix. There is no test of convergence and no refit.
    """
    from statkit.causal.acyclicity import prune_to_acyclic

    logliks, scores = [], []
    state = estep(data, mean, W, omega, price)
    for _ in range(n_iter):
        W = learn(state.S)
        state = estep(data, state.next_mean, W, residual_variances(state.S, W, equal_var), price)
        kept = prune_to_acyclic(W, threshold)
        logliks.append(state.loglik)
        scores.append(state.loglik - price * np.count_nonzero(kept))
    return Path(state._replace(W=kept, score=scores[-1]), kept != 0, logliks, scores, True)


def _expected(S, A, n, equal_var, price) -> float:
    """Penalised expected log-likelihood of a graph, up to a constant."""
    omega = regress(S, A, equal_var)[1]
    return -0.5 * n * float(np.log(omega).sum()) - price * A.sum()
