"""The variance field: moments over the rows that are there, and smoothing, cross-validated over rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.decomposition.fields._kernels import column_moments, tile_moments
from statkit.decomposition.meshes.placement import Placement, diffuse, place
from statkit.decomposition.meshes.structure import resolve_structure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


BANDWIDTHS = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)  # in node spacings
FOLDS = 5
COLUMNS = 512  # with 32 rows of them they stay in the cache


def moments(X: np.ndarray, rows=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance (n - 1) and number of the values of each column; NaN values are left out.

    One pass in float64, whatever the dtype of X; `rows` is a mask.
    """
    chosen = np.arange(len(X)) if rows is None else np.flatnonzero(rows)
    p = X.shape[1]
    mean, squares, count = np.zeros(p), np.zeros(p), np.full(p, float(len(chosen)))
    first, second = np.empty((2, COLUMNS))
    for start in range(0, p, COLUMNS):
        tile_moments(X, chosen, start, min(start + COLUMNS, p), mean, squares, first, second)
    holes = np.flatnonzero(~np.isfinite(mean))
    if holes.size:
        for sums in (mean, squares, count):
            sums[holes] = 0.0
        column_moments(X, chosen, holes, mean, squares, count)
    mean = np.where(count > 0, mean, np.nan)
    variance = np.where(count > 1, np.maximum(squares, 0) / np.maximum(count - 1, 1), 0.0)
    # Rounding of a constant column is no variance.
    size = np.maximum(np.abs(mean), 0) * (np.finfo(X.dtype).eps if X.dtype.kind == "f" else 0)
    variance = np.where(variance <= (4 * size) ** 2, 0.0, variance)
    return mean, variance, count


def smooth_variance(
    placement: Placement, variance: np.ndarray, bandwidth, *, X=None, random_state=None
) -> tuple[np.ndarray, float]:
    """Variance at the nodes of a placed mesh, smoothed; and the bandwidth that was used.

    `bandwidth` None or 0 leaves it as it is, a number is a standard deviation in the units of the
    coordinates, "cv" is chosen with the samples `X`.
    """
    nodes = placement.to_nodes(variance, log=True)
    if bandwidth is None or (not isinstance(bandwidth, str) and bandwidth == 0):
        return nodes, 0.0
    active = nodes > 1e-12 * nodes.max()
    if isinstance(bandwidth, str):
        bandwidth = _cross_validated(placement, X, random_state)
    if bandwidth == 0 or not active.any():
        return nodes, 0.0
    return np.maximum(diffuse(placement.mesh, nodes, bandwidth, active), 0.0), float(bandwidth)


def _cross_validated(placement: Placement, X: np.ndarray, random_state) -> float:
    """Bandwidth of the best held-out likelihood; folds are rows, as errors of neighbours correlate."""
    n = len(X)
    folds = min(FOLDS, n // 2)
    if folds < 2:
        return 0.0
    number = np.random.default_rng(0 if random_state is None else random_state).permutation(n) % folds
    unit = float(np.median(placement.mesh.spacing))
    losses = np.zeros(len(BANDWIDTHS))
    for fold in range(folds):
        mean, variance, _ = moments(X, number != fold)
        test = X[number == fold]
        squares, count = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        for row in test:
            seen = np.isfinite(row) & np.isfinite(mean)
            squares[seen] += (row[seen] - mean[seen]) ** 2
            count += seen
        variance = np.nan_to_num(variance)
        nodes = placement.to_nodes(variance, log=True)
        active = nodes > 1e-12 * nodes.max()
        inside = variance > 1e-12 * variance.max()
        if not active.any():
            return 0.0
        for at, width in enumerate(BANDWIDTHS):
            smooth = diffuse(placement.mesh, nodes, width * unit, active) if width else nodes
            v = np.maximum(placement.to_locations(smooth), 1e-6 * variance.max())[inside]
            losses[at] += np.sum(count[inside] * np.log(v) + squares[inside] / v)
    return BANDWIDTHS[int(np.argmin(losses))] * unit


def estimate_variance_field(
    X: ArrayLike,
    *,
    coordinates: Any = None,
    shape: Any = None,
    graph: Any = None,
    mesh: Any = None,
    metric: str = "euclidean",
    radius: float = 1.0,
    smoothing: float | Literal["cv"] | None = "cv",
    random_state: Seed = None,
) -> np.ndarray:
    """Variance at each location, smoothed over its neighbours as far as the samples ask for it.

    Few rows give variances with a relative error of √(2 / (n - 1)), and the logarithm of the log operator
    takes such noise for a potential.

    Parameters
    ----------
    X : array-like of shape (n_samples, p)
        Samples; NaN is allowed.
    coordinates, shape, graph, mesh, metric, radius
        Where the columns are: see `SchrodingerPCA`.
    smoothing : None, float or "cv", default="cv"
        Bandwidth (standard deviation of the smoother) in the units of the coordinates; "cv" is the best
        held-out likelihood over rows.
    random_state : int or None, default=None
        For the folds.

    Returns
    -------
    ndarray of shape (p,)
        NaN where a column has no values.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.decomposition import estimate_variance_field
    >>> X = np.random.default_rng(0).normal(size=(10, 50))
    >>> rough = estimate_variance_field(X, smoothing=None)
    >>> smooth = estimate_variance_field(X, smoothing="cv")
    >>> bool(smooth.std() < rough.std() / 2)
    True
    """
    from statkit.decomposition.fields.lengths import Lengths

    X = np.asarray(X)
    if X.ndim != 2 or len(X) < 2:
        raise ValueError(f"a variance needs X of shape (n_samples ≥ 2, p), got {X.shape}")
    X = X if X.dtype.kind == "f" else X.astype(float)
    if np.any(np.isinf(X)):
        raise ValueError("X contains infinite values")
    if isinstance(smoothing, str) and smoothing != "cv":
        raise ValueError(f'smoothing must be None, a bandwidth or "cv", got {smoothing!r}')
    if not isinstance(smoothing, str) and smoothing is not None and smoothing < 0:
        raise ValueError(f"smoothing must not be negative, got {smoothing}")
    structure = resolve_structure(
        X.shape[1], coordinates=coordinates, shape=shape, graph=graph, mesh=mesh, metric=metric, radius=radius
    )
    _, variance, count = moments(X)
    kept = count > 0
    if not kept.any():
        raise ValueError("every column of X is all NaN")
    part = structure.kept(kept)
    lengths = Lengths(np.asarray(max(part.typical_spacing(), 1e-300) ** 2), max(part.dimension, 1), False)
    placement = place(part, lengths, mesh="auto", resolution=1.0)
    nodes, used = smooth_variance(
        placement, variance[kept], smoothing, X=X[:, kept], random_state=random_state
    )
    out = np.full(X.shape[1], np.nan)
    out[kept] = placement.to_locations(nodes) if used else variance[kept]
    return out
