"""How any estimator of the package is made and fitted, for tests that go over all of them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from statkit import all_estimators

#: What an estimator without defaults is given, and what makes the slow ones quick.
_REQUIRED = {"estimator": LinearRegression(), "statistic": LinearRegression(), "size": 20}
_QUICK = {"n_clusters": 2, "random_state": 0, "n_bags": 3, "n_resamples": 5, "n_init": 1, "cv": 2}


def _made(name):
    cls = dict(all_estimators())[name]
    parameters = inspect.signature(cls).parameters
    given = {k: _REQUIRED.get(k, 3) for k, p in parameters.items() if p.default is inspect.Parameter.empty}
    given |= {k: v for k, v in _QUICK.items() if k in parameters}
    if name == "JackknifeSubsampling":
        given["size"] = 20
    return cls(**given)


def _response(name, y):
    """What the estimator takes for y: times and events, votes of three, or y itself."""
    if name == "CoxPHRegressor":
        return np.column_stack([np.arange(1.0, len(y) + 1), y])
    if name == "AnnotatorNB" and len(y):
        return np.column_stack([y, y, y])
    return y


def _fit(name, estimator, X, y, **options):
    if name == "DawidSkene":
        return estimator.fit(np.column_stack([y, y, 1 - np.asarray(y)]), **options)
    return estimator.fit(X, _response(name, y), **options)


@pytest.fixture(scope="session")
def made():
    """``made(name)``: an estimator with quick settings."""
    return _made


@pytest.fixture(scope="session")
def fit():
    """``fit(name, estimator, X, y, **options)``: whatever the estimator wants to be given."""
    return _fit


@pytest.fixture(scope="session")
def rows():
    """Forty rows that every estimator takes: X not negative, y two classes."""
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(size=(40, 4)))
    return X, (X[:, 0] + 0.3 * rng.normal(size=40) > 0.6).astype(int)
