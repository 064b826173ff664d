"""From views to kernels: the Gram matrix of every view, centred and normalised to be comparable."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils.extmath import row_norms, safe_sparse_dot
from sklearn.utils.validation import check_array

from statkit.cluster._memory import require
from statkit.cluster._multiview_kernels import center_and_scale, rbf_exponent
from statkit.cluster._scaling import Scaler, fit_scaler
from statkit.cluster.views import Views, read_views

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


KERNELS = ("rbf", "linear", "poly", "cosine")
_MEDIAN_ROWS = 2_000  # the median distance is that of a sample of rows


def center_kernel(K: ArrayLike) -> Any:
    """Centre a kernel in its feature space: the samples' features get mean zero.

    Parameters
    ----------
    K : ndarray of shape (n_samples, n_samples)
        A symmetric kernel matrix.

    Returns
    -------
    ndarray of shape (n_samples, n_samples)
        K − 1μᵀ − μ1ᵀ + μ̄11ᵀ with μ the column means and μ̄ their mean; exactly symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.cluster import center_kernel
    >>> center_kernel(np.array([[2.0, 0.0], [0.0, 2.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    K = _square(K, "K")
    means = K.mean(axis=0)
    centred = K - means[None, :] - means[:, None] + means.mean()
    return 0.5 * (centred + centred.T)


def normalize_kernel(K: ArrayLike) -> Any:
    """Divide a kernel by the norms of its samples, so that its diagonal becomes one.

    Parameters
    ----------
    K : ndarray of shape (n_samples, n_samples)
        A symmetric kernel matrix.

    Returns
    -------
    ndarray of shape (n_samples, n_samples)
        K_ij / sqrt(K_ii K_jj). A sample of norm zero (up to rounding) keeps a row of zeros.

    Raises
    ------
    ValueError
        If the whole diagonal is zero: the kernel of a constant view.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.cluster import normalize_kernel
    >>> normalize_kernel(np.array([[4.0, 1.0], [1.0, 1.0]]))
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    K = _square(K, "K")
    inverse = _inverse_norms(np.diagonal(K), "the kernel")
    return K * inverse[:, None] * inverse[None, :]


def kernel_stack(
    views: Any,
    *,
    kernel: Any = "rbf",
    gamma: Any = "mean",
    degree: int | float = 3,
    coef0: int | float = 1.0,
    center: bool = True,
    normalize: bool = True,
    scale: Literal["block", "standard", "minmax", None] = "block",
    kernel_shift: float = 0.0,
    dtype: Any = np.float64,
) -> Any:
    """Return the kernels of several views as one array, ready for the methods of multiple kernels.

    Kernels of different kind differ in size by orders of magnitude, and a method that weights them would
    follow the size: centring and normalising make them comparable.

    Parameters
    ----------
    views : list or dict of arrays or frames, array or frame
        Views of shape (n_samples, n_features of the view); one table is one view. With
        ``kernel="precomputed"``: an array of shape (n_kernels, n_samples, n_samples), a list or dict of
        (n_samples, n_samples), or one of them.
    kernel : {"rbf", "linear", "poly", "cosine", "precomputed"}, callable, list or dict, default="rbf"
        Kernel of all views, or one for each view. A callable takes (X, Y) and returns the matrix.
    gamma : {"mean", "median", "scale"}, float or list, default="mean"
        Width of rbf and poly kernels. ``"mean"`` is 1 / mean of all n² squared distances of the scaled view;
        ``"median"`` 1 / median squared distance (of at most 2,000 rows); ``"scale"`` 1 / (features ×
        variance). A list makes one kernel of every view for each entry.
    degree, coef0 : int, float
        Of poly kernels.
    center, normalize : bool, default=True
        See `center_kernel`, `normalize_kernel`.
    scale : {"block", "standard", "minmax", None}, default="block"
        Scaling of the columns first: variance one and divided by the square root of their number; variance
        one; the unit interval; none.
    kernel_shift : float, default=0.0
        Added to the diagonal before anything else, to make an indefinite precomputed kernel definite.
    dtype : dtype, default=float64
        float32 halves the memory.

    Returns
    -------
    ndarray of shape (n_kernels, n_samples, n_samples)

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from statkit.cluster import kernel_stack
    >>> X = load_iris().data
    >>> kernel_stack({"sepal": X[:, :2], "petal": X[:, 2:]}).shape
    (2, 150, 150)
    """
    options = KernelOptions(kernel, gamma, degree, coef0, center, normalize, scale, kernel_shift)
    return fit_kernels(views, options, dtype=dtype).stack


@dataclass
class KernelOptions:
    """The kernel parameters that all kernel methods share."""

    kernel: Any = "rbf"
    gamma: Any = "mean"
    degree: float = 3
    coef0: float = 1.0
    center: bool = True
    normalize: bool = True
    scale: str | None = "block"
    kernel_shift: float = 0.0


@dataclass
class Kernels:
    """The kernels of the samples of a fit, with what it takes to evaluate them at new samples."""

    names: list[str]  # of the kernels
    view_of: np.ndarray  # which view a kernel belongs to
    views: Views | None  # None if precomputed
    functions: list = field(default_factory=list)
    scalers: list[Scaler] = field(default_factory=list)
    scaled: list = field(default_factory=list)  # scaled training views, one a view
    options: KernelOptions = field(default_factory=KernelOptions)
    means: list = field(default_factory=list)  # column means of the raw kernels
    inverse_norms: list = field(default_factory=list)  # of the centred kernels
    raw_diagonals: list = field(default_factory=list)
    stack: Any = None

    @property
    def n_samples(self):
        return len(self.means[0])

    def rows(self, p, start, stop):
        """Rows ``start:stop`` of kernel ``p``, centred and normalised."""
        if self.stack is not None:
            return self.stack[p, start:stop]
        X = self.scaled[self.view_of[p]]
        K = self.functions[p](X[start:stop], X)
        if self.options.kernel_shift:
            K[np.arange(stop - start), np.arange(start, stop)] += self.options.kernel_shift
        if self.options.center:
            means = self.means[p]
            K -= means[None, :]
            K -= (means[start:stop] - means.mean())[:, None]
        if self.options.normalize:
            K *= self.inverse_norms[p][start:stop, None]
            K *= self.inverse_norms[p][None, :]
        return K

    def cross(self, arrays):
        """Prepared kernels of new samples, given by view: (n_kernels, n_new, n_samples), and k(x, x) of each.

        Centring uses the means of the fit.
        """
        raw, own = [], []
        for p, v in enumerate(self.view_of):
            Y = self.scalers[v](arrays[v])
            raw.append(self.functions[p](Y, self.scaled[v]))
            own.append(self.functions[p].diagonal(Y) + self.options.kernel_shift)
        return self._prepare_new(raw, own)

    def cross_precomputed(self, raw):
        """The same from raw kernels (n_kernels, n_new, n_samples); k(x, x) is what it was in the fit."""
        own = []
        for name, known in zip(self.names, self.raw_diagonals, strict=True):
            if self.options.normalize and not np.allclose(known, known[0], rtol=1e-10):
                raise ValueError(
                    f"kernel {name!r} is precomputed and its diagonal is not constant, so k(x, x) of "
                    "new samples is "
                    "unknown and they cannot be normalised: fit on features, give kernels of "
                    "constant diagonal "
                    "(normalize_kernel), or set normalize=False"
                )
            own.append(np.full(raw.shape[1], known[0]))
        return self._prepare_new(raw, own)

    def _prepare_new(self, raw, own):
        K = np.array(raw, dtype=np.float64)
        own = np.array(own)
        for p, means in enumerate(self.means):
            if self.options.center:
                row_means = K[p].mean(axis=1)
                own[p] += means.mean() - 2 * row_means
                K[p] -= row_means[:, None] + means[None, :] - means.mean()
            if self.options.normalize:
                inverse = 1.0 / np.sqrt(np.where(own[p] > 1e-12, own[p], np.inf))
                K[p] *= inverse[:, None]
                K[p] *= self.inverse_norms[p][None, :]
                own[p] *= inverse**2
        return K, own


def fit_kernels(
    X, options: KernelOptions, *, views=None, estimator=None, dtype=np.float64, stacked=True, read=None
):
    """Read views and evaluate their kernels: the `Kernels` of a fit.

    With ``stacked=False`` only means and norms are kept, from two passes over row blocks: no array over all
    pairs of samples exists, and `Kernels.rows` evaluates rows when asked.
    """
    if isinstance(options.kernel, str) and options.kernel == "precomputed":
        return _fit_precomputed(X, options, estimator, dtype)
    read = read_views(X, views, estimator=estimator) if read is None else read
    specifications = _kernel_of_views(options.kernel, read.names)
    widths = list(options.gamma) if isinstance(options.gamma, list | tuple | np.ndarray) else [options.gamma]
    if not widths:
        raise ValueError("gamma is an empty list: give at least one width")
    n, m = read.n_samples, len(read.names) * len(widths)
    if stacked:
        require(m * n * n * np.dtype(dtype).itemsize, f"a stack of {m} kernels of {n:,} × {n:,} numbers")
    kernels = Kernels([], np.repeat(np.arange(len(read.names)), len(widths)), read, options=options)
    for v, name in enumerate(read.names):
        kernels.scalers.append(fit_scaler(read.arrays[v], name, options.scale))
        kernels.scaled.append(kernels.scalers[v](read.arrays[v]))
        for w, width in enumerate(widths):
            kernels.names.append(name if len(widths) == 1 else f"{name}[{w}]")
            kernels.functions.append(
                KernelFunction(specifications[v], width, options, kernels.scaled[v], name)
            )
    stack: Any = np.empty((m, n, n), dtype=dtype) if stacked else None
    for p in range(m):
        raw = kernels.functions[p]
        X_p = kernels.scaled[kernels.view_of[p]]
        kernels.raw_diagonals.append(raw.diagonal(X_p) + options.kernel_shift)
        if stacked:
            stack[p] = _checked_kernel(raw(X_p, X_p), kernels.names[p])
            _prepare(kernels, p, stack[p])
        else:
            means = np.zeros(n)
            if options.center:
                for start in range(0, n, _BLOCK):
                    means[start : start + _BLOCK] = raw(X_p[start : start + _BLOCK], X_p).mean(axis=1)
                means += options.kernel_shift / n
            kernels.means.append(means)
            diagonal = kernels.raw_diagonals[p] - (2 * means - means.mean() if options.center else 0.0)
            kernels.inverse_norms.append(
                _inverse_norms(diagonal, f"view {kernels.names[p]!r}") if options.normalize else np.ones(n)
            )
    kernels.stack = stack
    return kernels


_BLOCK = 512  # rows at a time when the whole matrix is not kept


def _prepare(kernels, p, K):
    """Shift, centre and normalise one kernel in place, and remember how."""
    options, name = kernels.options, kernels.names[p]
    if options.kernel_shift:
        K[np.diag_indices_from(K)] += options.kernel_shift
    means = K.mean(axis=0, dtype=np.float64)
    kernels.means.append(means)
    shift = means - 0.5 * means.mean() if options.center else np.zeros(len(K))
    inverse = np.ones(len(K))
    if options.normalize:
        inverse = _inverse_norms(np.diagonal(K) - 2 * shift, f"view {name!r}")
    center_and_scale(K, shift, inverse)
    if options.normalize:
        alive = inverse > 0
        K[alive, alive] = 1.0
    kernels.inverse_norms.append(inverse)


def _inverse_norms(diagonal, what):
    """1 / sqrt of the diagonal, 0 where a sample has no norm beside the others."""
    diagonal = np.asarray(diagonal, dtype=np.float64)
    largest = diagonal.max()
    if not largest > 1e-14:
        raise ValueError(
            f"{what} is constant: its kernel has norm zero, so it says nothing about clusters; leave it out"
        )
    return 1.0 / np.sqrt(np.where(diagonal > 1e-12 * largest, diagonal, np.inf))


# -- precomputed --------------------------------------------------------------------------------------------


def read_precomputed(X, *, what="kernel", estimator=None):
    """Names and arrays of precomputed kernels or affinities: a stack, a list or dict, or one matrix."""
    if isinstance(X, Mapping):
        if not X:
            raise ValueError("X is an empty dict: it needs at least one matrix")
        names, matrices = [str(name) for name in X], list(X.values())
    elif hasattr(X, "ndim") and X.ndim == 3:
        names, matrices = [f"view{p}" for p in range(len(X))], list(X)
    elif isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) == 2:
        names, matrices = [f"view{p}" for p in range(len(X))], list(X)
    else:
        names, matrices = ["view0"], [X]
    checked = []
    for name, K in zip(names, matrices, strict=True):
        try:
            checked.append(check_array(K, dtype=np.float64, estimator=estimator))
        except (ValueError, TypeError) as error:
            raise type(error)(f"{what} {name!r}: {error}" if len(names) > 1 else str(error)) from error
    return names, checked


def check_symmetric_pairs(names, matrices, what="kernel"):
    """Every matrix square, of one size, and symmetric to 1e-8 of its largest entry."""
    n = matrices[0].shape[0]
    for name, K in zip(names, matrices, strict=True):
        if K.shape != (n, n):
            raise ValueError(
                f"precomputed {what} {name!r} has shape {K.shape}; it must be square, one row and "
                "column a sample, "
                f"and all of them ({n}, {n})"
            )
        gap = np.abs(K - K.T)
        if gap.max() > 1e-8 * max(np.abs(K).max(), 1e-300):
            i, j = np.unravel_index(gap.argmax(), gap.shape)
            raise ValueError(
                f"precomputed {what} {name!r} is not symmetric: entry ({i}, {j}) is {K[i, j]:.6g} "
                f"and ({j}, {i}) is "
                f"{K[j, i]:.6g}; give (K + K.T) / 2 if the difference means nothing"
            )


def _fit_precomputed(X, options, estimator, dtype):
    names, matrices = read_precomputed(X, estimator=estimator)
    check_symmetric_pairs(names, matrices)
    n = len(matrices[0])
    if estimator is not None and n < estimator.n_clusters:
        raise ValueError(f"n_samples={n} should be >= n_clusters={estimator.n_clusters}: lower n_clusters")
    require(
        len(names) * n * n * np.dtype(dtype).itemsize,
        f"a stack of {len(names)} kernels of {n:,} × {n:,} numbers",
    )
    kernels = Kernels(names, np.arange(len(names)), None, options=options)
    stack = np.empty((len(names), n, n), dtype=dtype)
    for p, K in enumerate(matrices):
        stack[p] = K
        kernels.raw_diagonals.append(np.diagonal(K) + options.kernel_shift)
        if options.kernel_shift == 0.0 and n <= 2_000:
            lowest = np.linalg.eigvalsh(K)[0]
            if lowest < -1e-8 * max(np.abs(K).max(), 1e-300):
                warnings.warn(
                    f"precomputed kernel {names[p]!r} is indefinite: its smallest eigenvalue is "
                    f"{lowest:.3g}. "
                    f"kernel_shift={-lowest:.3g} would make it definite",
                    UserWarning,
                    stacklevel=4,
                )
        _prepare(kernels, p, stack[p])
    kernels.stack = stack
    return kernels


# -- evaluation ---------------------------------------------------------------------------------------------


def _kernel_of_views(kernel, names):
    """One kernel specification a view."""
    if isinstance(kernel, Mapping):
        by_name = {str(name): value for name, value in kernel.items()}
        absent = [name for name in names if name not in by_name]
        if absent:
            raise ValueError(f"kernel is a dict without the views {absent}")
        chosen = [by_name[name] for name in names]
    elif isinstance(kernel, list | tuple):
        if len(kernel) != len(names):
            raise ValueError(f"kernel lists {len(kernel)} kernels for {len(names)} views")
        chosen = list(kernel)
    else:
        chosen = [kernel] * len(names)
    for one in chosen:
        if not callable(one) and one not in KERNELS:
            raise ValueError(
                f"kernel must be one of {', '.join(KERNELS)}, 'precomputed' or a callable; got {one!r}"
            )
    return chosen


def mean_squared_distance(X) -> float:
    """Mean of all n² squared distances between rows, without forming them."""
    mean = np.asarray(X.mean(axis=0)).ravel()
    if sparse.issparse(X):
        return 2.0 * float(row_norms(X, squared=True).mean() - mean @ mean)
    return 2.0 * float(np.square(X - mean).sum() / X.shape[0])


class KernelFunction:
    """One kernel of one view, its width settled on the samples of the fit."""

    def __init__(self, kernel, gamma, options, X, name):
        self.kernel, self.options = kernel, options
        self.gamma = self._width(gamma, X, name) if kernel in ("rbf", "poly") else None

    @staticmethod
    def _width(gamma, X, name):
        if not isinstance(gamma, str):
            if not (np.isfinite(gamma) and gamma > 0):
                raise ValueError(f"gamma must be positive; got {gamma!r}")
            return float(gamma)
        if gamma == "mean":
            spread = mean_squared_distance(X)
        elif gamma == "median":
            rows = np.linspace(0, X.shape[0] - 1, min(X.shape[0], _MEDIAN_ROWS)).astype(np.intp)
            from sklearn.metrics import pairwise_distances

            squared = pairwise_distances(X[rows], metric="sqeuclidean")
            spread = float(np.median(squared[np.triu_indices_from(squared, k=1)]))
        elif gamma == "scale":
            mean = X.mean()
            square = X.multiply(X).mean() if sparse.issparse(X) else np.square(X).mean()
            spread = X.shape[1] * float(square - mean**2)
        else:
            raise ValueError(
                f"gamma must be 'mean', 'median', 'scale', a number or a list of them; got {gamma!r}"
            )
        if not spread > 0:
            raise ValueError(
                f"view {name!r}: gamma={gamma!r} is undefined, its typical distance is zero; give a number"
            )
        return 1.0 / spread

    def __call__(self, X, Y):
        if callable(self.kernel):
            K = np.asarray(self.kernel(X, Y), dtype=np.float64)
            if K.shape != (X.shape[0], Y.shape[0]):
                raise ValueError(
                    f"the kernel function returned shape {K.shape} for {X.shape[0]} × {Y.shape[0]} rows"
                )
            return K
        if self.kernel == "rbf":
            # Distances through the inner product, in place: one matrix, not four.
            K = np.ascontiguousarray(safe_sparse_dot(X, Y.T, dense_output=True), dtype=np.float64)
            rbf_exponent(K, row_norms(X, squared=True), row_norms(Y, squared=True), self.gamma)
            if X is Y:
                K.flat[:: len(K) + 1] = 0.0
            return np.exp(K, out=K)
        if self.kernel == "poly":
            return pairwise_kernels(
                X, Y, metric="poly", gamma=self.gamma, degree=self.options.degree, coef0=self.options.coef0
            )
        return pairwise_kernels(X, Y, metric=self.kernel)

    def diagonal(self, X):
        """k(x, x) of every row."""
        if self.kernel == "rbf":
            return np.ones(X.shape[0])
        squares = row_norms(X, squared=True)
        if self.kernel == "linear":
            return squares
        if self.kernel == "cosine":
            return (squares > 0).astype(np.float64)
        if self.kernel == "poly":
            return (self.gamma * squares + self.options.coef0) ** self.options.degree
        return np.array(
            [float(np.ravel(self.kernel(X[i : i + 1], X[i : i + 1]))[0]) for i in range(X.shape[0])]
        )


def _checked_kernel(K, name):
    if not np.isfinite(K).all():
        i, j = np.argwhere(~np.isfinite(K))[0]
        raise ValueError(f"the kernel of view {name!r} is not finite at samples ({i}, {j})")
    return K


def _square(K, name):
    K = check_array(K, dtype=np.float64, input_name=name)
    if K.shape[0] != K.shape[1]:
        raise ValueError(f"{name} has shape {K.shape}; a kernel is square")
    return K
