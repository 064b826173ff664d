"""What stands around the estimator: cross-validation, PC, sensitivity, pictures, the command."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from statkit.causal import (
    MVPC,
    Knowledge,
    MissDAG,
    MissDAGCV,
    ampute,
    cpdag,
    mnar_sensitivity,
    shd,
    simulate_dag,
    simulate_sem,
)
from statkit.cli import main
from statkit.datasets import load_sachs

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@parametrize_with_checks([MissDAGCV(cv=2, penalties=[1.0, 4.0]), MVPC()])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_sklearn_conventions(estimator, check):
    check(estimator)


class TestMissDAGCV:
    def test_chooses_a_sensible_penalty(self, six):
        _W, X = six
        for criterion in ("cv", "bic"):
            found = MissDAGCV(MissDAG(random_state=0), criterion=criterion, penalties=[0.01, 2.0, 400.0]).fit(
                X
            )
            assert found.best_penalty_ == 2.0
            assert found.cv_results_["n_edges"].is_monotonic_decreasing
            plain = MissDAG(random_state=0, penalty_discount=2.0).fit(X)
            np.testing.assert_array_equal(found.weights_, plain.weights_)
            np.testing.assert_array_equal(found.transform(X), plain.transform(X))
            assert found.score(X) == plain.score(X)

    def test_threads_do_not_matter(self, six):
        _, X = six
        a, b = (MissDAGCV(MissDAG(random_state=0), cv=3, n_jobs=k).fit(X).cv_results_ for k in (1, 2))
        pd.testing.assert_frame_equal(a, b)

    def test_before_and_after(self, six):
        cv = MissDAGCV()
        with pytest.raises(AttributeError, match="weights_"):
            _ = cv.weights_
        with pytest.raises(ValueError, match="penalties"):
            MissDAGCV(penalties=[-1.0]).fit(six[1])
        assert clone(cv).get_params()["cv"] == 5


class TestMVPC:
    @pytest.mark.parametrize("covariance", ["em", "testwise"])
    def test_many_rows_give_the_class(self, covariance):
        distances = []
        for seed in range(6):
            W = simulate_dag(6, degree=2, random_state=seed)
            X = ampute(simulate_sem(W, 6000, random_state=seed), 0.1, random_state=seed)
            distances.append(shd(cpdag(W), MVPC(covariance=covariance, alpha=1e-4).fit(X).cpdag_))
        # Weights may nearly cancel: then PC drops an edge however many rows there are.
        assert np.mean(distances) <= 3 and min(distances) == 0

    def test_order_of_columns_is_irrelevant(self):
        X = ampute(simulate_sem(simulate_dag(7, random_state=1), 300, random_state=2), 0.2, random_state=3)
        p = np.random.default_rng(0).permutation(7)
        a, b = MVPC().fit(X), MVPC().fit(X[:, p])
        np.testing.assert_array_equal(b.skeleton_, a.skeleton_[np.ix_(p, p)])

    def test_knowledge(self):
        X = simulate_sem(np.diag([1.0, 1.0], 1), 500, random_state=0)
        told = MVPC(tiers=[[0], [1], [2]]).fit(X).cpdag_
        assert told[0, 1] and not told[1, 0] and told[1, 2] and not told[2, 1]
        assert not MVPC(forbidden=[(0, 1), (1, 0)]).fit(X).cpdag_[:2, :2].any()
        assert Knowledge.none(3).allowed.sum() == 6

    def test_separating_sets(self):
        X = simulate_sem(np.diag([1.0, 1.0], 1), 2000, random_state=0)
        pc = MVPC(alpha=1e-3).fit(X)
        assert pc.separating_sets_ == {(0, 2): (1,)} and pc.pvalues_[0, 2] > 1e-3


def test_sensitivity(six):
    _, X = six
    dag = MissDAG(random_state=0).fit(X)
    table = mnar_sensitivity(dag, X, 0, deltas=[0.0, 3.0], n_draws=3)
    assert list(table.columns) == ["from", "to", 0.0, 3.0]
    assert table[[0.0, 3.0]].to_numpy().min() >= 0 and table[0.0].max() == 1.0
    full = X.copy()
    full[:, 0] = 1.0 + np.nan_to_num(full[:, 0])
    with pytest.raises(ValueError, match="no missing entries"):
        mnar_sensitivity(dag, full, 0)


class TestDisplays:
    def test_graph(self, six):
        from statkit.plotting import GraphDisplay

        dag = MissDAG(n_bootstrap=5, random_state=0).fit(six[1])
        display = dag.plot()
        assert len(display.ax_.patches) == dag.adjacency_.sum()
        assert {text.get_text() for text in display.ax_.texts} == {f"x{j}" for j in range(6)}
        assert display.figure_ is display.ax_.figure
        height = {name: xy[1] for name, xy in display.positions.items()}
        assert all(height[a] > height[b] for a, b in zip(dag.edges_["from"], dag.edges_["to"], strict=True))
        assert len({tuple(np.round(xy, 6)) for xy in display.positions.values()}) == 6
        few = GraphDisplay.from_estimator(dag, min_confidence=1.01)
        assert len(few.ax_.patches) == 0
        matplotlib.pyplot.close("all")

    def test_patterns(self, six):
        from statkit.plotting import MissingPatternDisplay

        dag = MissDAG(random_state=0).fit(six[1])
        display = MissingPatternDisplay.from_estimator(dag, n_patterns=4)
        assert len(display.ax_.get_yticklabels()) == 4 and "not shown" in display.ax_.get_ylabel()
        other = MissingPatternDisplay.from_data(six[1], ax=display.ax_)
        assert other.ax_ is display.ax_
        matplotlib.pyplot.close("all")


class TestCommand:
    @pytest.fixture
    def table(self, tmp_path):
        W = np.array([[0, 1.5, 0], [0, 0, -1.2], [0, 0, 0]])
        X = ampute(np.exp(simulate_sem(W, 300, random_state=0)), 0.2, random_state=1)
        path = tmp_path / "table.csv"
        pd.DataFrame(X, columns=["a", "b", "c"]).assign(word="w").to_csv(path, index=False)
        return path

    def run(self, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "statkit", "dag", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def test_files(self, table):
        folder = table.parent
        done = self.run(
            *(table, "--columns", "a,b,c", "--log", "--tiers", "a/b,c", "--bootstrap", 5),
            *("-o", folder / "g.json", "--impute", folder / "filled.csv"),
        )
        assert done.returncode == 0, done.stderr
        assert "300 rows" in done.stdout and "confidence" in done.stdout
        graph = json.loads((folder / "g.json").read_text())
        assert graph["nodes"] == ["a", "b", "c"]
        assert {(e["from"], e["to"]) for e in graph["edges"]} == {("a", "b"), ("b", "c")}
        filled, given = pd.read_csv(folder / "filled.csv"), pd.read_csv(table)[["a", "b", "c"]]
        assert not filled.isna().any(axis=None)
        np.testing.assert_allclose(filled.to_numpy()[given.notna()], given.to_numpy()[given.notna()])

    def test_sachs_with_holes(self, tmp_path, capsys):
        data = load_sachs(as_frame=True)
        path, out = tmp_path / "cells.csv", tmp_path / "graph.json"
        ampute(data.frame, 0.3, random_state=0).to_csv(path, index=False)
        with pytest.raises(SystemExit, match="0"):
            main(["dag", str(path), "--log", "--bootstrap", "20", "-o", str(out)])
        assert "30.6% of the cells missing" in capsys.readouterr().out
        graph = json.loads(out.read_text())
        sure = {(e["from"], e["to"]) for e in graph["edges"] if e["adjacency"] > 0.9}
        names = list(data.frame.columns)
        known = {(names[i], names[j]) for i, j in np.argwhere(data.graph | data.graph.T)}
        assert len(sure) >= 4 and sure <= known

    def test_pictures(self, table, capsys):
        for name, start in (("g.dot", b"digraph"), ("g.png", b"\x89PNG")):
            with pytest.raises(SystemExit, match="0"):
                main(["dag", str(table), "--columns", "a,b,c", "-o", str(table.parent / name)])
            assert (table.parent / name).read_bytes().startswith(start)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "not numbers: word"),
            (["--columns", "a,z"], "no column 'z'"),
            (["--columns", "a,b", "--forbid", "a-b"], "CAUSE:EFFECT"),
            (["--columns", "a,b", "--require", "a:b", "--require", "b:a"], "cycle: a -> b -> a"),
            (["--columns", "a,b", "-o", "graph.gif"], "should end in"),
        ],
    )
    def test_errors_are_one_line(self, table, arguments, message, capsys):
        with pytest.raises(SystemExit) as exit_:
            main(["dag", str(table), *arguments])
        said = capsys.readouterr().err
        assert exit_.value.code != 0 and message in said
        assert len(said.strip().splitlines()) == 1
