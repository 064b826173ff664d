"""Pairs of locations and their sample correlations, also over resampled rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from statkit.decomposition.fields._kernels import gather, pair_products

NEAREST = 8
_CELLS = 5_000_000  # products (rows × pairs) that are looked at in all
_CHUNK = 2_000_000
_PAIRS = 20_000  # that are looked at together
_CACHED = 2_000_000  # products of some rows that are kept


@dataclass(frozen=True)
class Pairs:
    """Row numbers i < j of the locations of each pair, their difference (m, D) and their distance (m,)."""

    i: np.ndarray
    j: np.ndarray
    difference: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.i)


def choose_pairs(
    points: np.ndarray,
    rng: np.random.Generator,
    *,
    n_rows: int = 1,
    max_pairs: int = 200_000,
    max_distance: float | None = None,
    spacing: float = 1.0,
) -> Pairs:
    """All pairs nearer than `max_distance` (None: half the diameter), or near neighbours and a sample.

    The sample is uniform in the logarithm of the distance, so that every scale of the correlation is seen,
    and shrinks with the number of rows, whose products are what costs.
    """
    p = len(points)
    diameter = float(np.linalg.norm(np.ptp(points, axis=0)))
    limit = diameter / 2 if max_distance is None else float(max_distance)
    budget = int(np.clip(_CELLS / max(n_rows, 1), 6_000, max_pairs))
    if p * (p - 1) // 2 <= budget:
        i, j = np.triu_indices(p, 1)
    else:
        tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
        k = min(NEAREST, p - 1)
        some = np.arange(p) if p * k <= budget // 3 else rng.choice(p, budget // 3 // k, replace=False)
        near = tree.query(points[some], k=k + 1)[1][:, 1:]
        i, j = np.repeat(some, k), near.ravel()
        base = rng.integers(0, p, budget - len(i))
        length = np.exp(rng.uniform(np.log(min(spacing, limit)), np.log(limit), len(base)))
        direction = rng.standard_normal((len(base), points.shape[1]))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        other = tree.query(points[base] + length[:, None] * direction)[1]
        i, j = np.concatenate([i, base]), np.concatenate([j, other])
        i, j = np.minimum(i, j), np.maximum(i, j)
        first = np.unique(i * np.int64(p) + j, return_index=True)[1]
        i, j = i[first], j[first]
    difference = points[i] - points[j]
    distance = np.linalg.norm(difference, axis=1)
    keep = (i != j) & (distance <= limit) if max_distance is not None or p > 3 else i != j
    if not keep.any():
        keep = i != j
    return Pairs(i[keep], j[keep], difference[keep], distance[keep])


def pair_correlations(
    X: np.ndarray, pairs: Pairs, row_weights: np.ndarray, mean: np.ndarray | None = None
) -> np.ndarray:
    """Correlations (b, m) of pairs of columns over rows with the weights (b, n); rows with NaN are left out.

    Resampling rows is weighting them, so all resamples together are one matrix product with the products of
    the two columns. A correlation without variance, or without two common rows, is 0. `mean` is that of the
    columns, where it is known already.
    """
    parts = [slice(start, start + _PAIRS) for start in range(0, len(pairs), _PAIRS)]
    whole = []
    for part in parts:
        used, i, j = _columns(pairs.i[part], pairs.j[part])
        centre = X[:, used].mean(axis=0) if mean is None else mean[used]
        found = _whole_correlations(X, used, centre, i, j, row_weights)
        if found is None:
            break
        whole.append(found)
    if len(whole) == len(parts):
        return np.concatenate(whole, axis=1) if len(whole) != 1 else whole[0]
    used, i, j = _columns(pairs.i, pairs.j)
    Z = np.ascontiguousarray(X[:, used].T, dtype=float)  # a row a location
    n = X.shape[0]
    out = np.zeros((len(row_weights), len(pairs)))
    step = max(1, _CHUNK // max(n, 1))
    for start in range(0, len(pairs), step):
        part = slice(start, start + step)
        a, b = Z[i[part]].T, Z[j[part]].T
        both = np.isfinite(a) & np.isfinite(b)
        seen = np.maximum(both.sum(axis=0), 1)
        a = np.where(both, a, 0.0)
        b = np.where(both, b, 0.0)
        a = np.where(both, a - a.sum(axis=0) / seen, 0.0)
        b = np.where(both, b - b.sum(axis=0) / seen, 0.0)
        count = np.maximum(row_weights @ both, 1e-300)
        mean_a, mean_b = row_weights @ a / count, row_weights @ b / count
        cross = row_weights @ (a * b) / count - mean_a * mean_b
        var_a = row_weights @ (a * a) / count - mean_a**2
        var_b = row_weights @ (b * b) / count - mean_b**2
        largest = np.max(a * a, axis=0, initial=0) * np.max(b * b, axis=0, initial=0)
        out[:, part] = _ratio(cross, var_a * var_b, largest)
    return out


def _columns(i: np.ndarray, j: np.ndarray):
    """Columns that take part in pairs, and the pairs among them."""
    used, place = np.unique(np.concatenate([i, j]), return_inverse=True)
    return used, place[: len(i)], place[len(i) :]


def _whole_correlations(X, used, centre, i, j, row_weights):
    """The same without holes: moments once a location, products of two once a pair; None where there are holes."""
    weights = row_weights / row_weights.sum(axis=1, keepdims=True)
    n, b = len(X), len(weights)
    mean, square, largest = np.zeros((b, len(used))), np.zeros((b, len(used))), np.zeros(len(used))
    cross = np.zeros((b, len(i)))
    step = max(1, _CACHED // max(len(used), len(i)))
    Z, products = np.empty((step, len(used))), np.empty((step, len(i)))
    for start in range(0, n, step):
        rows = min(step, n - start)
        w, z, product = weights[:, start : start + rows], Z[:rows], products[:rows]
        gather(X, start, used, centre, z)
        pair_products(z, i, j, product)
        cross += w @ product
        mean += w @ z
        z *= z
        square += w @ z
        np.maximum(largest, z.max(axis=0), out=largest)
    if not np.isfinite(square).all():
        return None
    variance = square - mean**2
    cross -= mean[:, i] * mean[:, j]
    return _ratio(cross, variance[:, i] * variance[:, j], largest[i] * largest[j])


def _ratio(cross, product, largest):
    """cross / √product within ±1; 0 where the variances are rounding, next to the ``largest`` values."""
    scale = np.sqrt(np.maximum(product, 0))
    enough = scale > np.maximum(1e-12 * np.sqrt(largest), 1e-300)
    return np.clip(np.divide(cross, scale, out=np.zeros_like(cross), where=enough), -1, 1)
