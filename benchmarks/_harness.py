"""What benchmarks share: alternating runs, CPU seconds and memory of child processes, the table, the results file.

Set one BLAS thread before numpy is imported (``import _harness`` first does it), and trust ratios: absolute seconds
depend on the machine and on what else it does.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

RESULTS = Path(__file__).parent / "results"
MB = 2**20


@dataclass
class Line:
    """One line of the table: a target, what was measured, and the figures behind it.

    ``figures`` is one dict for each implementation (``{"statkit": {"cpu": .2}, …}``).
    """

    work: str
    target: str
    measured: str
    met: bool
    figures: dict = field(default_factory=dict)
    note: str = ""


def alternate(repeats: int, **works) -> dict:
    """Run each work in turn, ``repeats`` times; least CPU and wall seconds of each, and its last answer."""
    figures = {name: {"cpu": float("inf"), "wall": float("inf")} for name in works}
    answers = {}
    for _ in range(repeats):
        for name, work in works.items():
            gc.collect()
            cpu, wall = time.process_time(), time.perf_counter()
            answers[name] = work()
            figures[name]["cpu"] = min(figures[name]["cpu"], time.process_time() - cpu)
            figures[name]["wall"] = min(figures[name]["wall"], time.perf_counter() - wall)
    return {"figures": figures, "answers": answers}


def measured(work) -> dict:
    """CPU and wall seconds of ``work()`` in this process, and by how much it raised the peak of its memory (MB)."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "growth_mb": (_status("VmHWM") - before) / 1024,
    }


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def children(script: str, repeats: int, *names: str, arguments=()) -> dict:
    """Run ``script --child NAME`` for each name in turn, ``repeats`` times; least CPU, wall and memory of each."""
    best: dict = {}
    for _ in range(repeats):
        for name in names:
            command = [sys.executable, script, "--child", name, *map(str, arguments)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
            found = json.loads(done.stdout.splitlines()[-1])
            best[name] = {k: min(v, best.get(name, found)[k]) for k, v in found.items()}
    return best


def wall_of(command: list[str], repeats: int) -> float:
    """Least wall seconds of a command."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def machine() -> dict:
    """Processor, memory and versions."""
    from importlib.metadata import PackageNotFoundError, version

    processor = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        processor = models[0] if models else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {}
    for name in (
        "numpy",
        "scipy",
        "numba",
        "pandas",
        "pyarrow",
        "scikit-learn",
        "statsmodels",
        "glum",
        "tabmat",
    ):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "blas_threads": os.environ["OPENBLAS_NUM_THREADS"],
        "versions": versions,
    }


def arguments(lines: dict) -> argparse.Namespace:
    """``--size``, ``--only LINE …`` and, for the script itself, ``--child``."""
    parser = argparse.ArgumentParser(description="Lines: " + ", ".join(lines))
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument(
        "--only", nargs="+", choices=list(lines), metavar="LINE", help="measure these lines only"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


def record(name: str, size: str, lines: dict[str, Line]) -> Path:
    """Write the lines into ``results/NAME.json``, beside those measured before at the same size."""
    path = RESULTS / (f"{name}.json" if size == "full" else f"{name}_{size}.json")
    known = json.loads(path.read_text()) if path.exists() else {"lines": {}}
    known["lines"] |= {key: asdict(line) for key, line in lines.items()}
    known |= {"size": size, "machine": machine()}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(known, indent=1, default=float) + "\n")
    return path


def show(path: Path, order: list[str]) -> None:
    """Print the table of a results file."""
    known = json.loads(path.read_text())
    m = known["machine"]
    print(
        f"\n{m['processor']}, {m['cores']} cores, {m['memory_gb']} GB; Python {m['python']}; size {known['size']}"
    )
    rows = [(line["work"], line["target"], line["measured"], "yes" if line["met"] else "NO")
            for key in order if (line := known["lines"].get(key))]  # fmt: skip
    rows.insert(0, ("work", "target", "measured", "met"))
    width = [max(len(row[k]) for row in rows) for k in range(4)]
    for i, row in enumerate(rows):
        print("  ".join(cell.ljust(w) for cell, w in zip(row, width, strict=True)).rstrip())
        if i == 0:
            print("-" * (sum(width) + 6))
