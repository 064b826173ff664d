"""The benchmark runner goes on past a script that fails, and its report holds what the others wrote."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """The runner, with scripts and results of a folder of its own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("_run", "_harness"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import _run

    monkeypatch.setattr(_run, "HERE", tmp_path)
    monkeypatch.setattr(_run, "SCRIPTS", ["bad", "good"])
    monkeypatch.setattr(_run.h, "RESULTS", tmp_path / "results")
    line = {"work": "a | b <c>", "target": "<= 1", "measured": "0.5", "met": True, "figures": {}, "note": ""}
    good = f"""
import json, pathlib, sys
folder = pathlib.Path(__file__).parent / "results"
folder.mkdir(exist_ok=True)
size = sys.argv[sys.argv.index("--size") + 1]
name = "good.json" if size == "full" else f"good_{{size}}.json"
(folder / name).write_text(json.dumps({{"lines": {{"one": {line!r}}}, "size": size}}))
"""
    (tmp_path / "good.py").write_text(good)
    (tmp_path / "bad.py").write_text("import a_peer_that_nobody_has")
    return _run


@pytest.mark.parametrize("size", ["small", "full"])
def test_all_run_and_one_report_is_written(runner, monkeypatch, capfd, tmp_path, size):
    monkeypatch.setattr(sys, "argv", ["_run.py", "--size", size])
    runner.main()
    assert (
        "bad failed: ModuleNotFoundError: No module named 'a_peer_that_nobody_has'" in capfd.readouterr().err
    )
    text = (tmp_path / "results" / "report.md").read_text()
    page = (tmp_path / "results" / "report.html").read_text()
    assert "## good" in text and "a \\| b <c> | <= 1 | 0.5 | yes" in text and "a_peer_that_nobody_has" in text
    assert "a | b &lt;c&gt;" in page and "Machine:" in page
    assert f"Size: {size}" in text and "## bad" not in text


def test_nothing_but_failures_is_a_failure(runner, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["_run.py", "--only", "bad"])
    with pytest.raises(SystemExit, match="every benchmark failed"):
        runner.main()


def test_a_small_report_leaves_full_results_out(runner, tmp_path):
    (tmp_path / "results").mkdir()
    found = {"lines": {"one": {"work": "w", "target": "", "measured": "", "met": False}}, "size": "full"}
    (tmp_path / "results" / "good.json").write_text(json.dumps(found))
    runner.report("small", {})
    assert "## good" not in (tmp_path / "results" / "report.md").read_text()
    runner.report("full", {})
    assert "## good" in (tmp_path / "results" / "report.md").read_text()


def test_every_script_takes_a_size():
    """``make bench SIZE=…`` gives it to all."""
    for path in BENCHMARKS.glob("[a-z]*.py"):
        text = path.read_text()
        assert "--size" in text or ".arguments(" in text, path.name
