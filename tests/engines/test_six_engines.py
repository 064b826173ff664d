"""Six engines, one table: the same bits from each, with a Dask worker killed in the middle of a fit.

``python tests/engines/test_six_engines.py`` prints the tables.
"""

import os
import signal
import sys

import pytest

from statkit import glm
from statkit.datasets import flights_path
from statkit.plans import Exact

pytestmark = pytest.mark.engines

FORMULA = "I(delay > 15) ~ distance + C(hour(date)) + C(origin == 'ATL')"


class KillsAWorker(Exact):
    """The exact plan, with one worker of the cluster killed after some answers of a round."""

    victim = None

    def estimate(self, problem):
        session = problem.session
        answers = session._answers

        def interrupted(task, args, chosen):
            for number, answer in enumerate(answers(task, args, chosen)):
                if number == 2 and len(chosen) > 4 and KillsAWorker.victim is not None:
                    os.kill(KillsAWorker.victim, signal.SIGKILL)
                    KillsAWorker.victim = None
                yield answer

        session._answers = interrupted
        return super().estimate(problem)

    def __repr__(self):
        return "Exact()"


def table(engine, **options):
    """The coefficients, to the last bit, as text."""
    fit = glm(FORMULA, flights_path(), family="binomial", engine=engine, n_jobs=2, **options)
    e = fit.estimate_
    figures = (e.llf.hex(), e.deviance.hex(), e.nobs)
    return "\n".join(
        [str(figures)]
        + [f"{n:32} {b.hex():24} {s.hex()}" for n, b, s in zip(e.names, e.values, e.bse, strict=True)]
    ), e.to_frame().round(5).to_string()


def test_the_same_bits_from_all_and_after_a_worker_was_killed(dask_client, ray_module, spark_session):
    bits, shown = table("serial")
    for engine in ("threads", "processes", dask_client, ray_module, spark_session):
        assert table(engine)[0] == bits
    KillsAWorker.victim = next(iter(dask_client.run(os.getpid).values()))
    assert table(dask_client, plan=KillsAWorker())[0] == bits
    assert KillsAWorker.victim is None, "no worker was killed"
    dask_client.wait_for_workers(2, timeout=180)


def main():
    import dask
    import ray
    from distributed import Client, LocalCluster
    from pyspark.sql import SparkSession

    dask.config.set({"distributed.deploy.lost-worker-timeout": "300s"})
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    spark = SparkSession.builder.master("local[2, 4]").config("spark.ui.enabled", "false").getOrCreate()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        engines = {
            "serial": "serial",
            "threads": "threads",
            "processes": "processes",
            "dask": client,
            "ray": ray,
        }
        first = None
        for name, engine in (engines | {"spark": spark}).items():
            bits, shown = table(engine)
            first = first or bits
            print(f"\n{name}: {'the same bits' if bits == first else 'OTHER BITS'}\n{shown}")
        KillsAWorker.victim = next(iter(client.run(os.getpid).values()))
        bits, shown = table(client, plan=KillsAWorker())
        print(f"\ndask, a worker killed: {'the same bits' if bits == first else 'OTHER BITS'}\n{shown}")
    ray.shutdown()
    spark.stop()


if __name__ == "__main__":
    main()
