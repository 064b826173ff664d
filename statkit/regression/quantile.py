"""Quantile regression with standard errors on data of any size: ``QuantileRegressor`` and ``quantreg``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from statkit.regression._base import RegressionBase
from statkit.regression._streaming import can_stream, merge, partial_fit
from statkit.regression.generalized_linear import GLMRegressor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import ArrayLike

    from statkit._typing import Column, Data, Seed
    from statkit.engines import Engine
    from statkit.plans import Plan

__all__ = ["QuantileRegressor", "quantreg"]


class QuantileRegressor(RegressorMixin, RegressionBase):
    """Linear model of a quantile of the response, exact and with standard errors, on data of any size.

    The fit solves the linear program of the check loss on the rows near the fit only, and a last pass
    certifies that it is optimal for all rows. With ``plan=Subsample(...)`` a few rows serve.

    Parameters
    ----------
    quantile : float or sequence of float, default=0.5
        In (0, 1). Several are fitted in the same passes, with their joint covariance.
    formula, plan, engine, n_jobs, fit_intercept, na_action, random_state, verbose
        As in :class:`GLMRegressor`.
    cov_type : {"robust", "nonrobust"}, default="robust"
        Powell's kernel sandwich, or errors of the same distribution in all rows.

    Attributes
    ----------
    coef_ : ndarray of shape (p,), or (k, p) with k quantiles
    intercept_ : float, or ndarray of shape (k,)
    estimate_ : statkit.results.Estimate
        With ``objective`` (the check loss), ``bandwidth`` and ``quantile``. With several quantiles its index is
        (quantile, name), and hypotheses such as ``"0.1:x0 = 0.9:x0"`` compare them.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.regression import QuantileRegressor
    >>> X = np.arange(9.0)[:, None]
    >>> QuantileRegressor(0.5).fit(X, 1 + 2 * X[:, 0]).coef_.round(9)
    array([2.])
    >>> QuantileRegressor([0.1, 0.9]).fit(X, 1 + 2 * X[:, 0]).predict([[1.0]]).round(9)
    array([[3., 3.]])

    References
    ----------
    R. Koenker and G. Bassett (1978), Regression Quantiles. S. Portnoy and R. Koenker (1997), The Gaussian
    Hare and the Laplacian Tortoise. H. Wang and Y. Ma (2021), Optimal Subsampling for Quantile Regression
    in Big Data.
    """

    alpha = 0.0
    l1_ratio = 0.0

    def __init__(
        self,
        quantile: float | Sequence[float] = 0.5,
        *,
        formula: str | None = None,
        plan: Plan | None = None,
        engine: str | Engine = "threads",
        n_jobs: int | None = None,
        fit_intercept: bool = True,
        cov_type: str = "robust",
        na_action: str = "raise",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.quantile = quantile
        self.formula = formula
        self.plan = plan
        self.engine = engine
        self.n_jobs = n_jobs
        self.fit_intercept = fit_intercept
        self.cov_type = cov_type
        self.na_action = na_action
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Data, y: Column = None, sample_weight: Column = None, offset: Column = None) -> Self:
        """Fit the model; parameters as in :meth:`GLMRegressor.fit`.

        Returns
        -------
        self : QuantileRegressor
        """
        return self._fit(X, y, sample_weight, offset, None)

    @available_if(can_stream)
    def partial_fit(
        self, X: Data, y: Column = None, sample_weight: Column = None, offset: Column = None
    ) -> Self:
        """Absorb a batch of rows; for plans that can update, such as ``plans.Renewable()``.

        The stream minimises a check loss that is smoothed with a bandwidth which shrinks as rows arrive; errors are
        those of the sandwich. A batch that is refused leaves the estimate as it was.

        Returns
        -------
        self : QuantileRegressor

        References
        ----------
        X. He, X. Pan, K. M. Tan and W.-X. Zhou (2023), Smoothed quantile regression with large-scale inference.
        """
        return partial_fit(self, X, y, sample_weight, offset, None)

    @available_if(can_stream)
    def merge(self, other: Self) -> Self:
        """Absorb the stream of another model that was fitted by ``partial_fit`` to independent rows.

        Returns
        -------
        self : QuantileRegressor
        """
        return merge(self, other)

    def _check_parameters(self):
        if self.cov_type not in ("robust", "nonrobust"):
            raise ValueError(f"cov_type must be 'robust' or 'nonrobust', not {self.cov_type!r}")
        if self.na_action not in ("drop", "raise"):
            raise ValueError(f"na_action must be 'drop' or 'raise', not {self.na_action!r}")

    def _family(self, classes):
        from statkit.families import Quantile

        return Quantile(self.quantile)

    _response = GLMRegressor._response

    def _set_coefficients(self, values):
        K = self._fitted_family.predictors
        if K == 1:
            super()._set_coefficients(values)
            return
        table, first = values.reshape(K, -1), int(self._design.intercept)
        self.intercept_ = table[:, 0].copy() if first else np.zeros(K)
        self.coef_ = np.where(np.isnan(table[:, first:]), 0.0, table[:, first:])

    def predict(self, X: Data, offset: Column = None) -> np.ndarray:
        """The quantile of new rows.

        Returns
        -------
        quantile : ndarray of shape (n,), or (n, k) with k quantiles
            NaN for rows with missing values.
        """
        return self._eta(X, offset)

    def score(self, X: Data, y: ArrayLike | None = None, sample_weight: Column = None) -> float:
        """Share of the check loss explained: 1 − loss / loss of the empirical quantile (mean over quantiles).

        A formula's response is read from ``X``; with ``na_action="drop"``, rows that lack a value are left out.

        Returns
        -------
        score : float
        """
        from sklearn.metrics import d2_pinball_score

        if y is None:
            from statkit.regression._tabular import response_of

            y = response_of(self, X)
        y = np.asarray(y, dtype=float)
        predicted = self.predict(X).reshape(len(y), -1)
        if self.na_action == "drop":  # as in the fit
            there = ~(np.isnan(predicted).any(axis=1) | np.isnan(y))
            y, predicted = y[there], predicted[there]
            sample_weight = None if sample_weight is None else np.asarray(sample_weight)[there]
        taus = np.atleast_1d(np.asarray(self._fitted_family.tau))
        scores = [
            d2_pinball_score(y, column, sample_weight=sample_weight, alpha=tau)
            for tau, column in zip(taus, predicted.T, strict=True)
        ]
        return float(np.mean(scores))


def quantreg(
    formula: str,
    data: Data,
    quantile: float | Sequence[float] = 0.5,
    *,
    weights: Column = None,
    offset: Column = None,
    plan: Plan | None = None,
    engine: str | Engine = "threads",
    n_jobs: int | None = None,
    cov_type: str = "robust",
    na_action: str = "drop",
    random_state: Seed = None,
    verbose: int = 0,
) -> QuantileRegressor:
    """Fit a quantile regression by formula, as R's ``rq``: on a frame, a file, or files of any size.

    Parameters
    ----------
    formula : str
        For instance ``"delay ~ distance + C(origin)"``.
    data : frame, dataset, path, URL, glob, list of paths, or Source
        As in :func:`glm`.
    quantile : float or sequence of float, default=0.5
        Strictly between 0 and 1; several are fitted together and have a joint covariance.
    weights, offset : str, array of shape (n,), or None, default=None
        Columns' names, or arrays.
    plan, engine, n_jobs, cov_type, na_action, random_state, verbose
        As in :class:`QuantileRegressor`.

    Returns
    -------
    fit : QuantileRegressor

    References
    ----------
    R. Koenker and G. Bassett (1978), Regression quantiles.

    Examples
    --------
    >>> import pandas as pd
    >>> from statkit import quantreg
    >>> frame = pd.DataFrame({"x": [0.0, 1, 2, 3], "y": [1.0, 3, 5, 7]})
    >>> quantreg("y ~ x", frame).estimate_.params.round(6).tolist()
    [1.0, 2.0]
    """
    model = QuantileRegressor(
        quantile, formula=formula, plan=plan, engine=engine, n_jobs=n_jobs, cov_type=cov_type,
        na_action=na_action, random_state=random_state, verbose=verbose,
    )  # fmt: skip
    return model.fit(data, sample_weight=weights, offset=offset)
