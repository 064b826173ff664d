"""Arrays as they come: half and extended precision, masks, labels of clusters of any type and with gaps."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import statkit
from statkit.plans import Renewable
from statkit.regression import (
    CoxPHRegressor,
    GLMClassifier,
    GLMRegressor,
    OrderedClassifier,
    QuantileRegressor,
)

N = 300


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(7)
    X = np.round(rng.normal(size=(N, 3)) * 8) / 8  # exact in half precision
    firm = np.sort(rng.integers(0, 25, N))
    value = X[:, 0] + rng.normal(size=25)[firm] + rng.normal(size=N)
    return {"X": X, "firm": firm, "value": value, "label": np.array([f"firm {i}" for i in firm])}


@pytest.mark.parametrize("dtype", ["f2", ">f2", np.longdouble, ">f8", "i1", ">i4"])
@pytest.mark.parametrize(
    "model",
    [GLMRegressor(), GLMClassifier(), QuantileRegressor(), CoxPHRegressor(), OrderedClassifier()],
    ids=lambda model: type(model).__name__,
)
def test_matrices_of_any_precision(rows, model, dtype):
    X = rows["X"] if np.dtype(dtype).kind == "f" else np.round(rows["X"])
    y = np.digitize(rows["value"], [0.0]) if isinstance(model, GLMClassifier) else rows["value"]
    y = np.digitize(rows["value"], [-1.0, 1.0]) if isinstance(model, OrderedClassifier) else y
    y = np.exp(rows["value"]) if isinstance(model, CoxPHRegressor) else y
    expected = model.fit(X, y)
    params, predicted = expected.estimate_.params, model.predict(X)
    given = X.astype(dtype)
    np.testing.assert_allclose(model.fit(given, y).estimate_.params, params, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.predict(given), predicted, rtol=1e-6, atol=1e-8)


def test_sparse_matrices_of_any_precision(rows):
    X = sp.csr_matrix(rows["X"])
    expected = GLMRegressor().fit(X, rows["value"]).estimate_
    found = GLMRegressor().fit(X.astype(np.longdouble), rows["value"]).estimate_
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-10)
    np.testing.assert_allclose(found.bse, expected.bse, rtol=1e-10)


def test_masked_entries_are_no_numbers(rows):
    X, y = rows["X"], rows["value"]
    mask = np.arange(N) % 7 == 0
    with pytest.raises(ValueError, match=r"X has masked entries.*filled\(np.nan\)"):
        GLMRegressor().fit(np.ma.masked_array(X, np.column_stack([mask] * 3)), y)
    with pytest.raises(ValueError, match="y has masked entries"):
        GLMRegressor().fit(X, np.ma.masked_array(y, mask))
    for role in ("sample_weight", "offset", "groups"):
        with pytest.raises(ValueError, match=f"{role} has masked entries"):
            GLMRegressor().fit(X, y, **{role: np.ma.masked_array(np.ones(N), mask)})
    model = GLMRegressor().fit(np.ma.masked_array(X), y)  # nothing under its mask
    with pytest.raises(ValueError, match="X has masked entries"):
        model.predict(np.ma.masked_array(X, np.column_stack([mask] * 3)))


def test_clusters_of_a_stream_are_the_same_in_every_batch(rows):
    """Labels are met in pieces: a cluster has its number whatever else its batch holds."""
    labels = rows["label"]
    errors = []
    for groups in (
        rows["firm"],
        labels,
        labels.astype(object),
        rows["firm"] + 0.5,
        pd.Series(labels).astype("category"),
        pd.to_datetime(rows["firm"], unit="D"),
    ):
        model = GLMRegressor(plan=Renewable(), cov_type="cluster")
        for start in range(0, N, 100):
            part = slice(start, start + 100)
            model.partial_fit(rows["X"][part], rows["value"][part], groups=groups[part])
        assert model.estimate_.df_resid_inference == len(np.unique(rows["firm"])) - 1
        errors.append(model.estimate_.bse)
    for other in errors[1:]:
        np.testing.assert_allclose(other, errors[0], rtol=1e-12)


@pytest.mark.parametrize("kind", ["column", "float", "object", "string", "time"])
def test_rows_without_a_cluster_are_left_out(rows, kind):
    without = rows["firm"] < 5
    frame = pd.DataFrame(rows["X"], columns=list("abc")).assign(y=rows["value"])
    groups = {
        "column": "g",
        "float": np.where(without, np.nan, rows["firm"]),
        "object": np.where(without, None, rows["label"]),
        "string": pd.Series(rows["label"], dtype="string").mask(without),
        "time": pd.Series(pd.to_datetime(rows["firm"], unit="D")).mask(without),
    }[kind]
    frame["g"] = pd.Series(rows["label"]).mask(without)
    expected = statkit.glm(
        "y ~ a + b + c", frame[~without], cov_type="cluster", groups=rows["firm"][~without]
    ).estimate_
    found = [statkit.glm("y ~ a + b + c", frame, cov_type="cluster", groups=groups).estimate_]
    if kind != "column":
        matrix = GLMRegressor(cov_type="cluster", na_action="drop")
        found.append(matrix.fit(rows["X"], rows["value"], groups=groups).estimate_)
        with pytest.raises(ValueError, match="groups contains nan: row 0"):
            matrix.set_params(na_action="raise").fit(rows["X"], rows["value"], groups=groups)
        with pytest.raises(ValueError, match="groups is missing in row 0"):
            statkit.glm("y ~ a", frame, cov_type="cluster", groups=groups, na_action="raise")
    for estimate in found:
        assert estimate.nobs == expected.nobs == (~without).sum()
        np.testing.assert_allclose(estimate.bse, expected.bse, rtol=1e-9)
    with pytest.raises(ValueError, match="rows without a label of their cluster are left out"):
        statkit.glm("y ~ a + b + c", frame).estimate_.with_cov({"cluster": groups})


@pytest.mark.parametrize(
    "formula",
    ["y ~ `x` + z", "y ~ `x` * z", "y ~ 0 + `x`", "y ~ poly(`x`, 2):z", "y ~ . - `x`", "y ~ .", "`x` ~ z"],
)
@pytest.mark.parametrize("name", ["0", "1", "-1", "", "1.5", "True", "'a'", "a b", "x:z"])
def test_columns_that_are_named_like_numbers(rows, formula, name):
    """A table without a header has such names; "1" is also the intercept's."""
    frame = pd.DataFrame(rows["X"], columns=["x", "z", "w"]).assign(y=rows["value"])
    expected = statkit.glm(formula.replace("`x`", "x"), frame).estimate_
    found = statkit.glm(formula.replace("`x`", f"`{name}`"), frame.rename(columns={"x": name})).estimate_
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-12)
    assert found.df_model == expected.df_model
