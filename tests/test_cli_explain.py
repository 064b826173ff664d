"""``statkit explain`` on the command line: the table, JSON, CSV, its options, errors of one line."""

import io
import json

import pandas as pd
import pytest

from statkit.datasets import write_glm_parquet

FORMULA = "y ~ x0 + x1"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    write_glm_parquet(path, 30_000, 2, family="poisson", random_state=0, row_group_size=5_000)
    return str(path)


def test_table(run, path):
    code, out, err = run("explain", FORMULA, path, "--family", "poisson")
    assert (code, err) == (0, "")
    assert "30,000 in 6 partitions" in out and "Recommended:" in out and "→ Exact()" in out


def test_json_names_what_fit_names(run, path):
    code, out, _ = run("explain", FORMULA, path, "--family", "poisson", "--output", "json", "--seed", "1")
    found = json.loads(out)
    assert code == 0 and found["rows"] == 30_000 and found["columns"] == 3
    assert list(found["standard_errors"]) == ["Intercept", "x0", "x1"]


def test_every_plan_that_fit_has(run, path):
    from typing import get_args

    from statkit.cli.fit import PlanName

    arguments = [part for name in get_args(PlanName) for part in ("--plan", name)]
    code, out, _ = run("explain", FORMULA, path, *arguments, "--output", "csv")
    assert code == 0 and len(out.splitlines()) == 1 + len(get_args(PlanName))


def test_csv_has_a_line_for_each_plan(run, path):
    arguments = (
        "--plan",
        "exact",
        "--plan",
        "subsample",
        "--size",
        "500",
        "--size",
        "1000",
        "--refine",
        "none",
    )
    code, out, _ = run("explain", FORMULA, path, *arguments, "--output", "csv")
    table = pd.read_csv(io.StringIO(out))
    assert code == 0
    assert table.plan.tolist() == [
        "Exact()",
        "Subsample(size=500, refine=None)",
        "Subsample(size=1000, refine=None)",
    ]
    assert table.distance[1] > table.distance[2] > table.distance[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("y ~ nothing",), 1, "nothing"),
        ((FORMULA, "--size", "10"), 2, "--size is for --plan subsample"),
        ((FORMULA, "--plan", "fixed"), 2, "no forecast: choose from exact"),
        ((FORMULA, "--ties", "efron"), 1, "ties"),
    ],
)
def test_errors_are_one_line(run, path, arguments, code, message):
    formula, *rest = arguments
    found, out, err = run("explain", formula, path, *rest)
    assert found == code and out == "" and message in err and err.count("\n") == 1


def test_standard_input_is_not_used_up(run):
    code, _, err = run("explain", FORMULA, "-")
    assert code == 1 and "standard input" in err
