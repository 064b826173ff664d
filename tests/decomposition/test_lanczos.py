"""Block Lanczos against the dense solver: plain, many-fold, exhausted and restarted."""

import numpy as np
import pytest
from scipy import sparse

from statkit.decomposition.fields.lanczos import ShiftedInverse, largest


def square(n, potential=0.0):
    """Second difference on an n × n grid, plus a potential."""
    line = sparse.diags_array(
        [np.full(n, 2.0), np.full(n - 1, -1.0), np.full(n - 1, -1.0)], offsets=[0, 1, -1]
    )
    one = sparse.eye_array(n)
    both = sparse.kron(line, one) + sparse.kron(one, line)
    return sparse.csr_array(both + sparse.diags_array(np.broadcast_to(potential, n * n)))


@pytest.mark.parametrize("width", [1, 5, 8, 19])
def test_inverse_of_blocks(width):
    rng = np.random.default_rng(0)
    matrix = square(13, rng.random(169))
    inverse = ShiftedInverse(matrix, 0.01)
    block = rng.normal(size=(169, width))
    expected = np.linalg.solve(matrix.toarray() - 0.01 * np.eye(169), block)
    np.testing.assert_allclose(inverse @ block, expected, rtol=1e-10)
    assert inverse.definite
    assert not ShiftedInverse(matrix, 1.0).definite


@pytest.mark.parametrize("k", [3, 40])
def test_lowest_of_a_rough_potential(k):
    matrix = square(24, np.random.default_rng(1).random(576))
    inverse = ShiftedInverse.below(matrix, -0.01)
    exact, axes = np.linalg.eigh(matrix.toarray())
    assert -0.01 < inverse.shift < exact[0]
    value, vectors = largest(inverse, 576, k)
    np.testing.assert_allclose(inverse.shift + 1 / value, exact[:k], rtol=1e-9)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(k), atol=1e-11)
    np.testing.assert_allclose(np.abs(np.sum(vectors * axes[:, :k], axis=0)), 1, atol=1e-6)


def test_restarts_until_it_is_there():
    # Two hundred eigenvalues a thousandth apart: no basis of the allowed length holds them at once.
    value = np.concatenate([1 + 1e-3 * np.arange(200), np.random.default_rng(2).random(1300)])

    class Diagonal:
        calls = 0

        def __matmul__(self, block):
            Diagonal.calls += 1
            return value[:, None] * block

    found, vectors = largest(Diagonal(), 1500, 6, tol=1e-8)
    np.testing.assert_allclose(found, np.sort(value)[::-1][:6], rtol=1e-10)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(6), atol=1e-11)
    assert Diagonal.calls > (6 + 200) // 8  # it did restart


def test_many_fold_and_exhausted():
    value = np.repeat([5.0, 3.0, 1.0, 0.5], [1, 8, 30, 461])

    class Diagonal:
        def __matmul__(self, block):
            return value[:, None] * block

    found, vectors = largest(Diagonal(), 500, 12)
    np.testing.assert_allclose(found, value[:12], rtol=1e-9)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-10)


def test_rough_last_vectors_are_still_orthonormal_and_the_first_exact():
    matrix = square(30, np.random.default_rng(3).random(900))
    inverse = ShiftedInverse.below(matrix, -0.01)
    _, axes = np.linalg.eigh(matrix.toarray())
    _, vectors = largest(inverse, 900, 60, loose=50)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(60), atol=1e-11)
    np.testing.assert_allclose(np.abs(np.sum(vectors * axes[:, :60], axis=0))[:10], 1, atol=1e-8)
