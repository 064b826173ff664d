"""Regressions whose refits are a Newton step: least squares, logistic and Poisson, without penalty.

Methods of many small samples fit the same rows again and again, with other weights or without a row. From the
fit on those rows one Newton step with the new weights, or two without a row, is as good as a new fit.
"""

from __future__ import annotations

import numpy as np

__all__ = ["KnownRegression"]

_MOST_STEPS = 50
_STILL = 1e-10
# Leaving rows out takes an array of this many numbers at a time.
_BLOCK = 2_000_000


class KnownRegression:
    """Newton steps for an estimator's model.

    Parameters
    ----------
    family : Family
        With its canonical link.
    intercept : bool
    high : object
        Label of the second class, for two classes.
    """

    def __init__(self, family, intercept, high=None):
        self.family, self.intercept, self.high = family, intercept, high

    @classmethod
    def of(cls, estimator, X, y):
        """The model of an estimator, or None where it is another: penalised, weighted, several responses, …"""
        family = _family(estimator)
        y = None if y is None else np.asarray(y)
        if family is None or y is None or y.ndim != 1 or X.ndim != 2 or X.dtype.kind not in "fiub":
            return None
        high = None
        if family.name == "binomial":
            labels = np.unique(y)
            if len(labels) != 2:
                return None
            high = labels[1]
        elif y.dtype.kind not in "fiub":
            return None
        return cls(family, bool(getattr(estimator, "fit_intercept", False)), high)

    def rows(self, X, y):
        """Design with its column of ones, and the response as numbers."""
        X = np.asarray(X, dtype=float)
        if self.intercept:
            X = np.column_stack([np.ones(len(X)), X])
        return X, (y == self.high if self.high is not None else y).astype(float)

    def _link(self, X, y, theta):
        r, w = np.empty(len(y)), np.empty(len(y))
        loss = self.family.link(X @ theta, y, None, None, None, r, w)
        return float(loss), r, w

    def fit(self, X, y):
        """Coefficients, or None where Newton's method does not settle (separation, dependent columns)."""
        theta = np.zeros(X.shape[1])
        if self.intercept:
            theta[0] = self.family.null_eta(y.sum(), float(len(y)))
        loss, r, w = self._link(X, y, theta)
        for _ in range(_MOST_STEPS):
            try:
                step = np.linalg.solve((X.T * w) @ X, X.T @ r)
            except np.linalg.LinAlgError:
                return None
            length = float((X.T @ r) @ step)
            size = 1.0
            while True:
                new = self._link(X, y, theta + size * step)
                if new[0] <= loss + 1e-12 * abs(loss) + 1e-12:
                    break
                size /= 2
                if size < 1e-8:
                    return None
            theta, (loss, r, w) = theta + size * step, new
            if length < _STILL:
                return theta if np.isfinite(theta).all() else None
        return None

    def resampled(self, X, y, theta, counts):
        """Estimates with integer weights ``counts`` (resamples, n), by a step from the fit ``theta``."""
        _, r, w = self._link(X, y, theta)
        scores = (counts * r) @ X
        out = np.empty((len(counts), len(theta)))
        for k, count in enumerate(counts):
            H = (X.T * (count * w)) @ X
            try:
                out[k] = theta + np.linalg.solve(H, scores[k])
            except np.linalg.LinAlgError:
                out[k] = theta + np.linalg.pinv(H, hermitian=True) @ scores[k]
        return out

    def left_out(self, X, y, theta):
        """Estimates without each row, (n, d), by two steps with the downdated information.

        One step leaves an error as large as the bias that the jackknife is to remove.
        """
        n, d = X.shape
        _, r, w = self._link(X, y, theta)
        inverse = np.linalg.pinv((X.T * w) @ X, hermitian=True)
        A = X @ inverse  # row j: H⁻¹ x_j
        free = np.maximum(1.0 - w * np.einsum("ij,ij->i", A, X), 1e-8)
        B = theta - A * (r / free)[:, None]
        if self.family.quadratic:
            return B
        step = max(1, _BLOCK // n)
        for start in range(0, n, step):
            j = slice(start, min(start + step, n))
            residual = y[:, None] - self.family.inverse_link(X @ B[j].T)  # (n, rows left out)
            own = residual[np.arange(j.start, j.stop), np.arange(j.stop - j.start)]
            G = X.T @ residual - (X[j] * own[:, None]).T
            a = inverse @ G
            lift = w[j] * np.einsum("ij,ji->i", X[j], a) / free[j]
            B[j] += a.T + A[j] * lift[:, None]
        return B


def _family(estimator):
    """The family of an unpenalised canonical regression, or None."""
    from statkit.families import Binomial, Gaussian, Poisson

    kind = type(estimator).__name__
    module = type(estimator).__module__.split(".")[0]
    if module == "sklearn":
        if kind == "LinearRegression" and not estimator.positive:
            return Gaussian()
        if kind == "LogisticRegression" and estimator.class_weight is None:
            none = estimator.C == np.inf or getattr(estimator, "penalty", "l2") is None
            return Binomial() if none else None
        if kind == "PoissonRegressor" and estimator.alpha == 0:
            return Poisson()
    if module == "statkit" and kind in ("GLMClassifier", "GLMRegressor"):
        if estimator.alpha or estimator.plan is not None or estimator.formula is not None:
            return None
        if kind == "GLMClassifier":
            return Binomial() if estimator.link == "logit" else None
        known = {
            "gaussian": (Gaussian, "identity"),
            "binomial": (Binomial, "logit"),
            "poisson": (Poisson, "log"),
        }
        if isinstance(estimator.family, str) and estimator.family in known:
            family, link = known[estimator.family]
            return family() if estimator.link in (None, link) else None
    return None
