"""Residuals of streamed samples and calibration cells: against statsmodels, scikit-learn and the laws they should have."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from statkit import glm, quantreg
from statkit.families import NegativeBinomial, Ordered, Tweedie
from statkit.regression import GLMClassifier, GLMRegressor, OrderedClassifier, polr
from statkit.regression._calibration import Cells, bins_of, calibration_cells
from statkit.regression._residuals import _tails, residual, sampled_residuals
from tests.regression.after_fit import FRAME, N, at_parameters

FAMILIES = {
    "gaussian": ("y", "gaussian", sm.families.Gaussian()),
    "poisson": ("count", "poisson", sm.families.Poisson()),
    "binomial": ("yes", "binomial", sm.families.Binomial()),
    "gamma": ("positive", "gamma", sm.families.Gamma(sm.families.links.Log())),
    "inverse gaussian": (
        "positive",
        "inverse_gaussian",
        sm.families.InverseGaussian(sm.families.links.Log()),
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("weighted", [False, True])
def test_statsmodels(name, weighted):
    y, family, theirs = FAMILIES[name]
    ours = glm(f"{y} ~ x + z", FRAME, family, weights="w" if weighted else None)
    fit = smf.glm(f"{y} ~ x + z", FRAME, family=theirs, var_weights=FRAME.w if weighted else None).fit(
        tol=1e-13
    )
    ours = at_parameters(ours, fit.params.to_numpy())
    for kind in ("pearson", "deviance", "response"):
        found = sampled_residuals(ours, FRAME, kind=kind)
        scale = 1.0 if kind == "response" else np.sqrt(ours.estimate_.scale)
        expected = getattr(fit, f"resid_{kind}") / scale
        np.testing.assert_allclose(found.residual, expected, rtol=1e-9, atol=1e-9)
        assert (found.row == np.arange(N)).all() and found.seen == N


def model_of(family, eta, scale=1.0, **shape):
    """A fit whose coefficients are known."""
    model = GLMRegressor(family)
    model._fitted_family = model._family(None)
    model.estimate_ = type("E", (), {"scale": scale, "shape": shape, "_again": ()})()
    return model


def simulated(name, n, rng):
    """(model, y, eta, weight) of a law that holds."""
    eta = rng.normal(0.5, 0.7, n)
    mu = np.exp(eta)
    if name == "gaussian":
        w = rng.uniform(0.5, 3, n)
        return model_of("gaussian", eta, 2.0), eta + rng.normal(size=n) * np.sqrt(2.0 / w), eta, w
    if name == "gamma":
        w = rng.uniform(0.5, 3, n)
        return model_of("gamma", eta, 0.6), rng.gamma(w / 0.6, mu * 0.6 / w), eta, w
    if name == "inverse_gaussian":
        w = rng.uniform(0.5, 3, n)
        return model_of("inverse_gaussian", eta, 0.3), rng.wald(mu, w / 0.3), eta, w
    if name == "binomial":
        p = 1 / (1 + np.exp(-eta))
        return model_of("binomial", eta), (rng.random(n) < p) * 1.0, eta, None
    if name == "trials":
        p, m = 1 / (1 + np.exp(-eta)), rng.integers(1, 9, n).astype(float)
        return model_of("binomial", eta), rng.binomial(m.astype(int), p) / m, eta, m
    if name == "poisson":
        return model_of("poisson", eta), rng.poisson(mu) * 1.0, eta, None
    if name == "negative_binomial":
        model = model_of(NegativeBinomial(alpha=0.5), eta)
        return model, rng.negative_binomial(2.0, 1 / (1 + 0.5 * mu)) * 1.0, eta, None
    if name == "tweedie":
        phi, p = 0.8, 1.4
        jumps = rng.poisson(mu ** (2 - p) / (phi * (2 - p)))
        y = np.where(
            jumps > 0, rng.gamma(np.maximum(jumps, 1) * (2 - p) / (p - 1), phi * (p - 1) * mu ** (p - 1)), 0.0
        )
        return model_of(Tweedie(1.4), eta, phi), y, eta, None
    model = OrderedClassifier()
    model._fitted_family, model.thresholds_ = Ordered(4), np.array([-1.0, 0.5, 1.5])
    model.estimate_ = type("E", (), {"scale": 1.0, "shape": {}, "_again": ()})()
    return model, np.digitize(eta + rng.logistic(size=n), model.thresholds_) * 1.0, eta, None


LAWS = (
    "gaussian gamma inverse_gaussian binomial trials poisson negative_binomial tweedie ordered"
).split()  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
def test_quantile_residuals_are_normal(name):
    rng = np.random.default_rng(8)
    model, y, eta, weight = simulated(name, 8_000, rng)
    r = residual(model, "quantile", y, eta, weight, rng.random(len(y)))
    assert stats.kstest(r, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(r, eta)[0, 1]) < 4 / np.sqrt(len(y))
    # A model of another mean is found out.
    off = residual(model, "quantile", y, eta + 0.3, weight, rng.random(len(y)))
    assert stats.kstest(off, "norm").pvalue < 1e-6


@pytest.mark.parametrize("name", LAWS)
def test_the_three_parts_of_a_law_make_one(name):
    model, y, eta, weight = simulated(name, 500, np.random.default_rng(9))
    family = model._fitted_family
    a = np.ones(len(y)) if weight is None else weight
    shape = model._shape() if hasattr(model, "_shape") else None
    lower, mass, upper = _tails(model, y, family.inverse_link(eta), eta, a, model.estimate_.scale, shape)
    np.testing.assert_allclose(lower + mass + upper, 1.0, rtol=1e-9)
    assert min(lower.min(), mass.min(), upper.min()) >= 0


def test_far_tails_keep_their_digits():
    model = model_of("gaussian", None)
    r = residual(model, "quantile", np.array([-30.0, 30.0]), np.zeros(2), None, np.zeros(2))
    np.testing.assert_allclose(r, [-30, 30], rtol=1e-12)


def test_the_sample_does_not_depend_on_partitions(tmp_path):
    path = tmp_path / "rows.parquet"
    frame = FRAME.assign(x=np.where(FRAME.index == 7, np.nan, FRAME.x))
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=70)
    model = glm("count ~ x + a", frame, "poisson")
    ours = sampled_residuals(model, path, size=60, seed=3, column="month(t)")
    for engine in ("serial", "threads"):
        same = sampled_residuals(model, frame, size=60, seed=3, column="month(t)", engine=engine)
        assert (same.row == ours.row).all() and np.allclose(same.residual, ours.residual, rtol=1e-12)
        assert (same.against == ours.against).all()
    assert ours.seen == N - 1 and len(ours.row) == 60 and 7 not in ours.row
    assert (ours.against == FRAME.t.dt.month[ours.row]).all() and (ours.y == FRAME["count"][ours.row]).all()
    other = sampled_residuals(model, path, size=60, seed=4)
    assert set(other.row) != set(ours.row)


def test_plain_matrices_and_labels():
    X = FRAME[["x", "z"]].to_numpy()
    fit = GLMClassifier().fit(X, np.where(FRAME.yes > 0, "yes", "no"))
    found = sampled_residuals(fit, X, np.where(FRAME.yes > 0, "yes", "no"), kind="pearson", column="x1")
    p = fit.predict_proba(X)[:, 1]
    np.testing.assert_allclose(found.residual, (FRAME.yes - p) / np.sqrt(p * (1 - p)), rtol=1e-9)
    np.testing.assert_allclose(found.against, FRAME.z, rtol=1e-12)
    with pytest.raises(ValueError, match="give y"):
        sampled_residuals(fit, X)
    with pytest.raises(ValueError, match="no column 'x9'"):
        sampled_residuals(fit, X, FRAME.yes.map({0: "no", 1: "yes"}), column="x9")


def test_refused():
    with pytest.raises(ValueError, match="several predictors"):
        sampled_residuals(GLMClassifier(formula="class ~ x").fit(FRAME), FRAME)
    with pytest.raises(ValueError, match="no distribution"):
        sampled_residuals(glm("count ~ x", FRAME, "quasi_poisson"), FRAME, kind="quantile")
    with pytest.raises(ValueError, match="no variance"):
        sampled_residuals(quantreg("y ~ x", FRAME), FRAME, kind="pearson")
    with pytest.raises(ValueError, match="quantile residuals only"):
        sampled_residuals(polr("class ~ x", FRAME), FRAME, kind="deviance")
    with pytest.raises(ValueError, match="kind must be"):
        sampled_residuals(glm("y ~ x", FRAME), FRAME, kind="raw")
    with pytest.raises(ValueError, match="size"):
        sampled_residuals(glm("y ~ x", FRAME), FRAME, size=0)
    with pytest.raises(ValueError, match="'y'"):
        sampled_residuals(glm("y ~ x", FRAME), FRAME.drop(columns="y"))
    with pytest.raises(ValueError, match="whole counts"):
        sampled_residuals(
            glm("count ~ x", FRAME.assign(count=FRAME["count"] + 0.5), "poisson"), FRAME.assign(count=0.5)
        )


# -- calibration --------------------------------------------------------------------------------------------------


def test_scikit_learn_calibration():
    fit = glm("yes ~ x + z + a", FRAME, "binomial")
    p = fit.predict(FRAME)
    cells = calibration_cells(fit, FRAME)[1]
    bins = bins_of(cells, 8, "quantile", 0.95)
    observed, predicted = calibration_curve(FRAME.yes, p, n_bins=8, strategy="quantile")
    np.testing.assert_allclose(bins["predicted"], predicted, atol=2e-3)
    np.testing.assert_allclose(bins["observed"], observed, atol=0.03)
    assert cells.brier == pytest.approx(brier_score_loss(FRAME.yes, p), rel=1e-9)
    uniform = bins_of(cells, 10, "uniform", 0.95)
    observed, predicted = calibration_curve(FRAME.yes, p, n_bins=10)
    np.testing.assert_allclose(uniform["predicted"], predicted, atol=5e-3)
    assert uniform["weight"].sum() == N


def test_sums_do_not_depend_on_bins():
    fit = glm("yes ~ x", FRAME, "binomial")
    cells = calibration_cells(fit, FRAME, sample_weight=None)[1]
    for n in (1, 5, 50):
        b = bins_of(cells, n, "quantile", 0.9)
        assert (b["weight"] @ b["observed"]) == pytest.approx(FRAME.yes.sum(), rel=1e-12)
        assert (b["weight"] @ b["predicted"]) == pytest.approx(
            FRAME.yes.sum(), rel=1e-6
        )  # the score equations


def test_wilson_intervals():
    b = bins_of(Cells.of(np.full(50, 0.3), np.repeat([1.0, 0.0], [10, 40]), None), 4, "quantile", 0.95)
    expected = stats.binomtest(10, 50).proportion_ci(method="wilson")
    assert (b["lower"][0], b["upper"][0]) == pytest.approx((expected.low, expected.high), rel=1e-10)


def test_classes_have_cells_of_their_own():
    for fit in (GLMClassifier(formula="class ~ x + z").fit(FRAME), polr("class ~ x", FRAME)):
        cells = calibration_cells(fit, FRAME)
        assert list(cells) == fit.classes_.tolist()
        p = fit.predict_proba(FRAME)
        for k, label in enumerate(fit.classes_):
            expected = np.mean(((FRAME["class"] == label) - p[:, k]) ** 2)
            assert cells[label].brier == pytest.approx(expected, rel=1e-9)


def test_any_classifier_will_do():
    from sklearn.linear_model import LogisticRegression

    X = FRAME[["x", "z"]].to_numpy()
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(X, FRAME.yes)
    ours = GLMClassifier().fit(X, FRAME.yes)
    a, b = calibration_cells(theirs, X, FRAME.yes), calibration_cells(ours, X, FRAME.yes)
    assert a[1.0].brier == pytest.approx(b[1.0].brier, rel=1e-6)
    with pytest.raises(TypeError, match="no probabilities"):
        calibration_cells(object(), X)
    with pytest.raises(ValueError, match="has none"):
        calibration_cells(glm("y ~ x", FRAME), FRAME)


@settings(max_examples=50, deadline=None)
@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=30), n_bins=st.integers(1, 12),
    strategy=st.sampled_from(["quantile", "uniform"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_bins_of_any_probabilities(p, n_bins, strategy, seed):
    p = np.array(p)
    y = (np.random.default_rng(seed).random(len(p)) < p) * 1.0
    b = bins_of(Cells.of(p, y, None), n_bins, strategy, 0.95)
    assert len(b["weight"]) <= n_bins and b["weight"].sum() == len(p)
    assert (b["lower"] <= b["observed"]).all() and (b["observed"] <= b["upper"]).all()
    assert (b["lower"] >= 0).all() and (b["upper"] <= 1).all()
    halves = Cells.of(p[::2], y[::2], None).merge(Cells.of(p[1::2], y[1::2], None))
    np.testing.assert_allclose(halves.sums, Cells.of(p, y, None).sums)
