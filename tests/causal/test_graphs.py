"""CPDAG, metrics and acyclicity against brute force."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from statkit.causal import Knowledge, acyclicity, cpdag, dag_metrics, shd, sid, simulate_dag
from statkit.causal._graph_em import covariance
from statkit.causal.acyclicity import find_cycle, is_acyclic, prune_to_acyclic, topological_order
from statkit.causal.equivalence import effects_over_class

CYCLIC = np.array([[0, 0.8, 0], [0, 0, -0.5], [0.1, 0, 0]])


def all_dags(d):
    pairs = list(itertools.combinations(range(d), 2))
    for marks in itertools.product(range(3), repeat=len(pairs)):
        A = np.zeros((d, d), dtype=bool)
        for (i, j), mark in zip(pairs, marks, strict=True):
            A[i, j], A[j, i] = mark == 1, mark == 2
        if is_acyclic(A):
            yield A


def signature(A):
    """Skeleton and unshielded colliders: equal if and only if the graphs are Markov equivalent."""
    d = len(A)
    adjacent = A | A.T
    colliders = frozenset(
        (i, k, j)
        for k in range(d)
        for i in range(d)
        for j in range(i + 1, d)
        if A[i, k] and A[j, k] and not adjacent[i, j]
    )
    return adjacent.tobytes(), colliders


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_cpdag_is_the_union_of_its_class(d):
    classes = defaultdict(list)
    for A in all_dags(d):
        classes[signature(A)].append(A)
    assert len(classes) == {1: 1, 2: 2, 3: 11, 4: 185}[d]
    for members in classes.values():
        union = np.any(members, axis=0)
        for A in members:
            np.testing.assert_array_equal(cpdag(A), union)


def test_cpdag_with_knowledge_is_the_union_of_what_it_leaves():
    known = Knowledge.of(4, forbidden=[(0, 1)], tiers=[[3], [1, 2]])
    classes = defaultdict(list)
    for A in all_dags(4):
        if not (A & ~known.allowed).any():
            classes[signature(A)].append(A)
    for members in classes.values():
        union = np.any(members, axis=0)
        for A in members:
            np.testing.assert_array_equal(cpdag(A, knowledge=known), union)


def effect(Sigma, i, j, Z):
    given = [i, *Z]
    return np.linalg.solve(Sigma[np.ix_(given, given)], Sigma[given, j])[0]


def sid_by_regression(true, estimate, rng):
    """With generic weights, adjusting for a set gives the true effect only if the set is valid."""
    d = len(true)
    W = true * rng.uniform(0.5, 1.5, size=(d, d)) * rng.choice([-1, 1], size=(d, d))
    Sigma = covariance(W, rng.uniform(0.5, 1.5, size=d))
    total = np.linalg.inv(np.eye(d) - W)
    wrong = 0
    for i, j in itertools.permutations(range(d), 2):
        Z = np.flatnonzero(estimate[:, i]).tolist()
        found = 0.0 if j in Z else effect(Sigma, i, j, Z)
        wrong += abs(found - total[i, j]) > 1e-8
    return wrong


def test_sid_against_effects_for_all_graphs_of_three():
    rng = np.random.default_rng(0)
    graphs = list(all_dags(3))
    for A, B in itertools.product(graphs, graphs):
        assert sid(A, B) == sid_by_regression(A, B, rng)


def test_sid_against_effects_for_graphs_of_four_and_more():
    rng = np.random.default_rng(1)
    graphs = list(all_dags(4))
    for A in graphs:
        for B in (graphs[k] for k in rng.integers(len(graphs), size=6)):
            assert sid(A, B) == sid_by_regression(A, B, rng)
    for seed in range(20):
        A, B = (simulate_dag(9, degree=3, random_state=2 * seed + k) != 0 for k in range(2))
        assert sid(A, B) == sid_by_regression(A, B, rng)


def test_sid_of_supergraph_is_zero():
    order = np.triu(np.ones((6, 6), dtype=bool), 1)
    A = np.triu(simulate_dag(6, random_state=0) != 0)
    assert sid(A & order, order) == 0


def test_shd_and_rates():
    true = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    turned = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0]])
    assert shd(true, turned) == 2 == shd(turned, true)
    rates = dag_metrics(true, turned)
    assert rates["tpr"] == pytest.approx(1 / 3) and rates["fdr"] == 0.5 and rates["n_edges"] == 2
    assert rates["f1"] == pytest.approx(2 / 5) and rates["skeleton_f1"] == pytest.approx(4 / 5)
    empty = dag_metrics(true, np.zeros((3, 3)))
    assert empty["f1"] == 0 and empty["precision"] == 0 and empty["shd"] == 3
    assert dag_metrics(true, np.zeros((3, 3)), zero_division=1.0)["precision"] == 1.0
    assert shd(cpdag(true), cpdag(np.array([[0, 1, 1], [0, 0, 0], [0, 1, 0]]))) == 0


@pytest.mark.parametrize("call", [lambda: shd(np.eye(2), np.eye(3)), lambda: sid(CYCLIC, CYCLIC)])
def test_metrics_refuse(call):
    with pytest.raises(ValueError, match=r"of one shape|has the cycle 0 -> 1 -> 2 -> 0"):
        call()


def test_worked_acyclicity():
    assert acyclicity.expm(CYCLIC)[0] == pytest.approx(0.0008000107, abs=1e-10)
    assert acyclicity.poly(CYCLIC)[0] == pytest.approx(0.0001777778, abs=1e-10)
    assert acyclicity.logdet(CYCLIC)[0] == pytest.approx(0.0016012814, abs=1e-10)


@pytest.mark.parametrize("name", ["expm", "poly", "logdet"])
def test_acyclicity_gradients(name):
    h = getattr(acyclicity, name)
    W = 0.4 * np.random.default_rng(0).normal(size=(4, 4))
    numeric = approx_fprime(W.ravel(), lambda w: h(w.reshape(4, 4))[0], 1e-7).reshape(4, 4)
    np.testing.assert_allclose(h(W)[1], numeric, atol=2e-5)
    assert h(simulate_dag(6, random_state=0) * 0.4)[0] == pytest.approx(0, abs=1e-10)


def test_logdet_outside_its_domain():
    assert acyclicity.logdet([[0, 2], [2, 0]])[0] == np.inf


def test_orders_and_cycles():
    W = simulate_dag(12, random_state=1)
    place = np.argsort(topological_order(W))
    i, j = np.nonzero(W)
    assert (place[i] < place[j]).all()
    assert find_cycle(W) is None and is_acyclic(W)
    assert topological_order(CYCLIC) is None
    assert find_cycle(CYCLIC) == [0, 1, 2, 0]
    longer = np.zeros((5, 5))
    longer[0, 1] = longer[1, 2] = longer[2, 3] = longer[3, 1] = longer[3, 4] = 1
    assert find_cycle(longer) == [1, 2, 3, 1]


def test_prune():
    W = prune_to_acyclic(CYCLIC)
    assert is_acyclic(W) and W[2, 0] == 0 and W[0, 1] == 0.8
    assert prune_to_acyclic(CYCLIC, 0.6).sum() == 0.8
    keep = np.zeros((3, 3), dtype=bool)
    keep[2, 0] = True
    kept = prune_to_acyclic(CYCLIC, 0.2, keep)
    assert kept[2, 0] == 0.1 and kept[1, 2] == 0 and is_acyclic(kept)


def test_ida_lists_the_effects_of_all_graphs_of_the_class():
    rng = np.random.default_rng(3)
    for seed in range(10):
        W = simulate_dag(4, degree=2, random_state=seed)
        Sigma = covariance(W, rng.uniform(0.5, 1.5, 4))
        members = [A for A in all_dags(4) if signature(A) == signature(W != 0)]
        for i, j in itertools.permutations(range(4), 2):
            expected = set()
            for A in members:
                Z = np.flatnonzero(A[:, i]).tolist()
                expected.add(0.0 if j in Z else round(effect(Sigma, i, j, Z), 9) + 0.0)
            found = {round(e, 9) + 0.0 for e in effects_over_class(cpdag(W), Sigma, i, j)}
            assert found == expected


def test_learners_are_functions_whatever_was_imported_before():
    import importlib
    import pkgutil

    from statkit.causal import dag_learners

    for module in pkgutil.iter_modules(dag_learners.__path__):
        importlib.import_module(f"{dag_learners.__name__}.{module.name}")
    assert all(callable(getattr(dag_learners, name)) for name in dag_learners.__all__)
