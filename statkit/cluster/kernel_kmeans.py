"""Kernel k-means: Lloyd's algorithm in the feature space of a kernel, from a spectral start."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from statkit.cluster._multiview_base import (
    COMMON_CONSTRAINTS,
    KERNEL_CONSTRAINTS,
    KernelClusterer,
    WeightedFit,
)
from statkit.cluster._spectral import cluster_rows, top_eigenvectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


class NearestMean:
    """``predict`` by the nearest mean of a cluster in feature space, of what ``_assignment`` holds."""

    def predict(self, X: Any) -> Any:
        """Return the cluster of new samples: the nearest mean in feature space.

        Parameters
        ----------
        X : as in `fit`
            The same views of other samples; if precomputed, kernels of shape (n_kernels, n_new, n_samples).

        Returns
        -------
        ndarray of shape (n_new,)
        """
        return np.concatenate([self._assignment(K) for K, _ in self._cross(X)])


class KernelKMeans(NearestMean, WeightedFit, KernelClusterer):
    """k-means in the feature space of a kernel; of several views, of the mean of their kernels.

    Plain k-means finds round clusters of the features; with a kernel it finds round clusters of what the
    kernel sees. The mean of the kernels of several views is the baseline that every weighting has to beat.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    init : {"spectral", "k-means++", "random"} or array-like of shape (n_samples,), default="spectral"
        Start: k-means on the leading eigenvectors, k-means++ in the feature space, random labels, or labels
        0 … k−1.
    polish : bool, default=True
        Run Lloyd's algorithm from the start; False keeps the start (spectral clustering of the kernel).
    kernel, gamma, degree, coef0, center, normalize, scale, kernel_shift
        Kernels of the views, see `kernel_stack`. ``kernel="precomputed"``: X holds the kernels.
    n_init : int, default=10
        Starts; the least objective is kept. The spectral start makes them in its k-means.
    max_iter : int, default=300
        Most iterations of a start.
    random_state : int, RandomState or None, default=None
        For the starts.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    objective_ : float
        Sum of squared distances to the means of the clusters, in feature space.
    lower_bound_ : float
        What no partition can go below: the trace minus the k leading eigenvalues.
    embedding_ : ndarray of shape (n_samples, n_clusters)
        The leading eigenvectors.
    n_iter_ : int
    view_names_, kernel_names_ : list of str
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    Notes
    -----
    With Y the indicator of clusters and n_c their sizes, the distance of sample i to the mean of cluster c is
    K_ii − 2 (KY)_ic / n_c + (YᵀKY)_cc / n_c². An emptied cluster gets the sample that is farthest from its
    mean. For n too large for n × n numbers use a map of the kernel (`sklearn.kernel_approximation`) and
    k-means.

    References
    ----------
    I. S. Dhillon, Y. Guan, B. Kulis (2004). Kernel k-means, spectral clustering and normalized cuts. KDD.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_circles
    >>> from statkit.cluster import KernelKMeans
    >>> X, y = make_circles(200, factor=0.3, noise=0.05, random_state=0)
    >>> labels = KernelKMeans(2, gamma=3.0, random_state=0).fit_predict(X)
    >>> labels.shape
    (200,)
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **KERNEL_CONSTRAINTS,
        "init": [StrOptions({"spectral", "k-means++", "random"}), "array-like"],
        "polish": ["boolean"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        init: Literal["spectral", "k-means++", "random"] | ArrayLike = "spectral",
        polish: bool = True,
        kernel: Any = "rbf",
        gamma: Any = "mean",
        degree: Any = 3,
        coef0: Any = 1.0,
        center: bool = True,
        normalize: bool = True,
        scale: Any = "block",
        kernel_shift: Any = 0.0,
        n_init: int = 10,
        max_iter: int = 300,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.init = init
        self.polish = polish
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.center = center
        self.normalize = normalize
        self.scale = scale
        self.kernel_shift = kernel_shift
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    def _fit_views(self, kernels, rng, sample_weight=None):
        n, k = kernels.n_samples, self.n_clusters
        K = kernels.stack.mean(axis=0)
        weight = self._checked_weights(sample_weight, n)
        root = np.sqrt(weight)
        weighted = K if sample_weight is None else K * root[:, None] * root[None, :]
        values, H = top_eigenvectors(weighted, min(k, n))
        best = None
        for start in self._starts(K, H, weight, rng):
            labels, n_iter = lloyd(K, start, weight, k, self.max_iter) if self.polish else (start, 0)
            objective, within, mass = objective_of(K, labels, weight, k)
            if best is None or objective < best[0]:
                best = objective, labels, within, mass, n_iter
        objective, labels, within, mass, n_iter = best
        return {
            "labels_": labels,
            "objective_": objective,
            "lower_bound_": float(weight @ np.diagonal(K) - values.sum()),
            "embedding_": H,
            "n_iter_": n_iter,
            "kernel_weights_": np.full(len(kernels.names), 1.0 / len(kernels.names)),
            "_assignment": Assignment(
                labels, weight, within, mass, np.full(len(kernels.names), 1 / len(kernels.names))
            ),
        }

    def _starts(self, K, H, weight, rng):
        n, k = len(K), self.n_clusters
        if not isinstance(self.init, str):
            labels = np.asarray(self.init)
            if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
                raise ValueError(f"init must hold one integer label for each of the {n} samples")
            if labels.min() < 0 or labels.max() >= k:
                raise ValueError(f"init must hold integer labels from 0 to n_clusters - 1 = {k - 1}")
            yield labels.astype(np.intp)
        elif self.init == "spectral":
            yield cluster_rows(H, k, self.n_init, rng, sample_weight=weight)[0]
        else:
            for _ in range(self.n_init):
                yield rng.randint(k, size=n) if self.init == "random" else _plus_plus(K, weight, k, rng)


class Assignment:
    """Nearest mean in the feature space of a weighted sum of kernels, for new samples."""

    def __init__(self, labels, weight, within, mass, kernel_weights):
        self.share = np.zeros((len(labels), len(mass)))
        self.share[np.arange(len(labels)), labels] = weight / np.where(mass > 0, mass, np.inf)[labels]
        self.norms = np.where(mass > 0, within, np.inf)
        self.kernel_weights = kernel_weights

    def __call__(self, K):
        return (self.norms - 2 * np.tensordot(self.kernel_weights, K, axes=1) @ self.share).argmin(axis=1)


def _distances(K, labels, weight, k):
    """Squared distances to the means up to the constant K_ii, (n, k); squared norms of the means; masses."""
    Y = np.zeros((len(K), k))
    Y[np.arange(len(K)), labels] = weight
    mass = Y.sum(axis=0)
    safe = np.where(mass > 0, mass, 1.0)
    KY = K @ Y
    within = np.einsum("ic,ic->c", Y, KY) / safe**2
    D = within - 2 * KY / safe
    D[:, mass == 0] = np.inf
    return D, within, mass


def lloyd(K, labels, weight, k, max_iter):
    """Lloyd's algorithm in feature space; no cluster stays empty. Returns labels and iterations."""
    labels = np.asarray(labels, dtype=np.intp).copy()
    diagonal = np.diagonal(K)
    for iteration in range(1, max_iter + 1):
        D, _, _ = _distances(K, labels, weight, k)
        new = D.argmin(axis=1)
        # A sample moves only if it gains: ties would run in circles.
        own = D[np.arange(len(K)), labels]
        gains = D[np.arange(len(K)), new] < own - 1e-12 * np.abs(own)
        new = np.where(gains, new, labels)
        far = diagonal + D[np.arange(len(K)), new]
        far = np.where(weight > 0, far, -np.inf)
        sizes = np.bincount(new[weight > 0], minlength=k)
        for c in np.flatnonzero(sizes == 0):
            candidates = np.where(sizes[new] > 1, far, -np.inf)
            i = int(candidates.argmax())
            sizes[new[i]] -= 1
            new[i], sizes[c], far[i] = c, 1, -np.inf
        if np.array_equal(new, labels):
            return labels, iteration
        labels = new
    return labels, max_iter


def objective_of(K, labels, weight, k):
    """Sum of weighted squared distances to the means, the squared norms of the means, the masses."""
    D, within, mass = _distances(K, labels, weight, k)
    own = np.diagonal(K) + D[np.arange(len(K)), labels]
    return float(weight[weight > 0] @ own[weight > 0]), within, mass


def _plus_plus(K, weight, k, rng):
    """k-means++ in feature space: labels of the nearest of k samples drawn by squared distance."""
    diagonal = np.diagonal(K)
    first = rng.choice(len(K), p=weight / weight.sum())
    D = np.maximum(diagonal + K[first, first] - 2 * K[first], 0.0)[:, None]
    for _ in range(1, k):
        odds = weight * D.min(axis=1)
        odds = odds if odds.sum() > 0 else weight
        i = rng.choice(len(K), p=odds / odds.sum())
        D = np.hstack([D, np.maximum(diagonal + K[i, i] - 2 * K[i], 0.0)[:, None]])
    return D.argmin(axis=1)
