"""Display of several sites or studies: one effect at each, with intervals, and what they make together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from statkit.plotting._canvas import BLUE, VERMILION, canvas

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit.results import Estimate


__all__ = ["ForestDisplay"]


class ForestDisplay:
    """Forest plot: effects with confidence intervals, squares by weight, the combination as a diamond.

    Parameters
    ----------
    labels : sequence of str
        Of the studies.
    effects, lower, upper : array of shape (K,)
    combined : tuple of three floats
        Effect, lower and upper limit.
    prediction : tuple of two floats or None
        Limits for the effect of a new study.
    weights : array of shape (K,) or None
        Areas of the squares.
    name : str
        Of the effect, under the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.inference import meta_analysis
    >>> from statkit.plotting import ForestDisplay
    >>> result = meta_analysis([0.1, 0.5, 0.3], [0.01, 0.02, 0.01])
    >>> display = ForestDisplay.from_meta_analysis(result, labels=["Lyon", "Oslo", "Pisa"])
    """

    def __init__(
        self,
        labels: Sequence[str],
        effects: ArrayLike,
        lower: ArrayLike,
        upper: ArrayLike,
        *,
        combined: tuple[float, float, float],
        prediction: tuple[float, float] | None = None,
        weights: ArrayLike | None = None,
        name: str = "effect",
    ) -> None:
        self.labels = list(labels)
        self.effects, self.lower, self.upper = (np.asarray(v, dtype=float) for v in (effects, lower, upper))
        self.combined, self.prediction, self.weights, self.name = combined, prediction, weights, name

    @classmethod
    def from_estimate(
        cls, estimate: Estimate, parameter: str, *, alpha: float = 0.05, ax: Any = None
    ) -> Self:
        """Draw a parameter of what :func:`statkit.inference.combine_summaries` returned for the first round.

        Parameters
        ----------
        estimate : Estimate
        parameter : str
        alpha : float, default=0.05
            Intervals are of level ``1 − alpha``.
        ax : matplotlib Axes, default=None

        Returns
        -------
        ForestDisplay
        """
        from scipy import stats

        if "site_params" not in estimate.extra:
            raise ValueError(
                "the estimate has no parameters of the sites: combine summaries of the first round"
            )
        if parameter not in estimate.names or parameter not in estimate.site_params:
            raise ValueError(
                f"there is no shared parameter {parameter!r}: they are {', '.join(estimate.names[:12])}"
            )
        effect, error = estimate.site_params[parameter], estimate.site_bse[parameter]
        reach = stats.norm.ppf(1 - alpha / 2) * error
        limits = estimate.conf_int(alpha).loc[parameter]
        prediction = None
        if "prediction" in estimate.extra:
            prediction = tuple(estimate.prediction.loc[parameter])
        return cls(
            estimate.site_params.index, effect, effect - reach, effect + reach,
            combined=(estimate.params[parameter], limits[0], limits[1]), prediction=prediction,
            weights=1 / np.square(error), name=parameter,
        ).plot(ax=ax)  # fmt: skip

    @classmethod
    def from_meta_analysis(
        cls,
        result: Any,
        column: int = 0,
        *,
        labels: Sequence[str] | None = None,
        name: str = "effect",
        ax: Any = None,
    ) -> Self:
        """Draw what :func:`statkit.inference.meta_analysis` returned.

        Parameters
        ----------
        result : MetaAnalysis
        column : int, default=0
            Which effect, where there are several.
        labels : sequence of str, default=None
            Of the studies; their numbers if None.
        name : str, default="effect"
        ax : matplotlib Axes, default=None

        Returns
        -------
        ForestDisplay
        """
        b, w = result.effects[:, column], result.weights[:, column]
        reach = 1.959963984540054 * np.sqrt(result.variances[:, column])
        prediction = result.prediction_lower[column], result.prediction_upper[column]
        return cls(
            [str(k) for k in range(len(b))] if labels is None else labels, b, b - reach, b + reach,
            combined=(result.effect[column], result.lower[column], result.upper[column]),
            prediction=prediction if result.tau2[column] > 0 else None, weights=w, name=name,
        ).plot(ax=ax)  # fmt: skip

    def plot(self, ax: Any = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        K = len(self.labels)
        ax = canvas(ax, 6.0, 0.32 * (K + 2) + 0.9)
        at = np.arange(K)[::-1] + 2
        weight = np.ones(K) if self.weights is None else np.nan_to_num(np.asarray(self.weights, dtype=float))
        ax.axvline(self.combined[0], color="0.85", zorder=0)
        ax.hlines(at, self.lower, self.upper, color=BLUE)
        ax.scatter(self.effects, at, s=20 + 60 * weight / weight.max(), marker="s", color=BLUE, zorder=3)
        effect, low, high = self.combined
        ax.fill([low, effect, high, effect], [1, 1.28, 1, 0.72], color=VERMILION, zorder=3)
        labels = [*self.labels, "combined"]
        ticks = [*at, 1]
        if self.prediction is not None and np.isfinite(self.prediction).all():
            ax.hlines([0.3], *self.prediction, color=VERMILION, linestyles="dotted")
            labels, ticks = [*labels, "a new one"], [*ticks, 0.3]
        ax.set_yticks(ticks, labels)
        ax.set_ylim(-0.2, K + 1.6)
        ax.set_xlabel(self.name)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self
