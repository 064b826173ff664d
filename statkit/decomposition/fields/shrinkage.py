"""Shrinking the sample covariance toward the Schrödinger covariance, with nothing larger than rows × rows.

The sample covariance knows what is particular to this field but is noise where rows are few; the modes of the
operator are smooth and generic. A convex combination is as good as the better of the two.
"""

from __future__ import annotations

import numpy as np

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

    def gram_and_product(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ỸỸᵀ (n, n) and ỸV (n, q)."""
        gram, product = np.zeros((self.n, self.n)), np.zeros((self.n, vectors.shape[1]))
        for part, block in self.chunks():
            gram += block @ block.T
            product += block @ vectors[part].astype(self.dtype, copy=False)
        return gram, product

    def combine(self, coefficients: np.ndarray) -> np.ndarray:
        """Ỹᵀ times coefficients (n, k)."""
        out = np.empty((self.p, coefficients.shape[1]))
        for part, block in self.chunks():
            out[part] = block.T @ coefficients.astype(self.dtype, copy=False)
        return out


def optimal_weight(gram: np.ndarray, product: np.ndarray, overlap: np.ndarray, scale: np.ndarray) -> float:
    """Ledoit–Wolf weight of the target V diag(scale) Vᵀ; `overlap` is VᵀV."""
    n = len(gram)
    norm2 = np.sum(gram**2)
    noise = (np.sum(np.diag(gram) ** 2) / n - norm2 / n**2) / n
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
) -> tuple[np.ndarray, np.ndarray]:
    """Leading k eigenvalues and vectors (p, k) of weight · T + (1 - weight) · S.

    Through the small matrix of inner products of columns of [√weight V √scale, √(1 - weight) Ỹᵀ / √(n-1)].
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
        return np.maximum(value, 0), modes
    small = np.block(
        [
            [left[:, None] * overlap * left, left[:, None] * product.T * right],
            [right * product * left, right**2 * gram],
        ]
    )
    value, inside = np.linalg.eigh(small)
    value, inside = np.maximum(value[::-1][:k], 0), inside[:, ::-1][:, :k]
    modes = vectors @ (left[:, None] * inside[: len(scale)])
    if right > 0:
        modes += samples.combine(right * inside[len(scale) :])
    norm = np.linalg.norm(modes, axis=0)
    good = norm > 1e-7 * max(norm.max(initial=0), 1e-300)
    if good.all():
        return value, modes / norm
    # Fewer directions than asked for: modes of the target, which have no variance here, complete the basis.
    value = np.where(good, value, 0.0)
    basis = np.linalg.qr(np.column_stack([modes[:, good] / norm[good], vectors]))[0][:, :k]
    basis[:, : good.sum()] = modes[:, good] / norm[good]
    return value[: basis.shape[1]], basis


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
            value, inside = np.linalg.eigh(small)
            value, inside = value[::-1][:k], inside[:, ::-1][:, :k]
            good = value > 1e-10 * max(value[0], 1e-300)
            scores = np.column_stack([product[~train] * left, right * cross]) @ inside[:, good]
            gains[at] += np.sum(scores**2 / value[good])
    return WEIGHTS[int(np.argmax(gains))]
