"""Words, options and files of any kind on the command line: 0, 1 or 2, one line of error, never a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from statkit.cli import main
from statkit.datasets import write_glm_parquet

COMMANDS = [
    "fit", "predict", "update", "merge", "labels", "dag", "sample", "summarize", "combine", "explain", "datasets", "",
]  # fmt: skip
OPTIONS = [
    "--family", "--link", "--weights", "--offset", "--cluster", "--cov-type", "--alpha", "--l1-ratio", "--plan",
    "--engine", "--n-jobs", "--na-action", "--size", "-n", "--criterion", "--refine", "--seed", "--batch-size",
    "--passes", "--forgetting", "--output", "-o", "--save", "--out", "--formula", "--text", "--label", "--min-df",
    "--site", "--levels", "--like", "--at", "--method", "--own", "--columns", "--tiers", "--forbid", "--ties",
    "--version", "--help", "--nonsense", "-", "--", "--diagnostics", "--plain",
]  # fmt: skip
VALUES = [
    "binomial", "poisson", "cox", "ordered", "nonsense", "logit", "x0", "y", "nowhere", "0", "1", "-1", "2", "50",
    "1e308", "-1e308", "nan", "inf", "9" * 30, "0.5", "True", "", " ", "é∞\u202e", "\x1b[31m", "a\nb", "%s", "{}",
    "../..", "threads", "serial", "exact", "subsample", "renewable", "sgd", "one-shot", "lsa", "one-step", "json",
    "csv", "latex", "table", "HC1", "optLs", "uniform", "x0=1,2", "=", "a:b", ":", "none", "calibrated", "weighted",
]  # fmt: skip
FORMULAS = [
    "y ~ x0",
    "y ~ x0 + x1",
    "y ~ .",
    "~",
    "",
    "y ~ nowhere",
    "Surv(x0, y) ~ x1",
    "y ~ x0 ~ x1",
    "C(y) ~ x0",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of all kinds, and the current folder of the commands."""
    folder = tmp_path_factory.mktemp("files")
    before = os.getcwd()
    os.chdir(folder)
    write_glm_parquet("rows.parquet", 300, 2, family="binomial", random_state=0)
    with open("rows.csv", "w") as file:
        file.write("x0,x1,y\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(60)))
    with open("text.csv", "w") as file:
        file.write(
            "text,label\n" + "".join(f"{'good' if i % 2 else 'bad'} word,{i % 2}\n" for i in range(20))
        )
    with open("empty.csv", "w"):
        pass
    with open("noise.parquet", "wb") as file:
        file.write(np.random.default_rng(0).bytes(500))
    os.mkdir("nothing")
    for arguments in (
        ["fit", "y ~ x0", "rows.parquet", "--family", "binomial", "--save", "model"],
        ["summarize", "y ~ x0", "rows.parquet", "--family", "binomial", "-o", "site.json"],
    ):
        assert called(arguments)[0] == 0
    yield folder
    os.chdir(before)


FILES = [
    "rows.parquet", "rows.csv", "text.csv", "empty.csv", "noise.parquet", "nothing", "model", "site.json",
    "missing.parquet", "*.csv", "*.nothing", ".", "", "~nobody/x", "s3://", "http://", "file:///", "nonsense://x",
    "\x00", "é.csv", "/dev/null", "a" * 300,
]  # fmt: skip
#: Where a command may write: never over the files above.
TARGETS = ["out.parquet", "out.json", "out.npz", "out.csv", "nothing", "no/such/folder/x", "", "out.png"]


def called(arguments):
    """Exit code, standard output and standard error of a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x0,x1,y\n1,2,0\n2,1,1\n"))),
        pytest.raises(SystemExit) as caught,
    ):
        warnings.simplefilter("ignore")
        main(arguments)
    return caught.value.code, out.getvalue(), err.getvalue()


def check(arguments):
    code, out, err = called(arguments)
    assert code in (0, 1, 2), (code, arguments)
    assert "Traceback" not in out + err, (arguments, err)
    said = [line for line in err.splitlines() if line.startswith("statkit: ") and "warning: " not in line]
    helped = "Usage" in err or "Usage" in out
    assert len(said) == (code != 0 and not helped) or helped, (arguments, err)
    assert "STATKIT_TRACEBACK" not in err, (arguments, err)  # an error that nobody expected
    for words in (
        "object is not",
        "NoneType",
        "out of bounds",
        "unhashable",
        "unexpected keyword",
        "codec can't",
    ):
        assert words not in err, (arguments, err)


OPTION = st.tuples(st.sampled_from(OPTIONS), st.sampled_from(VALUES + FILES + FORMULAS)).flatmap(
    lambda pair: st.sampled_from([list(pair), list(pair[:1]), [f"{pair[0]}={pair[1]}"]])
)
#: Options that write get names of their own, so that no run destroys what the next one reads.
WRITING = st.tuples(
    st.sampled_from(["--save", "-o", "--output", "--out", "--impute"]), st.sampled_from(TARGETS)
).map(list)
SENTENCES = st.builds(
    lambda command, words, files, options: [command, *words, *files, *[w for o in options for w in o]],
    st.sampled_from(COMMANDS), st.lists(st.sampled_from(FORMULAS), max_size=1),
    st.lists(st.sampled_from(FILES), max_size=2),
    st.lists(st.one_of(OPTION.filter(lambda o: o[0].split("=")[0] not in ("--save", "-o", "--out", "--output")
                                     or o[-1] in VALUES), WRITING), max_size=3),
)  # fmt: skip


def without_engines(arguments):
    """Whether no cluster is looked for: an address may be waited for long."""
    return not any("://" in a and "//" in a and a.startswith(("dask", "ray", "spark")) for a in arguments)


QUIET = dict(deadline=None, suppress_health_check=list(HealthCheck))


@settings(max_examples=60, **QUIET)
@given(SENTENCES.filter(without_engines))
@example(["fit", "y ~ x0", "rows.parquet", "--n-jobs", "9" * 30])
@example(["fit", "y ~ x0", "rows.parquet", "--alpha", "nan"])
@example(["sample", "rows.parquet", "-n", "-1", "--formula", "y ~ x0", "-o", "out.parquet"])
@example(["fit", "y ~ x0", "rows.parquet", "--seed", "9" * 30, "--plan", "subsample"])
@example(["predict", "rows.parquet", "model", "-o", "out.parquet"])
@example(["fit", "y ~ x0", "\x00"])
@example(["fit", "", ""])
@example([])
def test_sentences(folder, arguments):
    check(arguments)


@settings(max_examples=40, **QUIET)
@given(st.lists(st.text(max_size=12), max_size=5))
def test_any_words(folder, arguments):
    check(arguments)


@pytest.mark.slow
@settings(max_examples=600, **QUIET)
@given(SENTENCES.filter(without_engines))
def test_many_sentences(folder, arguments):
    check(arguments)


def test_the_files_are_as_they_were(folder):
    assert (folder / "rows.csv").read_text().startswith("x0,x1,y\n")
    assert not [name for name in os.listdir(folder) if name.startswith(".")]
