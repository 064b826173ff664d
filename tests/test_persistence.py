"""Every estimator through a file: the same answers after it, and no way to make the reader run code."""

import functools
import inspect
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import statkit
from statkit import all_estimators
from statkit.regression import GLMClassifier, GLMRegressor

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(size=(60, 4)))
Y = (X[:, 0] + 0.3 * RNG.normal(size=60) > 0.6).astype(int)
VOTES = np.column_stack([Y, Y, 1 - Y])
#: What an estimator without defaults is given, and answers that are compared.
REQUIRED = {"estimator": LinearRegression(), "statistic": LinearRegression(), "size": 20}
ANSWERS = ("predict", "transform", "predict_proba", "fit_resample", "conf_int", "label_issues")


def made(cls):
    parameters = inspect.signature(cls).parameters
    given = {k: REQUIRED.get(k, 3) for k, p in parameters.items() if p.default is inspect.Parameter.empty}
    given |= {k: v for k, v in (("n_clusters", 3), ("random_state", 0)) if k in parameters}
    if cls.__name__ == "JackknifeSubsampling":
        given["size"] = 20
    return cls(**given)


@functools.cache
def fitted(name):
    estimator = made(dict(all_estimators())[name])
    with np.errstate(all="ignore"):
        if name == "CoxPHRegressor":
            return estimator.fit(X, np.column_stack([X[:, 1] + 0.1, Y]))
        if name == "AnnotatorNB":
            return estimator.fit(X, VOTES)
        if name == "DawidSkene":
            return estimator.fit(VOTES)
        return estimator.fit(X, Y)


def same(a, b):
    if isinstance(a, pd.DataFrame | pd.Series):
        (pd.testing.assert_frame_equal if isinstance(a, pd.DataFrame) else pd.testing.assert_series_equal)(
            a, b
        )
    elif isinstance(a, tuple):
        for one, other in zip(a, b, strict=True):
            same(one, other)
    else:
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype.kind == "f":  # an array that was a strided view comes back as one of its own
            np.testing.assert_allclose(a, b, rtol=1e-13)
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, _ in all_estimators()])
def test_every_estimator(name, tmp_path):
    before = fitted(name)
    statkit.save(before, tmp_path / "model.skops")
    after = statkit.load(tmp_path / "model.skops")
    assert type(after) is type(before)
    assert repr(after.get_params()) == repr(before.get_params())
    assert sorted(vars(after)) == sorted(before.__getstate__().keys() - {"_sklearn_version"})
    compared, rows = 0, VOTES if name == "DawidSkene" else X
    for answer in ANSWERS:
        if hasattr(before, answer):
            argument = (
                (X, Y)
                if answer == "fit_resample"
                else ()
                if answer in ("conf_int", "label_issues")
                else (rows,)
            )
            same(getattr(before, answer)(*argument), getattr(after, answer)(*argument))
            compared += 1
    for attribute in (
        "coef_",
        "labels_",
        "indices_",
        "p_values_",
        "posterior_",
        "bse_",
        "adjacency_",
        "graph_",
        "cpdag_",
    ):
        if hasattr(before, attribute):
            same(getattr(before, attribute), getattr(after, attribute))
            compared += 1
    assert compared


def test_a_pipeline_of_several(tmp_path):
    before = make_pipeline(StandardScaler(), GLMClassifier()).fit(X, Y)
    statkit.save(before, tmp_path / "pipeline")
    after = statkit.load(tmp_path / "pipeline")
    np.testing.assert_array_equal(after.predict_proba(X), before.predict_proba(X))
    assert str(after[-1].summary()) == str(before[-1].summary())


