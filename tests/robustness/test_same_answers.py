"""What must not matter: workers, engines, BLAS threads, hash seeds, locale, time zone, folder, layout of arrays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from statkit import all_estimators, glm
from statkit.datasets import write_glm_parquet
from statkit.plans import AveragedSGD, OneShot, Renewable, Subsample
from statkit.regression import GLMClassifier, GLMRegressor

NAMES = [name for name, _ in all_estimators()]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    write_glm_parquet(path, 6_000, 3, family="binomial", n_levels=(3,), random_state=0, row_group_size=700)
    return str(path)


def bits(model):
    e = model.estimate_
    return e.values.tobytes(), np.asarray(e.bse).tobytes(), e.llf if hasattr(e, "llf") else None


PLANS = {
    "exact": {},
    "lasso": {"alpha": 0.01, "l1_ratio": 1.0},
    "robust": {"cov_type": "HC1"},
    "subsample": {"plan": Subsample(800), "random_state": 1},
    "one shot": {"plan": OneShot(4)},
    "renewable": {"plan": Renewable(n_passes=2)},
    "sgd": {"plan": AveragedSGD()},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("plan", PLANS)
def test_workers_and_engines(plan, path):
    def fit(engine, n_jobs):
        return bits(
            glm("y ~ x0 * c0 + poly(x1, 2)", path, "binomial", engine=engine, n_jobs=n_jobs, **PLANS[plan])
        )

    one = fit("serial", 1)
    for engine, n_jobs in (("threads", 1), ("threads", 2), ("threads", 5), ("processes", 1)):
        assert fit(engine, n_jobs) == one, (engine, n_jobs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_n_jobs_of_every_estimator(name, made, fit, rows):
    X, y = rows
    if "n_jobs" not in made(name).get_params():
        return
    one, two = (state(fit(name, made(name).set_params(n_jobs=n_jobs), X, y)) for n_jobs in (1, 2))
    rounding = "NB" in name  # each thread sums a part of the documents
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, rtol=1e-9 * rounding, atol=1e-9 * rounding, err_msg=key)


def test_threads_of_blas(path):
    """One inside rounds whatever was set outside: the same bits."""
    from threadpoolctl import threadpool_limits

    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            found.append(bits(glm("y ~ x0 * x1 + c0", path, "binomial")))
    assert found[0] == found[1]


SCRIPT = """
import sys, hashlib, warnings
warnings.simplefilter("ignore")
import numpy as np
from statkit import glm
from statkit.plans import Subsample
from statkit.cluster import PAC
from statkit.naive_bayes import MislabeledMultinomialNB
path = sys.argv[1]
h = hashlib.sha1()
for options in ({}, {"plan": Subsample(800), "random_state": 1}):
    e = glm("y ~ x0 * c0", path, "binomial", **options).estimate_
    h.update(e.values.tobytes()); h.update(" ".join(e.names).encode())
    h.update(str(e.to_frame()).encode())
X = np.random.default_rng(0).poisson(1.0, (60, 5))
h.update(PAC(2, random_state=0).fit(X.astype(float)).probabilities_.tobytes())
h.update(MislabeledMultinomialNB().fit(X, np.array(list("ab") * 30)).transition_.tobytes())
print(h.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "surroundings",
    [
        {"PYTHONHASHSEED": "1"},
        {"TZ": "Pacific/Kiritimati"},
        {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
    ],
    ids=str,
)
def test_surroundings_of_a_process(surroundings, path, tmp_path):
    def run(more, folder):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, path], env=os.environ | {"PYTHONHASHSEED": "0"} | more, cwd=folder,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(surroundings, tmp_path) == run({}, os.getcwd())


@pytest.fixture
def decimal_comma(tmp_path):
    """Surroundings of a process in which 1.5 is written 1,5: a locale of the machine, or one made for the test."""
    surroundings = os.environ | {"LC_ALL": "de_DE.UTF-8", "LOCPATH": str(tmp_path)}
    made = shutil.which("localedef") and not subprocess.call(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")], stderr=subprocess.DEVNULL
    )
    if not made:
        pytest.skip("no locale with a decimal comma can be made on this machine")
    return surroundings


FITS = """
import locale, sys
locale.setlocale(locale.LC_ALL, "")
print(locale.localeconv()["decimal_point"], 0.5)
from statkit import glm
e = glm("y ~ x", sys.argv[1]).estimate_
print(e.to_frame(), e.to_frame().to_csv(), e.params.to_dict())
print("\\n".join(line for line in str(e.summary()).splitlines() if "econd" not in line))
"""


