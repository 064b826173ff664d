"""The plug-in protocol of maketables: its attributes always, its tables where it is installed."""

import numpy as np
import pandas as pd
import pytest

from statkit import glm
from statkit.regression import GLMClassifier, GLMRegressor


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=200), "g": rng.choice(list("abc"), 200)})
    frame["y"] = frame.x + rng.normal(size=200)
    frame["k"] = rng.poisson(1.0, 200) * 1.0
    return [
        glm("y ~ x + g", frame, cov_type="HC1"), glm("k ~ x", frame, "poisson"), GLMClassifier(formula="g ~ x").fit(frame)
    ]  # fmt: skip


def test_the_protocol(fits):
    for fit in fits:
        e = fit.estimate_
        for it in (fit, e):
            table = it.__maketables_coef_table__
            assert list(table.columns) == ["b", "se", "t", "p", "ci95l", "ci95u"]
            assert table.index.name == "Coefficient" and list(table.index) == e.labels
            np.testing.assert_array_equal(table[["b", "se", "p"]].T, [e.values, e.bse, e.pvalues])
            np.testing.assert_array_equal(table[["ci95l", "ci95u"]], e.conf_int())
            assert it.__maketables_depvar__ == e.response
            assert it.__maketables_stat__("N") == 200 and it.__maketables_stat__("se_type") == e.cov_type
            assert it.__maketables_stat__("aic") == e.aic and it.__maketables_stat__("unheard") is None
            assert it.__maketables_vcov_info__["vcov_type"] == e.cov_type
            keys = it.__maketables_default_stat_keys__
            assert all(it.__maketables_stat__(key) is not None for key in keys)
            assert it.__maketables_fixef_string__ is None and it.__maketables_var_labels__ is None
            assert set(it.__maketables_stat_labels__) >= {"ll", "aic", "bic"}
    assert fits[0].__maketables_stat__("r2") == fits[0].estimate_.rsquared
    assert fits[1].__maketables_stat__("r2") is None
    np.testing.assert_allclose(
        fits[1].__maketables_stat__("pseudo_r2"), 1 - fits[1].estimate_.llf / fits[1].estimate_.llnull
    )


def test_a_model_that_is_not_fitted_is_no_plug_in():
    assert not hasattr(GLMRegressor(), "__maketables_coef_table__")


def test_its_tables(fits):
    import maketables

    for models in (fits, [fit.estimate_ for fit in fits[:2]]):
        latex = str(maketables.ETable(models).make(type="tex"))
        assert f"{fits[0].coef_[0]:.3f}" in latex and f"{fits[1].coef_[0]:.3f}" in latex
        assert "200" in latex
