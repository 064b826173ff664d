"""The command line, end to end: tables, formats, saved models, streamed predictions, errors of one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import statkit
from statkit._model_file import read_model, write_model
from statkit.cli import main
from statkit.datasets import make_glm, write_glm_parquet
from statkit.regression import GLMClassifier
from statkit.regression.model_document import save_model

FORMULA = "y ~ x0 + x1 + c0"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A Poisson regression in a file of three row groups, with its frame."""
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    write_glm_parquet(path, 3_000, 2, family="poisson", n_levels=(3,), random_state=0, row_group_size=1_000)
    return path, pq.read_table(path).to_pandas()


@pytest.fixture(scope="module")
def model(rows, tmp_path_factory):
    """A saved model of those rows."""
    path = tmp_path_factory.mktemp("model") / "model"
    with pytest.raises(SystemExit) as caught:
        main(["fit", FORMULA, str(rows[0]), "--family", "poisson", "--save", str(path)])
    assert caught.value.code == 0
    return path


def failed(answer, *words, code=1):
    """Assert that a call failed with one line that holds these words."""
    assert answer[0] == code
    assert answer[1] == ""
    assert answer[2].startswith("statkit: ") and answer[2].count("\n") == 1, answer[2]
    for word in words:
        assert word in answer[2], answer[2]


def oracle(frame, **options):
    return smf.glm(FORMULA, frame, family=sm.families.Poisson(), **options).fit(tol=1e-12)


def same(found, expected, rtol):
    """Assert that parameters agree, name by name: statsmodels puts categorical columns first."""
    found = pd.Series(found)
    assert set(found.index) == set(expected.index)
    np.testing.assert_allclose(found[expected.index].to_numpy(), expected, rtol=rtol, atol=rtol / 10)


def test_table(run, rows):
    code, out, err = run("fit", FORMULA, rows[0], "--family", "poisson")
    assert (code, err) == (0, "")
    for word in ("Intercept", "x0", "c0[T.L1]", "std err", "3,000"):
        assert word in out


def test_json_agrees_with_statsmodels(run, rows):
    code, out, _ = run("fit", FORMULA, rows[0], "--family", "poisson", "--output", "json")
    answer, fit = json.loads(out), oracle(rows[1])
    assert code == 0
    assert list(answer["params"]) == ["Intercept", "x0", "x1", "c0[T.L1]", "c0[T.L2]"]
    same(answer["params"], fit.params, 1e-7)
    same(answer["bse"], fit.bse, 1e-7)
    assert answer["llf"] == pytest.approx(fit.llf, rel=1e-10)
    assert answer["nobs"] == 3_000 and answer["converged"] is True


def test_csv_and_latex(run, rows):
    code, out, _ = run("fit", FORMULA, rows[0], "--family", "poisson", "--output", "csv")
    frame = pd.read_csv(pa.BufferReader(out.encode()), index_col=0)
    assert code == 0
    same(frame.iloc[:, 0], oracle(rows[1]).params, 1e-6)
    code, out, _ = run("fit", FORMULA, rows[0], "--family", "poisson", "--output", "latex")
    assert code == 0 and "\\begin{tabular}" in out and "\\bottomrule" in out


