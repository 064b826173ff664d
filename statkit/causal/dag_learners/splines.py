"""Additive models: parents that act on a column through smooth functions of their own, summed.

All regressions are read off one matrix of products of spline functions, so a search costs small linear systems and
no pass over rows. Averages of that matrix over completed tables are expected sufficient statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.interpolate import BSpline

from statkit.causal.acyclicity import reachability
from statkit.causal.knowledge import Knowledge

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["additive_splines"]

_DEGREE = 3
#: Share of the mean diagonal that is added to the products of a regression: spline functions may be almost collinear.
_RIDGE = 1e-5
#: Changes of the graph, a column, after which the search stops.
_MOVES = 20


class SplineBasis:
    """Cubic splines of every column, linear beyond their outer knots.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        NaN where missing; knots are quantiles of what is observed.
    w : ndarray of shape (n,)
        Row weights.
    n_knots : int
        Knots of a column, its extremes included.
    """

    def __init__(self, X, w, n_knots: int):
        self.knots = [_knots(column, w, n_knots) for column in np.asarray(X, dtype=float).T]
        sizes = [
            len(knots) - 2 - _DEGREE for knots in self.knots
        ]  # one function is left out: it is the constant
        self.start = np.concatenate([[0], np.cumsum(sizes)])

    @property
    def size(self) -> int:
        """Number of functions of all columns."""
        return int(self.start[-1])

    def columns(self, parents) -> np.ndarray:
        """Return the numbers of the functions of some columns."""
        ranges = [np.arange(self.start[i], self.start[i + 1]) for i in parents]
        return np.concatenate([np.empty(0, dtype=np.int64), *ranges]).astype(np.int64)

    def evaluate(self, column: int, x) -> np.ndarray:
        """Return the functions of a column at some values, shape (len(x), functions)."""
        knots = self.knots[column]
        low, high = knots[_DEGREE], knots[-_DEGREE - 1]
        inside = np.clip(x, low, high)
        out = BSpline.design_matrix(inside, knots, _DEGREE).toarray()
        beyond = np.flatnonzero(x != inside)
        if len(beyond):
            slope = BSpline(knots, np.eye(out.shape[1]), _DEGREE).derivative()(np.array([low, high]))
            end = (x[beyond] > high).astype(int)
            out[beyond] += slope[end] * (x[beyond] - inside[beyond])[:, None]
        return out[:, :-1]

    def design(self, X) -> np.ndarray:
        """Return the functions of all columns of a complete table, shape (n, size)."""
        return np.hstack([self.evaluate(j, X[:, j]) for j in range(X.shape[1])])


def _knots(x, w, n_knots: int) -> np.ndarray:
    """Weighted quantiles of a column, the extremes repeated as B-splines want it."""
    used = np.flatnonzero((w > 0) & ~np.isnan(x))
    order = used[np.argsort(x[used])]
    share = np.cumsum(w[order]) / w[order].sum()
    at = np.searchsorted(share, np.linspace(0.0, 1.0, n_knots) - 1e-9)
    inner = np.unique(x[order[np.minimum(at, len(order) - 1)]])
    return np.concatenate([[inner[0]] * _DEGREE, inner, [inner[-1]] * _DEGREE])


class Products(NamedTuple):
    """Weighted means of products: of spline functions, with the columns, and of the columns; all centred.

    ``G`` (m, m), ``C`` (m, d), ``variances`` (d,); ``centre`` (m,) the means of the functions.
    """

    G: np.ndarray
    C: np.ndarray
    variances: np.ndarray
    centre: np.ndarray

    @classmethod
    def of(cls, basis: SplineBasis, X, w) -> Products:
        B = basis.design(X)
        total = w.sum()
        centre = w @ B / total
        B -= centre
        R = X - w @ X / total
        weighted = B * w[:, None]
        return cls(B.T @ weighted / total, weighted.T @ R / total, w @ np.square(R) / total, centre)

    @classmethod
    def mean(cls, many: list[Products]) -> Products:
        return cls(*(np.mean(parts, axis=0) for parts in zip(*many, strict=True)))


class AdditiveScore:
    """Penalised log-likelihood of the parents of a column, each set computed once.

    Parameters
    ----------
    basis, products
    counts : float or ndarray of shape (d, d)
        Number of rows, or for every pair the number of those in which both are observed.
    price : float
        Log-likelihood that an edge must bring, beyond that of its further parameters.
    """

    def __init__(self, basis: SplineBasis, products: Products, counts, price: float):
        self.basis, self.products = basis, products
        d = len(products.variances)
        self.counts = np.broadcast_to(np.asarray(counts, dtype=float), (d, d))
        # A smooth function of m parameters that is not there still brings (m - 1) / 2 more than a straight line;
        # twice that is asked of it, as Akaike does.
        self.prices = price + np.diff(basis.start) - 1.0
        self._known: dict[tuple[int, bytes], float] = {}

    def coefficients(self, j: int, parents) -> np.ndarray:
        """Return the coefficients of the functions of the parents."""
        at = self.basis.columns(parents)
        G = self.products.G[np.ix_(at, at)]
        G = G + _RIDGE * np.trace(G) / max(len(at), 1) * np.eye(len(at))
        return np.linalg.solve(G, self.products.C[at, j])

    def log_variance(self, j: int, parents: np.ndarray) -> float:
        """Return the log residual variance of a column given its parents (d,) bool."""
        key = j, parents.tobytes()
        if key not in self._known:
            at = np.flatnonzero(parents)
            explained = (
                self.products.C[self.basis.columns(at), j] @ self.coefficients(j, at) if len(at) else 0.0
            )
            own = self.products.variances[j]
            self._known[key] = float(np.log(max(own - explained, 1e-8 * own)))
        return self._known[key]

    def gain(self, i: int, j: int, parents: np.ndarray) -> float:
        """Return what ``i`` adds as a parent of ``j`` to the others in ``parents``, less its price."""
        without, with_ = parents.copy(), parents.copy()
        without[i], with_[i] = False, True
        fall = self.log_variance(j, without) - self.log_variance(j, with_)
        return 0.5 * self.counts[i, j] * fall - self.prices[i]


def additive_splines(
    X: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    penalty: float | None = None,
    n_knots: int = 5,
    knowledge: Knowledge | None = None,
) -> np.ndarray:
    """Find a graph in which parents act through smooth functions that add up, from a complete table.

    Edges are added, removed and turned one at a time while that raises the penalised likelihood of Gaussian noise.
    With functions that are not straight lines the direction of an edge is identified.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Without missing values.
    sample_weight : array-like of shape (n,), default=None
    penalty : float, default=None
        Log-likelihood that an edge must bring, beyond that of its further parameters; None is log n.
    n_knots : int, default=5
        Knots of a column's splines, at quantiles.
    knowledge : Knowledge, default=None

    Returns
    -------
    ndarray of bool, shape (d, d)

    References
    ----------
    P. Bühlmann, J. Peters, J. Ernest (2014), "CAM: Causal additive models, high-dimensional order search and
    penalized regression".

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal.dag_learners import additive_splines
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=500)
    >>> additive_splines(np.column_stack([np.tanh(2 * x) + 0.3 * rng.normal(size=500), x])).astype(int)
    array([[0, 0],
           [1, 0]])
    """
    X = np.array(X, dtype=float)
    if X.ndim != 2 or not np.isfinite(X).all():
        raise ValueError("X must be a table without missing or infinite values")
    w = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    basis = SplineBasis(X, w, n_knots)
    price = float(np.log(max(w.sum(), 2.0))) if penalty is None else penalty
    score = AdditiveScore(basis, Products.of(basis, X, w), w.sum(), price)
    return search(score, Knowledge.none(X.shape[1]) if knowledge is None else knowledge)


def search(score: AdditiveScore, knowledge: Knowledge, start: np.ndarray | None = None) -> np.ndarray:
    """Climb from a graph: the best edge to add, remove or turn, until none gains."""
    A = knowledge.required.copy() if start is None else start.copy()
    d = len(A)
    for _ in range(_MOVES * d):
        move, best = None, 1e-9
        ahead = reachability(A)
        for i in range(d):
            for j in range(d):
                if A[i, j] and not knowledge.required[i, j]:
                    loss = score.gain(i, j, A[:, j])
                    if -loss > best:
                        move, best = (i, j, False), -loss
                    if knowledge.allowed[j, i] and not _other_path(A, i, j):
                        turned = score.gain(j, i, A[:, i]) - loss
                        if turned > best:
                            move, best = (i, j, True), turned
                elif not A[i, j] and knowledge.allowed[i, j] and not ahead[j, i] and not A[j, i]:
                    gain = score.gain(i, j, A[:, j])
                    if gain > best:
                        move, best = (i, j, None), gain
        if move is None:
            break
        i, j, turn = move
        A[i, j] = turn is None
        if turn:
            A[j, i] = True
    return A


def _other_path(A: np.ndarray, i: int, j: int) -> bool:
    """Whether j can be reached from i by another way than their edge."""
    rest = A.copy()
    rest[i, j] = False
    return bool(reachability(rest)[i, j])
