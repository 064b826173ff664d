"""Simulated documents with wrong labels, and protocols of injected noise."""

import numpy as np
import pytest


def _simulate(n, replicate, K=2, p=100, block=10, prior=(0.6, 0.4), T=((0.7, 0.3), (0.1, 0.9))):
    """Bernoulli words with a block of typical words for every class, and labels drawn by ``T``."""
    base = np.random.RandomState(7).uniform(0.05, 0.3, p)
    theta = np.tile(base, (K, 1))
    for k in range(K):
        theta[k, k * block : (k + 1) * block] += 0.2
    rng = np.random.RandomState(100 + replicate)
    y = rng.choice(K, n, p=prior)
    X = (rng.random_sample((n, p)) < theta[y]).astype(float)
    z = (rng.random_sample(n)[:, None] > np.cumsum(T, axis=1)[y]).sum(axis=1)
    y_test = rng.choice(K, 5000, p=prior)
    X_test = (rng.random_sample((5000, p)) < theta[y_test]).astype(float)
    return X, y, z, X_test, y_test, theta


@pytest.fixture(scope="module")
def counts():
    """Small counts of words with 3 classes, labels partly wrong and partly missing."""
    rng = np.random.default_rng(3)
    y = rng.integers(3, size=150)
    rate = np.ones((3, 12)) + 2.0 * np.kron(np.eye(3), np.ones(4))
    X = rng.poisson(0.5 * rate[y]).astype(float)
    z = np.where(rng.random(150) < 0.2, (y + 1) % 3, y)
    return X, y, z


@pytest.fixture(scope="session")
def simulate():
    """The simulation of documents whose Bernoulli model holds."""
    return _simulate
