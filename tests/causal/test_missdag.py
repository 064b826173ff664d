"""The estimator: conventions, invariances, knowledge, imputation, confidence, bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.causal import MissDAG, ampute, cpdag, mvn_em, observed_loglik, shd, simulate_dag, simulate_sem
from statkit.causal._graph_em import covariance
from statkit.causal.dag_learners import boss, notears, top_down

nan = np.nan


@parametrize_with_checks([MissDAG(), MissDAG("equal_var"), MissDAG("gaussian", learner="hc", n_starts=2)])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_sklearn_conventions(estimator, check):
    check(estimator)


def equal_variance_case(d=10, n=500, seed=0, rate=0.3, mechanism="mcar"):
    W = simulate_dag(d, degree=4, random_state=seed)
    X = simulate_sem(W, n, random_state=100 + seed)
    return W, X, ampute(X, rate, mechanism=mechanism, random_state=200 + seed)


def test_complete_data_is_the_search_on_the_covariance():
    _W, X, _ = equal_variance_case()
    S = np.cov(X.T, bias=True)
    np.testing.assert_array_equal(MissDAG("equal_var").fit(X).adjacency_, top_down(S, len(X)))
    dag = MissDAG(n_starts=1).fit(X)
    np.testing.assert_array_equal(cpdag(dag.adjacency_), cpdag(boss(S, len(X))))
    np.testing.assert_allclose(dag.expected_covariance_, S, rtol=1e-9)
    np.testing.assert_allclose(dag.transform(X), X)


def test_complete_order_is_the_saturated_fit(six):
    _, X = six
    full = np.triu(np.ones((6, 6), dtype=bool), 1)
    dag = MissDAG(graph=full, tol=1e-12, max_iter=3000).fit(X)
    fit = mvn_em(X, tol=1e-13, max_iter=5000)
    assert dag.loglik_ == pytest.approx(fit.loglik, rel=1e-8)
    np.testing.assert_allclose(dag.covariance_, fit.covariance, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(dag.mean_, fit.mean, rtol=1e-4)


def test_worked_chain_through_the_estimator(ten_rows, chain):
    dag = MissDAG(graph=chain, tol=1e-14, max_iter=3000).fit(ten_rows)
    assert dag.loglik_ == pytest.approx(-26.28018878, abs=1e-7)
    np.testing.assert_allclose(dag.weights_[chain], [1.2531317, 0.5587780], atol=1e-5)
    np.testing.assert_allclose(dag.noise_var_, [1.26679942, 0.2991517, 0.29798884], atol=1e-5)
    assert dag.loglik_ == pytest.approx(observed_loglik(ten_rows, dag.mean_, dag.covariance_), abs=1e-9)
    np.testing.assert_allclose(dag.intercept_ + dag.mean_ @ dag.weights_, dag.mean_)
    assert dag.score_samples(ten_rows).sum() == pytest.approx(dag.loglik_, abs=1e-9)
    assert dag.score(ten_rows) == pytest.approx(dag.loglik_ / 10, abs=1e-9)
    assert dag.bic(ten_rows) == pytest.approx(-2 * dag.loglik_ + 8 * np.log(10))
    assert dag.aic(ten_rows) == pytest.approx(-2 * dag.loglik_ + 16)
    equal = MissDAG("equal_var", graph=chain, tol=1e-14, max_iter=3000).fit(ten_rows)
    assert equal.loglik_ == pytest.approx(-28.97140454, abs=1e-7)


@pytest.mark.parametrize("model", ["gaussian", "equal_var"])
def test_standard_errors_are_those_of_the_numerical_information(ten_rows, chain, model):
    dag = MissDAG(model, graph=chain, tol=1e-15, max_iter=5000).fit(ten_rows)
    noise = dag.noise_var_ if model == "gaussian" else dag.noise_var_[:1]
    theta = np.concatenate([dag.mean_, dag.weights_[chain], np.log(noise)])

    def loglik(t):
        W = np.zeros((3, 3))
        W[chain] = t[3:5]
        return observed_loglik(ten_rows, t[:3], covariance(W, np.broadcast_to(np.exp(t[5:]), 3)))

    h = 1e-4 * np.eye(len(theta))
    H = np.array(
        [
            [
                (
                    loglik(theta + a + b)
                    - loglik(theta + a - b)
                    - loglik(theta - a + b)
                    + loglik(theta - a - b)
                )
                / 4e-8
                for a in h
            ]
            for b in h
        ]
    )
    expected = np.sqrt(np.diag(np.linalg.inv(-H)))[3:5]
    np.testing.assert_allclose(dag.weights_se_[chain], expected, rtol=1e-4)
    np.testing.assert_allclose(dag.edges_["se"], expected, rtol=1e-4)


@pytest.mark.slow
def test_standard_errors_cover():
    W = np.array([[0, 1.0, 0], [0, 0, -0.7], [0, 0, 0]])
    hits = []
    for seed in range(200):
        X = ampute(simulate_sem(W, 150, random_state=seed), 0.3, random_state=10_000 + seed)
        dag = MissDAG(graph=W != 0).fit(X)
        hits += list(np.abs(dag.weights_ - W)[W != 0] <= 1.96 * dag.weights_se_[W != 0])
    assert abs(np.mean(hits) - 0.95) < 4 * np.sqrt(0.05 * 0.95 / 400)


def test_likelihood_rises_on_a_fixed_graph(six):
    W, X = six
    dag = MissDAG(graph=W != 0, init="observed", tol=1e-10, max_iter=500).fit(X)
    assert (np.diff(dag.loglik_path_) >= -1e-9 * np.abs(dag.loglik_)).all()


def test_accepted_graphs_never_lower_the_penalised_likelihood():
    for seed in range(4):
        _, _, X = equal_variance_case(d=7, n=120, seed=seed, rate=0.4)
        dag = MissDAG(learner="exact", effective_n=False, penalty_discount=1.0, tol=1e-9).fit(X)
        assert (np.diff(dag.score_path_) >= -1e-9 * np.abs(dag.score_)).all()


def test_shifts_and_units(six):
    _, X = six
    base = MissDAG(random_state=0).fit(X)
    unit = np.array([1e-3, 10, 1, 250, 0.1, 3])
    other = MissDAG(random_state=0).fit(X * unit + 100 * unit)
    np.testing.assert_array_equal(other.adjacency_, base.adjacency_)
    np.testing.assert_allclose(other.weights_, base.weights_ * unit / unit[:, None], rtol=1e-6)
    np.testing.assert_allclose(other.mean_, (base.mean_ + 100) * unit, rtol=1e-6)
    np.testing.assert_allclose(other.loglik_, base.loglik_ - (~np.isnan(X)).sum(axis=0) @ np.log(unit))
    np.testing.assert_allclose(other.weights_se_, base.weights_se_ * unit / unit[:, None], rtol=1e-5)
    shifted = MissDAG("equal_var").fit(X + 1e4)
    np.testing.assert_allclose(shifted.weights_, MissDAG("equal_var").fit(X).weights_, rtol=1e-6)


def test_order_of_columns_and_rows(six):
    _, X = six
    rng = np.random.default_rng(1)
    p = rng.permutation(6)
    for model in ("gaussian", "equal_var"):
        base = MissDAG(model, random_state=0).fit(X)
        permuted = MissDAG(model, random_state=0).fit(X[:, p][rng.permutation(len(X))])
        np.testing.assert_array_equal(permuted.cpdag_, base.cpdag_[np.ix_(p, p)])
        assert permuted.loglik_ == pytest.approx(base.loglik_, rel=1e-6)


def test_weight_of_two_is_a_row_twice(six):
    _, X = six
    weight = np.random.default_rng(0).integers(0, 3, size=len(X))
    for model in ("gaussian", "equal_var"):
        by_weight = MissDAG(model, random_state=0).fit(X, sample_weight=weight)
        by_rows = MissDAG(model, random_state=0).fit(np.repeat(X, weight, axis=0))
        np.testing.assert_array_equal(by_weight.adjacency_, by_rows.adjacency_)
        np.testing.assert_allclose(by_weight.weights_, by_rows.weights_, rtol=1e-10, atol=1e-12)
        assert by_weight.loglik_ == pytest.approx(by_rows.loglik_, rel=1e-10)


@pytest.mark.parametrize(
    ("n", "rate", "mechanism", "limit"),
    [(500, 0.3, "mcar", 2.0), (500, 0.3, "mar", 2.0), (500, 0.3, "mnar", 2.0), (100, 0.1, "mcar", 3.0)],
)
def test_equal_variance_designs(n, rate, mechanism, limit):
    distances = []
    for seed in range(10):
        W, _, X = equal_variance_case(n=n, rate=rate, mechanism=mechanism, seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            distances.append(shd(W, MissDAG("equal_var").fit(X).adjacency_))
    assert np.mean(distances) <= limit


def test_gaussian_design_in_any_units():
    distances = []
    for seed in range(10):
        W = simulate_dag(10, degree=4, random_state=seed)
        X = simulate_sem(W, 500, noise_scale=(1.0, 2.0), random_state=100 + seed)
        X = ampute(X / X.std(axis=0), 0.3, random_state=200 + seed)
        distances.append(shd(cpdag(W), MissDAG(random_state=0).fit(X).cpdag_))
    assert np.mean(distances) <= 6


def test_impute_first_is_worse():
    ours, mean_filled = [], []
    for seed in range(5):
        W, _, X = equal_variance_case(seed=seed)
        filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
        ours.append(shd(W, MissDAG("equal_var").fit(X).adjacency_))
        mean_filled.append(shd(W, MissDAG("equal_var").fit(filled).adjacency_))
    assert np.mean(ours) + 5 < np.mean(mean_filled)


@pytest.mark.parametrize("mode", ["exact", "hc", "notears", "golem", "dagma", "order"])
def test_every_learner_finds_a_strong_chain(mode):
    W = np.diag(np.full(4, 1.2), 1)
    X = ampute(simulate_sem(W, 600, random_state=0), 0.15, random_state=1)
    dag = MissDAG(
        "gaussian" if mode == "exact" else "equal_var" if mode != "order" else "gaussian", learner=mode
    )
    dag.fit(X)
    assert shd(cpdag(W), dag.cpdag_) <= 1
    assert np.isfinite(dag.loglik_) and dag.adjacency_.sum() >= 3


def test_golem_and_notears_worked_values():
    from statkit.causal.dag_learners._golem import golem_loss

    W = np.array([[0, 0.8, 0], [0, 0, -0.5], [0.1, 0, 0]])
    S = np.array([[2, 1, 0.5], [1, 1.5, 0.6], [0.5, 0.6, 0.9]])
    D = np.eye(3) - W
    assert 0.5 * np.trace(D.T @ S @ D) == pytest.approx(2.482, abs=1e-6)
    assert golem_loss(W, S, True)[0] == pytest.approx(2.364097, abs=1e-6)
    assert golem_loss(W, S, False)[0] == pytest.approx(0.681131, abs=1e-6)
    for equal_var in (True, False):
        numeric = np.zeros((3, 3))
        for i, j in np.ndindex(3, 3):
            step = np.zeros((3, 3))
            step[i, j] = 1e-6
            rise = golem_loss(W + step, S, equal_var)[0] - golem_loss(W - step, S, equal_var)[0]
            numeric[i, j] = rise / 2e-6
        np.testing.assert_allclose(golem_loss(W, S, equal_var)[1], numeric, atol=1e-7)


def test_reference_on_complete_data_is_notears():
    W = simulate_dag(5, degree=2, random_state=2)
    X = simulate_sem(W, 300, random_state=3)
    found = notears(np.cov(X.T, bias=True), lambda1=0.02)
    dag = MissDAG.reference(random_state=0, max_iter=2).fit(X)
    # Both end where their optimisers stop, which differs by the version of scipy.
    np.testing.assert_allclose(dag.weights_, np.where(np.abs(found) > 0.3, found, 0), atol=5e-3)
    assert shd(W, dag.adjacency_) <= 2


def test_reference_runs_its_iterations_on_holes():
    W = simulate_dag(4, degree=2, random_state=2)
    X = ampute(simulate_sem(W, 200, random_state=3), 0.2, random_state=1)
    dag = MissDAG.reference(random_state=0, max_iter=4).fit(X)
    assert len(dag.loglik_path_) == 3 and dag.n_iter_ == 4
    assert np.isnan(dag.edges_["se"]).all()


def test_knowledge_by_name():
    _W, _, X = equal_variance_case(d=5)
    frame = pd.DataFrame(X, columns=list("abcde"))
    dag = MissDAG(forbidden=[("a", "b"), ("b", "a")], required=[("e", "a")], tiers=[["e"], ["a", "b"]]).fit(
        frame
    )
    assert dag.adjacency_[4, 0] and not dag.adjacency_[0, 1] and not dag.adjacency_[1, 0]
    assert not dag.adjacency_[:2, 4].any()
    assert not dag.edges_.set_index(["from", "to"]).loc[("e", "a"), "reversible"]
    with pytest.raises(ValueError, match="cycle: a -> b -> a"):
        MissDAG(required=[("a", "b"), ("b", "a")]).fit(frame)
    with pytest.raises(ValueError, match="names the column 'z'"):
        MissDAG(forbidden=[("a", "z")]).fit(frame)


def test_given_order():
    W, _, X = equal_variance_case(d=6)
    from statkit.causal.acyclicity import topological_order

    order = topological_order(W)
    dag = MissDAG(order=order).fit(X)
    place = np.argsort(order)
    i, j = np.nonzero(dag.adjacency_)
    assert (place[i] < place[j]).all()
    named = MissDAG(order=[f"c{k}" for k in order]).fit(pd.DataFrame(X, columns=[f"c{k}" for k in range(6)]))
    np.testing.assert_array_equal(named.adjacency_, dag.adjacency_)


def test_imputation(six):
    _W, X = six
    frame = pd.DataFrame(X, columns=list("uvwxyz"), index=np.arange(len(X)) * 3)
    dag = MissDAG(random_state=0).set_output(transform="pandas").fit(frame)
    filled = dag.transform(frame)
    assert list(filled.columns) == list("uvwxyz") and filled.index.equals(frame.index)
    seen = ~np.isnan(X)
    np.testing.assert_array_equal(filled.to_numpy()[seen], X[seen])
    spread = dag.impute_std(frame)
    assert (spread[seen] == 0).all() and (spread[~seen] > 0).all()
    draws = dag.sample_posterior(frame, n_draws=400, random_state=1)
    np.testing.assert_array_equal(draws[:, seen], np.broadcast_to(X[seen], (400, seen.sum())))
    error = (draws.mean(axis=0) - filled.to_numpy())[~seen] / spread[~seen]
    assert np.abs(error).max() < 5.5 / 20 and abs(np.mean(error**2) * 400 - 1) < 0.3
    ratio = draws.std(axis=0)[~seen] / spread[~seen]
    assert abs(ratio.mean() - 1) < 0.01
    empty = dag.transform(pd.DataFrame(np.full((1, 6), nan), columns=list("uvwxyz")))
    np.testing.assert_allclose(empty.to_numpy()[0], dag.mean_)


def test_imputation_beats_the_mean():
    rmse, by_mean = [], []
    for seed in range(5):
        _W, X, holes = equal_variance_case(seed=seed)
        missing = np.isnan(holes)
        unit = X.std(axis=0)
        filled = MissDAG("equal_var").fit_transform(holes)
        plain = np.where(missing, np.nanmean(holes, axis=0), X)
        rmse.append(np.sqrt(np.mean((((filled - X) / unit)[missing]) ** 2)))
        by_mean.append(np.sqrt(np.mean((((plain - X) / unit)[missing]) ** 2)))
    assert np.mean(rmse) < 0.5 < 0.9 < np.mean(by_mean)


def test_in_a_pipeline(six):
    _, X = six
    y = np.nan_to_num(X[:, 0]) + 1
    model = make_pipeline(MissDAG(random_state=0), LinearRegression()).fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_bootstrap_is_the_same_on_any_number_of_threads(six):
    W, X = six
    runs = [MissDAG(n_bootstrap=12, n_jobs=k, random_state=0).fit(X) for k in (1, 2)]
    np.testing.assert_array_equal(runs[0].edge_confidence_, runs[1].edge_confidence_)
    edge, skeleton = runs[0].edge_confidence_, runs[0].skeleton_confidence_
    np.testing.assert_allclose(edge + edge.T, skeleton)
    assert ((0 <= edge) & (edge <= 1)).all()
    strong = (W != 0) | (W != 0).T
    assert skeleton[strong].mean() > 0.7 > 0.3 > skeleton[~strong].mean()
    table = runs[0].edges_
    i, j = (table[c].str[1:].astype(int) for c in ("from", "to"))
    np.testing.assert_array_equal(table["confidence"], edge[i, j])
    runs[0].set_params(n_bootstrap=0).fit(X)
    assert not hasattr(runs[0], "edge_confidence_") and runs[0].edges_["confidence"].isna().all()


def test_effects():
    W = np.array([[0, 2.0, 0], [0, 0, 3.0], [0, 0, 0]])
    X = simulate_sem(W, 2000, random_state=0) + [1, 2, 3]
    dag = MissDAG("equal_var").fit(pd.DataFrame(X, columns=list("abc")))
    assert dag.total_effect("a", "c") == pytest.approx(6, abs=0.2)
    assert dag.total_effect(2, 0) == 0
    mean, Sigma = dag.predict_intervention({"b": 10.0})
    assert mean[1] == 10 and Sigma[1, 1] == 0
    assert mean[2] == pytest.approx(dag.intercept_[2] + 10 * dag.weights_[1, 2])
    assert mean[0] == pytest.approx(dag.mean_[0])
    assert Sigma[2, 2] == pytest.approx(dag.noise_var_[2])
    effects = dag.ida("a", "c")  # a - b - c has no collider: a may be cause or effect
    assert effects.min() == pytest.approx(0, abs=0.2) and effects.max() == pytest.approx(6, abs=0.2)
    for call in (lambda: dag.total_effect("a", "q"), lambda: dag.ida(0, 5)):
        with pytest.raises(ValueError, match="there is no column"):
            call()


def test_exports(six):
    _, X = six
    dag = MissDAG(n_bootstrap=5, random_state=0).fit(pd.DataFrame(X, columns=["a b", *"vwxyz"]))
    net = dag.to_networkx()
    assert set(net.nodes) == {"a b", *"vwxyz"} and net.number_of_edges() == dag.adjacency_.sum()
    some = dag.edges_.iloc[0]
    assert net.edges[some["from"], some["to"]]["weight"] == some["weight"]
    dot = dag.to_dot()
    assert dot.startswith("digraph {") and dot.count("->") == dag.adjacency_.sum() and '"a b"' in dot
    assert dot.count('dir="none"') == dag.edges_["reversible"].sum()
    model = dag.to_lavaan()
    assert model.count(" ~ ") == dag.adjacency_.any(axis=0).sum() and "a.b ~~ a.b" in model


def test_varsortability():
    X = simulate_sem(np.diag(np.full(4, 1.5), 1), 500, random_state=0)
    assert MissDAG("equal_var").fit(X).varsortability_ == 1.0


class TestBadInput:
    good = np.random.default_rng(0).normal(size=(30, 3))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda X: X.__setitem__((slice(None), 1), nan), "column x1 has no observed value"),
            (lambda X: X.__setitem__((slice(None), 2), 7.0), "column x2 is constant .*7"),
            (lambda X: X.__setitem__((3, 1), np.inf), "infinity"),
        ],
    )
    def test_columns(self, change, message):
        X = self.good.copy()
        change(X)
        dag = MissDAG()
        with pytest.raises(ValueError, match=message):
            dag.fit(X)
        with pytest.raises(NotFittedError):
            dag.transform(self.good)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"learner": "lingam"}, "its learners are boss"),
            ({"learner": "fixed"}, "needs one of graph= and order="),
            ({"graph": np.zeros((3, 3)), "order": [0, 1, 2]}, "needs one of"),
            ({"graph": np.zeros((2, 2))}, r"shape \(2, 2\)"),
            ({"graph": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])}, "cycle 0 -> 1 -> 0"),
            ({"graph": np.zeros((3, 3)), "required": [(0, 1)]}, "contradicts"),
            ({"order": [0, 0, 1]}, "each of the numbers"),
            ({"refit": False}, "refit=False"),
            ({"penalty_discount": -1.0}, "penalty_discount"),
            ({"model": "cyclic"}, "model"),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            MissDAG(**options).fit(self.good)

    def test_strings_and_shapes(self):
        with pytest.raises(ValueError):
            MissDAG().fit([["a", "b"], ["c", "d"]])
        with pytest.raises(ValueError, match="minimum of 2"):
            MissDAG().fit(self.good[:1])
        with pytest.raises(ValueError, match="at least 2 rows"):
            MissDAG().fit(self.good, sample_weight=[1] + [0] * 29)

    def test_pairs_never_seen_together(self):
        X = self.good.copy()
        X[:15, 0] = nan
        X[15:, 1] = nan
        with pytest.warns(UserWarning, match="never observed together: x0 and x1"):
            dag = MissDAG("equal_var").fit(X)
        assert not dag.adjacency_[0, 1] and not dag.adjacency_[1, 0]

    def test_few_levels(self):
        X = self.good.copy()
        X[:, 1] = X[:, 1] > 0
        with pytest.warns(UserWarning, match="whole numbers .*: x1"):
            MissDAG().fit(X)

    def test_standardised_equal_variances(self):
        X = self.good / self.good.std(axis=0)
        with pytest.warns(UserWarning, match="same observed variance"):
            MissDAG("equal_var").fit(X)

    def test_not_converged(self):
        _, _, X = equal_variance_case(d=5, n=100, rate=0.5)
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            MissDAG(max_iter=2, tol=0.0).fit(X)

    def test_empty_rows_carry_nothing(self):
        _, _, X = equal_variance_case(d=5, n=100)
        more = np.vstack([X, np.full((50, 5), nan)])
        a, b = (MissDAG(random_state=0).fit(Y) for Y in (X, more))
        assert a.loglik_ == pytest.approx(b.loglik_, rel=1e-12)
        np.testing.assert_array_equal(a.adjacency_, b.adjacency_)

    @pytest.mark.parametrize("model", ["gaussian", "equal_var"])
    def test_tables_that_are_hard(self, model):
        rng = np.random.default_rng(0)
        base = rng.normal(size=(60, 4))
        twins = np.column_stack([base, base[:, 0]])
        wide = rng.normal(size=(6, 12))
        one = rng.normal(size=(20, 1))
        huge = base * 1e8 + 1e12
        for X in (twins, wide, one, huge, base[:2]):
            for rate in (0.0, 0.2):
                Y = ampute(X, rate, random_state=3) if len(X) > 10 else X
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    dag = MissDAG(model, random_state=0).fit(Y)
                assert np.isfinite(dag.weights_).all() and np.isfinite(dag.loglik_)
                assert np.isfinite(dag.transform(Y)).all()


@given(st.integers(0, 10_000), st.floats(0.0, 0.8), st.integers(1, 6), st.integers(5, 40))
@settings(max_examples=30, deadline=None)
def test_any_table(seed, rate, d, n):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * np.exp(3 * rng.normal(size=d))
    X[rng.uniform(size=X.shape) < rate] = nan
    spans = [np.ptp(X[~np.isnan(X[:, j]), j]) if (~np.isnan(X[:, j])).any() else 0 for j in range(d)]
    dag = MissDAG(random_state=0, n_starts=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if min(spans) == 0 or (~np.isnan(X)).sum() < 2:
            with pytest.raises(ValueError):
                dag.fit(X)
            return
        filled = dag.fit(X).transform(X)
    seen = ~np.isnan(X)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[seen], X[seen])
    assert len(dag.order_) == d and np.isfinite(dag.loglik_)
    again = MissDAG(random_state=0, n_starts=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(again.fit(X).weights_, dag.weights_)
