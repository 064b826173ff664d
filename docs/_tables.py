"""Tables of pages, each made from the results of a benchmark."""

from __future__ import annotations

import re

import _figures


def table(name: str) -> str:
    """A table by its name, in Markdown."""
    if name not in TABLES:
        raise _figures.MissingFigureError(f"there is no table {name!r}; there are {', '.join(TABLES)}")
    return TABLES[name]()


def markdown(header, rows) -> str:
    """A table in Markdown."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in [header, *rows]]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def machine(found: dict) -> str:
    """Where a results file was measured."""
    about = found.get("machine", {})
    if isinstance(about, str):
        return about
    cpu = about.get("processor") or about.get("cpu") or "a machine"
    cores, memory = about.get("cores"), about.get("memory_gb")
    cpu = " ".join(cpu.replace("(R)", "").split())
    return f"{cores} cores of {cpu}, {memory:.0f} GB" if cores and memory else cpu


def measured(name: str) -> str:
    """Work, target, measured, met: all lines of a results file."""
    lines = _figures.results(name)["lines"].values()
    rows = [
        (x["work"], x["target"], x["measured"], "–" if x["target"] == "-" else "yes" if x["met"] else "no")
        for x in lines
    ]
    return markdown(("work", "target", "measured", "met"), [[_symbols(cell) for cell in row] for row in rows])


def _symbols(text: str) -> str:
    text = "–" if text == "-" else text
    text = text.replace("<=", "≤").replace(">=", "≥")
    return re.sub(r"(?<=[\w%]) x(?=[\s,;.)]|$)", " ×", text)


CORPORA = {"spam": "SpamAssassin (2)", "debian": "Debian sections (10)", "newsgroups": "20 Newsgroups (20)",
           "reuters": "Reuters R8 (8)", "vader": "VADER sentences (3)"}  # fmt: skip


def mislabeled() -> str:
    """Accuracy and detection of wrong labels, by corpus and kind of error."""
    rows = []
    for key, corpus in CORPORA.items():
        for case, row in _figures.line("mislabeled_nb", key)["figures"].items():
            peers = [v for k, v in row.items() if k.startswith("cleanlab")]
            mine = row["robust"]
            rows.append(
                (
                    corpus, case.removesuffix(" labels"),
                    f"{row['MNB']['accuracy']:.3f} / {row['CNB']['accuracy']:.3f}",
                    f"{row['plain']['accuracy']:.3f}", f"{mine['accuracy']:.3f}", f"{mine['auc']:.3f}",
                    f"{max(p['auc'] for p in peers):.3f}" if peers else "–", f"{mine['precision']:.2f}",
                    f"{row['cleanlab MNB']['precision']:.2f}" if peers else "–", f"{mine['cpu']:.1f}",
                )
            )  # fmt: skip
    header = ("corpus (classes)", "wrong labels", "accuracy MNB / CNB", "plain EM", "statkit", "AUC",
              "AUC cleanlab", "precision", "cleanlab", "CPU s")  # fmt: skip
    return markdown(header, rows)


#: Column of the page: key of the method in the results.
GRAPH_METHODS = {
    "`equal_var` (order)": "order", "`gaussian` (BOSS, CPDAG SHD)": "boss",
    "EM with NOTEARS (`reference`)": "NOTEARS EM", "mean + NT": "mean+NOTEARS",
    "chained equations + NT": "chained+NOTEARS", "complete rows + NT": "listwise+NOTEARS",
    "causal-learn MVPC (CPDAG SHD)": "causal-learn MVPC",
}  # fmt: skip


def causal_designs() -> str:
    """Distance to the true graph by design and method."""
    mine = _figures.line("missdag", "designs")["figures"]
    peers = _figures.line("missdag", "pipelines")["figures"]
    reference = _figures.results("missdag")["lines"].get("reference", {}).get("figures", {})
    found = {d: {**peers.get(d, {}), **reference.get(d, {}), **ours} for d, ours in mine.items()}
    # A method that no run has measured has no column.
    methods = {
        words: key for words, key in GRAPH_METHODS.items() if any(key in row for row in found.values())
    }
    rows = []
    for design, row in found.items():
        cells = [row.get(key) for key in methods.values()]
        rows.append(
            [design.replace("%", " %"), *(f"{c['shd']:.1f} ({c['cpu']:.2g})" if c else "–" for c in cells)]
        )
    return markdown(["design", *methods], rows)


def imputation() -> str:
    rows = [
        (name, f"{f['rmse']:.2f}", f"{f['cpu']:.3f}")
        for name, f in _figures.line("missdag", "imputation")["figures"].items()
    ]
    return markdown(("filled by", "RMSE, in sd", "CPU s a table"), rows)


WAYS = {
    "plugin": ("`plugin`", "A and S summed at the iterates", "curvature, O(p²)"),
    "rs": ("`rs`, `rs_diag`", "random scaling: the path studentises itself", "one pass; `rs_diag` O(p)"),
    "tbatch": ("`tbatch`", "means of 5 to 10 equal blocks, Student's t", "one pass"),
    "obm": ("`obm`", "overlapping batch means of the iterates", "one pass"),
    "ibm": ("`ibm`", "growing batch means of the iterates", "one pass"),
    "bootstrap": ("`bootstrap`", "100 chains with rows weighted 0 or 2", "100 times the work"),
    "higrad": ("`higrad`", "a tree of segments, t with 3 df", "n in advance"),
    "hulc": ("`hulc`", "extremes of 6 independent chains", "nothing but no median bias"),
}


def gradient_errors() -> str:
    """The ways to errors of a stochastic gradient path, with how often their intervals held the truth."""
    found = _figures.line("streaming_sgd", "intervals")["figures"]
    width = found["plugin"]["width"]
    rows = [
        (*words, f"{found[way]['coverage']:.1%}", f"{found[way]['width'] / width:.2f}")
        for way, words in WAYS.items()
    ]
    rows.append(("`refine=\"newton\"`", "one Newton step on all rows, ordinary errors", "rows that can be read again",
                 "as `Exact`", "1"))  # fmt: skip
    return markdown(("", "what it is", "needs", "covers (95 %)", "width"), rows)


def agreement() -> str:
    """Largest differences from other software."""
    rows = []
    for found in _figures.results("agreement")["lines"].values():
        f = found["figures"]
        rows.append(
            (found["work"], f["against"], f"{f['largest']:.0e}", f"{f['tolerance']:.0e}", f"`{f['test']}`")
        )
    return markdown(("what", "against", "largest relative difference", "allowed", "test"), rows)


def coverage() -> str:
    """How often 95 % intervals hold the truth."""
    rows = []
    for found in _figures.results("intervals")["lines"].values():
        f = found["figures"]
        rows.append(
            (found["work"], f"{f['coverage']:.1%}", f"{f['error']:.1%}", f["replicates"],
             "95 %" if f["holds"] else "too few", "yes" if found["met"] else "no")
        )  # fmt: skip
    return markdown(
        ("intervals", "hold the truth", "Monte Carlo error", "data sets", "expected", "as expected"), rows
    )


#: What is measured beside statkit and is no peer: a part of the work.
#: What is measured beside a line and is no rival; a reconstruction's seconds are from another run.
BASELINES = {"X @ b", "reading and encoding", "linear_read", "data_mb", "reconstruction"}
NO_RACE = {"agreement", "intervals", "guides", "explain"}


def speed() -> str:
    """CPU seconds of statkit and of every peer in the same run, and the ratio to the best of them."""
    rows = []
    for path in sorted(_figures.RESULTS.glob("*.json")):
        if path.stem in NO_RACE or path.stem.endswith("_small"):
            continue
        for found in _figures.results(path.stem).get("lines", {}).values():
            rows += _beside_peers(found)
    return markdown(("work", "statkit, CPU s", "peers, CPU s", "statkit : best peer"), rows)


def _beside_peers(found):
    figures = found["figures"].items()
    times = {k: v["cpu"] for k, v in figures if isinstance(v, dict) and v.get("cpu") and k not in BASELINES}
    mine = [k for k in times if k == "statkit" or k.endswith("_statkit")]
    peers = {k: v for k, v in times.items() if "statkit" not in k}
    if mine and peers:
        ours = times[mine[0]]
        prefix = mine[0].removesuffix("statkit")  # of child processes: demo_statkit, demo_glum
        shown = sorted((v, k.removeprefix(prefix)) for k, v in peers.items())
        listed = ", ".join(f"{k} {_seconds(v)}" for v, k in shown)
        yield _symbols(found["work"]), _seconds(ours), listed, f"{ours / shown[0][0]:.2g}"


def rates() -> str:
    """Rows a second of streaming estimators, by the size of the batches."""
    sizes = {"1,000": _figures.line("streaming", "speed_1000")["figures"],
             "10,000": _figures.line("streaming", "speed_10000")["figures"]}  # fmt: skip
    names = {"statkit": "statkit, with errors", "statkit_robust": "statkit, robust errors", "sklearn": "scikit-learn SGD",
             "river_many": "river, learn_many", "river": "river, learn_one", "vowpalwabbit": "Vowpal Wabbit"}  # fmt: skip
    rows = [
        (words, *(f"{found[key]:.2f}" if key in found else "–" for found in sizes.values()))
        for key, words in names.items()
    ]
    return markdown(("million rows a second", *(f"batches of {size}" for size in sizes)), rows)


def _seconds(t: float) -> str:
    return f"{t:.4f}" if t < 0.01 else f"{t:.3f}" if t < 1 else f"{t:.1f}"


TABLES = {
    "mislabeled": mislabeled,
    "causal_designs": causal_designs,
    "imputation": imputation,
    "gradient_errors": gradient_errors,
    "agreement": agreement,
    "coverage": coverage,
    "speed": speed,
    "rates": rates,
}
