"""A fitted graph in the languages of other programs: networkx, Graphviz DOT, lavaan."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted


class ExportMixin:
    """Exports of a fitted graph with ``edges_`` and column names."""

    def to_networkx(self) -> Any:
        """Return the graph as a ``networkx.DiGraph``.

        Nodes are column names; edges carry the columns of ``edges_`` (weight, se, confidence, reversible, …).

        Returns
        -------
        networkx.DiGraph
        """
        check_is_fitted(self)
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from(self._names())
        for line in self.edges_.to_dict("records"):
            source, target = line.pop("from"), line.pop("to")
            graph.add_edge(source, target, **line)
        return graph

    def to_dot(self) -> str:
        """Return the graph in Graphviz' DOT language; reversible edges are drawn without arrow.

        Returns
        -------
        str
        """
        check_is_fitted(self)
        lines = ["digraph {"]
        lines += [f"  {_quoted(name)};" for name in self._names()]
        for line in self.edges_.to_dict("records"):
            label = f"{line['weight']:.3g}"
            if not np.isnan(line["confidence"]):
                label += f" ({line['confidence']:.2f})"
            options = [f'label="{label}"'] + (['dir="none"'] if line["reversible"] else [])
            lines.append(f"  {_quoted(line['from'])} -> {_quoted(line['to'])} [{', '.join(options)}];")
        return "\n".join([*lines, "}"])

    def to_lavaan(self) -> str:
        """Return the graph as a lavaan model: a regression for each column that has parents.

        Names that R would not accept are changed as R's ``make.names`` does.

        Returns
        -------
        str
        """
        check_is_fitted(self)
        names = [_r_name(str(name)) for name in self._names()]
        lines = []
        for j, name in enumerate(names):
            parents = np.flatnonzero(self.adjacency_[:, j])
            if len(parents):
                lines.append(f"{name} ~ " + " + ".join(names[i] for i in parents))
        lines += [f"{name} ~~ {name}" for name in names]
        return "\n".join(lines)


def _quoted(name) -> str:
    return '"' + str(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _r_name(name: str) -> str:
    out = "".join(c if c.isalnum() or c in "._" else "." for c in name)
    starts_well = out[:1].isalpha() or (out[:1] == "." and not out[1:2].isdigit())
    return out if starts_well else "X" + out
