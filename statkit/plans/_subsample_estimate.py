"""What a fit on a subsample knows beyond any other: the rows, their weights, and what the design cost."""

from __future__ import annotations

import numpy as np

from statkit.results import Estimate

__all__ = ["SubsampleEstimate"]


class SubsampleEstimate(Estimate):
    """An :class:`~statkit.results.Estimate` from drawn rows.

    Attributes
    ----------
    sample_indices : ndarray of int
        Row numbers in the data, ascending (with replacement: repeated).
    inclusion_prob : ndarray
        Probability that the design had of including each.
    sample_weights : ndarray
        Their reciprocals: what any weighted method must use on these rows.
    pilot_params : Series
    pilot_indices : ndarray of int
    threshold : float
        Of priorities, or of scores.
    covariance_full_data, covariance_population : DataFrame
        About the fit of all rows, and about the population's parameter.
    """

    def subsample(self, X):
        """Rows of the sample and their weights, for any weighted method.

        The draw may depend on the response: without the weights these rows mislead.

        Parameters
        ----------
        X : array, sparse matrix or pandas frame with the rows that were fitted, in their order

        Returns
        -------
        rows : as ``X``
        weights : ndarray
        """
        index = self.sample_indices
        n = X.shape[0]
        if n != self.rows_read:
            raise ValueError(f"X has {n:,} rows, the sample was drawn from {self.rows_read:,}")
        return (X.iloc[index] if hasattr(X, "iloc") else X[index]), self.sample_weights

    def design_effect(self):
        """Variance of each coefficient about the fit of all rows, relative to that of as many uniform rows.

        Returns
        -------
        effect : Series
            Below 1 where the design pays.
        """
        return self._series(self._design_effect)

    @property
    def _design_effect(self):
        return np.asarray(self.extra["design_effects"])
