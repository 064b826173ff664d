"""Shared tables: the worked example of ten rows, and small simulated ones."""

import numpy as np
import pytest

from statkit.causal import ampute, simulate_dag, simulate_sem

nan = np.nan


@pytest.fixture(scope="session")
def ten_rows():
    return np.array(
        [
            [0.5, 1.2, 0.3],
            [-1.1, -0.9, nan],
            [0.2, nan, -0.7],
            [nan, 2.1, 1.5],
            [1.4, nan, nan],
            [-0.3, -1, 0.4],
            [2, 2.6, 1.1],
            [nan, nan, 0.9],
            [-1.5, -2.2, -1.9],
            [0.8, 0.1, -0.2],
        ]
    )


@pytest.fixture(scope="session")
def chain():
    A = np.zeros((3, 3), dtype=bool)
    A[0, 1] = A[1, 2] = True
    return A


@pytest.fixture(scope="session")
def six():
    """A graph of six columns and 400 rows with a quarter of the entries missing."""
    W = simulate_dag(6, degree=2.5, random_state=3)
    X = ampute(simulate_sem(W, 400, noise_scale=(0.8, 1.4), random_state=4) + 5.0, 0.25, random_state=5)
    return W, X
