"""Searches against brute force over all graphs, and the knowledge they must respect."""

import itertools

import numpy as np
import pytest

from statkit.causal import Knowledge, cpdag, shd, simulate_dag, simulate_sem
from statkit.causal._graph_em import covariance, regress
from statkit.causal.acyclicity import is_acyclic, reachability
from statkit.causal.dag_learners import boss, exact, hill_climbing, select_parents, top_down

S3 = [[2, 1, 0.5], [1, 1.5, 0.6], [0.5, 0.6, 0.9]]


def sample_covariance(d, n, seed, degree=2.0, noise=(0.8, 1.5)):
    W = simulate_dag(d, degree=degree, random_state=seed)
    return W, np.cov(simulate_sem(W, n, noise_scale=noise, random_state=seed + 1).T, bias=True)


def score(S, A, n, penalty):
    S = np.asarray(S, dtype=float)
    total = 0.0
    for j in range(len(S)):
        P = np.flatnonzero(A[:, j])
        w = np.linalg.solve(S[np.ix_(P, P)], S[P, j]) if len(P) else np.zeros(0)
        total += -0.5 * n * np.log(S[j, j] - S[j, P] @ w) - penalty * len(P)
    return total


def all_dags(d):
    pairs = list(itertools.combinations(range(d), 2))
    for marks in itertools.product(range(3), repeat=len(pairs)):
        A = np.zeros((d, d), dtype=bool)
        for (i, j), mark in zip(pairs, marks, strict=True):
            A[i, j], A[j, i] = mark == 1, mark == 2
        if is_acyclic(A):
            yield A


