"""Quantile regression as a linear program: an interior-point method on the bounded dual, then the vertex.

min over b of Σ w ρ_τ(y − x'b) − G'b, with the check loss ρ_τ(e) = e (τ − 1[e < 0]). G stands for rows far
from the fit, whose loss is linear near it, or for a correction of the score.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve, qr

__all__ = ["check_loss", "weighted_quantile_regression"]

_STEP = 0.99995
_MOST = 100
_RIDGE = 1e-13


def check_loss(e: np.ndarray, tau: float) -> np.ndarray:
    """ρ_τ of every residual."""
    return e * (tau - (e < 0))


def weighted_quantile_regression(X, y, tau, weights=None, *, linear=None, tol=1e-9):
    """Coefficients of the τ-quantile of y given x, with weights, by Mehrotra's predictor and corrector.

    Parameters
    ----------
    X : array of shape (n, d)
        With a column of ones, if the model has an intercept.
    y : array of shape (n,)
    tau : float in (0, 1)
    weights : array of shape (n,) or None
        Non-negative.
    linear : array of shape (d,) or None
        G.
    tol : float, default=1e-9
        Relative duality gap; the answer is then moved to the optimal vertex.

    Returns
    -------
    coef : ndarray of shape (d,)

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.solvers.quantile import weighted_quantile_regression
    >>> weighted_quantile_regression(np.ones((5, 1)), np.array([1.0, 2, 3, 10, 20]), 0.5).round(6)
    array([3.])

    References
    ----------
    S. Portnoy and R. Koenker (1997), The Gaussian Hare and the Laplacian Tortoise: Computability of
    Squared-Error versus Absolute-Error Estimators.
    """
    X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    n = len(X)
    if not 0 < tau < 1:
        raise ValueError(f"tau must lie strictly between 0 and 1, not {tau!r}")
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
    # Columns, rows and response to unit size: weights span 1e4, and the solver's constants are absolute.
    size = np.sqrt(np.einsum("ij,ij->j", X, X) / max(n, 1))
    size[size == 0] = 1.0
    Z = X / size
    mean = w.mean() if w.mean() > 0 else 1.0
    A = Z * (w / mean)[:, None]
    base, scale = _location(y)
    direct = _shift(Z, y, base)
    t = (y - Z @ direct) / scale
    c = -t * (w / mean)
    rhs = (1.0 - tau) * A.sum(axis=0)
    if linear is not None:
        rhs = rhs - np.asarray(linear, dtype=float) / size / mean
    b = _frisch_newton(A, c, rhs, tau, tol)
    b = _vertex(A, -c, b, tau, None if linear is None else np.asarray(linear) / size / mean)
    return (direct + scale * b) / size


def _location(y):
    low, middle, high = np.quantile(y, [0.25, 0.5, 0.75])
    spread = high - low
    if not spread > 0:
        spread = y.std() or abs(middle) or 1.0
    return middle, spread


def _shift(Z, y, base):
    """A rough fit, so that numbers far from zero do not cost digits."""
    ridge = Z.T @ Z
    ridge[np.diag_indices_from(ridge)] += 1e-10 * np.trace(ridge) / len(ridge) + 1e-300
    return cho_solve(cho_factor(ridge), Z.T @ y)


def _frisch_newton(A, c, rhs, tau, tol):
    n, d = A.shape
    a = np.full(n, 1.0 - tau)
    s = 1.0 - a

    def solver(q):
        M = (A * q[:, None]).T @ A
        ridge = _RIDGE * max(np.trace(M) / d, 1e-300)
        for _ in range(8):
            try:
                M[np.diag_indices(d)] += ridge
                factor = cho_factor(M)
                return lambda g: cho_solve(factor, g)
            except np.linalg.LinAlgError:
                ridge *= 100
        inverse = np.linalg.pinv(M, hermitian=True)
        return lambda g: inverse @ g

    lam = solver(np.ones(n))(A.T @ c)
    r = c - A @ lam
    floor = 1e-3 * (1.0 + np.abs(r).mean())
    z = np.maximum(r, 0.0) + floor
    v = z - r
    for _ in range(_MOST):
        residual = rhs - A.T @ a
        gap = float(z @ a + v @ s)
        if gap <= tol * (1.0 + abs(float(c @ a))) and np.abs(residual).max() <= 1e-9 * (
            1 + np.abs(rhs).max()
        ):
            break
        q = 1.0 / (z / a + v / s)
        rr = z - v
        solve = solver(q)
        dl = solve(A.T @ (q * rr) + residual)
        da = q * (A @ dl - rr)
        dz = -z * (1 + da / a)
        dv = -v * (1 - da / s)
        fp, fd = _longest(a, da, s, -da), _longest(z, dz, v, dv)
        if min(fp, fd) < 1:
            ahead = float((z + fd * dz) @ (a + fp * da) + (v + fd * dv) @ (s - fp * da))
            mu = gap * (ahead / gap) ** 3 / (2 * n)
            cross_a, cross_s = da * dz, -da * dv
            rr = z - v - (mu / a - cross_a / a) + (mu / s - cross_s / s)
            dl = solve(A.T @ (q * rr) + residual)
            da = q * (A @ dl - rr)
            dz = -z + (mu - z * da - cross_a) / a
            dv = -v + (mu + v * da - cross_s) / s
            fp, fd = _longest(a, da, s, -da), _longest(z, dz, v, dv)
        a, s = a + fp * da, s - fp * da
        lam, z, v = lam + fd * dl, z + fd * dz, v + fd * dv
    return -lam


def _longest(x, dx, y, dy):
    step = 1.0
    for value, change in ((x, dx), (y, dy)):
        down = change < 0
        if down.any():
            step = min(step, _STEP * float((-value[down] / change[down]).min()))
    return step


def _vertex(A, t, b, tau, linear):
    """The vertex next to an interior solution: it interpolates d rows."""
    n, d = A.shape
    if n < d:
        return b

    def loss(b):
        value = check_loss(t - A @ b, tau).sum()
        return value if linear is None else value - linear @ b

    near = np.argsort(np.abs(t - A @ b), kind="stable")[: min(n, 3 * d + 10)]
    near = near[np.abs(A[near]).sum(axis=1) > 0]
    # In order of distance: each row that is independent of those taken before.
    basis = np.zeros((0, d))
    chosen = []
    for i in near:
        row = A[i] / np.linalg.norm(A[i])
        rest = row - basis.T @ (basis @ row)
        rest -= basis.T @ (basis @ rest)
        length = np.linalg.norm(rest)
        if length > 1e-7:
            basis = np.vstack([basis, rest / length])
            chosen.append(i)
            if len(chosen) == d:
                break
    if len(chosen) < d:
        return b
    Q, R, order = qr(A[chosen], pivoting=True)
    corner = np.empty(d)
    corner[order] = np.linalg.solve(R, Q.T @ t[chosen])
    here = loss(b)
    return corner if loss(corner) <= here + 1e-12 * abs(here) else b
