"""The discretised operators by themselves, for those who build on them: grids, meshes, graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from statkit.decomposition.fields.hamiltonian import OPERATORS, hamiltonian
from statkit.decomposition.fields.kernel import Kernel
from statkit.decomposition.fields.lengths import read_lengths
from statkit.decomposition.fields.modes import check_variance
from statkit.decomposition.meshes.graph import read_graph
from statkit.decomposition.meshes.simplex import SimplexMesh, triangulate
from statkit.decomposition.meshes.structure import resolve_structure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class FieldOperator:
    """-∇·Σ∇ on a mesh.

    Attributes
    ----------
    stiffness : csr_array of shape (n, n)
        Symmetric, positive semi-definite, with the boundary term.
    mass : ndarray of shape (n,)
        Volume of each node.
    nodes : ndarray of shape (n, d), or None on a graph
    """

    stiffness: sparse.csr_array
    mass: np.ndarray
    nodes: np.ndarray | None
    mesh: Any

    def hamiltonian(self, variance=1.0, operator: str = "log") -> sparse.csr_array:
        """Sparse symmetric H whose lowest eigenvectors, times mass^-½, are the leading modes."""
        if operator not in OPERATORS[:3]:
            raise ValueError(f"operator must be one of {', '.join(OPERATORS[:3])}, got {operator!r}")
        values = np.broadcast_to(np.asarray(variance, dtype=float).ravel(), self.mass.shape)
        check_variance(values)
        if not np.all(values > 0):
            raise ValueError(
                f"variance must be positive at every node, but node {int(np.argmin(values))} has 0"
            )
        return hamiltonian(self.stiffness, self.mass, values, operator)


def grid_operator(
    shape: tuple[int, ...],
    correlation_length: float | ArrayLike = 1.0,
    *,
    coordinates: Any = None,
    metric: str = "euclidean",
    radius: float = 1.0,
    mask: Any = None,
    boundary: Any = "robin",
    coast: Literal["robin", "neumann", "dirichlet"] | None = None,
    kernel: Any = "gaussian",
) -> FieldOperator:
    """Cell-centred finite volumes on a grid.

    Parameters
    ----------
    shape : tuple of int
    correlation_length : float or array-like, default=1.0
        See `schrodinger_modes`; Σ of the operator is the second moment of the kernel.
    coordinates : tuple of vectors, default=None
        Cell centres along each axis; None is 0, 1, ….
    metric : {"euclidean", "latlon"}, default="euclidean"
    radius : float, default=1.0
    mask : array-like of bool of the grid's shape, default=None
        Cells of the domain.
    boundary : str or tuple of str, default="robin"
    coast : {"robin", "neumann", "dirichlet"}, default=None
        Condition where masked cells begin; None is that of the boundary.
    kernel : str or ("matern", nu), default="gaussian"

    Returns
    -------
    FieldOperator

    Examples
    --------
    >>> from statkit.decomposition import grid_operator
    >>> operator = grid_operator((5,), boundary="neumann")
    >>> operator.hamiltonian([1, 2, 3, 2, 1]).toarray()[0].round(4)
    array([ 0.5, -0.5,  0. ,  0. ,  0. ])
    """
    count = int(np.prod(shape))
    structure = resolve_structure(count, shape=shape, coordinates=coordinates, metric=metric, radius=radius)
    lengths = structure.mirrored(read_lengths(correlation_length, structure.dimension, count))
    if coast not in (None, "robin", "neumann", "dirichlet"):
        raise ValueError(f"coast must be None, robin, neumann or dirichlet, got {coast!r}")
    mesh = structure.mesh
    if mask is not None:
        keep = np.asarray(mask, dtype=bool).ravel()
        if len(keep) != count:
            raise ValueError(f"mask has {len(keep)} cells, shape {tuple(np.atleast_1d(shape))} has {count}")
        if not keep.any():
            raise ValueError("mask leaves no cell")
        mesh, lengths = mesh.restricted(keep), lengths.at(keep)
    return _operator(mesh, lengths, boundary, kernel, coast)


def mesh_operator(
    vertices: ArrayLike,
    cells: Any = None,
    correlation_length: float | ArrayLike = 1.0,
    *,
    boundary: str = "robin",
    kernel: Any = "gaussian",
    max_edge: float | None = None,
) -> FieldOperator:
    """Linear finite elements on segments, triangles (in the plane or on a surface) or tetrahedra.

    Parameters
    ----------
    vertices : array-like of shape (n, D)
    cells : array-like of int of shape (m, s + 1), default=None
        None is the Delaunay triangulation without thin cells on its hull.
    correlation_length : float or array-like, default=1.0
        One a vertex where it varies.
    boundary : {"robin", "neumann", "dirichlet"}, default="robin"
    kernel : str or ("matern", nu), default="gaussian"
    max_edge : float, default=None
        Longest edge of a Delaunay cell.

    Returns
    -------
    FieldOperator

    Examples
    --------
    >>> from statkit.decomposition import icosphere, mesh_operator
    >>> operator = mesh_operator(*icosphere(3), 0.2)
    >>> bool(abs(operator.mass.sum() - 4 * 3.14159) < 0.2)
    True
    """
    vertices = np.asarray(vertices, dtype=float)
    vertices = vertices[:, None] if vertices.ndim == 1 else vertices
    mesh = triangulate(vertices, max_edge) if cells is None else SimplexMesh(vertices, cells)
    return _operator(mesh, read_lengths(correlation_length, mesh.dimension, len(vertices)), boundary, kernel)


def graph_operator(graph: Any, correlation_length: float = 1.0, *, kind: str = "auto") -> FieldOperator:
    """ℓ² times the Laplacian of a graph: e^(-H) of the log operator is the heat kernel of time ℓ²/2.

    Parameters
    ----------
    graph : sparse array of shape (p, p), or networkx graph
    correlation_length : float, default=1.0
    kind : {"auto", "adjacency", "laplacian"}, default="auto"

    Returns
    -------
    FieldOperator

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.decomposition import graph_operator
    >>> graph_operator(np.array([[0, 1], [1, 0]])).stiffness.toarray()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    mesh = read_graph(graph, kind)
    return _operator(mesh, read_lengths(correlation_length, 1, len(mesh.mass)), None, "gaussian")


def _operator(mesh, lengths, boundary, kernel, coast=None) -> FieldOperator:
    kernel = Kernel.of(kernel)
    d = mesh.dimension
    if d:
        lengths, beyond = lengths.scaled(kernel.stretch(d)), kernel.extrapolation(d)
    else:
        beyond = 0.0
    stiffness = mesh.stiffness(lengths, boundary, beyond, coast)
    return FieldOperator(stiffness, mesh.mass, mesh.coordinates, mesh)
