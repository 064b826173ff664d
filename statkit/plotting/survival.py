"""Survival curves of a fitted proportional hazards model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.plotting._canvas import PALETTE, canvas

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["SurvivalDisplay"]


class SurvivalDisplay:
    """Survival curves with pointwise intervals, one for each row of covariates.

    Parameters
    ----------
    table : DataFrame
        Columns ``row``, ``time``, ``survival``, ``lower``, ``upper``, as ``predict_survival`` returns.
    labels : sequence of str, default=None
        Of the rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.plotting import SurvivalDisplay
    >>> from statkit.regression import CoxPHRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1))
    >>> y = np.column_stack([rng.exponential(np.exp(-X[:, 0])), rng.random(200) < 0.8])
    >>> fit = CoxPHRegressor().fit(X, y)
    >>> display = SurvivalDisplay.from_estimator(fit, [[-1.0], [1.0]], labels=["low", "high"])
    """

    def __init__(self, table: pd.DataFrame, labels: Sequence[str] | None = None) -> None:
        self.table = table
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        times: Any = None,
        level: Any = 0.95,
        offset: Any = None,
        strata: Any = None,
        labels: Sequence[str] | None = None,
        ax: Any = None,
        **options: Any,
    ) -> SurvivalDisplay:
        """Draw the curves of some rows.

        Parameters
        ----------
        estimator : CoxPHRegressor
        X : as in ``fit``
            One row a curve, eight at most.
        times, level, offset, strata : as in ``predict_survival``
        labels : sequence of str, default=None
        ax : matplotlib Axes, default=None
        **options
            Of `plot`.

        Returns
        -------
        SurvivalDisplay
        """
        table = estimator.predict_survival(X, times, level=level, offset=offset, strata=strata)
        return cls(table, labels).plot(ax=ax, **options)

    def plot(self, ax: Any = None, *, bands: bool = True) -> SurvivalDisplay:
        """Draw into ``ax``, or into a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        bands : bool, default=True
            Intervals as shades.

        Returns
        -------
        SurvivalDisplay
        """
        rows = self.table["row"].unique()
        if len(rows) > len(PALETTE):
            raise ValueError(
                f"at most {len(PALETTE)} curves can be told apart, and there are {len(rows)} rows"
            )
        if self.labels is not None and len(self.labels) != len(rows):
            raise ValueError(f"{len(rows)} rows need {len(rows)} labels, got {len(self.labels)}")
        ax = canvas(ax)
        for number, row in enumerate(rows):
            part = self.table[self.table["row"] == row].sort_values("time")
            # Everyone is alive at the start; for delayed entry the curve begins at the first event.
            time = np.r_[min(0.0, part["time"].iloc[0]), part["time"]]
            label = str(self.labels[number]) if self.labels is not None else f"row {row}"
            style = ("-", "--", "-.", ":")[number // 2 % 4]
            line = np.r_[1.0, part["survival"]]
            ax.step(time, line, where="post", color=PALETTE[number], linestyle=style, label=label)
            if bands:
                low, high = np.r_[1.0, part["lower"]], np.r_[1.0, part["upper"]]
                ax.fill_between(time, low, high, step="post", color=PALETTE[number], alpha=0.15, linewidth=0)
        ax.set(xlabel="time", ylabel="survival", ylim=(0, 1.02))
        ax.spines[["top", "right"]].set_visible(False)
        if len(rows) > 1 or self.labels is not None:
            ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
