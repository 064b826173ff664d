"""Discretised operators: symmetry, positivity, conservation, and agreement of finite volumes and elements."""

import numpy as np
import pytest
from scipy import sparse

from statkit.decomposition import (
    graph_operator,
    grid_operator,
    icosphere,
    mesh_operator,
    schrodinger_modes,
    subspace_angle,
)

TENSOR = np.array([[0.09, 0.03], [0.03, 0.04]])


def all_operators(boundary):
    rng = np.random.default_rng(0)
    mask = rng.random((7, 8)) < 0.8
    latitude, longitude = np.linspace(-60, 60, 9), np.arange(0, 360, 30.0)
    yield "line", grid_operator((6,), 2.0, boundary=boundary)
    yield "uneven line", grid_operator((5,), 2.0, coordinates=([0, 1, 3, 4, 9],), boundary=boundary)
    yield "grid", grid_operator((4, 5), 2.0, boundary=boundary)
    yield "axes", grid_operator((4, 5), [2.0, 1.0], boundary=boundary, kernel="matern32")
    yield "tensor", grid_operator((6, 5), 9 * TENSOR, boundary=boundary)
    yield "box", grid_operator((3, 4, 2), 2.0, boundary=boundary)
    yield "masked", grid_operator((7, 8), 1.5, mask=mask, boundary=boundary)
    yield (
        "globe",
        grid_operator((9, 12), 0.4, coordinates=(latitude, longitude), metric="latlon", boundary=boundary),
    )
    yield "varying", grid_operator((20,), np.linspace(1, 2, 20), boundary=boundary)
    yield "segments", mesh_operator([0.0, 1, 2.5, 3, 7], None, 1.0, boundary=boundary)
    yield "triangles", mesh_operator(rng.random((40, 2)), None, 0.3, boundary=boundary)
    yield "oblique", mesh_operator(rng.random((40, 2)), None, TENSOR, boundary=boundary)
    yield "tetrahedra", mesh_operator(rng.random((40, 3)), None, 0.3, boundary=boundary)
    yield "sphere", mesh_operator(*icosphere(1), 0.3, boundary=boundary)


@pytest.mark.parametrize("boundary", ["robin", "neumann", "dirichlet"])
def test_stiffness_is_symmetric_and_positive(boundary):
    for name, operator in all_operators(boundary):
        K = operator.stiffness.toarray()
        scale = np.abs(K).max()
        assert np.abs(K - K.T).max() <= 1e-13 * scale, name
        assert np.linalg.eigvalsh(K).min() >= -1e-12 * scale, name
        ones = K @ np.ones(len(K))
        closed = name == "sphere"
        if boundary == "neumann" or closed:
            assert np.abs(ones).max() <= 1e-12 * scale, name
        else:
            assert ones.min() >= -1e-9 * scale and ones.max() > 0, name


def test_robin_lies_between_neumann_and_dirichlet():
    for (name, n), (_, r), (_, d) in zip(
        *(all_operators(b) for b in ("neumann", "robin", "dirichlet")), strict=True
    ):
        if name != "sphere":
            lowest = [np.linalg.eigvalsh(o.stiffness.toarray())[0] for o in (n, r, d)]
            assert lowest[0] < lowest[1] < lowest[2], name


@pytest.mark.parametrize("operator", ["log", "quadratic", "quadratic-sym"])
def test_hamiltonians_are_symmetric(operator):
    variance = np.random.default_rng(1).uniform(0.5, 2, 20)
    H = grid_operator((4, 5), 2.0).hamiltonian(variance, operator).toarray()
    assert np.abs(H - H.T).max() <= 1e-14 * np.abs(H).max()


def test_matrices_by_their_definition():
    variance = np.random.default_rng(2).uniform(0.5, 2, 12)
    operator = grid_operator((3, 4), 1.3, boundary="robin")
    L = operator.stiffness.toarray()  # cells of volume 1
    A = np.diag(np.sqrt(variance))
    for name, expected in (
        ("log", L / 2 - np.diag(np.log(variance))),
        ("quadratic", A @ L @ A / 2 - A @ A),
        ("quadratic-sym", (A @ A @ L + L @ A @ A) / 4 - A @ A),
    ):
        np.testing.assert_allclose(operator.hamiltonian(variance, name).toarray(), expected, atol=1e-13)


def test_robin_term_of_a_cell():
    K = grid_operator((3,), 2.0, coordinates=([0.0, 1, 2],)).stiffness.toarray()
    assert K[0, 0] == pytest.approx(4 + 4 / (0.5 + 0.5825971579 * 2), rel=1e-9)
    assert K[1, 1] == pytest.approx(8)


def test_masses_add_up_to_the_volume():
    assert grid_operator(
        (90, 180), coordinates=(np.arange(-89, 90, 2.0), np.arange(0, 360, 2.0)), metric="latlon", radius=2.0
    ).mass.sum() == pytest.approx(16 * np.pi, rel=1e-12)
    assert mesh_operator(*icosphere(5)).mass.sum() == pytest.approx(4 * np.pi, rel=2e-3)
    cube = np.stack(np.meshgrid([0, 1.0], [0, 1.0], [0, 1.0]), -1).reshape(-1, 3)
    assert mesh_operator(cube).mass.sum() == pytest.approx(1)


