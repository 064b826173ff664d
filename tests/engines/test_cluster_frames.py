"""Frames that are on a cluster already: read where they are, numbered, checked, equal to the pandas fit."""

import os
import signal

import numpy as np
import pandas as pd
import pytest

from statkit.engines import resolve_engine
from statkit.plans import LeastSquaresApproximation
from statkit.regression import GLMClassifier, GLMRegressor, glm
from statkit.sources import DaskSource, RaySource, SparkSource, as_source

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FORMULA = "y ~ x0 + poly(x1, 2) + C(c) + hour(t)"
N = 3_000


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x0": rng.normal(size=N), "x1": rng.normal(size=N)})
    frame["c"] = rng.choice(["a", "b", "ü"], N)
    frame["t"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**6, N), "s")
    frame["k"] = rng.integers(0, 4, N)
    eta = 0.3 * frame["x0"] - 0.2 * frame["x1"] + 0.4 * (frame["c"] == "b")
    frame["y"] = rng.poisson(np.exp(eta)).astype(float)
    frame.loc[::97, "x0"] = np.nan
    return frame


class Dask:
    kind = DaskSource

    def __init__(self, client):
        self.engine = client

    def frame(self, frame, n=5):
        import dask.dataframe as dd

        return dd.from_pandas(frame, npartitions=n, sort=False)


class Ray:
    kind = RaySource

    def __init__(self, ray):
        self.engine = ray

    def frame(self, frame, n=5):
        import ray.data

        pieces = np.array_split(np.arange(len(frame)), n)
        return ray.data.from_pandas([frame.iloc[rows] for rows in pieces])


class Spark:
    kind = SparkSource

    def __init__(self, session):
        self.engine = session

    def frame(self, frame, n=5):
        # createDataFrame deals rows to slices in order, so that numbers can be compared.
        return self.engine.createDataFrame(frame).repartition(n)


@pytest.fixture(scope="session", params=["dask", "ray", "spark"])
def system(request):
    name = {"dask": "dask_client", "ray": "ray_module", "spark": "spark_session"}[request.param]
    client = request.getfixturevalue(name)
    return {"dask": Dask, "ray": Ray, "spark": Spark}[request.param](client)


