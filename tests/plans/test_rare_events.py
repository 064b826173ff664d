"""Rare events and rare features: against exact fits, by simulation, and wrong input."""

import numpy as np
import pytest

from statkit.plans import RareEvents, Subsample
from statkit.regression import GLMClassifier, GLMRegressor


def simulate(seed, n=60_000, intercept=-5.8):
    rng = np.random.default_rng([seed, 99])
    X = rng.standard_normal((n, 3))
    y = rng.random(n) < 1 / (1 + np.exp(-(intercept + X @ [1.0, -0.5, 0.5])))
    return X, y


@pytest.mark.parametrize(
    "options",
    [{}, {"criterion": "optA"}, {"criterion": "LCC"}, {"criterion": "uniform"}, {"likelihood": "weighted"},
     {"firth": True}, {"likelihood": "weighted", "target": "full_data"}],
    ids=str,
)  # fmt: skip
def test_close_to_the_exact_fit(options):
    X, y = simulate(0)
    exact = GLMClassifier().fit(X, y).estimate_
    estimate = GLMClassifier(plan=RareEvents(**options), random_state=0).fit(X, y).estimate_
    assert estimate.rows_used == 6 * y.sum()
    z = (estimate.values - exact.values) / estimate.bse
    assert np.abs(z).max() < (2.5 if "target" not in options else 4.5)
    if "target" not in options:
        assert (estimate.bse / exact.bse).between(0.95, 1.5).all()
    events = np.flatnonzero(y)
    assert np.isin(events, estimate.sample_indices).all()
    assert (estimate.inclusion_prob[np.isin(estimate.sample_indices, events)] == 1).all()


@pytest.mark.slow
def test_coverage_and_efficiency():
    truth = np.array([-5.8, 1.0, -0.5, 0.5])
    inside, squared, full = [], {"optLs": 0.0, "uniform": 0.0}, 0.0
    for seed in range(150):
        X, y = simulate(seed)
        full += np.sum((GLMClassifier().fit(X, y).estimate_.values - truth) ** 2)
        for criterion in squared:
            e = GLMClassifier(plan=RareEvents(2, criterion=criterion), random_state=seed).fit(X, y).estimate_
            squared[criterion] += np.sum((e.values - truth) ** 2)
            if criterion == "optLs":
                inside.append(np.abs(e.values - truth) < 1.96 * e.bse.to_numpy())
    assert 0.92 < np.mean(inside) < 0.975
    assert full < squared["optLs"] < squared["uniform"]


def test_prevalence_moves_the_intercept_only():
    X, y = simulate(1)
    plain = GLMClassifier(plan=RareEvents(), random_state=0).fit(X, y).estimate_.values
    moved = GLMClassifier(plan=RareEvents(prevalence=0.5), random_state=0).fit(X, y).estimate_.values
    share = y.mean()
    assert moved[0] - plain[0] == pytest.approx(-np.log(share / (1 - share)))
    assert (moved[1:] == plain[1:]).all()


def test_firth_keeps_separated_events_finite():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((4_000, 1))
    y = X[:, 0] > np.sort(X[:, 0])[-12]
    fit = GLMClassifier(plan=RareEvents(10, firth=True, pilot_size=200), random_state=0)
    with pytest.warns(UserWarning, match="separated"):
        fit.fit(X, y)
    assert np.isfinite(fit.coef_).all() and fit.coef_[0, 0] > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negatives_per_event": 0}, "positive"),
        ({"criterion": "cv"}, "criterion"),
        ({"prevalence": 1}, "prevalence"),
        ({"target": "full_data"}, "weighted"),
        ({"firth": True, "likelihood": "weighted"}, "firth"),
    ],
    ids=str,
)
def test_wrong_parameters(options, message):
    X, y = simulate(2, 5_000)
    with pytest.raises(ValueError, match=message):
        GLMClassifier(plan=RareEvents(**options)).fit(X, y)
    with pytest.raises(ValueError, match="logistic"):
        GLMRegressor("poisson", plan=RareEvents()).fit(X, y)


