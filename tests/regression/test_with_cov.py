"""Another covariance without another fit: that of a fit with it, on every source, and never that of other rows."""

import copy
import gc
import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.genmod import families as sm_families

import statkit
from statkit.families import Huber
from statkit.plans import Exact, Renewable, Subsample
from statkit.regression import CoxPHRegressor, GLMClassifier, GLMRegressor, OrderedClassifier, quantreg
from statkit.results import Estimate

FORMULA = "{} ~ x + z + c"
FAMILIES = {
    "count": "poisson", "event": "binomial", "value": "gaussian", "positive": "gamma", "spread": "negative_binomial",
    "over": "quasi_poisson",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(7)
    n = 600
    frame = pd.DataFrame({
        "x": rng.normal(size=n), "z": 40 + 3 * rng.normal(size=n), "c": rng.choice(list("abc"), n),
        "firm": rng.integers(0, 30, n), "town": rng.choice(["Ulm", "Bonn", "Köln", "Jena"], n),
        "w": rng.uniform(0.5, 2, n), "o": rng.normal(size=n) / 5,
    })  # fmt: skip
    eta = 0.4 * frame.x + 0.05 * (frame.z - 40) + 0.3 * (frame.c == "b") + 0.2
    firm = rng.normal(size=30)[frame.firm] / 3
    frame["value"] = eta + firm + rng.normal(size=n) * (1 + frame.x**2)
    frame["count"] = frame["over"] = rng.poisson(np.exp(eta + firm)).astype(float)
    frame["spread"] = rng.negative_binomial(2.0, 1 / (1 + np.exp(eta) / 2)).astype(float)
    frame["event"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)
    frame["positive"] = rng.gamma(2, np.exp(eta) / 2)
    frame["kind"] = rng.choice(["one", "three", "two"], n)
    frame["time"], frame["died"] = rng.exponential(np.exp(-eta)), rng.random(n) < 0.7
    return frame


def near(one, other, rtol):
    """Covariances are equal up to rtol of the product of the two standard errors."""
    one, other = np.asarray(one), np.asarray(other)
    size = np.sqrt(np.outer(np.diag(other), np.diag(other)))
    np.testing.assert_allclose(one / size, other / size, rtol=0, atol=rtol)


def close(one, other, rtol=1e-12):
    near(one.covariance, other.covariance, rtol)
    assert one.cov_type == other.cov_type
    assert (one.df_resid_inference, one.use_t) == (other.df_resid_inference, other.use_t)
    np.testing.assert_allclose(one.pvalues, other.pvalues, rtol=max(rtol, 1e-9), atol=1e-300)


@pytest.mark.parametrize("response", FAMILIES)
def test_equals_the_fit_with_that_covariance_whatever_the_way(rows, response):
    formula, family = FORMULA.format(response), FAMILIES[response]
    fits = {
        kind: statkit.glm(formula, rows, family, weights="w", offset="o", cov_type=kind).estimate_
        for kind in ("nonrobust", "HC0", "HC1")
    }
    fits["cluster"] = statkit.glm(
        formula, rows, family, weights="w", offset="o", cov_type="cluster", groups="town"
    ).estimate_
    for start in fits.values():
        for kind, goal in fits.items():
            close(start.with_cov({"cluster": "town"} if kind == "cluster" else kind), goal, rtol=2e-12)


def test_agrees_with_statsmodels(rows):
    family = sm_families.Poisson()
    theirs = smf.glm(FORMULA.format("count"), rows, family=family)
    ours = statkit.glm(FORMULA.format("count"), rows, "poisson", plan=Exact(tol=1e-12)).estimate_
    for kind, fit in (
        ("HC0", theirs.fit(cov_type="HC0", tol=1e-14)),
        ({"cluster": "firm"}, theirs.fit(cov_type="cluster", cov_kwds={"groups": rows.firm}, tol=1e-14)),
    ):
        covariance = ours.with_cov(kind).cov_params().loc[fit.params.index, fit.params.index]
        near(covariance, fit.cov_params(), 1e-8)
    theirs = smf.wls(FORMULA.format("value"), rows, weights=rows.w).fit()
    ours = statkit.glm(FORMULA.format("value"), rows, weights="w").estimate_
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        errors = pd.Series(theirs.get_robustcov_results(kind).bse, theirs.params.index)
        np.testing.assert_allclose(ours.with_cov(kind).bse[errors.index], errors, rtol=1e-8)


def test_leverage_errors_of_a_glm_by_the_dense_formula(rows):
    model = statkit.glm(FORMULA.format("event"), rows, "binomial", weights="w", plan=Exact(tol=1e-12))
    X = np.column_stack([np.ones(len(rows)), rows.x, rows.z, rows.c == "b", rows.c == "c"]).astype(float)
    p, a = model.predict(rows), rows.w.to_numpy()
    A = X.T @ (X * (a * p * (1 - p))[:, None])
    h = a * p * (1 - p) * np.einsum("ij,jk,ik->i", X, np.linalg.inv(A), X)
    r = a * (rows.event - p).to_numpy()
    for kind, power in (("HC2", 1), ("HC3", 2)):
        V = np.linalg.inv(A) @ (X.T @ (X * (r**2 / (1 - h) ** power)[:, None])) @ np.linalg.inv(A)
        near(model.estimate_.with_cov(kind).covariance, V, 1e-8)


def test_a_row_that_decides_a_coefficient_alone_has_no_hc3(rows):
    frame = rows.assign(c=np.where(np.arange(len(rows)) == 17, "d", rows.c))
    with pytest.raises(ValueError, match="row 17 alone decides a coefficient"):
        statkit.glm(FORMULA.format("value"), frame).estimate_.with_cov("HC3")


def test_other_models(rows):
    """Classes, thresholds, risk sets, quantiles and robust losses."""
    X, firm = rows[["x", "z"]].to_numpy(), rows.firm.to_numpy()
    cases = [
        (GLMClassifier(), {"y": rows.kind.to_numpy()}, "HC0"),
        (GLMClassifier(formula="kind ~ x + c"), {}, "HC1"),
        (OrderedClassifier(), {"y": rows.kind.to_numpy()}, "HC0"),
        (OrderedClassifier(formula="kind ~ x + c", na_action="drop"), {}, "HC1"),
        (CoxPHRegressor(), {"y": rows[["time", "died"]].to_numpy(float)}, "HC0"),
        (
            CoxPHRegressor(),
            {"y": rows[["time", "died"]].to_numpy(float), "strata": rows.town.to_numpy()},
            "HC1",
        ),
        (CoxPHRegressor(formula="Surv(time, died) ~ x + z + strata(town)"), {}, "HC0"),
        (GLMRegressor(Huber()), {"y": rows.value.to_numpy()}, "HC0"),
        (GLMRegressor(alpha=0.1), {"y": rows.value.to_numpy()}, "HC1"),
    ]
    for model, given, kind in cases:
        data = X if model.formula is None else rows
        estimate = copy.copy(model).fit(data, **given).estimate_
        model.set_params(cov_type=kind)
        close(estimate.with_cov(kind), model.fit(data, **given).estimate_)
        model.set_params(cov_type="cluster")
        close(estimate.with_cov({"cluster": firm}), model.fit(data, **given, groups=firm).estimate_)


def test_errors_that_were_looked_at_do_not_stay(rows):
    """A table that was printed before keeps nothing in the estimate with another covariance."""
    X, y = rows[["x", "z"]].to_numpy(), rows[["time", "died"]].to_numpy(float)
    for model, response in ((CoxPHRegressor(), y), (GLMRegressor(), rows.value.to_numpy())):
        estimate = model.fit(X, response).estimate_
        before = estimate.bse.to_numpy()
        str(estimate.summary())
        after = estimate.with_cov({"cluster": rows.firm.to_numpy()})
        np.testing.assert_array_equal(after.bse, np.sqrt(np.diagonal(after.cov_params())))
        assert not np.allclose(after.bse, before, rtol=1e-3)


def test_losses_without_a_likelihood_have_no_plain_errors(rows):
    X, y = rows[["x", "z"]].to_numpy(), rows.value.to_numpy()
    estimate = GLMRegressor(Huber()).fit(X, y).estimate_
    with pytest.raises(ValueError, match="loss of huber is no likelihood"):
        estimate.with_cov("nonrobust")
    with pytest.raises(ValueError, match="apart from its model"):
        pickle.loads(pickle.dumps(estimate)).with_cov("nonrobust")
    # Of a quantile the density at it is needed, which the information of clustered errors does not tell.
    clustered = quantreg(FORMULA.format("value"), rows, 0.3).estimate_.with_cov({"cluster": "firm"})
    plain = quantreg(FORMULA.format("value"), rows, 0.3, cov_type="nonrobust").estimate_
    close(clustered.with_cov("nonrobust"), plain)


@pytest.mark.parametrize("name", ["value", "kind", "ordered", "survival"])
def test_a_cluster_of_weight_zero_is_not_there(rows, name):
    X, firm = rows[["x", "z"]].to_numpy(), rows.firm.to_numpy()
    there = ~np.isin(firm, np.unique(firm)[:2])
    model, y = {
        "value": (GLMRegressor(), rows.value.to_numpy()),
        "kind": (GLMClassifier(), rows.kind.to_numpy()),
        "ordered": (OrderedClassifier(), rows.kind.to_numpy()),
        "survival": (CoxPHRegressor(), rows[["time", "died"]].to_numpy(float)),
    }[name]
    model.set_params(cov_type="cluster")
    some = model.fit(X[there], y[there], groups=firm[there]).estimate_
    zero = model.fit(X, y, sample_weight=there.astype(float), groups=firm).estimate_
    assert zero.df_resid_inference == some.df_resid_inference
    np.testing.assert_allclose(zero.bse, some.bse, rtol=1e-6)


def test_quantiles(rows):
    robust, plain = (
        quantreg(FORMULA.format("value"), rows, 0.3, cov_type=k).estimate_ for k in ("robust", "nonrobust")
    )
    close(robust.with_cov("nonrobust"), plain, rtol=1e-9)
    close(plain.with_cov("robust"), robust, rtol=1e-9)
    # Clusters of one row are the robust variance, but for the factor of few clusters.
    alone = robust.with_cov({"cluster": np.arange(len(rows))})
    factor = (len(rows) / (len(rows) - 1)) * (len(rows) - 1) / (len(rows) - 5)
    np.testing.assert_allclose(alone.covariance, factor * robust.covariance, rtol=1e-9)
    with pytest.raises(ValueError, match="not for quantile regression"):
        robust.with_cov("HC3")
    two = quantreg(FORMULA.format("value"), rows, (0.3, 0.7), cov_type="nonrobust").estimate_
    close(two.with_cov("robust"), quantreg(FORMULA.format("value"), rows, (0.3, 0.7)).estimate_, rtol=1e-9)


def test_columns_far_from_zero_keep_their_digits(rows):
    frame = rows.assign(z=rows.z * 1e-3 + 2e6)
    plain = statkit.glm("value ~ x + z", frame).estimate_
    robust = statkit.glm("value ~ x + z", frame, cov_type="HC1").estimate_
    close(plain.with_cov("HC1"), robust, rtol=1e-9)
    close(robust.with_cov("nonrobust"), plain, rtol=1e-9)


def test_aliased_and_separated_columns(rows):
    frame = rows.assign(twice=2 * rows.x, c=rows.c.where(rows.event == 0, "a"))
    frame.loc[frame.index[:5], "c"] = "d"
    formula = "event ~ x + twice + z + C(c)"
    with pytest.warns(UserWarning):
        plain = statkit.glm(formula, frame, "binomial").estimate_
        goal = statkit.glm(formula, frame, "binomial", cov_type="HC1").estimate_
    assert np.isinf(plain.values).any() and np.isnan(plain.values).any()
    close(plain.with_cov("HC1"), goal, rtol=1e-9)


def test_files_are_remembered_by_path_and_refused_when_they_changed(rows, tmp_path):
    path = tmp_path / "rows.parquet"
    rows.to_parquet(path, row_group_size=150)
    estimate = statkit.glm(FORMULA.format("count"), str(path), "poisson").estimate_
    for engine in ("serial", "processes"):
        fit = statkit.glm(
            FORMULA.format("count"), path, "poisson", engine=engine, cov_type="cluster", groups="firm"
        ).estimate_
        close(estimate.with_cov({"cluster": "firm"}), fit)
        close(
            fit.with_cov("partition"),
            statkit.glm(FORMULA.format("count"), path, "poisson", cov_type="partition").estimate_,
        )
    close(estimate.with_cov("partition").with_cov("nonrobust"), estimate)
    rows.iloc[::-1].to_csv(tmp_path / "rows.csv", index=False)
    text = statkit.glm(FORMULA.format("count"), tmp_path / "rows.csv", "poisson").estimate_
    close(text.with_cov("HC1"), estimate.with_cov("HC1"), rtol=1e-9)
    rows.assign(count=rows["count"] + 1).to_parquet(path, row_group_size=150)
    with pytest.raises(ValueError, match="changed since the fit"):
        estimate.with_cov("HC1")


def test_data_in_memory_are_held_weakly_and_can_be_given_again(rows):
    frame = rows.copy()
    estimate = statkit.glm(FORMULA.format("count"), frame, "poisson").estimate_
    goal = estimate.with_cov("HC1")
    del frame
    gc.collect()
    with pytest.raises(ValueError, match=r"not at hand.*with_cov\(…, data=…\)"):
        estimate.with_cov("HC1")
    close(estimate.with_cov("HC1", data=rows), goal)
    X, y = rows[["x", "z"]].to_numpy(), rows["count"].to_numpy()
    estimate = GLMRegressor("poisson").fit(X.copy(), y, rows.w.to_numpy()).estimate_
    with pytest.raises(ValueError, match="data=…, y=…, sample_weight=…"):
        estimate.with_cov("HC1")
    goal = GLMRegressor("poisson", cov_type="HC1").fit(X, y, rows.w).estimate_
    close(estimate.with_cov("HC1", X, y=y, sample_weight=rows.w), goal)
    with pytest.raises(ValueError, match="deviance of these rows"):
        estimate.with_cov("HC1", X, y=y)


def test_rows_that_are_not_those_of_the_fit_are_refused(rows):
    frame = rows.copy()
    estimate = statkit.glm(FORMULA.format("count"), frame, "poisson").estimate_
    with pytest.raises(ValueError, match="590 complete rows, the fit had 600"):
        estimate.with_cov("HC1", data=rows.iloc[10:])
    frame.loc[3, "count"] += 1  # in place
    with pytest.raises(ValueError, match="were changed since"):
        estimate.with_cov("HC1")
    holes = rows.assign(town=rows.town.where(rows.index > 4, None))
    with pytest.raises(ValueError, match=r"595 complete rows.*label of their cluster"):
        estimate.with_cov({"cluster": "town"}, data=holes)
    with pytest.raises(ValueError, match="'twon'"):
        estimate.with_cov({"cluster": "twon"}, data=rows)


def test_loaded_and_pickled_models(rows, tmp_path):
    pytest.importorskip("skops")
    model = statkit.glm(FORMULA.format("spread"), rows, "negative_binomial")
    goal = model.estimate_.with_cov({"cluster": "firm"})
    statkit.save(model, tmp_path / "model.skops")
    others = [
        statkit.load(tmp_path / "model.skops"), pickle.loads(pickle.dumps(model)),
        GLMRegressor.from_state(model.get_state()),
    ]  # fmt: skip
    for other in others:
        with pytest.raises(ValueError, match="a loaded model has none"):
            other.estimate_.with_cov("HC1")
        close(other.estimate_.with_cov({"cluster": "firm"}, data=rows), goal, rtol=1e-10)
    alone = Estimate.from_dict(model.estimate_.to_dict())
    np.testing.assert_array_equal(alone.evaluated_at, model.estimate_.evaluated_at)
    with pytest.raises(ValueError, match="apart from its model"):
        alone.with_cov("HC1", data=rows)


def test_the_estimate_is_of_its_fit_though_the_model_was_fitted_again(rows):
    model = GLMRegressor("poisson", formula="count ~ x")
    first = model.fit(rows).estimate_
    goal = GLMRegressor("poisson", formula="count ~ x", cov_type="HC0").fit(rows).estimate_
    model.set_params(formula="value ~ z", family="gaussian").fit(rows)
    close(first.with_cov("HC0"), goal)


def test_nothing_is_mutated(rows):
    model = statkit.glm(FORMULA.format("count"), rows, "poisson")
    before = str(model.summary()), model.estimate_.covariance.copy()
    other = model.estimate_.with_cov("HC1")
    other.notes.append("mine")
    assert (str(model.summary()), True) == (before[0], np.array_equal(before[1], model.estimate_.covariance))
    assert other.bse["x"] != model.estimate_.bse["x"] and "HC1" in str(other.summary())
    again = model.estimate_.with_cov("nonrobust")
    assert again is not model.estimate_
    np.testing.assert_array_equal(again.covariance, model.estimate_.covariance)


def test_plans(rows):
    estimate = GLMRegressor("poisson", formula="count ~ x + z", plan=Renewable()).fit(rows).estimate_
    goal = GLMRegressor("poisson", formula="count ~ x + z", cov_type="HC1").fit(rows).estimate_
    close(estimate.with_cov("HC1", data=rows), goal, rtol=1e-2)
    sampled = statkit.glm("count ~ x", rows, "poisson", plan=Subsample(200, pilot_size=100)).estimate_
    with pytest.raises(ValueError, match="Subsample"):
        sampled.with_cov("HC1")
    lasso = statkit.glm("count ~ x + z", rows, "poisson", alpha=0.1, l1_ratio=1.0).estimate_
    with pytest.raises(ValueError, match="no standard errors"):
        lasso.with_cov("HC1")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("HC9", "must be one of"), ("cluster", "does not say by what"), ({"group": "firm"}, "column's name or an array"),
        ("HAC", "comes with the fit alone"), (None, "must be one of"), ({"cluster": [1, 2]}, "2 labels|2 values"),
        ("robust", "quantiles"), ({"cluster": np.zeros(600, int)}, "at least 2 groups"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly(rows, kind, message):
    with pytest.raises(ValueError, match=message):
        statkit.glm("count ~ x", rows, "poisson").estimate_.with_cov(kind)


def test_where_leverage_is_not_exact(rows):
    for model, y in ((GLMClassifier(), rows.kind), (GLMRegressor(alpha=0.1), rows.value)):
        estimate = model.fit(rows[["x", "z"]].to_numpy(), y.to_numpy()).estimate_
        with pytest.raises(ValueError, match=r"not at hand|not exact"):
            estimate.with_cov("HC3", rows[["x", "z"]].to_numpy(), y=y.to_numpy())
