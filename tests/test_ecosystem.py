"""statkit's estimators among other tools: frames of every kind, HTML, pipelines, searches, metadata routing.

What scikit-learn itself checks of an estimator is run where the estimators are tested.
"""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
import xarray as xr
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import statkit
from statkit.regression import GLMClassifier, GLMRegressor

NAMES = list("abcd")


def data():
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(size=(120, 4))).round(3)
    return X, (X[:, 0] + rng.normal(size=120) > 0.8).astype(int)


def column_means(X, y=None, sample_weight=None):
    return np.average(np.asarray(X), axis=0, weights=sample_weight)


def made(name):
    """An estimator of that class, with small settings."""
    made = dict(statkit.all_estimators())[name]
    try:
        estimator = made()
    except TypeError:  # resampling needs a statistic to resample
        estimator = made(column_means)
    few = {"random_state": 0, "size": 50}
    return estimator.set_params(**{key: few[key] for key in few.keys() & estimator.get_params().keys()})


ALL = [name for name, _ in statkit.all_estimators()]
#: Annotations of tasks by annotators, not measurements: whole numbers.
CATEGORIES = {"DawidSkene"}

KINDS = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X: pl.DataFrame(dict(zip(NAMES, X.T, strict=True))),
    "arrow": lambda X: pa.table(dict(zip(NAMES, X.T, strict=True))),
    "xarray": lambda X: xr.DataArray(X, dims=("row", "column")),
}


def fitted_arrays(estimator):
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and isinstance(value, np.ndarray) and value.dtype.kind == "f"
    }


@pytest.mark.parametrize("name", ALL)
def test_a_table_of_any_kind_is_the_matrix_it_shows(name):
    X, y = data()
    if name in CATEGORIES:
        X = X.round()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = fitted_arrays(made(name).fit(X, y))
        for kind, convert in KINDS.items():
            found = made(name).fit(convert(X), y)
            for attribute, value in reference.items():
                np.testing.assert_allclose(
                    getattr(found, attribute), value, rtol=1e-8, atol=1e-10, err_msg=f"{attribute} of {kind}"
                )


@pytest.mark.parametrize("name", ALL)
def test_html_shows_the_parameters(name):
    text = made(name)._repr_html_()
    assert name in text and "sk-" in text


@pytest.mark.parametrize("name", [name for name, _ in statkit.all_estimators("transformer")])
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_output_in_the_container_asked_for(name, container):
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = made(name).fit(X, y).transform(X)
        framed = made(name).set_output(transform=container).fit(X, y).transform(X)
    assert type(framed).__module__.startswith(container)
    np.testing.assert_allclose(framed.to_numpy(), plain)


#: Annotators judge tasks: rows cannot be calibrated apart from them.
@pytest.mark.parametrize(
    "name", [n for n, _ in statkit.all_estimators("classifier") if n not in ("AnnotatorNB", "DawidSkene")]
)
def test_classifiers_are_calibrated(name):
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CalibratedClassifierCV(made(name), cv=3).fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (120, 2) and np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_weights_offsets_and_groups_are_routed(routing):
    """Each fold's fit sees its rows' metadata: what a fit by hand on that fold's rows gives."""
    X, y = data()
    rng = np.random.default_rng(1)
    weight, offset, groups = rng.uniform(0.5, 2, 120), rng.normal(size=120), np.repeat(np.arange(12), 10)
    model = (
        GLMRegressor("poisson", cov_type="cluster")
        .set_fit_request(sample_weight=True, offset=True, groups=True)
        .set_score_request(sample_weight=True)
    )
    result = cross_validate(
        make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model),
        X,
        y,
        cv=GroupKFold(3),
        params={"sample_weight": weight, "offset": offset, "groups": groups},
        return_estimator=True,
        return_indices=True,
    )
    for pipeline, train in zip(result["estimator"], result["indices"]["train"], strict=True):
        alone = GLMRegressor("poisson", cov_type="cluster").fit(
            StandardScaler().fit(X[train]).transform(X[train]),
            y[train],
            sample_weight=weight[train],
            offset=offset[train],
            groups=groups[train],
        )
        np.testing.assert_allclose(pipeline[-1].coef_, alone.coef_, rtol=1e-10)
        np.testing.assert_allclose(pipeline[-1].estimate_.bse, alone.estimate_.bse, rtol=1e-10)


def test_metadata_nobody_asked_for_is_refused(routing):
    X, y = data()
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        cross_validate(GLMClassifier(), X, y, params={"sample_weight": np.ones(120)}, error_score="raise")


def test_search_over_plans_families_and_penalties():
    from statkit.plans import Exact, OneShot

    X, y = data()
    search = GridSearchCV(
        make_pipeline(FunctionTransformer(np.log1p), GLMRegressor()),
        {
            "glmregressor__family": ["poisson", "gaussian"],
            "glmregressor__alpha": [0.0, 0.1],
            "glmregressor__plan": [Exact(), OneShot(n_partitions=2)],
        },
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert "coef" in str(search.best_estimator_[-1].summary())


def test_a_clone_of_a_fitted_pipeline_is_not_fitted():
    X, y = data()
    fitted = make_pipeline(StandardScaler(), GLMClassifier()).fit(X, y)
    assert not hasattr(clone(fitted)[-1], "coef_")
