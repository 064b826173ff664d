"""Files that change, break or go while they are read: the error names the file, and the estimator is as it was."""

from __future__ import annotations

import os
import pickle
import threading

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from statkit import glm
from statkit.cli import main
from statkit.datasets import write_glm_parquet
from statkit.decomposition import DistributedPCA
from statkit.engines import SerialEngine, ThreadsEngine
from statkit.plans import AveragedSGD, OneShot, Renewable, Subsample
from statkit.regression import GLMRegressor
from statkit.sources import CsvSource
from statkit.sources.parquet import ParquetSource

ENGINES = {"serial": SerialEngine(cache_bytes=0), "threads": ThreadsEngine(2, cache_bytes=0)}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rows.parquet"
    write_glm_parquet(path, 6_000, 2, family="binomial", random_state=0, row_group_size=1_000)
    return path


def replaced(path):
    write_glm_parquet(path, 6_000, 2, family="binomial", random_state=1, row_group_size=1_000)


def removed(path):
    os.remove(path)


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def grown(path):
    with open(path, "ab") as file:
        file.write(b"more")


def damaged(path):
    """Other bytes in the last row group, under the size and the time of before."""
    stat = path.stat()
    where = pq.read_metadata(path).row_group(5).column(0)
    with open(path, "r+b") as file:
        file.seek(where.dictionary_page_offset or where.data_page_offset)
        file.write(bytes(where.total_compressed_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def turned_into_a_folder(path):
    os.remove(path)
    path.mkdir()


CHANGES = (replaced, removed, truncated, grown, damaged, turned_into_a_folder)


@pytest.fixture
def after_reads(monkeypatch):
    """``after_reads(k, action)``: the action happens when the k-th partition has been read."""

    def plan(k, action):
        read, count, one = ParquetSource.read, [], threading.Lock()

        def counted(self, partition, columns=()):
            with one:  # other threads must not read on while the action takes its time
                rows = read(self, partition, columns)
                count.append(partition)
                if len(count) == k:
                    action()
            return rows

        monkeypatch.setattr(ParquetSource, "read", counted)

    return plan


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("reads", [2, 8])
def test_between_and_within_the_passes_of_a_fit(reads, change, engine, path, after_reads):
    earlier = pa.table({"x0": np.arange(20.0), "x1": np.arange(20.0) ** 2, "y": np.arange(20) % 2.0})
    model = GLMRegressor("binomial", formula="y ~ x0 + x1", engine=ENGINES[engine]).fit(earlier)
    before = pickle.dumps((model.coef_, model.estimate_.bse))
    after_reads(reads, lambda: change(path))
    with pytest.raises(ValueError, match=r"rows\.parquet"):
        model.fit(path)
    assert pickle.dumps((model.coef_, model.estimate_.bse)) == before


@pytest.mark.parametrize("change", [replaced, truncated, removed])
@pytest.mark.parametrize(
    "fit",
    [
        lambda path: glm("y ~ x0 + x1", path, "binomial", plan=Subsample(500), random_state=0, engine=ENGINES["serial"]),
        lambda path: glm("y ~ x0 + x1", path, "binomial", plan=Renewable(n_passes=2), engine=ENGINES["serial"]),
        lambda path: glm("y ~ x0 + x1", path, "binomial", plan=AveragedSGD(), engine=ENGINES["serial"]),
        lambda path: glm("y ~ x0 + x1", path, "binomial", plan=OneShot(4), engine=ENGINES["serial"]),
        lambda path: glm("y ~ x0 + x1", path, "binomial", alpha=0.01, l1_ratio=1.0, engine=ENGINES["serial"]),
        lambda path: DistributedPCA(2, engine=ENGINES["serial"]).fit(path),
    ],
    ids=["subsample", "renewable", "sgd", "one shot", "lasso", "pca"],
)  # fmt: skip
def test_in_other_plans(fit, change, path, after_reads):
    after_reads(3, lambda: change(path))
    with pytest.raises(ValueError, match=r"rows\.parquet"):
        fit(path)


@pytest.mark.parametrize("change", [replaced, truncated, damaged])
def test_worker_processes_see_it_too(change, path):
    from statkit.engines.processes import ProcessesEngine
    from statkit.plans import Exact

    class Meddles(Exact):
        def estimate(self, problem):
            whole = problem.session.round

            def round_and_change(*args, **options):
                problem.session.round = whole
                answer = whole(*args, **options)
                change(path)
                return answer

            problem.session.round = round_and_change
            return super().estimate(problem)

    engine = ProcessesEngine(1, cache_bytes=0)
    with pytest.raises(ValueError, match=r"rows\.parquet"):
        glm("y ~ x0 + x1", path, "binomial", plan=Meddles(), engine=engine)


def test_a_stream_absorbs_all_of_a_file_or_nothing(path):
    model = GLMRegressor("binomial", formula="y ~ x0 + x1", plan=Renewable(on_drift="ignore"))
    model.partial_fit(path)
    before = pickle.dumps((model.coef_, model.estimate_.bse, model.estimate_.nobs))
    damaged(path)
    with pytest.raises(
        ValueError, match=r"(?s)rows\.parquet, row group 5 cannot be read.*batch 7.*as it was"
    ):
        model.partial_fit(path)
    assert pickle.dumps((model.coef_, model.estimate_.bse, model.estimate_.nobs)) == before


@pytest.mark.parametrize("change", [replaced, truncated, removed, damaged])
@pytest.mark.parametrize("command", ["predict", "sample"])
def test_commands_that_write_leave_no_half_file(command, change, path, tmp_path, after_reads, capfd):
    model, out = tmp_path / "model", tmp_path / "out.parquet"
    with pytest.raises(SystemExit):
        main(["fit", "y ~ x0", str(path), "--family", "binomial", "--save", str(model)])
    capfd.readouterr()
    arguments = {
        "predict": ["predict", str(model), str(path), "-o", str(out)],
        "sample": ["sample", str(path), "-n", "400", "--formula", "y ~ x0", "--seed", "0", "-o", str(out)],
    }
    after_reads(3, lambda: change(path))
    with pytest.raises(SystemExit) as caught:
        main(arguments[command])
    _, err = capfd.readouterr()
    assert caught.value.code == 1 and err.count("\n") == 1 and "rows.parquet" in err, err
    assert sorted(set(os.listdir(tmp_path)) - {"rows.parquet"}) == ["model"]


def test_an_arrow_file_that_is_mapped(tmp_path):
    path = tmp_path / "rows.arrow"
    table = pa.table({"x": np.arange(5_000.0), "y": np.arange(5_000.0) ** 2})
    feather.write_feather(table, path, compression="uncompressed", chunksize=500)
    from statkit.sources import as_source

    with as_source(path) as source:
        first = source.partitions()[0]
        source.read(first, ["x"])
        os.truncate(path, path.stat().st_size // 2)  # reading the map beyond the end would end the process
        with pytest.raises(ValueError, match=r"rows\.arrow changed between passes"):
            source.read(source.partitions()[-1], ["x"])


# -- CSV: read once, then the temporary copy ------------------------------------------------------------------


def test_a_csv_that_is_replaced_after_it_was_read_changes_nothing(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{i},{2 * i + (i % 3)}\n" for i in range(3_000)))
    expected = glm("y ~ x", path).coef_
    with CsvSource(path) as source:
        path.write_text("other\n1\n")
        np.testing.assert_array_equal(glm("y ~ x", source).coef_, expected)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,2,3\n", r"rows\.csv.*(Expected 2 columns, got 3|Row)"),
        ("1\n", r"rows\.csv.*(Expected 2 columns, got 1|Row)"),
        ('"open,2\n', r"rows\.csv|response"),
    ],
)
def test_a_csv_whose_lines_change_midway(line, words, tmp_path):
    path = tmp_path / "rows.csv"
    body = "".join(f"{i},{i % 7}\n" for i in range(3_000))
    path.write_text("x,y\n" + body + line + body)
    with pytest.raises(ValueError, match=words):
        glm("y ~ x", path)


def test_a_csv_that_is_not_text_midway(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"x,y\n" + b"1,a\n2,b\n" * 500 + b"3,\xff\xfe\n" + b"1,a\n" * 500)
    with pytest.raises(ValueError, match=r"rows\.csv"):
        glm("x ~ y", path)


def test_files_whose_columns_differ(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n2,3\n")
    with pytest.raises(ValueError, match=r"b\.csv"):
        glm("y ~ x", str(tmp_path / "*.csv"))


# -- before the first pass -------------------------------------------------------------------------------------


def test_a_folder_without_files(tmp_path, capfd):
    with pytest.raises(SystemExit) as caught:
        main(["fit", "y ~ x", str(tmp_path)])
    _, err = capfd.readouterr()
    assert caught.value.code == 1 and str(tmp_path) in err and err.count("\n") == 1


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.arrow"])
def test_a_file_that_may_not_be_read(name, tmp_path, capfd, monkeypatch):
    path = tmp_path / name
    path.write_text("x,y\n1,2\n")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything
        import pyarrow

        def refused(*args, **options):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(pq, "ParquetFile", refused)
        monkeypatch.setattr(pyarrow, "input_stream", refused)
        monkeypatch.setattr(pyarrow, "memory_map", refused)
        monkeypatch.setattr(pyarrow, "OSFile", refused)
    with pytest.raises(SystemExit) as caught:
        main(["fit", "y ~ x", str(path)])
    _, err = capfd.readouterr()
    assert caught.value.code == 1 and err.count("\n") == 1
    assert name in err and "ermission denied" in err, err
