"""Similarity network fusion: the graphs of the views diffuse through each other until they agree."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from statkit.cluster._graphs import clipped_neighbors, nearest, squared_distances
from statkit.cluster._memory import require
from statkit.cluster._multiview_base import (
    COMMON_CONSTRAINTS,
    SCALE_CONSTRAINT,
    AffinityInput,
    BaseMultiViewClusterer,
)
from statkit.cluster._multiview_kernels import add_identity_upper, diffuse, normalize_upper
from statkit.cluster._scaling import fit_scaler
from statkit.cluster._spectral import cluster_rows, normalized_affinity, top_eigenvectors

if TYPE_CHECKING:
    from statkit._typing import Seed


class SimilarityNetworkFusion(BaseMultiViewClusterer):
    """Fuse the similarity graphs of several views into one, and cluster it.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters k; `suggest_n_clusters` of ``affinity_`` proposes one.
    views : dict, list or array-like, default=None
        Columns of each view when X is one table, see `OneStepMultiViewClustering`.
    n_neighbors : int, default=20
        Neighbours K, of the local width of the kernel and of the diffusion.
    mu : float, default=0.5
        Width of the kernel beside the local distances, 0.3 to 0.8 is usual.
    max_iter : int, default=20
        Rounds of diffusion.
    normalization : {"rows", "diagonal"}, default="rows"
        What keeps a graph from washing out in a round. ``"rows"``: its rows are normalised again, half of the
        weight to the sample itself, as in the R package SNFtool. ``"diagonal"``: the identity is added and
        rows are normalised at the start and the end only, as in the authors' first program (MATLAB) and in
        snfpy, which follows it. The two fuse to different graphs.
    affinity : {"local", "precomputed"}, default="local"
        ``"local"``: normal density of the Euclidean distance with local width. ``"precomputed"``: X holds
        non-negative affinities (n_samples, n_samples).
    scale : {"block", "standard", "minmax", None}, default="block"
        Scaling of the columns.
    missing : {"error", "mask"}, default="error"
        ``"mask"``: a row that is NaN throughout a view lacks that view; similarities come from the views that
        both samples have. Other NaN raise.
    n_init : int, default=20
        Starts of the k-means on the embedding; the least inertia is kept.
    random_state : int, RandomState or None, default=None
        For the k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
    affinity_ : ndarray of shape (n_samples, n_samples)
        The fused graph; diagonal ½, rows sum to about one.
    view_affinities_ : list of ndarray of shape (n_samples, n_samples)
        The graphs of the views before fusion.
    embedding_ : ndarray of shape (n_samples, n_clusters)
    n_iter_ : int
    view_names_ : list of str
    diagnostics_ : dict
        ``agreement``, ``weight_entropy``, ``largest_weight``.

    Notes
    -----
    With d the distances, m_i the mean distance to the K nearest and ε_ij = (m_i + m_j + d_ij)/3, the affinity
    is the normal density of d_ij with standard deviation μ ε_ij. P is W over twice its off-diagonal row sum,
    ½ on the diagonal; S keeps the K largest entries of each row of P. A round is P_v ← S_v (mean of the other
    P) S_vᵀ, normalised again. The graph is that of the R package SNFtool. With ``normalization="diagonal"`` P
    is W over its row sum, symmetric, and a round is P_v ← S_v (mean of the other P) S_vᵀ + I; the graph is
    that of snfpy (whose default distance is squared, ``metric="euclidean"`` there is ours).

    References
    ----------
    B. Wang, A. M. Mezlini, F. Demir and others (2014). Similarity network fusion for aggregating data types
    on a genomic scale. Nature Methods 11.

    Examples
    --------
    >>> from statkit.cluster import SimilarityNetworkFusion
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(120, 3, n_features=(5, 8), separations=(4.0, 4.0), random_state=0)
    >>> fit = SimilarityNetworkFusion(3, random_state=0).fit(blobs.views)
    >>> fit.affinity_.shape
    (120, 120)
    """

    _parameter_constraints: ClassVar[dict] = {
        **COMMON_CONSTRAINTS,
        **SCALE_CONSTRAINT,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "mu": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "normalization": [StrOptions({"rows", "diagonal"})],
        "affinity": [StrOptions({"local", "precomputed"})],
        "missing": [StrOptions({"error", "mask"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        views: Any = None,
        n_neighbors: int = 20,
        mu: float = 0.5,
        max_iter: int = 20,
        normalization: Literal["rows", "diagonal"] = "rows",
        affinity: Literal["local", "precomputed"] = "local",
        scale: Literal["block", "standard", "minmax", None] = "block",
        missing: Literal["error", "mask"] = "error",
        n_init: int = 20,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.views = views
        self.n_neighbors = n_neighbors
        self.mu = mu
        self.max_iter = max_iter
        self.normalization = normalization
        self.affinity = affinity
        self.scale = scale
        self.missing = missing
        self.n_init = n_init
        self.random_state = random_state

    def _read(self, X):
        if self.affinity == "precomputed":
            return AffinityInput(X, self)
        return super()._read(X)

    def _fit_views(self, read, rng):
        n = read.n_samples
        require(
            8 * n * n * (2 * len(read.names) + 2), f"the fusion of {len(read.names)} graphs of {n:,} samples"
        )
        n_neighbors = clipped_neighbors(self.n_neighbors, n, n - 1)
        scaled = None
        if isinstance(read, AffinityInput):
            W = [np.array(W_v) for W_v in read.stack]
        else:
            scaled = [
                _scaled(array, name, self.scale, None if read.seen is None else read.seen[:, v])
                for v, (array, name) in enumerate(zip(read.arrays, read.names, strict=True))
            ]
            W = self._local_affinities([s[1] for s in scaled], read.seen, n_neighbors)
        fused = fuse(W, n_neighbors, self.max_iter, read.seen, normalization=self.normalization)
        k = min(self.n_clusters, n)
        embedding = top_eigenvectors(normalized_affinity(fused), k)[1]
        labels, _ = cluster_rows(embedding, self.n_clusters, self.n_init, rng)
        return {
            "labels_": labels,
            "affinity_": fused,
            "view_affinities_": W,
            "embedding_": embedding,
            "n_iter_": self.max_iter,
            "_scaled": scaled,
            "_seen": read.seen,
        }

    def _local_affinities(self, arrays, seen, n_neighbors):
        """Affinities of the views; zero where one of two samples lacks the view."""
        affinities = []
        for v, X in enumerate(arrays):
            if seen is None or seen[:, v].all():
                affinities.append(local_affinity(X, n_neighbors, self.mu))
                continue
            rows = np.flatnonzero(seen[:, v])
            W = np.zeros((len(X), len(X)))
            if len(rows) > 1:
                W[np.ix_(rows, rows)] = local_affinity(X[rows], min(n_neighbors, len(rows) - 1), self.mu)
            affinities.append(W)
        return affinities

    def propagate(self, X: Any) -> Any:
        """Return clusters of new samples: fuse old and new ones, then let the labels diffuse.

        Parameters
        ----------
        X : as in `fit`
            The same views of other samples.

        Returns
        -------
        ndarray of shape (n_new,)

        Notes
        -----
        The new samples inform each other, so their labels depend on which of them are given together.
        """
        check_is_fitted(self)
        if self._scaled is None:
            raise ValueError(
                "propagate needs features: with affinity='precomputed' fit old and new samples together"
            )
        new = self._read_new(X)
        n, n_new = len(self.labels_), new.n_samples
        seen = None
        if self._seen is not None or new.seen is not None:
            V = len(new.names)
            old_seen = np.ones((n, V), bool) if self._seen is None else self._seen
            new_seen = np.ones((n_new, V), bool) if new.seen is None else new.seen
            seen = np.vstack([old_seen, new_seen])
        arrays = [
            np.vstack([old, _dense(scaler(array))])
            for (scaler, old), array in zip(self._scaled, new.arrays, strict=True)
        ]
        n_neighbors = min(self.n_neighbors, n + n_new - 1)
        W = self._local_affinities(arrays, seen, n_neighbors)
        fused = fuse(W, n_neighbors, self.max_iter, seen, normalization=self.normalization)
        np.fill_diagonal(fused, 0.0)
        P = fused[n:] / np.maximum(fused[n:].sum(axis=1, keepdims=True), np.finfo(float).tiny)
        known = np.eye(self.n_clusters)[self.labels_]
        # The fixed point of Y ← PY with the old labels held: (I − P_nn) Y_n = P_no Y_o.
        Y = np.linalg.lstsq(np.eye(n_new) - P[:, n:], P[:, :n] @ known, rcond=None)[0]
        return Y.argmax(axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.affinity == "precomputed"
        tags.input_tags.sparse = self.affinity != "precomputed"
        tags.input_tags.allow_nan = self.missing == "mask" and self.affinity != "precomputed"
        return tags


def _dense(X):
    return X.toarray() if hasattr(X, "toarray") else X


def _scaled(array, name, scale, seen):
    scaler = fit_scaler(array, name, scale, seen)
    return scaler, _dense(scaler(array) if seen is None else scaler(array, seen))


def local_affinity(X, n_neighbors, mu):
    """Normal density of the distances with local width, (n, n)."""
    d = np.sqrt(squared_distances(X))
    close = np.take_along_axis(d, nearest(d, n_neighbors), axis=1).mean(axis=1) + np.finfo(float).eps
    width = d + close[:, None]
    width += close[None, :]
    width *= mu / 3.0
    d /= width
    np.square(d, out=d)
    d *= -0.5
    np.exp(d, out=d)
    width *= np.sqrt(2 * np.pi)
    d /= width
    return 0.5 * (d + d.T)


def _neighbors_of(P, count):
    """The ``count`` largest entries of each row (the diagonal is one) over their sum: columns and values."""
    at = (
        np.argpartition(-P, count - 1, axis=1)[:, :count]
        if count < len(P)
        else np.tile(np.arange(len(P)), (len(P), 1))
    )
    at = np.sort(at, axis=1)
    values = np.take_along_axis(P, at, axis=1)
    total = values.sum(axis=1, keepdims=True)
    return at, values / np.where(total > 0, total, 1.0)  # all zero: the sample lacks the view


def fuse(affinities, n_neighbors, rounds, seen=None, *, normalization="rows"):
    """The fused graph of affinities (n, n): rounds of diffusion of each through the mean of the others."""
    by_rows = normalization == "rows"
    P = []
    for W in affinities:
        P.append(0.5 * (W + W.T))
        if by_rows:
            normalize_upper(P[-1])
        else:
            P[-1] = _shares(P[-1])
    V, n = len(P), len(P[0])
    have = None if seen is None else seen.astype(np.float64)
    if V > 1:
        _diffuse_rounds(P, [_neighbors_of(P_v, min(n_neighbors, n)) for P_v in P], have, rounds, by_rows)
    total = _masked_sum(P, have)
    if have is not None:
        total /= np.maximum(have @ have.T, 1.0)
    if by_rows:
        if V > 1:
            normalize_upper(total)
        return total
    total = _shares(total)
    total[np.diag_indices(n)] += 0.5
    return total


def _diffuse_rounds(P, S, have, rounds, by_rows):
    """Change the graphs in place."""
    V, n = len(P), len(P[0])
    others, turned = np.empty((n, n)), np.empty((n, n))
    for _ in range(rounds):
        total = _masked_sum(P, have)
        for v in range(V):
            if have is None:
                np.subtract(total, P[v], out=others)
                count = V - 1
            else:
                both = np.outer(have[:, v], have[:, v])
                np.subtract(total, P[v] * both, out=others)
                others /= np.maximum(have @ have.T - both, 1.0)  # other views that both samples have
                count = 1
            diffuse(*S[v], others, turned, P[v])
            if by_rows:  # a common factor does not survive this
                normalize_upper(P[v])
            else:
                add_identity_upper(P[v], 1.0 / count)


def _shares(W):
    """Every entry over the sum of its row, made symmetric; rows of zeros stay zero."""
    total = W.sum(axis=1)
    scale = 0.5 / np.where(total > 0, total, np.inf)
    return W * (scale[:, None] + scale)  # W is symmetric


def _masked_sum(P, have):
    if have is None:
        return sum(P[1:], P[0].copy())
    return sum(P_v * np.outer(have[:, v], have[:, v]) for v, P_v in enumerate(P))
