"""The tests for drift along a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.plotting._canvas import BLUE, VERMILION, canvas

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["DriftDisplay"]


class DriftDisplay:
    """p-values of a stream's batches against the model of the batches before, with the level of the alarm.

    Parameters
    ----------
    batch : array of shape (k,)
        Numbers of the batches.
    p : array of shape (k,)
        p-value of each; NaN where a batch was not tested.
    level : float
        Probability of a false alarm over the whole stream.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import Renewable
    >>> from statkit.plotting import DriftDisplay
    >>> from statkit.regression import GLMClassifier
    >>> X, y, _ = make_glm(4000, 3, family="binomial", random_state=0)
    >>> model = GLMClassifier(plan=Renewable(n_passes=1, batch_size=500)).fit(X, y)
    >>> display = DriftDisplay.from_estimator(model)
    """

    def __init__(self, batch: ArrayLike, p: ArrayLike, level: float = 1e-3) -> None:
        self.batch, self.p, self.level = np.asarray(batch, dtype=float), np.asarray(p, dtype=float), level

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> DriftDisplay:
        """Draw the stream of a regression fitted with ``plan=Renewable()``.

        Parameters
        ----------
        estimator : fitted regression
        ax : matplotlib Axes, default=None

        Returns
        -------
        DriftDisplay
        """
        history = estimator.estimate_.history
        if not {"batch", "p"} <= set(history.columns):
            raise ValueError(
                f"{type(estimator).__name__} was not fitted to a stream: its plan tests no batches"
            )
        level = getattr(estimator.plan, "drift_level", 1e-3)
        return cls(history["batch"], history["p"], level).plot(ax=ax)

    def plot(self, ax: Any = None) -> DriftDisplay:
        """Draw into ``ax``, or into a new figure; small p-values are high up."""
        ax = canvas(ax, 6.4, 3.2)
        tested = np.isfinite(self.p)
        batch, p = self.batch[tested], np.maximum(self.p[tested], 1e-300)
        # The k-th batch may use the share 6 / (π k)² of the level, which adds up to the level.
        limit = self.level * 6 / np.pi**2 / np.maximum(batch, 1) ** 2
        beyond = p < limit
        ax.plot(batch, -np.log10(limit), color="0.5", linestyle="--", linewidth=1, label="alarm")
        ax.vlines(batch, 0, -np.log10(p), color="0.85", linewidth=0.8, zorder=0)
        ax.plot(
            batch[~beyond], -np.log10(p[~beyond]), "o", color=BLUE, markersize=4, label="follows the model"
        )
        if beyond.any():
            ax.plot(batch[beyond], -np.log10(p[beyond]), "D", color=VERMILION, markersize=5, label="does not")
        ax.set(xlabel="batch", ylabel="−log₁₀ p")
        ax.set_ylim(bottom=0)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        self.ax_, self.figure_ = ax, ax.figure
        return self
