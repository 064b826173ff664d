"""What every search starts from: a checked covariance, row counts, the price of an edge and the knowledge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from statkit.causal.knowledge import Knowledge


class SearchProblem(NamedTuple):
    """Arguments of the compiled searches."""

    S: np.ndarray
    N: np.ndarray
    needed: np.ndarray
    penalty: float
    knowledge: Knowledge


def search_problem(S, n, penalty, knowledge, *, one_count: bool) -> SearchProblem:
    """Check the arguments of a search.

    ``n`` is a number, or a matrix of pair counts; ``one_count`` replaces the matrix by its mean off the
    diagonal, which keeps the score of equivalent graphs equal.
    """
    S = np.ascontiguousarray(S, dtype=float)
    if S.ndim != 2 or S.shape[0] != S.shape[1] or not np.isfinite(S).all():
        raise ValueError("S must be a square matrix without missing values")
    d = len(S)
    knowledge = Knowledge.none(d) if knowledge is None else knowledge
    if knowledge.allowed.shape != S.shape:
        raise ValueError(f"the knowledge is about {len(knowledge.allowed)} columns, S has {d}")
    N = np.asarray(n, dtype=float)
    if N.ndim == 0:
        N = np.full((d, d), float(N))
    elif N.shape != S.shape:
        raise ValueError(f"n must be a number or of shape {S.shape}, not {N.shape}")
    largest = N.max()
    if not largest > 0:
        raise ValueError("n must be positive")
    if one_count and d > 1:
        N = np.full((d, d), N[~np.eye(d, dtype=bool)].mean())
    if penalty is None:
        penalty = float(np.log(largest))
    if not penalty >= 0:
        raise ValueError(f"penalty must not be negative, got {penalty}")
    with np.errstate(divide="ignore"):
        needed = np.where(N > 0, -np.expm1(-2.0 * penalty / np.maximum(N, 1e-300)), 1.0)
    return SearchProblem(S, np.ascontiguousarray(N), np.ascontiguousarray(needed), float(penalty), knowledge)
