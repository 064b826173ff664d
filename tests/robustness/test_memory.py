"""A ceiling on memory: files several times as large go through, and what needs n × n numbers says so beforehand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

resource = pytest.importorskip("resource")

#: Megabytes above what the process holds once everything is loaded and compiled.
BUDGET = 240

LIMITED = """
import os, resource, sys, warnings
os.environ["MALLOC_ARENA_MAX"] = "2"
warnings.simplefilter("ignore")
import pyarrow as pa
pa.set_cpu_count(2); pa.set_io_thread_count(2)
pa.set_memory_pool(pa.system_memory_pool())  # the others reserve address space that they do not use
from statkit import glm
from statkit.plans import AveragedSGD, Renewable, Subsample
big, small, out, budget, what = sys.argv[1:]
from statkit.cli import main

def command(*arguments):
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 0, end.code

def run(path):
    formula = "y ~ x0 + x1 + x2 + x3"
    if what == "exact":
        e = glm(formula, path, "binomial", n_jobs=2).estimate_
    elif what == "streaming":
        e = glm(formula, path, "binomial", plan=Renewable()).estimate_
    elif what == "sgd":
        e = glm(formula, path, "binomial", plan=AveragedSGD()).estimate_
    elif what == "subsample":
        e = glm(formula, path, "binomial", plan=Subsample(20_000), random_state=0).estimate_
    else:
        command("fit", formula, small, "--family", "binomial", "--save", out + ".model")
        return command("predict", out + ".model", path, "-o", out)
    assert abs(e.params["x0"] - 0.5) < 6 * e.bse["x0"] + 0.01, e.params["x0"]

run(small)
with open("/proc/self/statm") as file:
    base = int(file.read().split()[0]) * resource.getpagesize()
limit = base + int(budget) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
run(big)
print("within", base >> 20, "+", budget)
"""


def write(path, n, columns, group):
    """Columns of noise, the first four of which matter; uncompressed, so that the size is that of the rows."""
    rng = np.random.default_rng(0)
    schema = pa.schema([(f"x{j}", pa.float64()) for j in range(columns)] + [("y", pa.float64())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, n, group):
            X = rng.standard_normal((min(group, n - start), columns))
            y = rng.random(len(X)) < 1 / (1 + np.exp(-0.5 * X[:, :4].sum(axis=1)))
            writer.write_table(pa.table([*X.T, y.astype(float)], schema=schema))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    write(folder / "small.parquet", 20_000, 10, 5_000)
    write(folder / "big.parquet", 8_000_000, 10, 100_000)
    assert (folder / "big.parquet").stat().st_size > 2.5 * BUDGET * 2**20
    yield folder
    (folder / "big.parquet").unlink()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, limits the address space")
@pytest.mark.parametrize("what", ["exact", "streaming", "sgd", "subsample", "predict"])
def test_a_file_three_times_the_memory(what, files, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(files / "big.parquet"), str(files / "small.parquet"),
         str(tmp_path / "out.parquet"), str(BUDGET), what],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "within" in done.stdout, done.stderr[-3_000:]


#: Methods that hold a number for every pair of rows.
PAIRS = """
import resource, sys, time
import numpy as np
import statkit.cluster as cluster
name = sys.argv[1]
X = np.random.default_rng(0).normal(size=(int(sys.argv[2]), 3))
options = {"n_clusters": 3}
if name == "Fanny":
    options["metric"] = "manhattan"
estimator = getattr(cluster, name)(**options)
with open("/proc/self/statm") as file:
    base = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (base + 2**30,) * 2)
try:
    estimator.fit(X)
except ValueError as error:
    print("refused:", error)
except MemoryError as error:
    print("refused:", error)
print(sorted(k for k in vars(estimator) if k.endswith("_")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, limits the address space")
@pytest.mark.parametrize(
    "name",
    [
        "KernelKMeans",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "MultipleKernelKMeans", "LateFusionClustering",
                "CoRegularizedSpectralClustering", "SimilarityNetworkFusion",
            )
        ),
    ],
)  # fmt: skip
def test_methods_of_all_pairs_say_how_much_they_need(name):
    done = subprocess.run([sys.executable, "-c", PAIRS, name, "200000"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "refused: " in done.stdout and done.stdout.endswith("[]\n"), done.stdout
    assert "200,000" in done.stdout or "200000" in done.stdout, done.stdout
