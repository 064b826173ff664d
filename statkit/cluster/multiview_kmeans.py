"""k-means over several views, with weights of the views and a robust loss: linear, and the baseline."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy import sparse
from sklearn.cluster import kmeans_plusplus
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from statkit.cluster._multiview_base import (
    COMMON_CONSTRAINTS,
    SCALE_CONSTRAINT,
    BaseMultiViewClusterer,
    WeightedFit,
    dense_views,
)
from statkit.cluster._scaling import fit_scaler

if TYPE_CHECKING:
    from statkit._typing import Seed

_SMALL = 1e-12  # a sample nearer to its centre than this is at it


class MultiViewKMeans(WeightedFit, BaseMultiViewClusterer):
    """k-means with one partition and centres in every view; views are weighted by how well they are
    explained.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    loss : {"l21", "l2"}, default="l21"
        ``"l21"``: distances, robust against outlying samples. ``"l2"``: squared distances, as k-means.
    weighting : {"equal", "auto"}, default="equal"
        Weights of the views: equal, or learned from how well they are explained. Learned weights favour views
        of few columns, which are easily explained: compare both with `compare_views`.
    power : float, default=8.0
        Exponent g of the learned weights, above 1. Small ones let one view take all the weight; with large
        ones the factor α^g of a view approaches the inverse of its error, so that all contribute the same.
    scale : {"block", "standard", "minmax", None}, default="block"
        Scaling of the columns.
    n_init : int, default=10
        Starts by k-means++; the least objective is kept.
    max_iter : int, default=300
        Most iterations of a start.
    tol : float, default=1e-6
        A start ends when the objective changes by less, relatively.
    batch_size : int, default=None
        Update the centres from so many random samples at a time, ``max_iter`` times at most; None: all
        samples.
    missing : {"error", "mask"}, default="error"
        ``"mask"``: a row that is NaN throughout a view lacks that view. Other NaN raise.
    random_state : int, RandomState or None, default=None
        For starts and batches.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    cluster_centers_ : list of ndarray of shape (n_clusters, n_features of the view)
        In the units of the data.
    view_weights_ : ndarray of shape (n_views,)
        α on the simplex.
    objective_ : float
    objective_path_ : ndarray of shape (n_iter_,)
        Never rises, without batches.
    n_iter_ : int
    view_names_, view_columns_ : list
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    Notes
    -----
    min Σ_v α_v^g Σ_i w_i ‖x_i^v − f^v_{y_i}‖ over labels, centres and weights on the simplex; g is ``power``.
    A view that some samples lack counts as if they had its mean error.

    References
    ----------
    X. Cai, F. Nie, H. Huang (2013). Multi-view k-means clustering on big data. IJCAI.

    Examples
    --------
    >>> from statkit.cluster import MultiViewKMeans
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(200, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> fit = MultiViewKMeans(3, weighting="auto", random_state=0).fit(blobs.views)
    >>> fit.view_weights_.round(1)
    array([0.5, 0.5])
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **SCALE_CONSTRAINT,
        "loss": [StrOptions({"l21", "l2"})],
        "weighting": [StrOptions({"auto", "equal"})],
        "power": [Interval(Real, 1, None, closed="neither")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "missing": [StrOptions({"error", "mask"})],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        loss: Literal["l21", "l2"] = "l21",
        weighting: Literal["equal", "auto"] = "equal",
        power: float = 8.0,
        scale: Literal["block", "standard", "minmax", None] = "block",
        n_init: int = 10,
        max_iter: int = 300,
        tol: float = 1e-6,
        batch_size: int | None = None,
        missing: Literal["error", "mask"] = "error",
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.loss = loss
        self.weighting = weighting
        self.power = power
        self.scale = scale
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.missing = missing
        self.random_state = random_state

    def _fit_views(self, read, rng, sample_weight=None):
        n = read.n_samples
        weight = self._checked_weights(sample_weight, n)
        seen = np.ones((n, len(read.names)), dtype=bool) if read.seen is None else read.seen
        scalers = [
            fit_scaler(array, name, self.scale, seen[:, v], weight)
            for v, (array, name) in enumerate(zip(read.arrays, read.names, strict=True))
        ]
        raw = dense_views(read)
        arrays = [
            scaler(array, seen[:, v]) for v, (scaler, array) in enumerate(zip(scalers, raw, strict=True))
        ]
        rows = _Rows(arrays, seen, weight)
        best = None
        for seed in rng.randint(np.iinfo(np.int32).max, size=self.n_init):
            run = _Run(self, rows, check_random_state(int(seed)))
            run.batches() if self.batch_size is not None else run.lloyd()
            if best is None or run.path[-1] < best.path[-1] * (1 - 1e-10):  # of equal ones the first
                best = run
        centers = []
        for scaler, F in zip(scalers, best.centers, strict=True):
            if scaler.divisor is None:
                centers.append(F)
            else:  # a constant column has an infinite divisor and stays at its value
                width = np.where(np.isfinite(scaler.divisor), scaler.divisor, 0.0)
                centers.append(F * width + scaler.shift)
        return {
            "labels_": best.labels,
            "cluster_centers_": centers,
            "view_weights_": best.alpha,
            "objective_": float(best.path[-1]),
            "objective_path_": np.array(best.path),
            "n_iter_": len(best.path),
            "_scalers": scalers,
            "_scaled_centers": best.centers,
            "_entering": best.entering,
        }

    def predict(self, X: Any) -> Any:
        """Return the cluster of new samples: the least weighted sum of distances to its centres.

        Parameters
        ----------
        X : as in `fit`
            The same views of other samples; with ``missing="mask"`` they may lack views.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        read = self._read_new(X)
        seen = np.ones((read.n_samples, len(read.names)), dtype=bool) if read.seen is None else read.seen
        arrays = [
            scaler(array, seen[:, v])
            for v, (scaler, array) in enumerate(zip(self._scalers, dense_views(read), strict=True))
        ]
        cost = sum(
            a * _errors(X_v, F, self.loss, seen[:, v])
            for v, (a, X_v, F) in enumerate(zip(self._entering, arrays, self._scaled_centers, strict=True))
        )
        return cost.argmin(axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags


def _errors(X, F, loss, seen):
    """Distances (or squared ones) of rows to centres, (n, k); zero for rows that lack the view."""
    D = X @ F.T
    D *= -2.0
    D += np.einsum("ij,ij->i", X, X)[:, None]
    D += np.einsum("ij,ij->i", F, F)[None, :]
    np.maximum(D, 0.0, out=D)
    if loss == "l21":
        np.sqrt(D, out=D)
    if not seen.all():
        D[~seen] = 0.0
    return D


class _Rows:
    """Scaled views, which of them each sample has, and the weights of the samples."""

    def __init__(self, arrays, seen, weight):
        self.arrays, self.seen, self.weight = arrays, seen, weight
        # Σw over Σw of the samples that have the view: a view with holes counts as a whole one.
        self.share = weight.sum() / np.maximum(weight @ seen, np.finfo(float).tiny)

    def take(self, at):
        rows = _Rows.__new__(_Rows)
        rows.arrays = [array[at] for array in self.arrays]
        rows.seen, rows.weight, rows.share = self.seen[at], self.weight[at], self.share
        return rows


class _Run:
    """One start: centres, labels, weights of the views."""

    def __init__(self, options, rows, rng):
        self.options, self.rows, self.rng = options, rows, rng
        V, k = len(rows.arrays), options.n_clusters
        self.alpha = np.full(V, 1.0 / V)
        whole = np.hstack(rows.arrays)
        _, at = kmeans_plusplus(whole, k, sample_weight=rows.weight, random_state=rng)
        self.centers = [array[at].copy() for array in rows.arrays]
        for F, has in zip(self.centers, rows.seen.T, strict=True):
            F[~has[at]] = 0.0  # a seed that lacks the view starts at its mean
        self.path = []

    @property
    def entering(self):
        """Factors of the views in the objective."""
        power = self.options.power if self.options.weighting == "auto" else 1.0
        return self.alpha**power * self.rows.share

    def costs(self, rows):
        errors = [
            _errors(X, F, self.options.loss, rows.seen[:, v])
            for v, (X, F) in enumerate(zip(rows.arrays, self.centers, strict=True))
        ]
        return errors, sum(a * e for a, e in zip(self.entering, errors, strict=True))

    def assign(self, rows):
        errors, total = self.costs(rows)
        labels = total.argmin(axis=1)
        return labels, np.stack([e[np.arange(len(labels)), labels] for e in errors], axis=1), total

    def reweigh(self, own, weight):
        """α given the errors of the views: closed form on the simplex."""
        h = (weight @ own) * self.rows.share
        if self.options.weighting == "auto":
            share = np.maximum(h, np.finfo(float).tiny) ** (1.0 / (1.0 - self.options.power))
            self.alpha = share / share.sum()
        return float((self.alpha ** (self.options.power if self.options.weighting == "auto" else 1.0)) @ h)

    def influence(self, own, weight, seen):
        """Weight of every sample in its centre: 1 / distance, and none where it is at the centre."""
        factor = weight[:, None] * seen
        if self.options.loss == "l2":
            return factor
        return np.where(own > _SMALL, factor / np.maximum(own, _SMALL), 0.0)

    def targets(self, v, X, labels, own, weight, seen):
        """Where the centres of view ``v`` go, and the mass that pulls them there.

        A step of Weiszfeld for the median; samples at the centre hold it back by their weight (Vardi, Zhang
        2000), without which a centre that starts at a sample would stay there.
        """
        factor = self.influence(own[:, v : v + 1], weight, seen[:, v : v + 1])[:, 0]
        sums, mass = _sums(X, factor, labels, len(self.centers[v]))
        alive = mass > 0
        target = np.where(alive[:, None], sums / np.where(alive, mass, 1.0)[:, None], self.centers[v])
        if self.options.loss == "l21":
            at = (own[:, v] <= _SMALL) & seen[:, v]
            held = np.bincount(labels[at], weights=weight[at], minlength=len(mass))
            pull = np.linalg.norm(sums - mass[:, None] * self.centers[v], axis=1)
            stay = np.where(pull > 0, np.minimum(1.0, held / np.where(pull > 0, pull, 1.0)), held > 0)
            target = (1 - stay)[:, None] * target + stay[:, None] * self.centers[v]
        return target, mass

    def lloyd(self):
        rows = self.rows
        for _ in range(self.options.max_iter):
            self.labels, own, total = self.assign(rows)
            self.fill(own, total)
            for v, X in enumerate(rows.arrays):
                self.centers[v] = self.targets(v, X, self.labels, own, rows.weight, rows.seen)[0]
            own = self.own_errors()
            self.path.append(self.reweigh(own, rows.weight))
            if len(self.path) > 1 and abs(self.path[-2] - self.path[-1]) <= self.options.tol * self.path[-1]:
                break
        self.labels, own, total = self.assign(rows)
        self.fill(own, total)

    def own_errors(self):
        own = np.empty((len(self.labels), len(self.centers)))
        for v, (X, F) in enumerate(zip(self.rows.arrays, self.centers, strict=True)):
            difference = np.square(X - F[self.labels]).sum(axis=1)
            own[:, v] = np.sqrt(difference) if self.options.loss == "l21" else difference
        own[~self.rows.seen] = 0.0
        return own

    def fill(self, own, total):
        """An empty cluster takes the sample that costs most where it is."""
        sizes = np.bincount(self.labels[self.rows.weight > 0], minlength=self.options.n_clusters)
        if sizes.all():
            return
        cost = (own @ self.entering) * (self.rows.weight > 0)
        for c in np.flatnonzero(sizes == 0):
            i = int(np.where((sizes[self.labels] > 1) & (self.rows.weight > 0), cost, -1.0).argmax())
            sizes[self.labels[i]] -= 1
            self.labels[i], sizes[c], cost[i], own[i] = c, 1, 0.0, 0.0
            for F, X, has in zip(self.centers, self.rows.arrays, self.rows.seen[i], strict=True):
                if has:
                    F[c] = X[i]

    def batches(self):
        """Centres as running means over random batches; all samples are assigned once at the end."""
        k, n = self.options.n_clusters, len(self.rows.weight)
        size = min(self.options.batch_size, n)
        mass_seen = [np.zeros(k) for _ in self.centers]
        smooth = None
        for _ in range(self.options.max_iter):
            batch = self.rows.take(self.rng.choice(n, size, replace=False))
            labels, own, _ = self.assign(batch)
            for v, X in enumerate(batch.arrays):
                target, mass = self.targets(v, X, labels, own, batch.weight, batch.seen)
                mass_seen[v] += mass
                step = mass / np.where(mass_seen[v] > 0, mass_seen[v], 1.0)
                self.centers[v] += step[:, None] * (target - self.centers[v])
            value = self.reweigh(own, batch.weight) / batch.weight.sum()
            before, smooth = smooth, value if smooth is None else 0.9 * smooth + 0.1 * value
            self.path.append(value * self.rows.weight.sum())
            if (
                before is not None
                and len(self.path) > 10
                and abs(before - smooth) <= self.options.tol * smooth
            ):
                break
        self.labels, own, total = self.assign(self.rows)
        self.fill(own, total)
        self.path.append(self.reweigh(self.own_errors(), self.rows.weight))


def _sums(X, factor, labels, k):
    """Weighted sums (k, d) and masses (k) of the rows of each label."""
    indicator = sparse.csr_array((factor, (labels, np.arange(len(labels)))), shape=(k, len(labels)))
    return indicator @ X, np.bincount(labels, weights=factor, minlength=k)