def test_options_reach_the_fit(run, rows, tmp_path):
    frame = rows[1].assign(w=np.arange(3_000) % 3 + 1.0, o=0.1, g=np.arange(3_000) // 10)
    path = tmp_path / "more.parquet"
    frame.to_parquet(path)
    code, out, _ = run(
        *("fit", FORMULA, path, "--family", "poisson", "--link", "log", "--output", "json"),
        *("--weights", "w", "--offset", "o", "--cov-type", "HC0", "--engine", "serial", "--n-jobs", "1"),
    )
    answer = json.loads(out)
    weighted = oracle(frame, var_weights=frame["w"], offset=frame["o"])
    assert code == 0 and answer["cov_type"] == "HC0" and answer["engine"].startswith("serial")
    same(answer["params"], weighted.params, 1e-6)

    code, out, _ = run(
        *("fit", FORMULA, path, "--family", "poisson", "--cluster", "g", "--output", "json"),
    )
    answer = json.loads(out)
    clustered = smf.glm(FORMULA, frame, family=sm.families.Poisson()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": frame["g"]}
    )
    assert code == 0 and answer["cov_type"] == "cluster"
    same(answer["bse"], clustered.bse, 0.01)

    code, out, _ = run("fit", FORMULA, path, "--family", "poisson", "--alpha", "10", "--output", "json")
    assert code == 0 and abs(json.loads(out)["params"]["x0"]) < abs(oracle(frame).params["x0"]) / 3
    code, out, _ = run(
        "fit", FORMULA, path, "--family", "poisson", "--alpha", "10", "--l1-ratio", "1", "--output", "json"
    )
    assert code == 0 and json.loads(out)["params"]["x0"] == 0 and json.loads(out)["l1_ratio"] == 1


def test_several_files(run, rows, tmp_path):
    parts = []
    for i in range(3):
        parts.append(tmp_path / f"part{i}.parquet")
        pq.write_table(pq.read_table(rows[0]).slice(1_000 * i, 1_000), parts[-1])
    one = json.loads(run("fit", FORMULA, rows[0], "--family", "poisson", "--output", "json")[1])
    for files in (parts, [tmp_path / "part*.parquet"]):
        many = json.loads(run("fit", FORMULA, *files, "--family", "poisson", "--output", "json")[1])
        assert many["nobs"] == 3_000
        assert many["params"] == pytest.approx(one["params"], rel=1e-10)


def test_csv_file(run, rows, tmp_path):
    path = tmp_path / "rows.csv"
    rows[1].to_csv(path, index=False)
    code, out, _ = run("fit", FORMULA, path, "--family", "poisson", "--output", "json")
    assert code == 0
    same(json.loads(out)["params"], oracle(rows[1]).params, 1e-6)


def test_missing_rows(run, rows, tmp_path):
    path = tmp_path / "gaps.parquet"
    frame = rows[1].copy()
    frame.loc[[5, 70, 2_999], "x0"] = np.nan
    pq.write_table(pa.Table.from_pandas(frame), path)
    code, out, _ = run("fit", FORMULA, path, "--family", "poisson", "--output", "json")
    answer = json.loads(out)
    assert code == 0 and (answer["nobs"], answer["rows_missing"]) == (2_997, 3)
    failed(run("fit", FORMULA, path, "--family", "poisson", "--na-action", "raise"), "x0")


def test_predict_streams_the_mean_of_every_row(run, rows, model, tmp_path):
    out = tmp_path / "predictions.parquet"
    assert run("predict", model, rows[0], "-o", out) == (0, "", "")
    table = pq.read_table(out)
    assert table.column_names == ["prediction"] and table.num_rows == 3_000
    np.testing.assert_allclose(table["prediction"].to_numpy(), oracle(rows[1]).predict(rows[1]), rtol=1e-7)
    assert pq.read_metadata(out).num_row_groups == 3  # one partition at a time
    assert os.listdir(tmp_path) == ["predictions.parquet"]


def test_predict_with_intervals(run, rows, model, tmp_path):
    out = tmp_path / "out.parquet"
    assert run("predict", model, rows[0], "-o", out, "--interval", "confidence", "--level", "0.9") == (
        0,
        "",
        "",
    )
    frame = pq.read_table(out).to_pandas()
    expected = oracle(rows[1]).get_prediction(rows[1]).summary_frame(alpha=0.1)
    assert frame.columns.tolist() == ["prediction", "mean_se", "mean_ci_lower", "mean_ci_upper"]
    np.testing.assert_allclose(frame, expected, rtol=1e-6)
    failed(run("predict", model, rows[0], "-o", out, "--interval", "prediction"), "gaussian")
    failed(run("predict", model, rows[0], "-o", out, "--interval", "both"), "interval")


def test_predict_classes(run, tmp_path):
    frame = pd.DataFrame({"x": np.tile([0.0, 1, 2], 40), "y": np.repeat(["a", "b", "c"], 40)})
    path, saved, out = tmp_path / "rows.csv", tmp_path / "model", tmp_path / "out.parquet"
    frame.to_csv(path, index=False)
    save_model(GLMClassifier(formula="y ~ x").fit(frame), saved)
    assert run("predict", saved, path, "-o", out)[0] == 0
    found = pq.read_table(out).to_pandas()
    assert found.columns.tolist() == ["row", "class", "prediction"] and len(found) == 360
    np.testing.assert_allclose(found.groupby("row")["prediction"].sum(), 1, rtol=1e-12)


def test_predict_new_rows(run, rows, model, tmp_path):
    # No response, another order of columns, missing values.
    frame = rows[1].loc[:20, ["c0", "x1", "x0"]].copy()
    frame.loc[3, "x1"] = np.nan
    frame.loc[4, "c0"] = None
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "new.parquet")
    out = tmp_path / "out.parquet"
    assert run("predict", model, tmp_path / "new.parquet", "-o", out)[0] == 0
    column = pq.read_table(out)["prediction"]
    assert column.is_null().to_pylist() == [i in (3, 4) for i in range(21)]
    np.testing.assert_allclose(
        column.drop_null().to_numpy(), oracle(rows[1]).predict(frame.dropna()), rtol=1e-7
    )


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ poly(x0, 2) * x1",
        "y ~ bs(x0, df=4) + C(c0):x1",
        "y ~ center(x0) + scale(x1) - 1",
        "y ~ log1p(x0**2)",
    ],
)
def test_saved_transforms_predict_alike(run, rows, tmp_path, formula):
    fit = statkit.glm(formula, str(rows[0]), family="poisson")
    saved, out = tmp_path / "model", tmp_path / "out.parquet"
    assert run("fit", formula, rows[0], "--family", "poisson", "--save", saved)[0] == 0
    assert run("predict", saved, rows[0], "-o", out)[0] == 0
    np.testing.assert_allclose(
        pq.read_table(out)["prediction"].to_numpy(), fit.predict(str(rows[0])), rtol=1e-12
    )


