"""Predictions with intervals: against statsmodels, by differences in the parameters, in files, averaged, by simulation."""

import copy

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit import glm, quantreg
from statkit.plans import AveragedSGD
from statkit.regression import GLMClassifier, GLMRegressor, marginal_effects, polr, predictions
from tests.regression.after_fit import FRAME, N, at_parameters, errors, means

NEW = FRAME[:15]


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_linear_regression(level):
    ours = predictions(glm("y ~ x * a + z", FRAME), NEW, interval="prediction", level=level)
    theirs = smf.ols("y ~ x * a + z", FRAME).fit().get_prediction(NEW).summary_frame(alpha=1 - level)
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-8, check_index_type=False)


def test_weighted_linear_regression():
    fit = glm("y ~ x + z", FRAME, weights="w")
    theirs = smf.wls("y ~ x + z", FRAME, weights=FRAME.w).fit()
    plain = predictions(fit, NEW, interval="prediction")
    expected = theirs.get_prediction(NEW, weights=np.ones(15)).summary_frame()
    pd.testing.assert_frame_equal(plain, expected, rtol=1e-8)
    for weights in ("w", NEW.w):
        ours = predictions(fit, NEW, interval="prediction", weights=weights)
        expected = theirs.get_prediction(NEW, weights=NEW.w).summary_frame()
        pd.testing.assert_frame_equal(ours, expected, rtol=1e-8)


CASES = {
    "poisson": ("count", "poisson", None, sm.families.Poisson()),
    "logit": ("yes", "binomial", None, sm.families.Binomial()),
    "probit": ("yes", "binomial", "probit", sm.families.Binomial(sm.families.links.Probit())),
    "gamma": ("positive", "gamma", None, sm.families.Gamma(sm.families.links.Log())),
}


@pytest.mark.parametrize("name", CASES)
def test_generalized_linear_models(name):
    y, family, link, theirs = CASES[name]
    ours = glm(f"{y} ~ x * z", FRAME, family, link=link)
    fit = smf.glm(f"{y} ~ x * z", FRAME, family=theirs).fit(tol=1e-13, use_t=ours.estimate_.use_t)
    found = predictions(ours, NEW)
    expected = fit.get_prediction(NEW).summary_frame()
    pd.testing.assert_frame_equal(found, expected, rtol=1e-7)
    again = predictions(at_parameters(ours, fit.params.to_numpy()), NEW, interval=None)
    np.testing.assert_allclose(again["mean"], expected["mean"], rtol=1e-8)


def test_robust_errors():
    ours = glm("count ~ x * z", FRAME, "poisson", cov_type="HC0")
    fit = smf.glm("count ~ x * z", FRAME, family=sm.families.Poisson()).fit(tol=1e-13, cov_type="HC0")
    pd.testing.assert_frame_equal(predictions(ours, NEW), fit.get_prediction(NEW).summary_frame(), rtol=1e-7)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: GLMClassifier(formula="class ~ x * a + z").fit(FRAME),
        lambda: polr("class ~ poly(x, 2) + a", FRAME, classes=["low", "mid", "top"]),
        lambda: polr("class ~ x", FRAME, classes=["low", "mid", "top"], link="probit"),
        lambda: quantreg("y ~ x * z", FRAME, [0.25, 0.75]),
    ],
    ids=["softmax", "ordered", "ordered probit", "quantiles"],
)
def test_several_means(fit):
    model = fit()
    found = predictions(model, NEW)
    np.testing.assert_allclose(found["mean"], means(model, NEW).ravel(), rtol=1e-9)
    np.testing.assert_allclose(found["mean_se"], errors(model, lambda m: means(m, NEW).ravel()), rtol=1e-6)
    assert (found.index.get_level_values(0)[:: means(model, NEW).shape[1]] == NEW.index).all()
    assert (found.mean_ci_lower < found["mean"]).all() and (found["mean"] < found.mean_ci_upper).all()
    if hasattr(model, "classes_"):
        assert found.mean_ci_lower.min() > 0 and found.mean_ci_upper.max() < 1
        assert found.index.get_level_values("class")[:3].tolist() == list(model.classes_)


