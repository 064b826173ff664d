"""Coefficients with their intervals, of one fit or of several side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from statkit.plotting._canvas import PALETTE, canvas

__all__ = ["CoefficientDisplay"]


class CoefficientDisplay:
    """Coefficients and confidence intervals of one fit, or of several below each other.

    What a table of several fits says in stars, this says in lengths: whether a subsample, a robust covariance or a
    round on a cluster moves an estimate by more than its error.

    Parameters
    ----------
    tables : dict of str to DataFrame
        One entry a fit, with columns ``estimate``, ``lower``, ``upper`` by the names of the parameters.
    level : float, default=0.95
        Of the intervals.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plotting import CoefficientDisplay
    >>> from statkit.regression import GLMRegressor
    >>> X, y, _ = make_glm(400, 3, family="poisson", random_state=0)
    >>> fits = {"exact": GLMRegressor("poisson").fit(X, y), "robust": GLMRegressor("poisson", cov_type="HC1").fit(X, y)}
    >>> display = CoefficientDisplay.from_estimators(fits)
    """

    def __init__(self, tables: Any, *, level: float = 0.95) -> None:
        self.tables = tables
        self.level = level

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        parameters: list[str] | None = None,
        level: float = 0.95,
        ax: Any = None,
        **options: Any,
    ) -> CoefficientDisplay:
        """Draw the coefficients of a fitted regression.

        Parameters
        ----------
        estimator : fitted regression of statkit, or another with ``params`` and ``conf_int``
            Such as a result of statsmodels.
        parameters : list of str, default=None
            Names, in the order of the picture; by default all but intercepts.
        level : float, default=0.95
        ax : matplotlib Axes, default=None
        **options
            Of `plot`.

        Returns
        -------
        CoefficientDisplay
        """
        return cls.from_estimators({"": estimator}, parameters=parameters, level=level, ax=ax, **options)

    @classmethod
    def from_estimators(
        cls, estimators: Any, *, parameters: Any = None, level: Any = 0.95, ax: Any = None, **options: Any
    ) -> CoefficientDisplay:
        """Draw several fits side by side.

        Parameters
        ----------
        estimators : dict of str to fitted regression
            Labels and fits; they need not have the same parameters.
        parameters, level, ax, **options : as in `from_estimator`

        Returns
        -------
        CoefficientDisplay
        """
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        tables = {name: _table(fit, parameters, level) for name, fit in estimators.items()}
        if all(table.empty for table in tables.values()):
            raise ValueError("no parameter is left to draw: the names asked for are in none of the fits")
        return cls(tables, level=level).plot(ax=ax, **options)

    def plot(
        self, ax: Any = None, *, n_parameters: int = 40, exponentiate: bool = False
    ) -> CoefficientDisplay:
        """Draw into ``ax``, or into a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        n_parameters : int, default=40
            The first so many; the axis says how many more there are.
        exponentiate : bool, default=False
            Odds, rate or hazard ratios, on a logarithmic axis.

        Returns
        -------
        CoefficientDisplay
        """
        names = list(dict.fromkeys(name for table in self.tables.values() for name in table.index))
        shown, rest = names[:n_parameters], len(names) - n_parameters
        several = len(self.tables)
        ax = canvas(ax, 6.0, 1.0 + 0.16 * len(shown) * (1 + several))
        place = {name: k for k, name in enumerate(shown)}
        for number, (label, table) in enumerate(self.tables.items()):
            some = table[table.index.isin(shown)]
            at = np.array([place[name] for name in some.index]) + 0.7 * ((number + 0.5) / several - 0.5)
            estimate, low, high = (some[c].to_numpy() for c in ("estimate", "lower", "upper"))
            if exponentiate:
                estimate, low, high = np.exp(estimate), np.exp(low), np.exp(high)
            colour = PALETTE[number % len(PALETTE)]
            ax.hlines(at, low, high, color=colour, linewidth=1.6)
            ax.plot(estimate, at, "osD^v<>p"[number % 8], color=colour, markersize=5, label=label)
        ax.axvline(1.0 if exponentiate else 0.0, color="0.7", linewidth=0.8, zorder=0)
        if exponentiate:
            ax.set_xscale("log")
        ax.set_yticks(range(len(shown)), shown)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        what = "exp(coefficient)" if exponentiate else "coefficient"
        more = f"; {rest} more not shown" if rest > 0 else ""
        ax.set_xlabel(f"{what}, {100 * self.level:g} % intervals{more}")
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        if several > 1:
            ax.legend(frameon=False, loc="best")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _table(fit, parameters, level):
    """Finite estimates with limits, by flat names."""
    import pandas as pd

    result = getattr(fit, "estimate_", fit)
    if not hasattr(result, "params") or not hasattr(result, "conf_int"):
        raise ValueError(f"{type(fit).__name__} has no coefficients with errors: fit it first")
    limits = np.asarray(result.conf_int(1 - level), dtype=float)
    params = result.params
    if not isinstance(params, pd.Series):  # statsmodels, fitted to arrays
        params = pd.Series(params, getattr(getattr(result, "model", None), "exog_names", None))
    names = [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in params.index]
    table = pd.DataFrame(
        {"estimate": params.to_numpy(dtype=float), "lower": limits[:, 0], "upper": limits[:, 1]}, index=names
    )
    if parameters is None:
        table = table[[name.rpartition(" ")[2] not in ("Intercept", "const") for name in names]]
    else:
        table = table.reindex([name for name in parameters if name in table.index])
    return table[np.isfinite(table["estimate"])]
