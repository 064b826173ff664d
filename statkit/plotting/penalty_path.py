"""Coefficients along a sequence of penalties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.plotting._canvas import PALETTE, canvas

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["PenaltyPathDisplay"]


class PenaltyPathDisplay:
    """Coefficients against the penalty, the strongest penalty on the left, with the chosen one marked.

    Parameters
    ----------
    path : DataFrame
        What :func:`statkit.regression.regularization_path` returns: the index is ``alpha``, and the columns under
        ``coef`` are coefficients.
    chosen : float, default=None
        Penalty to mark.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plans import RegularizationPath
    >>> from statkit.plotting import PenaltyPathDisplay
    >>> from statkit.regression import GLMClassifier
    >>> X, y, _ = make_glm(1000, 5, family="binomial", random_state=0)
    >>> fit = GLMClassifier(plan=RegularizationPath(n_alphas=20), l1_ratio=1.0).fit(X, y)
    >>> display = PenaltyPathDisplay.from_estimator(fit)
    """

    def __init__(self, path: pd.DataFrame, chosen: float | None = None) -> None:
        self.path = path
        self.chosen = chosen

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **options: Any) -> PenaltyPathDisplay:
        """Draw the path of a regression fitted with ``plan=RegularizationPath()``, or by another selection.

        Parameters
        ----------
        estimator : fitted regression whose ``estimate_`` has a ``selection_path``
        ax : matplotlib Axes, default=None
        **options
            Of `plot`.

        Returns
        -------
        PenaltyPathDisplay
        """
        path = estimator.estimate_.extra.get("selection_path")
        if path is None or "coef" not in path.columns:
            raise ValueError(f"{type(estimator).__name__} was fitted without a path of penalties")
        away = np.abs(path["coef"].to_numpy() - np.asarray(estimator.estimate_.params, dtype=float)).sum(
            axis=1
        )
        return cls(path, chosen=float(path.index[np.argmin(away)])).plot(ax=ax, **options)

    def plot(self, ax: Any = None, *, n_labels: int = 8) -> PenaltyPathDisplay:
        """Draw into ``ax``, or into a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        n_labels : int, default=8
            The largest coefficients at the weakest penalty get a colour and a name, the others are grey.

        Returns
        -------
        PenaltyPathDisplay
        """
        ax = canvas(ax, 6.0, 3.8)
        coefs = self.path["coef"].drop(columns="Intercept", errors="ignore")
        alpha = np.asarray(self.path.index, dtype=float)
        order = coefs.iloc[int(np.argmin(alpha))].abs().sort_values(ascending=False).index
        for number, name in enumerate(order):
            named = number < n_labels
            style = ("-", "--")[number // len(PALETTE) % 2] if named else "-"
            ax.plot(
                alpha, coefs[name], style, color=PALETTE[number % len(PALETTE)] if named else "0.8",
                label=str(name) if named else None, zorder=2 if named else 1,
            )  # fmt: skip
        if self.chosen is not None:
            ax.axvline(self.chosen, color="0.5", linestyle=":", linewidth=1.2, label="chosen")
        ax.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
        if (alpha > 0).all():
            ax.set_xscale("log")
        ax.invert_xaxis()
        ax.set(xlabel="penalty α", ylabel="coefficient")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        self.ax_, self.figure_ = ax, ax.figure
        return self
