"""Selectors of rows: definitions, the orderings that theory promises, the contract, wrong input."""

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.sampling import (
    IBOSS,
    IndependenceSampler,
    LeverageSampler,
    LogisticIBOSS,
    LowConSampler,
    OptimalSampler,
    OrthogonalSampler,
    UniformDesignSampler,
)

ALL = [
    LeverageSampler(20),
    IBOSS(20),
    OrthogonalSampler(20),
    LowConSampler(20),
    OptimalSampler(20, family="gaussian"),
    IndependenceSampler(20),
    UniformDesignSampler(20),
]


@parametrize_with_checks(ALL)
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("selector", ALL, ids=lambda s: type(s).__name__)
def test_rows_weights_and_resampling(selector):
    import pandas as pd

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.standard_normal((2_000, 4)), columns=list("abcd"))
    y = X.sum(axis=1) + rng.standard_normal(2_000)
    selector.set_params(size=200)
    if "random_state" in selector.get_params():
        selector.set_params(random_state=0)
    rows, responses = selector.fit_resample(X, y)
    assert len(rows) == len(responses) == 200 and (np.diff(selector.indices_) > 0).all()
    assert (rows.index == selector.indices_).all() and (responses == y[selector.indices_]).all()
    if isinstance(selector, (LeverageSampler, OptimalSampler)):
        assert selector.weights_.sum() == pytest.approx(2_000, rel=0.3)
    else:
        assert (selector.weights_ == 1).all()
    selector.set_params(size=5_000).fit(X, y)
    assert (selector.indices_ == np.arange(2_000)).all()
    with pytest.raises(ValueError, match="positive integer"):
        selector.set_params(size=0).fit(X, y)


def test_extremes_are_taken_in_column_order():
    X = np.array([[5.0, 0], [1, 9], [4, -9], [0, 3], [3, 2], [2, 1]])
    assert IBOSS(4).fit(X).indices_.tolist() == [0, 1, 2, 3]
    ties = np.array([0, 0, 0, 0, 1.0, 1])[:, None]
    assert IBOSS(4).fit(ties).indices_.tolist() == [0, 1, 4, 5]
    assert len(IBOSS(4).fit(np.zeros((9, 1))).indices_) == 4
    with pytest.raises(ValueError, match="raise it to 4"):
        IBOSS(3).fit(X)


def test_orthogonal_rows_are_far_out_and_balanced():
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (5_000, 5))
    index = OrthogonalSampler(64).fit(X).indices_
    assert (X[index] ** 2).mean() > 1.5 * (X**2).mean()
    assert np.abs(np.corrcoef(X[index].T) - np.eye(5)).max() < 0.35
    assert np.linalg.det(X[index].T @ X[index]) > 5 * np.linalg.det(X[:64].T @ X[:64])


@pytest.mark.slow
def test_slopes_improve_with_the_number_of_rows_when_tails_are_heavy():
    errors, uniform, inside = [], [], []
    for n in (2_000, 32_000):
        total = plain = 0.0
        for seed in range(40):
            rng = np.random.default_rng([seed, n])
            X = rng.standard_normal((n, 5)) / np.sqrt(rng.chisquare(2, (n, 1)) / 2)
            y = 1 + X.sum(axis=1) + 3 * rng.standard_normal(n)
            coef, intercept, V = IBOSS(200).fit_linear(X, y)
            total += ((coef - 1) ** 2).sum()
            some = rng.choice(n, 200, replace=False)
            A = np.column_stack([np.ones(200), X[some]])
            plain += ((np.linalg.lstsq(A, y[some], rcond=None)[0][1:] - 1) ** 2).sum()
            inside.append(np.abs(np.r_[intercept, coef] - 1) < 1.96 * np.sqrt(np.diag(V)))
        errors.append(total)
        uniform.append(plain)
    assert errors[1] < 0.4 * errors[0] and errors[0] < 0.6 * uniform[0] and uniform[1] > 0.5 * uniform[0]
    assert 0.92 < np.mean(inside) < 0.98


def test_low_condition_fills_the_box():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((20_000, 3))
    chosen = X[LowConSampler(300, random_state=0).fit(X).indices_]
    assert chosen.std() > 1.2 * X.std()
    assert np.linalg.cond(chosen.T @ chosen) < 2


def test_replacement_repeats_rows():
    X = np.random.default_rng(3).standard_normal((60, 2))
    sampler = LeverageSampler(50, replacement=True, random_state=0).fit(X)
    assert len(sampler.indices_) == 50 > len(np.unique(sampler.indices_))
    with pytest.raises(ValueError, match="shrinkage"):
        LeverageSampler(5, shrinkage=2).fit(X)
    with pytest.raises(ValueError, match="needs y"):
        OptimalSampler(5).fit(X)


