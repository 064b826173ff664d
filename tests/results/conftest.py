"""Estimates built from statsmodels' own fits, so that every derived number has an independent oracle."""

import numpy as np
import pytest

from statkit.results import Estimate


def _from_statsmodels(fit, *, family, link, use_t, terms=None, names=None, **more):
    """Estimate with the parameters, covariance and fit of a statsmodels result."""
    names = list(fit.params.index) if names is None else names
    deviance = getattr(fit, "deviance", np.nan)
    known = {
        "names": names,
        "values": np.asarray(fit.params),
        "covariance": np.asarray(fit.cov_params()),
        "terms": terms or {name: [i] for i, name in enumerate(names)},
        "family": family,
        "link": link,
        "use_t": use_t,
        "scale": float(getattr(fit, "scale", 1.0)),
        "nobs": int(fit.nobs),
        "df_resid": float(fit.df_resid),
        "df_model": float(fit.df_model),
        "rank": len(names),
        "llf": float(fit.llf),
        "deviance": float(deviance),
        "null_deviance": float(getattr(fit, "null_deviance", np.nan)),
        "response": fit.model.endog_names,
    }
    return Estimate(**{**known, **more})


@pytest.fixture(scope="session")
def from_statsmodels():
    return _from_statsmodels


@pytest.fixture(scope="session")
def frame():
    """300 rows: two numbers, a factor of four levels, a switch, clusters, and a response of every kind."""
    import pandas as pd

    rng = np.random.default_rng(3)
    n = 300
    x = rng.normal(size=(n, 2))
    group = rng.integers(0, 4, n)
    eta = 0.3 + 0.5 * x[:, 0] - 0.4 * x[:, 1] + np.array([0.0, 0.3, -0.2, 0.5])[group]
    return pd.DataFrame(
        {
            "x1": x[:, 0],
            "x2": x[:, 1],
            "where": np.array(list("abcd"))[group],
            "switch": rng.integers(0, 2, n).astype(bool),
            "cluster": rng.integers(0, 25, n),
            "gaussian": eta + rng.normal(size=n),
            "binomial": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float),
            "poisson": rng.poisson(np.exp(eta)).astype(float),
            "gamma": rng.gamma(2.0, np.exp(eta) / 2.0),
        }
    )


@pytest.fixture
def small():
    """Arguments of a small valid Estimate, to be changed by the test."""

    def build(**changes):
        values = np.asarray(changes.pop("values", [0.5, -2.0, 0.25]), dtype=float)
        k = len(values)
        names = changes.pop("names", ["Intercept", "x1", "x2", "x3", "x4", "x5"][:k])
        known = {
            "names": names,
            "values": values,
            "covariance": np.diag(np.arange(1.0, k + 1) / 100),
            "terms": {name: [i] for i, name in enumerate(names)},
            "family": "poisson",
            "link": "log",
            "use_t": False,
            "nobs": 100,
            "df_resid": 100.0 - k,
            "df_model": k - 1.0,
            "rank": k,
            "response": "y",
        }
        return Estimate(**{**known, **changes})

    return build
