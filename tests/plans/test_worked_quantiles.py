"""Exact quantile regression over machines: a worked example to its digits, in one piece and in seven."""

import numpy as np
import pytest

from statkit.regression import QuantileRegressor
from statkit.sources import as_source

RNG = np.random.default_rng(3)
X = RNG.standard_normal((500, 2))
Y = 1 + X @ [2.0, -1.0] + RNG.standard_t(3, 500)


@pytest.mark.parametrize(
    ("tau", "expected", "loss"),
    [
        (0.25, (0.211843, 1.971721, -0.971729), 248.842251),
        (0.5, (1.063020, 2.019152, -1.014583), 284.031575),
        (0.9, (2.537630, 2.049865, -1.064772), 137.567098),
    ],
)
@pytest.mark.parametrize("machines", [1, 7])
def test_worked_example(tau, expected, loss, machines):
    import pandas as pd

    frame = pd.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "y": Y})
    source = as_source(frame).regroup(machines)
    e = QuantileRegressor(tau, formula="y ~ x0 + x1").fit(source).estimate_
    np.testing.assert_allclose(e.values, expected, atol=6e-7)
    assert e.objective == pytest.approx(loss, abs=6e-7)