@pytest.mark.parametrize("ties", [False, True])
def test_pieces_give_the_selection_of_the_whole(ties):
    rng = np.random.default_rng(4)
    for p, size in ((1, 10), (3, 24), (4, 50)):
        X = rng.standard_t(2, (3_000, p))
        X = np.round(X) if ties else X
        y = X.sum(axis=1) + rng.standard_normal(3_000)
        whole = IBOSS(size)
        coef, intercept, V = whole.fit_linear(X, y)
        for step in (7, 500, 1_999):
            pieces = IBOSS(size)
            for start in range(0, 3_000, step):
                pieces.partial_fit(X[start : start + step], y[start : start + step])
            assert (pieces.indices_ == whole.indices_).all()
            assert len(pieces._stream.rows) < 2_000
            again = pieces.fit_linear()
            np.testing.assert_allclose(again[0], coef)
            assert again[1] == pytest.approx(intercept)
            np.testing.assert_allclose(again[2], V)


def test_linear_fits_on_any_selection_cover():
    inside = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 3])
        X = rng.standard_normal((2_000, 3))
        y = 1 + X.sum(axis=1) + rng.standard_normal(2_000)
        for sampler in (
            OrthogonalSampler(100),
            LowConSampler(100, random_state=0),
            LeverageSampler(100, random_state=0),
        ):
            coef, intercept, V = sampler.fit_linear(X, y)
            inside.append(np.abs(np.r_[intercept, coef] - 1) < 1.96 * np.sqrt(np.diag(V)))
    assert 0.92 < np.mean(inside) < 0.975


def test_log_odds_of_the_best_design():
    from statkit.sampling.logistic_iboss import best_log_odds

    assert best_log_odds(2) == pytest.approx(1.5434, abs=5e-5)
    c = np.linspace(0.1, 4, 4_000)
    density = np.exp(-c) / (1 + np.exp(-c)) ** 2
    for d in (1, 3, 8):
        assert best_log_odds(d) == pytest.approx(c[np.argmax(2 * np.log(c) + d * np.log(density))], abs=2e-3)


def test_logistic_subdata_tell_more_than_random_rows():
    for seed in range(5):
        rng = np.random.default_rng([seed, 6])
        X = rng.standard_t(3, (20_000, 3))
        p = 1 / (1 + np.exp(-X.sum(axis=1)))
        y = rng.random(20_000) < p
        A = np.column_stack([np.ones(20_000), X]) * np.sqrt(p * (1 - p))[:, None]
        logdet = [
            np.linalg.slogdet(A[index].T @ A[index])[1]
            for index in (LogisticIBOSS(400, random_state=seed).fit(X, y).indices_, rng.choice(20_000, 400))
        ]
        assert logdet[0] - logdet[1] > 4 * np.log(1.5)  # worth half as many rows again, at least
    with pytest.raises(ValueError, match="two classes"):
        LogisticIBOSS(50).fit(X, np.arange(len(X)) % 3)
    with pytest.raises(ValueError, match="raise it to 12"):
        LogisticIBOSS(5).fit(X, y)


def test_independence_and_uniform_designs_do_what_they_are_for():
    rng = np.random.default_rng(5)
    # Dependent columns on the whole cube.
    X = ndtr(rng.standard_normal((6_000, 3)) @ np.linalg.cholesky(0.6 + 0.4 * np.eye(3)).T)
    even = X[IndependenceSampler(150, random_state=0).fit(X).indices_]
    assert np.abs(np.corrcoef(even.T) - np.eye(3)).max() < 0.6 * (np.corrcoef(X.T) - np.eye(3)).max()
    even = X[IndependenceSampler(150, n_cells=8, random_state=0).fit(X).indices_]
    assert np.abs(np.corrcoef(even.T) - np.eye(3)).max() < 0.3 * (np.corrcoef(X.T) - np.eye(3)).max()
    same = X[UniformDesignSampler(150).fit(X).indices_]
    errors = [((X[rng.choice(6_000, 150)].mean(axis=0) - X.mean(axis=0)) ** 2).sum() for _ in range(50)]
    assert ((same.mean(axis=0) - X.mean(axis=0)) ** 2).sum() < 0.3 * np.mean(errors)
    np.testing.assert_allclose(np.cov(same.T), np.cov(X.T), atol=0.12)