@pytest.mark.slow
def test_a_locale_with_a_decimal_comma(decimal_comma, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{i / 8},{i / 4 + (i % 3)}\n" for i in range(200)))
    comma, point = (
        subprocess.run([sys.executable, "-c", FITS, str(path)], env=env, capture_output=True, text=True)
        for env in (decimal_comma, os.environ | {"LC_ALL": "C"})
    )
    assert comma.stdout.startswith(", 0.5\n") and point.stdout.startswith(". 0.5\n"), (
        comma.stderr + point.stderr
    )
    assert comma.stdout[1:] == point.stdout[1:]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be changed here")
def test_parts_of_times_do_not_depend_on_the_time_zone(monkeypatch):
    t = pd.date_range("2024-03-30 20:00", periods=200, freq="37min")
    frame = pd.DataFrame({"t": t, "y": np.sin(np.arange(200.0)), "u": t.tz_localize("UTC")})
    found = []
    for zone in ("UTC", "America/New_York", "Pacific/Kiritimati"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        found.append(bits(glm("y ~ hour(t) + weekday(u) + minute(u)", frame)))
    monkeypatch.undo()
    time.tzset()
    assert found[0] == found[1] == found[2]


def test_the_current_folder(path, monkeypatch):
    expected = bits(glm("y ~ x0", path, "binomial"))
    monkeypatch.chdir(os.path.dirname(path))
    assert bits(glm("y ~ x0", "rows.parquet", "binomial")) == expected
    assert bits(glm("y ~ x0", "rows.parquet", "binomial", engine="processes", n_jobs=1)) == expected


# -- how a table or an array is held ---------------------------------------------------------------------------


@pytest.mark.parametrize("inferred", [True, False])
@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_strings_of_pandas(storage, inferred):
    rng = np.random.default_rng(0)
    letters, y = rng.choice(list("abc"), 300), rng.normal(size=300)
    expected = glm("y ~ c", pa.table({"c": letters.tolist(), "y": y})).estimate_
    with pd.option_context("mode.string_storage", storage, "future.infer_string", inferred):
        for dtype in (object, "string", "str", "category"):
            frame = pd.DataFrame({"c": pd.Series(letters.tolist(), dtype=dtype), "y": y})
            e = glm("y ~ c", frame).estimate_
            assert e.names == expected.names
            np.testing.assert_allclose(e.values, expected.values, rtol=1e-13)


LAYOUTS = {
    "column by column": np.asfortranarray,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "from the end": lambda X: X[::-1].copy()[::-1],
    "part of a wider array": lambda X: np.column_stack([X, X])[:, : X.shape[1]],
    "other byte order": lambda X: X.astype(X.dtype.newbyteorder()),
    "read-only": lambda X: _frozen(X.copy()),
    "objects": lambda X: X.astype(object),
    "unaligned": lambda X: _unaligned(X),
    "frame": lambda X: pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]),
    "list": lambda X: X.tolist(),
}


def _frozen(X):
    X.setflags(write=False)
    return X


def _unaligned(X):
    held = np.zeros(X.nbytes + 1, np.uint8)
    out = np.ndarray(X.shape, X.dtype, held, 1)
    out[:] = X
    return out


def state(estimator):
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_")
        and not name.startswith("_")
        and isinstance(value, np.ndarray)
        and value.dtype.kind in "fiub"
    }


@pytest.mark.parametrize("name", NAMES)
def test_layouts_of_arrays(name, made, fit, rows):
    X, y = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = state(fit(name, made(name), X, y))
        for layout, change in LAYOUTS.items():
            kept = X.copy()
            found = state(fit(name, made(name), change(X), _frozen(y.copy())))
            np.testing.assert_array_equal(X, kept, err_msg=f"{layout}: the caller's array changed")
            assert sorted(found) == sorted(expected), layout
            for key, value in expected.items():
                np.testing.assert_allclose(
                    found[key], value, rtol=1e-6, atol=1e-8, equal_nan=True, err_msg=f"{layout}: {key}"
                )


def test_float32_and_sparse_rows_are_the_same_numbers():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(500, 4)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=500) > 1).astype(int)
    expected = GLMClassifier().fit(X.astype(float), y).coef_
    for other in (
        X,
        X.astype(np.int8),
        X.astype(bool).astype(np.float32) * X,
        sparse.csr_array(X),
        sparse.csc_array(X),
    ):
        np.testing.assert_allclose(GLMClassifier().fit(other, y).coef_, expected, rtol=1e-9)
    for dtype in (np.float32, np.int32, np.uint8, bool, ">f8"):
        response = y.astype(dtype)
        np.testing.assert_allclose(GLMRegressor("binomial").fit(X, response).coef_, expected[0], rtol=1e-9)
