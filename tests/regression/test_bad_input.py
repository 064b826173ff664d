"""What users pass by mistake: an error or a warning that names the place, and an estimator that is as it was."""

import sys
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit import coxph, glm
from statkit.exceptions import AliasedColumnsWarning, SeparationWarning
from statkit.regression import GLMClassifier, GLMRegressor, OrderedClassifier

RNG = np.random.default_rng(0)
N = 400
GOOD = pd.DataFrame({"x": RNG.normal(size=N), "z": RNG.normal(size=N), "c": RNG.choice(list("abc"), N)})
GOOD["y"] = (RNG.random(N) < 0.5).astype(float)


def written(folder, frame, rows=100):
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=rows)
    return path


def with_value(column, row, value):
    frame = GOOD.copy()
    frame.loc[row, column] = value
    return frame


REFUSED = {
    "infinite column": ("binomial", with_value("x", 317, np.inf), ["x", "317"]),
    "infinite response": ("gaussian", with_value("y", 42, np.inf), ["y", "42"]),
    "response outside (0, 1)": ("binomial", with_value("y", 301, 2.0), ["y", "301", "2"]),
    "negative count": ("poisson", with_value("y", 7, -1.0), ["y", "row 7", "-1"]),
    "gamma response of zero": ("gamma", GOOD.assign(y=np.where(GOOD.index == 250, 0.0, 1.5)), ["y", "250"]),
    "column that is all missing": ("binomial", GOOD.assign(c=None), ["'c'"]),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("where", ["frame", "file"])
def test_errors_name_column_and_row(what, where, tmp_path):
    family, frame, words = REFUSED[what]
    data = frame if where == "frame" else written(tmp_path, frame)
    with pytest.raises(ValueError) as caught:
        glm("y ~ x + z + c", data, family)
    for word in words + (["rows.parquet"] if where == "file" and "missing" not in what else []):
        assert word in str(caught.value), (word, str(caught.value))


def test_wrong_names_get_the_nearest():
    with pytest.raises(ValueError, match=r"'dstance'.*did you mean 'distance'"):
        glm("y ~ dstance", GOOD.rename(columns={"x": "distance"}))
    with pytest.raises(ValueError, match=r"'ww'.*"):
        glm("y ~ x", GOOD, weights="ww")


@pytest.mark.parametrize("empty", ["frame", "file", "all missing"])
def test_empty_selections(empty, tmp_path):
    frame = GOOD.iloc[:0] if empty != "all missing" else GOOD.assign(x=np.nan)
    with pytest.raises(ValueError, match=r"row|missing"):
        glm("y ~ x", written(tmp_path, frame) if empty == "file" else frame, "binomial")


def test_broken_files(tmp_path):
    path = written(tmp_path, GOOD)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"rows\.parquet.*(truncated|cut off)"):
        glm("y ~ x", path)
    path.write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match=r"rows\.parquet"):
        glm("y ~ x", path)
    with pytest.raises((FileNotFoundError, ValueError), match="nowhere"):
        glm("y ~ x", tmp_path / "nowhere.parquet")


def test_a_file_that_changes_between_passes(tmp_path):
    from statkit.families import Binomial

    path = written(tmp_path, GOOD)

    class Meddling(Binomial):
        def link(self, *arguments):
            written(tmp_path, GOOD.assign(x=0.0, more="text"))
            return super().link(*arguments)

    from statkit.engines import SerialEngine

    with pytest.raises(ValueError, match="changed"):
        glm("y ~ x", path, Meddling(), engine=SerialEngine(0))


def test_after_an_error_the_estimator_is_as_it_was():
    model = GLMRegressor("binomial", formula="y ~ x + c").fit(GOOD)
    before = dict(vars(model))
    for bad in (with_value("x", 3, np.inf), GOOD.drop(columns="c"), GOOD.iloc[:0], with_value("y", 1, 9.0)):
        with pytest.raises(ValueError):
            model.fit(bad)
        assert vars(model) == before
    fresh = GLMRegressor("binomial", formula="y ~ x + c")
    with pytest.raises(ValueError):
        fresh.fit(GOOD.iloc[:0])
    assert not [name for name in vars(fresh) if name.endswith("_")]


