"""The probability simplex: projections on it and small quadratic programs over it."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import linalg, optimize


@njit(cache=True, nogil=True)
def project_row(v, m, work, out):
    """Project ``v[:m]`` on the simplex into ``out[:m]``; return the threshold θ: out = max(v − θ, 0).

    ``work`` holds at least ``m`` numbers; no sorting: what lies below the threshold of the rest is dropped
    until nothing does (Michelot 1986), which ends at the threshold of the sorting formula.
    """
    top = v[0]
    for j in range(1, m):
        if v[j] > top:
            top = v[j]
    kept = 0
    total = -1.0
    for j in range(m):
        if v[j] > top - 1.0:  # an entry a whole unit below the largest is never positive
            work[kept] = v[j]
            total += v[j]
            kept += 1
    active = 0
    theta = total / kept
    while kept != active:
        active = kept
        theta = total / active
        kept = 0
        total = -1.0
        for i in range(active):
            if work[i] > theta:
                work[kept] = work[i]
                total += work[i]
                kept += 1
    for j in range(m):
        out[j] = max(v[j] - theta, 0.0)
    return theta


def minimize_on_simplex(A):
    """Return the minimiser of xᵀAx over the simplex, for symmetric positive definite ``A``.

    With A = RᵀR it is y / Σy, where y ≥ 0 is the non-negative least squares solution of R y ≈ R⁻ᵀ1: exact, by
    an active set. A tiny ridge helps a matrix that is singular to rounding.
    """
    A = np.asarray(A, dtype=np.float64)
    scale = np.trace(A) / len(A)
    if not scale > 0:
        return np.full(len(A), 1.0 / len(A))
    A = A / scale
    for ridge in (0.0, 1e-14, 1e-12, 1e-10, 1e-8):
        try:
            R = linalg.cholesky(A + ridge * np.eye(len(A)))
            break
        except linalg.LinAlgError:
            continue
    else:
        raise ValueError("the quadratic form over the simplex is not positive semi-definite")
    y, _ = optimize.nnls(R, linalg.solve_triangular(R, np.ones(len(A)), trans=1))
    return y / y.sum()
