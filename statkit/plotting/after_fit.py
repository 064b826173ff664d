"""Displays of a fitted regression on data of any size: residuals of a streamed sample, calibration from one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from statkit.plotting._canvas import BLUE, PALETTE, VERMILION, canvas
from statkit.regression._calibration import bins_of, calibration_cells
from statkit.regression._residuals import sampled_residuals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


__all__ = ["CalibrationDisplay", "ResidualDisplay"]

#: Most levels of a column that are drawn side by side.
_MOST_LEVELS = 30


class ResidualDisplay:
    """Residuals of a sample of rows against fitted values, a column, or the normal quantiles they should have.

    Parameters
    ----------
    residual : ndarray of shape (m,)
    x : ndarray of shape (m,)
        Values below them: numbers, or labels. For a normal quantile plot None.
    kind : str
        Of the residuals.
    x_name : str
    seen : int or None
        Rows that the sample was drawn from.

    Attributes
    ----------
    ax_, figure_
        Axes and figure, after `plot`.
    bins_ : dict of ndarray
        Means of the residuals along ``x`` with their standard errors, after `plot`.

    Examples
    --------
    >>> from statkit import glm
    >>> from statkit.datasets import make_glm
    >>> from statkit.plotting import ResidualDisplay
    >>> frame, y, coef = make_glm(1_000, 2, family="poisson", random_state=0, as_frame=True)
    >>> fit = glm("y ~ x0 + x1", frame.assign(y=y), "poisson")
    >>> display = ResidualDisplay.from_estimator(fit, frame.assign(y=y))  # doctest: +SKIP

    References
    ----------
    P. K. Dunn and G. K. Smyth (1996), Randomized quantile residuals.
    """

    def __init__(
        self,
        residual: ArrayLike,
        x: ArrayLike | None = None,
        *,
        kind: str = "quantile",
        x_name: str = "fitted value",
        seen: int | None = None,
    ) -> None:
        self.residual, self.x = np.asarray(residual, dtype=float), None if x is None else np.asarray(x)
        self.kind, self.x_name, self.seen = kind, x_name, seen

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        kind: Literal["quantile", "deviance", "pearson", "response", None] = None,
        against: str = "fitted",
        size: int = 5_000,
        sample_weight: Any = None,
        offset: Any = None,
        random_state: Seed = 0,
        engine: Any = None,
        n_jobs: Any = None,
        ax: Any = None,
    ) -> Self:
        """Draw a sample of rows in one pass over the data, and their residuals.

        Parameters
        ----------
        estimator : GLMRegressor, GLMClassifier (two classes), OrderedClassifier or QuantileRegressor
            Fitted.
        X : as in ``fit``
            With the response, unless ``y`` is given.
        y : array of shape (n,) or None
        kind : {"quantile", "deviance", "pearson", "response", None}, default=None
            Randomised quantile residuals are standard normal where the model holds, for counts and binary
            responses too; None takes them where the family has a distribution, and Pearson's otherwise. Deviance
            and Pearson residuals are divided by the root of the dispersion.
        against : str, default="fitted"
            "fitted" for the mean, "linear" for the linear predictor, "normal" for a normal quantile plot, or a
            column or expression of the data (of the model or not).
        size : int, default=5_000
            Rows of the sample.
        sample_weight, offset : array of shape (n,) or None
        random_state : int, default=0
            The sample and the residuals depend on it and on the row numbers alone.
        engine, n_jobs
            As in the fit; None is the estimator's.
        ax : matplotlib Axes, default=None

        Returns
        -------
        ResidualDisplay
        """
        column = None if against in ("fitted", "linear", "normal") else against
        found = sampled_residuals(
            estimator, X, y, kind=kind, column=column, size=size, sample_weight=sample_weight, offset=offset,
            seed=int(random_state), engine=engine, n_jobs=n_jobs,
        )  # fmt: skip
        x = {"fitted": found.fitted, "linear": found.linear, "normal": None}.get(against, found.against)
        name = {"fitted": "fitted value", "linear": "linear predictor", "normal": "normal quantile"}.get(
            against, against
        )
        if against == "fitted" and estimator._fitted_family.n_thresholds:
            name = "latent predictor"
        return cls(found.residual, x, kind=found.kind, x_name=name, seen=found.seen).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        ax = canvas(ax, 5.4, 3.8)
        if self.x is None:
            self._normal_plot(ax)
        elif self.x.dtype.kind in "OUSb":
            self._by_level(ax)
        else:
            self._by_number(ax)
        ax.set(xlabel=self.x_name, ylabel=f"{self.kind} residual")
        ax.spines[["top", "right"]].set_visible(False)
        if self.seen is not None and self.seen > len(self.residual):
            note = f"{len(self.residual):,} of {self.seen:,} rows"
            ax.annotate(note, (1, 1.01), xycoords="axes fraction", ha="right", fontsize=8, color="0.4")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _points(self, ax, x):
        m = len(self.residual)
        ax.axhline(0.0, color="0.6", lw=0.8, zorder=1)
        ax.scatter(
            x, self.residual, s=6, color=BLUE, alpha=float(np.clip(60 / np.sqrt(m) / 4, 0.08, 0.6)), linewidths=0,
            rasterized=m > 2_000, zorder=2,
        )  # fmt: skip

    def _by_number(self, ax):
        x = self.x.astype(float)
        self._points(ax, x)
        bins = int(np.clip(np.sqrt(len(x)) / 2, 4, 20))
        edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)))
        if len(edges) < 3:  # one value, or two
            edges = np.unique(x)
            edges = np.append(edges, edges[-1] + 1.0)
        which = np.clip(np.searchsorted(edges, x, "right") - 1, 0, len(edges) - 2)
        self.bins_ = self._means(which, len(edges) - 1, x)
        b = self.bins_
        ax.fill_between(
            b["x"],
            b["mean"] - 2 * b["error"],
            b["mean"] + 2 * b["error"],
            color=VERMILION,
            alpha=0.25,
            lw=0,
            zorder=3,
        )
        ax.plot(
            b["x"], b["mean"], color=VERMILION, lw=1.8, marker="o", ms=3, zorder=4, label="mean ± 2 std err"
        )
        ax.legend(frameon=False, fontsize=8, loc="upper left")

    def _by_level(self, ax):
        labels, which = np.unique(self.x.astype(str), return_inverse=True)
        if len(labels) > _MOST_LEVELS:
            raise ValueError(
                f"{self.x_name} has {len(labels)} levels in the sample: more than {_MOST_LEVELS} are not drawn"
            )
        spread = np.random.default_rng(0).uniform(-0.28, 0.28, len(which))
        self._points(ax, which + spread)
        self.bins_ = self._means(which, len(labels), which)
        b = self.bins_
        ax.errorbar(
            b["x"],
            b["mean"],
            2 * b["error"],
            fmt="o",
            color=VERMILION,
            ms=4,
            capsize=3,
            zorder=4,
            label="mean ± 2 std err",
        )
        turned = max(map(len, labels)) * len(labels) > 60
        ax.set_xticks(
            range(len(labels)), labels, rotation=45 if turned else 0, ha="right" if turned else "center"
        )
        ax.legend(frameon=False, fontsize=8, loc="upper left")

    def _means(self, which, bins, x):
        n = np.bincount(which, minlength=bins)
        used = n > 1
        mean = np.bincount(which, self.residual, minlength=bins)[used] / n[used]
        square = np.bincount(which, self.residual**2, minlength=bins)[used] / n[used]
        error = np.sqrt(np.maximum(square - mean**2, 0.0) / (n[used] - 1))
        return {
            "x": np.bincount(which, x, minlength=bins)[used] / n[used],
            "mean": mean,
            "error": error,
            "n": n[used],
        }

    def _normal_plot(self, ax):
        from scipy import stats

        r = np.sort(self.residual)
        m = len(r)
        i = np.arange(1, m + 1)
        normal = stats.norm.ppf((i - 0.375) / (m + 0.25))
        low, high = (stats.norm.ppf(stats.beta.ppf(q, i, m + 1 - i)) for q in (0.025, 0.975))
        ax.fill_between(normal, low, high, color="0.85", lw=0, label="95 % of each point")
        ax.plot(normal, normal, color="0.5", lw=0.8)
        ax.scatter(normal, r, s=7, color=BLUE, linewidths=0, zorder=3, rasterized=m > 2_000)
        ax.legend(frameon=False, fontsize=8, loc="upper left")
        self.bins_ = {"x": normal, "mean": r, "lower": low, "upper": high}


class CalibrationDisplay:
    """How often events happen among rows of about the same predicted probability, with intervals.

    Parameters
    ----------
    bins : dict
        Class → ``predicted``, ``observed``, ``lower``, ``upper`` and ``weight`` of its bins.
    brier : dict
        Class → Brier score.
    name : str or None
        What the event is, for a single class.
    level : float

    Attributes
    ----------
    ax_, figure_
        Axes and figure, after `plot`.
    error_ : dict
        Class → expected calibration error: mean distance of observed and predicted over bins.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.plotting import CalibrationDisplay
    >>> from statkit.regression import GLMClassifier
    >>> X, y, coef = make_glm(1_000, 2, family="binomial", random_state=0)
    >>> display = CalibrationDisplay.from_estimator(GLMClassifier().fit(X, y), X, y)  # doctest: +SKIP

    References
    ----------
    A. H. Murphy and R. L. Winkler (1977), Reliability of subjective probability forecasts of precipitation and
    temperature.
    """

    def __init__(
        self,
        bins: dict[str, Any],
        *,
        brier: dict[str, Any] | None = None,
        name: str | None = None,
        level: float = 0.95,
    ) -> None:
        self.bins, self.brier, self.name, self.level = bins, brier or {}, name, level
        self.error_ = {
            label: float(np.average(np.abs(b["observed"] - b["predicted"]), weights=b["weight"]))
            for label, b in bins.items()
        }

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        n_bins: int = 10,
        strategy: Literal["quantile", "uniform"] = "quantile",
        pos_label: Any = None,
        level: float = 0.95,
        sample_weight: Any = None,
        offset: Any = None,
        engine: Any = None,
        n_jobs: Any = None,
        ax: Any = None,
    ) -> Self:
        """Sum predictions and events in one pass over the data, and draw them.

        Parameters
        ----------
        estimator : classifier, or GLMRegressor of the binomial family
            Fitted. Regressions of this package read data of any size; others need arrays and ``predict_proba``.
        X : as in ``fit``
            With the response, unless ``y`` is given.
        y : array of shape (n,) or None
        n_bins : int, default=10
        strategy : {"quantile", "uniform"}, default="quantile"
            Bins of about equal weight, or of equal width.
        pos_label : label or None
            The class to draw; None is the second of two, or each of more.
        level : float, default=0.95
            Of the intervals (Wilson's), by bin.
        sample_weight, offset : array of shape (n,) or None
        engine, n_jobs
            As in the fit; None is the estimator's.
        ax : matplotlib Axes, default=None

        Returns
        -------
        CalibrationDisplay
        """
        cells = calibration_cells(
            estimator, X, y, sample_weight=sample_weight, offset=offset, engine=engine, n_jobs=n_jobs
        )
        if pos_label is not None:
            if pos_label not in cells:
                raise ValueError(f"pos_label={pos_label!r} has no probabilities: classes are {list(cells)}")
            cells = {pos_label: cells[pos_label]}
        bins = {label: bins_of(c, n_bins, strategy, level) for label, c in cells.items()}
        name = getattr(getattr(estimator, "estimate_", None), "response", None)
        return cls(bins, brier={label: c.brier for label, c in cells.items()}, name=name, level=level).plot(
            ax=ax
        )

    def plot(self, ax: Any = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        ax = canvas(ax, 4.6, 4.4)
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, zorder=1)
        several = len(self.bins) > 1
        for k, (label, b) in enumerate(self.bins.items()):
            reach = [b["observed"] - b["lower"], b["upper"] - b["observed"]]
            style = {"color": PALETTE[k % len(PALETTE)], "marker": "osD^vPX"[k % 7]}
            ax.errorbar(
                b["predicted"], b["observed"], reach, lw=1, ms=4.5, capsize=2, label=str(label) if several else None,
                zorder=3, **style,
            )  # fmt: skip
        if several:
            ax.legend(frameon=False, fontsize=8, title="class", loc="upper left")
        else:
            label = next(iter(self.bins))
            score = f"Brier {self.brier[label]:.4f}, " if label in self.brier else ""
            note = f"{score}calibration error {self.error_[label]:.4f}\n{self.level:.0%} intervals by bin"
            ax.text(0.03, 0.97, note, transform=ax.transAxes, va="top", fontsize=8, color="0.3")
        event = "the class" if several else f"{self.name or 'y'} = {next(iter(self.bins))}"
        ax.set(
            xlabel=f"predicted probability of {event}",
            ylabel="observed share",
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
        )
        ax.set_aspect("equal")
        ax.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
