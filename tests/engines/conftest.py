"""Real clusters on this machine, started once: Dask over TCP, Ray, Spark."""

import os
import sys

import pytest


@pytest.fixture(scope="session")
def dask_client():
    distributed = pytest.importorskip("distributed")
    import dask

    # A worker that takes longer to come back is given up by LocalCluster, which a busy machine would make it.
    dask.config.set({"distributed.deploy.lost-worker-timeout": "300s"})
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, protocol="tcp"
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="session")
def ray_module():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="session")
def spark_session():
    sql = pytest.importorskip("pyspark.sql")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    options = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
    builder = sql.SparkSession.builder.master(
        "local[2, 4]"
    )  # four attempts: the default of one would fail at once
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(params=["dask_client", "ray_module", "spark_session"])
def cluster(request):
    return request.getfixturevalue(request.param)
