"""Patterns, Little's test, parents of missingness, holes made on purpose, simulated graphs and data."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, kurtosis

from statkit.causal import (
    ampute,
    little_mcar_test,
    missing_patterns,
    missingness_parents,
    simulate_dag,
    simulate_sem,
)
from statkit.causal._graph_em import covariance
from statkit.causal.acyclicity import is_acyclic
from statkit.datasets import load_airquality, load_sachs

nan = np.nan


def test_little_on_air_quality():
    test = little_mcar_test(load_airquality(as_frame=True).frame)
    assert test.statistic == pytest.approx(35.106, abs=5e-4)
    assert (test.df, test.n_patterns) == (14, 4)
    assert test.pvalue == pytest.approx(0.00142, abs=5e-6)


def test_little_holds_its_level():
    rng = np.random.default_rng(0)
    pvalues = [
        little_mcar_test(ampute(rng.normal(size=(300, 3)), 0.1, random_state=k)).pvalue for k in range(150)
    ]
    assert kstest(pvalues, "uniform").pvalue > 0.001


def test_little_without_holes_and_without_values():
    X = np.random.default_rng(0).normal(size=(20, 2))
    assert little_mcar_test(X) == (0.0, 0, 1.0, 1)
    with pytest.raises(ValueError, match="column a of X has no observed"):
        little_mcar_test(pd.DataFrame({"a": [nan, nan], "b": [1.0, 2.0]}))


def test_parents_of_missingness():
    air = missingness_parents(load_airquality(as_frame=True).frame)
    assert air[["column", "parent"]].to_numpy().tolist() == [["Ozone", "Month"]]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 4))
    X[:, 1] += X[:, 0]  # goes with column 0, does not drive the holes
    X[rng.uniform(size=2000) < 1 / (1 + np.exp(-1.5 * X[:, 0])), 3] = nan
    table = missingness_parents(X).set_index("parent")
    assert table.loc["x0", "direct"] and not table.loc["x1", "direct"] and "x2" not in table.index
    assert not table["parent_has_holes"].any()
    assert not len(missingness_parents(rng.normal(size=(50, 2))))
    with pytest.raises(ValueError, match="alpha"):
        missingness_parents(X, alpha=2)


def test_parents_hold_their_level():
    rng = np.random.default_rng(1)
    false = sum(
        len(missingness_parents(ampute(rng.normal(size=(200, 4)), 0.2, random_state=k))) > 0
        for k in range(60)
    )
    assert false <= 60 * 0.2 + 4 * np.sqrt(60 * 0.2 * 0.8)  # four families of tests at 5 % each


def test_patterns():
    table = missing_patterns(load_airquality(as_frame=True).frame)
    assert table["n"].tolist() == [111, 35, 5, 2]
    assert table["n_missing"].tolist() == [0, 1, 1, 2]
    assert not table.loc[1, "Ozone"] and table.loc[1, "Wind"]


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar", "self_masked", "quantile"])
def test_mechanisms(mechanism):
    X = np.random.default_rng(0).normal(size=(4000, 10))
    holes = np.isnan(ampute(X, 0.3, mechanism=mechanism, p_observed=0.3, random_state=1))
    share = holes.mean(axis=0)
    complete = (share == 0).sum()
    assert complete == (3 if mechanism in ("mar", "quantile") else 0)
    expected = 0.06 if mechanism == "quantile" else 0.3
    np.testing.assert_allclose(share[share > 0], expected, atol=4 * np.sqrt(0.21 / 4000))
    own = [
        abs(np.corrcoef(X[:, j] ** (2 if mechanism == "quantile" else 1), holes[:, j])[0, 1])
        for j in np.flatnonzero(share)
    ]
    if mechanism in ("self_masked", "quantile"):
        assert min(own) > 0.2
    else:
        assert max(own) < 5 / np.sqrt(4000)


def test_ampute_keeps_what_it_is_given():
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}, index=[7, 8, 9])
    out = ampute(frame, 0.5, random_state=0)
    assert out.index.equals(frame.index) and list(out) == ["a", "b"] and not frame.isna().any(axis=None)
    pd.testing.assert_frame_equal(out, ampute(frame, 0.5, random_state=0))
    assert not np.isnan(ampute(np.ones((5, 2)), 0.0)).any()
    for options, message in (({"rate": 1.0}, "rate"), ({"mechanism": "x"}, "mechanism")):
        with pytest.raises(ValueError, match=message):
            ampute(frame, **options)


@pytest.mark.parametrize("graph", ["er", "sf"])
def test_random_graphs(graph):
    counts = []
    for seed in range(40):
        W = simulate_dag(20, degree=4, graph=graph, random_state=seed)
        assert is_acyclic(W)
        size = np.abs(W[W != 0])
        assert size.min() >= 0.5 and size.max() <= 2
        counts.append(len(size))
    assert np.mean(counts) == pytest.approx(40 if graph == "er" else 36, abs=4 * np.sqrt(36 / 40))
    assert simulate_dag(1).tolist() == [[0.0]]


def test_linear_data_have_the_covariance_of_the_model():
    W = simulate_dag(5, degree=2, random_state=0) / 2
    X = simulate_sem(W, 200_000, noise_scale=[1, 2, 1, 0.5, 1], random_state=1)
    Sigma = covariance(W, np.array([1, 4, 1, 0.25, 1]))
    root = np.sqrt(np.diag(Sigma))
    np.testing.assert_allclose(np.cov(X.T) / np.outer(root, root), Sigma / np.outer(root, root), atol=0.015)


@pytest.mark.parametrize(
    ("noise", "excess"), [("normal", 0), ("laplace", 3), ("uniform", -1.2), ("gumbel", 2.4)]
)
def test_noises(noise, excess):
    X = simulate_sem(np.zeros((1, 1)), 100_000, noise=noise, random_state=0)
    assert kurtosis(X[:, 0]) == pytest.approx(excess, abs=0.35)


@pytest.mark.parametrize("function", ["mlp", "mim", "gp", "gp-add"])
def test_nonlinear_effects(function):
    W = np.zeros((3, 3))
    W[0, 2] = W[1, 2] = 1
    X = simulate_sem(W, 300, function=function, noise_scale=0.1, random_state=0)
    assert X[:, 2].std() > 0.15 and np.isfinite(X).all()
    np.testing.assert_array_equal(X, simulate_sem(W, 300, function=function, noise_scale=0.1, random_state=0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate_dag(0), "at least 1"),
        (lambda: simulate_dag(3, graph="tree"), "'er' or 'sf'"),
        (lambda: simulate_sem([[0, 1], [1, 0]], 5), "cycle"),
        (lambda: simulate_sem([[0.0]], 5, noise="cauchy"), "noise"),
        (lambda: simulate_sem([[0.0]], 5, function="cubic"), "function"),
        (lambda: ampute([1.0, 2.0]), "two dimensions"),
        (lambda: load_sachs(conditions="some"), "conditions"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_data_sets_are_what_they_say():
    sachs = load_sachs(as_frame=True)
    assert sachs.frame.shape == (853, 11) and (sachs.frame > 0).all(axis=None)
    assert is_acyclic(sachs.graph) and sachs.graph.sum() == 17 == len(sachs.edges)
    assert sachs.graph[sachs.feature_names.index("Raf"), sachs.feature_names.index("Mek")]
    everything = load_sachs(conditions="all")
    assert everything.data.shape == (7466, 11) and everything.frame is None
    np.testing.assert_allclose(everything.data[:853], sachs.frame.to_numpy())
    air = load_airquality(as_frame=True).frame
    assert air.shape == (153, 6) and air.isna().sum().tolist() == [37, 7, 0, 0, 0, 0]
    np.testing.assert_allclose(air.mean()[:4], [42.1293, 185.9315, 9.9575, 77.8824], atol=1e-4)
    assert "Chambers" in load_airquality().DESCR and "Science 308" in sachs.DESCR


def test_airquality_is_the_published_table():
    air = load_airquality(as_frame=True).frame
    assert air.shape == (153, 6) and air.isna().sum().tolist() == [37, 7, 0, 0, 0, 0]
    np.testing.assert_allclose(
        air.mean().to_numpy()[:4], [42.12931, 185.93151, 9.957516, 77.88235], rtol=1e-6
    )
    np.testing.assert_allclose(air.std().to_numpy()[:4], [32.98788, 90.05842, 3.523001, 9.46527], rtol=1e-6)
    assert air["Month"].value_counts().sort_index().tolist() == [31, 30, 31, 31, 30]
