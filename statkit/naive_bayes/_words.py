"""The word models: log probabilities of a document in each class, fitted or leave-one-out."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from statkit.naive_bayes import _kernels

_FLOOR = 1e-10
_N_NODES = 16


class Multinomial:
    """Counts of words: a document of length L is L draws from the distribution of its class."""

    #: Strengths of the tempered fit: effective lengths of a document, in words.
    grid = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, np.inf)
    by_length = True

    def __init__(self, alpha: float):
        self.alpha = alpha

    def log_theta(self, counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Log probabilities of words (p, K) from counts of words (p, K)."""
        theta = counts + self.alpha
        if self.alpha == 0:
            theta = np.maximum(theta, _FLOOR * np.maximum(theta.sum(axis=0), _FLOOR))
        return np.log(theta) - np.log(theta.sum(axis=0))

    def scores(self, X: sp.csr_matrix, log_theta: np.ndarray) -> np.ndarray:
        return np.asarray(X @ log_theta)

    def log_prior(self, log_theta: np.ndarray) -> float:
        return self.alpha * float(log_theta.sum())

    def leave_one_out(self, X, length, mass, counts, totals, tolerance, start, stop, out) -> None:
        sums = counts.sum(axis=0)
        _kernels.leave_one_out_multinomial(
            X.indptr, X.indices, X.data, length, mass, counts, sums, self.alpha, tolerance, start, stop, out
        )


class Bernoulli:
    """Presence of words: each word is in a document or not, independently given the class."""

    #: Strengths of the tempered fit: exponents of the likelihood.
    grid = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    by_length = False

    def __init__(self, alpha: float):
        self.alpha = alpha

    def log_theta(self, counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
        if self.alpha > 0:
            return np.log(counts + self.alpha) - np.log(totals + 2.0 * self.alpha)
        theta = np.divide(counts, totals, out=np.full_like(counts, 0.5), where=totals > 0)
        return np.log(np.clip(theta, _FLOOR, 1.0 - _FLOOR))

    def scores(self, X: sp.csr_matrix, log_theta: np.ndarray) -> np.ndarray:
        log_absent = np.log1p(-np.exp(log_theta))
        return np.asarray(X @ (log_theta - log_absent)) + log_absent.sum(axis=0)

    def log_prior(self, log_theta: np.ndarray) -> float:
        return self.alpha * float(log_theta.sum() + np.log1p(-np.exp(log_theta)).sum())

    def leave_one_out(self, X, length, mass, counts, totals, tolerance, start, stop, out) -> None:
        tables = self._tables(mass, counts, totals)
        _kernels.leave_one_out_bernoulli(
            X.indptr, X.indices, mass, counts, totals, self.alpha, *tables, tolerance, start, stop, out
        )

    def _tables(self, mass, counts, totals):
        """Sums of log absence over words at Chebyshev nodes of the removed mass, for each class."""
        n_classes = counts.shape[1]
        angle = np.pi * np.arange(_N_NODES) / (_N_NODES - 1)
        unit = (1.0 - np.cos(angle)) / 2.0
        weights = (-1.0) ** np.arange(_N_NODES)
        weights[[0, -1]] /= 2.0
        nodes = unit * np.maximum(mass.max(axis=0, initial=0.0), 1e-8)[:, None]
        table = np.zeros((n_classes, _N_NODES))
        crowded = []
        for k in range(n_classes):
            room = totals[k] - counts[:, k]
            wide = room >= _kernels.crowd_room(nodes[k], _N_NODES)
            crowded.append(np.flatnonzero(~wide))
            for m in range(_N_NODES):
                table[k, m] = np.log(room[wide] - nodes[k, m] + self.alpha).sum()
        start = np.concatenate([[0], np.cumsum([len(c) for c in crowded])]).astype(np.int64)
        return nodes, weights, table, np.concatenate(crowded).astype(np.int64), start


class NoWords:
    """No words at all: labels are the only evidence (Dawid and Skene)."""

    grid = (1.0,)
    by_length = False
    alpha = 0.0

    def log_theta(self, counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
        return np.empty_like(counts)

    def scores(self, X: sp.csr_matrix, log_theta: np.ndarray) -> np.ndarray:
        return np.zeros((X.shape[0], log_theta.shape[1]))

    def log_prior(self, log_theta: np.ndarray) -> float:
        return 0.0


def word_model(distribution: str, alpha: float) -> Multinomial | Bernoulli:
    return Bernoulli(alpha) if distribution == "bernoulli" else Multinomial(alpha)