@pytest.mark.parametrize("family", ["gaussian", "binomial", "gamma", "negative_binomial", "tweedie"])
def test_every_family_saves(run, tmp_path, family):
    X, y, _ = make_glm(2_000, 2, family=family, random_state=1, as_frame=True)
    path, saved, out = tmp_path / "rows.parquet", tmp_path / "model", tmp_path / "out.parquet"
    X.assign(y=y).to_parquet(path)
    assert run("fit", "y ~ x0 + x1", path, "--family", family, "--save", saved)[0] == 0
    assert run("predict", saved, path, "-o", out)[0] == 0
    expected = statkit.glm("y ~ x0 + x1", str(path), family=family).predict(str(path))
    np.testing.assert_allclose(pq.read_table(out)["prediction"].to_numpy(), expected, rtol=1e-12)


def test_saved_model_holds_the_estimate(model, rows):
    from statkit.regression.model_document import load_model

    fit = load_model(model)
    expected = oracle(rows[1])
    names = expected.params.index
    same(fit.estimate_.params, expected.params, 1e-6)
    covariance = fit.estimate_.cov_params().loc[names, names]
    np.testing.assert_allclose(covariance, expected.cov_params(), rtol=1e-5, atol=1e-9)
    assert "Intercept" in str(fit.summary())


