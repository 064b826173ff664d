"""Products of a block against the same products of its dense expansion."""

import numpy as np
import pytest
import scipy.sparse as sp

from statkit.design.block import CodePart, Csr, concatenate, make_block

RNG = np.random.default_rng(0)
N = 9_001


def dense_block(dtype=np.float64, order="C", intercept=True, scaled=False):
    X = np.asarray(RNG.normal(5, 2, (N, 4)), dtype=dtype, order=order)
    block = make_block(X, n_rows=N, intercept=intercept)
    return block.scaled(X.mean(0).astype(float), 1 / X.std(0).astype(float)) if scaled else block


def coded_block(multiplied=False, intercept=True, order="C"):
    X = np.asarray(RNG.normal(size=(N, 2)), order=order)
    parts = [
        CodePart(RNG.integers(-1, 3, N).astype(np.int8), 3),
        CodePart(RNG.integers(-1, 7, N), 7, RNG.normal(size=N) if multiplied else None),
    ]
    return make_block(X, parts=parts, n_rows=N, intercept=intercept)


def sparse_block(intercept=True):
    S = sp.random(N, 6, density=0.3, random_state=1, format="csr")
    return make_block(csr=Csr(S.data, S.indices, S.indptr, 6), n_rows=N, intercept=intercept)


BLOCKS = {
    "C": lambda: dense_block(),
    "F": lambda: dense_block(order="F"),
    "float32": lambda: dense_block(np.float32),
    "int": lambda: dense_block(np.int64),
    "no intercept": lambda: dense_block(intercept=False),
    "scaled C": lambda: dense_block(scaled=True),
    "scaled F": lambda: dense_block(order="F", scaled=True),
    "strided": lambda: make_block(RNG.normal(size=(N, 8))[:, ::2], n_rows=N),
    "codes": coded_block,
    "codes F": lambda: coded_block(order="F"),
    "multiplied codes": lambda: coded_block(True),
    "codes alone": lambda: make_block(parts=[CodePart(RNG.integers(-1, 3, N), 3)], n_rows=N, intercept=False),
    "csr": sparse_block,
    "csr without intercept": lambda: sparse_block(False),
    "intercept alone": lambda: make_block(n_rows=N),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_products_equal_those_of_the_dense_matrix(kind):
    block = BLOCKS[kind]()
    X = block.to_dense()
    assert X.shape == (N, block.n_columns)
    beta, r, w = RNG.normal(size=X.shape[1]), RNG.normal(size=N), RNG.uniform(0, 2, N)
    np.testing.assert_allclose(block.matvec(beta), X @ beta, atol=1e-11)
    np.testing.assert_allclose(block.transpose_matvec(r), X.T @ r, atol=1e-9)
    np.testing.assert_allclose(block.sandwich(w), (X.T * w) @ X, rtol=1e-11, atol=1e-8)
    np.testing.assert_allclose(block.sandwich(r, nonnegative=False), (X.T * r) @ X, rtol=1e-9, atol=1e-8)
    groups = RNG.integers(0, 5, N)
    expected = np.stack([X[groups == g].T @ r[groups == g] for g in range(5)])
    np.testing.assert_allclose(block.group_scores(r, groups, 5), expected, atol=1e-9)
    T = RNG.normal(size=(3, X.shape[1]))
    np.testing.assert_allclose(block.row_norms(T), np.linalg.norm(X @ T.T, axis=1), rtol=1e-10)
    np.testing.assert_allclose(block.row_norms(T[0]), np.linalg.norm(X * T[0], axis=1), rtol=1e-10)


@pytest.mark.parametrize("kind", BLOCKS)
def test_taking_and_joining_rows(kind):
    block = BLOCKS[kind]()
    block.y = RNG.normal(size=N)
    X = block.to_dense()
    index = RNG.permutation(N)[:50]
    part = block.take(index)
    np.testing.assert_array_equal(part.to_dense(), X[index])
    np.testing.assert_array_equal(part.row_numbers(), index)
    halves = concatenate([block.take(slice(0, 100)), block.take(slice(100, N))])
    np.testing.assert_array_equal(halves.to_dense(), X)
    np.testing.assert_array_equal(halves.row_numbers(), np.arange(N))
    np.testing.assert_array_equal(halves.y, block.y)


def test_products_repeat_bit_for_bit():
    block = dense_block()
    w = RNG.uniform(size=N)
    assert (block.sandwich(w) == block.sandwich(w)).all()
