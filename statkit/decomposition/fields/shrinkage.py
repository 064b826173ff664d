"""Shrinking the sample covariance toward the Schrödinger covariance, with nothing larger than rows × rows.

The sample covariance knows what is particular to this field but is noise where rows are few; the modes of the
operator are smooth and generic. A convex combination is as good as the better of the two.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from statkit.decomposition.fields._kernels import cell_sums

_CACHED = 250_000  # values of a chunk, which then stays in the cache
WEIGHTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)
FOLDS = 5


class Samples:
    """Centred, weighted samples Ỹ (n, p), read in chunks of columns and never copied whole."""

    def __init__(self, X: np.ndarray, mean: np.ndarray, weights: np.ndarray):
        self.X, self.mean, self.root = X, mean, np.sqrt(weights)
        self.weighted = bool(np.any(weights != 1.0))
        self.n, self.p = X.shape
        self.dtype = np.float32 if X.dtype == np.float32 else np.float64

    def chunks(self):
        width = max(64, _CACHED // self.n)
        for start in range(0, self.p, width):
            part = slice(start, start + width)
            block = self.X[:, part] - self.mean[part].astype(self.dtype)
            if self.weighted:
                block *= self.root[part].astype(self.dtype)
            yield part, block

    def gram(self) -> np.ndarray:
        """ỸỸᵀ (n, n)."""
        out = np.zeros((self.n, self.n))
        for _, block in self.chunks():
            out += block @ block.T
        return out

    def product(self, vectors: np.ndarray) -> np.ndarray:
        """ỸV (n, q)."""
        out = np.zeros((self.n, vectors.shape[1]))
        for part, block in self.chunks():
            out += block @ vectors[part].astype(self.dtype, copy=False)
        return out

    def combine(self, vectors: np.ndarray, inside: np.ndarray, coefficients: np.ndarray):
        """Modes V · inside + Ỹᵀ · coefficients (p, k), and the scores of the samples on them, in one pass."""
        modes = vectors @ inside
        scores = np.zeros((self.n, inside.shape[1]))
        coefficients = coefficients.astype(self.dtype, copy=False)
        for part, block in self.chunks():
            modes[part] += block.T @ coefficients
            scores += block @ modes[part].astype(self.dtype, copy=False)
        return modes, scores


class CellMeans:
    """The same samples averaged over cells far smaller than the correlation length: what their modes see.

    Inner products of rows lose what varies inside the cells, which is uncorrelated between rows; squared norms are
    those of the full rows. One pass over X, and then everything is as small as the mesh.
    """

    def __init__(self, samples: Samples, cells: np.ndarray, n_cells: int):
        self.means, self.squares = np.zeros((samples.n, n_cells)), np.zeros(samples.n)
        cell_sums(samples.X, samples.mean, samples.root, cells, self.means, self.squares)
        self.scale = 1 / np.sqrt(np.maximum(np.bincount(cells, minlength=n_cells), 1))
        self.means *= self.scale  # keeps inner products of what is constant in each cell
        shape = (n_cells, len(cells))
        self.sum = sparse.csr_array((np.ones(len(cells)), (cells, np.arange(len(cells)))), shape=shape)

    def gram(self) -> np.ndarray:
        out = self.means @ self.means.T
        np.fill_diagonal(out, self.squares)
        return out

    def product(self, vectors: np.ndarray) -> np.ndarray:
        return self.means @ (self.scale[:, None] * (self.sum @ vectors))


def optimal_weight(gram: np.ndarray, product: np.ndarray, overlap: np.ndarray, scale: np.ndarray) -> float:
    """Weight of the target V diag(scale) Vᵀ with the least expected squared error; `overlap` is VᵀV.

    Ledoit and Wolf's, with the variance of the sample covariance estimated without bias, as Schäfer and Strimmer do:
    theirs is smaller by ((n - 1) / n)³, which leaves half of it at five rows.
    """
    n = len(gram)
    norm2 = np.sum(gram**2)
    noise = (np.sum(np.diag(gram) ** 2) - norm2 / n) * n / (n - 1) ** 3
    cross = np.sum(scale * np.sum(product**2, axis=0)) / (n - 1)
    target = np.sum((scale[:, None] * overlap) * (overlap * scale))
    distance = norm2 / (n - 1) ** 2 - 2 * cross + target
    return float(np.clip(noise / distance, 0, 1)) if distance > 0 else 1.0


def matched(eigenvalues: np.ndarray, trace: float) -> np.ndarray:
    """Eigenvalues of the target, scaled to the trace of the sample covariance."""
    total = eigenvalues.sum()
    return eigenvalues * (trace / total) if total > 0 else np.zeros_like(eigenvalues)


def combined_modes(
    samples: Samples, gram, product, overlap, vectors: np.ndarray, scale: np.ndarray, weight: float, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Leading k eigenvalues and vectors (p, k) of weight · T + (1 - weight) · S, and the samples' scores on them.

    Through the small matrix of inner products of columns of [√weight V √scale, √(1 - weight) Ỹᵀ / √(n-1)], and then
    within the span of what was found: with inner products that are not quite exact, as those of `CellMeans`, the
    eigenvalues are right to second order. Scores are None where there are fewer directions than asked for.
    """
    left = np.sqrt(weight * scale)
    right = np.sqrt((1 - weight) / max(samples.n - 1, 1))
    if samples.p < samples.n + len(scale):
        part = vectors * left
        full = part @ part.T
        for _, block in _row_chunks(samples):
            full += right**2 * (block.T @ block)
        value, modes = np.linalg.eigh(full)
        value, modes = value[::-1][:k], modes[:, ::-1][:, :k]
        return np.maximum(value, 0), modes, None
    small = np.block(
        [
            [left[:, None] * overlap * left, left[:, None] * product.T * right],
            [right * product * left, right**2 * gram],
        ]
    )
    value, inside = _leading(small, k)
    value = np.maximum(value, 0)
    if right == 0:
        modes, scores = vectors @ (left[:, None] * inside[: len(scale)]), None
    else:
        modes, scores = samples.combine(
            vectors, left[:, None] * inside[: len(scale)], right * inside[len(scale) :]
        )
    norm = np.linalg.norm(modes, axis=0)
    good = norm > 1e-7 * max(norm.max(initial=0), 1e-300)
    if good.all():
        modes /= norm
        if scores is None or norm.min() < 1e-5 * norm.max():  # no samples in it, or too near a dependent one
            return value, modes, None
        scores /= norm
        inner = left[:, None] * (vectors.T @ modes)
        covariance = inner.T @ inner + right**2 * (scores.T @ scores)
        value, turn = linalg.eigh(covariance, modes.T @ modes)
        value, turn = np.maximum(value[::-1], 0), turn[:, ::-1]
        return value, modes @ turn, scores @ turn
    # Fewer directions than asked for: modes of the target, which have no variance here, complete the basis.
    value = np.where(good, value, 0.0)
    basis = np.linalg.qr(np.column_stack([modes[:, good] / norm[good], vectors]))[0][:, :k]
    basis[:, : good.sum()] = modes[:, good] / norm[good]
    return value[: basis.shape[1]], basis, None


