"""Effects of one column on another in a fitted linear graph, and of setting columns to values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from statkit.causal.equivalence import effects_over_class

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class EffectsMixin:
    """Causal effects in a fitted model."""

    def total_effect(self, source: int | str, target: int | str) -> float:
        """Return by how much ``target`` rises, along all directed paths, when ``source`` is raised by one.

        It is the effect in the graph `weights_`. Where the graph has reversible edges the data cannot tell
        it from the effects in the other graphs of the class, which `ida` lists.

        Parameters
        ----------
        source, target : int or str
            Columns by number or name.

        Returns
        -------
        float
        """
        self._need_lines("total_effect")
        i, j = self._column(source), self._column(target)
        return float(np.linalg.inv(np.eye(len(self.weights_)) - self.weights_)[i, j])

    def direct_effect(self, source: int | str, target: int | str, values: ArrayLike) -> np.ndarray:
        """Return what ``source`` adds to ``target`` at some of its values, compared with its average addition.

        Parameters
        ----------
        source, target : int or str
            Columns by number or name.
        values : array-like
            Of ``source``.

        Returns
        -------
        ndarray, of the shape of ``values``
            0 where there is no edge.
        """
        check_is_fitted(self)
        i, j = self._column(source), self._column(target)
        if self.model == "nonlinear":
            return self._noise_model.effect(i, j, values)
        return self.weights_[i, j] * (np.asarray(values, dtype=float) - self.mean_[i])

    def predict_intervention(self, values: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of all columns after some are set to values from outside.

        The edges into the columns that are set are cut. For a nonlinear model they are those of 20,000 rows
        that are drawn.

        Parameters
        ----------
        values : mapping
            Column (number or name) to the value it is set to.

        Returns
        -------
        mean : ndarray of shape (d,)
        covariance : ndarray of shape (d, d)
        """
        check_is_fitted(self)
        if self.model == "nonlinear":
            numbered = {self._column(column): float(value) for column, value in dict(values).items()}
            return self._noise_model.intervene(numbered, self.order_, self._sampling_seed)
        W, intercept, omega = self.weights_.copy(), self.intercept_.copy(), self.noise_var_.copy()
        for column, value in dict(values).items():
            j = self._column(column)
            W[:, j], intercept[j], omega[j] = 0.0, float(value), 0.0
        B = np.linalg.inv(np.eye(len(W)) - W)
        return intercept @ B, (B.T * omega) @ B

    def ida(self, source: int | str, target: int | str) -> np.ndarray:
        """Return the total effects that graphs of the Markov equivalence class give, one a parent set.

        The smallest size among them bounds the effect from below whatever graph of the class is true.

        Parameters
        ----------
        source, target : int or str
            Columns by number or name.

        Returns
        -------
        ndarray
            Sorted.

        References
        ----------
        M. H. Maathuis, M. Kalisch, P. Bühlmann (2009), "Estimating high-dimensional intervention effects from
        observational data".
        """
        self._need_lines("ida")
        i, j = self._column(source), self._column(target)
        if i == j:
            raise ValueError("source and target must be different columns")
        return effects_over_class(self.cpdag_, self.expected_covariance_, i, j)

    def _need_lines(self, what: str) -> None:
        check_is_fitted(self)
        if self.model == "nonlinear":
            raise ValueError(
                f"{what} is a number in linear models only: use direct_effect or predict_intervention"
            )

    def _column(self, column) -> int:
        names = [str(name) for name in self._names()]
        if isinstance(column, str):
            if column not in names:
                raise ValueError(f"there is no column {column!r}: there are {', '.join(names)}")
            return names.index(column)
        if not 0 <= column < len(names):
            raise ValueError(f"there is no column {column}: columns are numbered 0 to {len(names) - 1}")
        return int(column)