def test_linear_predictors():
    model = glm("count ~ x * z", FRAME, "poisson")
    eta = predictions(model, NEW, scale="link")
    mean = predictions(model, NEW)
    for side in ("mean", "mean_ci_lower", "mean_ci_upper"):
        np.testing.assert_allclose(np.exp(eta[side]), mean[side], rtol=1e-12)
    np.testing.assert_allclose(eta["mean_se"] * mean["mean"], mean["mean_se"], rtol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_plain_matrices(kind):
    X = FRAME[["x", "z"]].to_numpy()
    fit = GLMRegressor().fit(kind(X), FRAME.y)
    expected = predictions(glm("y ~ x + z", FRAME), NEW, interval="prediction")
    np.testing.assert_allclose(predictions(fit, kind(X[:15]), interval="prediction"), expected, rtol=1e-9)


def test_files_are_predicted_partition_by_partition(tmp_path):
    path, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    frame = FRAME.copy()
    frame.loc[120, "x"] = np.nan
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=100)
    model = glm("y ~ x * a", FRAME)
    assert predictions(model, path, interval="prediction", output=out) is None
    expected = predictions(model, frame, interval="prediction")
    table = pq.read_table(out)
    np.testing.assert_allclose(table.to_pandas(), expected, rtol=1e-12)
    assert table["mean"].is_null().to_pylist() == [i == 120 for i in range(N)]
    assert pq.read_metadata(out).num_row_groups == 4
    classes = GLMClassifier(formula="class ~ x").fit(FRAME)
    predictions(classes, path, output=out)
    table = pq.read_table(out).to_pandas()
    assert (table["row"] == np.repeat(np.arange(N), 3)).all() and table["class"][:3].tolist() == [
        "low",
        "mid",
        "top",
    ]
    before = out.read_bytes()
    with pytest.raises(ValueError, match="'new'"):
        bad = frame.assign(a=np.where(frame.index == 350, "new", frame.a))
        predictions(model, bad, output=out)
    assert out.read_bytes() == before and len(list(tmp_path.iterdir())) == 2


def test_engines_agree():
    model = glm("y ~ x * a", FRAME)
    expected = predictions(model, FRAME, engine="serial")
    pd.testing.assert_frame_equal(
        predictions(model, FRAME, engine="threads", n_jobs=2), expected, rtol=0, atol=0
    )


def test_averages():
    model = glm("yes ~ poly(x, 2) * a + flag", FRAME, "binomial")
    found = predictions(model, FRAME, by="flag")
    p = model.predict(FRAME)
    np.testing.assert_allclose(found.values, [p[~FRAME.flag].mean(), p[FRAME.flag].mean()], rtol=1e-9)
    exact = errors(
        model, lambda m: np.array([m.predict(FRAME)[~FRAME.flag].mean(), m.predict(FRAME)[FRAME.flag].mean()])
    )
    np.testing.assert_allclose(found.bse, exact, rtol=1e-6)
    assert found.params.index.tolist() == [False, True]
    whole = predictions(model, FRAME, by=True, weights="w")
    assert whole.values[0] == pytest.approx(np.average(p, weights=FRAME.w), rel=1e-9)
    two = predictions(model, FRAME, by=["flag", "month(t)"])
    labels = np.where(FRAME.index < 10, None, np.where(FRAME.flag, "set", "not"))
    some = predictions(model, FRAME, by=pd.Series(labels, name="which"))
    assert some.params.index.tolist() == ["not", "set"] and some.nobs == N - 10
    assert some.params.index.name == "which"
    assert two.to_frame().columns[:2].tolist() == ["flag", "month(t)"] and len(two) == 6


def test_predictions_with_variables_fixed():
    model = glm("yes ~ poly(x, 2) * a + flag", FRAME, "binomial")
    found = predictions(model, FRAME, at={"a": ["p", "q"]})
    expected = [model.predict(FRAME.assign(a=level)).mean() for level in "pq"]
    np.testing.assert_allclose(found.values, expected, rtol=1e-9)
    # Their difference is the average effect, with its error.
    effect = marginal_effects(model, FRAME, {"a": ("p", "q")})
    test = found.wald_test(np.array([[-1.0, 1.0]]))
    assert test.effect[0] == pytest.approx(effect.values[0], rel=1e-9)
    assert test.bse[0] == pytest.approx(effect.bse.iloc[0], rel=1e-9)


