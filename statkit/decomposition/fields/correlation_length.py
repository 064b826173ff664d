"""The correlation length of a field from samples: an unbinned weighted fit to pair correlations."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.optimize import least_squares, minimize_scalar

from statkit.decomposition.fields.kernel import Kernel
from statkit.decomposition.fields.lengths import Lengths
from statkit.decomposition.fields.pairs import Pairs, choose_pairs, pair_correlations
from statkit.decomposition.fields.variance import moments
from statkit.decomposition.meshes.structure import Structure, resolve_structure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


AUTO_KERNELS = ("gaussian", "matern52", "matern32", "exponential")
_REWEIGHT = 3
_WIDE = 4.0  # a 95 % interval wider than this factor does not identify a length


@dataclass(frozen=True)
class CorrelationFit:
    """A fitted correlation function.

    Attributes
    ----------
    length : float, or ndarray
        Correlation length ℓ; (d, d) matrix of squared lengths when anisotropic; (p,) when varying.
    se : float, or ndarray of shape (d,)
        Standard error of ℓ, or of the principal lengths in ascending order, by resampling rows.
    nugget : float
        Share of the variance that is not correlated between locations.
    kernel : str or ("matern", nu)
        The kernel that was fitted, or chosen.
    sse : dict
        Weighted mean squared error of each kernel that was tried.
    identified : bool
        Whether the locations and the samples determine ℓ.
    table : DataFrame
        Binned correlations: distance, correlation, fitted, n_pairs (to look at; the fit is not binned).
    """

    length: Any
    se: Any
    nugget: float
    kernel: Any
    sse: dict
    identified: bool
    table: Any

    def conf_int(self, alpha: float = 0.05) -> tuple[float, float]:
        """Interval for an isotropic length, symmetric in its logarithm."""
        from scipy.special import ndtri

        half = -ndtri(alpha / 2) * self.se / self.length
        return float(self.length * np.exp(-half)), float(self.length * np.exp(half))


def estimate_correlation_length(
    X: ArrayLike,
    coordinates: Any = None,
    *,
    shape: Any = None,
    graph: Any = None,
    mesh: Any = None,
    metric: str = "euclidean",
    radius: float = 1.0,
    kernel: Any = "gaussian",
    nugget: Literal["fit"] | float = "fit",
    form: str = "isotropic",
    method: str = "fit",
    max_distance: float | None = None,
    max_pairs: int = 200_000,
    n_bootstrap: int = 30,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> CorrelationFit:
    """Estimate the correlation length of a field from samples, with its standard error.

    Correlations of pairs of locations are fitted without binning: in a sparse network equal-count bins mix
    distances and bias the length upwards, and their intervals miss it.

    Parameters
    ----------
    X : array-like of shape (n_samples, p)
        Samples; NaN is allowed, correlations are over common rows.
    coordinates, shape, graph, mesh, metric, radius
        Where the columns are: see `SchrodingerPCA`.
    kernel : str, ("matern", nu) or "auto", default="gaussian"
        "auto" takes the least squared error of gaussian, matern52, matern32, exponential.
    nugget : "fit" or float in [0, 1), default="fit"
        Share of the variance that is not correlated between locations.
    form : {"isotropic", "anisotropic", "varying"}, default="isotropic"
        "anisotropic" fits a matrix of squared lengths; "varying" one length a location from local fits,
        which is for exploration.
    method : {"fit", "neighbor"}, default="fit"
        "neighbor" is -d² / (2 log r) for the mean correlation r of nearest neighbours: right for a Gaussian
        correlation without nugget only.
    max_distance : float, default=None
        Largest distance of a pair; None is half the diameter of the domain.
    max_pairs : int, default=200_000
        Pairs that are looked at: near neighbours and a sample over all distances.
    n_bootstrap : int, default=30
        Resamples of the rows for the standard error; 0 gives NaN.
    random_state : int, RandomState, Generator or None, default=None
        For the sample of pairs and the resamples.

    Returns
    -------
    CorrelationFit

    Warns
    -----
    UserWarning
        When the length is not identifiable: no pair lies within 2 ℓ, or its interval is wider than a factor
        of 4.

    Examples
    --------
    >>> from statkit.datasets import make_random_field
    >>> from statkit.decomposition import estimate_correlation_length
    >>> field = make_random_field(200, shape=(20, 20), correlation_length=3.0, random_state=0)
    >>> fit = estimate_correlation_length(field.data, shape=(20, 20), random_state=0)
    >>> 2.8 < fit.length < 3.2
    True
    """
    X = np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions (samples, locations), got {X.ndim}")
    if np.any(np.isinf(X)):
        raise ValueError("X contains infinite values")
    structure = resolve_structure(
        X.shape[1], coordinates=coordinates, shape=shape, graph=graph, mesh=mesh, metric=metric, radius=radius
    )
    fit = fit_correlation(
        X,
        structure,
        kernel=kernel,
        nugget=nugget,
        form=form,
        method=method,
        max_distance=max_distance,
        max_pairs=max_pairs,
        n_bootstrap=n_bootstrap,
        random_state=random_state,
    )
    if not fit.identified:
        warn_unidentified(stacklevel=2)
    return fit


def warn_unidentified(stacklevel: int) -> None:
    warnings.warn(
        "correlation length is not identifiable from these locations; pass correlation_length",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


def fit_correlation(
    X: np.ndarray,
    structure: Structure,
    *,
    kernel="gaussian",
    nugget="fit",
    form: str = "isotropic",
    method: str = "fit",
    max_distance=None,
    max_pairs: int = 200_000,
    n_bootstrap: int = 30,
    random_state=None,
    known: tuple[np.ndarray, np.ndarray] | None = None,
) -> CorrelationFit:
    """`estimate_correlation_length` on a resolved structure, without the warning.

    `known` is the mean and variance of the columns, where they are known already.
    """
    if form not in ("isotropic", "anisotropic", "varying"):
        raise ValueError(f"form must be isotropic, anisotropic or varying, got {form!r}")
    if method not in ("fit", "neighbor"):
        raise ValueError(f"method must be fit or neighbor, got {method!r}")
    if not (isinstance(nugget, str) and nugget == "fit"):
        if isinstance(nugget, str) or not 0 <= nugget < 1:
            raise ValueError(f'nugget must be "fit" or a share in [0, 1), got {nugget!r}')
    if len(X) < 2:
        raise ValueError("a correlation length needs at least 2 samples; pass correlation_length")
    rng = _generator(random_state)
    if structure.kind == "graph":
        from statkit.decomposition.fields.graph_length import fit_graph_length

        if form != "isotropic":
            raise ValueError("on a graph the correlation length is one number")
        return fit_graph_length(X, structure.mesh, nugget, n_bootstrap, rng)
    kernels = [Kernel.of(k) for k in AUTO_KERNELS] if kernel == "auto" else [Kernel.of(kernel)]
    mean, variance = moments(X)[:2] if known is None else known
    varies = np.flatnonzero(variance > 0)  # a constant column correlates with nothing
    points = structure.points
    if len(varies) < 2:
        return unidentified_fit(structure.typical_spacing(), kernels[0])
    if len(varies) < len(points):
        X, points, mean = X[:, varies], points[varies], mean[varies]
    pairs = choose_pairs(
        points,
        rng,
        n_rows=len(X),
        max_pairs=max_pairs,
        max_distance=max_distance,
        spacing=structure.typical_spacing(),
    )
    counts = np.ones((1, len(X)))
    if n_bootstrap:
        draws = rng.multinomial(len(X), np.full(len(X), 1 / len(X)), n_bootstrap)
        counts = np.concatenate([counts, draws])
    r = pair_correlations(X, pairs, counts, mean)
    if method == "neighbor":
        return _from_neighbours(pairs, r, kernels[0])
    problem = LengthFit(pairs, points, r, len(X), nugget)
    best = min((problem.isotropic(k) for k in kernels), key=lambda f: f[3])
    sse = {k.name: problem.isotropic(k)[3] for k in kernels} if len(kernels) > 1 else {best[0].name: best[3]}
    chosen, length, signal, _ = best
    name = ("matern", chosen.nu) if chosen.name.startswith("matern(") else chosen.name
    se_log, inside = problem.spread(chosen, length, signal)
    identified = (
        inside
        and np.any(pairs.distance <= 2 * length)
        and (not n_bootstrap or np.exp(2 * 1.96 * se_log) <= _WIDE)
    )
    value: Any = length
    se: Any = length * se_log
    if form == "anisotropic":
        if structure.points.shape[1] != structure.dimension:
            raise ValueError("on a curved surface the correlation length is a number: form='isotropic'")
        if structure.dimension > 1:
            value, se, signal = problem.anisotropic(chosen, length, signal)
            value = structure.mirrored(Lengths(value, structure.dimension, False)).sigma
    elif form == "varying":
        value = problem.local(structure, chosen, length, signal)
    table = problem.table(chosen, value if form == "anisotropic" else length, signal)
    return CorrelationFit(value, se, float(1 - signal), name, sse, bool(identified), table)


def _generator(random_state) -> np.random.Generator:
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    return np.random.default_rng(random_state)


def unidentified_fit(length: float, kernel: Kernel) -> CorrelationFit:
    import pandas as pd

    table = pd.DataFrame(columns=["distance", "correlation", "fitted", "n_pairs"], dtype=float)
    return CorrelationFit(length, np.nan, 0.0, kernel.name, {}, False, table)


def _from_neighbours(pairs: Pairs, r: np.ndarray, kernel: Kernel) -> CorrelationFit:
    nearest = pairs.distance <= 1.1 * pairs.distance.min()
    mean = r[:, nearest].mean(axis=1)
    distance = pairs.distance[nearest].mean()
    usable = (mean > 0) & (mean < 1)
    if not usable[0]:
        return unidentified_fit(float(distance), kernel)
    lengths = np.sqrt(-(distance**2) / (2 * np.log(mean[usable])))
    se = float(lengths[1:].std(ddof=1)) if len(lengths) > 2 else np.nan
    problem = LengthFit(pairs, None, r, 2, 0.0)
    return CorrelationFit(
        float(lengths[0]),
        se,
        0.0,
        "gaussian",
        {},
        True,
        problem.table(Kernel.of("gaussian"), float(lengths[0]), 1.0),
    )


class LengthFit:
    """Weighted least squares of pair correlations on (1 - nugget) ρ(d / ℓ)."""

    def __init__(self, pairs: Pairs, points, r: np.ndarray, n_rows: int, nugget):
        self.pairs, self.points, self.r, self.n, self.nugget = pairs, points, r, n_rows, nugget
        positive = pairs.distance[pairs.distance > 0]
        self.low, self.high = (positive.min() / 4, positive.max() * 4) if len(positive) else (0.5, 2.0)

    def weights(self, rho: np.ndarray) -> np.ndarray:
        """Inverse variance of a sample correlation, (1 - ρ²)² / n, kept finite."""
        return 1 / ((1 - rho**2) ** 2 + 1 / self.n)

    def signal(self, rho, weights, r) -> float:
        """1 - nugget that fits best for given shape."""
        if self.nugget != "fit":
            return 1.0 - self.nugget
        denominator = np.sum(weights * rho * rho)
        return float(np.clip(np.sum(weights * rho * r) / denominator, 1e-3, 1)) if denominator > 0 else 1.0

    def isotropic(self, kernel: Kernel) -> tuple[Kernel, float, float, float]:
        distance, r = self.pairs.distance, self.r[0]
        grid = np.exp(np.linspace(np.log(self.low), np.log(self.high), 25))
        weights = np.ones(len(r))

        def loss(log_length):
            rho = kernel.correlation(distance / np.exp(log_length))
            return float(np.sum(weights * (r - self.signal(rho, weights, r) * rho) ** 2))

        length = 0.0
        for round_ in range(_REWEIGHT):
            if round_ == 0:
                at = int(np.argmin([loss(np.log(g)) for g in grid]))
                bracket = (np.log(grid[max(at - 1, 0)]), np.log(grid[min(at + 1, len(grid) - 1)]))
            else:
                bracket = (np.log(length) - 0.7, np.log(length) + 0.7)
            found = minimize_scalar(loss, bounds=bracket, method="bounded", options={"xatol": 1e-4})
            length = float(np.exp(found.x))
            rho = kernel.correlation(distance / length)
            signal = self.signal(rho, weights, r)
            weights = self.weights(signal * rho)
        length = float(np.clip(length, self.low, self.high))
        rho = kernel.correlation(distance / length)
        signal = self.signal(rho, weights, r)
        return kernel, length, signal, float(np.average((r - signal * rho) ** 2, weights=weights))

    def spread(self, kernel: Kernel, length: float, signal: float) -> tuple[float, bool]:
        """Standard error of log ℓ: one Gauss–Newton step from the fit for each resample."""
        distance = self.pairs.distance
        rho = kernel.correlation(distance / length)
        h = 1e-4
        up, down = (kernel.correlation(distance / (length * np.exp(s))) for s in (h, -h))
        jacobian = [signal * (up - down) / (2 * h)]
        if self.nugget == "fit":
            jacobian.append(rho)
        jacobian = np.stack(jacobian, axis=1)
        inside = self.low * 1.01 < length < self.high * 0.99
        if len(self.r) < 3:
            return np.nan, inside
        steps = gauss_newton_steps(jacobian, self.weights(signal * rho), self.r)
        return float(steps[:, 0].std(ddof=1)), inside

    def anisotropic(self, kernel: Kernel, length: float, signal: float):
        """Fit Σ through the Cholesky factor of its inverse; returns Σ, errors of the axes, 1 - nugget."""
        h, r = self.pairs.difference, self.r[0]
        d = h.shape[1]
        lower = np.tril_indices(d)
        fitted = self.nugget == "fit"

        def factor(theta):
            out = np.zeros((d, d))
            out[lower] = theta[: len(lower[0])]
            out[np.diag_indices(d)] = np.exp(np.diag(out))
            return out

        def model(theta):
            rho = kernel.correlation(np.linalg.norm(h @ factor(theta), axis=1))
            return (theta[-1] if fitted else 1.0 - self.nugget) * rho

        start = np.zeros(len(lower[0]))
        start[lower[0] == lower[1]] = -np.log(length)
        starts = [start]
        strong = r > 0.3
        if strong.sum() > 2 * len(start):  # -2 log r = hᵀ Σ⁻¹ h, as a Gaussian would have it
            terms = np.stack(
                [h[strong, a] * h[strong, b] * (1 if a == b else 2) for a, b in zip(*lower, strict=True)], 1
            )
            found = np.linalg.lstsq(terms, -2 * np.log(np.minimum(r[strong] / signal, 0.999)), rcond=None)[0]
            inverse = np.zeros((d, d))
            inverse[lower] = found
            inverse = inverse + inverse.T - np.diag(np.diag(inverse))
            value, axes = np.linalg.eigh(inverse)
            value = np.clip(value, 1 / (16 * length**2), 16 / length**2)
            cholesky = np.linalg.cholesky((axes * value) @ axes.T)
            cholesky[np.diag_indices(d)] = np.log(np.diag(cholesky))
            starts.append(cholesky[lower])
        best = None
        for first in starts:
            theta = np.append(first, signal) if fitted else first
            for _ in range(_REWEIGHT):
                root = np.sqrt(self.weights(np.clip(model(theta), -0.999, 0.999)))
                bounds = (np.full(len(theta), -np.inf), np.full(len(theta), np.inf))
                if fitted:
                    bounds[0][-1], bounds[1][-1] = 1e-3, 1.0
                    theta[-1] = np.clip(theta[-1], 2e-3, 1 - 1e-6)
                result = least_squares(
                    lambda t, w=root: w * (r - model(t)), theta, bounds=bounds, x_scale="jac"
                )
                theta = result.x
            if best is None or result.cost < best[0]:
                best = (result.cost, theta, result.jac / -root[:, None], root**2)
        _, theta, jacobian, weights = best

        def sigma(t):
            g = factor(t)
            return np.linalg.inv(g @ g.T)

        value = sigma(theta)
        se = np.full(d, np.nan)
        if len(self.r) >= 3:
            moved = [
                np.sqrt(np.linalg.eigvalsh(sigma(theta + s)))
                for s in gauss_newton_steps(jacobian, weights, self.r)
            ]
            se = np.std(moved, axis=0, ddof=1)
        return value, se, float(theta[-1] if fitted else 1.0 - self.nugget)

    def local(self, structure: Structure, kernel: Kernel, length: float, signal: float) -> np.ndarray:
        """One length a location: fits with Gaussian weights of radius 3 ℓ around knots, log ℓ smoothed."""
        from scipy.spatial import cKDTree
        from scipy.spatial.distance import cdist

        points, pairs = structure.points, self.pairs
        middle = 0.5 * (self.points[pairs.i] + self.points[pairs.j])
        knots = _spread_out(points, 40)
        near = np.exp(-0.5 * (cdist(knots, middle) / (3 * length)) ** 2)
        base = kernel.correlation(pairs.distance / length)
        near *= self.weights(signal * base)
        grid = np.exp(np.linspace(np.log(max(length / 4, self.low)), np.log(min(length * 4, self.high)), 61))
        rho = signal * kernel.correlation(pairs.distance[:, None] / grid)
        loss = near @ (self.r[0][:, None] - rho) ** 2
        log_length = np.log(grid[np.argmin(loss, axis=1)])
        k = min(6, len(knots))
        distance, neighbour = cKDTree(knots).query(points, k=k)
        distance, neighbour = distance.reshape(-1, k), neighbour.reshape(-1, k)
        gap = np.median(cKDTree(knots).query(knots, k=2)[0][:, 1]) if len(knots) > 1 else 1.0
        weight = np.exp(-0.5 * ((distance - distance[:, :1]) / max(gap, 1e-12)) ** 2)
        return np.exp((weight * log_length[neighbour]).sum(axis=1) / weight.sum(axis=1))

    def table(self, kernel: Kernel, length, signal: float, n_bins: int = 20):
        import pandas as pd

        distance, r = self.pairs.distance, self.r[0]
        if np.ndim(length):
            white = np.linalg.solve(np.linalg.cholesky(length), self.pairs.difference.T)
            fitted = signal * kernel.correlation(np.linalg.norm(white, axis=0))
        else:
            fitted = signal * kernel.correlation(distance / length)
        edges = np.linspace(0, distance.max() * (1 + 1e-9), n_bins + 1)
        number = np.clip(np.digitize(distance, edges) - 1, 0, n_bins - 1)
        count = np.bincount(number, minlength=n_bins)
        some = count > 0

        def mean(values):
            return (np.bincount(number, values, n_bins)[some] / count[some]).astype(float)

        return pd.DataFrame(
            {
                "distance": mean(distance),
                "correlation": mean(r),
                "fitted": mean(fitted),
                "n_pairs": count[some],
            }
        )


def gauss_newton_steps(jacobian, weights, r) -> np.ndarray:
    """Gauss–Newton steps of the resamples away from the full sample's fit."""
    normal = jacobian.T @ (weights[:, None] * jacobian)
    normal += 1e-12 * np.trace(normal) * np.eye(len(normal)) + 1e-300 * np.eye(len(normal))
    return np.linalg.solve(normal, jacobian.T @ (weights * (r[1:] - r[0])).T).T


def _spread_out(points: np.ndarray, n: int) -> np.ndarray:
    """Farthest-point selection of up to n locations."""
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(n, len(points)) and distance.max() > 0:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return points[chosen]
