"""Leave-one-out scores against fitting again without each document."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit.naive_bayes import leave_one_out_log_prob


def brute_force(X, R, alpha, distribution):
    out = np.empty(R.shape)
    for i in range(len(X)):
        keep = np.arange(len(X)) != i
        N, n = R[keep].T @ X[keep], R[keep].sum(axis=0)[:, None]
        if distribution == "bernoulli":
            theta = (N + alpha) / (n + 2 * alpha)
            out[i] = np.log(theta) @ X[i] + np.log1p(-theta) @ (1 - X[i])
        else:
            out[i] = np.log((N + alpha) / (N.sum(axis=1, keepdims=True) + alpha * X.shape[1])) @ X[i]
    return out


@pytest.mark.parametrize("distribution", ["multinomial", "bernoulli"])
@pytest.mark.parametrize("alpha", [1.0, 0.1])
@pytest.mark.parametrize("weights", ["onehot", "soft", "weighted"])
def test_equals_fitting_again(distribution, alpha, weights):
    rng = np.random.default_rng(0)
    X = rng.poisson(0.7, (50, 30)).astype(float)
    X[:, 0] = 1.0  # a word of every document
    if distribution == "bernoulli":
        X = (X > 0).astype(float)
    R = np.eye(3)[rng.integers(3, size=50)] if weights == "onehot" else rng.dirichlet(np.ones(3), 50)
    if weights == "weighted":
        R = R * rng.exponential(2.0, (50, 1))
    scores = leave_one_out_log_prob(sp.csr_matrix(X), R, alpha=alpha, distribution=distribution)
    np.testing.assert_allclose(scores, brute_force(X, R, alpha, distribution), atol=1e-8)


def test_many_documents_of_a_class_use_the_interpolation():
    # With few documents every word is summed one by one; here nearly none is.
    rng = np.random.default_rng(1)
    X = (rng.random((400, 60)) < rng.uniform(0.02, 0.6, 60)).astype(float)
    R = rng.dirichlet(np.ones(2), 400)
    scores = leave_one_out_log_prob(X, R, distribution="bernoulli")
    np.testing.assert_allclose(scores, brute_force(X, R, 1.0, "bernoulli"), atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_small_matrix(data):
    n, p, K = data.draw(st.integers(2, 8)), data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    cells = st.lists(st.integers(0, 5), min_size=n * p, max_size=n * p)
    X = np.array(data.draw(cells), dtype=float).reshape(n, p)
    labels = data.draw(st.lists(st.integers(0, K - 1), min_size=n, max_size=n))
    R = np.eye(K)[labels]
    for distribution in ("multinomial", "bernoulli"):
        seen = (X > 0).astype(float) if distribution == "bernoulli" else X
        scores = leave_one_out_log_prob(X, R, alpha=0.5, distribution=distribution)
        np.testing.assert_allclose(scores, brute_force(seen, R, 0.5, distribution), atol=1e-9)


@pytest.mark.parametrize(
    ("X", "R", "options", "message"),
    [
        ([[1.0]], [[1.0]], {"alpha": 0.0}, "alpha must be positive"),
        ([[1.0]], [[-1.0]], {}, r"R\[0, 0\] is -1"),
        ([[-1.0]], [[1.0]], {}, "negative"),
        ([[1.0]], [[1.0]], {"distribution": "gaussian"}, "distribution must be"),
        ([[1.0], [1.0]], [[1.0]], {}, "inconsistent"),
        ([[np.nan]], [[1.0]], {}, "NaN"),
    ],
)
def test_bad_input(X, R, options, message):
    with pytest.raises(ValueError, match=message):
        leave_one_out_log_prob(np.array(X), np.array(R), **options)