def test_rows_with_missing_values_keep_their_place():
    model = glm("count ~ x + a", FRAME, "poisson")
    frame = NEW.copy()
    frame.loc[3, "x"] = np.nan
    found = predictions(model, frame)
    assert found.loc[3].isna().all() and found.drop(3).notna().all().all()
    assert predictions(model, frame, by=True).nobs == 14


@pytest.mark.parametrize(
    "options, message",
    [
        ({"interval": "mean"}, "interval must be"),
        ({"interval": "prediction"}, "gaussian family"),
        ({"level": 1.0}, "level"),
        ({"level": 95}, "level"),
        ({"scale": "log"}, "scale"),
        ({"at": "mean"}, "at must be a dict"),
        ({"by": "nothing"}, "nothing"),
        ({"by": True, "output": "x.parquet"}, "table"),
        ({"offset": np.ones(3)}, "3 values"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        predictions(glm("count ~ x + a", FRAME, "poisson"), NEW, **options)


def test_no_covariance_no_interval():
    fit = GLMRegressor(plan=AveragedSGD(inference=None), random_state=0).fit(
        FRAME[["x", "z"]].to_numpy(), FRAME.y
    )
    with pytest.raises(ValueError, match="no covariance"):
        predictions(fit, FRAME[["x", "z"]].to_numpy())
    assert len(predictions(fit, FRAME[["x", "z"]].to_numpy(), interval=None)) == N


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-1e200, 1e200), family=st.sampled_from(["binomial", "poisson", "gaussian"]))
def test_intervals_hold_their_mean(x, family):
    model = _models()[family]
    found = predictions(model, pd.DataFrame({"x": [x, 0.0]}))
    assert (found.mean_ci_lower <= found["mean"]).all() and (found["mean"] <= found.mean_ci_upper).all()
    if family == "binomial":
        assert found.mean_ci_lower.min() >= 0 and found.mean_ci_upper.max() <= 1


def _models(kept={}):  # noqa: B006 - fitted once
    if not kept:
        for family, y in (("binomial", "yes"), ("poisson", "count"), ("gaussian", "y")):
            kept[family] = glm(f"{y} ~ x", FRAME, family)
    return kept


@pytest.mark.slow
def test_coverage():
    """Intervals of the mean and of a new observation cover in 90 % of samples."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    new, R = pd.DataFrame({"x": [0.5]}), 1_500
    hits = np.zeros(2)
    for _ in range(R):
        y = 1 + x + rng.normal(size=40)
        found = predictions(
            glm("y ~ x", pd.DataFrame({"x": x, "y": y})), new, interval="prediction", level=0.9
        ).iloc[0]
        observed = 1.5 + rng.normal()
        hits += [
            found.mean_ci_lower < 1.5 < found.mean_ci_upper,
            found.obs_ci_lower < observed < found.obs_ci_upper,
        ]
    assert np.abs(hits / R - 0.9).max() < 3.5 * np.sqrt(0.09 / R)


def test_coefficients_without_errors_leave_theirs_open():
    """Where a coefficient has no standard error, the rows and effects that it enters have none."""
    model = glm("y ~ x + a", FRAME)
    model.estimate_ = copy.copy(model.estimate_)
    V = model.estimate_.covariance.copy()
    at = model.estimate_.names.index("a[T.q]")
    V[at] = V[:, at] = np.nan
    model.estimate_.covariance = V
    vars(model.estimate_).pop("_bse", None)
    found = predictions(model, FRAME)
    assert (found.mean_se.isna() == (FRAME.a == "q")).all() and found["mean"].notna().all()
    effects = marginal_effects(model, FRAME)
    assert effects.bse.isna().tolist() == [False, True, False]
    assert effects.cov_params().isna().to_numpy().sum() == 5
