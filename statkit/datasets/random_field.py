"""Simulated random fields of a known correlation on lines, grids, points, meshes, the sphere and graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from sklearn.utils import Bunch

_DENSE = 4_000  # locations whose covariance is factored
_WAVES = 2_000  # random waves a sample beyond that, where there is no grid


def make_random_field(
    n_samples: int = 100,
    *,
    shape: Any = None,
    coordinates: Any = None,
    graph: Any = None,
    mesh: Any = None,
    metric: str = "euclidean",
    radius: float = 1.0,
    correlation_length: float | ArrayLike = 1.0,
    kernel: Any = "gaussian",
    variance: float | ArrayLike = 1.0,
    nugget: float = 0.0,
    missing: float = 0.0,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> Bunch:
    """Draw samples of a Gaussian field with covariance A(x) A(y) ρ(x - y).

    Parameters
    ----------
    n_samples : int, default=100
    shape, coordinates, graph, mesh, metric, radius
        Where the locations are, as for `statkit.decomposition.SchrodingerPCA`.
    correlation_length : float or array-like, default=1.0
        A number; (d,), one length an axis; (d, d), a matrix of squared lengths; (p,) or (p, d, d), one of
        them a location.
    kernel : str or ("matern", nu), default="gaussian"
    variance : float or array-like of shape (p,), default=1.0
        A² at each location, nugget included.
    nugget : float in [0, 1), default=0.0
        Share of the variance that is white noise.
    missing : float in [0, 1), default=0.0
        Share of the values that is replaced by NaN.
    random_state : int, RandomState, Generator or None, default=None

    Returns
    -------
    Bunch
        ``data`` (n_samples, p); ``variance`` (p,); ``coordinates`` (p, d), None on a graph; ``DESCR``.

    Notes
    -----
    Grids of equal cells use circulant embedding, graphs the heat kernel; up to 4,000 other locations a factor
    of the covariance, which are exact. More locations sum 2,000 random waves a sample, whose covariance is
    right but which is not quite Gaussian.

    Examples
    --------
    >>> from statkit.datasets import make_random_field
    >>> make_random_field(10, shape=(8, 9), correlation_length=2.0, random_state=0).data.shape
    (10, 72)
    """
    from sklearn.utils import Bunch

    from statkit.decomposition.fields.kernel import Kernel
    from statkit.decomposition.fields.lengths import read_lengths
    from statkit.decomposition.fields.modes import check_variance
    from statkit.decomposition.meshes.structure import count_locations, resolve_structure

    if not (isinstance(n_samples, (int, np.integer)) and n_samples >= 1):
        raise ValueError(f"n_samples must be a positive integer, got {n_samples!r}")
    for name, share in (("nugget", nugget), ("missing", missing)):
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be a share in [0, 1), got {share!r}")
    values = np.asarray(variance, dtype=float).ravel()
    p = len(values) if np.ndim(variance) else count_locations(coordinates, shape, graph, mesh)
    values = np.broadcast_to(values, (p,)).copy()
    check_variance(values)
    structure = resolve_structure(
        p, coordinates=coordinates, shape=shape, graph=graph, mesh=mesh, metric=metric, radius=radius
    )
    lengths = structure.mirrored(read_lengths(correlation_length, max(structure.dimension, 1), p))
    rng = random_state
    if not isinstance(rng, np.random.Generator):
        seed = rng.randint(2**31) if isinstance(rng, np.random.RandomState) else rng
        rng = np.random.default_rng(seed)
    unit = _draw(n_samples, structure, lengths, Kernel.of(kernel), rng)
    data = np.sqrt(1 - nugget) * unit
    if nugget:
        data += np.sqrt(nugget) * rng.standard_normal(data.shape)
    data *= np.sqrt(values)
    if missing:
        data[rng.random(data.shape) < missing] = np.nan
    coordinates = structure.coordinates
    if coordinates is not None and structure.signs is not None:
        coordinates = coordinates * structure.signs
    return Bunch(
        data=data,
        variance=values,
        coordinates=coordinates,
        DESCR=f"{n_samples} samples of a Gaussian random field at {p} locations, kernel {kernel}",
    )


def _draw(n, structure, lengths, kernel, rng) -> np.ndarray:
    """Unit-variance samples (n, p)."""
    p = structure.n_locations
    if structure.kind == "graph":
        from scipy.sparse.linalg import expm_multiply

        generator = structure.mesh.laplacian * (-0.25 * float(lengths.sigma))
        return expm_multiply(
            generator, rng.standard_normal((p, n)), traceA=float(generator.diagonal().sum())
        ).T
    if structure.kind == "grid" and structure.mesh.uniform and not lengths.varying:
        return _circulant(n, structure.mesh, lengths, kernel, rng)
    if p <= _DENSE or lengths.varying:
        from statkit.decomposition.fields.karhunen_loeve import correlation_matrix

        if p > 3 * _DENSE:
            raise ValueError(f"a varying correlation length at {p} locations: at most {3 * _DENSE} are drawn")
        matrix = correlation_matrix(structure, lengths, kernel, None, np.arange(p))
        value, vectors = np.linalg.eigh(matrix)
        return (rng.standard_normal((n, p)) * np.sqrt(np.maximum(value, 0))) @ vectors.T
    points = structure.points
    if lengths.isotropic:
        white = points / np.sqrt(float(lengths.sigma))
    else:
        white = np.linalg.solve(np.linalg.cholesky(lengths.sigma), points.T).T
    out = np.empty((n, p))
    for row in range(n):
        waves = rng.standard_normal((white.shape[1], _WAVES))
        if not kernel.gaussian:  # the spectrum of a Matérn field is a multivariate t
            waves /= np.sqrt(rng.chisquare(2 * kernel.nu, _WAVES) / (2 * kernel.nu))
        phase = rng.uniform(0, 2 * np.pi, _WAVES)
        for start in range(0, p, 2_000):
            part = slice(start, start + 2_000)
            out[row, part] = np.sqrt(2 / _WAVES) * np.cos(white[part] @ waves + phase).sum(axis=1)
    return out


def _circulant(n, mesh, lengths, kernel, rng) -> np.ndarray:
    """A torus large enough not to meet itself, and the grid cut out of it."""
    from scipy import fft

    size, offsets = [], []
    reach = lengths.longest() * kernel.reach(1e-4)
    for axis, cells in enumerate(mesh.shape):
        step = float(mesh.widths[axis][0])
        full = (
            cells if mesh.periodic[axis] else fft.next_fast_len(max(2 * cells, cells + int(reach / step) + 1))
        )
        k = np.arange(full)
        size.append(full)
        offsets.append(np.where(k <= full // 2, k, k - full) * step)
    shifts = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1)
    inverse = np.linalg.inv(lengths.matrix())
    r = np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", shifts, inverse, shifts), 0))
    spectrum = np.maximum(fft.fftn(kernel.correlation(r)).real, 0)
    spectrum *= np.prod(size) / spectrum.sum()  # clipping kept the variance
    inside = tuple(slice(cells) for cells in mesh.shape)
    out = np.empty((n, len(mesh.mass)))
    for row in range(0, n, 2):  # real and imaginary parts are two independent fields
        noise = rng.standard_normal(size) + 1j * rng.standard_normal(size)
        field = fft.fftn(np.sqrt(spectrum / np.prod(size)) * noise)[inside]
        out[row] = field.real[mesh.mask]
        if row + 1 < n:
            out[row + 1] = field.imag[mesh.mask]
    return out
