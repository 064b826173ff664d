"""Cox's model on all events and a few censored rows: errors about the full fit, invariance, refusals."""

import numpy as np
import pytest

from statkit.plans import Subsample
from statkit.regression import CoxPHRegressor


def make(seed, n=8_000, rate=1 / 12):
    rng = np.random.default_rng(seed)
    beta = np.array([0.6, -0.4, 0.3, 0.0])
    X = rng.standard_normal((n, 4))
    X[:, 2] = np.exp(X[:, 2]) / 2
    time, censored = rng.exponential(np.exp(-X @ beta) / rate), rng.uniform(0, 1, n)
    return X, np.column_stack([np.minimum(time, censored), time <= censored]), beta


@pytest.fixture(scope="module")
def data():
    X, y, _ = make(0)
    return X, y, CoxPHRegressor().fit(X, y)


CASES = [
    ({"criterion": "uniform", "refine": None}, 1.6),
    ({"criterion": "optL", "refine": None}, 0.6),
    ({"criterion": "optA", "refine": None}, 0.6),
    ({"criterion": "optLs", "refine": None, "sampling": "poisson"}, 0.6),
    ({}, 0.02),
    ({"combine": "none", "criterion": "optA"}, 0.03),
]


@pytest.mark.parametrize(("options", "share"), CASES, ids=str)
def test_errors_about_the_full_fit(data, options, share):
    X, y, exact = data
    inside, square, told = [], [], []
    for seed in range(25):
        plan = Subsample(600, target="full_data", **options)
        fit = CoxPHRegressor(plan=plan, random_state=seed, engine="serial").fit(X, y)
        d = fit.coef_ - exact.coef_
        square.append(d @ d)
        told.append(np.trace(fit.estimate_.covariance))
        inside.append(np.abs(d) < 1.96 * fit.estimate_.bse.to_numpy())
    # A sum of four squares over 25 draws: relative error about 1/√25 · √(2/3).
    assert 0.5 < np.mean(square) / np.mean(told) < 1.6
    assert np.mean(inside) > 0.87
    assert np.mean(square) < share * np.trace(exact.estimate_.covariance)


def test_events_are_all_kept_and_weights_are_reciprocals(data):
    X, y, _ = data
    fit = CoxPHRegressor(plan=Subsample(600), random_state=3).fit(X, y)
    e = fit.estimate_
    assert set(np.flatnonzero(y[:, 1])) <= set(e.sample_indices)
    np.testing.assert_allclose(e.sample_weights, 1 / e.inclusion_prob)
    assert (e.inclusion_prob[np.isin(e.sample_indices, np.flatnonzero(y[:, 1]))] == 1).all()
    assert e.n_events == y[:, 1].sum() and e.nobs == len(X) and e.rows_used == len(e.sample_indices)
    rows, weights = e.subsample(X)
    again = CoxPHRegressor("breslow").fit(rows, y[e.sample_indices], sample_weight=weights)
    assert (np.abs(again.coef_ - fit.coef_) < 3 * e.bse).all()
    S = fit.predict_survival_function(X[:2], [0.5])
    np.testing.assert_allclose(S, data[2].predict_survival_function(X[:2], [0.5]), rtol=0.02)
    assert "All events" in str(fit.summary())


def test_engines_and_partitions_draw_the_same_rows(data, tmp_path):
    import pandas as pd

    X, y, _ = data
    frame = pd.DataFrame(np.column_stack([X, y]), columns=["a", "b", "c", "d", "t", "e"])
    frame.to_parquet(tmp_path / "d.parquet", row_group_size=1_000)
    fits = [
        CoxPHRegressor(plan=Subsample(400), random_state=1, engine=engine).fit(source, ("t", "e")).estimate_
        for source, engine in (
            (frame, "serial"), (tmp_path / "d.parquet", "serial"), (tmp_path / "d.parquet", "processes"),
        )
    ]  # fmt: skip
    for e in fits:
        np.testing.assert_array_equal(e.sample_indices, fits[0].sample_indices)
        np.testing.assert_allclose(e.values, fits[0].values, rtol=1e-10)
    assert fits[1].values.tobytes() == fits[2].values.tobytes()


def test_newton_and_few_censored_rows_are_the_exact_fit(data):
    X, y, exact = data
    for plan in (Subsample(600, refine="newton"), Subsample(7_000)):
        fit = CoxPHRegressor(plan=plan).fit(X, y)
        np.testing.assert_allclose(fit.coef_, exact.coef_, rtol=1e-8)
        np.testing.assert_allclose(fit.estimate_.bse, exact.estimate_.bse, rtol=1e-8)
        assert len(fit.estimate_.sample_indices)


def test_what_is_refused(data):
    X, y, _ = data
    for options in (
        {"sampling": "replacement", "combine": "none"},
        {"refine": "one_step"},
        {"criterion": "cv"},
    ):
        with pytest.raises(ValueError, match="Cox's model"):
            CoxPHRegressor(plan=Subsample(600, **options)).fit(X, y)
    with pytest.raises(ValueError, match="covariance"):
        CoxPHRegressor(plan=Subsample(600), cov_type="HC1").fit(X, y)


@pytest.mark.slow
def test_coverage_of_the_population():
    inside = []
    for seed in range(200):
        X, y, beta = make([seed, 5], 4_000)
        fit = CoxPHRegressor(plan=Subsample(400), random_state=seed, engine="serial").fit(X, y)
        inside.append(np.abs(fit.coef_ - beta) < 1.96 * fit.estimate_.bse.to_numpy())
    assert 0.93 < np.mean(inside) < 0.975
