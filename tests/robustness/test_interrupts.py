"""Ctrl-C in the middle of a fit: the estimator is as it was; the command ends with 130, one line, and nothing left."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from statkit import all_estimators
from statkit.datasets import write_glm_parquet

NAMES = [name for name, _ in all_estimators()]


@contextlib.contextmanager
def interrupted_after(seconds):
    """A KeyboardInterrupt at the first line of Python after some time, as Ctrl-C raises it."""
    over = False

    def interrupt(*_):
        if not over:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # what is raised while garbage is collected is lost, in callbacks of the test's own tools too
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        over = True
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_fit_leaves_the_earlier_one(name, made, fit, rows):
    X, y = rows
    estimator = made(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = np.inf  # the quickest of some: half of it is not after the end of another fit
        for _ in range(4):
            start = time.perf_counter()
            fit(name, estimator, X[:30], y[:30])
            whole = min(whole, time.perf_counter() - start)
        fit(name, estimator, X, y)
        for share in (0.1, 0.5):
            before = dict(vars(estimator))
            try:
                with interrupted_after(max(share * whole, 1e-4)):
                    fit(name, estimator, X[:30], y[:30])
            except (
                KeyboardInterrupt,
                SystemError,
                TypeError,
            ):  # the last two: what C code makes of the first
                now = vars(estimator)
                assert sorted(now) == sorted(before)
                assert all(now[k] is before[k] for k in before)
        fit(name, estimator, X, y)


# -- the command, as a process of its own ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_glm_parquet(
        folder / "rows.parquet", 40_000, 3, family="binomial", random_state=0, row_group_size=2_000
    )
    import pyarrow.parquet as pq

    pq.read_table(folder / "rows.parquet").to_pandas().to_csv(folder / "rows.csv", index=False)
    return folder


#: Runs the command, slowed down so that a signal meets it in the middle, and says when it has begun to compute.
SLOW = """
import sys, time
import statkit.regression._fit as fit
load = fit.load_block
def slowly(*args):
    print("started", file=sys.stderr, flush=True)
    time.sleep(0.2)
    return load(*args)
fit.load_block = slowly
from statkit.cli import main
main(sys.argv[1:])
"""


def alive(group):
    """Processes of a group that are still there (zombies are not)."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(pid))
    return found


def run_and_signal(arguments, folder, number, whole_group, wait=0.5):
    """Exit code, standard error, and what is left: files in the temporary folder, processes of the group."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments],
        env=os.environ | {"TMPDIR": str(folder), "JOBLIB_TEMP_FOLDER": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    said = []
    begun = threading.Event()

    def listen():
        for line in process.stderr:
            said.append(line)
            if "started" in line:
                begun.set()
        begun.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert begun.wait(120)
    time.sleep(wait)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    try:
        process.wait(60)
        left = alive(process.pid)
        until = time.time() + 20
        while left and time.time() < until:  # workers end when their parent has
            time.sleep(0.2)
            left = alive(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        listener.join()
        process.stdout.close()
    lines = [line for line in said if "started" not in line]
    return process.returncode, "".join(lines), os.listdir(folder), left


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("rows", "engine"),
    [
        ("rows.csv", "threads"),
        ("rows.csv", "processes"),
        pytest.param("rows.csv", "serial", marks=pytest.mark.slow),
        pytest.param("rows.parquet", "threads", marks=pytest.mark.slow),
        pytest.param("rows.parquet", "processes", marks=pytest.mark.slow),
    ],
)
def test_control_c_in_a_terminal(rows, engine, data, tmp_path):
    arguments = [
        "fit",
        "y ~ x0",
        str(data / rows),
        "--family",
        "binomial",
        "--engine",
        engine,
        "--n-jobs",
        "2",
    ]
    model = tmp_path / "out" / "model"
    model.parent.mkdir()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    code, said, files, left = run_and_signal(
        [*arguments, "--save", str(model)], temporary, signal.SIGINT, whole_group=True
    )
    assert code == 130, said
    assert said == "statkit: interrupted\n"
    assert files == [] and left == []
    assert os.listdir(model.parent) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_a_job_that_is_told_to_end(engine, data, tmp_path):
    """Schedulers of jobs, ``kill`` and ``timeout`` send SIGTERM: copies of the rows must not stay behind."""
    arguments = ["fit", "y ~ x0", str(data / "rows.csv"), "--engine", engine, "--n-jobs", "2"]
    code, said, files, left = run_and_signal(arguments, tmp_path, signal.SIGTERM, whole_group=False)
    assert code == 143, said
    assert said == "statkit: terminated\n"
    assert files == [] and left == []


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
def test_workers_end_with_a_parent_that_was_killed(data, tmp_path):
    arguments = ["fit", "y ~ x0", str(data / "rows.parquet"), "--engine", "processes", "--n-jobs", "2"]
    code, _, _, left = run_and_signal(arguments, tmp_path, signal.SIGKILL, whole_group=False)
    assert code == -signal.SIGKILL
    assert left == []


@pytest.mark.parametrize("engine", ["serial", "threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_an_interrupted_session_can_be_used_again(engine, data):
    from statkit.engines import resolve_engine
    from statkit.regression import GLMRegressor

    path = str(data / "rows.parquet")
    made = resolve_engine(engine, 2)
    model = GLMRegressor("binomial", formula="y ~ x0 + x1", engine=made).fit(path)
    expected = model.coef_.copy()
    for seconds in (0.02, 0.1):
        try:
            with interrupted_after(seconds):
                model.fit(path)
        except KeyboardInterrupt:
            pass
        np.testing.assert_array_equal(model.coef_, expected)
    np.testing.assert_array_equal(model.fit(path).coef_, expected)
