"""Inference from many small samples: errors against theory, bias removed, same answers on any number of
jobs."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.inference import (
    BagOfLittleBootstraps,
    JackknifeSubsampling,
    MOutOfNBootstrap,
    ScalableSubsampling,
    SequentialBlocks,
    SubsampledDoubleBootstrap,
    SubsampledFeatureScreening,
    sequential_blocks,
    shuffle_file,
)
from statkit.inference._base import evaluate_statistic
from statkit.inference._known import KnownRegression


def mean(x, sample_weight=None):
    return np.average(x, weights=sample_weight)


def reciprocal(x):
    return 1 / x.mean()


@parametrize_with_checks([SubsampledFeatureScreening(2)])
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "method",
    [
        BagOfLittleBootstraps(mean, 380, 10, 50),
        SubsampledDoubleBootstrap(mean, 380, 400),
        ScalableSubsampling(mean, 200),
        MOutOfNBootstrap(np.mean, 1_000, 400),
        MOutOfNBootstrap(np.mean, 1_000, 600, rate=None),
    ],
    ids=lambda m: f"{type(m).__name__} {getattr(m, 'rate', '')}",
)
def test_errors_of_a_mean(method):
    x = np.random.default_rng(0).standard_normal(20_000)
    fit = method.set_params(random_state=0).fit(x)
    # The estimated rate enters as a power of n / b = 20.
    assert fit.bse_[0] == pytest.approx(
        x.std() / np.sqrt(20_000), rel=0.6 if getattr(method, "rate", 0) is None else 0.2
    )
    low, high = fit.conf_int()[0]
    assert high - low == pytest.approx(3.92 * fit.bse_[0], rel=0.2) and low < fit.coef_[0] < high
    again = method.set_params(n_jobs=2).fit(x)
    assert (again.bse_ == fit.bse_).all() and (again.coef_ == fit.coef_).all()


def test_errors_of_a_regression():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((5_000, 2))
    y = X @ [1.0, 2] + (1 + np.abs(X[:, 0])) * rng.standard_normal(5_000)
    A = np.column_stack([np.ones(5_000), X])
    H = np.linalg.inv(A.T @ A)
    b = H @ A.T @ y
    sandwich = np.sqrt(np.diag(H @ (A.T * (y - A @ b) ** 2) @ A @ H))
    fit = SubsampledDoubleBootstrap(LinearRegression(), 300, 300, random_state=0).fit(X, y)
    np.testing.assert_allclose(fit.bse_, sandwich, rtol=0.15)
    assert (np.abs(fit.coef_ - b) < 4 * sandwich).all()


def test_the_jackknife_removes_the_bias():
    x = np.random.default_rng(2).exponential(size=100_000)
    truth = 1 / x.mean()
    plain = JackknifeSubsampling(reciprocal, 50, 400, debias=None, target="full_data", random_state=0).fit(x)
    clean = JackknifeSubsampling(reciprocal, 50, 400, target="full_data", random_state=0).fit(x)
    assert abs(plain.coef_[0] - truth - 1 / 50) < 4 * plain.bse_[0]
    assert abs(clean.coef_[0] - truth) < 3 * clean.bse_[0] < 0.03
    assert clean.bse_[0] == pytest.approx(1 / np.sqrt(50 * 400), rel=0.1)
    population = JackknifeSubsampling(reciprocal, 50, 400, random_state=0).fit(x)
    assert population.bse_[0] == pytest.approx(clean.bse_[0] * np.sqrt(1 + 50 * 400 / 100_000))


def test_cox_and_snell_agree_with_the_jackknife():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((120, 2))
    y = rng.random(120) < 1 / (1 + np.exp(-X @ [1.0, -0.5]))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    options = {"size": 120, "n_subsamples": 1, "addressing": "sequential"}
    plain, formula, jackknife = (
        JackknifeSubsampling(model, debias=d, **options).fit(X, y) for d in (None, "cox_snell", "jackknife")
    )
    shift = formula.coef_ - plain.coef_
    np.testing.assert_allclose(jackknife.coef_ - plain.coef_, shift, atol=0.35 * np.abs(shift).max())
    np.testing.assert_allclose(formula.bse_, jackknife.bse_, rtol=0.12)


def test_cox_and_snell_remove_the_bias_of_counts():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((50_000, 1))
    y = rng.poisson(np.exp(-0.5 + 0.5 * X[:, 0]))
    model = PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-8)
    full = evaluate_statistic(model, X, y)
    plain, clean = (
        JackknifeSubsampling(model, 40, 600, debias=d, target="full_data", random_state=0).fit(X, y)
        for d in (None, "cox_snell")
    )
    assert np.abs((plain.coef_ - full) / plain.bse_)[0] > 5
    assert (np.abs((clean.coef_ - full) / clean.bse_) < 4).all()


def test_extremes_where_the_bootstrap_fails():
    x = np.random.default_rng(4).random(20_000)
    fit = MOutOfNBootstrap(np.max, 400, 500, rate=1.0, random_state=0).fit(x)
    assert fit.bse_[0] == pytest.approx(1 / 20_000, rel=0.25)


def test_screening_and_its_bias():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((20_000, 50)) + 100
    y = X[:, 3] - 0.5 * X[:, 30] + rng.standard_normal(20_000)
    true = np.corrcoef(X.T, y)[-1, :-1] ** 2
    bias = {}
    for how in ("moments", "average", "jackknife"):
        screen = SubsampledFeatureScreening(2, 100, 50, aggregate=how, random_state=0).fit(X, y)
        assert screen.get_support(indices=True).tolist() == [3, 30]
        bias[how] = np.mean(np.delete(screen.scores_ - true, [3, 30]))
    assert bias["average"] > 0.007 and abs(bias["moments"]) < 0.002 and abs(bias["jackknife"]) < 0.002


def test_shuffled_files_hold_the_same_rows_in_another_order(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"i": np.arange(50_000), "s": [str(i % 7) for i in range(50_000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=5_000)
    out = shuffle_file(tmp_path / "a.parquet", tmp_path / "b.parquet", random_state=0, memory_limit=200_000)
    i = pq.read_table(out)["i"].to_numpy()
    assert (np.sort(i) == np.arange(50_000)).all()
    assert abs(np.corrcoef(i, np.arange(50_000))[0, 1]) < 0.02
    means = [i[s].mean() for s in sequential_blocks(50_000, 500, 200, random_state=0)]
    assert np.std(means) == pytest.approx(50_000 / np.sqrt(12 * 500), rel=0.25)
    with pytest.raises(ValueError, match="write to another"):
        shuffle_file(out, out)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BagOfLittleBootstraps(mean, 0).fit(np.ones(5)), "size"),
        (lambda: BagOfLittleBootstraps(mean, 9).fit(np.ones(5)), "more than the 5 rows"),
        (lambda: SubsampledDoubleBootstrap(mean, 2, 0).fit(np.ones(5)), "n_resamples"),
        (lambda: JackknifeSubsampling(mean, 3, debias="cox_snell").fit(np.ones(5)), "cox_snell"),
        (lambda: JackknifeSubsampling(mean, 1).fit(np.ones(5)), "at least 2"),
        (lambda: ScalableSubsampling(mean, 5).fit(np.ones(5)), "two are needed"),
        (lambda: ScalableSubsampling(mean, 2, overlap=1).fit(np.ones(5)), "overlap"),
        (lambda: MOutOfNBootstrap(mean, 2).fit(np.ones(5), np.ones(4)), "4 values for 5"),
        (lambda: SubsampledFeatureScreening(0).fit(np.ones((5, 2)), np.ones(5)), "positive"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    with pytest.raises(TypeError, match="callable"):
        BagOfLittleBootstraps(3).fit(np.ones(5))


REGRESSIONS = {
    "linear": (LinearRegression(), lambda eta, rng: eta + rng.standard_normal(len(eta))),
    "logistic": (
        LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000),
        lambda eta, rng: rng.random(len(eta)) < 1 / (1 + np.exp(-eta)),
    ),
    "poisson": (
        PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-10),
        lambda eta, rng: rng.poisson(np.exp(0.4 * eta)),
    ),
}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_newton_steps_are_as_good_as_refits(name):
    model, respond = REGRESSIONS[name]
    rng = np.random.default_rng(8)
    X = rng.standard_normal((4_000, 2))
    y = respond(X @ [1.0, -0.5], rng)
    for method in (BagOfLittleBootstraps(model, 400, 2, 20), SubsampledDoubleBootstrap(model, 400, 20)):
        quick = method.set_params(fast=True, random_state=1).fit(X, y)
        quick_roots, quick_coef, quick_bse = quick.roots_, quick.coef_, quick.bse_
        slow = method.set_params(fast=False).fit(X, y)
        np.testing.assert_allclose(quick_coef, slow.coef_, rtol=1e-4, atol=1e-5)
        # A step is off by the square of the root: at 4,000 rows a tenth of a standard error for the largest.
        assert np.abs(quick_roots - slow.roots_).max() < 0.2 * slow.bse_.min()
        np.testing.assert_allclose(quick_bse, slow.bse_, rtol=0.04)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_leaving_rows_out_by_two_steps(name):
    model, respond = REGRESSIONS[name]
    rng = np.random.default_rng(9)
    X = rng.standard_normal((60, 2))
    y = respond(X @ [1.0, -0.5], rng)
    known = KnownRegression.of(model, X, y)
    design = known.rows(X, y)
    theta = known.fit(*design)
    np.testing.assert_allclose(theta, evaluate_statistic(model, X, y), atol=1e-4)
    quick = known.left_out(*design, theta)
    slow = np.array([evaluate_statistic(model, np.delete(X, j, axis=0), np.delete(y, j)) for j in range(60)])
    bias = 59 * (slow.mean(axis=0) - theta)
    np.testing.assert_allclose(59 * (quick.mean(axis=0) - theta), bias, atol=0.15 * np.abs(bias).max() + 2e-3)


def test_regressions_that_are_no_plain_ones_are_refitted():
    X, y = np.random.default_rng(0).standard_normal((50, 2)), np.arange(50) % 3
    for model in (LogisticRegression(), LogisticRegression(C=np.inf), PoissonRegressor(), np.median):
        assert KnownRegression.of(model, X, y) is None
    separated = X[:, 0] > 0
    fit = SubsampledDoubleBootstrap(LogisticRegression(C=np.inf), 30, 5, random_state=0).fit(X, separated)
    assert np.isfinite(fit.bse_).all()  # scikit-learn's own answer


def test_blocks_of_files_and_arrays(tmp_path):
    import pandas as pd
    from scipy.sparse import csr_array

    frame = pd.DataFrame({"i": np.arange(5_000), "s": [f"k{i % 7}" for i in range(5_000)]})
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=600)
    frame.to_csv(tmp_path / "t.csv", index=False)
    starts = [block.start for block in sequential_blocks(5_000, 1_300, 8, random_state=3)]
    for data in (tmp_path / "t.parquet", tmp_path / "t.csv", frame):
        blocks = SequentialBlocks(data, 1_300, 8, random_state=3)
        assert len(blocks) == 8
        for start, table in zip(starts, blocks, strict=True):
            assert (table["i"].to_numpy() == np.arange(start, start + 1_300)).all()
            assert table["s"].to_pylist() == frame["s"].iloc[start : start + 1_300].tolist()
    only = next(iter(SequentialBlocks(tmp_path / "t.parquet", 10, 1, columns=["i"], random_state=0)))
    assert only.column_names == ["i"]
    X = np.arange(10_000.0).reshape(-1, 2)
    for start, rows, sparse in zip(
        starts, SequentialBlocks(X, 1_300, 8, random_state=3),
        SequentialBlocks(csr_array(X), 1_300, 8, random_state=3), strict=True,
    ):  # fmt: skip
        assert (rows == X[start : start + 1_300]).all() and (sparse.toarray() == rows).all()
    with pytest.raises(ValueError, match="between 1 and 5000"):
        SequentialBlocks(frame, 6_000, 1)
