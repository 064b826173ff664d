"""``statkit fit --plan subsample`` and ``statkit sample``, through the command."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest


def statkit(*arguments, code=0):
    done = subprocess.run([sys.executable, "-m", "statkit", *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=20_000), "g": rng.choice(list("ab"), 20_000)})
    frame["y"] = (rng.random(20_000) < 1 / (1 + np.exp(-frame.x))).astype(int)
    path = tmp_path_factory.mktemp("cli") / "t.parquet"
    frame.to_parquet(path, row_group_size=3_000)
    return path


def test_fit_on_a_subsample(path):
    record = json.loads(
        statkit(
            "fit",
            "y ~ x + g",
            str(path),
            "--family",
            "binomial",
            "--plan",
            "subsample",
            "--size",
            "1000",
            "--criterion",
            "optA",
            "--refine",
            "none",
            "--seed",
            "3",
            "--output",
            "json",
        ).stdout
    )
    assert record["plan"] == "Subsample(size=1000, criterion='optA', refine=None)"
    assert record["rows_used"] < 2_000 and record["target"] == "population parameter"
    assert abs(record["params"]["x"] - 1) < 5 * record["bse"]["x"]
    wrong = statkit("fit", "y ~ x", str(path), "--size", "10", code=2)
    assert "--size is for --plan subsample" in wrong.stderr


def test_sample_writes_rows_and_weights(path, tmp_path):
    out = tmp_path / "s.parquet"
    said = statkit(
        "sample",
        str(path),
        "-n",
        "500",
        "--formula",
        "y ~ x",
        "--family",
        "binomial",
        "-o",
        str(out),
        "--seed",
        "1",
    )
    assert said.stdout.startswith("500 of 20,000 rows")
    rows, whole = pd.read_parquet(out), pd.read_parquet(path)
    assert list(rows.columns) == ["x", "g", "y", "_row", "_weight"]
    assert rows._weight.sum() == pytest.approx(20_000, rel=0.2)
    pd.testing.assert_frame_equal(rows[["x", "g", "y"]], whole.iloc[rows._row].reset_index(drop=True))
    assert "write the rows to another" in statkit(
        "sample", str(path), "-n", "5", "--formula", "y ~ x", "-o", str(path), code=1
    ).stderr  # fmt: skip
