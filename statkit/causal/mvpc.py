"""`MVPC`: the PC algorithm on a table with holes, by partial correlations and the rows that bear on them."""

from __future__ import annotations

import itertools
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from statkit._unchanged import unchanged_on_error
from statkit.causal._checks import check_table, column_names
from statkit.causal._graph_kernels import meek
from statkit.causal._incomplete import IncompleteData
from statkit.causal.em_gaussian import saturated_em
from statkit.causal.knowledge import Knowledge


class MVPC(BaseEstimator):
    """Markov equivalence class by conditional independence tests on incomplete rows (PC, order-independent).

    Fisher's z tests partial correlations. They come from the Gaussian maximum likelihood covariance (valid
    under MAR; the size of a test is the smallest number of rows that a pair of its columns shares), or from
    the rows complete in the columns of the test (valid under MCAR).

    Parameters
    ----------
    alpha : float, default=0.01
        Level of a test.
    covariance : {"em", "testwise"}, default="em"
    max_condition : int, default=None
        Largest number of columns conditioned on; None is no limit.
    forbidden, required, tiers : as in `MissDAG`, default=None

    Attributes
    ----------
    cpdag_ : ndarray of bool, shape (d, d)
        Both entries True for an edge without direction.
    skeleton_ : ndarray of bool, shape (d, d)
    separating_sets_ : dict
        Pair (i, j), i < j, to the columns that separate it.
    pvalues_ : ndarray of shape (d, d)
        The largest p-value seen for a pair.
    n_tests_ : int
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    References
    ----------
    R. Tu, C. Zhang, P. Ackermann, K. Mohan, H. Kjellström, K. Zhang (2019), "Causal discovery in the presence
    of missing data"; D. Colombo, M. H. Maathuis (2014), "Order-independent constraint-based causal structure
    learning".

    Examples
    --------
    >>> from statkit.causal import MVPC, ampute, simulate_sem
    >>> import numpy as np
    >>> W = np.array([[0, 0, 1.0], [0, 0, 1.0], [0, 0, 0]])
    >>> X = ampute(simulate_sem(W, 500, random_state=0), 0.2, random_state=1)
    >>> MVPC().fit(X).cpdag_.astype(int)
    array([[0, 0, 1],
           [0, 0, 1],
           [0, 0, 0]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "covariance": [StrOptions({"em", "testwise"})],
        "max_condition": [None, Interval(Integral, 0, None, closed="left")],
        "forbidden": ["array-like", set, None],
        "required": ["array-like", set, None],
        "tiers": [list, tuple, None],
    }

    def __init__(
        self,
        *,
        alpha: float = 0.01,
        covariance: Literal["em", "testwise"] = "em",
        max_condition: int | None = None,
        forbidden: Any = None,
        required: Any = None,
        tiers: Any = None,
    ) -> None:
        self.alpha = alpha
        self.covariance = covariance
        self.max_condition = max_condition
        self.forbidden = forbidden
        self.required = required
        self.tiers = tiers

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the class.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            NaN where missing.
        y : None
            Ignored.

        Returns
        -------
        MVPC
        """
        with unchanged_on_error(self):
            X = validate_data(self, X, dtype=float, ensure_all_finite="allow-nan", ensure_min_samples=2)
            d = X.shape[1]
            names = column_names(self, d)
            check_table(X, None, names, equal_var=False)
            known = Knowledge.of(
                d, forbidden=self.forbidden, required=self.required, tiers=self.tiers, names=names
            )
            data = IncompleteData(X, scale=True)
            S = saturated_em(data, max_iter=500, tol=1e-9)[1] if self.covariance == "em" else None
            possible = (known.allowed | known.allowed.T) & ~np.eye(d, dtype=bool)
            adjacent, must = possible.copy(), known.required | known.required.T
            separating, largest, n_tests = {}, np.zeros((d, d)), 0
            size = 0
            limit = d - 2 if self.max_condition is None else self.max_condition
            while size <= limit and (adjacent.sum(axis=0).max(initial=0) - 1 >= size or size == 0):
                frozen = (
                    adjacent.copy()
                )  # removals count from the next size on: the order of columns is irrelevant
                for i, j in itertools.combinations(range(d), 2):
                    if not adjacent[i, j] or must[i, j]:
                        continue
                    tried = set()
                    for a, b in ((i, j), (j, i)):
                        others = [k for k in np.flatnonzero(frozen[a]) if k != b]
                        for Z in itertools.combinations(others, size):
                            if Z in tried:
                                continue
                            tried.add(Z)
                            n_tests += 1
                            p = self._pvalue(X, S, data.pair_counts, i, j, Z)
                            largest[i, j] = largest[j, i] = max(largest[i, j], p)
                            if p > self.alpha:
                                adjacent[i, j] = adjacent[j, i] = False
                                separating[i, j] = tuple(int(k) for k in Z)
                                break
                        if not adjacent[i, j]:
                            break
                size += 1
            self.skeleton_ = adjacent.copy()
            self.separating_sets_ = separating
            self.pvalues_ = largest
            self.n_tests_ = n_tests
            self.cpdag_ = _orient(adjacent, separating, known)
            return self

    def _pvalue(self, X, S, counts, i, j, Z) -> float:
        at = np.array([i, j, *Z])
        if S is None:
            rows = X[~np.isnan(X[:, at]).any(axis=1)][:, at]
            n = len(rows)
            if n - len(Z) - 3 < 1 or (np.ptp(rows, axis=0) == 0).any():
                return 1.0  # too few rows to speak against independence
            block = np.corrcoef(rows.T)
        else:
            block, n = S[np.ix_(at, at)], counts[np.ix_(at, at)].min()
        try:
            P = np.linalg.inv(block)
        except np.linalg.LinAlgError:
            return 1.0
        r = -P[0, 1] / np.sqrt(P[0, 0] * P[1, 1])
        if n - len(Z) - 3 <= 0 or not np.isfinite(r):
            return 1.0
        z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)) * np.sqrt(n - len(Z) - 3)
        return float(2 * norm.sf(abs(z)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _orient(adjacent, separating, known: Knowledge) -> np.ndarray:
    """Orient knowledge first, then colliders that contradict nothing oriented before, then Meek's rules."""
    C = adjacent.copy()
    sure = adjacent & (known.required | ~known.allowed.T)
    C[sure.T] = False
    d = len(C)
    for i, j in itertools.combinations(range(d), 2):
        if adjacent[i, j]:
            continue
        for k in np.flatnonzero(adjacent[i] & adjacent[j]):
            if k in separating.get((i, j), ()):
                continue
            if C[i, k] and C[j, k]:
                C[k, i] = C[k, j] = False
    meek(C)
    return C
