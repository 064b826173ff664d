"""Marginal effects against statsmodels, against differences of predictions, and by simulation."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st

from statkit import glm, quantreg
from statkit.plans import AveragedSGD, OneShot, Renewable, Subsample
from statkit.regression import (
    CoxPHRegressor,
    GLMClassifier,
    GLMRegressor,
    marginal_effects,
    polr,
    predictions,
)
from tests.regression.after_fit import FRAME, N, errors, means

# -- statsmodels ------------------------------------------------------------------------------------------------

MODELS = {
    "logit": ("yes", "binomial", None, lambda f: smf.logit(f, FRAME).fit(disp=0, tol=1e-12)),
    "probit": ("yes", "binomial", "probit", lambda f: smf.glm(
        f, FRAME, family=sm.families.Binomial(sm.families.links.Probit())).fit(tol=1e-12)),
    "poisson": ("count", "poisson", None, lambda f: smf.poisson(f, FRAME).fit(disp=0, tol=1e-12)),
    "gamma": ("positive", "gamma", None, lambda f: smf.glm(
        f, FRAME, family=sm.families.Gamma(sm.families.links.Log())).fit(tol=1e-12, use_t=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("at", ["overall", "mean", "median", "zero"])
def test_statsmodels(name, at):
    y, family, link, fit = MODELS[name]
    ours, theirs = glm(f"{y} ~ x + z", FRAME, family, link=link), fit(f"{y} ~ x + z")
    for method in ("dydx", "eydx") + (("eyex", "dyex") if at != "zero" else ()):
        expected = theirs.get_margeff(at=at, method=method)
        found = marginal_effects(ours, FRAME, at=at, method=method)
        np.testing.assert_allclose(found.params, expected.margeff, rtol=1e-6)
        np.testing.assert_allclose(found.bse, expected.margeff_se, rtol=1e-6)
        if family != "gamma":
            np.testing.assert_allclose(found.pvalues, expected.pvalues, rtol=1e-5, atol=1e-12)
            np.testing.assert_allclose(found.conf_int(), expected.conf_int(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("at", ["overall", "mean"])
def test_statsmodels_with_categories(at):
    ours = glm("yes ~ x + a", FRAME, "binomial")
    theirs = smf.logit("yes ~ x + a", FRAME).fit(disp=0, tol=1e-12).get_margeff(at=at, dummy=True)
    found = marginal_effects(ours, FRAME, at=at).to_frame()
    names = ["a[T.q]", "a[T.r]", "x"]
    order = [theirs.results.model.exog_names[1:].index(n) for n in ("x", *names[:2])]
    if at == "overall":  # statsmodels leaves the other dummies as they are; from p to q no row is in r
        np.testing.assert_allclose(found["dy/dx"][0], theirs.margeff[order[0]], rtol=1e-6)
        return
    np.testing.assert_allclose(found["dy/dx"][0], theirs.margeff[order[0]], rtol=1e-6)
    np.testing.assert_allclose(found["std err"][0], theirs.margeff_se[order[0]], rtol=1e-6)


def test_statsmodels_with_a_dummy_everywhere():
    ours = glm("yes ~ x + z + flag", FRAME, "binomial")
    data = FRAME.assign(flag=FRAME.flag.astype(float))
    theirs = smf.logit("yes ~ x + z + flag", data).fit(disp=0, tol=1e-12)
    for at in ("overall", "mean"):
        expected = theirs.get_margeff(at=at, dummy=True)
        found = marginal_effects(ours, FRAME, at=at)
        np.testing.assert_allclose(found.params, expected.margeff, rtol=1e-6)
        np.testing.assert_allclose(found.bse, expected.margeff_se, rtol=1e-6)
        logs = theirs.get_margeff(at=at, dummy=True, method="eydx")
        np.testing.assert_allclose(
            marginal_effects(ours, FRAME, at=at, method="eydx").params, logs.margeff, rtol=1e-6
        )


def test_statsmodels_multinomial():
    X = FRAME[["x", "z"]]
    ours = GLMClassifier().fit(X, FRAME["class"])
    theirs = (
        sm.MNLogit(pd.Categorical(FRAME["class"]).codes, sm.add_constant(X))
        .fit(disp=0, tol=1e-12)
        .get_margeff()
    )
    found = (
        marginal_effects(ours, X)
        .to_frame()
        .pivot(index="variable", columns="class", values=["dy/dx", "std err"])
    )
    np.testing.assert_allclose(found["dy/dx"], theirs.margeff, rtol=1e-5)
    np.testing.assert_allclose(found["std err"], theirs.margeff_se, rtol=1e-5)


def test_linear_effects_are_the_coefficients():
    fit = glm("y ~ x + z + a", FRAME)
    found = marginal_effects(fit, FRAME)
    expected = fit.estimate_.to_frame().drop(index="Intercept")
    order = ["x", "z", "a[T.q]", "a[T.r]"]
    np.testing.assert_allclose(
        found.to_frame().iloc[:, 2:].to_numpy(float), expected.loc[order].to_numpy(), rtol=1e-9
    )


# -- differences of predictions ---------------------------------------------------------------------------------


def derivative(model, frame, column, h=1e-4):
    up, down = (means(model, frame.assign(**{column: frame[column] + s * h})) for s in (1, -1))
    more, less = (means(model, frame.assign(**{column: frame[column] + s * h})) for s in (2, -2))
    return (8 * (up - down) - (more - less)) / (12 * h)


FITS = {
    "interactions": lambda: glm("yes ~ poly(x, 2) * a + log(z)", FRAME, "binomial"),
    "powers": lambda: glm("count ~ x * z + I(x ** 2) + x:I(x ** 2)", FRAME, "poisson"),
    "splines": lambda: glm("yes ~ cr(x, df=4) * flag + a", FRAME, "binomial", link="cloglog"),
    "offset": lambda: glm("count ~ x + offset(log(z))", FRAME, "poisson"),
    "inverse": lambda: glm("positive ~ z + I(x ** 2)", FRAME, "gamma", link="inverse"),
    "sqrt": lambda: glm("count ~ z + I(x ** 2)", FRAME, "poisson", link="sqrt"),
    "softmax": lambda: GLMClassifier(formula="class ~ x * a + z").fit(FRAME),
    "ordered": lambda: polr("class ~ poly(x, 2) + a", FRAME, classes=["low", "mid", "top"]),
    "ordered probit": lambda: polr("class ~ x * z", FRAME, classes=["low", "mid", "top"], link="probit"),
    "no intercept": lambda: glm("y ~ a:x + z - 1", FRAME),
    "quantiles": lambda: quantreg("y ~ x * z", FRAME, [0.25, 0.75]),
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_derivatives_are_those_of_predictions(name):
    model = FITS[name]()
    found = marginal_effects(model, FRAME, "x")

    def expected(m):
        return np.average(derivative(m, FRAME, "x"), axis=0)

    np.testing.assert_allclose(found.params, expected(model), rtol=1e-7, atol=1e-9)
    exact = errors(model, lambda m: marginal_effects(m, FRAME, "x").values)
    np.testing.assert_allclose(found.bse, exact, rtol=1e-6)


@pytest.mark.parametrize("name", ["interactions", "softmax", "ordered", "splines"])
def test_contrasts_are_those_of_predictions(name):
    model = FITS[name]()
    found = marginal_effects(model, FRAME, "a")

    def expected(m):
        p, q, r = (means(m, FRAME.assign(a=level)).mean(axis=0) for level in "pqr")
        return np.concatenate([q - p, r - p])

    np.testing.assert_allclose(found.params, expected(model), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.bse, errors(model, expected), rtol=1e-5)


def test_weights_groups_and_fixed_values():
    model = FITS["interactions"]()
    found = marginal_effects(
        model, FRAME, "x", at={"a": ["q", "r"], "z": 2.0}, by="flag", weights="w"
    ).to_frame()
    assert found[["at a", "at z", "flag"]].to_numpy().tolist() == [
        ["q", 2.0, False], ["r", 2.0, False], ["q", 2.0, True], ["r", 2.0, True]
    ]  # fmt: skip

    def expected(m):
        return np.array([
            np.average(derivative(m, part.assign(a=a, z=2.0), "x")[:, 0], weights=part.w)
            for _, part in FRAME.groupby("flag") for a in "qr"
        ])  # fmt: skip

    np.testing.assert_allclose(found["dy/dx"], expected(model), rtol=1e-7)
    options = {"at": {"a": ["q", "r"], "z": 2.0}, "by": "flag", "weights": "w"}
    exact = errors(model, lambda m: marginal_effects(m, FRAME, "x", **options).values)
    np.testing.assert_allclose(found["std err"], exact, rtol=1e-6)
    array = marginal_effects(
        model, FRAME, "x", at={"a": ["q", "r"], "z": 2.0}, by=FRAME.flag, weights=FRAME.w
    )
    np.testing.assert_allclose(array.values, found["dy/dx"], rtol=1e-12)


def test_elasticities():
    model = FITS["interactions"]()
    d, m = derivative(model, FRAME, "z")[:, 0], means(model, FRAME)[:, 0]
    for method, expected in {"eyex": d * FRAME.z / m, "dyex": d * FRAME.z, "eydx": d / m}.items():
        found = marginal_effects(model, FRAME, "z", method=method)
        np.testing.assert_allclose(found.params, expected.mean(), rtol=1e-7)
        exact = errors(model, lambda m, method=method: marginal_effects(m, FRAME, "z", method=method).values)
        np.testing.assert_allclose(found.bse, exact, rtol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "ordered"])
def test_elasticities_of_classes(name):
    model = FITS[name]()
    found = marginal_effects(model, FRAME, "x", method="eydx")
    exact = errors(model, lambda m: marginal_effects(m, FRAME, "x", method="eydx").values)
    np.testing.assert_allclose(found.bse, exact, rtol=1e-5)
    expected = (derivative(model, FRAME, "x") / means(model, FRAME)).mean(axis=0)
    np.testing.assert_allclose(found.params, expected, rtol=1e-7)


def test_pairs_references_and_computed_factors():
    model = glm("yes ~ x + a + C(z > 2) + C(k) + C(month(t)) + I(a == 'r'):x", FRAME, "binomial")
    found = marginal_effects(
        model, FRAME, {"x": (0, 2), "a": "q", "C(z > 2)": None, "month(t)": (3, 4), "k": None}
    )
    keys = [f"{k['variable']} {k['contrast']}" for k in found.keys]
    assert keys == [
        "x 2 - 0",
        "a p - q",
        "a r - q",
        "C(z > 2) True - False",
        "month(t) 4 - 3",
        "k 2 - 1",
        "k 3 - 1",
    ]

    def mean(**changes):
        return model.predict(FRAME.assign(**changes)).mean()

    assert found.values[0] == pytest.approx(mean(x=2.0) - mean(x=0.0), rel=1e-10)
    assert found.values[2] == pytest.approx(mean(a="r") - mean(a="q"), rel=1e-10)
    assert found.values[3] == pytest.approx(mean(z=2.5) - mean(z=1.5), rel=1e-10)
    april, march = (mean(t=pd.Timestamp(f"2021-0{m}-03")) for m in (4, 3))
    assert found.values[4] == pytest.approx(april - march, rel=1e-10)
    assert found.values[5] == pytest.approx(mean(k=2) - mean(k=1), rel=1e-10)


def test_the_average_row_has_shares_of_levels():
    model = glm("yes ~ x * a + flag", FRAME, "binomial")
    design, theta = model._design, model.estimate_.params
    share = FRAME.a.value_counts(normalize=True)
    x, flag = FRAME.x.mean(), FRAME.flag.mean()
    eta = (
        theta["Intercept"]
        + theta["x"] * x
        + theta["flag[T.True]" if "flag[T.True]" in theta else "flag"] * flag
    )
    slope = theta["x"]
    for level in "qr":
        eta += share[level] * (theta[f"a[T.{level}]"] + theta[f"x:a[T.{level}]"] * x)
        slope += share[level] * theta[f"x:a[T.{level}]"]
    p = 1 / (1 + np.exp(-eta))
    assert design.intercept
    assert marginal_effects(model, FRAME, "x", at="mean").values[0] == pytest.approx(
        p * (1 - p) * slope, rel=1e-10
    )
    fixed = marginal_effects(model, FRAME, "x", at=("mean", {"a": ["p", "q"]}))
    eta_p = theta["Intercept"] + theta["x"] * x + theta.filter(like="flag").iloc[0] * flag
    p = 1 / (1 + np.exp(-eta_p))
    assert fixed.values[0] == pytest.approx(p * (1 - p) * theta["x"], rel=1e-10)


def test_average_rows_of_groups():
    model = FITS["interactions"]()
    found = marginal_effects(model, FRAME, at="mean", by="flag", weights="w")
    for k, flag in enumerate((False, True)):
        part = marginal_effects(model, FRAME[FRAME.flag == flag], at="mean", weights="w")
        np.testing.assert_allclose(found.values[len(part) * k : len(part) * (k + 1)], part.values, rtol=1e-10)


def test_one_row_is_a_point_of_ones_own():
    model = FITS["interactions"]()
    one = pd.DataFrame({"x": [0.3], "z": [2.0], "a": ["q"]})
    found = marginal_effects(model, one, "x")
    np.testing.assert_allclose(found.params, derivative(model, one, "x")[0], rtol=1e-8)
    assert found.nobs == 1


# -- any data, any engine, any covariance ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_plain_matrices(kind):
    X = FRAME[["x", "z"]].to_numpy()
    fit = GLMClassifier().fit(kind(X), FRAME.yes)
    frame = glm("yes ~ x + z", FRAME, "binomial")
    for at in ("overall", "mean", "median", "zero", {"z": [1, 2]}):
        named = {"x1": at["z"]} if isinstance(at, dict) else at
        ours, expected = marginal_effects(fit, kind(X), at=named), marginal_effects(frame, FRAME, at=at)
        np.testing.assert_allclose(ours.values, expected.values, rtol=1e-8)
        np.testing.assert_allclose(ours._bse, expected._bse, rtol=1e-6)
    pair = marginal_effects(fit, kind(X), {"x0": (0, 1)})
    np.testing.assert_allclose(pair.values, marginal_effects(frame, FRAME, {"x": (0, 1)}).values, rtol=1e-8)


def test_engines_and_files_agree(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(FRAME, preserve_index=False), path, row_group_size=90)
    model = FITS["interactions"]()
    options = {"at": {"z": [1.5, 2]}, "by": "flag"}
    serial = marginal_effects(model, path, engine="serial", **options)
    for engine in ("threads", "processes"):
        other = marginal_effects(model, path, engine=engine, n_jobs=2, **options)
        assert (other.values == serial.values).all() and (other.jacobian == serial.jacobian).all()
    np.testing.assert_allclose(marginal_effects(model, FRAME, **options).values, serial.values, rtol=1e-12)
    for at in ("mean", "median"):
        ours, whole = marginal_effects(model, path, at=at), marginal_effects(model, FRAME, at=at)
        np.testing.assert_allclose(ours.values, whole.values, rtol=1e-11)


@pytest.mark.parametrize(
    "options",
    [{"cov_type": "HC1"}, {"cov_type": "cluster", "groups": "k"}, {"plan": Subsample(200), "random_state": 0},
     {"plan": OneShot(2)}, {"plan": Renewable()}, {"alpha": 0.01}],
    ids=["HC1", "cluster", "subsample", "one shot", "stream", "ridge"],
)  # fmt: skip
def test_errors_are_those_of_the_fit(options):
    model = glm("yes ~ x + z", FRAME, "binomial", **options)
    found = marginal_effects(model, FRAME)
    exact = errors(model, lambda m: marginal_effects(m, FRAME).values)
    np.testing.assert_allclose(found.bse, exact, rtol=1e-6)
    V = found.jacobian @ model.estimate_.covariance @ found.jacobian.T
    np.testing.assert_allclose(found.cov_params(), V, rtol=1e-12)


def test_no_covariance_no_errors():
    model = glm("y ~ x + z", FRAME, plan=AveragedSGD(inference=None), random_state=0)
    found = marginal_effects(model, FRAME)
    assert np.isfinite(found.values).all() and found.bse.isna().all() and found.pvalues.isna().all()
    assert "no covariance" in str(found)
    with pytest.raises(ValueError, match="no covariance"):
        found.wald_test("x = 0")


def test_hypotheses_about_effects():
    model = glm("yes ~ x + z + a", FRAME, "binomial")
    found = marginal_effects(model, FRAME)
    test = found.wald_test("x = z")
    V = found.cov_params().to_numpy()
    z = (found.values[0] - found.values[1]) / np.sqrt(V[0, 0] + V[1, 1] - 2 * V[0, 1])
    assert test.statistic == pytest.approx(z**2, rel=1e-8)
    assert found.wald_test(np.eye(4)[2:]).df == 2


def test_a_level_that_was_set_aside_has_a_limit():
    frame = FRAME.assign(a=np.where(FRAME.index < 8, "never", FRAME.a))
    frame.loc[:7, "yes"] = 0.0
    model = glm("yes ~ x + a", frame, "binomial")
    assert model.estimate_.params["a[T.never]"] == -np.inf
    found = marginal_effects(model, frame, {"a": ("p", "never")})
    assert found.values[0] == pytest.approx(-model.predict(frame.assign(a="p")).mean(), rel=1e-9)
    assert np.isfinite(found.bse).all() and found.bse.iloc[0] > 0


def test_aliased_columns_do_not_hurt():
    frame = FRAME.assign(twice=2 * FRAME.x)
    with pytest.warns(UserWarning):
        model = glm("yes ~ x + z + twice", frame, "binomial")
    found = marginal_effects(model, frame, ["x", "z"])
    np.testing.assert_allclose(
        found.values, marginal_effects(glm("yes ~ x + z", frame, "binomial"), frame).values, rtol=1e-6
    )


@pytest.mark.parametrize("family", ["gaussian", "poisson", "classes"])
def test_an_empty_cell_tells_nothing(family):
    """What depends on a combination that no row of the fit has is no estimate, and has no error."""
    frame = pd.DataFrame({"x": np.tile([0.3, -1, 2, 0.1, 1, -0.4], 60), "a": np.tile(list("ppqqpp"), 60)})
    frame["b"] = np.resize(list("rstrstt"), len(frame))
    frame = frame[~((frame.a == "q") & (frame.b == "s"))].reset_index(drop=True)
    rng = np.random.default_rng(1)
    frame["y"] = rng.poisson(np.exp(0.3 * frame.x + (frame.a == "q")))
    frame["k"] = rng.integers(0, 3, len(frame))
    with pytest.warns(UserWarning, match="have no coefficient"):
        if family == "classes":
            model = GLMClassifier(formula="k ~ x + a * b").fit(frame)
        else:
            model = glm("y ~ x + a * b", frame, family)
    assert model.estimate_.why_nan["a[T.q]:b[T.s]"] == "no row of the fit has it"
    effects = marginal_effects(model, frame)
    named = effects.to_frame()
    lost = named["std err"].isna().to_numpy()
    pairs = (named.variable + named.contrast.astype(str)).to_numpy()
    assert set(pairs[lost]) == {"aq - p", "bs - r"} and set(pairs[~lost]) == {"x", "bt - r"}
    assert "a[T.q]:b[T.s] (no row of the fit has it)" in " ".join(str(effects).split())
    with pytest.raises(ValueError, match="no standard error"):
        effects.wald_test(np.eye(len(effects))[np.flatnonzero(lost)[:1]])
    within = marginal_effects(model, frame, "a", by="b").to_frame()
    assert set(within.b[within["std err"].isna()]) == {"s"}
    assert predictions(model, frame).mean_se.notna().all()
    rows = predictions(model, pd.DataFrame({"x": [0.0, 0.0], "a": ["q", "q"], "b": ["s", "t"]}))
    assert rows["mean"].notna().all()
    classes = 3 if family == "classes" else 1
    assert rows.mean_se.isna().tolist() == [True] * classes + [False] * classes


def test_missing_rows_are_left_out():
    model = FITS["interactions"]()
    frame = FRAME.copy()
    frame.loc[3, "x"] = np.nan
    frame.loc[5, "a"] = None
    found = marginal_effects(model, frame)
    assert found.nobs == N - 2
    np.testing.assert_allclose(found.values, marginal_effects(model, FRAME.drop([3, 5])).values, rtol=1e-12)


def test_weights_of_the_fit_are_taken_where_they_are_a_column():
    model = glm("yes ~ x", FRAME, "binomial", weights="w")
    own = marginal_effects(model, FRAME)
    np.testing.assert_allclose(own.values, marginal_effects(model, FRAME, weights=FRAME.w).values, rtol=1e-12)
    assert own.weight == pytest.approx(FRAME.w.sum())
    assert marginal_effects(model, FRAME, weights=1).weight == N
    assert marginal_effects(model, FRAME.drop(columns="w")).weight == N


def test_offsets_beside_the_data():
    X, offset = FRAME[["x"]].to_numpy(), np.log(FRAME.z.to_numpy())
    fit = GLMRegressor("poisson").fit(X, FRAME["count"], offset=offset)
    model = glm("count ~ x + offset(log(z))", FRAME, "poisson")
    found, expected = marginal_effects(fit, X, offset=offset), marginal_effects(model, FRAME, "x")
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-8)
    assert [key["variable"] for key in marginal_effects(model, FRAME).keys] == ["x"]
    z = marginal_effects(model, FRAME, "z")
    assert z.values[0] == pytest.approx((model.predict(FRAME) / FRAME.z).mean(), rel=1e-9)


def test_link_scale():
    model = glm("yes ~ x + z", FRAME, "binomial")
    found = marginal_effects(model, FRAME, scale="link")
    np.testing.assert_allclose(found.values, model.estimate_.values[1:], rtol=1e-12)
    np.testing.assert_allclose(found.bse, model.estimate_.bse[1:], rtol=1e-12)
    many = marginal_effects(FITS["softmax"](), FRAME, "z", scale="link").to_frame()
    assert many["class"].tolist() == ["mid", "top"]


def test_tables():
    found = marginal_effects(FITS["softmax"](), FRAME)
    text = str(found.summary())
    assert "class = mid" in text and "a q - p" in text and "dy/dx" in text
    assert "<table" in found._repr_html_() and r"\toprule" in found.summary().as_latex()
    assert found.to_frame(0.1).columns[-2:].tolist() == ["[0.05", "0.95]"]
    assert found.params.index.names == ["variable", "contrast", "class"]


# -- statistics --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_coverage():
    """95 % intervals of the average effect cover its value at the same rows in 95 % of samples."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=300), rng.random(300) < 0.3]).astype(float)
    frame = pd.DataFrame({"x": X[:, 0], "g": X[:, 1] > 0})
    beta = np.array([-0.3, 0.8, 0.6])
    p = 1 / (1 + np.exp(-(beta[0] + X @ beta[1:])))
    up, low = (1 / (1 + np.exp(-(beta[0] + beta[1] * X[:, 0] + beta[2] * g))) for g in (1, 0))
    truth = np.array([(p * (1 - p)).mean() * beta[1], (up - low).mean()])
    hits, R = np.zeros(2), 400
    for _ in range(R):
        found = marginal_effects(
            glm("y ~ x + g", frame.assign(y=(rng.random(300) < p) * 1.0), "binomial"), frame
        )
        limits = found.conf_int().to_numpy()
        hits += (limits[:, 0] < truth) & (truth < limits[:, 1])
    assert np.abs(hits / R - 0.95).max() < 3.5 * np.sqrt(0.95 * 0.05 / R)


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        ({"variables": "xx"}, "no variable 'xx'.*'x'"),
        ({"variables": []}, "variables names none"),
        ({"variables": {"a": "s"}}, "no level 's': its levels are 'p', 'q', 'r'"),
        ({"variables": {"x": 3}}, "pair of values"),
        ({"variables": {"x": (0, np.nan)}}, "finite number"),
        ({"variables": {"x": (0, 1, 2)}}, "pair of values"),
        ({"at": {"a": "s"}}, "no level"),
        ({"at": {"a": []}}, "no value"),
        ({"at": "everywhere"}, "at must be"),
        ({"at": {"nothing": 1}}, "no variable"),
        ({"method": "dy"}, "method must be"),
        ({"scale": "log"}, "scale must be"),
        ({"by": "nothing"}, "nothing"),
        ({"weights": "nothing"}, "nothing"),
        ({"weights": np.ones(3)}, "3 values"),
        ({"weights": -np.ones(N)}, "negative"),
        ({"weights": np.zeros(N)}, "all zero"),
        ({"offset": np.ones(3)}, "3 values"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        marginal_effects(FITS["interactions"](), FRAME, **options)


def test_refused_models_and_data():
    model = FITS["interactions"]()
    with pytest.raises(TypeError, match="fitted regression"):
        marginal_effects("model", FRAME)
    with pytest.raises(ValueError, match="not fitted"):
        marginal_effects(GLMRegressor(), FRAME)
    with pytest.raises(ValueError, match="no rows"):
        marginal_effects(model, FRAME[:0])
    with pytest.raises(ValueError, match="no rows with a value"):
        marginal_effects(model, FRAME.assign(x=np.nan))
    with pytest.raises(ValueError, match="'z'"):
        marginal_effects(model, FRAME.drop(columns="z"))
    with pytest.raises(ValueError, match=r"'new'.*did not occur"):
        marginal_effects(model, FRAME.assign(a="new"))
    with pytest.raises(ValueError, match="hazard ratios"):
        times = np.column_stack([FRAME.z, FRAME.flag])
        marginal_effects(CoxPHRegressor().fit(FRAME[["x"]].to_numpy(), times), FRAME[["x"]].to_numpy())
    with pytest.raises(ValueError, match="plain matrix"):
        X = FRAME[["x"]].to_numpy()
        marginal_effects(GLMRegressor().fit(X, FRAME.y), X, by="k")
    with pytest.raises(ValueError, match="pair of values"):
        marginal_effects(glm("y ~ I(a == 'p')", FRAME), FRAME, "a")
    only = glm("y ~ 1", FRAME)
    with pytest.raises(ValueError, match="no variable"):
        marginal_effects(only, FRAME)


@settings(max_examples=25, deadline=None)
@given(
    value=st.floats(-1e300, 1e300), scale=st.sampled_from([1e-12, 1.0, 1e12]), n=st.integers(1, 4),
    at=st.sampled_from(["overall", "mean", "median", "zero"]),
)  # fmt: skip
def test_whatever_the_values_effects_are_numbers(value, scale, n, at):
    """Probabilities that are 0 or 1 have effects of zero, not NaN."""
    model = _model()
    frame = pd.DataFrame({"x": np.full(n, value), "z": scale * np.arange(1.0, n + 1)})
    found = marginal_effects(model, frame, at=at)
    assert np.isfinite(found.values).all() and np.isfinite(found.bse).all()


def _model(kept=[]):  # noqa: B006 - fitted once
    if not kept:
        kept.append(glm("yes ~ x + z", FRAME, "binomial"))
    return kept[0]
