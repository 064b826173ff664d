"""SAGA and SVRG: stochastic steps whose noise vanishes, for penalised linear and logistic regression.

Newton steps win up to a few hundred columns; these are for wide dense data with an l1 penalty, where they take a
third to a fifth of the time of scikit-learn's ``saga``, and SVRG needs no memory of rows. On sparse rows scikit-learn's
has lagged updates and is the one to use: ``LogisticRegression(solver="saga")``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statkit.solvers import _variance_reduced_kernels as k

__all__ = ["VarianceReduced", "saga", "svrg"]


@dataclass
class VarianceReduced:
    """Where the iteration ended.

    Attributes
    ----------
    coef : ndarray of shape (p,)
    intercept : float
    epochs : int
        Passes over the rows, those for gradients included.
    converged : bool
    gap : float
        Largest violation of the optimality conditions.
    """

    coef: np.ndarray
    intercept: float
    epochs: int
    converged: bool
    gap: float


def saga(X, y, family="binomial", **options) -> VarianceReduced:
    """Minimise mean loss + alpha·(l1_ratio·‖b‖₁ + (1 − l1_ratio)/2·‖b‖²) by SAGA; the intercept is free.

    Each row's last slope is remembered, so that the noise of a step falls with the distance to the optimum and a
    constant step converges geometrically.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Dense, with columns on scales that do not differ much.
    y : ndarray of shape (n,)
        In [0, 1] for "binomial".
    family : {"binomial", "gaussian"}, default="binomial"
    alpha, l1_ratio : float, default=0.0, 0.0
    sample_weight : ndarray of shape (n,) or None, default=None
    fit_intercept : bool, default=True
    start : ndarray of shape (p,) or (p + 1,), intercept first, or None
    max_epochs : int, default=200
    tol : float, default=1e-8
        Violation of the optimality conditions at which to stop.
    random_state : int, default=0

    Returns
    -------
    result : VarianceReduced

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.solvers.variance_reduced import saga
    >>> X = np.random.default_rng(0).standard_normal((500, 3))
    >>> saga(X, X @ [1.0, 0.0, -1.0], "gaussian", alpha=0.1, l1_ratio=1.0).coef.round(1)
    array([ 0.9,  0. , -0.9])

    References
    ----------
    A. Defazio, F. Bach and S. Lacoste-Julien (2014), SAGA: a fast incremental gradient method with support for
    non-strongly convex composite objectives.
    """
    return _solve(k.saga_epoch, X, y, family, snapshot=False, **options)


def svrg(X, y, family="binomial", **options) -> VarianceReduced:
    """The same by SVRG: a full gradient at a snapshot every two epochs corrects the steps between. No memory of rows.

    Parameters and result as in :func:`saga`.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.solvers.variance_reduced import svrg
    >>> X = np.random.default_rng(0).standard_normal((500, 3))
    >>> svrg(X, X @ [1.0, 0.0, -1.0], "gaussian").coef.round(6)
    array([ 1.,  0., -1.])

    References
    ----------
    R. Johnson and T. Zhang (2013), Accelerating stochastic gradient descent using predictive variance reduction.
    L. Xiao and T. Zhang (2014), A proximal stochastic gradient method with progressive variance reduction.
    """
    return _solve(k.svrg_epoch, X, y, family, snapshot=True, **options)


def _solve(
    epoch, X, y, family, *, snapshot, alpha=0.0, l1_ratio=0.0, sample_weight=None, fit_intercept=True, start=None,
    max_epochs=200, tol=1e-8, random_state=0,
):  # fmt: skip
    X, y, weight = _checked(X, y, family, sample_weight)
    if alpha < 0 or not 0 <= l1_ratio <= 1:
        raise ValueError(
            f"alpha must not be negative and l1_ratio lie in [0, 1], not {alpha!r} and {l1_ratio!r}"
        )
    first = int(fit_intercept)
    if first:
        X = np.column_stack([np.ones(len(X)), X])
    n, p = X.shape
    binomial = family == "binomial"
    ridge, lasso = alpha * (1.0 - l1_ratio), alpha * l1_ratio
    step = 1.0 / (3.0 * ((0.25 if binomial else 1.0) * k.steepest(X, weight) + ridge))
    b = np.zeros(p)
    if start is not None:
        b[p - len(start) :] = start
    table, g = np.empty(n), np.empty(p)
    rng = np.random.default_rng(random_state)
    epochs, gap = 1, np.inf
    k.mean_gradient(X, y, weight, binomial, b, table, g)
    own, full = np.empty(n), g.copy()
    while True:
        gap = _violation(b, full, ridge, lasso, first)
        if gap <= tol or epochs >= max_epochs:
            break
        times = 2 if snapshot else 1
        epoch(X, y, weight, k.shuffled(rng, n, times), binomial, step, ridge, lasso, first, b, table, g)
        k.mean_gradient(X, y, weight, binomial, b, table if snapshot else own, full)
        if snapshot:
            g[:] = full
        epochs += times + 1
        if not np.isfinite(b).all():
            raise ValueError("the iteration diverged: look for extreme values in X or y")
    return VarianceReduced(b[first:], float(b[0]) if first else 0.0, epochs, bool(gap <= tol), gap)


def _violation(b, gradient, ridge, lasso, first):
    """Largest distance of the gradient to minus the subdifferential of the penalty."""
    g = gradient.copy()
    g[first:] += ridge * b[first:]
    inner = np.where(b == 0, np.maximum(np.abs(g) - lasso, 0.0), np.abs(g + lasso * np.sign(b)))
    inner[:first] = np.abs(g[:first])
    return float(inner.max(initial=0.0))


def _checked(X, y, family, sample_weight):
    if family not in ("binomial", "gaussian"):
        raise ValueError(f"family must be 'binomial' or 'gaussian', not {family!r}")
    if hasattr(X, "tocsr"):
        raise TypeError(
            "X is sparse: scikit-learn's SAGA updates the entries of a row alone, use LogisticRegression(solver='saga')"
        )
    X = np.ascontiguousarray(X, dtype=float)
    y = np.array(y, dtype=float)
    if X.ndim != 2 or y.shape != (len(X),) or not len(X):
        raise ValueError(f"X must be a matrix with one row for each of {y.size} responses, not {X.shape}")
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        raise ValueError("X and y must be finite")
    if family == "binomial" and not ((y >= 0) & (y <= 1)).all():
        raise ValueError(f"binomial needs 0 <= y <= 1, found {y[(y < 0) | (y > 1)][0]!r}")
    weight = np.ones(len(X)) if sample_weight is None else np.array(sample_weight, dtype=float)
    if weight.shape != y.shape or not (weight >= 0).all():
        raise ValueError("sample_weight must hold one number >= 0 for each row")
    return X, y, weight