def test_wrong_input_is_one_line(run, rows, model, tmp_path):
    path = rows[0]
    failed(run("fit", "y ~ x00", path), "x00", "did you mean 'x0'")
    failed(run("fit", "late ~ x0", path), "late")
    failed(run("fit", "y ~ x0 +* x1", path))
    failed(run("fit", FORMULA, path, "--family", "poison"), "poisson")
    failed(run("fit", FORMULA, path, "--family", "poisson", "--link", "lug"), "log")
    failed(run("fit", FORMULA, path, "--engine", "quantum"), "quantum")
    failed(run("fit", FORMULA, path, "--weights", "ww"), "ww")
    failed(run("fit", "x0 ~ x1", path, "--family", "poisson"), "x0")
    failed(run("fit", FORMULA, tmp_path / "absent.parquet"), "absent.parquet")
    failed(run("fit", FORMULA, path, "--save", tmp_path / "no" / "model"), "no folder")
    (tmp_path / "text.parquet").write_text("not Parquet")
    failed(run("fit", FORMULA, tmp_path / "text.parquet"), "text.parquet")
    failed(run("predict", path, path, "-o", tmp_path / "o.parquet"), "model")
    failed(run("predict", tmp_path / "absent", path, "-o", tmp_path / "o.parquet"), "absent")
    pq.write_table(pa.table({"x0": [1.0]}), tmp_path / "narrow.parquet")
    failed(run("predict", model, tmp_path / "narrow.parquet", "-o", tmp_path / "o.parquet"), "x1")
    failed(run("datasets", "path", "flihgts"), "did you mean 'flights'")
    assert sorted(os.listdir(tmp_path)) == ["narrow.parquet", "text.parquet"]


def test_wrong_usage_is_one_line_and_code_two(run, rows):
    failed(run("fit", FORMULA), "FILE", "statkit fit --help", code=2)
    failed(run("fit", FORMULA, rows[0], "--output", "xml"), "'xml'", "json", code=2)
    failed(run("fit", FORMULA, rows[0], "--cluster", "c0", "--cov-type", "HC1"), "--cluster", code=2)
    failed(run("fti"), "fti", code=2)
    failed(run("fit", FORMULA, rows[0], "--nosuch"), "--nosuch", code=2)


def test_failed_prediction_leaves_what_was_there(run, rows, model, tmp_path):
    out = tmp_path / "out.parquet"
    out.write_bytes(b"precious")
    frame = rows[1][["x0", "x1", "c0"]].astype({"c0": str})
    frame.loc[2_500, "c0"] = "never seen"
    new = tmp_path / "new.parquet"
    pq.write_table(pa.Table.from_pandas(frame), new, row_group_size=1_000)
    failed(run("predict", model, new, "-o", out), "never seen")
    assert out.read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["new.parquet", "out.parquet"]
    before = new.read_bytes()
    failed(run("predict", model, new, "-o", new), "another file")
    assert new.read_bytes() == before


def test_hostile_models(run, rows, model, tmp_path):
    good, path, out = read_model(model), tmp_path / "m", tmp_path / "o.parquet"
    for key in good:
        write_model(path, {k: v for k, v in good.items() if k != key})
        failed(run("predict", path, rows[0], "-o", out), str(path))
        write_model(path, {**good, key: "nonsense"})
        failed(run("predict", path, rows[0], "-o", out), str(path))
    write_model(path, {**good, "family": {"name": "__class__", "parameters": {}}})
    failed(run("predict", path, rows[0], "-o", out), str(path))
    assert not out.exists()


def test_a_formula_in_a_model_runs_no_code(run, rows, model, tmp_path):
    text = json.dumps(read_model(model)["design"]["plan"])
    assert "x0" in text  # what is replaced below is there
    trap = tmp_path / "exploded"

    def poisoned(value):
        if isinstance(value, str):
            return f"__import__('os').mkdir({str(trap)!r})" if value == "x0" else value
        if isinstance(value, dict):
            return {poisoned(k): poisoned(v) for k, v in value.items()}
        return type(value)(map(poisoned, value)) if isinstance(value, (list, tuple)) else value

    document = read_model(model)
    write_model(tmp_path / "m", {**document, "design": poisoned(document["design"])})
    assert run("predict", tmp_path / "m", rows[0], "-o", tmp_path / "o.parquet")[0] == 1
    assert not trap.exists()


def test_datasets(run):
    code, out, _ = run("datasets", "list")
    assert code == 0 and out.startswith("flights ")
    code, out, _ = run("datasets", "path", "flights")
    assert code == 0 and Path(out.strip()).is_file()
    code, out, _ = run("datasets", "describe", "flights")
    assert code == 0 and "Bureau of Transportation Statistics" in out


