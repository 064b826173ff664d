"""Every engine answers the same bits, keeps what fits, survives what can be survived."""

import os
import signal
import sys
import threading
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from statkit.engines import SerialEngine, ThreadsEngine, TreeSum, merge_summaries, resolve_engine


@dataclass(frozen=True)
class Part:
    key: int
    n_rows: int = 10


class Numbers:
    """A block of numbers that knows its size."""

    def __init__(self, key):
        self.values = np.random.default_rng(key).normal(size=10)
        self.nbytes = self.values.nbytes


def load(partition):
    return Numbers(partition.key)


def counting_load(calls, partition):
    calls.append(partition.key)
    return Numbers(partition.key)


def total(block, factor):
    return {"sum": factor * block.values.sum(), "outer": np.outer(block.values, block.values)}


def fail_on(block, key):
    raise RuntimeError("broken block")


def die_once(block, flag):
    """Kill the worker the first time any block is asked for."""
    if not os.path.exists(flag):
        open(flag, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"sum": block.values.sum()}


PARTS = [Part(k) for k in range(13)]


def by_hand(factor=2.0):
    level = [total(load(p), factor) for p in PARTS]
    while len(level) > 1:
        level = [
            merge_summaries(level[i], level[i + 1]) if i + 1 < len(level) else level[i]
            for i in range(0, len(level), 2)
        ]
    return level[0]


@pytest.mark.parametrize("engine", ["serial", "threads", "processes"])
def test_engines_give_the_bits_of_the_tree(engine):
    with resolve_engine(engine, 2).open(load, PARTS) as session:
        for _ in range(2):
            answer = session.round(total, 2.0)
            assert answer["sum"] == by_hand()["sum"]
            assert (answer["outer"] == by_hand()["outer"]).all()
        assert session.n_rounds == 2 and session.rows_visited == 260
        assert session.round(total, 1.0, partitions=PARTS[3:4])["sum"] == load(PARTS[3]).values.sum()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 100])
def test_tree_does_not_depend_on_the_order_of_arrival(n):
    values = np.random.default_rng(0).normal(size=n) * 10.0 ** np.random.default_rng(1).integers(-8, 8, n)
    answers = set()
    for seed in range(5):
        tree = TreeSum(n)
        for i in np.random.default_rng(seed).permutation(n):
            tree.add(int(i), {"v": values[i]})
        answers.add(tree.result()["v"])
    assert len(answers) == 1
    assert np.isclose(answers.pop(), values.sum(), rtol=1e-9)


def test_merge_uses_the_objects_own_merge():
    class Ordered(list):
        def merge(self, other):
            return Ordered(self + other)

    assert merge_summaries({"a": Ordered([1]), "n": 1}, {"a": Ordered([2]), "n": 2}) == {"a": [1, 2], "n": 3}


@pytest.mark.parametrize("engine", [SerialEngine, lambda cache_bytes: ThreadsEngine(2, cache_bytes)])
def test_the_first_blocks_that_fit_are_kept(engine):
    calls = []
    with engine(cache_bytes=400).open(partial(counting_load, calls), PARTS) as session:
        session.round(total, 1.0)
        assert sorted(calls) == list(range(13)) and not session.all_cached
        session.round(total, 1.0)
        assert len(calls) == 13 + 13 - 5  # five blocks of 80 bytes fit


def test_an_error_in_a_task_reaches_the_caller_and_leaves_the_session_usable():
    for engine in ("serial", "threads", "processes"):
        with resolve_engine(engine, 2).open(load, PARTS) as session:
            with pytest.raises(RuntimeError, match="broken block"):
                session.round(fail_on, 3)
            assert session.round(total, 2.0)["sum"] == by_hand()["sum"]


def test_a_killed_worker_is_replaced(tmp_path):
    with resolve_engine("processes", 2).open(load, PARTS) as session:
        answer = session.round(die_once, str(tmp_path / "died"))
    expected = TreeSum(13)
    for i, p in enumerate(PARTS):
        expected.add(i, {"sum": load(p).values.sum()})
    assert answer["sum"] == expected.result()["sum"]


def test_rounds_inside_a_round_do_not_wait_for_themselves():
    inner = resolve_engine("threads", 2).open(load, PARTS)

    def outer(block):
        return {"sum": inner.round(total, 1.0)["sum"]}

    done = []

    def work():
        with ThreadsEngine(2).open(load, PARTS[:4]) as session:
            done.append(session.round(outer)["sum"])

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert done and np.isclose(done[0], 4 * by_hand(1.0)["sum"])


def test_blocks_come_in_order():
    with ThreadsEngine(2).open(load, PARTS) as session:
        session.round(total, 1.0)
        assert [b.values[0] for b in session.blocks()] == [load(p).values[0] for p in PARTS]


def test_progress_counts_rows():
    seen = []
    with ThreadsEngine(2).open(load, PARTS, progress=lambda *a: seen.append(a)) as session:
        session.round(total, 1.0)
    assert seen[-1] == (1, 130, 130) and len(seen) == 13


@pytest.mark.parametrize("bad", ["dusk", 3, None])
def test_unknown_engines_are_refused(bad):
    with pytest.raises(ValueError, match="engine must be"):
        resolve_engine(bad)


@pytest.mark.parametrize("bad", [0, 1.5, True])
def test_bad_numbers_of_workers_are_refused(bad):
    with pytest.raises(ValueError, match="n_jobs"):
        resolve_engine("threads", bad)


def test_no_partitions_is_an_error():
    with SerialEngine().open(load, []) as session, pytest.raises(ValueError, match="no rows"):
        session.round(total, 1.0)


@pytest.mark.parametrize(
    ("engine", "extra"),
    [
        ("dask://127.0.0.1:1", "dask"),
        ("ray", "ray"),
        ("ray://h:1", "ray"),
        ("spark", "spark"),
        ("spark://h:1", "spark"),
    ],
)
def test_the_command_names_the_extra_of_a_missing_engine(engine, extra, monkeypatch, capfd):
    from statkit.cli import main
    from statkit.datasets import flights_path

    for module in ("ray", "pyspark", "pyspark.sql", "distributed"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as caught:
        main(["fit", "delay ~ distance", flights_path(), "--engine", engine])
    out, err = capfd.readouterr()
    assert caught.value.code == 1 and out == "" and err.count("\n") == 1
    assert f"statkit-methods[{extra}]" in err
