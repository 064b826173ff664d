"""Streams on the command line: standard input in batches, update, merge."""

import json
import subprocess
import sys
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from statkit import glm
from statkit.plans import Renewable
from statkit.regression.model_document import load_model
from statkit.sources.batches import read_batches

FORMULA = "late ~ x + C(hour) + carrier"


def flights(n, seed=0):
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "day": np.arange(n) * 60 // n,
            "x": draw.normal(size=n).round(3),
            "hour": draw.integers(0, 5, n),
            "carrier": draw.choice(["AA", "B6", "DL"], n),
            "unused": "text",
        }
    )
    eta = -1 + 0.5 * frame["x"] + 0.2 * frame["hour"] + 0.3 * (frame["carrier"] == "DL")
    frame["late"] = (draw.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    return frame


def close(text, full, bound):
    found = json.loads(text)
    params = pd.Series(found["params"])[full.params.index]
    assert np.abs((params - full.params) / full.bse).max() < bound
    np.testing.assert_allclose(pd.Series(found["bse"])[full.params.index], full.bse, rtol=0.03)
    return found


@pytest.fixture
def statkit(run, monkeypatch):
    """Run the command with these bytes on its standard input; return what it printed."""

    def call(*arguments, text, fails=False):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=BytesIO(text)))
        code, out, err = run(*arguments)
        assert (code != 0) == fails, err
        return out, err

    return call


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_standard_input(kind, statkit):
    frame = flights(40_000)
    text = frame.to_csv(index=False) if kind == "csv" else frame.to_json(orient="records", lines=True)
    options = ["--family", "binomial", "--plan", "renewable", "--batch-size", 2_000, "--output", "json"]
    out, err = statkit("fit", FORMULA, "-", *options, text=text.encode())
    found = close(out, glm(FORMULA, frame, "binomial").estimate_, 0.1)
    assert err == "" and found["nobs"] == 40_000 and found["n_passes"] == 1


def test_rows_in_an_order_that_drifts_are_told(statkit):
    frame = flights(40_000)
    eta = -1 + 0.5 * frame["x"] + 0.02 * frame["day"]
    frame["late"] = (np.random.default_rng(1).random(40_000) < 1 / (1 + np.exp(-eta))).astype(int)
    options = ["--family", "binomial", "--plan", "renewable", "--batch-size", 2_000]
    out, err = statkit("fit", "late ~ x", "-", *options, text=frame.to_csv(index=False).encode())
    assert err.startswith("statkit: warning: drift: batch") and err.count("\n") == 1
    assert "Drift:" in out
    shuffled = frame.sample(frac=1, random_state=0).to_csv(index=False)
    assert statkit("fit", "late ~ x", "-", *options, text=shuffled.encode())[1] == ""


def test_files_have_two_passes(run, tmp_path):
    frame = flights(20_000)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=4_000)
    code, out, _ = run(
        "fit", FORMULA, tmp_path / "a.parquet", "--family", "binomial", "--plan", "renewable", "--output", "json"
    )  # fmt: skip
    assert code == 0
    assert close(out, glm(FORMULA, frame, "binomial").estimate_, 1e-3)["n_passes"] == 2


def test_update_goes_on_and_merge_adds(run, tmp_path):
    frame = flights(30_000)
    full = glm(FORMULA, frame, "binomial").estimate_
    model, other = tmp_path / "model", tmp_path / "other"
    fit = ["--family", "binomial", "--plan", "renewable", "--passes", 1]
    for part, path, rows in ((0, model, slice(0, 15_000)), (1, other, slice(15_000, 30_000))):
        frame[rows].to_parquet(tmp_path / f"{part}.parquet", row_group_size=3_000)
        assert run("fit", FORMULA, tmp_path / f"{part}.parquet", *fit, "--save", path)[0] == 0
    code, out, err = run("merge", model, other, "--save", tmp_path / "both", "--output", "json")
    assert (code, err) == (0, "")
    assert close(out, full, 0.2)["nobs"] == 30_000
    code, out, _ = run("update", model, tmp_path / "1.parquet", "--output", "json")
    assert code == 0 and close(out, full, 0.1)["nobs"] == 30_000
    assert load_model(model).estimate_.nobs == 30_000

    direct = glm(FORMULA, frame[:15_000], "binomial", plan=Renewable(n_passes=1, unknown_level="grow"))
    direct.partial_fit(frame[15_000:])
    assert np.abs((direct.estimate_.params[full.params.index] - full.params) / full.bse).max() < 0.1
    assert run("predict", model, tmp_path / "1.parquet", "-o", tmp_path / "p.parquet")[0] == 0