def test_finite_elements_agree_with_finite_volumes():
    n = 40
    x = (np.arange(n) + 0.5) / n
    volumes = schrodinger_modes(1.0, 0.1, shape=(n, n), coordinates=(x, x), n_components=6)
    lines = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
    # The elements end at the outer centres: put the corners of the square in.
    edge = np.linspace(0, 1, n + 1)
    square = np.stack(np.meshgrid(edge, edge, indexing="ij"), -1).reshape(-1, 2)
    from statkit.decomposition.meshes.simplex import triangulate

    mesh = triangulate(square)
    elements = schrodinger_modes(1.0, 0.1, mesh=(square, mesh.cells), weights="area", n_components=6)
    angle = subspace_angle(volumes.components, elements.at(lines))
    assert angle < 1
    np.testing.assert_allclose(elements.eigenvalues, volumes.eigenvalues / n**2, rtol=0.01)


def test_tensor_stencil_of_a_diagonal_matrix_is_the_five_point_one():
    for boundary in ("robin", "neumann"):
        by_axis = grid_operator((6, 5), [2.0, 1.0], boundary=boundary).stiffness.toarray()
        tilted = np.array([[4.0, 1e-13], [1e-13, 1.0]])
        elements = grid_operator((6, 5), tilted, boundary=boundary).stiffness.toarray()
        inner = np.ix_([6, 7, 8, 11, 12, 13, 16, 17, 18], [6, 7, 8, 11, 12, 13, 16, 17, 18])
        np.testing.assert_allclose(elements[inner], by_axis[inner], atol=1e-10)


def test_graph_laplacians():
    path = np.diag(np.ones(3), 1) + np.diag(np.ones(3), -1)
    laplacian = np.diag(path.sum(axis=1)) - path
    for given in (path, sparse.csr_array(path), laplacian, sparse.coo_array(laplacian)):
        np.testing.assert_allclose(graph_operator(given, 2.0).stiffness.toarray(), 4 * laplacian)
    import networkx

    np.testing.assert_allclose(graph_operator(networkx.path_graph(4)).stiffness.toarray(), laplacian)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.array([[0, 1.0], [2.0, 0]]), "symmetric"),
        (np.array([[0, -1.0, 1], [-1.0, 0, 0], [1, 0, 0]]), "negative weights"),
        (np.array([[0, np.nan], [np.nan, 0]]), "NaN"),
        (np.array([[0.5, -3.0], [-3.0, 0.5]]), "diagonal"),
    ],
)
def test_graphs_that_are_refused(graph, message):
    with pytest.raises(ValueError, match=message):
        graph_operator(graph)


def test_meshes_that_are_refused():
    square = np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]])
    for vertices, cells, message in (
        (square, np.array([[0, 1, 9]]), "outside 0"),
        (square, np.array([[0, 1, 1]]), "no volume"),
        (square, np.array([[0.5, 1, 2]]), "integer"),
        (square, np.array([[0, 1, 2, 3]]), "corners"),
        (np.vstack([square, square[:1]]), None, "coincide"),
        (square[:2], None, "do not make a mesh"),
    ):
        with pytest.raises(ValueError, match=message):
            mesh_operator(vertices, cells)
    with pytest.raises(ValueError, match="max_edge"):
        mesh_operator(square, max_edge=0.1)
    with pytest.raises(ValueError, match="curved surface"):
        mesh_operator(*icosphere(0), np.eye(2))


def test_icosphere_counts_and_radius():
    for s in range(4):
        vertices, cells = icosphere(s, 3.0)
        assert vertices.shape == (10 * 4**s + 2, 3) and cells.shape == (20 * 4**s, 3)
        np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 3.0)
    with pytest.raises(ValueError, match="between 0 and 8"):
        icosphere(9)


def test_a_coast_can_have_its_own_condition():
    mask = np.ones((4, 4), bool)
    mask[1, 1] = False
    open_coast = grid_operator((4, 4), mask=mask, boundary="neumann", coast="robin").stiffness.toarray()
    closed = grid_operator((4, 4), mask=mask, boundary="neumann").stiffness.toarray()
    assert np.abs(closed.sum(axis=1)).max() < 1e-12
    assert np.count_nonzero(open_coast.sum(axis=1) > 1e-6) == 4


def test_periodic_axes_have_the_discrete_fourier_eigenvalues():
    n, ell = 24, 3.0
    modes = schrodinger_modes(1.0, ell, shape=(n,), boundary="periodic", n_components=n)
    k2 = 4 * np.sin(np.pi * np.arange(n) / n) ** 2
    exact = np.sqrt(2 * np.pi) * ell * np.exp(-(ell**2) * k2 / 2)
    np.testing.assert_allclose(modes.eigenvalues, np.sort(exact)[::-1], rtol=1e-8)
