"""Pictures of causal graphs and of missing patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.plotting._canvas import BLUE, ORANGE, VERMILION, canvas

if TYPE_CHECKING:
    import pandas as pd


_POSITIVE, _NEGATIVE = BLUE, VERMILION


class GraphDisplay:
    """A causal graph drawn in layers, causes above effects.

    Width of an edge: size of its standardised weight. Colour: blue raises, orange lowers. Opacity: confidence
    (if bootstrapped). Dashed without arrow head: the data do not tell the direction.

    Parameters
    ----------
    edges : DataFrame
        Columns from, to, strength (standardised weight), reversible, confidence.
    nodes : list of str
    positions : dict
        Node to (x, y).

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.causal import MissDAG, simulate_dag, simulate_sem
    >>> from statkit.plotting import GraphDisplay
    >>> dag = MissDAG().fit(simulate_sem(simulate_dag(5, random_state=0), 200, random_state=1))
    >>> display = GraphDisplay.from_estimator(dag)
    """

    def __init__(self, edges: pd.DataFrame, nodes: list[str], positions: dict[str, Any]) -> None:
        self.edges = edges
        self.nodes = nodes
        self.positions = positions

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **options: Any) -> GraphDisplay:
        """Draw the graph of a fitted `MissDAG`.

        Parameters
        ----------
        estimator : MissDAG
        ax : matplotlib Axes, default=None
            A new figure if None.
        **options
            Of `plot`.

        Returns
        -------
        GraphDisplay
        """
        nodes = estimator._names()
        edges = estimator.edges_[["from", "to", "reversible"]].copy()
        # An edge without direction is as sure as the adjacency.
        column = np.where(edges["reversible"], estimator.edges_["adjacency"], estimator.edges_["confidence"])
        edges["confidence"] = column
        deviation = np.sqrt(np.diag(estimator.covariance_))
        i, j = np.nonzero(estimator.adjacency_)
        edges["strength"] = estimator.weights_[i, j] * deviation[i] / deviation[j]
        return cls(edges, nodes, layered_positions(estimator.adjacency_, nodes)).plot(ax=ax, **options)

    def plot(self, ax: Any = None, *, font_size: float = 9.0, min_confidence: float = 0.0) -> GraphDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        font_size : float, default=9.0
        min_confidence : float, default=0.0
            Leave out edges of less confidence.

        Returns
        -------
        GraphDisplay
        """
        ax = canvas(ax, 6.5, 5.5)
        from matplotlib.lines import Line2D
        from matplotlib.patches import FancyArrowPatch

        at = {name: np.array(xy) for name, xy in self.positions.items()}
        labels = {
            name: ax.text(
                *at[name],
                name,
                ha="center",
                va="center",
                fontsize=font_size,
                zorder=3,
                bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.35"},
            )
            for name in self.nodes
        }
        span = np.array(list(self.positions.values()))
        ax.set_xlim(span[:, 0].min() - 0.7, span[:, 0].max() + 0.7)
        ax.set_ylim(span[:, 1].min() - 0.5, span[:, 1].max() + 0.5)
        ax.figure.canvas.draw()  # the boxes have their places now, and arrows can end at them
        boxes = {name: label.get_bbox_patch().get_window_extent().padded(4) for name, label in labels.items()}
        for line in self.edges.to_dict("records"):
            sure = line["confidence"]
            if sure < min_confidence:
                continue
            ends = line["from"], line["to"]
            others = [boxes[name] for name in self.nodes if name not in ends]
            away = -1 if at[line["from"]][0] + at[line["to"]][0] < 0 else 1
            bend = away * _clear_bend(*(ax.transData.transform(at[name]) for name in ends), others, away)
            arrow = FancyArrowPatch(
                at[line["from"]],
                at[line["to"]],
                arrowstyle="-" if line["reversible"] else "-|>",
                linestyle=(0, (4, 2)) if line["reversible"] else "-",
                connectionstyle=f"arc3,rad={bend}",
                patchA=labels[line["from"]].get_bbox_patch(),
                patchB=labels[line["to"]].get_bbox_patch(),
                mutation_scale=13,
                shrinkA=1,
                shrinkB=3,
                linewidth=0.8 + 3.2 * min(abs(line["strength"]), 1.0),
                color=_POSITIVE if line["strength"] > 0 else _NEGATIVE,
                alpha=1.0 if np.isnan(sure) else 0.2 + 0.8 * sure,
                zorder=2,
            )
            ax.add_patch(arrow)
        ax.set_axis_off()
        keys = [
            Line2D([], [], color=_POSITIVE, lw=2, label="raises"),
            Line2D([], [], color=_NEGATIVE, lw=2, label="lowers"),
        ]
        if self.edges["reversible"].any():
            keys.append(Line2D([], [], color="0.35", lw=2, ls=(0, (4, 2)), label="direction open"))
        ax.legend(
            handles=keys,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.02),
            ncols=3,
            frameon=False,
            fontsize=font_size,
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _clear_bend(start, end, boxes, away):
    """The least bend of an arc from ``start`` to ``end`` (pixels) that leaves all ``boxes`` aside, or the best."""
    s = np.linspace(0, 1, 60)[:, None]
    across = np.array([end[1] - start[1], start[0] - end[0]])
    low, high = (
        np.array([getattr(box, corner) for box in boxes]).reshape(-1, 2) for corner in ("min", "max")
    )
    hits = {}
    for bend in (0.0, 0.12, -0.12, 0.2, -0.2, 0.3, -0.3, 0.45, -0.45):
        middle = (start + end) / 2 + away * bend * across  # control point of matplotlib's "arc3"
        path = ((1 - s) ** 2 * start + 2 * s * (1 - s) * middle + s**2 * end)[:, None]
        hits[bend] = ((low < path) & (path < high)).all(axis=2).any(axis=0).sum()
        if not hits[bend]:
            break
    return min(hits, key=hits.get)


