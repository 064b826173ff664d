"""A disk that is full while something is written: an error, the old file as it was, and nothing left beside it."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import statkit
from statkit import glm
from statkit.cli import main
from statkit.datasets import write_glm_parquet
from statkit.inference import local_summary
from statkit.plans import OneShot
from statkit.regression import GLMRegressor

ROOM = 8_192


@pytest.fixture(params=["largest file", "tiny disk"])
def full_disk(request, tmp_path):
    """A folder and a context in which no more than a few pages can be written there."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "largest file":

        @contextlib.contextmanager
        def limited():
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            kept = sys.dont_write_bytecode
            sys.dont_write_bytecode = True  # Python would leave cut .pyc files of what is imported meanwhile
            resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
                sys.dont_write_bytecode = kept

        yield folder, limited
        return
    made = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(folder)], stderr=subprocess.DEVNULL
    )
    if not made:
        pytest.skip("a file system of our own needs root")
    try:
        yield folder, contextlib.nullcontext
    finally:
        subprocess.call(["umount", "-l", str(folder)])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    write_glm_parquet(folder / "rows.parquet", 20_000, 3, family="binomial", n_levels=(4,), random_state=0)
    pq.read_table(folder / "rows.parquet").to_pandas().to_csv(folder / "rows.csv", index=False)
    holes = pd.DataFrame(rng.normal(size=(2_000, 3)), columns=list("abc"))
    holes.mask(rng.random((2_000, 3)) < 0.1).to_csv(folder / "holes.csv", index=False)
    words = [" ".join(rng.choice(["good", "bad", "fine", "poor", "well"], 60)) for _ in range(300)]
    pd.DataFrame({"text": words, "label": rng.choice(["p", "n"], 300)}).to_csv(
        folder / "texts.csv", index=False
    )
    X = rng.normal(size=(500, 40))
    np.save(folder / "X.npy", X)
    with pytest.raises(SystemExit) as caught:
        main(["fit", "y ~ x0 + x1 + x2", str(folder / "rows.parquet"), "--family", "binomial", "--save",
              str(folder / "model")])  # fmt: skip
    assert caught.value.code == 0
    return folder


def wide(data):
    """A model whose file does not fit."""
    X = np.load(data / "X.npy")
    return GLMRegressor().fit(X, X @ np.ones(40) + X[:, 0] ** 2)


WRITERS = {
    "save": lambda data, path: statkit.save(wide(data), path),
    "get_state": lambda data, path: _save_model(wide(data), path),
    "simulator": lambda data, path: write_glm_parquet(path, 20_000, 3, random_state=0),
    "summary": lambda data, path: local_summary(np.load(data / "X.npy"), np.ones(500), site="a").save(path),
}


def _save_model(model, path):
    from statkit.regression.model_document import save_model

    save_model(model, path)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("before", [None, b"what was there before"])
def test_the_old_file_stays_and_nothing_is_left(writer, before, full_disk, data):
    folder, limited = full_disk
    path = folder / ("target.json" if writer == "summary" else "target")
    if before is not None:
        path.write_bytes(before)
    with limited(), pytest.raises(OSError) as caught:
        WRITERS[writer](data, path)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert str(caught.value.filename) == str(path)
    assert os.listdir(folder) == ([] if before is None else [path.name])
    if before is not None:
        assert path.read_bytes() == before


COMMANDS = {
    "fit": ["fit", "y ~ x0 * x1 * x2 + poly(x0, 40)", "rows.parquet", "--save", "{out}"],
    "predict": ["predict", "model", "rows.parquet", "-o", "{out}"],
    "sample": [
        "sample",
        "rows.parquet",
        "-n",
        "10000",
        "--formula",
        "y ~ x0 + x1",
        "--seed",
        "1",
        "-o",
        "{out}",
    ],
    "labels": ["labels", "texts.csv", "--text", "text", "--label", "label", "-o", "{out}"],
    "dag": ["dag", "holes.csv", "--impute", "{out}.csv"],
    "summarize": ["summarize", "y ~ x0 * x1 * x2 + poly(x0, 40)", "rows.parquet", "-o", "{out}.json"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_leave_the_old_file(command, full_disk, data, capfd):
    folder, limited = full_disk
    arguments = [
        str(data / a) if (data / a).exists() else a.format(out=folder / "target") for a in COMMANDS[command]
    ]
    path = next(p for a in arguments if (p := a).startswith(str(folder)))
    with open(path, "wb") as file:
        file.write(b"what was there before")
    with limited(), pytest.raises(SystemExit) as caught:
        main(arguments)
    _, err = capfd.readouterr()
    assert caught.value.code == 1
    said = [line for line in err.splitlines() if "warning: " not in line]
    assert said in [[f"statkit: {path}: {os.strerror(e)}"] for e in (errno.ENOSPC, errno.EFBIG)]
    assert os.listdir(folder) == [os.path.basename(path)]
    with open(path, "rb") as file:
        assert file.read() == b"what was there before"


def chunks(data):
    yield from (batch for batch in pq.ParquetFile(data / "rows.parquet").iter_batches(2_000))


SPOOLS = {
    "csv": lambda data: glm("y ~ x0", str(data / "rows.csv"), "binomial"),
    "stream": lambda data: glm("y ~ x0", pa.RecordBatchReader.from_batches(
        pq.read_schema(data / "rows.parquet"), chunks(data)), "binomial"),
    "open file": lambda data: glm("y ~ x0", open(data / "rows.parquet", "rb"), "binomial"),
    "array": lambda data: GLMRegressor(engine="processes", n_jobs=1).fit(
        np.load(data / "X.npy"), np.arange(500.0)),
    "sparse": lambda data: GLMRegressor(engine="processes", n_jobs=1).fit(
        _sparse(data), np.arange(500.0)),
    "frame": lambda data: glm("y ~ x0", pq.read_table(data / "rows.parquet"), "binomial",
                              engine="processes", n_jobs=1),
    "machines": lambda data: glm("y ~ x0 + x1 + x2", str(data / "rows.parquet"), "binomial",
                                 plan=OneShot(partition_by="c0")),
}  # fmt: skip


def _sparse(data):
    from scipy import sparse

    return sparse.csr_array(np.load(data / "X.npy"))


@pytest.mark.parametrize("spool", SPOOLS)
def test_temporary_copies_go_away(spool, full_disk, data, monkeypatch):
    folder, limited = full_disk
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with limited(), pytest.raises(OSError, match="TMPDIR") as caught:
        SPOOLS[spool](data)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert os.listdir(folder) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_table_that_cannot_be_printed(data):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "statkit", "fit", "y ~ x0", str(data / "rows.parquet")],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr, done.stderr
