"""Graphs: the nodes are the locations, the Laplacian is the kinetic term."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from statkit.decomposition.fields.lengths import Lengths


class GraphMesh:
    """A weighted undirected graph, given by its adjacency or by a Laplacian."""

    curved = True
    dimension = 0
    uniform = False
    full = True
    nodes = None
    coordinates = None

    def __init__(self, laplacian: sparse.csr_array):
        self.laplacian = laplacian
        self.mass = np.ones(laplacian.shape[0])

    @property
    def spacing(self) -> np.ndarray:
        """One over the root of the strongest weight of each node: the length of its shortest edge."""
        strongest = abs(self.laplacian - sparse.diags_array(self.laplacian.diagonal())).max(axis=1)
        strongest = np.asarray(strongest.todense()).ravel()
        return 1 / np.sqrt(np.where(strongest > 0, strongest, 1.0))

    def stiffness(self, lengths: Lengths, boundary=None, extrapolation=None, coast=None) -> sparse.csr_array:
        """ℓ² times the Laplacian: a graph has no boundary."""
        if lengths.varying or not lengths.isotropic:
            raise ValueError(
                "on a graph the correlation length is one number: put variations into its weights"
            )
        return sparse.csr_array(self.laplacian * float(lengths.sigma))


def read_graph(graph, kind: str = "auto") -> GraphMesh:
    """Check a graph and turn it into a Laplacian.

    `kind` "auto" takes a matrix whose off-diagonal entries are all ≤ 0 for a Laplacian, one with entries
    ≥ 0 and no diagonal for an adjacency.
    """
    if kind not in ("auto", "adjacency", "laplacian"):
        raise ValueError(f"the kind of a graph is auto, adjacency or laplacian, got {kind!r}")
    if hasattr(graph, "nodes") and hasattr(graph, "edges"):  # networkx, without importing it
        import networkx

        graph, kind = networkx.to_scipy_sparse_array(graph, dtype=float), "adjacency"
    matrix = sparse.csr_array(graph, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"graph must be a square matrix, got shape {matrix.shape}")
    if not np.all(np.isfinite(matrix.data)):
        raise ValueError("graph contains NaN or infinite weights")
    gap = abs(matrix - matrix.T)
    if gap.nnz and gap.max() > 1e-8 * abs(matrix).max():
        worst = gap.tocoo()
        at = int(np.argmax(worst.data))
        raise ValueError(
            f"graph must be symmetric, but entries ({worst.row[at]}, {worst.col[at]}) and "
            f"({worst.col[at]}, {worst.row[at]}) differ by {worst.data[at]:g}; use (graph + graph.T) / 2 if "
            "edges have no direction"
        )
    matrix = sparse.csr_array(0.5 * (matrix + matrix.T))
    diagonal = matrix.diagonal()
    away = sparse.csr_array(matrix - sparse.diags_array(diagonal))
    away.eliminate_zeros()
    if kind == "auto":
        kind = "laplacian" if away.nnz and away.data.max() < 0 else "adjacency"
    if kind == "adjacency":
        if away.nnz and away.data.min() < 0:
            raise ValueError("graph has negative weights: a kinetic term needs weights ≥ 0")
        return GraphMesh(sparse.csr_array(sparse.diags_array(away.sum(axis=1)) - away))
    if away.nnz and away.data.max() > 0:
        raise ValueError("a Laplacian has no positive off-diagonal entries: pass the adjacency matrix")
    short = -np.asarray(away.sum(axis=1)).ravel() - diagonal  # dominance: a sufficient condition for PSD
    if short.max(initial=0.0) > 1e-8 * max(np.abs(diagonal).max(initial=0.0), 1e-300):
        normalized = np.allclose(diagonal[diagonal > 0], 1.0)
        if not normalized:
            raise ValueError(
                "graph looks like a Laplacian, but its diagonal is smaller than its row sums allow"
            )
    return GraphMesh(matrix)