def _leading(matrix: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenvalues, descending, and their vectors."""
    n = len(matrix)
    value, vectors = linalg.eigh(matrix, subset_by_index=(max(n - k, 0), n - 1))
    return value[::-1], vectors[:, ::-1]


def _row_chunks(samples: Samples, rows: int = 4096):
    for start in range(0, samples.n, rows):
        block = (samples.X[start : start + rows] - samples.mean) * samples.root
        yield start, block


def cross_validated_weight(gram: np.ndarray, fold_modes, k: int, random_state=None) -> float:
    """Weight whose k modes explain most of held-out rows.

    `fold_modes(train)` gives (ỸV, VᵀV, eigenvalues) of the target made from the rows `train` (a mask), for
    all rows of Ỹ; everything else is inner products of rows.
    """
    n = len(gram)
    folds = min(FOLDS, n // 2)
    if folds < 2:
        return 1.0
    number = np.random.default_rng(0 if random_state is None else random_state).permutation(n) % folds
    gains = np.zeros(len(WEIGHTS))
    for fold in range(folds):
        train = number != fold
        product, overlap, eigenvalues = fold_modes(train)
        centre = np.eye(n) - train[None, :] / train.sum()
        g = centre @ gram @ centre.T
        product = centre @ product
        inner, cross = g[np.ix_(train, train)], g[np.ix_(~train, train)]
        scale = matched(eigenvalues, np.trace(inner) / (train.sum() - 1))
        for at, weight in enumerate(WEIGHTS):
            left = np.sqrt(weight * scale)
            right = np.sqrt((1 - weight) / (train.sum() - 1))
            small = np.block(
                [
                    [left[:, None] * overlap * left, left[:, None] * product[train].T * right],
                    [right * product[train] * left, right**2 * inner],
                ]
            )
            value, inside = _leading(small, k)
            good = value > 1e-10 * max(value[0], 1e-300)
            scores = np.column_stack([product[~train] * left, right * cross]) @ inside[:, good]
            gains[at] += np.sum(scores**2 / value[good])
    return WEIGHTS[int(np.argmax(gains))]
