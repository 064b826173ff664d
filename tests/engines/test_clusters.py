"""Real Dask, Ray and Spark on this machine: the bits of the serial engine, errors as they were raised, lost workers."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.base import clone

from statkit.datasets import write_glm_parquet
from statkit.engines import resolve_engine
from statkit.regression import GLMRegressor, glm

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("rows") / "rows.parquet")
    write_glm_parquet(path, 40_000, 3, family="binomial", random_state=0, row_group_size=5_000)
    return path


@pytest.fixture(scope="module")
def exact(path):
    return glm("y ~ x0 + x1 + x2", path, "binomial", engine="serial").estimate_


def test_same_bits_as_serial(cluster, path, exact):
    far = glm("y ~ x0 + x1 + x2", path, "binomial", engine=cluster).estimate_
    assert (far.params == exact.params).all() and (far.bse == exact.bse).all() and far.llf == exact.llf


def test_data_in_memory(cluster):
    X = np.random.default_rng(0).normal(size=(100_000, 2))
    y = X @ [1.0, 2.0] + np.random.default_rng(1).normal(size=100_000)
    here, far = GLMRegressor(engine="serial").fit(X, y), GLMRegressor(engine=cluster).fit(X, y)
    assert (here.coef_ == far.coef_).all()
    assert "client" not in str(vars(far.estimate_)).lower()


def test_errors_come_back_as_they_were_raised(cluster, path):
    with pytest.raises(ValueError, match=r"poisson needs y >= 0.*row \d+"):
        glm("I(x0) ~ x1", path, "poisson", engine=cluster)


def test_fitted_estimators_carry_no_client(dask_client, path):
    import pickle

    fit = glm("y ~ x0", path, "binomial", engine=dask_client)
    kept = pickle.dumps(fit)
    assert b"distributed" not in kept and b"tcp://" not in kept
    back = pickle.loads(kept)
    assert back.engine == "threads" and (back.coef_ == fit.coef_).all()
    assert b"distributed" not in pickle.dumps(fit.estimate_)
    assert clone(fit).engine is dask_client


def fails_once(block, flag):
    """Dies with its whole process the first time, as a worker that runs out of memory."""
    if not os.path.exists(flag):
        open(flag, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"sum": float(block.y.sum())}


def opened(path, engine, **options):
    from functools import partial

    from statkit.design import FormulaDesign
    from statkit.families import resolve_family
    from statkit.regression._fit import load_block
    from statkit.sources import as_source

    source = as_source(path)
    design = FormulaDesign("y ~ x0", source.schema).freeze(None)
    load = partial(load_block, source, design, resolve_family("binomial"))
    return engine.open(load, source.partitions(), **options)


def test_a_worker_that_dies_in_a_round_is_made_up_for(cluster, path, tmp_path):
    with opened(path, resolve_engine("serial")) as session:
        expected = session.round(slow_sum, 0.0)
    with opened(path, resolve_engine(cluster)) as session:
        assert session.round(fails_once, str(tmp_path / "died")) == expected
        assert (tmp_path / "died").exists()
        assert session.round(slow_sum, 0.0) == expected
    if hasattr(cluster, "wait_for_workers"):
        cluster.wait_for_workers(2, timeout=180)


def test_a_file_that_changes_between_rounds_is_detected(cluster, tmp_path):
    path = str(tmp_path / "rows.parquet")
    write_glm_parquet(path, 4_000, 1, family="binomial", random_state=0, row_group_size=1_000)
    with opened(path, resolve_engine(cluster), cache=False) as session:
        session.round(slow_sum, 0.0)
        time.sleep(0.02)
        write_glm_parquet(path, 4_000, 1, family="binomial", random_state=1, row_group_size=1_000)
        with pytest.raises(ValueError, match="changed"):
            session.round(slow_sum, 0.0)


def slow_sum(block, seconds):
    time.sleep(seconds)
    return {"sum": float(block.y.sum())}


def test_a_killed_dask_worker_changes_nothing(dask_client, path):
    with opened(path, resolve_engine(dask_client)) as session:
        before = session.round(slow_sum, 0.0)
        victim = next(iter(dask_client.run(os.getpid).values()))
        killer = subprocess.Popen(
            [sys.executable, "-c", f"import time,os; time.sleep(.4); os.kill({victim}, {signal.SIGKILL:d})"]
        )
        assert session.round(slow_sum, 0.3) == before
        killer.wait()
        dask_client.wait_for_workers(2, timeout=180)
        assert session.round(slow_sum, 0.0) == before


def test_engines_by_name(dask_client, ray_module, spark_session, path, exact):
    """What the command line gives: an address, or the name of a system that is running."""
    address = dask_client.scheduler.address.replace("tcp://", "dask://")
    for name in (address, "ray", "spark"):
        far = glm("y ~ x0 + x1 + x2", path, "binomial", engine=name).estimate_
        assert (far.params == exact.params).all(), name
    assert resolve_engine(address).client is resolve_engine(address).client


def test_the_command_line(dask_client, path, capfd):
    from statkit.cli import main

    tables = []
    for engine in ("serial", dask_client.scheduler.address.replace("tcp://", "dask://")):
        with pytest.raises(SystemExit) as caught:
            main(["fit", "y ~ x0 + x1", path, "--family", "binomial", "--engine", engine, "--output", "csv"])
        assert caught.value.code == 0
        tables.append(capfd.readouterr().out)
    assert tables[0] == tables[1] and "x1" in tables[0]


def test_nobody_answers(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("statkit.engines.dask._PATIENCE", 0.5)
    with pytest.raises(ConnectionError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        resolve_engine("dask://127.0.0.1:9")


@pytest.mark.parametrize("name", ["loky", "threading"])
def test_joblib_backends(name, path, exact):
    far = glm("y ~ x0 + x1 + x2", path, "binomial", engine=name, n_jobs=2).estimate_
    assert (far.params == exact.params).all()


@pytest.mark.parametrize(
    ("engine", "extra"), [("ray", "ray"), ("spark", "spark"), ("dask://127.0.0.1:1", "dask")]
)
def test_a_missing_package_names_its_extra(engine, extra, monkeypatch):
    for module in ("ray", "pyspark", "pyspark.sql", "distributed"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"statkit-methods\[{extra}\]"):
        resolve_engine(engine)
