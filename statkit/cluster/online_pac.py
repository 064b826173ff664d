"""Probability aggregation of a stream: every row is read once, and the past can be forgotten."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight

from statkit._unchanged import unchanged_on_error
from statkit.cluster._online_kernels import add_rows
from statkit.cluster._pac_base import SoftClusterer, check_weight
from statkit.cluster._pac_descent import Order, power_of
from statkit.cluster.pac import PAC

if TYPE_CHECKING:
    from statkit._typing import Seed


class OnlinePAC(SoftClusterer):
    """Probability aggregation clustering in one pass over the rows, or over batches as they arrive.

    The first ``init_size`` rows are clustered by :class:`PAC`; every later row is read once, gets its
    probabilities from the clusters as they stand, and is added to them. Memory does not grow with the rows.

    Parameters
    ----------
    n_clusters : int, default=8
    m : float or "auto", default="auto"
        Weight exponent; "auto" is chosen on the first ``init_size`` rows and kept.
    metric : {"sqeuclidean", "cosine"}, default="sqeuclidean"
    size_exponent : float in [0, 1], default=0.0
        As for :class:`PAC`.
    init_size : int or None, default=None
        Rows that are collected and clustered first; None is ``max(2000, 100 n_clusters)``.
    half_life : float or None, default=None
        Rows after which the weight of the past is halved; None forgets nothing.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    n_samples_seen_ : int
        Rows seen since the last ``fit``, or by ``partial_fit``.
    m_, m_critical_ : float
    cluster_weights_ : ndarray of shape (n_clusters,)
    cluster_scatter_ : ndarray of shape (n_clusters,)
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
    labels_ : ndarray of shape (n_samples,)
        After ``fit``: clusters of its rows. ``partial_fit`` removes it.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    Notes
    -----
    Rows are added one by one because a large batch placed at once overshoots: all its rows jump to the same
    cluster. A stream that is sorted by cluster forms its clusters on the first ``init_size`` rows alone.

    References
    ----------
    Yan, Lu and Yan (2024). Deep Online Probability Aggregation Clustering. ECCV.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from statkit.cluster import OnlinePAC, clustering_accuracy
    >>> X, y = make_blobs(10_000, 5, centers=4, random_state=1)
    >>> online = OnlinePAC(4, random_state=0)
    >>> for start in range(0, 10_000, 1000):
    ...     online = online.partial_fit(X[start : start + 1000])
    >>> online.n_samples_seen_, round(clustering_accuracy(y, online.predict(X)), 2)
    (10000, 1.0)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "m": [StrOptions({"auto"}), Interval(Real, 1, None, closed="left")],
        "metric": [StrOptions({"sqeuclidean", "cosine"})],
        "size_exponent": [Interval(Real, 0, 1, closed="both")],
        "init_size": [Interval(Integral, 1, None, closed="left"), None],
        "half_life": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        m: float | Literal["auto"] = "auto",
        metric: Literal["sqeuclidean", "cosine"] = "sqeuclidean",
        size_exponent: float = 0.0,
        init_size: int | None = None,
        half_life: float | None = None,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.m = m
        self.metric = metric
        self.size_exponent = size_exponent
        self.init_size = init_size
        self.half_life = half_life
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Forget everything and pass over the rows once, in random order.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
        """
        with unchanged_on_error(self):
            X = self._check_rows(X, reset=True)
            weight = check_weight(sample_weight, X, self.n_clusters)
            rng = check_random_state(self.random_state)
            first = self._init_rows()
            self._reset()
            if X.shape[0] <= first:
                self._form(X, weight, rng)
            else:
                present = np.flatnonzero(weight > 0)
                chosen = np.sort(rng.choice(present, min(first, present.size), replace=False))
                self._form(X[chosen], weight[chosen], rng)
                order = Order(X.shape[0], "random", rng)()
                later = np.ones(X.shape[0], dtype=bool)
                later[chosen] = False
                self._add(X, weight, order[later[order]])
            self.n_samples_seen_ = X.shape[0]
            self.labels_ = self.predict(X)
            return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Add a batch of rows, in the order in which they stand.

        A call that fails leaves the estimator as it was.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
        """
        with unchanged_on_error(self):
            begun = hasattr(self, "n_samples_seen_")
            X = self._check_rows(X, reset=not begun)
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            if not begun:
                self._reset()
            seen = self.n_samples_seen_ + X.shape[0]
            if self._predictor_or_none() is None:
                waiting = [*self._waiting, (X.copy(), weight)]
                if seen >= self._init_rows():
                    rows, weights = (
                        _stacked([rows for rows, _ in waiting]),
                        np.concatenate([w for _, w in waiting]),
                    )
                    check_weight(weights, rows, self.n_clusters)
                    self._form(rows[: self._init_rows()], weights[: self._init_rows()], self._rng)
                    rest = np.arange(self._init_rows(), rows.shape[0])
                    if rest.size:
                        self._add(rows, weights, rest)
                    waiting = []
                self._waiting = waiting
            else:
                self._add(X, weight, np.arange(X.shape[0]))
            self.n_samples_seen_ = seen
            vars(self).pop("labels_", None)
            return self

    def _init_rows(self):
        size = max(2000, 100 * self.n_clusters) if self.init_size is None else self.init_size
        return max(size, self.n_clusters)

    def _reset(self):
        self.n_samples_seen_ = 0
        self._waiting = []
        self._rng = check_random_state(self.random_state)
        vars(self).pop("_predictor", None)

    def _predictor_or_none(self):
        return vars(self).get("_predictor")

    def _form(self, X, weight, rng):
        """Cluster the first rows."""
        pac = PAC(
            self.n_clusters,
            m=self.m,
            metric=self.metric,
            size_exponent=self.size_exponent,
            subsample=None,
            random_state=rng,
        ).fit(X, sample_weight=weight)
        self._predictor = pac._predictor
        self.m_, self.m_critical_ = pac.m_, pac.m_critical_
        self._publish()

    def _add(self, X, weight, order):
        """Add rows to copies of the sums, then keep the copies."""
        old = self._predictor
        S, C, T, Z = old.S.copy(), old.C.copy(), old.T.copy(), old.Z.copy()
        keep = 1.0 if self.half_life is None else math.exp(-math.log(2.0) / self.half_life)
        a = float(self.size_exponent)
        step = 65_536
        for start in range(0, len(order), step):
            rows, chosen = X, order[start : start + step]
            w = weight
            if not isinstance(X, np.ndarray):  # a piece of CSR rows is made dense at a time
                rows, w = X[chosen].toarray(), weight[chosen]
                chosen = np.arange(len(chosen))
            add_rows(
                rows,
                chosen,
                old.shift,
                old.unit,
                w,
                S,
                C,
                T,
                Z,
                self.m_,
                power_of(self.m_),
                a,
                old.floor,
                keep,
            )
        self._predictor = old.moved(S, C, T, Z)
        self._publish()

    def _publish(self):
        clusters = self._predictor
        S = clusters.S
        self.cluster_weights_ = S.copy()
        self.cluster_scatter_ = clusters.scale * (clusters.T / S - 0.5 * clusters.Z / S**2)
        self.cluster_centers_ = clusters.C + clusters.shift

    def __sklearn_is_fitted__(self):
        return self._predictor_or_none() is not None

    def _check_fitted(self):
        if self._predictor_or_none() is None and hasattr(self, "n_samples_seen_"):
            raise NotFittedError(
                f"{self.n_samples_seen_} rows have arrived and the clusters form after {self._init_rows()}: "
                "call partial_fit with more rows, or set init_size"
            )
        super()._check_fitted()


def _stacked(parts):
    from scipy import sparse

    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack([sparse.csr_array(part) for part in parts]).tocsr()
    return np.ascontiguousarray(np.concatenate(parts))