def test_levels_of_one_row_group(tmp_path):
    frame = GOOD.assign(c=np.where(GOOD.index // 100 == 2, "only here", GOOD.c))
    of_file, of_frame = (
        glm("y ~ x + c", written(tmp_path, frame), "binomial"),
        glm("y ~ x + c", frame, "binomial"),
    )
    np.testing.assert_allclose(of_file.estimate_.params, of_frame.estimate_.params, rtol=1e-8)
    assert "c[T.only here]" in of_file.estimate_.params.index


def test_constant_and_duplicate_columns_are_named():
    X = np.column_stack([GOOD.x, np.full(N, 3.0), GOOD.x, GOOD.z])
    with pytest.warns(AliasedColumnsWarning, match="x1, x2"):
        fit = GLMRegressor("binomial").fit(X, GOOD.y)
    assert fit.estimate_.params.isna().tolist() == [False, False, True, True, False]
    np.testing.assert_allclose(
        fit.estimate_.params.dropna(),
        GLMRegressor("binomial").fit(X[:, [0, 3]], GOOD.y).estimate_.params,
        rtol=1e-7,
    )


def test_separation_is_named_and_ridge_is_usable():
    frame = GOOD.assign(late=(GOOD.x > 0.1).astype(float))
    with pytest.warns(SeparationWarning, match="'x'"):
        glm("late ~ x + z", frame, "binomial")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ridge = glm("late ~ x + z", frame, "binomial", alpha=0.01)
    assert np.isfinite(ridge.estimate_.bse).all() and ridge.estimate_.params["x"] > 1


@pytest.mark.parametrize("labels", [[3, 7], ["no", "yes"], [False, True], [1.0, 4.0]])
def test_labels_of_every_kind(labels):
    y = np.array(labels)[GOOD.y.astype(int)]
    model = GLMClassifier().fit(GOOD[["x", "z"]], y)
    assert model.classes_.tolist() == labels and set(model.predict(GOOD[["x", "z"]])) <= set(labels)
    expected = GLMRegressor("binomial").fit(GOOD[["x", "z"]], GOOD.y).estimate_.params
    np.testing.assert_allclose(model.estimate_.params, expected, rtol=1e-8)


def test_one_row_one_class_and_one_column():
    with pytest.raises(ValueError, match="one class"):
        GLMClassifier().fit(GOOD[["x"]], np.ones(N))
    one = GLMRegressor().fit([[1.0]], [2.0]).estimate_
    assert np.isnan(one.bse).all() or one.df_resid <= 0


VALUES = st.one_of(
    st.floats(-1e6, 1e6), st.just(np.nan), st.just(np.inf), st.sampled_from([0.0, 1.0, 1e-300, 1e300])
)


ROWS = st.tuples(VALUES, VALUES, st.sampled_from(["a", "b", None]), st.sampled_from([0.0, 1.0, np.nan, 2.0]))
FORMULAS = ["y ~ x + z + c", "y ~ x:c - 1", "y ~ poly(x, 2)", "y ~ C(c) + I(x > 0)", "y ~ 1", "y ~ z * c"]


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(ROWS, min_size=1, max_size=12),
    formula=st.sampled_from(FORMULAS),
    family=st.sampled_from(["gaussian", "binomial", "poisson"]),
)
def test_any_frame_is_fitted_or_refused_in_words(data, formula, family):
    frame = pd.DataFrame(data, columns=["x", "z", "c", "y"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = glm(formula, frame, family)
        except ValueError as error:
            assert len(str(error)) > 15 and "broadcast" not in str(error)
            return
    complete = frame.dropna(subset=[name for name in frame if name in formula])
    assert fit.estimate_.rows_used <= len(complete)
    str(fit.summary())


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
@pytest.mark.parametrize("labels", ["ab", "abc"])
def test_labels_are_no_numbers(family, labels):
    frame = pd.DataFrame({"t": [labels[i % len(labels)] for i in range(30)], "x": np.arange(30.0)})
    with pytest.raises(ValueError, match=r"response 't' holds labels \('a', 'b'.*needs numbers"):
        glm("t ~ x", frame, family)


def test_two_labels_are_binomial_and_more_are_not():
    frame = pd.DataFrame({"t": list("aab" * 10), "u": list("abc" * 10), "x": np.arange(30.0) % 7})
    fit = glm("t ~ x", frame, "binomial").estimate_
    numbers = glm("t ~ x", frame.assign(t=frame.t == "b"), "binomial").estimate_
    np.testing.assert_allclose(fit.params, numbers.params)
    with pytest.raises(ValueError, match=r"'u' has 3 levels .* needs two; GLMClassifier fits more"):
        glm("u ~ x", frame, "binomial")


@pytest.mark.parametrize(
    ("name", "meant"), [("logistic", "binomial"), ("Normal", "gaussian"), ("nb", "negative_binomial")]
)
def test_families_by_their_names_elsewhere(name, meant):
    with pytest.raises(ValueError, match=f"unknown family '{name}'.*did you mean '{meant}'"):
        GLMRegressor(name).fit(np.eye(3), np.arange(3.0))


def test_a_formula_after_the_data_is_told():
    with pytest.raises(
        FileNotFoundError, match="no file y ~ x: this is a formula, which comes before the data"
    ):
        glm("x.parquet", "y ~ x")


def test_dask_without_an_address(monkeypatch):
    monkeypatch.delitem(sys.modules, "distributed", raising=False)
    with pytest.raises(ValueError, match="needs a scheduler: give its address, 'dask://"):
        GLMRegressor(engine="dask").fit(np.eye(3), np.arange(3.0))


def test_groups_are_clusters_of_a_formula():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": rng.normal(size=60), "y": rng.normal(size=60), "g": np.repeat(np.arange(20), 3)}
    )
    found = glm("y ~ x", frame, groups="g").estimate_
    assert found.cov_type == "cluster" and found.df_resid_inference == 19
    assert glm("y ~ x", frame).estimate_.cov_type == "nonrobust"


def test_groups_that_nothing_uses_are_told():
    X, y = np.random.default_rng(0).normal(size=(2, 60, 1))
    groups = np.repeat(np.arange(20), 3)
    with pytest.warns(UserWarning, match="groups are not used by cov_type='nonrobust'"):
        GLMRegressor().fit(X, y[:, 0], groups=groups)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GLMRegressor(cov_type="cluster").fit(X, y[:, 0], groups=groups)


@pytest.mark.parametrize("model", [GLMClassifier(), OrderedClassifier()], ids=["classes", "ordered"])
def test_missing_labels_are_told(model):
    X = np.arange(6.0)[:, None]
    with pytest.raises(ValueError, match="row 1 has no label"):
        model.fit(X, np.array(["a", None, "b", "a", "b", "b"], dtype=object))
    with pytest.raises(ValueError, match=r"every label is 7$"):  # not np.int64(7)
        model.fit(X, np.full(6, 7))


def test_events_by_name_are_comparisons():
    frame = pd.DataFrame({"t": [1.0, 2, 3, 4, 5, 6], "x": [1, 0, 2, 1, 0, 3.0], "e": ["dead", "alive"] * 3})
    with pytest.raises(ValueError, match=r"text such as '\w+' .*Surv\(time, event == "):
        coxph("Surv(t, e) ~ x", frame)
    named = coxph("Surv(t, e == 'dead') ~ x", frame).estimate_
    coded = coxph("Surv(t, d) ~ x", frame.assign(d=frame.e == "dead")).estimate_
    np.testing.assert_array_equal(named.values, coded.values)


def test_a_column_named_intercept_is_told_from_the_constant():
    """Design matrices of other packages have such a column, of ones: with it the constant is left out."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"Intercept": np.ones(50), "x": rng.normal(size=50), "y": rng.normal(size=50)})
    with pytest.raises(ValueError, match="'Intercept' has the name of the constant"):
        glm("y ~ Intercept + x", frame)
    with pytest.raises(ValueError, match="fit_intercept=False"):
        GLMRegressor().fit(frame[["Intercept", "x"]], frame.y)
    own = GLMRegressor(fit_intercept=False).fit(frame[["Intercept", "x"]], frame.y).estimate_
    np.testing.assert_allclose(own.values, glm("y ~ x", frame).estimate_.values, rtol=1e-10)
    np.testing.assert_allclose(own.values, glm("y ~ 0 + Intercept + x", frame).estimate_.values, rtol=1e-10)
