"""Derivatives of the transforms that have a state: poly, splines, centring and scaling."""

from __future__ import annotations

import numpy as np

from statkit.design.transforms import apply_transform

__all__ = ["transform_slope"]


def transform_slope(name: str, options: dict, state: dict, x: np.ndarray) -> np.ndarray:
    """Derivative of every column of the transform at ``x``, (n, K) or (n,)."""
    x = x.astype(np.float64, copy=False)
    if name == "poly":
        return _poly(options, state, x)
    if name in ("center", "scale", "standardize"):
        return np.full(len(x), 1.0 if state["scale"] is None else 1.0 / state["scale"])
    low, high = state["lower_bound"], state["upper_bound"]
    inside = np.clip(x, low, high)
    slope = _bs(options, state, x) if name == "bs" else _cubic(name, options, state, x)
    if options["extrapolation"] in ("clip", "zero", "na"):
        slope[inside != x] = 0.0
    return slope


def _poly(options, state, x):
    degree = options["degree"]
    if options["raw"]:
        return np.stack([k * np.power(x, k - 1) for k in range(1, degree + 1)], axis=1)
    alpha, norms2 = state["alpha"], state["norms2"]
    value, slope = np.ones((len(x), degree + 1)), np.zeros((len(x), degree + 1))
    for k in range(degree):  # the recurrence of the polynomials, and its derivative
        value[:, k + 1] = (x - alpha[k]) * value[:, k]
        slope[:, k + 1] = value[:, k] + (x - alpha[k]) * slope[:, k]
        if k:
            value[:, k + 1] -= norms2[k] / norms2[k - 1] * value[:, k - 1]
            slope[:, k + 1] -= norms2[k] / norms2[k - 1] * slope[:, k - 1]
    return (slope / np.sqrt(norms2))[:, 1:]


def _bs(options, state, x):
    from scipy.interpolate import BSpline

    knots, degree = np.asarray(state["knots"]), options["degree"]
    basis = BSpline(knots, np.eye(len(knots) - degree - 1), degree)
    first = 0 if options["include_intercept"] else 1
    if degree == 0:
        return np.zeros((len(x), basis.c.shape[1] - first))
    return np.ascontiguousarray(basis.derivative()(x)[:, first:])


def _cubic(name, options, state, x):
    """A cubic spline is known by its values at the knots and how it ends."""
    from scipy.interpolate import CubicSpline

    knots = np.asarray(state["knots"])
    values = apply_transform(name, options, state, knots)
    ends = "periodic" if state["cyclic"] else "natural"
    if state["cyclic"]:
        values[-1] = values[0]  # but for rounding
    slope = CubicSpline(
        knots, values, bc_type=ends, extrapolate=ends if state["cyclic"] else True
    ).derivative()
    if not state["cyclic"]:  # beyond the last knots it goes on straight
        x = np.clip(x, knots[0], knots[-1])
    return slope(x)
