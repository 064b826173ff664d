"""Quantile regression: linear programs solved elsewhere, optimality, errors by simulation, wrong input."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit import quantreg
from statkit.exceptions import AliasedColumnsWarning
from statkit.families import Quantile
from statkit.plans import Subsample
from statkit.regression import QuantileRegressor
from statkit.solvers.quantile import check_loss, weighted_quantile_regression


@parametrize_with_checks([QuantileRegressor()])
def test_sklearn_contract(estimator, check):
    check(estimator)


def highs(X, y, tau, w, linear=None):
    """The same linear program by HiGHS: free b, residuals u − v."""
    n, d = X.shape
    g = np.zeros(d) if linear is None else linear
    c = np.concatenate([-g, tau * w, (1 - tau) * w])
    A = np.hstack([X, np.eye(n), -np.eye(n)])
    out = linprog(c, A_eq=A, b_eq=y, bounds=[(None, None)] * d + [(0, None)] * 2 * n, method="highs")
    return out.x[:d], out.fun


def test_worked_numbers():
    rng = np.random.default_rng(2024)
    X = np.column_stack([np.ones(2000), rng.standard_normal((2000, 2))])
    y = X @ [1, 2, 3] + np.random.default_rng(5).standard_normal(2000)
    np.testing.assert_allclose(
        weighted_quantile_regression(X, y, 0.25), [0.3791235, 1.9972014, 3.0107689], atol=1e-7
    )
    w = np.random.default_rng(6).uniform(0.5, 2, 2000)
    np.testing.assert_allclose(
        weighted_quantile_regression(X, y, 0.25, w), [0.3767724, 1.9935068, 3.0147734], atol=1e-7
    )


@given(
    st.integers(0, 10_000),
    st.integers(4, 60),
    st.integers(1, 4),
    st.sampled_from([0.05, 0.5, 0.83]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_loss_is_that_of_the_simplex(seed, n, d, tau, ties):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, d - 1)) * 10.0 ** rng.integers(-3, 4, d - 1)])
    y = rng.standard_normal(n) * 10.0 ** rng.integers(-3, 4)
    if ties:
        X, y = np.round(X), np.round(y)
    w = rng.uniform(0.01, 100, n)
    b = weighted_quantile_regression(X, y, tau, w)
    best = highs(X, y, tau, w)[1]
    assert (w * check_loss(y - X @ b, tau)).sum() <= best + 1e-7 * (1 + abs(best))


def test_linear_term():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(300), rng.standard_normal((300, 2))])
    y = X @ [1, 2, 3] + rng.standard_normal(300)
    for scale in (1.0, 10.0):
        g = scale * rng.standard_normal(3)
        b = weighted_quantile_regression(X, y, 0.4, linear=g)
        np.testing.assert_allclose(b, highs(X, y, 0.4, np.ones(300), g)[0], atol=1e-8)


def test_optimality_and_weights_as_repetitions():
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(500), rng.standard_normal((500, 3))])
    y = X @ [1, 2, 3, 4] + rng.standard_t(2, 500)
    times = rng.integers(0, 4, 500)
    b = weighted_quantile_regression(X, y, 0.7, times)
    repeated = weighted_quantile_regression(np.repeat(X, times, axis=0), np.repeat(y, times), 0.7)
    np.testing.assert_allclose(b, repeated, atol=1e-9)
    e = y - X @ b
    on = np.abs(e) < 1e-9
    assert on.sum() == 4
    score = X[~on].T @ (times * (0.7 - (e < 0)))[~on]
    assert (np.abs(score) <= np.abs(X[on]).T @ times[on] + 1e-9).all()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60_000, 4))
    return X, X @ [1.0, -1, 0.5, 0] + 3 + (1 + 0.5 * np.abs(X[:, 0])) * rng.standard_t(4, 60_000)


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.97])
def test_many_rows_have_the_same_optimum_as_one_program(data, tau):
    X, y = data
    fit = QuantileRegressor(tau, engine="serial").fit(X, y)
    b = weighted_quantile_regression(np.column_stack([np.ones(len(X)), X]), y, tau)
    np.testing.assert_allclose(fit.estimate_.values, b, atol=1e-10)
    assert fit.estimate_.converged and 3 < fit.estimate_.n_passes < 5
    rough = QuantileRegressor(tau, engine="serial").fit(X[np.argsort(y)], np.sort(y)).estimate_
    np.testing.assert_allclose(rough.values, b, atol=1e-9)


def test_errors_agree_with_statsmodels(data):
    from statsmodels.regression.quantile_regression import QuantReg

    X, y = data[0][:5_000], data[1][:5_000]
    ours = QuantileRegressor(0.5).fit(X, y).estimate_
    theirs = QuantReg(y, np.column_stack([np.ones(len(X)), X])).fit(q=0.5, vcov="robust", kernel="epa")
    np.testing.assert_allclose(ours.values, theirs.params, atol=2e-3)
    even = [0, 2, 3, 4]  # errors spread with x0, which the global bandwidth of the other smooths away
    np.testing.assert_allclose(ours.bse.iloc[even], theirs.bse[even], rtol=0.15)
    iid = QuantileRegressor(0.5, cov_type="nonrobust").fit(X, y).estimate_
    plain = QuantReg(y, np.column_stack([np.ones(len(X)), X])).fit(q=0.5, vcov="iid")
    np.testing.assert_allclose(iid.bse, plain.bse, rtol=0.15)


@pytest.mark.parametrize(
    "options", [{}, {"refine": None}, {"criterion": "optA"}, {"sampling": "poisson"}], ids=str
)
def test_subsamples_lie_within_their_errors(data, options):
    X, y = data
    exact = QuantileRegressor(0.75).fit(X, y).estimate_
    e = (
        QuantileRegressor(0.75, plan=Subsample(3_000, target="full_data", **options), random_state=0)
        .fit(X, y)
        .estimate_
    )
    d = e.values - exact.values
    assert d @ np.linalg.solve(e.covariance, d) < 25
    assert e.rows_used < 7_000
    ratio = np.sqrt(np.diag(e.covariance_population)) / exact.bse
    assert (ratio < (2.2 if e.plan.count("refine") == 0 else 6)).all()


@pytest.mark.slow
@pytest.mark.parametrize("refine", [None, "calibrated", "one_step"])
def test_coverage(refine):
    truth = np.array([0.0, 1.0, 1.0])
    inside = {"full_data": [], "population": []}
    for seed in range(150):
        rng = np.random.default_rng([seed, 7])
        X = rng.standard_normal((20_000, 2))
        y = X @ [1.0, 1.0] + (1 + 0.3 * np.abs(X[:, 0])) * (rng.standard_normal(20_000) - 0.6744897501960817)
        exact = QuantileRegressor(0.75).fit(X, y).estimate_
        for target, about in (("full_data", exact.values), ("population", truth)):
            if refine == "one_step" and target == "full_data":
                continue  # refused: see test_wrong_input
            plan = Subsample(1_000, refine=refine, target=target)
            e = QuantileRegressor(0.75, plan=plan, random_state=seed).fit(X, y).estimate_
            inside[target].append(np.abs(e.values - about) < 1.96 * e.bse.to_numpy())
    assert 0.92 < np.mean(inside["population"]) < 0.98
    assert refine == "one_step" or 0.91 < np.mean(inside["full_data"]) < 0.98


def test_files_levels_weights_and_missing_values(tmp_path):
    import pandas as pd

    rng = np.random.default_rng(3)
    n = 30_000
    frame = pd.DataFrame(
        {"x": rng.normal(size=n), "g": rng.choice(list("abc"), n), "w": rng.integers(0, 3, n)}
    )
    frame["y"] = 1 + 2 * frame.x + (frame.g == "b") + rng.standard_exponential(n)
    frame.loc[[5, 70], "x"] = np.nan
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=4_000)
    fit = quantreg("y ~ x + g", tmp_path / "t.parquet", 0.3, weights="w").estimate_
    kept = frame.dropna()
    X = np.column_stack([np.ones(len(kept)), kept.x, kept.g == "b", kept.g == "c"]).astype(float)
    b = weighted_quantile_regression(X, kept.y.to_numpy(), 0.3, kept.w.to_numpy())
    loss = [kept.w @ check_loss(kept.y - X @ v, 0.3) for v in (fit.values, b)]
    assert loss[0] == pytest.approx(loss[1], rel=1e-12)
    assert fit.rows_missing == 2 and "Quantile regression" in str(fit.summary())


@pytest.mark.parametrize("n", [300, 30_000])
def test_aliased_columns_are_left_out(n):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((n, 2))
    y = X.sum(axis=1) + rng.standard_normal(n)
    with pytest.warns(AliasedColumnsWarning):
        fit = QuantileRegressor(0.5).fit(np.column_stack([X, X[:, 0], np.ones(n)]), y)
    plain = QuantileRegressor(0.5).fit(X, y)
    np.testing.assert_allclose(fit.coef_[:2], plain.coef_, atol=1e-7)
    assert np.isnan(fit.estimate_.params.to_numpy()[3:]).all()


def test_far_from_zero():
    rng = np.random.default_rng(5)
    X = 1e6 + rng.standard_normal((2_000, 1))
    y = 1e9 + X[:, 0] + rng.standard_normal(2_000)
    near = QuantileRegressor(0.5).fit(X - 1e6, y - 1e9 - 1e6)
    np.testing.assert_allclose(QuantileRegressor(0.5).fit(X, y).coef_, near.coef_, rtol=1e-4)


def test_wrong_input():
    X, y = np.ones((5, 1)), np.arange(5.0)
    for tau in (0, 1, "a", None):
        with pytest.raises(ValueError, match="between 0 and 1"):
            QuantileRegressor(tau).fit(X, y)
    with pytest.raises(ValueError, match="cov_type"):
        QuantileRegressor(cov_type="HC0").fit(X, y)
    with pytest.raises(ValueError, match="one_step"):
        QuantileRegressor(plan=Subsample(100, refine="newton")).fit(np.ones((500, 1)), np.arange(500.0))
    with pytest.raises(ValueError, match="no known error"):
        QuantileRegressor(plan=Subsample(100, refine="one_step", target="full_data")).fit(
            np.ones((500, 1)), np.arange(500.0)
        )
    with pytest.raises(ValueError, match="between 0 and 1"):
        weighted_quantile_regression(X, y, 2)


def test_one_row_and_constant_responses():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert QuantileRegressor().fit([[1.0]], [2.0]).predict([[1.0]])[0] == pytest.approx(2)
        fit = QuantileRegressor(0.2).fit(np.arange(20.0)[:, None], np.full(20, 7.0))
    assert fit.predict([[3.0]])[0] == pytest.approx(7)


def test_family_interpolated_rows_have_no_sign():
    eta, y = np.array([1.0, 1.0, 1.0]), np.array([1.0 - 1e-14, 2.0, 0.0])
    r, w = np.empty(3), np.empty(3)
    loss = Quantile(0.25).link(eta, y, None, None, None, r, w)
    assert r.tolist() == [0.25, 0.25, -0.75] and loss == 1.0
