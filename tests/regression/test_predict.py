"""Predictions, their intervals, and their agreement with statsmodels and with the encoded rows."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.formula.api as smf
from sklearn.model_selection import cross_val_score

from statkit import glm
from statkit.regression import (
    CoxPHRegressor,
    GLMClassifier,
    GLMRegressor,
    OrderedClassifier,
    QuantileRegressor,
)

RNG = np.random.default_rng(5)
N = 400
FRAME = pd.DataFrame(
    {"x": RNG.normal(size=N), "z": RNG.uniform(1, 3, N), "a": RNG.choice(["p", "q", "r"], N)},
    index=np.arange(N) + 1000,
)
FRAME["y"] = 1 + FRAME.x - 0.5 * FRAME.z + (FRAME.a == "q") + RNG.normal(size=N)
FRAME["count"] = RNG.poisson(np.exp(0.2 * FRAME.x + 0.1 * FRAME.z))


def test_intervals_for_mean_and_observation():
    ours = glm("y ~ x * a + z", FRAME).predict_interval(FRAME[:20], level=0.9)
    fit = smf.ols("y ~ x * a + z", FRAME).fit()
    theirs = fit.get_prediction(FRAME[:20]).summary_frame(alpha=0.1)
    np.testing.assert_allclose(ours["lower"], theirs.mean_ci_lower, rtol=1e-8)
    np.testing.assert_allclose(ours["upper"], theirs.mean_ci_upper, rtol=1e-8)
    new = glm("y ~ x * a + z", FRAME).predict_interval(FRAME[:20], level=0.9, kind="observation")
    np.testing.assert_allclose(new["lower"], theirs.obs_ci_lower, rtol=1e-8)
    assert (ours.index == FRAME.index[:20]).all()


def test_intervals_of_a_poisson_mean():
    import statsmodels.api as sm

    ours = glm("count ~ x + z", FRAME, "poisson").predict_interval(FRAME[:9])
    fit = smf.glm("count ~ x + z", FRAME, family=sm.families.Poisson()).fit()
    theirs = fit.get_prediction(FRAME[:9]).summary_frame()
    np.testing.assert_allclose(ours["lower"], theirs.mean_ci_lower, rtol=1e-6)
    np.testing.assert_allclose(ours["mean"], theirs["mean"], rtol=1e-8)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_intervals_of_plain_matrices(kind):
    X = FRAME[["x", "z"]].to_numpy()
    fit = GLMRegressor().fit(kind(X), FRAME.y)
    expected = glm("y ~ x + z", FRAME).predict_interval(FRAME)
    np.testing.assert_allclose(fit.predict_interval(kind(X)).to_numpy(), expected.to_numpy(), rtol=1e-9)


def test_rows_with_missing_values_predict_nan_and_keep_their_place():
    fit = glm("y ~ x + a", FRAME)
    new = FRAME.copy()
    new.iloc[3, 0] = np.nan
    predicted = fit.predict(new)
    assert np.isnan(predicted[3]) and np.isfinite(np.delete(predicted, 3)).all() and len(predicted) == N


def test_offsets_enter_predictions():
    fit = glm("count ~ x + offset(log(z))", FRAME, "poisson")
    np.testing.assert_allclose(fit.predict(FRAME.assign(z=2 * FRAME.z)), 2 * fit.predict(FRAME), rtol=1e-12)
    plain = GLMRegressor("poisson").fit(FRAME[["x"]].to_numpy(), FRAME["count"], offset=np.log(FRAME.z))
    X = FRAME[["x"]].to_numpy()
    np.testing.assert_allclose(plain.predict(X, offset=np.log(FRAME.z)), fit.predict(FRAME), rtol=1e-6)


def test_unknown_level_names_itself_and_its_row():
    fit = glm("y ~ a", FRAME)
    with pytest.raises(ValueError, match=r"(?s)s.*row 2|row 2.*s"):
        fit.predict(pd.DataFrame({"a": ["p", "q", "s"]}))


def test_fitted_on_a_frame_predicts_on_an_array_with_a_warning():
    fit = GLMRegressor().fit(FRAME[["x", "z"]], FRAME.y)
    with pytest.warns(UserWarning, match="valid feature names"):
        np.testing.assert_allclose(fit.predict(FRAME[["x", "z"]].to_numpy()), fit.predict(FRAME[["x", "z"]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"level": 1.5}, "level"), ({"kind": "median"}, "kind"), ({"kind": "observation"}, "gaussian")],
)
def test_bad_requests(options, message):
    with pytest.raises(ValueError, match=message):
        glm("count ~ x", FRAME, "poisson").predict_interval(FRAME, **options)


def test_probabilities_of_a_level_at_its_limit():
    frame = pd.DataFrame({"a": ["u"] * 50 + ["v"] * 50 + ["w"] * 3, "y": [0, 1] * 50 + [1] * 3})
    fit = glm("y ~ a", frame, "binomial")
    assert fit.estimate_.params["a[T.w]"] == np.inf and np.isnan(fit.estimate_.bse["a[T.w]"])
    assert fit.predict(pd.DataFrame({"a": ["w"]})) == 1.0
    assert fit.estimate_.rows_used == 100 and "a[T.w]" in str(fit.summary())
    label = GLMClassifier().fit(frame[["a"]], frame["y"])
    np.testing.assert_allclose(
        label.predict_proba(pd.DataFrame({"a": ["w", "u"]}))[:, 1], [1.0, 0.5], atol=1e-6
    )


def test_scores():
    from sklearn.metrics import d2_tweedie_score, r2_score

    linear = glm("y ~ x + z", FRAME)
    assert np.isclose(linear.score(FRAME, FRAME.y), r2_score(FRAME.y, linear.predict(FRAME)))
    count = glm("count ~ x", FRAME, "poisson")
    expected = d2_tweedie_score(FRAME["count"], count.predict(FRAME), power=1)
    assert np.isclose(count.score(FRAME, FRAME["count"]), expected)


def test_scores_take_offsets_and_leave_out_rows_as_fits_do():
    rng = np.random.default_rng(5)
    X, offset = rng.normal(size=(300, 2)), rng.normal(size=300)
    counts = rng.poisson(np.exp(0.5 * X[:, 0] + offset)).astype(float)
    model = GLMRegressor("poisson").fit(X, counts, offset=offset)
    nothing = 2 * np.sum(
        np.where(counts > 0, counts * np.log(np.where(counts > 0, counts, 1) / counts.mean()), 0)
    )
    np.testing.assert_allclose(
        model.score(X, counts, offset=offset), 1 - model.estimate_.deviance / nothing, rtol=1e-8
    )
    assert model.score(X, counts) < model.score(X, counts, offset=offset)
    y, weight = X @ [1.0, -1.0] + rng.normal(size=300), rng.uniform(0.5, 2, 300)
    times = np.column_stack([np.exp(y), np.ones(300)])
    holes = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    whole = ~np.isnan(holes).any(axis=1)
    for model, response in (
        (GLMRegressor(na_action="drop"), y),
        (QuantileRegressor(0.3, na_action="drop"), y),
        (CoxPHRegressor(na_action="drop"), times),
    ):
        model.fit(holes, response)
        found = model.score(holes, response, sample_weight=weight)
        expected = model.score(holes[whole], response[whole], sample_weight=weight[whole])
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_rows_with_missing_values_have_no_class():
    X = np.arange(30.0)[:, None] % 7
    for model in (GLMClassifier(na_action="drop"), OrderedClassifier(na_action="drop")):
        model.set_params(plan=None).fit(X, np.arange(30) % 3)
        with pytest.raises(ValueError, match="row 1 has missing values: no class"):
            model.predict(np.array([[1.0], [np.nan]]))
        assert np.isnan(model.predict_proba(np.array([[1.0], [np.nan]]))[1]).all()


def test_formulas_bring_their_response_to_scores():
    """So that a model with a formula is validated on a frame alone."""
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"x": rng.normal(size=240), "a": rng.choice(list("pq"), 240)})
    frame["y"] = frame.x + rng.normal(size=240)
    frame["count"] = rng.poisson(np.exp(0.3 * frame.x))
    frame["label"] = np.where(frame.y > 0, "yes", "no")
    frame["grade"] = pd.Categorical.from_codes(
        np.digitize(frame.y, [-1, 1]), ["low", "mid", "high"], ordered=True
    )
    frame["time"], frame["died"] = np.exp(-frame.y), rng.random(240) < 0.7
    weight = rng.uniform(0.5, 2, 240)
    for model, left, response in (
        (GLMRegressor(), "log1p(exp(y))", np.log1p(np.exp(frame.y))),
        (GLMRegressor("poisson"), "count", frame["count"]),
        (GLMRegressor("binomial"), "label", (frame.label == "yes").astype(float)),
        (GLMClassifier(), "label", frame.label),
        (OrderedClassifier(), "grade", frame.grade),
        (QuantileRegressor(), "y", frame.y),
        (CoxPHRegressor(), "Surv(time, died)", frame[["time", "died"]].astype(float).to_numpy()),
    ):
        model.set_params(formula=f"{left} ~ x + a").fit(frame)
        assert model.score(frame) == model.score(frame, response)
        assert model.score(frame, sample_weight=weight) == model.score(frame, response, sample_weight=weight)
        scores = cross_val_score(model, frame, cv=3, error_score="raise")
        assert np.isfinite(scores).all() and len(set(scores)) == 3
    for model in (GLMRegressor(formula="~ x"), GLMRegressor()):
        model.fit(frame[["x"]], frame.y)
        with pytest.raises(ValueError, match="score needs y"):
            model.score(frame[["x"]])
