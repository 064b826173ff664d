"""The rows of `make_glm` as a Parquet file of any size, in bounded memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from statkit._replaced import replaced
from statkit.datasets.glm_simulator import GLMSimulation, glm_simulation, whole_number

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def write_glm_parquet(
    path: str | os.PathLike[str],
    n_samples: int,
    n_features: int = 5,
    *,
    row_group_size: int = 262_144,
    compression: str = "zstd",
    **options: Any,
) -> pd.Series:
    """Write a simulated regression to a Parquet file, however many rows it has.

    The rows are those of ``make_glm(n_samples, n_features, **options)``, the same for every
    `row_group_size`. Memory holds one row group. The file appears when it is complete.

    Parameters
    ----------
    path : str or path-like
        The file to write; one that exists is replaced.
    n_samples, n_features : int
        Rows and numeric columns.
    row_group_size : int, default=262144
        Rows of a row group: what a reader takes at a time.
    compression : str, default="zstd"
        "zstd", "snappy", "lz4", "gzip" or "none".
    **options
        Of `make_glm`, except ``as_frame``.

    Returns
    -------
    coef : Series
        The truth, as `make_glm` returns it with ``as_frame=True``.

    Raises
    ------
    ValueError
        If an option does not fit the family, or the linear predictor leaves the domain of the link.

    Examples
    --------
    >>> import os, tempfile
    >>> from statkit.datasets import write_glm_parquet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "simulated.parquet")
    ...     coef = write_glm_parquet(path, 10_000, 2, family="poisson", random_state=0)
    >>> list(coef.index)
    ['Intercept', 'x0', 'x1']
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_samples = whole_number("n_samples", n_samples, least=1)
    row_group_size = whole_number("row_group_size", row_group_size, least=1)
    simulation = glm_simulation(n_features, **options)
    tables = _tables(simulation, n_samples)
    first = next(tables)
    waiting: list[pa.Table] = []
    n_waiting = 0
    with (
        replaced(path) as unfinished,
        pq.ParquetWriter(unfinished, first.schema, compression=compression) as writer,
    ):
        for table in itertools.chain([first], tables):
            waiting.append(table)
            n_waiting += len(table)
            while n_waiting >= row_group_size:
                joined = pa.concat_tables(waiting)
                writer.write_table(joined.slice(0, row_group_size), row_group_size=row_group_size)
                waiting = [joined.slice(row_group_size)]
                n_waiting -= row_group_size
        if n_waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=row_group_size)
    return simulation.truth


def _tables(simulation: GLMSimulation, n_samples: int) -> Iterator[pa.Table]:
    import numpy as np
    import pyarrow as pa

    levels = {name: pa.array(names) for name, names in simulation.levels.items()}
    for X, codes, y in simulation.blocks(n_samples):
        columns = {name: pa.array(np.ascontiguousarray(X[:, j])) for j, name in enumerate(simulation.names)}
        for (name, dictionary), drawn in zip(levels.items(), codes, strict=True):
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(drawn), dictionary)
        columns["y"] = pa.array(y)
        yield pa.table(columns)