def test_update_from_standard_input(statkit, tmp_path):
    frame = flights(20_000)
    options = ["--family", "binomial", "--plan", "renewable", "--save", tmp_path / "model"]
    statkit("fit", FORMULA, "-", *options, text=frame[:10_000].to_csv(index=False).encode())
    out, _ = statkit(
        "update",
        tmp_path / "model",
        "-",
        "--output",
        "json",
        text=frame[10_000:].to_csv(index=False).encode(),
    )
    assert close(out, glm(FORMULA, frame, "binomial").estimate_, 0.2)["nobs"] == 20_000


def test_what_goes_wrong_is_one_line(run, tmp_path):
    frame = flights(3_000)
    frame.to_parquet(tmp_path / "a.parquet")
    stream = ["--family", "binomial", "--plan", "renewable"]
    run("fit", FORMULA, tmp_path / "a.parquet", "--family", "binomial", "--save", tmp_path / "exact")
    run("fit", FORMULA, tmp_path / "a.parquet", *stream, "--save", tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    (tmp_path / "cut").write_bytes(before[: len(before) // 2])
    frame.drop(columns="x").to_parquet(tmp_path / "b.parquet")
    for arguments, word in [
        (("update", tmp_path / "exact", tmp_path / "a.parquet"), "no stream that could go on"),
        (("update", tmp_path / "cut", tmp_path / "a.parquet"), "cannot be read as a statkit model"),
        (("update", tmp_path / "model", tmp_path / "b.parquet"), "'x'"),
        (("merge", tmp_path / "model", tmp_path / "exact"), "no stream that could go on"),
    ]:
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (1, "", 1) and word in err, err
    for arguments in (
        ("merge", tmp_path / "model"),
        ("merge", tmp_path / "model", tmp_path / "model"),
        ("fit", FORMULA, tmp_path / "a.parquet", "--batch-size", 10),
    ):
        assert run(*arguments)[0] == 2
    assert (tmp_path / "model").read_bytes() == before


def test_standard_input_that_cannot_be_read(statkit):
    options = ["--family", "binomial", "--plan", "renewable"]
    frame = flights(300)
    text = frame.to_csv(index=False).encode()
    header, rows = text.split(b"\n", 1)
    for formula, given, more, word in [
        (FORMULA, b"", [], "is empty"),
        (FORMULA, b"PAR1....", [], "Parquet"),
        ("late ~ y + C(hour)", text, [], "'y'"),
        ("late ~ xx", text, [], "'xx'"),
        (FORMULA, text, ["--passes", 2], "read only once"),
        (FORMULA, header + b"\n" + 200 * rows + b"1,two,3,AA,text,0\n", [], "'two'"),
    ]:
        _, err = statkit("fit", formula, "-", *options, *more, text=given, fails=True)
        assert word in err and err.count("\n") == 1, err


def test_a_pipe_of_the_shell():
    text = flights(500).to_csv(index=False).encode()
    command = [sys.executable, "-m", "statkit", "fit", "late ~ x", "-", "--plan", "renewable"]
    done = subprocess.run(command, input=text, capture_output=True)
    assert done.returncode == 0 and b"Renewable" in done.stdout, done.stderr


def test_batches_have_the_rows_asked_for():
    frame = flights(1_000)
    tables = list(read_batches(BytesIO(frame.to_csv(index=False).encode()), rows=300))
    assert [t.num_rows for t in tables] == [300, 300, 300, 100]
    assert str(tables[0].schema.field("hour").type) == "double"
    back = pd.concat([t.to_pandas() for t in tables], ignore_index=True)
    np.testing.assert_allclose(back["x"], frame["x"])
    assert (back["carrier"] == frame["carrier"]).all()
