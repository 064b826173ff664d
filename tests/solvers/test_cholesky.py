"""Solves, inverses and dependent columns against numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit.solvers.cholesky import Factor


def gram(n, p, seed=0, scale=1.0):
    X = np.random.default_rng(seed).normal(size=(n, p)) * scale
    return X.T @ X


@given(st.integers(1, 12), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_full_rank(p, seed):
    scale = 10.0 ** np.random.default_rng(seed).integers(-4, 5, p)
    H = gram(40, p, seed, scale)
    g = np.random.default_rng(seed + 1).normal(size=p) * scale
    factor = Factor(H)
    assert factor.rank == p and factor.keep is None
    np.testing.assert_allclose(factor.solve(g) * scale, np.linalg.solve(H / scale / scale[:, None], g / scale), rtol=1e-7)
    unit = np.linalg.inv(H / scale / scale[:, None])
    np.testing.assert_allclose(factor.inverse() * scale * scale[:, None], unit, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("make", [
    lambda X: np.column_stack([X, X[:, 0]]),
    lambda X: np.column_stack([X, X @ [1.0, -2.0, 3.0]]),
    lambda X: np.column_stack([X, np.zeros(len(X))]),
])
def test_the_later_of_dependent_columns_is_left_out(make):
    X = make(np.random.default_rng(0).normal(size=(50, 3)))
    factor = Factor(X.T @ X)
    assert factor.keep.tolist() == [True, True, True, False] and factor.rank == 3
    y = np.random.default_rng(1).normal(size=50)
    expected = np.linalg.lstsq(X[:, :3], y, rcond=None)[0]
    np.testing.assert_allclose(factor.solve(X.T @ y), [*expected, 0.0], rtol=1e-9)
    inverse = factor.inverse()
    assert np.isnan(inverse[3]).all() and np.isnan(inverse[:, 3]).all()
    np.testing.assert_allclose(inverse[:3, :3], np.linalg.inv(X[:, :3].T @ X[:, :3]), rtol=1e-9)


def test_first_column_of_zeros_is_left_out():
    X = np.random.default_rng(0).normal(size=(50, 3))
    X[:, 0] = 0
    assert Factor(X.T @ X).keep.tolist() == [False, True, True]


def test_a_known_selection_is_used():
    H = gram(50, 3)
    factor = Factor(H, keep=np.array([True, False, True]))
    np.testing.assert_allclose(factor.solve(np.ones(3))[[0, 2]], np.linalg.solve(H[np.ix_([0, 2], [0, 2])], np.ones(2)))
    assert factor.solve(np.ones(3))[1] == 0
