"""Ordered logit and probit: statsmodels' OrderedModel, the definition, plans, files, wrong input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import logistic, norm
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.families import Ordered
from statkit.plans import LeastSquaresApproximation, OneShot, OneStep, Subsample
from statkit.regression import GLMClassifier, GLMRegressor, OrderedClassifier, polr


@parametrize_with_checks([OrderedClassifier()])
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2_000, 3)) + [0, 1_000, 0]
    y = np.digitize(X @ [1, -0.5, 0.2] + 500 + rng.logistic(size=2_000), [-1, 0.5, 2])
    return X, y


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_statsmodels(data, link):
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    X, y = data
    ours = OrderedClassifier(link).fit(X, y)
    theirs = OrderedModel(y, X - [0, 1_000, 0], distr=link).fit(method="newton", disp=0, tol=1e-12)
    cuts = theirs.model.transform_threshold_params(theirs.params)[1:-1]
    np.testing.assert_allclose(ours.coef_, theirs.params[:3], rtol=1e-7)
    np.testing.assert_allclose(ours.thresholds_ - 1_000 * ours.coef_[1], cuts, rtol=1e-6)
    np.testing.assert_allclose(ours.estimate_.bse[:3], theirs.bse[:3], rtol=1e-5)
    assert ours.estimate_.llf == pytest.approx(theirs.llf, rel=1e-10)
    assert ours.estimate_.names[3:] == ["0|1", "1|2", "2|3"]
    # The errors of thresholds, which statsmodels gives for their logarithmic differences.
    again = OrderedClassifier(link).fit(X - [0, 1_000, 0], y).estimate_
    assert again.bse.iloc[3] == pytest.approx(theirs.bse[3], rel=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X[:9]).sum(axis=1), 1)


def test_two_classes_are_a_binomial_regression(data):
    X, y = data
    two = OrderedClassifier().fit(X, y > 1)
    glm = GLMClassifier().fit(X, y > 1)
    np.testing.assert_allclose(two.coef_, glm.coef_[0], rtol=1e-8)
    np.testing.assert_allclose(two.thresholds_, -glm.intercept_, rtol=1e-8)
    np.testing.assert_allclose(two.estimate_.bse.iloc[:3], glm.estimate_.bse.iloc[1:], rtol=1e-7)
    np.testing.assert_allclose(two.predict_proba(X), glm.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_rows_are_the_derivatives(link):
    rng = np.random.default_rng(1)
    eta, y = rng.normal(size=60) * 3, rng.integers(0, 4, 60).astype(float)
    family, cuts = Ordered(4, link), np.array([-2.0, 0.1, 1.5])
    loss, a, b, uu, ll, ul = family.rows(eta, y, cuts)
    F = {"logit": logistic, "probit": norm}[link]
    p = np.diff(F.cdf(np.concatenate([[-np.inf], cuts, [np.inf]])[:, None] - eta), axis=0)
    some = p[y.astype(int), np.arange(60)] > 1e-6  # differences of the distribution lose their digits beyond
    direct = -np.log(p[y.astype(int), np.arange(60)][some])
    np.testing.assert_allclose(loss[some], direct, rtol=1e-8)
    h = 1e-5
    for part in range(3):
        moved = cuts.copy()
        moved[part] += h
        back = cuts.copy()
        back[part] -= h
        up, down = family.rows(eta, y, moved), family.rows(eta, y, back)
        upper, lower = y == part, y == part + 1
        slope = (up[0] - down[0]) / (2 * h)
        np.testing.assert_allclose(slope[upper], -a[upper], atol=1e-6)
        np.testing.assert_allclose(slope[lower], b[lower], atol=1e-6)
        np.testing.assert_allclose(((down[1] - up[1]) / (2 * h))[upper], uu[upper], atol=1e-5)
        np.testing.assert_allclose(((up[2] - down[2]) / (2 * h))[lower], ll[lower], atol=1e-5)
        np.testing.assert_allclose(((down[1] - up[1]) / (2 * h))[lower], ul[lower], atol=1e-5)
    far = family.rows(np.array([-700.0, 700.0, 37.0]), np.array([2.0, 1.0, 0.0]), cuts)
    assert all(np.isfinite(v).all() for v in far)
    assert not np.isfinite(family.rows(np.zeros(1), np.ones(1), np.array([1.0, -1.0, 2.0]))[0]).any()


def test_gradient_information_and_meat(data):
    X, y = data
    X, y = X[:300] - [0, 1_000, 0], y[:300]
    weight, groups = np.random.default_rng(2).uniform(0.5, 2, 300), np.arange(300) // 5
    family = Ordered(4)

    def loss(t):
        return weight @ family.rows(X @ t[:3], y.astype(float), t[3:])[0]

    fit = OrderedClassifier(cov_type="HC0").fit(X, y, sample_weight=weight).estimate_
    np.testing.assert_allclose(approx_fprime(fit.values, loss, 1e-7), 0, atol=2e-4)

    def row_loss(t, i):
        return weight[i] * family.rows(X[i : i + 1] @ t[:3], y[i : i + 1].astype(float), t[3:])[0][0]

    per_row = np.array([approx_fprime(fit.values, row_loss, 1e-6, i) for i in range(300)])
    np.testing.assert_allclose(fit.meat, per_row.T @ per_row, rtol=1e-3, atol=1e-3)
    clustered = OrderedClassifier(cov_type="cluster").fit(X, y, sample_weight=weight, groups=groups).estimate_
    sums = np.add.reduceat(per_row, np.arange(0, 300, 5))
    np.testing.assert_allclose(clustered.meat, sums.T @ sums, rtol=1e-3, atol=1e-3)


def test_labels_files_and_engines(data, tmp_path):
    X, y = data
    names = np.array(["low", "mid", "high", "top"])
    frame = pd.DataFrame(X, columns=list("abc"))
    frame["grade"] = names[y]
    frame.to_parquet(tmp_path / "d.parquet", row_group_size=300)
    plain = OrderedClassifier().fit(X, y)
    fits = [
        polr("grade ~ a + b + c", tmp_path / "d.parquet", classes=names, engine=e)
        for e in ("serial", "threads", "processes")
    ]
    fits.append(OrderedClassifier(classes=names).fit(frame, "grade"))
    fits.append(
        polr("grade ~ a + b + c", frame.assign(grade=pd.Categorical(frame.grade, names, ordered=True)))
    )
    for fit in fits:
        np.testing.assert_allclose(fit.coef_, plain.coef_, rtol=1e-7)
        np.testing.assert_allclose(fit.thresholds_, plain.thresholds_, rtol=1e-7)
        assert fit.classes_.tolist() == names.tolist()
    assert fits[0].coef_.tobytes() == fits[1].coef_.tobytes() == fits[2].coef_.tobytes()
    assert fits[0].estimate_.names[-1] == "high|top"
    assert (fits[0].predict(frame) == names[plain.predict(X)]).all()
    assert "Ordered logistic regression" in str(fits[0].summary())
    again = type(plain.estimate_).from_dict(plain.estimate_.to_dict())
    np.testing.assert_array_equal(again.bse, plain.estimate_.bse)


@pytest.mark.parametrize(
    ("plan", "far"),
    [
        (LeastSquaresApproximation(n_partitions=4), 0.5),
        (OneShot(n_partitions=4, bias_correction="jackknife"), 0.5),
        (OneStep("least_squares", n_partitions=4), 0.02),
        (OneStep(start="pilot", n_steps=2, n_partitions=4), 0.02),
    ],
    ids=repr,
)
def test_plans_combine_all_parameters(data, plan, far):
    X, y = data
    exact = OrderedClassifier().fit(X - [0, 1_000, 0], y).estimate_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        e = OrderedClassifier(plan=plan).fit(X - [0, 1_000, 0], y).estimate_
    assert (np.abs(e.values - exact.values) < far * exact.bse).all()
    np.testing.assert_allclose(e.bse, exact.bse, rtol=0.05)


def test_wrong_input(data):
    X, y = data
    with pytest.raises(ValueError, match="none of the classes"):
        OrderedClassifier(classes=[0, 1, 2]).fit(X, y)
    with pytest.raises(ValueError, match="two different labels"):
        OrderedClassifier(classes=[0, 0]).fit(X, y)
    with pytest.raises(ValueError, match="no link"):
        OrderedClassifier("cloglog").fit(X, y)
    with pytest.raises(ValueError, match="OrderedClassifier"):
        GLMRegressor(Ordered(4)).fit(X, y)
    with pytest.raises(ValueError, match="thresholds"):
        OrderedClassifier(plan=Subsample(100)).fit(X, y)
