"""``statkit labels`` from a shell."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import statkit
from statkit.datasets import load_debian_sections
from statkit.naive_bayes import inject_label_noise

ROOT = Path(statkit.__file__).parents[1]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "statkit", "labels", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    frame = load_debian_sections(as_frame=True).frame
    frame["given"], frame["wrong"] = inject_label_noise(frame["label"], 0.2, kind="pair", random_state=0)
    frame["audit"] = frame["label"].where(frame.index % 20 == 0)
    path = tmp_path_factory.mktemp("labels") / "texts.csv"
    frame.to_csv(path, index=False)
    return path


def test_suspects_worst_first(file, tmp_path):
    out = tmp_path / "issues.csv"
    done = run(file, "--text", "text", "--label", "given", "-o", out)
    assert done.returncode == 0, done.stderr
    issues, texts = pd.read_csv(out), pd.read_csv(file)
    assert len(issues) == len(texts) and "labels are likely wrong" in done.stdout
    rows = issues["row"] - 1
    assert (texts["given"][rows].to_numpy() == issues["given_label"]).all()
    assert roc_auc_score(texts["wrong"][rows], -issues.index) >= 0.985


def test_trusted_column(file, tmp_path):
    out = tmp_path / "issues.csv"
    done = run(file, "--text", "text", "--label", "given", "--trusted", "audit", "-o", out)
    assert done.returncode == 0, done.stderr
    texts = pd.read_csv(file)
    issues = pd.read_csv(out).set_index("row")["error_proba"].sort_index().to_numpy()
    known = texts["audit"].notna().to_numpy()
    assert (issues[known] == (texts["given"] != texts["audit"])[known]).all()


def test_one_line_errors(file, tmp_path):
    out = tmp_path / "issues.csv"
    for arguments, message in [
        ((file, "--text", "body", "--label", "given", "-o", out), "no column 'body'"),
        ((file, "--text", "text", "--label", "given", "-o", file), "is the file to read"),
        ((tmp_path / "none.csv", "--text", "a", "--label", "b", "-o", out), "No such file"),
    ]:
        done = run(*arguments)
        assert done.returncode == 1 and message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not out.exists()
