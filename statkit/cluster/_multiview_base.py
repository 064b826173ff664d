"""What the multi-view clusterers share: reading views, refusing too few samples, and the honest report."""

from __future__ import annotations

import copy
import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from statkit._magnitude import check_magnitude
from statkit._unchanged import unchanged_on_error
from statkit.cluster._scaling import SCALES, fit_scaler
from statkit.cluster.kernels import (
    KERNELS,
    KernelOptions,
    check_symmetric_pairs,
    fit_kernels,
    read_precomputed,
)
from statkit.cluster.views import Views, read_new_views, read_views

if TYPE_CHECKING:
    import pandas as pd


_SOLO_ROWS = 1_000  # agreement of a view is measured on a sample of so many rows
_CROSS_NUMBERS = 16_000_000  # kernel entries of new samples at a time
_HEAVY = 0.9  # a view that holds more of the weight than this is worth a warning

COMMON_CONSTRAINTS = {
    "n_clusters": [Interval(Integral, 1, None, closed="left")],
    "views": [dict, list, tuple, "array-like", None],
    "random_state": ["random_state"],
}
SCALE_CONSTRAINT = {"scale": [StrOptions(set(SCALES)), None]}
KERNEL_CONSTRAINTS = {
    "kernel": [StrOptions({*KERNELS, "precomputed"}), callable, list, tuple, dict],
    "gamma": [
        StrOptions({"mean", "median", "scale"}),
        Interval(Real, 0, None, closed="neither"),
        list,
        tuple,
    ],
    "degree": [Interval(Real, 0, None, closed="neither")],
    "coef0": [Real],
    "center": ["boolean"],
    "normalize": ["boolean"],
    "kernel_shift": [Real],
    **SCALE_CONSTRAINT,
}


