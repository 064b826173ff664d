"""Files of simulated rows: those of `make_glm`, however the file is cut, and never half a file."""

import os
import subprocess
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest

from statkit.datasets import make_glm, write_glm_parquet
from statkit.datasets.glm_simulator import BLOCK_ROWS


@pytest.mark.parametrize("row_group_size", [1_000, BLOCK_ROWS, 100_000, 10**7])
def test_rows_do_not_depend_on_row_groups(tmp_path, row_group_size):
    n, options = BLOCK_ROWS + 10_001, {"family": "negative_binomial", "n_levels": (5,), "random_state": 1}
    path = tmp_path / "rows.parquet"
    truth = write_glm_parquet(path, n, 3, row_group_size=row_group_size, **options)
    X, y, expected = make_glm(n, 3, as_frame=True, **options)
    pd.testing.assert_series_equal(truth, expected)
    frame = pq.read_table(path).to_pandas()
    pd.testing.assert_frame_equal(frame.drop(columns="y"), X, check_exact=True)
    pd.testing.assert_series_equal(frame["y"], y, check_exact=True)
    sizes = [
        g.num_rows
        for g in map(pq.read_metadata(path).row_group, range(pq.read_metadata(path).num_row_groups))
    ]
    assert sum(sizes) == n and set(sizes[:-1]) <= {row_group_size} and sizes[-1] <= row_group_size


def test_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"precious")
    with pytest.raises(ValueError, match="positive linear predictor"):
        write_glm_parquet(path, 100_000, 2, family="gamma", link="inverse", intercept=0.75, random_state=0)
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["rows.parquet"]


def test_no_frame_option(tmp_path):
    with pytest.raises(TypeError, match="as_frame"):
        write_glm_parquet(tmp_path / "rows.parquet", 10, as_frame=True)


@pytest.mark.slow
def test_memory_is_bounded(tmp_path):
    code = (
        "import resource, sys; from statkit.datasets import write_glm_parquet; "
        "import pandas, pyarrow.parquet; rss = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "write_glm_parquet(sys.argv[1], 200_000, 10, random_state=0); before = rss(); "
        "write_glm_parquet(sys.argv[1], 3_000_000, 10, random_state=0); print(rss() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "rows.parquet")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 120_000  # kB; the rows are 264 MB
    assert pq.read_metadata(tmp_path / "rows.parquet").num_rows == 3_000_000
