"""The negative binomial with its overdispersion estimated, from files on every engine, against statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from statkit import glm


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3_000, 2))
    mu = np.exp(0.5 + x @ [0.6, -0.3])
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(y=rng.poisson(mu * rng.gamma(1 / 0.7, 0.7, 3_000)))
    path = tmp_path_factory.mktemp("shape") / "d.parquet"
    frame.to_parquet(path, row_group_size=400)
    return frame, path


def test_alpha_is_that_of_statsmodels_on_every_engine(rows):
    frame, path = rows
    X = sm.add_constant(frame[["a", "b"]])
    theirs = sm.NegativeBinomial(frame.y, X).fit(disp=0, method="newton", start_params=[0.5, 0.6, -0.3, 0.7])
    fits = [
        glm("y ~ a + b", path, "negative_binomial", engine=e).estimate_
        for e in ("serial", "threads", "processes")
    ]
    for e in fits:
        assert e.values.tobytes() == fits[0].values.tobytes() and e.shape == fits[0].shape
    np.testing.assert_allclose(fits[0].values, theirs.params.iloc[:3], rtol=1e-5)
    assert fits[0].shape["alpha"] == pytest.approx(theirs.params["alpha"], rel=1e-4)
    assert fits[0].shape_bse["alpha"] == pytest.approx(theirs.bse["alpha"], rel=0.02)
    assert fits[0].llf == pytest.approx(theirs.llf, rel=1e-9)
