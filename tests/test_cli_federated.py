"""``statkit summarize`` at three sites, ``statkit combine`` in a fourth process: the table of all rows."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from statkit import glm
from statkit.datasets import write_glm_parquet

ROOT = Path(__file__).parents[1]
FORMULA = "y ~ x0 + x1 + c0"


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Three files of one data set, and the data set."""
    folder = tmp_path_factory.mktemp("sites")
    write_glm_parquet(folder / "all.parquet", 6_000, 2, family="binomial", n_levels=(3,), random_state=0)
    rows = pq.read_table(folder / "all.parquet")
    for k, name in enumerate(("north", "south", "west")):
        pq.write_table(rows.slice(2_000 * k, 2_000), folder / f"{name}.parquet")
    return folder, rows.to_pandas()


def fourth_process(*arguments):
    command = [sys.executable, "-m", "statkit", *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert answer.stderr == ""
    return answer.stdout


def test_three_sites_and_a_fourth_process(sites, run):
    folder, frame = sites
    files = [folder / "north.json", folder / "south.npz", folder / "west.json"]
    for file in files:
        code, out, err = run(
            "summarize", FORMULA, folder / f"{file.stem}.parquet", "--family", "binomial", "-o", file
        )
        assert (code, err) == (0, "") and "2,000 rows" in out and "no row" in out
    pooled = glm(FORMULA, frame, "binomial").estimate_
    plain = json.loads(fourth_process("combine", *files, "--plain", "--output", "json"))
    values = np.array(list(plain["params"].values()))
    predicted = np.array(plain["extra"]["predicted_bias"]["__array__"])
    off = (values - pooled.values) / pooled.bse
    left = (values - predicted - pooled.values) / pooled.bse
    assert list(plain["params"]) == pooled.names
    assert 0.01 < np.abs(off).max() and np.abs(left).max() < 0.5 * np.abs(off).max()
    combined = json.loads(fourth_process("combine", *files, "--output", "json"))
    np.testing.assert_allclose(list(combined["params"].values()), values - predicted, rtol=1e-12)
    np.testing.assert_allclose(list(combined["bse"].values()), pooled.bse, rtol=0.02)
    assert combined["nobs"] == 6_000 and combined["llf"] == pytest.approx(pooled.llf, abs=0.1)

    # The second round.
    (folder / "first.json").write_text(json.dumps(combined))
    again = [folder / f"{file.stem}-2.json" for file in files]
    for file, out in zip(files, again, strict=True):
        arguments = ["--family", "binomial", "--site", file.stem, "--at", folder / "first.json"]
        code, said, _ = run("summarize", FORMULA, folder / f"{file.stem}.parquet", *arguments, "-o", out)
        assert code == 0 and "score and information" in said
    code, out, err = run("combine", *again, "--output", "csv")
    table = pd.read_csv(pd.io.common.StringIO(out), index_col=0)
    assert np.abs((table["coef"] - pooled.params) / pooled.bse).max() < 1e-4


def test_tables(sites, run):
    folder, _ = sites
    file = folder / "one.json"
    assert run("summarize", FORMULA, folder / "north.parquet", "--family", "binomial", "-o", file)[0] == 0
    assert run("summarize", FORMULA, folder / "west.parquet", "--family", "binomial", "-o", folder / "b.json",
               "--like", file)[0] == 0  # fmt: skip
    code, out, err = run("combine", file, folder / "b.json", "--own", "Intercept", "--diagnostics")
    assert code == 0 and err == ""
    for word in ("Logistic regression", "Intercept[one]", "Intercept[b]", "heterogeneity_Q", "score_test"):
        assert word in out
    assert "\\begin{tabular}" in run("combine", file, "--output", "latex")[1]


def test_mistakes_are_one_line(sites, run, tmp_path):
    folder, _ = sites
    rows = folder / "north.parquet"
    (tmp_path / "cut.json").write_text('{"format":')
    for arguments, word, code in (
        (("summarize", FORMULA, rows, "-o", "a.txt"), "*.json or *.npz", 2),
        (("summarize", FORMULA, rows, "-o", tmp_path / "none" / "a.json"), "no folder", 1),
        (("summarize", FORMULA, rows, "-o", tmp_path / "a.json", "--levels", "c0"), "COL=A,B", 2),
        (
            ("summarize", FORMULA, rows, "-o", tmp_path / "a.json", "--levels", "v=1,2"),
            "levels are given for",
            1,
        ),
        (
            ("summarize", FORMULA, rows, "-o", tmp_path / "a.json", "--min-count", "5000"),
            "nothing is handed over",
            1,
        ),
        (
            ("summarize", FORMULA, rows, "-o", tmp_path / "a.json", "--at", tmp_path / "cut.json"),
            "not what",
            1,
        ),
        (("combine", tmp_path / "cut.json"), "cannot be read as a statkit local summary", 1),
        (("combine", tmp_path / "none.json"), "No such file", 1),
    ):
        answer = run(*arguments)
        assert answer[0] == code and answer[1] == "", answer
        assert answer[2].startswith("statkit: ") and answer[2].count("\n") == 1 and word in answer[2], answer[
            2
        ]
    assert not (tmp_path / "a.json").exists()
