"""``statkit fit --plan``."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest


@pytest.mark.parametrize(
    ("name", "plan"),
    [("lsa", "LeastSquaresApproximation"), ("one-step", "OneStep"), ("sgd", "AveragedSGD")],
)
def test_plan_option(tmp_path, name, plan):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(500)
    pd.DataFrame({"x": x, "y": rng.poisson(np.exp(x / 2))}).to_csv(tmp_path / "a.csv", index=False)
    command = [
        sys.executable,
        "-m",
        "statkit",
        "fit",
        "y ~ x",
        str(tmp_path / "a.csv"),
        "--family",
        "poisson",
    ]
    run = subprocess.run([*command, "--plan", name], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert plan in run.stdout
