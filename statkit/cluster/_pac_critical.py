"""The critical exponent: above it the uniform partition is stable and every soft answer is 1/K.

Perturb the uniform partition: the fastest growing direction is multiplied by ``m λ / (m - 1)`` a sweep: the
partition leaves uniform if and only if ``m < 1 / (1 - λ)``.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

#: Beyond this many rows the spectrum is that of a random subsample of SAMPLE rows.
LARGE, SAMPLE = 20_000, 5_000


def exponent_of(eigenvalue):
    """1 / (1 - λ), infinite when there is no bound."""
    if eigenvalue >= 1.0 - 1e-12:
        return np.inf
    return 1.0 / (1.0 - max(float(eigenvalue), 0.0))


def linear_eigenvalues(X, square, weight, a, k=1, v0=None):
    """Largest k eigenvalues of (2/W) Σ w x x' / (|x|² + (1 - a) t) for centred dense rows, descending."""
    total = weight.sum()
    mean = float(weight @ square) / total
    bottom = square + (1.0 - a) * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        h = np.where(bottom > 0, np.sqrt(2.0 * weight / total / bottom), 0.0)
    B = X * h[:, None]
    n, d = B.shape
    if min(n, d) <= 1500:
        gram = B.T @ B if d <= n else B @ B.T
        return eigvalsh(gram)[::-1][:k]
    operator = LinearOperator((d, d), matvec=lambda v: B.T @ (B @ v.ravel()), dtype=float)
    return _extreme(operator, k, "LA", v0)[::-1]


def pairs_eigenvalues(times_D, n, weight, a, k=1, v0=None):
    """Largest k values λ of -H D H, H² = w / (r - a r̄ / 2), r = D w; ``times_D`` multiplies a vector by D."""
    r = times_D(weight)
    bottom = r - 0.5 * a * float(weight @ r) / weight.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        h = np.where(bottom > 0, np.sqrt(weight / bottom), 0.0)
    if n <= 400:
        M = np.column_stack([h * times_D(column) for column in np.diag(h)])
        return -eigvalsh(0.5 * (M + M.T))[:k]
    operator = LinearOperator((n, n), matvec=lambda v: h * times_D(h * v.ravel()), dtype=float)
    return -_extreme(operator, k, "SA", v0)


def _extreme(operator, k, which, v0):
    try:
        values = eigsh(operator, k=k, which=which, tol=1e-5, v0=v0, return_eigenvectors=False)
    except ArpackNoConvergence as stopped:
        values = stopped.eigenvalues
        if len(values) == 0:
            return np.zeros(k)
    return np.sort(values)