@pytest.mark.filterwarnings("ignore:the response is separated in the pilot")
def test_rare_features_are_kept():
    rng = np.random.default_rng(6)
    n = 50_000
    Z = (rng.random((n, 3)) < [0.002, 0.01, 0.5]).astype(float)
    X = np.column_stack([Z, rng.standard_normal(n)])
    y = rng.random(n) < 1 / (1 + np.exp(-(X @ [1.0, -1, 0.3, 0.5])))
    exact = GLMClassifier().fit(X, y).estimate_
    errors = {}
    for which in (None, "auto", ["x0", "x1"]):
        plan = Subsample(2_000, criterion="optL", rare_features=which, refine=None, target="full_data")
        e = GLMClassifier(plan=plan, random_state=0).fit(X, y).estimate_
        assert np.abs((e.values - exact.values) / e.bse).max() < 4
        errors[str(which)] = e.bse["x0"]
    assert errors["auto"] < 0.6 * errors["None"] and errors["auto"] == errors["['x0', 'x1']"]
    with pytest.raises(ValueError, match="0 and 1"):
        GLMClassifier(plan=Subsample(2_000, rare_features=["x3"])).fit(X, y)
    with pytest.raises(ValueError, match="not a column"):
        GLMClassifier(plan=Subsample(2_000, rare_features=["q"])).fit(X, y)


def test_the_balanced_pilot_prefers_rare_features_and_balances_classes():
    rng = np.random.default_rng(10)
    n = 40_000
    Z = (rng.random((n, 2)) < [0.002, 0.3]).astype(float)
    X = np.column_stack([Z, rng.standard_normal(n)])
    y = rng.random(n) < 1 / (1 + np.exp(-(X @ [1.0, 0.3, 0.5] - 3)))
    plan = Subsample(1_000, pilot_size=1_000, rare_features="auto")
    e = GLMClassifier(plan=plan, random_state=0).fit(X, y).estimate_
    pilot = e.pilot_indices
    assert len(pilot) == pytest.approx(1_000, rel=0.15)
    assert y[pilot].mean() == pytest.approx(0.5, abs=0.08)
    assert np.isin(np.flatnonzero(Z[:, 0]), pilot).all()  # 87 rows, wanted five times as often
    exact = GLMClassifier().fit(X, y).estimate_
    d = e.values - exact.values
    assert d @ np.linalg.solve(e.covariance_full_data.to_numpy(), d) < 23
    # inclusion probabilities are right: Horvitz and Thompson's count of a feature's rows
    total = e.sample_weights[Z[e.sample_indices, 0] == 1].sum()
    assert total == pytest.approx(Z[:, 0].sum(), rel=0.25)
    counts = GLMRegressor("poisson", plan=plan.set_params(pilot="balanced"), random_state=0).fit(X, 1.0 * y)
    assert np.isin(np.flatnonzero(Z[:, 0]), counts.estimate_.pilot_indices).all()
    with pytest.raises(ValueError, match="needs rare_features"):
        GLMClassifier(plan=Subsample(1_000, pilot="balanced")).fit(X, y)


def test_shares_of_coded_and_sparse_columns():
    from scipy.sparse import csr_array

    from statkit.design.block import CodePart, Csr, make_block
    from statkit.plans._subsample_pass import rare_columns

    rng = np.random.default_rng(12)
    codes, y = rng.integers(-1, 3, 500), (rng.random(500) < 0.5).astype(float)
    dense = np.column_stack([rng.random(500) < 0.1, rng.standard_normal(500)]).astype(float)
    sparse = csr_array(dense)
    for block in (
        make_block(dense, parts=[CodePart(codes, 3)], n_rows=500, y=y),
        make_block(csr=Csr(sparse.data, sparse.indices, sparse.indptr, 2), n_rows=500, y=y),
    ):
        out, X = rare_columns(block), block.to_dense()
        np.testing.assert_allclose(out["sums"], [X[y == 0].sum(axis=0), X[y == 1].sum(axis=0)])
        assert ((out["other"] == 0) == np.isin(X, (0.0, 1.0)).all(axis=0)).all()
