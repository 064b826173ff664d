"""Rows, and standard errors by differences in the parameters, for tests of what follows a fit."""

import copy

import numpy as np
import pandas as pd

from statkit.regression import GLMClassifier

RNG = np.random.default_rng(12)
N = 400
FRAME = pd.DataFrame({
    "x": RNG.normal(size=N), "z": RNG.uniform(1, 3, N), "a": RNG.choice(["p", "q", "r"], N),
    "flag": RNG.random(N) < 0.4, "k": RNG.integers(1, 4, N), "w": RNG.uniform(0.5, 2, N),
    "t": pd.Timestamp("2021-03-01") + pd.to_timedelta(RNG.integers(0, 90, N), unit="D"),
})  # fmt: skip
ETA = 0.4 * FRAME.x - 0.3 * FRAME.z + 0.5 * (FRAME.a == "q")
FRAME["yes"] = (RNG.random(N) < 1 / (1 + np.exp(-ETA))).astype(float)
FRAME["count"] = RNG.poisson(np.exp(ETA))
FRAME["positive"] = RNG.gamma(2.0, np.exp(ETA))
FRAME["y"] = ETA + RNG.normal(size=N)
FRAME["class"] = RNG.choice(["low", "mid", "top"], N)


def at_parameters(model, values):
    """The model with other parameters."""
    other = copy.copy(model)
    other.estimate_ = copy.copy(model.estimate_)
    other.estimate_.values = values
    other._set_coefficients(values)
    return other


def means(model, frame, offset=None):
    ask = getattr(model, "predict_proba", model.predict)
    found = ask(frame) if offset is None else ask(frame, offset)
    return (
        found[:, 1:]
        if isinstance(model, GLMClassifier) and len(model.classes_) == 2
        else found.reshape(len(frame), -1)
    )


def errors(model, quantity, h=1e-5):
    """Standard errors of ``quantity(model)`` by differences in the parameters."""
    values, V = model.estimate_.values, model.estimate_.covariance
    known = np.flatnonzero(np.isfinite(values))
    J = []
    for j in known:
        up, down = values.copy(), values.copy()
        up[j], down[j] = values[j] + h, values[j] - h
        J.append((quantity(at_parameters(model, up)) - quantity(at_parameters(model, down))) / (2 * h))
    J = np.array(J).T
    return np.sqrt(np.diag(J @ V[np.ix_(known, known)] @ J.T))
