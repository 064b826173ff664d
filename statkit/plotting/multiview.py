"""Plots of multi-view clusterings: what views weigh and support, and the graph in the order of clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from statkit.plotting._canvas import BLUE, ORANGE, canvas

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike


_LARGEST = 2_000  # rows of a heat map; more are thinned evenly inside clusters


class ViewWeightsDisplay:
    """Bars of the weight of every view beside its agreement with the clusters.

    A long weight bar over a short agreement bar is the sign of a view that was trusted for being simple, not
    for being right.

    Parameters
    ----------
    summary : DataFrame
        What ``summary()`` of a multi-view clusterer returns.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.cluster import OneStepMultiViewClustering
    >>> from statkit.datasets import make_multiview_blobs
    >>> from statkit.plotting import ViewWeightsDisplay
    >>> views = make_multiview_blobs(90, 3, random_state=0).views
    >>> fit = OneStepMultiViewClustering(3, n_init=1, random_state=0).fit(views)
    >>> display = ViewWeightsDisplay.from_estimator(fit)
    """

    def __init__(self, summary: pd.DataFrame) -> None:
        self.summary = summary

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot a fitted multi-view clusterer.

        Parameters
        ----------
        estimator : fitted clusterer of `statkit.cluster` with ``summary()``
        ax : matplotlib Axes, default=None

        Returns
        -------
        ViewWeightsDisplay
        """
        return cls(estimator.summary()).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw into ``ax``, or into a new figure."""
        ax = canvas(ax, 5.5, 1.2 + 0.55 * len(self.summary))
        at = np.arange(len(self.summary))
        ax.barh(at - 0.2, self.summary["weight"], height=0.38, color=BLUE, label="weight")
        ax.barh(
            at + 0.2, self.summary["agreement"], height=0.38, color=ORANGE, label="agreement (adjusted Rand)"
        )
        ax.axvline(1 / len(self.summary), color="0.5", linewidth=1, linestyle=":", label="equal weight")
        ax.set_yticks(at, self.summary.index.astype(str))
        ax.invert_yaxis()
        ax.axvline(0, color="0.2", linewidth=0.8)
        ax.set_xlim(min(0.0, float(np.nanmin(self.summary["agreement"])) - 0.02), 1.0)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self


class AffinityDisplay:
    """Heat map of a graph or kernel, samples in the order of their clusters.

    Blocks on the diagonal are clusters; what is bright outside them is what the clustering does not explain.

    Parameters
    ----------
    affinity : ndarray or sparse array of shape (n_samples, n_samples)
    labels : ndarray of shape (n_samples,)

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    order_ : ndarray
        Samples in the order of the rows; beyond 2,000 samples an even choice inside every cluster.

    Examples
    --------
    >>> from statkit.cluster import SimilarityNetworkFusion
    >>> from statkit.datasets import make_multiview_blobs
    >>> from statkit.plotting import AffinityDisplay
    >>> views = make_multiview_blobs(90, 3, random_state=0).views
    >>> display = AffinityDisplay.from_estimator(SimilarityNetworkFusion(3, random_state=0).fit(views))
    """

    def __init__(self, affinity: Any, labels: ArrayLike) -> None:
        self.affinity, self.labels = affinity, np.asarray(labels)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot ``affinity_`` of a fitted clusterer, or what its embedding makes similar.

        Parameters
        ----------
        estimator : fitted clusterer with ``labels_`` and ``affinity_`` or ``embedding_``
        ax : matplotlib Axes, default=None

        Returns
        -------
        AffinityDisplay
        """
        if hasattr(estimator, "affinity_"):
            return cls(estimator.affinity_, estimator.labels_).plot(ax=ax)
        if not hasattr(estimator, "embedding_"):
            raise ValueError(
                f"{type(estimator).__name__} has neither affinity_ nor embedding_: fit it first, or give "
                "AffinityDisplay a matrix"
            )
        H = estimator.embedding_ / np.maximum(
            np.linalg.norm(estimator.embedding_, axis=1, keepdims=True), 1e-300
        )
        display = cls(None, estimator.labels_)
        display.order_ = display._ordered()
        H = H[display.order_]
        return display._draw(H @ H.T, ax)

    def _ordered(self):
        order = np.argsort(self.labels, kind="stable")
        if len(order) > _LARGEST:
            order = order[np.linspace(0, len(order) - 1, _LARGEST).astype(np.intp)]
        return order

    def plot(self, ax: Any = None) -> Any:
        """Draw into ``ax``, or into a new figure."""
        self.order_ = self._ordered()
        block = self.affinity[self.order_][:, self.order_]
        return self._draw(block.toarray() if hasattr(block, "toarray") else np.array(block, dtype=float), ax)

    def _draw(self, block, ax):
        ax = canvas(ax, 5.5, 4.8)
        np.fill_diagonal(block, np.nan)  # a sample with itself would set the scale
        inside = block[np.isfinite(block)]
        positive = inside[inside > 0]
        top = float(np.quantile(positive, 0.98)) if len(positive) else 1.0
        image = ax.imshow(
            block, cmap="viridis", vmin=min(float(inside.min()), 0.0), vmax=top, interpolation="auto"
        )
        ax.figure.colorbar(image, ax=ax, label="affinity", shrink=0.85, extend="max")
        sizes = np.unique(self.labels[self.order_], return_counts=True)[1]
        edges = np.concatenate([[0], np.cumsum(sizes)])
        for edge in edges[1:-1]:
            ax.axhline(edge - 0.5, color="white", linewidth=0.6)
            ax.axvline(edge - 0.5, color="white", linewidth=0.6)
        middles = (edges[:-1] + edges[1:]) / 2 - 0.5
        names = np.unique(self.labels[self.order_])
        ax.set_xticks(middles, names)
        ax.set_yticks(middles, names)
        ax.tick_params(length=0)
        ax.set_xlabel("cluster")
        ax.set_ylabel("cluster")
        self.ax_, self.figure_ = ax, ax.figure
        return self