class BaseMultiViewClusterer(ClusterMixin, BaseEstimator):
    """Fit and report of a clusterer of views; subclasses say how the labels are made.

    A subclass has ``_fit_views(read, random_state, ...)``, which returns a dict of fitted attributes: nothing
    of the estimator changes before it returns, so a fit that fails leaves an earlier one whole.
    """

    _sparse_views = True

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Cluster the samples.

        Parameters
        ----------
        X : list or dict of arrays or frames, array or frame
            Views, (n_samples, n_features of the view) each; or one table with ``views`` saying which columns
            are which view (frames with two levels of columns: one view a first level).
        y : Ignored
            Present for the conventions of scikit-learn.

        Returns
        -------
        self
        """
        with unchanged_on_error(self):
            return self._fit(X)

    def _fit(self, X, sample_weight=None):
        read = self._read(X)
        self._check_samples(read)
        rng = check_random_state(self.random_state)
        if sample_weight is None:
            fitted = self._fit_views(read, rng)
        else:
            fitted = self._fit_views(read, rng, sample_weight)
        self._record(read, fitted)
        self._warn_of_weights()
        return self

    # -- input ----------------------------------------------------------------------------------------------

    def _read(self, X):
        missing = getattr(self, "missing", "error") == "mask"
        return read_views(X, self.views, estimator=self, missing=missing, accept_sparse=self._sparse_views)

    def _read_new(self, X):
        check_is_fitted(self)
        missing = getattr(self, "missing", "error") == "mask"
        return read_new_views(
            X,
            self.views,
            self._fitted_views,
            estimator=self,
            missing=missing,
            accept_sparse=self._sparse_views,
        )

    def _check_samples(self, read):
        if read.n_samples < self.n_clusters:
            raise ValueError(
                f"n_samples={read.n_samples} should be >= n_clusters={self.n_clusters}: lower n_clusters"
            )
        if read.n_samples < 2:
            raise ValueError("n_samples=1: clustering needs two samples or more")

    # -- output ---------------------------------------------------------------------------------------------

    def _record(self, read, fitted):
        """Take the fitted attributes, with names and the report beside them."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)
        for name, value in fitted.items():
            setattr(self, name, value)
        views = getattr(read, "views", read)
        self.view_names_ = list(read.names) if views is None else list(views.names)
        if views is not None:
            self.view_columns_ = views.columns
            self.n_features_in_ = views.n_features
            if views.feature_names is not None:
                self.feature_names_in_ = views.feature_names
            # Reading new samples needs widths and names, not the data.
            self._fitted_views = copy.copy(views)
            self._fitted_views.arrays = [_Shape(array.shape) for array in views.arrays]
            self._fitted_views.seen = None
        else:
            self.n_features_in_ = read.n_samples
        weights = self._view_shares = self._weights_of_views(read)
        self.diagnostics_ = {
            "agreement": self._agreement(read),
            "weight_entropy": _entropy(weights),
            "largest_weight": float(np.max(weights)),
        }

    def _warn_of_weights(self):
        weights = self._view_shares
        if len(weights) > 1 and np.max(weights) > _HEAVY:
            heavy = self.view_names_[int(np.argmax(weights))]
            warnings.warn(
                f"view {heavy!r} holds {np.max(weights):.0%} of the weight: automatic weights "
                "favour views of low complexity, which need not be the informative ones. Compare with equal "
                "weights (weighting='average'), see statkit.cluster.compare_views",
                UserWarning,
                stacklevel=5,
            )

    def _weights_of_views(self, read):
        """Share of every view in the weights that were fitted; equal where a method has none."""
        n_views = len(self.view_names_)
        if hasattr(self, "view_weights_"):
            weights = np.asarray(self.view_weights_, dtype=np.float64)
        elif hasattr(self, "kernel_weights_"):
            weights = np.bincount(read.view_of, weights=self.kernel_weights_, minlength=n_views)
        else:
            return np.full(n_views, 1.0 / n_views)
        total = weights.sum()
        return weights / total if total > 0 else np.full(n_views, 1.0 / n_views)

    def _agreement(self, read):
        """Adjusted Rand index, a view, between the labels and k-means of that view alone."""
        n = read.n_samples
        views = getattr(read, "views", read)
        rows = (
            np.arange(n) if n <= _SOLO_ROWS else np.random.default_rng(0).choice(n, _SOLO_ROWS, replace=False)
        )
        agreement = {}
        for v, name in enumerate(self.view_names_):
            kept = rows
            if views is None:
                block = read.stack[v][np.ix_(rows, rows)]
            else:
                block = views.arrays[v][rows]
                if views.seen is not None:
                    kept = rows[views.seen[rows, v]]
                    block = views.arrays[v][kept]
            agreement[name] = self._solo_agreement(block, name, kept, views is None)
        return agreement

    def _solo_agreement(self, block, name, rows, pairwise):
        labels = self.labels_[rows]
        if block.shape[0] <= self.n_clusters or self.n_clusters == 1:
            return np.nan
        from statkit.cluster._spectral import top_eigenvectors, unit_rows

        if pairwise:
            points = unit_rows(top_eigenvectors(block, min(self.n_clusters, len(block) - 1))[1])
        else:
            try:
                points = fit_scaler(block, name, getattr(self, "scale", "block") or "block")(block)
            except ValueError:  # constant on the rows of the sample
                return np.nan
        if sparse.issparse(points):
            points = points.tocsr()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fewer distinct rows than clusters
            solo = KMeans(self.n_clusters, n_init=3, random_state=0).fit_predict(points)
        return float(adjusted_rand_score(labels, solo))

    def _view_residuals(self):
        """Share of every view that the fit leaves unexplained; NaN where a method has no such thing."""
        return np.full(len(self.view_names_), np.nan)

    def summary(self) -> pd.DataFrame:
        """Return one line a view: its columns, weight, agreement with the consensus, residual.

        Returns
        -------
        pandas.DataFrame
            Index ``view``; columns ``columns`` (number of features), ``weight`` (share, sums to one),
            ``agreement`` (adjusted Rand index between the labels and k-means of the view alone), ``residual``
            (unexplained share of the view, above one where the fit is worse than
            none; NaN where the method has none).
        """
        import pandas as pd

        check_is_fitted(self)
        columns = getattr(self, "view_columns_", None)
        return pd.DataFrame(
            {
                "columns": [len(c) for c in columns] if columns is not None else self.n_features_in_,
                "weight": self._view_shares,
                "agreement": [self.diagnostics_["agreement"][name] for name in self.view_names_],
                "residual": self._view_residuals(),
            },
            index=pd.Index(self.view_names_, name="view"),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._sparse_views
        return tags


class WeightedFit:
    """``fit`` with weights of the samples, for the methods whose sums can carry them."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Cluster the samples.

        Parameters
        ----------
        X : list or dict of arrays or frames, array or frame
            Views, (n_samples, n_features of the view) each; or one table, see ``views``.
        y : Ignored
            Present for the conventions of scikit-learn.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights in the objective; a weight of two is the same sample twice. Kernels are centred and
            normalised without them.

        Returns
        -------
        self
        """
        with unchanged_on_error(self):
            return self._fit(X, sample_weight)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit and return ``labels_``; parameters as `fit`."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def _checked_weights(self, sample_weight, n_samples):
        weight = np.ones(n_samples)
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, weight)
            check_magnitude(weight, "sample_weight")
        if np.count_nonzero(weight) < self.n_clusters or weight.min() < 0:
            raise ValueError(
                f"sample_weight must be ≥ 0 and positive for at least n_clusters={self.n_clusters} samples"
            )
        return weight