def test_tables_survive(tmp_path):
    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["letter", "number"])
    model = GLMRegressor().fit(X, Y)
    model.frame_ = pd.DataFrame(
        {"x": [1.0, np.nan, 3.0, 4.0], "level": pd.Categorical(list("uvuv"))}, index=index
    )
    model.series_ = pd.Series([1, 2], index=["p", "q"], name="count")
    model.pairs_ = {("a", 1): [1.0], ("b", 2): []}
    statkit.save(model, tmp_path / "model")
    after = statkit.load(tmp_path / "model")
    pd.testing.assert_frame_equal(after.frame_, model.frame_)
    pd.testing.assert_series_equal(after.series_, model.series_)
    assert after.pairs_ == model.pairs_


def test_a_stream_goes_on(tmp_path):
    from statkit.plans import Renewable

    whole, first = (GLMClassifier(plan=Renewable(warm_up=0)) for _ in range(2))
    for part in (slice(0, 20), slice(20, 40)):
        whole.partial_fit(X[part], Y[part], classes=[0, 1])
        first.partial_fit(X[part], Y[part], classes=[0, 1])
    statkit.save(first, tmp_path / "stream")
    second = statkit.load(tmp_path / "stream")
    whole.partial_fit(X[40:], Y[40:])
    second.partial_fit(X[40:], Y[40:])
    np.testing.assert_array_equal(second.coef_, whole.coef_)
    assert str(second.estimate_.params) == str(whole.estimate_.params)


def test_what_cannot_be_saved_is_said(tmp_path):
    model = GLMRegressor().fit(X, Y)
    model.callback_ = open(os.devnull)
    with pytest.raises(TypeError, match="cannot be saved safely"):
        statkit.save(model, tmp_path / "model")
    model.callback_.close()
    assert not list(tmp_path.iterdir())


def rewritten(path, change):
    """The file with its schema changed by a function."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["schema.json"] = json.dumps(change(json.loads(members["schema.json"]))).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def replace_type(schema, module, name):
    text = json.dumps(schema)
    assert '"GLMRegressor"' in text
    return json.loads(
        text.replace('"GLMRegressor"', json.dumps(name)).replace(
            '"statkit.regression.generalized_linear"', json.dumps(module)
        )
    )


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("statkit.sources.spool", "Spool"),
        ("statkit.cli", "main"),
        ("statkit.datasets.glm", "write_glm_parquet"),
        ("statkit.regression.generalized_linear", "np"),
        ("statkit.regression.nothing_here", "Thing"),
    ],
)
def test_other_types_are_refused(module, name, tmp_path):
    path = tmp_path / "model"
    statkit.save(GLMRegressor().fit(X, Y), path)
    rewritten(path, lambda schema: replace_type(schema, module, name))
    with pytest.raises(ValueError, match=r"not trusted|damaged"):
        statkit.load(path)


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(FileNotFoundError):
        statkit.load(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"not a file of statkit\.save"):
        statkit.load(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("statkit.json", json.dumps({"format": 99, "statkit": "9.1"}))
    with pytest.raises(ValueError, match=r"statkit 9\.1, which is newer"):
        statkit.load(path)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 0.999])
def test_a_truncated_file_is_said(share, tmp_path):
    path = tmp_path / "model"
    statkit.save(GLMRegressor().fit(X, Y), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match="damaged"):
        statkit.load(path)


def test_changed_bytes_never_pass_for_a_model(tmp_path):
    # A zip checks what it holds: a flipped bit is an error or in the padding, never another number.
    path = tmp_path / "model"
    statkit.save(GLMRegressor().fit(X, Y), path)
    content = bytearray(path.read_bytes())
    expected = GLMRegressor().fit(X, Y).coef_
    for at in RNG.integers(0, len(content), 40):
        hurt = bytes(content[:at]) + bytes([content[at] ^ 0x10]) + bytes(content[at + 1 :])
        path.write_bytes(hurt)
        try:
            found = statkit.load(path)
        except ValueError:
            continue
        np.testing.assert_array_equal(found.coef_, expected)


def test_an_archive_that_claims_too_much(tmp_path):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("statkit.json", b" " * 10)
    (tmp_path / "model").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="not a file"):
        statkit.load(tmp_path / "model")