def layered_positions(A, nodes) -> dict:
    """Place each column below its causes, near the mean place of its neighbours; lone columns at the foot."""
    from statkit.causal.acyclicity import topological_order

    A = np.asarray(A, dtype=bool)
    depth = np.zeros(len(A), dtype=int)
    for j in topological_order(A):
        parents = np.flatnonzero(A[:, j])
        if len(parents):
            depth[j] = depth[parents].max() + 1
    joined = A | A.T
    lone = ~joined.any(axis=0)
    for i in topological_order(A)[::-1]:  # a root goes down to just above its first effect
        children = np.flatnonzero(A[i])
        if len(children) and not A[:, i].any():
            depth[i] = depth[children].min() - 1
    if lone.any():
        depth[lone] = depth.max() + 1 if (~lone).any() else 0
    layers = [np.flatnonzero(depth == k).tolist() for k in np.unique(depth)]
    layers = [part for layer in layers for part in _rows(layer)]
    x = np.zeros(len(A))
    for layer in layers:
        x[layer] = np.arange(len(layer)) - (len(layer) - 1) / 2
    for _ in range(8):
        for layer in layers:
            wish = [x[joined[i]].mean() if joined[i].any() else x[i] for i in layer]
            layer[:] = [layer[k] for k in np.argsort(wish, kind="stable")]
            x[layer] = np.arange(len(layer)) - (len(layer) - 1) / 2
    place = {}
    for k, layer in enumerate(layers):
        for i in layer:
            # Odd layers shifted a little: no edge runs through the middle of a box two layers down.
            place[nodes[i]] = (1.6 * x[i] + 0.28 * (-1) ** k, -1.0 * k)
    return place


def _rows(layer, most: int = 7):
    """Break a long layer into rows of about equal length."""
    parts = -(-len(layer) // most)
    return [list(part) for part in np.array_split(layer, parts)]


class MissingPatternDisplay:
    """The most frequent missing patterns: columns across, patterns down, a bar for how many rows.

    Parameters
    ----------
    patterns : DataFrame
        What `statkit.causal.missing_patterns` returns.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.datasets import load_airquality
    >>> from statkit.plotting import MissingPatternDisplay
    >>> display = MissingPatternDisplay.from_data(load_airquality(as_frame=True).frame)
    """

    def __init__(self, patterns: pd.DataFrame) -> None:
        self.patterns = patterns

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **options: Any) -> MissingPatternDisplay:
        """Draw the patterns of the table that a `MissDAG` was fitted to.

        Parameters
        ----------
        estimator : MissDAG
        ax : matplotlib Axes, default=None
        **options
            Of `plot`.

        Returns
        -------
        MissingPatternDisplay
        """
        return cls(estimator.missing_patterns_).plot(ax=ax, **options)

    @classmethod
    def from_data(cls, X: Any, *, ax: Any = None, **options: Any) -> MissingPatternDisplay:
        """Draw the patterns of a table.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
        ax : matplotlib Axes, default=None
        **options
            Of `plot`.

        Returns
        -------
        MissingPatternDisplay
        """
        from statkit.causal import missing_patterns

        return cls(missing_patterns(X)).plot(ax=ax, **options)

    def plot(self, ax: Any = None, *, n_patterns: int = 12) -> MissingPatternDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        n_patterns : int, default=12
            Patterns shown, the most frequent first.

        Returns
        -------
        MissingPatternDisplay
        """
        shown = self.patterns.head(n_patterns)
        names = list(shown.columns[3:])
        ax = canvas(ax, 1.6 + 0.6 * len(names), 1.2 + 0.32 * len(shown))
        from matplotlib.colors import ListedColormap

        seen = shown[names].to_numpy(dtype=float)
        ax.pcolormesh(
            seen, cmap=ListedColormap([ORANGE, "0.85"]), vmin=0, vmax=1, edgecolors="white", linewidth=1.5
        )
        ax.invert_yaxis()
        ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=45, ha="left", rotation_mode="anchor")
        ax.xaxis.tick_top()
        rest = len(self.patterns) - len(shown)
        ax.set_yticks(
            np.arange(len(shown)) + 0.5,
            [f"{n} ({share:.0%})" for n, share in zip(shown["n"], shown["share"], strict=True)],
        )
        ax.set_ylabel("rows" + (f" ({rest} rarer patterns not shown)" if rest > 0 else ""))
        ax.tick_params(length=0)
        ax.set_xlabel("grey: observed, orange: missing")
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
