"""Displays for wrong labels: the transition matrix, and how likely each label is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from statkit.plotting._canvas import BLUE, VERMILION, canvas, pyplot

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["LabelIssuesDisplay", "TransitionDisplay"]


class TransitionDisplay:
    """The transition matrix: how often documents of a class are given each label, with intervals.

    Parameters
    ----------
    transition : ndarray of shape (K, K)
        Row true, column given.
    classes : ndarray of shape (K,)
    lower, upper : ndarray of shape (K, K), default=None
        Confidence limits.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.naive_bayes import MislabeledMultinomialNB
    >>> from statkit.plotting import TransitionDisplay
    >>> X, y = [[3, 0], [2, 1], [0, 3], [1, 2]] * 20, ["a", "a", "b", "b"] * 19 + ["b", "a", "b", "a"]
    >>> display = TransitionDisplay.from_estimator(MislabeledMultinomialNB().fit(X, y))
    """

    def __init__(
        self,
        transition: ArrayLike,
        classes: ArrayLike,
        *,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> None:
        self.transition, self.classes = np.asarray(transition), np.asarray(classes)
        self.lower, self.upper = lower, upper

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, level: float = 0.95, intervals: bool = False, ax: Any = None
    ) -> Self:
        """Draw the transition of a fitted classifier.

        Parameters
        ----------
        estimator : MislabeledMultinomialNB or another with ``transition_``
        level : float, default=0.95
            Confidence level.
        intervals : bool, default=False
            Compute confidence intervals (`transition_conf_int`), which takes time after a tempered fit.
        ax : matplotlib Axes, default=None

        Returns
        -------
        TransitionDisplay
        """
        check_is_fitted(estimator)
        limits = {}
        if intervals:
            frame, shape = estimator.transition_conf_int(level), estimator.transition_.shape
            limits = {side: frame[side].to_numpy().reshape(shape) for side in ("lower", "upper")}
        return cls(estimator.transition_, estimator.classes_, **limits).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        K = len(self.classes)
        side = max(3.2, 0.75 * K + 1.5)
        ax = canvas(ax, side, side * 0.9)
        image = ax.imshow(self.transition, cmap="cividis", vmin=0, vmax=1)
        for k in range(K):
            for m in range(K):
                value = self.transition[k, m]
                text = f"{value:.2f}"
                if self.lower is not None and np.isfinite(self.lower[k, m]):
                    text += f"\n[{self.lower[k, m]:.2f}, {self.upper[k, m]:.2f}]"
                if value >= 0.005 or self.lower is not None:
                    ax.text(
                        m,
                        k,
                        text,
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="black" if value > 0.5 else "white",
                    )
        names = [str(c) for c in self.classes]
        rotation = 45 if max(map(len, names)) > 3 else 0
        ax.set_xticks(range(K), names, rotation=rotation, ha="right" if rotation else "center")
        ax.set_yticks(range(K), names)
        ax.set(xlabel="given label", ylabel="true class")
        ax.figure.colorbar(image, ax=ax, shrink=0.8, label="P(given | true)")
        self.ax_, self.figure_ = ax, ax.figure
        return self


class LabelIssuesDisplay:
    """How likely each label is wrong: a histogram, and calibration where the truth is known.

    Parameters
    ----------
    error_proba : ndarray of shape (n,)
        Probability that each label is wrong; NaN does not count.
    wrong : bool ndarray of shape (n,), default=None
        Whether it is, if that is known.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of two if the truth is known
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.naive_bayes import MislabeledMultinomialNB, inject_label_noise
    >>> from statkit.plotting import LabelIssuesDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=600)
    >>> X = rng.poisson(np.where(y[:, None] == 1, [3, 2, 1], [1, 2, 3]))
    >>> given, wrong = inject_label_noise(y, 0.2, random_state=0)
    >>> display = LabelIssuesDisplay.from_estimator(MislabeledMultinomialNB().fit(X, given), wrong=wrong)
    """

    def __init__(self, error_proba: ArrayLike, *, wrong: Any = None) -> None:
        error = np.asarray(error_proba, dtype=float).ravel()
        known = np.isfinite(error)
        self.error_proba = error[known]
        self.wrong = None
        if wrong is not None:
            wrong = np.asarray(wrong, dtype=bool).ravel()
            if wrong.shape != error.shape:
                raise ValueError(f"wrong has {wrong.size} entries, but there are {error.size} labels")
            self.wrong = wrong[known]

    @classmethod
    def from_estimator(cls, estimator: Any, *, wrong: Any = None, ax: Any = None) -> Self:
        """Draw the training labels of a fitted classifier.

        Parameters
        ----------
        estimator : MislabeledMultinomialNB or another with ``label_error_proba_``
        wrong : bool array-like of shape (n,), default=None
            Whether each label is wrong, if that is known.
        ax : matplotlib Axes, or two of them with ``wrong``, default=None

        Returns
        -------
        LabelIssuesDisplay
        """
        check_is_fitted(estimator, "label_error_proba_")
        return cls(estimator.label_error_proba_, wrong=wrong).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        panels = 1 if self.wrong is None else 2
        if ax is None:
            _, ax = pyplot().subplots(1, panels, figsize=(4.2 * panels, 3.2), layout="constrained")
        axes = np.atleast_1d(ax)
        if len(axes) != panels:
            raise ValueError(f"ax must be {panels} Axes, got {len(axes)}")
        self._histogram(axes[0])
        if self.wrong is not None:
            self._calibration(axes[1])
        self.ax_, self.figure_ = ax, axes[0].figure
        return self

    def _histogram(self, ax):
        bins = np.linspace(0, 1, 21)
        if self.wrong is None:
            ax.hist(self.error_proba, bins, color=BLUE)
        else:
            parts = [self.error_proba[~self.wrong], self.error_proba[self.wrong]]
            ax.hist(parts, bins, stacked=True, color=[BLUE, VERMILION], label=["right", "wrong"])
            ax.legend(frameon=False)
        ax.set_yscale("symlog", linthresh=10)
        ax.set(xlabel="probability that the label is wrong", ylabel="labels", xlim=(0, 1))

    def _calibration(self, ax):
        edges = np.linspace(0, 1, 11)
        bin_ = np.clip(np.digitize(self.error_proba, edges) - 1, 0, 9)
        n = np.bincount(bin_, minlength=10)
        used = n > 0
        mean = np.bincount(bin_, self.error_proba, minlength=10)[used] / n[used]
        share = np.bincount(bin_, self.wrong, minlength=10)[used] / n[used]
        # Wilson's interval stays inside [0, 1] with few labels in a bin
        z = 1.96
        m = n[used]
        center = (share + z**2 / (2 * m)) / (1 + z**2 / m)
        half = z / (1 + z**2 / m) * np.sqrt(share * (1 - share) / m + z**2 / (4 * m**2))
        ax.plot([0, 1], [0, 1], color="0.7", lw=1, label="calibrated")
        low, high = np.maximum(share - center + half, 0), np.maximum(center + half - share, 0)
        ax.errorbar(mean, share, [low, high], fmt="o", color=BLUE, ms=4, capsize=2, label="95 % interval")
        ax.legend(frameon=False, loc="upper left")
        ax.set(
            xlabel="probability that the label is wrong",
            ylabel="share of wrong labels",
            xlim=(0, 1),
            ylim=(0, 1),
        )