@pytest.mark.slow
def test_flights_agree_with_statsmodels(run):
    path = run("datasets", "path", "flights")[1].strip()
    formula = "I(delay > 15) ~ distance"
    code, out, _ = run("fit", formula, path, "--family", "binomial", "--output", "json")
    table = pq.read_table(path, columns=["delay", "distance"])
    late = (table["delay"].to_numpy() > 15).astype(float)
    X = pd.DataFrame({"Intercept": 1.0, "distance": table["distance"].to_numpy().astype(float)})
    fit = sm.GLM(late, X, family=sm.families.Binomial()).fit(tol=1e-12)
    answer = json.loads(out)
    assert code == 0 and answer["rows_used"] == 3_000_000
    same(answer["params"], fit.params, 1e-6)
    same(answer["bse"], fit.bse, 1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of Unix")
def test_progress_on_a_terminal(rows, model, tmp_path):
    """Standard error is a terminal here: a bar with pass and rate is drawn there."""
    import pty

    commands = (
        ["fit", FORMULA, str(rows[0]), "--family", "poisson"],
        ["predict", str(model), str(rows[0]), "-o", str(tmp_path / "out.parquet")],
    )
    for command in commands:
        master, terminal = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(Path(statkit.__file__).parents[1]), "TERM": "xterm"}
        done = subprocess.run(
            [sys.executable, "-m", "statkit", *command],
            stdout=subprocess.PIPE,
            stderr=terminal,
            env=environment,
            text=True,
        )
        os.close(terminal)
        shown = b""
        try:
            while chunk := os.read(master, 65_536):
                shown += chunk
        except OSError:  # Linux says so at the end of a terminal
            pass
        os.close(master)
        assert done.returncode == 0, shown.decode()
        assert b"pass" in shown and b"rows/s" in shown
        assert ("Intercept" in done.stdout) == (command[0] == "fit")


def test_version_and_help(run):
    assert run("--version") == (0, f"statkit {statkit.__version__}\n", "")
    code, out, _ = run("fit", "--help")
    assert code == 0 and "--family" in out and "--cluster" in out


def test_warnings_are_one_line(run, tmp_path):
    # Column b is twice column a: not identified.
    a = np.linspace(-1, 1, 50)
    pd.DataFrame({"y": a + np.sin(9 * a), "a": a, "b": 2 * a}).to_parquet(tmp_path / "t.parquet")
    code, out, err = run("fit", "y ~ a + b", tmp_path / "t.parquet")
    assert code == 0 and "NaN" in out
    assert err.startswith("statkit: warning: ") and err.count("\n") == 1


def test_module_and_pipes(rows, tmp_path):
    """In a process of its own: silent in a pipe, from another folder, and calm when its reader goes away."""
    root = Path(statkit.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "statkit"]
    done = subprocess.run(
        [*command, "fit", FORMULA, str(rows[0]), "--family", "poisson"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "") and "Intercept" in done.stdout
    reader_gone = subprocess.run(
        f"{sys.executable} -m statkit datasets describe flights | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert reader_gone.stderr == ""


def test_fit_cox_and_ordered(run, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.standard_normal(200), "time": rng.exponential(size=200)})
    frame["event"] = rng.integers(0, 2, 200)
    frame["grade"] = np.digitize(frame.x + rng.logistic(size=200), [-1, 1])
    path, formula = tmp_path / "d.parquet", "Surv(time, event) ~ x"
    frame.to_parquet(path)
    code, out, _ = run("fit", formula, path, "--family", "cox", "--ties", "breslow", "--output", "json")
    assert code == 0
    assert json.loads(out)["params"]["x"] == pytest.approx(
        statkit.coxph(formula, frame, ties="breslow").coef_[0]
    )
    code, out, _ = run("fit", "grade ~ x", path, "--family", "ordered")
    assert code == 0 and "Ordered logistic regression" in out and "0|1" in out
    assert run("fit", formula, path, "--ties", "efron")[0] != 0
