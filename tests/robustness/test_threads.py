"""Several threads at once: the same bits as one after the other, and the warnings and limits of nobody else."""

from __future__ import annotations

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from statkit import all_estimators, glm
from statkit.datasets import write_glm_parquet
from statkit.plans import Renewable, Subsample
from statkit.regression import GLMClassifier, GLMRegressor, QuantileRegressor

NAMES = [name for name, _ in all_estimators()]
#: What can be asked of a fitted estimator by many at once.
ASKED = ("predict", "predict_proba", "transform", "predict_interval", "conf_int")


def asked(name, estimator, X):
    """All answers of an estimator, as bytes."""
    found = []
    for method in ASKED:
        if hasattr(estimator, method):
            arguments = () if method == "conf_int" else (X,)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = getattr(estimator, method)(*arguments)
            for part in answer if isinstance(answer, tuple) else [answer]:
                found.append(np.asarray(part).tobytes())
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_eight_threads_ask_one_estimator(name, made, fit, rows):
    X, y = rows
    estimator = fit(name, made(name), X, y)
    X = np.column_stack([y, y, 1 - y]) if name == "DawidSkene" else X
    alone = asked(name, estimator, X)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda _: asked(name, estimator, X), range(16)))
    assert all(answer == alone for answer in together)


def state(estimator):
    """The numbers that a fit leaves, as bytes."""
    return [
        (name, np.asarray(value).tobytes())
        for name, value in sorted(vars(estimator).items())
        if name.endswith("_") and not name.startswith("_") and isinstance(value, np.ndarray | float)
    ]


@pytest.mark.filterwarnings("ignore")
def test_all_estimators_fit_at_once(made, fit, rows):
    """Each in a thread of its own, in two orders: what one does is nothing to another."""
    X, y = rows
    names = [name for name in NAMES if name != "MissDAGCV"]  # half of the time of all others

    def one(name):
        return state(fit(name, made(name), X.copy(), y.copy()))

    alone = {name: one(name) for name in names}
    for order in (names, names[::-1]):
        with ThreadPoolExecutor(8) as pool:
            together = dict(zip(order, pool.map(one, order), strict=True))
        for name in names:
            assert together[name] == alone[name], name


def test_fits_of_files_and_streams_at_once(tmp_path):
    path = tmp_path / "rows.parquet"
    write_glm_parquet(path, 8_000, 3, family="binomial", random_state=0, row_group_size=1_000)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_000, 3))
    y = (X[:, 0] + rng.normal(size=3_000) > 0).astype(int)

    def stream():
        model = GLMClassifier(plan=Renewable())
        for start in range(0, 3_000, 500):
            model.partial_fit(X[start : start + 500], y[start : start + 500], classes=[0, 1])
        return model

    jobs = [
        lambda: glm("y ~ x0 + x1 + poly(x2, 2)", path, "binomial"),
        lambda: glm("y ~ x0", path, "binomial", plan=Subsample(500), random_state=3),
        lambda: GLMRegressor("poisson", n_jobs=2).fit(X, y),
        lambda: QuantileRegressor(quantile=0.3).fit(X, X[:, 0]),
        lambda: GLMClassifier(alpha=0.01, l1_ratio=0.5).fit(X, y),
        stream,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = [job().coef_.tobytes() for job in jobs]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda i: jobs[i % len(jobs)]().coef_.tobytes(), range(4 * len(jobs))))
    for i, answer in enumerate(together):
        assert answer == alone[i % len(jobs)], i % len(jobs)


def test_the_limit_on_blas_threads_is_lifted_when_the_last_one_leaves():
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    X = np.random.default_rng(0).normal(size=(2_000, 3))
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: GLMRegressor().fit(X, X[:, 0]), range(16)))
        assert threads() == before


FIRST = """
import threading, warnings
import numpy as np
warnings.simplefilter("ignore")
from statkit.regression import GLMClassifier, QuantileRegressor
from statkit.cluster import PAC
X = np.random.default_rng(0).normal(size=(400, 3))
y = (X[:, 0] > 0.3 * X[:, 1]).astype(int)
answers, failed = {}, []
start = threading.Barrier(6)
def work(i):
    try:
        start.wait()
        if i < 3:
            answers[i] = GLMClassifier(alpha=0.1).fit(X, y).coef_.tobytes()
        else:
            answers[i] = PAC(2, random_state=0).fit(X).probabilities_.tobytes()
    except BaseException as error:
        failed.append(repr(error))
threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not failed, failed
assert answers[0] == answers[1] == answers[2] and answers[3] == answers[4] == answers[5]
print("same")
"""


@pytest.mark.slow
def test_kernels_compiled_by_several_threads_at_once(tmp_path):
    """With an empty cache, so that they are compiled, and not loaded, while others ask for them."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", FIRST], env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "same\n", done.stderr[-2_000:]
