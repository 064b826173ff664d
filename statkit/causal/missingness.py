"""Diagnostics of missingness: the patterns, whether holes are completely at random, what drives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from statkit.causal.em_gaussian import mvn_em

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["LittleTest", "little_mcar_test", "missing_patterns", "missingness_parents"]


class LittleTest(NamedTuple):
    """What `little_mcar_test` returns.

    Attributes
    ----------
    statistic : float
    df : int
    pvalue : float
    n_patterns : int
        Patterns in which something is observed.
    """

    statistic: float
    df: int
    pvalue: float
    n_patterns: int


def missing_patterns(X: ArrayLike | pd.DataFrame) -> pd.DataFrame:
    """Count the rows of each pattern of missing entries.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)

    Returns
    -------
    DataFrame
        One line a pattern, the most frequent first: ``n`` rows, ``share``, ``n_missing`` columns, and a
        column of booleans for each column of ``X``, True where observed.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal import missing_patterns
    >>> missing_patterns([[1, np.nan], [2, 3], [4, 5]])
       n     share  n_missing    x0     x1
    0  2  0.666667          0  True   True
    1  1  0.333333          1  True  False
    """
    values, names = _frame(X)
    patterns, counts = np.unique(~np.isnan(values), axis=0, return_counts=True)
    order = np.lexsort((-patterns.sum(axis=1), -counts))
    table = pd.DataFrame(patterns[order], columns=names)
    table.insert(0, "n_missing", (~patterns[order]).sum(axis=1))
    table.insert(0, "share", counts[order] / len(values))
    table.insert(0, "n", counts[order])
    return table


def little_mcar_test(X: ArrayLike | pd.DataFrame) -> LittleTest:
    """Test whether entries are missing completely at random (Little 1988).

    Under MCAR the means of the observed entries do not differ between patterns by more than chance. A small
    p-value speaks against MCAR; methods that need only MAR, like `MissDAG`, may still be valid.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
        NaN where missing. Rows without any observed entry are left out.

    Returns
    -------
    LittleTest
        Named tuple of ``statistic``, ``df``, ``pvalue``, ``n_patterns``. With one pattern df is 0 and the
        p-value 1.

    References
    ----------
    R. J. A. Little (1988), "A test of missing completely at random for multivariate data with
    missing values".

    Examples
    --------
    >>> from statkit.causal import ampute, little_mcar_test, simulate_dag, simulate_sem
    >>> X = ampute(simulate_sem(simulate_dag(4, random_state=0), 300, random_state=1), 0.1, random_state=5)
    >>> little_mcar_test(X).pvalue > 0.05
    True
    """
    from scipy.stats import chi2

    values, names = _frame(X)
    values = values[~np.isnan(values).all(axis=1)]
    absent = np.flatnonzero(np.isnan(values).all(axis=0))
    if len(absent):
        raise ValueError(f"column {names[absent[0]]} of X has no observed value")
    fit = mvn_em(values, tol=1e-12, max_iter=5000)
    seen = ~np.isnan(values)
    patterns, inverse = np.unique(seen, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    statistic = 0.0
    for g, pattern in enumerate(patterns):
        rows = values[inverse == g][:, pattern]
        gap = rows.mean(axis=0) - fit.mean[pattern]
        statistic += len(rows) * gap @ np.linalg.solve(fit.covariance[np.ix_(pattern, pattern)], gap)
    df = int(patterns.sum() - values.shape[1])
    if df == 0:
        return LittleTest(0.0, 0, 1.0, len(patterns))
    return LittleTest(float(statistic), df, float(chi2.sf(statistic, df)), len(patterns))


def missingness_parents(X: ArrayLike | pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """Find the columns whose values go with the missingness of others.

    For each column with holes the observed values of every other column are compared between rows where
    it is observed and where it is missing (Welch's t, Holm's correction over the column's comparisons). What
    remains enters a logistic regression together, to tell direct from indirect association.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
        NaN where missing.
    alpha : float, default=0.05
        Level of the corrected tests.

    Returns
    -------
    DataFrame
        One line for each pair that passes: ``column`` whose entries are missing, ``parent``, ``t``,
        ``pvalue`` (Holm), ``conditional_pvalue`` (logistic regression on all parents found, rows complete in
        them; NaN if it cannot be computed), ``direct``, ``parent_has_holes``. A parent that has holes makes
        missing at random doubtful. That a column's own value drives its missingness cannot be seen in data.

    References
    ----------
    R. Tu, C. Zhang, P. Ackermann, K. Mohan, H. Kjellström, K. Zhang (2019), "Causal discovery in the presence
    of missing data".

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal import missingness_parents
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> X[X[:, 0] > 0.5, 1] = np.nan
    >>> missingness_parents(X)[["column", "parent", "parent_has_holes"]]
      column parent  parent_has_holes
    0     x1     x0             False
    """
    from scipy.stats import ttest_ind

    values, names = _frame(X)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    seen = ~np.isnan(values)
    lines = []
    for j in np.flatnonzero(~seen.all(axis=0)):
        others, tests = [], []
        for k in range(values.shape[1]):
            groups = values[seen[:, k] & seen[:, j], k], values[seen[:, k] & ~seen[:, j], k]
            if k == j or min(map(len, groups)) < 2 or np.ptp(np.concatenate(groups)) == 0:
                continue
            with np.errstate(all="ignore"):
                test = ttest_ind(*groups, equal_var=False)
            if np.isfinite(test.pvalue):
                others.append(k)
                tests.append((float(test.statistic), float(test.pvalue)))
        corrected = _holm([p for _, p in tests])
        found = [k for k, p in zip(others, corrected, strict=True) if p <= alpha]
        conditional = _logistic_pvalues(values, ~seen[:, j], found)
        for k, (t, _), p in zip(others, tests, corrected, strict=True):
            if p <= alpha:
                q = conditional[found.index(k)]
                direct = bool(np.isnan(q) or q <= alpha)
                lines.append((names[j], names[k], t, p, q, direct, not seen[:, k].all()))
    columns = ["column", "parent", "t", "pvalue", "conditional_pvalue", "direct", "parent_has_holes"]
    return pd.DataFrame(lines, columns=columns)


def _holm(pvalues: list[float]) -> np.ndarray:
    p = np.asarray(pvalues, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    out = np.empty_like(p)
    out[order] = np.minimum(stepped, 1.0)
    return out


def _logistic_pvalues(values, missing, columns) -> np.ndarray:
    """Wald p-values of a logistic regression of ``missing`` on ``columns``, NaN if it has no finite fit."""
    from scipy.special import expit
    from scipy.stats import norm

    out = np.full(len(columns), np.nan)
    if not columns:
        return out
    P = values[:, columns]
    rows = ~np.isnan(P).any(axis=1)
    P, y = P[rows], missing[rows].astype(float)
    if len(y) <= len(columns) + 1 or y.min(initial=1) == y.max(initial=0) or (P.std(axis=0) == 0).any():
        return out
    D = np.column_stack([np.ones(len(P)), (P - P.mean(axis=0)) / P.std(axis=0)])
    beta = np.zeros(D.shape[1])
    for _ in range(30):
        p = expit(D @ beta)
        information = (D * (p * (1 - p))[:, None]).T @ D
        try:
            step = np.linalg.solve(information, D.T @ (y - p))
        except np.linalg.LinAlgError:
            return out
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            return 2 * norm.sf(np.abs(beta) / np.sqrt(np.diag(np.linalg.inv(information))))[1:]
        if np.abs(beta).max() > 30:  # separated: the parents say exactly what is missing
            return out
    return out


def _frame(X):
    from sklearn.utils import check_array

    names = [str(name) for name in X.columns] if hasattr(X, "columns") else None
    values = check_array(X, dtype=float, ensure_all_finite="allow-nan")
    return values, names or [f"x{i}" for i in range(values.shape[1])]
