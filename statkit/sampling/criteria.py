"""Which rows carry information: a score for every row, from its residual and the length of its mapped
columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CRITERIA", "Scoring", "make_scoring"]

CRITERIA = ("uniform", "LCC", "optL", "optLs", "optA", "optV", "optC", "response_free", "cv", "LUC")

# Eigenvalues of the unit-diagonal information below this share of the largest are lifted to it: a pilot may
# lack a level, and its column must not decide every score.
_FLOOR = 1e-8


@dataclass(frozen=True)
class Scoring:
    """A criterion with the maps that it needs, small and picklable.

    Attributes
    ----------
    criterion : str
    T : ndarray of shape (q,), (m, q) or (m, K·q), or None
        Map of a row's columns (K predictors: of its score, classes one after another).
    root : ndarray of shape (q, q) or None
        For "cv": ``L⁻¹`` of the information's Cholesky factor.
    ratio : float
        For "LUC": rows there are for each that is to be drawn.
    balance : ndarray of shape (q,) or None
        Scores are multiplied by its product with the row: rows with rare features count for more.
    """

    criterion: str
    T: np.ndarray | None = None
    root: np.ndarray | None = None
    ratio: float = 1.0
    balance: np.ndarray | None = None

    @property
    def squares(self) -> np.ndarray | None:
        """Squared column scales of a score |r|·‖T x‖ with diagonal T; None for other scores."""
        diagonal = self.criterion in ("optL", "optLs") and self.balance is None
        return self.T**2 if diagonal and self.T is not None else None

    def scores(self, block, family, eta, r, w, y) -> np.ndarray:
        """Scores of a block's rows, from linear predictors, residual factors and Fisher weights."""
        m = self._uncertainty(block, family, eta, y) if self.criterion == "LUC" else self._plain(block, r, w)
        return m if self.balance is None else m * block.matvec(self.balance, offset=False)

    def _plain(self, block, r, w):
        if self.criterion == "uniform":
            m = np.ones(block.n_rows)
            return m if block.weight is None else np.where(block.weight > 0, m, 0.0)
        if r.ndim == 2:
            return self._several(block, r, w)
        if self.criterion == "cv":
            return w * block.row_norms(self.T) * block.row_norms(self.root)
        # E|r|² given x is the Fisher weight: its root stands in for |r| where the response is not known.
        size = np.sqrt(np.maximum(w, 0.0)) if self.criterion == "response_free" else np.abs(r)
        return size if self.T is None else size * block.row_norms(self.T)

    def _uncertainty(self, block, family, eta, y):
        """Probabilities of local uncertainty sampling: small for rows of a class that was to be expected."""
        p = family.inverse_link(eta)
        p = np.column_stack([1 - p, p]) if p.ndim == 1 else p
        top = p.argmax(axis=1)
        q = np.maximum(0.5, p[np.arange(len(p)), top])
        expected = y == top
        few = np.where(expected, 2 * (1 - q), 2 * q) / self.ratio
        many = np.where(expected, (1 - q) / np.maximum(self.ratio - q, 1e-12), 1.0)
        m = np.where(self.ratio >= 2 * q, few, np.minimum(many, 1.0))
        return m if block.weight is None else np.where(block.weight > 0, m, 0.0)

    def _several(self, block, r, w):
        """Scores with K predictors: residuals of all K + 1 classes, so that the reference class does not
        matter."""
        full = np.sqrt((r * r).sum(axis=1) + r.sum(axis=1) ** 2)
        if self.T is None:
            return full
        if self.T.ndim == 1:
            return full * block.row_norms(self.T)
        n, K = r.shape
        q = block.n_columns
        out = np.empty(n)
        for start in range(0, n, 4096):
            part = slice(start, min(start + 4096, n))
            X = block.take(part).to_dense()
            mapped = sum(r[part, k, None] * (X @ self.T[:, k * q : (k + 1) * q].T) for k in range(K))
            out[part] = np.sqrt(np.einsum("ij,ij->i", mapped, mapped))
        return out


def make_scoring(criterion, information, *, predictors=1, curvature=None, contrast=None) -> Scoring:
    """The scoring of a criterion.

    Parameters
    ----------
    criterion : str
    information : ndarray of shape (K·q, K·q)
        Fisher information at the pilot, up to a factor, in the units of the columns that rows will be given
        in.
    predictors : int
        K.
    curvature : ndarray of the same shape or None
        For "optV": mean of μ'² x x' (classes: of ∂p/∂η products).
    contrast : ndarray of shape (K·q,) or None
        For "optC".
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(map(repr, CRITERIA))}, not {criterion!r}")
    K = predictors
    if criterion in ("cv", "response_free") and K > 1:
        raise ValueError(f"criterion={criterion!r} is for models with one predictor, not for softmax")
    if criterion == "LUC":
        raise ValueError("criterion='LUC' depends on the size of the sample: use plans.Subsample")
    if criterion in ("uniform", "LCC"):
        return Scoring(criterion)
    q = len(information) // K
    if criterion == "optL":
        return Scoring(criterion, np.ones(q))
    if criterion == "optLs":
        diagonal = np.diag(information)
        if K > 1:  # all classes alike, the reference class too
            blocks = information.reshape(K, q, K, q)
            diagonal = np.einsum("kjkj->j", blocks) + np.einsum("kjlj->j", blocks)
        scale = np.zeros(q)
        positive = diagonal > 0
        scale[positive] = np.sqrt(diagonal[positive].mean() / diagonal[positive])
        # A column that the pilot lacks has no scale; the largest of the others keeps its rows in sight.
        scale[~positive] = scale.max(initial=1.0)
        return Scoring(criterion, scale)
    inverse, root = _inverses(information)
    if criterion == "cv":
        return Scoring(criterion, inverse, root)
    if criterion == "optC":
        if contrast is None:
            raise ValueError("criterion='optC' needs a contrast: one number for every coefficient")
        return Scoring(criterion, (np.asarray(contrast, dtype=float) @ inverse)[None, :])
    if criterion == "optV":
        values, vectors = np.linalg.eigh(curvature)
        return Scoring(criterion, (np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T) @ inverse)
    if K > 1:  # coefficients that sum to zero over classes
        g = np.vstack([np.zeros(K), np.eye(K)]) - 1.0 / (K + 1)
        return Scoring(criterion, np.kron(g, np.eye(q)) @ inverse)
    return Scoring(criterion, inverse)


def _inverses(M):
    """M⁻¹ and L⁻¹ (M = L L') with small eigenvalues lifted."""
    diagonal = np.diag(M)
    root = np.sqrt(np.where(diagonal > 0, diagonal, diagonal.max(initial=1.0)))
    values, vectors = np.linalg.eigh(M / root / root[:, None])
    values = np.maximum(values, _FLOOR * values.max())
    half = (vectors / np.sqrt(values)).T / root
    return half.T @ half, half
