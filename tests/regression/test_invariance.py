"""The same rows give the same answer: engines, partitions, reading sizes, weights for repeated rows, kinds of frame."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from statkit import glm
from statkit.datasets import make_glm
from statkit.plans import Exact
from statkit.regression import GLMRegressor
from statkit.sources import as_source

FORMULA = "y ~ x0 + poly(x1, 2) + C(c0) + x0:C(c0)"
FAMILIES = ["gaussian", "binomial", "poisson", "gamma"]


def frame(family="binomial", n=30_000):
    data, y, _ = make_glm(n, 3, family=family, n_levels=(5,), random_state=3, as_frame=True)
    return data.assign(y=y.astype(float), w=1.0 + np.arange(n) % 3)


def numbers(fit):
    e = fit.estimate_
    return np.concatenate([e.params, e.bse, [e.llf, e.deviance, e.null_deviance]])


def partitioned(data, rows):
    return as_source(data, rows_per_partition=rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_engines_give_the_same_bits(family):
    data = frame(family)
    runs = [
        glm(FORMULA, partitioned(data, 3_000), family, weights="w", engine=engine, n_jobs=jobs)
        for engine, jobs in [("serial", 1), ("threads", 2), ("threads", 5)]
    ]
    for other in runs[1:]:
        assert (numbers(other) == numbers(runs[0])).all()


@pytest.mark.engines
def test_processes_give_the_same_bits(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(frame(), preserve_index=False), path, row_group_size=7_000)
    serial, processes = (glm(FORMULA, path, "binomial", engine=e, n_jobs=2) for e in ("serial", "processes"))
    assert (numbers(serial) == numbers(processes)).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC1"])
def test_partitions_move_only_the_last_digits(family, cov_type):
    data = frame(family)
    strict = {"plan": Exact(tol=1e-10), "cov_type": cov_type, "weights": "w"}
    whole = numbers(glm(FORMULA, partitioned(data, 30_000), family, **strict))
    for rows in (1_000, 4_097, 29_999):
        np.testing.assert_allclose(
            numbers(glm(FORMULA, partitioned(data, rows), family, **strict)), whole, rtol=1e-11
        )


def test_caching_changes_nothing(tmp_path):
    from statkit.engines import ThreadsEngine

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(frame(), preserve_index=False), path, row_group_size=7_000)
    kept, read_again, some = (
        glm(FORMULA, path, "binomial", engine=ThreadsEngine(2, cache_bytes=b)) for b in (2**30, 0, 600_000)
    )
    assert (numbers(kept) == numbers(read_again)).all() and (numbers(kept) == numbers(some)).all()


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_weights_stand_for_repeated_rows(family):
    data = frame(family, 3_000)
    repeated = data.loc[data.index.repeat(data.w.astype(int))].reset_index(drop=True)
    strict = Exact(tol=1e-12)
    formula = "y ~ x0 + x1 + C(c0)"
    weighted = glm(formula, data, family, weights="w", plan=strict).estimate_
    plain = glm(formula, repeated, family, plan=strict).estimate_
    np.testing.assert_allclose(weighted.params, plain.params, rtol=1e-9)
    np.testing.assert_allclose(weighted.bse, plain.bse, rtol=1e-9)
    np.testing.assert_allclose(weighted.deviance, plain.deviance, rtol=1e-10)


def test_rows_of_weight_zero_are_not_there():
    data = frame("binomial", 3_000)
    half = data.assign(w=(np.arange(3_000) % 2).astype(float))
    formula = "y ~ x0 + x1 + C(c0)"
    weighted = glm(formula, half, "binomial", weights="w").estimate_
    plain = glm(formula, data[half.w > 0], "binomial").estimate_
    np.testing.assert_allclose(weighted.params, plain.params, rtol=1e-9)
    assert weighted.nobs == plain.nobs and weighted.df_resid == plain.df_resid


def test_frames_of_every_kind_agree():
    import polars as pl

    data = frame("binomial", 4_000).drop(columns="w")
    data["flag"] = data.x2 > 0
    data["whole"] = pd.array(np.round(3 * data.x0), dtype="Int64")
    data["text"] = data.c0.astype(str)
    arrow = pa.Table.from_pandas(data, preserve_index=False)
    kinds = {
        "pandas": data,
        "categories": data.assign(text=data.text.astype("category")),
        "polars": pl.from_pandas(data),
        "lazy": pl.from_pandas(data).lazy(),
        "arrow": arrow,
        "dictionary": arrow.set_column(
            arrow.schema.get_field_index("text"), "text", arrow["text"].dictionary_encode()
        ),
        "float32": data.assign(x1=data.x1.astype(np.float32).astype(np.float64)),
    }
    formula = "y ~ x0 + flag + whole + text"
    expected = glm(formula, data, "binomial").estimate_.to_frame()
    for name, kind in kinds.items():
        found = glm(formula, kind, "binomial").estimate_.to_frame()  # a dictionary's levels keep its order
        np.testing.assert_allclose(found.loc[expected.index], expected, rtol=1e-8, atol=1e-12, err_msg=name)


def test_single_precision_is_read_as_what_it_is():
    X, y, _ = make_glm(2_000, 3, family="poisson", random_state=0)
    single = X.astype(np.float32)
    of_single, of_double = (
        GLMRegressor("poisson").fit(A, y).estimate_ for A in (single, single.astype(float))
    )
    np.testing.assert_allclose(of_single.params, of_double.params, rtol=1e-10)
