"""Pictures of soft clusterings: the memberships, and the path of the objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from statkit.plotting._canvas import BLUE, PALETTE, canvas

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class MembershipDisplay:
    """Membership probabilities: a heat map of all objects, or a triangle for three clusters.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_clusters)
    labels : ndarray of shape (n_samples,), optional
        Groups that the rows of the heat map are ordered by, and colours of the triangle; by default the most
        probable cluster.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    order_ : ndarray of shape (n_samples,)
        Row order of the heat map.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from statkit.cluster import PAC
    >>> from statkit.plotting import MembershipDisplay
    >>> pac = PAC(3, random_state=0).fit(load_iris().data)
    >>> display = MembershipDisplay.from_estimator(pac)
    """

    def __init__(self, probabilities: ArrayLike, labels: ArrayLike | None = None) -> None:
        self.probabilities = probabilities
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, labels: ArrayLike | None = None, ax: Any = None, **options: Any
    ) -> Self:
        """Draw the memberships of a fitted estimator.

        Parameters
        ----------
        estimator : fitted soft clustering
        X : array-like, optional
            Rows to predict; by default those of the fit.
        labels : array-like of shape (n_samples,), optional
        ax : matplotlib Axes, optional
        **options
            Of `plot`.

        Returns
        -------
        MembershipDisplay
        """
        check_is_fitted(estimator)
        if X is not None:
            P = estimator.predict_proba(X)
        elif hasattr(estimator, "probabilities_"):
            P = estimator.probabilities_
        else:
            raise ValueError(f"{type(estimator).__name__} keeps no probabilities: give X")
        return cls(P, labels).plot(ax=ax, **options)

    def plot(self, ax: Any = None, *, kind: Literal["heatmap", "ternary"] = "heatmap") -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        kind : {"heatmap", "ternary"}, default="heatmap"
            "ternary" needs three clusters: an object lies nearer to the corners that it probably belongs to.

        Returns
        -------
        self
        """
        P = np.asarray(self.probabilities, dtype=float)
        if kind not in ("heatmap", "ternary"):
            raise ValueError(f"kind must be 'heatmap' or 'ternary', got {kind!r}")
        if kind == "ternary" and P.shape[1] != 3:
            raise ValueError(f"a ternary plot needs three clusters, there are {P.shape[1]}")
        self.ax_ = canvas(ax)
        self.figure_ = self.ax_.figure
        groups = np.argmax(P, axis=1) if self.labels is None else np.asarray(self.labels)
        _, group = np.unique(groups, return_inverse=True)
        # Within a group the surest objects come first
        self.order_ = np.lexsort((-P.max(axis=1), np.argmax(P, axis=1), group))
        if kind == "heatmap":
            self._heatmap(P, group)
        else:
            self._ternary(P, group)
        return self

    def _heatmap(self, P, group):
        image = self.ax_.imshow(
            P[self.order_], aspect="auto", cmap="viridis", vmin=0.0, vmax=1.0, interpolation="nearest"
        )
        for edge in np.flatnonzero(np.diff(group[self.order_])):
            self.ax_.axhline(edge + 0.5, color="white", linewidth=0.8)
        self.ax_.set(xlabel="cluster", ylabel="objects, by group", xticks=range(P.shape[1]))
        self.figure_.colorbar(image, ax=self.ax_, label="probability")

    def _ternary(self, P, group):
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
        place = P / P.sum(axis=1, keepdims=True) @ corners
        self.ax_.plot(*np.vstack([corners, corners[:1]]).T, color="0.6", linewidth=0.8)
        for g in range(group.max() + 1):
            self.ax_.scatter(
                *place[group == g].T, s=14, alpha=0.6, color=PALETTE[g % len(PALETTE)], label=f"group {g}"
            )
        for k, (x, y) in enumerate(corners):
            self.ax_.annotate(
                f"cluster {k}", (x, y), (0, 6 if k == 2 else -12), textcoords="offset points", ha="center"
            )
        self.ax_.set_aspect("equal")
        self.ax_.margins(0.1)
        self.ax_.axis("off")
        self.ax_.legend(loc="upper right", frameon=False)


class PathDisplay:
    """The objective sweep by sweep, with the annealing stages marked.

    The objective rises where a new stage lowers the exponent, because weights ``p^m`` grow; within a stage it
    never does.

    Parameters
    ----------
    objective : list of float
        Objective after each sweep.
    stages : list of (int, float)
        First sweep and exponent of each stage.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from statkit.cluster import PAC
    >>> from statkit.plotting import PathDisplay
    >>> pac = PAC(3, random_state=0).fit(load_iris().data)
    >>> display = PathDisplay.from_estimator(pac)
    """

    def __init__(self, objective: list[float], stages: Any = ()) -> None:
        self.objective = objective
        self.stages = stages

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the path of a fitted estimator that has ``objective_path_``.

        Parameters
        ----------
        estimator : fitted soft clustering
        ax : matplotlib Axes, optional

        Returns
        -------
        PathDisplay
        """
        check_is_fitted(estimator, "objective_path_")
        return cls(estimator.objective_path_, getattr(estimator, "objective_stages_", ())).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        self
        """
        self.ax_ = canvas(ax)
        self.figure_ = self.ax_.figure
        J = np.asarray(self.objective, dtype=float)
        sweeps = np.arange(1, len(J) + 1)
        stages = list(self.stages) or [(0, None)]
        ends = [first for first, _ in stages[1:]] + [len(J)]
        top = self.ax_.get_xaxis_transform()
        for number, ((first, m), last) in enumerate(zip(stages, ends, strict=True)):
            part = slice(first, last)
            self.ax_.plot(sweeps[part], J[part], marker="o", markersize=3, color=BLUE)
            if m is not None:
                self.ax_.axvline(first + 0.5, color="0.8", linewidth=0.8, zorder=0)
                # Labels of neighbouring stages alternate in height, so that short stages stay readable
                self.ax_.text(
                    first + 0.7, 0.97 - 0.06 * (number % 3), f"m = {m:.4g}", fontsize=7, transform=top
                )
        if len(J) and J.min() > 0:
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel="sweep", ylabel="objective")
        return self
