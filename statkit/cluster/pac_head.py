"""Probability aggregation for networks: targets for a minibatch, and a linear soft head trained on them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from statkit._magnitude import check_magnitude
from statkit._unchanged import unchanged_on_error
from statkit.cluster._pac_linear import unit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


def opa_targets(
    proba: ArrayLike,
    X: ArrayLike | None = None,
    distances: ArrayLike | None = None,
    *,
    m: float = 1.03,
    power_weights: bool = False,
) -> Any:
    """Targets of one minibatch: one aggregation step from the network's own probabilities.

    ``q ∝ G^(-1 / (m - 1))``, ``G = D π``: an object's target is the cluster whose members, by the present
    probabilities, are nearest. Train the network with the cross-entropy between ``q`` (a constant) and its
    output for another view of the same objects. One such step from an online solution sharpens the
    probabilities and keeps the clusters of similar size.

    Parameters
    ----------
    proba : array-like of shape (n_batch, n_clusters)
        π, the network's probabilities; anything with ``__array__`` (detach a tensor first).
    X : array-like of shape (n_batch, n_features), optional
        Features of the same objects; distances are 1 - cosine.
    distances : array-like of shape (n_batch, n_batch), optional
        Give these or ``X``; the diagonal is taken as zero.
    m : float, default=1.03
        Weight exponent, above 1.
    power_weights : bool, default=False
        Aggregate with π^m, as :class:`PAC` does, instead of π.

    Returns
    -------
    ndarray of shape (n_batch, n_clusters)
        Rows sum to 1.

    References
    ----------
    Yan, Lu and Yan (2024). Deep Online Probability Aggregation Clustering. ECCV.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.cluster import opa_targets
    >>> features = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> proba = np.array([[0.6, 0.4], [0.55, 0.45], [0.4, 0.6], [0.5, 0.5]])
    >>> opa_targets(proba, features).argmax(axis=1)
    array([0, 0, 1, 1])
    """
    pi = check_array(proba, dtype=np.float64)
    if (X is None) == (distances is None):
        raise ValueError("give either features X or distances")
    if not np.isfinite(m) or m <= 1:
        raise ValueError(f"m must be finite and above 1, got {m}")
    if np.any(pi < 0):
        raise ValueError("proba has negative entries: pass probabilities, not logits")
    if X is not None:
        z, _ = unit_rows(check_array(X, dtype=np.float64))
        D = np.maximum(1.0 - z @ z.T, 0.0)
    else:
        D = check_array(distances, dtype=np.float64, copy=True)
    if D.shape != (len(pi), len(pi)):
        raise ValueError(f"proba has {len(pi)} rows, the distances have shape {D.shape}")
    np.fill_diagonal(D, 0.0)
    G = D @ (pi**m if power_weights else pi)
    floor = 1e-14 * float(G.max(initial=0.0))
    return softmax(-np.log(np.maximum(G, max(floor, 1e-300))) / (m - 1.0), axis=1)


class PACHead(ClusterMixin, BaseEstimator):
    """A linear softmax head on frozen embeddings, trained on the aggregation targets of its minibatches.

    The smallest network that :func:`opa_targets` can train: rows are standardised, and Adam follows the
    gradient ``(π - q) / batch``. It shows the recipe and clusters embeddings without a deep-learning library;
    :class:`OnlinePAC` is the better clusterer, above all below 2,000 rows with many features.

    Parameters
    ----------
    n_clusters : int, default=8
    m : float, default=1.03
    learning_rate : float, default=1e-2
    batch_size : int, default=256
    max_iter : int, default=50
        Passes over the rows.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    coef_ : ndarray of shape (n_clusters, n_features)
        Of the standardised rows.
    intercept_ : ndarray of shape (n_clusters,)
    labels_ : ndarray of shape (n_samples,)
    loss_path_ : list of float
        Mean cross-entropy between target and output in each pass.
    n_iter_ : int
        Passes made.
    n_features_in_ : int

    References
    ----------
    Yan, Lu and Yan (2024). Deep Online Probability Aggregation Clustering. ECCV.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from statkit.cluster import PACHead, clustering_accuracy
    >>> X, y = load_digits(return_X_y=True)
    >>> labels = PACHead(10, random_state=0).fit_predict(X)
    >>> clustering_accuracy(y, labels) > 0.7
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "m": [Interval(Real, 1, None, closed="neither")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        m: float = 1.03,
        learning_rate: float = 1e-2,
        batch_size: int = 256,
        max_iter: int = 50,
        random_state: Seed = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.m = m
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the head.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self
        """
        with unchanged_on_error(self):
            X = validate_data(self, X, dtype=np.float64)
            check_magnitude(X)
            n, d = X.shape
            if n < self.n_clusters:
                raise ValueError(f"n_samples={n} should be >= n_clusters={self.n_clusters}.")
            rng = check_random_state(self.random_state)
            mean, scale = X.mean(axis=0), X.std(axis=0)
            scale[scale == 0] = 1.0
            Z = np.column_stack([(X - mean) / scale, np.ones(n)])
            W = 0.01 * rng.standard_normal((d + 1, self.n_clusters))
            first, second, step = np.zeros_like(W), np.zeros_like(W), 0
            losses = []
            for _ in range(self.max_iter):
                loss = 0.0
                order = rng.permutation(n)
                for rows in np.array_split(order, max(1, n // self.batch_size)):
                    z = Z[rows]
                    pi = softmax(z @ W, axis=1)
                    q = opa_targets(pi, X[rows], m=self.m)
                    loss -= float(np.sum(q * np.log(np.maximum(pi, 1e-300))))
                    gradient = z.T @ (pi - q) / len(rows)
                    step += 1
                    first = 0.9 * first + 0.1 * gradient
                    second = 0.999 * second + 0.001 * gradient**2
                    correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                    W -= self.learning_rate * correction * first / (np.sqrt(second) + 1e-8)
                losses.append(loss / n)
            self._mean, self._scale = mean, scale
            self.coef_, self.intercept_ = W[:-1].T.copy(), W[-1].copy()
            self.loss_path_, self.n_iter_ = losses, self.max_iter
            self.labels_ = np.argmax(Z @ W, axis=1).astype(np.int32)
            return self

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of shape (n_samples, n_clusters).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return softmax((X - self._mean) / self._scale @ self.coef_.T + self.intercept_, axis=1)

    def predict(self, X: Any) -> Any:
        """Most probable cluster of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        """
        return np.argmax(self.predict_proba(X), axis=1).astype(np.int32)