def test_fit_equals_that_of_pandas(system, frame):
    here = glm(FORMULA, frame, "poisson", engine="serial").estimate_
    far = glm(FORMULA, system.frame(frame), "poisson", engine=system.engine).estimate_
    np.testing.assert_allclose(far.values, here.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(far.bse, here.bse, rtol=1e-10)
    assert far.nobs == here.nobs and far.rows_missing == here.rows_missing
    assert far.names == here.names


def test_other_engines_read_a_copy_with_the_same_partitions(system, frame):
    ours = system.frame(frame)
    far = glm(FORMULA, ours, "poisson", engine=system.engine).estimate_
    for engine in ("serial", "processes"):
        here = glm(FORMULA, ours, "poisson", engine=engine, n_jobs=2).estimate_
        np.testing.assert_allclose(here.values, far.values, rtol=0, atol=1e-12)


def test_partitions_are_numbered_in_order_and_read_where_they_are(system, frame):
    frame = frame.assign(row=np.arange(N))
    source = as_source(system.frame(frame))
    assert isinstance(source, system.kind) and str(source.schema["x0"]) == "double"
    engine = resolve_engine(system.engine)
    with source, source.on(engine, ["row", "x0"]) as held:
        partitions = held.partitions()
        assert [p.key for p in partitions] == list(range(len(partitions)))
        assert [p.first_row for p in partitions] == np.cumsum(
            [0, *[p.n_rows for p in partitions[:-1]]]
        ).tolist()
        assert held.n_rows == N and all(p.held is not None for p in partitions)
        with engine.open(_Load(held), partitions, cache=False) as session:
            first = session.round(total, ["row", "x0"])
            assert first["n"] == N and first["sum"] == N * (N - 1) / 2
            assert session.round(total, ["row"], partitions=partitions[1:2])["n"] == partitions[1].n_rows
            again = session.round(total, ["row", "x0"])
            assert again == first
        if system.kind is not SparkSource:  # whose repartition moves rows
            rows = held.read(partitions[1], ["row"]).table["row"].to_pylist()
            assert rows == list(
                range(partitions[1].first_row, partitions[1].first_row + partitions[1].n_rows)
            )


class _Load:
    def __init__(self, source):
        self.source = source

    def __call__(self, partition):
        return self.source, partition


def total(block, columns):
    source, partition = block
    rows = source.read(partition, columns)
    return {"n": rows.n_rows, "sum": float(np.sum(rows.table["row"].to_numpy()))}


def test_empty_partitions_categories_objects_and_few_columns(system, frame):
    small = frame[["y", "x0", "c"]].dropna().head(40).copy()
    small["c"] = pd.Categorical(small["c"]) if system.kind is DaskSource else small["c"]
    many = system.frame(small, 5)
    if system.kind is DaskSource:
        many = many[many["x0"] > many["x0"].partitions[0].max().compute()]
        small = small[small["x0"] > small["x0"].head(8).max()]
    here = glm("y ~ x0", small, engine="serial").estimate_
    far = glm("y ~ x0", many, engine=system.engine).estimate_
    np.testing.assert_allclose(far.values, here.values, atol=1e-11)
    with pytest.raises(ValueError, match="did you mean 'x0'"):
        glm("y ~ x00", many, engine=system.engine)


def test_estimators_prediction_and_plans(system, frame):
    clean = frame.dropna()[["x0", "x1", "k", "y"]]
    labels = clean.assign(late=clean["y"] > 1).drop(columns="y")
    ours = system.frame(labels)
    far = GLMClassifier(engine=system.engine).fit(ours, "late")
    here = GLMClassifier(engine="serial").fit(labels, "late")
    np.testing.assert_allclose(far.coef_, here.coef_, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        np.sort(far.predict_proba(system.frame(labels.drop(columns="late")))[:, 1]),
        np.sort(here.predict_proba(labels.drop(columns="late"))[:, 1]), atol=1e-12,
    )  # fmt: skip
    plan = LeastSquaresApproximation(partition_by="k")
    by_k = glm("y ~ x0 + x1", system.frame(clean), "poisson", plan=plan, engine=system.engine).estimate_
    assert len(by_k.partitions) == 4
    expected = glm("y ~ x0 + x1", clean, "poisson", plan=plan, engine="serial").estimate_
    np.testing.assert_allclose(by_k.values, expected.values, atol=1e-10)


def test_arrays_beside_a_frame(system, frame):
    clean = frame.dropna()[["x0", "x1"]]
    if system.kind is SparkSource:
        pytest.skip("the order of its rows is Spark's")
    y = clean["x0"].to_numpy() * 2 + np.random.default_rng(1).normal(size=len(clean))
    far = GLMRegressor(engine=system.engine).fit(system.frame(clean), y)
    np.testing.assert_allclose(far.coef_, GLMRegressor(engine="serial").fit(clean, y).coef_, atol=1e-12)
    with pytest.raises(ValueError, match="rows"):
        GLMRegressor(engine=system.engine).fit(system.frame(clean), y[:-1])


def test_rows_that_change_between_rounds_are_detected(dask_client):
    import dask
    import dask.dataframe as dd

    def part(i):
        return pd.DataFrame({"row": np.random.default_rng().normal(size=10)})

    frame = dd.from_delayed(
        [dask.delayed(part, pure=False)(i) for i in range(3)],
        meta=pd.DataFrame({"row": np.empty(0)}), verify_meta=False,
    )  # fmt: skip
    engine = resolve_engine(dask_client)
    with as_source(frame).on(engine, ["row"]) as held:
        with engine.open(_Load(held), held.partitions(), cache=False) as session:
            before = session.round(total, ["row"])
            assert session.round(total, ["row"]) == before
            for pid in dask_client.run(os.getpid).values():
                os.kill(pid, signal.SIGKILL)  # what was held is computed again, with other random numbers
            dask_client.wait_for_workers(2, timeout=180)
            with pytest.raises(ValueError, match="changed between rounds"):
                session.round(total, ["row"])
