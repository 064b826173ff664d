"""How labels go wrong: the structures of the transition matrix and their M-steps."""

from __future__ import annotations

import numpy as np

#: Structures with a name; an array of probabilities is a known transition, an array of bool a mask.
STRUCTURES = ("full", "symmetric", "class", "uniform", "pair")


def symmetric_matrix(rate: float, n_classes: int) -> np.ndarray:
    """Transition in which every label is wrong with probability ``rate``, each wrong one equally likely."""
    if n_classes == 1:
        return np.ones((1, 1))
    S = np.full((n_classes, n_classes), rate / (n_classes - 1))
    np.fill_diagonal(S, 1.0 - rate)
    return S


def normalize_rows(C: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Rows divided by their sums; a row without mass is taken from ``otherwise``."""
    total = C.sum(axis=-1, keepdims=True)
    return np.where(total > 0, C / np.where(total > 0, total, 1.0), otherwise)


def error_share(C: np.ndarray) -> float:
    """Share of the mass of a table of counts that lies off the diagonal."""
    total = C.sum()
    return float(1.0 - np.trace(C) / total) if total > 0 else 0.0


class Transition:
    """M-step of the transition matrices of all sources, with pseudo-counts towards simpler ones.

    Parameters
    ----------
    structure : str or ndarray
        "full", "symmetric", "class", "uniform", or a known (K, K) matrix.
    n_classes, n_sources : int
    prior : float or ndarray of shape (K, K)
        Pseudo-labels a row. A number shrinks "full" and "class" towards the symmetric matrix with the pooled
        error rate (several sources: towards the pooled matrix, which is shrunk itself); an array is added as
        it is.
    mask : bool ndarray of shape (K, K) or None
        Cells that may be non-zero.
    """

    def __init__(self, structure, n_classes, n_sources, prior, mask=None):
        self.known = None if isinstance(structure, str) else np.asarray(structure, dtype=float)
        self.structure = structure if self.known is None else "known"
        self.n_classes = n_classes
        self.n_sources = n_sources
        self.prior = prior
        self.mask = mask
        self.pseudo = np.zeros((n_sources, n_classes, n_classes))
        if np.ndim(prior) == 2:
            self.pseudo = self.pseudo + self._masked(np.asarray(prior, dtype=float))

    def start(self, rate: float) -> np.ndarray:
        """Transition to begin with: a symmetric error rate, inside the mask."""
        if self.known is not None:
            T = self.known
        else:
            T = symmetric_matrix(rate, self.n_classes)
            if self.mask is not None:
                T = normalize_rows(T * self.mask, np.eye(self.n_classes))
        return np.repeat(T[None], self.n_sources, axis=0)

    def update(self, C: np.ndarray, previous: np.ndarray, adapt: bool = True) -> np.ndarray:
        """Transitions (source, class, label) that maximise the expected log posterior given counts ``C``.

        With ``adapt`` the pseudo-counts are re-estimated from ``C``; without, they stay, and EM ascends.
        """
        if self.known is not None:
            return previous
        if adapt:
            self.pseudo = self._pseudo_counts(C, previous)
        total = C + self.pseudo
        if self.structure == "full":
            return normalize_rows(total, previous)
        return np.stack([self._structured(c, t) for c, t in zip(total, previous, strict=True)])

    def log_prior(self, T: np.ndarray) -> float:
        """Log density of the Dirichlet prior up to a constant."""
        on = self.pseudo > 0
        return float(self.pseudo[on] @ np.log(T[on])) if on.any() else 0.0

    def _pseudo_counts(self, C: np.ndarray, previous: np.ndarray) -> np.ndarray:
        if np.ndim(self.prior) == 2 or self.prior == 0:
            return self.pseudo
        pooled = C.sum(axis=0)
        if self.structure in ("full", "class"):
            toward = self.prior * self._masked(symmetric_matrix(error_share(pooled), self.n_classes))
        else:  # one rate for all classes: there is nothing to shrink within a source
            toward = np.zeros_like(pooled)
        if self.n_sources == 1:
            return toward[None]
        if self.structure == "full":
            pooled_transition = normalize_rows(pooled + toward, previous.mean(axis=0))
        else:
            pooled_transition = self._structured(pooled + toward, previous.mean(axis=0))
        return np.repeat(self.prior * self._masked(pooled_transition)[None], self.n_sources, axis=0)

    def _masked(self, A: np.ndarray) -> np.ndarray:
        return A if self.mask is None else A * self.mask

    def _structured(self, C: np.ndarray, previous: np.ndarray) -> np.ndarray:
        K = self.n_classes
        if C.sum() <= 0 or K == 1:
            return previous
        if self.structure == "symmetric":
            return symmetric_matrix(error_share(C), K)
        if self.structure == "class":
            T = np.empty((K, K))
            for k in range(K):
                row = C[k].sum()
                rate = 1.0 - (C[k, k] / row if row > 0 else previous[k, k])
                T[k] = rate / (K - 1)
                T[k, k] = 1.0 - rate
            return T
        return _relabelled(C)


def _relabelled(C: np.ndarray) -> np.ndarray:
    """Random relabelling, (1 - rho) I + rho q: an inner EM over which right labels were drawn by chance."""
    K = len(C)
    diagonal, off = np.diag(C), C.sum(axis=0) - np.diag(C)
    rho = min(max(error_share(C) * K / max(K - 1, 1), 1e-12), 1.0)
    q = (off + 1e-12) / (off + 1e-12).sum()
    for _ in range(200):
        chance = rho * q / (1.0 - rho + rho * q)
        drawn = off + diagonal * chance
        new = drawn.sum() / C.sum()
        q = drawn / drawn.sum() if drawn.sum() > 0 else q
        if abs(new - rho) < 1e-12:
            break
        rho = new
    return (1.0 - rho) * np.eye(K) + rho * q


def pair_mask(T: np.ndarray) -> np.ndarray:
    """Cells of a "pair" transition: the diagonal and the most frequent wrong label of each class."""
    off = np.where(np.eye(len(T), dtype=bool), -1.0, T)
    mask = np.eye(len(T), dtype=bool)
    mask[np.arange(len(T)), off.argmax(axis=1)] = True
    return mask
