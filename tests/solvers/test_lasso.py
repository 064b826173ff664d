"""Lasso on a quadratic and proximal Newton: optimality conditions, closed forms, degenerate quadratics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statkit.solvers.coordinate_descent import kkt_residual, minimise


def residual(H, c, l1, beta):
    return kkt_residual(c - H @ beta, beta, l1) / max(np.abs(c).max(), 1e-300)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 30), st.floats(0.0, 1.2))
def test_optimality(seed, q, n, share):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, q)) * 10 ** rng.uniform(-3, 3, q)
    H, c = A.T @ A, A.T @ rng.standard_normal(n)
    l1 = share * np.abs(c).max() * rng.uniform(0, 1, q)
    assert residual(H, c, l1, minimise(H, c, l1)) < 1e-7


def test_orthogonal_columns_are_thresholded():
    c = np.array([3.0, -2.0, 0.5, 0.0])
    beta = minimise(np.eye(4) * 2, c, np.full(4, 1.0))
    np.testing.assert_allclose(beta, [1.0, -0.5, 0.0, 0.0])
    assert (beta[2:] == 0).all()


def test_free_coefficients_and_dead_columns():
    H = np.array([[4.0, 2.0, 0.0], [2.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    beta = minimise(H, np.array([1.0, 5.0, 0.0]), np.array([0.0, 1e9, 1.0]))
    np.testing.assert_allclose(beta, [0.25, 0.0, 0.0])


def test_equal_columns():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((50, 3))[:, [0, 1, 1, 2]]
    H, c = A.T @ A, A.T @ rng.standard_normal(50)
    l1 = np.full(4, 0.1)
    assert residual(H, c, l1, minimise(H, c, l1)) < 1e-9


@pytest.mark.parametrize("q", [200])
def test_many_columns(q):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((300, q)) + rng.standard_normal((300, 1))
    H, c = A.T @ A, A.T @ (A[:, :5].sum(axis=1) + rng.standard_normal(300))
    l1 = np.full(q, 0.05 * np.abs(c).max())
    assert residual(H, c, l1, minimise(H, c, l1)) < 1e-12
