"""What if holes depend on the values behind them: shift what is imputed, refit, and see which edges hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["mnar_sensitivity"]


def mnar_sensitivity(
    estimator: Any,
    X: ArrayLike | pd.DataFrame,
    column: int | str,
    deltas: Sequence[float] = (-1.0, -0.5, 0.0, 0.5, 1.0),
    *,
    n_draws: int = 5,
) -> pd.DataFrame:
    """Refit the graph as if the missing values of a column were larger or smaller than expected.

    That a value's own size decides whether it is missing cannot be tested from the data. Here the holes are
    filled with draws, those of one column are shifted, and the graph is learned from the completed tables:
    edges that hold over a plausible range of shifts do not rest on the assumption.

    Parameters
    ----------
    estimator : MissDAG
        Fitted.
    X : array-like or DataFrame of shape (n, d)
        The table with holes.
    column : int or str
        The column under suspicion.
    deltas : sequence of float, default=(-1.0, -0.5, 0.0, 0.5, 1.0)
        Shifts in standard deviations of the column.
    n_draws : int, default=5
        Completed tables a shift.

    Returns
    -------
    DataFrame
        One line for each pair adjacent in some refit (columns from, to; in the order of the columns), one
        column for each shift: the share of completed tables in which the pair is adjacent.

    Examples
    --------
    >>> from statkit.causal import MissDAG, ampute, mnar_sensitivity, simulate_dag, simulate_sem
    >>> X = simulate_sem(simulate_dag(4, degree=2, random_state=0), 300, random_state=1)
    >>> X = ampute(X, 0.2, random_state=2)
    >>> table = mnar_sensitivity(MissDAG(random_state=0).fit(X), X, 0, deltas=[0.0, 1.0], n_draws=2)
    >>> list(table.columns)
    ['from', 'to', 0.0, 1.0]
    """
    check_is_fitted(estimator)
    j = estimator._column(column)
    values = estimator._new_rows(X)
    holes = np.isnan(values[:, j])
    if not holes.any():
        raise ValueError(f"column {column!r} has no missing entries: there is nothing to shift")
    names = estimator._names()
    deviation = np.sqrt(estimator.covariance_[j, j])
    draws = estimator.sample_posterior(X, n_draws=n_draws, random_state=estimator._sampling_seed)
    draws = draws[:, ~np.isnan(values).all(axis=1)]
    holes = holes[~np.isnan(values).all(axis=1)]
    refit = clone(estimator).set_params(n_bootstrap=0, random_state=0)
    shares = []
    for delta in deltas:
        adjacent = np.zeros((len(names), len(names)))
        for table in draws:
            shifted = table.copy()
            shifted[holes, j] += delta * deviation
            A = refit.fit(pd.DataFrame(shifted, columns=names)).adjacency_
            adjacent += A | A.T
        shares.append(np.triu(adjacent / n_draws))
    shares = np.array(shares)
    pairs = np.argwhere((shares > 0).any(axis=0))
    table = pd.DataFrame({"from": [names[a] for a, _ in pairs], "to": [names[b] for _, b in pairs]})
    for delta, share in zip(deltas, shares, strict=True):
        table[delta] = share[pairs[:, 0], pairs[:, 1]]
    return table