@pytest.mark.parametrize("seed", range(5))
def test_exact_is_the_best_of_all_graphs(seed):
    _, S = sample_covariance(4, 100, seed, degree=2.5)
    penalty = np.log(100) / 2
    best = max(score(S, A, 100, penalty) for A in all_dags(4))
    assert score(S, exact(S, 100, penalty=penalty), 100, penalty) == pytest.approx(best, rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_exact_with_knowledge(seed):
    _, S = sample_covariance(4, 100, seed, degree=2.5)
    known = Knowledge.of(4, forbidden=[(0, 1), (2, 3)], required=[(3, 0)])
    penalty = np.log(100) / 2
    fits = [A for A in all_dags(4) if not (A & ~known.allowed).any() and A[3, 0]]
    best = max(score(S, A, 100, penalty) for A in fits)
    found = exact(S, 100, penalty=penalty, knowledge=known)
    assert found[3, 0] and not (found & ~known.allowed).any()
    assert score(S, found, 100, penalty) == pytest.approx(best, rel=1e-10)


def test_boss_finds_the_optimum_almost_always():
    missed = []
    for seed in range(14):
        _, S = sample_covariance(8, 200, seed, degree=3)
        penalty = np.log(200) / 2
        best = score(S, exact(S, 200, penalty=penalty), 200, penalty)
        found = score(S, boss(S, 200, penalty=penalty, n_starts=5, random_state=0), 200, penalty)
        assert found <= best + 1e-6
        missed.append(best - found)
    assert np.sum(np.array(missed) > 0.01) <= 2
    assert max(missed) < 5


@pytest.mark.parametrize("learner", [boss, exact, hill_climbing])
def test_population_covariance_gives_the_class(learner):
    for seed in range(3):
        W = simulate_dag(7, degree=2.5, random_state=seed)
        S = covariance(W, np.random.default_rng(seed).uniform(0.5, 2, 7))
        options = {} if learner is exact else {"n_starts": 10, "random_state": 0}
        A = learner(S, 100_000, **options)
        assert shd(cpdag(A), cpdag(W)) == 0


def test_boss_does_not_see_units():
    _, S = sample_covariance(9, 300, 11)
    unit = np.exp(np.random.default_rng(0).normal(size=9) * 4)
    np.testing.assert_array_equal(boss(S, 300), boss(S * np.outer(unit, unit), 300))


def test_top_down_order_of_the_worked_example():
    assert top_down(S3, return_order=True).tolist() == [2, 1, 0]


def test_top_down_recovers_an_equal_variance_graph():
    for seed in range(5):
        W = simulate_dag(15, degree=4, random_state=seed)
        np.testing.assert_array_equal(top_down(covariance(W, np.ones(15)), 10_000), W != 0)


def test_select_parents_is_greedy_selection():
    # Forward selection by gain, then elimination, written with least squares from scratch.
    _, S = sample_covariance(7, 80, 5, degree=4)
    counts = np.random.default_rng(0).uniform(30, 80, size=(7, 7))
    counts = (counts + counts.T) / 2
    penalty = 3.0
    order = np.random.default_rng(1).permutation(7)

    def rss(j, P):
        P = list(P)
        return S[j, j] - S[j, P] @ np.linalg.solve(S[np.ix_(P, P)], S[P, j]) if P else S[j, j]

    expected = np.zeros((7, 7), dtype=bool)
    for t, j in enumerate(order):
        P = []
        while True:
            gains = {
                i: counts[i, j] / 2 * np.log(rss(j, P) / rss(j, [*P, i])) for i in order[:t] if i not in P
            }
            if not gains or max(gains.values()) <= penalty:
                break
            P.append(max(gains, key=gains.get))
        while P:
            loss = {i: counts[i, j] / 2 * np.log(rss(j, [k for k in P if k != i]) / rss(j, P)) for i in P}
            if min(loss.values()) >= penalty:
                break
            P.remove(min(loss, key=loss.get))
        expected[P, j] = True
    np.testing.assert_array_equal(select_parents(S, counts, order, penalty=penalty), expected)


def test_pairs_never_seen_together_get_no_edge():
    counts = np.full((3, 3), 100.0)
    counts[0, 1] = counts[1, 0] = 0
    A = select_parents(S3, counts, [0, 1, 2], penalty=1.0)
    assert not A[0, 1] and A[1, 2]


@pytest.mark.parametrize("name", ["boss", "exact", "hc", "order"])
def test_knowledge_is_respected(name):
    _, S = sample_covariance(7, 200, 2, degree=3)
    known = Knowledge.of(7, forbidden=[(0, 1), (1, 0)], required=[(6, 0), (0, 3)], tiers=[[6], [0, 1, 2]])
    search = {"boss": boss, "exact": exact, "hc": hill_climbing, "order": top_down}[name]
    options = {"n_starts": 4, "random_state": 1} if name in ("boss", "hc") else {}
    A = search(S, 200, knowledge=known, **options)
    assert A[6, 0] and A[0, 3]
    assert not (A & ~known.allowed).any()
    assert is_acyclic(A)


def test_hill_climbing_with_equal_variances():
    W = simulate_dag(8, degree=2, random_state=0)
    A = hill_climbing(covariance(W, np.ones(8)), 5000, equal_var=True, n_starts=10, random_state=0)
    assert shd(W, A) == 0


def test_copies_of_a_column():
    _, S = sample_covariance(5, 100, 3)
    twice = S[np.ix_([0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 0])]
    for learner in (boss, exact, hill_climbing, top_down):
        A = learner(twice, 100)
        assert is_acyclic(A)
        assert np.isfinite(regress(twice, A, False)[0]).all()


def test_one_and_two_columns():
    for learner in (boss, exact, hill_climbing, top_down):
        assert learner([[1.0]], 10).tolist() == [[False]]
        assert learner([[1.0, 0.9], [0.9, 1.0]], 100).sum() == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact(np.eye(17), 10), "up to 16 columns"),
        (lambda: boss(np.ones((2, 3)), 10), "square"),
        (lambda: boss(np.eye(2), 0), "positive"),
        (lambda: boss(np.eye(2), np.ones(3)), "shape"),
        (lambda: boss(np.eye(2), 10, penalty=-1), "negative"),
        (lambda: top_down(np.eye(2)), "number of rows"),
        (lambda: select_parents(np.eye(2), 10, [0, 0]), "each of the numbers"),
        (lambda: boss(np.eye(2), 10, knowledge=Knowledge.none(3)), "about 3 columns"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class TestKnowledge:
    def test_matrix_and_names(self):
        ban = np.zeros((3, 3), dtype=bool)
        ban[0, 2] = True
        by_matrix = Knowledge.of(3, forbidden=ban)
        by_name = Knowledge.of(3, forbidden=[("a", "c")], names=["a", "b", "c"])
        np.testing.assert_array_equal(by_matrix.allowed, by_name.allowed)
        assert not by_matrix.allowed[0, 2] and by_matrix.allowed[2, 0]

    def test_what_would_close_a_cycle_is_not_allowed(self):
        known = Knowledge.of(3, required=[(0, 1), (1, 2)])
        assert not known.allowed[2, 0]
        np.testing.assert_array_equal(known.precedes, reachability(known.required))

    @pytest.mark.parametrize("seed", range(5))
    def test_feasible_order(self, seed):
        known = Knowledge.of(6, required=[(5, 0)], tiers=[[3, 4], [1]])
        order = known.feasible_order(np.random.default_rng(seed).permutation(6)).tolist()
        assert sorted(order) == list(range(6))
        for i, j in [(5, 0), (3, 1), (4, 1)]:
            assert order.index(i) < order.index(j)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"required": [(0, 1), (1, 2), (2, 0)]}, "cycle: 0 -> 1 -> 2 -> 0"),
            ({"required": [(0, 1)], "forbidden": [(0, 1)]}, "0 -> 1 is forbidden"),
            ({"required": [(0, 0)]}, "goes to itself"),
            ({"required": [(2, 0)], "tiers": [[0], [2]]}, "back in the tiers"),
            ({"required": [(2, 1), (1, 0)], "tiers": [[0], [2]]}, "contradict the tiers"),
            ({"tiers": [[0], [0]]}, "tiers 0 and 1"),
            ({"tiers": ["ab"]}, "list of lists"),
            ({"forbidden": [(0, 7)]}, "names the column 7"),
            ({"forbidden": [("a", 1)]}, "no names"),
            ({"forbidden": ["ab"]}, "pairs"),
            ({"forbidden": np.zeros((2, 2), dtype=bool)}, r"shape \(3, 3\)"),
        ],
    )
    def test_contradictions(self, options, message):
        with pytest.raises(ValueError, match=message):
            Knowledge.of(3, **options)