class KernelClusterer(BaseMultiViewClusterer):
    """A clusterer that sees its views through kernels."""

    def _options(self):
        return KernelOptions(
            self.kernel, self.gamma, self.degree, self.coef0, self.center, self.normalize, self.scale,
            self.kernel_shift,
        )  # fmt: skip

    @property
    def _precomputed(self):
        return isinstance(self.kernel, str) and self.kernel == "precomputed"

    def _read(self, X):
        if self._precomputed:
            return fit_kernels(X, self._options(), estimator=self)
        read = super()._read(X)
        self._check_samples(read)  # before n² numbers are made
        return fit_kernels(
            X, self._options(), estimator=self, stacked=self._stacked(read.n_samples), read=read
        )

    def _stacked(self, n_samples):
        return True

    def _record(self, read, fitted):
        super()._record(read, fitted)
        self.kernel_names_ = list(read.names)
        self._kernels = copy.copy(read)
        # New samples need scaled views, means and norms, neither raw views nor the n² numbers.
        self._kernels.stack = self._kernels.views = None

    def _cross(self, X):
        """Blocks of new samples: their prepared kernels against those of the fit, and their own k(x, x)."""
        check_is_fitted(self)
        n, m = self._kernels.n_samples, len(self._kernels.names)
        block = max(1, _CROSS_NUMBERS // (n * m))
        if not self._precomputed:
            new = self._read_new(X)
            for start in range(0, new.n_samples, block):
                yield self._kernels.cross([array[start : start + block] for array in new.arrays])
            return
        _, matrices = read_precomputed(X, estimator=self)
        if len(matrices) != m:
            raise ValueError(f"X has {len(matrices)} kernels; the fit had {m}")
        for name, K in zip(self._kernels.names, matrices, strict=True):
            if K.shape[1] != n:
                raise ValueError(
                    f"X has {K.shape[1]} features, but {type(self).__name__} is expecting {n} "
                    "features as input: "
                    f"kernel {name!r} of new samples needs one column for each of the {n} samples of the fit"
                )
        for start in range(0, len(matrices[0]), block):
            yield self._kernels.cross_precomputed(np.stack([K[start : start + block] for K in matrices]))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self._precomputed
        tags.input_tags.sparse = not self._precomputed
        return tags


class _Shape:
    """Stands for an array whose numbers are no longer needed."""

    def __init__(self, shape):
        self.shape = shape


class AffinityInput:
    """Precomputed affinities in the place of views: names and matrices, no columns."""

    views = None
    seen = None

    def __init__(self, X, estimator):
        """Read them: square, symmetric, non-negative."""
        self.names, self.stack = read_precomputed(X, what="affinity", estimator=estimator)
        check_symmetric_pairs(self.names, self.stack, what="affinity")
        for name, W in zip(self.names, self.stack, strict=True):
            if W.min() < 0:
                i, j = np.unravel_index(W.argmin(), W.shape)
                raise ValueError(
                    f"affinity {name!r} is negative at ({i}, {j}): {W[i, j]:.6g}; affinities are ≥ 0"
                )
            if not W.any():
                raise ValueError(f"affinity {name!r} is zero everywhere; leave it out")

    @property
    def n_samples(self):
        return len(self.stack[0])


def _entropy(weights):
    """Entropy of the weights over its maximum: 1 for equal weights, 0 if one view holds all."""
    w = np.asarray(weights, dtype=np.float64)
    if len(w) < 2:
        return 1.0
    w = w[w > 0]
    return float(-(w * np.log(w)).sum() / np.log(len(weights)))


def dense_views(read: Views) -> list[np.ndarray]:
    """The views as dense arrays, for methods linear in the samples that need them so."""
    from statkit.cluster._memory import require

    for name, array in zip(read.names, read.arrays, strict=True):
        if sparse.issparse(array):
            require(8 * array.shape[0] * array.shape[1], f"view {name!r} as a dense array")
    return [array.toarray() if sparse.issparse(array) else array for array in read.arrays]
