"""Pages that are made from the repository: gallery, API reference, and the tables of measured figures.

Nothing on them is written by hand: a figure that is not in ``benchmarks/results`` cannot appear.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import re
from pathlib import Path

import _tables

#: Results that other pages show.
ELSEWHERE = {"agreement", "intervals", "guides"}
ROOMS = {
    "statkit": "Top level",
    "statkit.regression": "Regression",
    "statkit.plans": "Plans",
    "statkit.families": "Families",
    "statkit.sources": "Sources",
    "statkit.engines": "Engines",
    "statkit.results": "Results",
    "statkit.inference": "Inference",
    "statkit.sampling": "Sampling",
    "statkit.naive_bayes": "Naive Bayes",
    "statkit.cluster": "Clustering",
    "statkit.decomposition": "Decomposition",
    "statkit.causal": "Causal graphs",
    "statkit.plotting": "Plots",
    "statkit.datasets": "Data",
    "statkit.exceptions": "Warnings",
}


def make(docs: Path) -> None:
    """Write the made pages into ``docs``."""
    root = docs.parent
    _gallery(root / "vignettes", docs / "gallery")
    _reference(docs / "api")
    _write(docs / "guide" / "pictures.md", _pictures())
    _write(docs / "measured.md", _measured(root / "benchmarks" / "results"))


def _write(path: Path, text: str) -> None:
    """Write only what is new, so that a second build starts from the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _gallery(vignettes: Path, gallery: Path) -> None:
    found = sorted(vignettes.glob("*.md"))
    for path in found:
        _write(gallery / path.name, path.read_text())
    for old in set(gallery.glob("*.md")) - {gallery / path.name for path in found} - {gallery / "index.md"}:
        old.unlink()
    names = "\n".join(path.stem for path in found)
    stories = "".join(f"| [{title}]({stem}.md) | {about} |\n" for stem, title, about in map(_story, found))
    _write(
        gallery / "index.md",
        "# Gallery\n\nNotebooks on real data, run when this site was built. Each also shows when its method "
        f"fails.\n\n| notebook | what it tells |\n|---|---|\n{stories}"
        f"\n```{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{names}\n```\n",
    )


def _story(path: Path) -> tuple[str, str, str]:
    """Stem, title and first paragraph of a vignette."""
    title, _, rest = path.read_text().partition("\n# ")[2].partition("\n")
    return path.stem, title, " ".join(rest.strip().partition("\n\n")[0].split())


def _reference(folder: Path) -> None:
    """One page a room with its public names, by kind; pages of names that are no more are removed."""
    current = set()
    for module, title in ROOMS.items():
        room = importlib.import_module(module)
        names = [name for name in room.__all__ if not name.startswith("__")]
        classes = [name for name in names if inspect.isclass(getattr(room, name))]
        functions = [name for name in names if inspect.isroutine(getattr(room, name))]
        current |= {f"{module}.{name}.rst" for name in classes + functions}
        text = f"# {title}\n\n`{module}`: {_first_line(room)}\n"
        for heading, some in (("Classes", classes), ("Functions", functions)):
            if some:
                listed = "\n".join(f"   {name}" for name in sorted(some))
                text += (
                    f"\n## {heading}\n\n```{{eval-rst}}\n.. currentmodule:: {module}\n\n.. autosummary::\n"
                    f"   :toctree: generated\n   :nosignatures:\n\n{listed}\n```\n"
                )
        _write(folder / f"{module.rpartition('.')[2]}.md", text)
    for page in (folder / "generated").glob("*"):
        if page.name not in current:
            page.unlink()
    pages = "\n".join(module.rpartition(".")[2] for module in ROOMS)
    _write(
        folder / "index.md",
        f"# API reference\n\nEvery public name, with its source.\n\n```{{toctree}}\n:maxdepth: 1\n\n{pages}\n```\n",
    )


def _pictures() -> str:
    """A page with every display, each drawn by the example in its docstring when the site is built."""
    import statkit.plotting

    text = (
        "---\njupytext:\n  text_representation:\n    extension: .md\n    format_name: myst\nkernelspec:\n"
        "  display_name: Python 3\n  language: python\n  name: python3\n---\n\n# Pictures\n\n"
        "`XDisplay.from_estimator(fitted, …)` draws, into `ax=` or a new figure, and returns the display, whose `ax_` and "
        "`figure_` are matplotlib's; `.plot(ax=…)` draws it again elsewhere. Colours are those of Okabe and Ito, or scales "
        "that every kind of colour vision can read. Below, each display by the example in its documentation.\n"
    )
    for name in statkit.plotting.__all__:
        cls = getattr(statkit.plotting, name)
        (found,) = doctest.DocTestFinder(recurse=False).find(cls, name)
        source = re.sub(r"  # doctest:.*", "", "".join(example.source for example in found.examples))
        title = name.removesuffix("Display")
        text += f"\n## {title}\n\n{{py:class}}`statkit.plotting.{name}`: {_first_line(cls)}\n"
        text += f"\n```{{code-cell}} ipython3\n{source}```\n"
    return text


def _first_line(room) -> str:
    return (inspect.getdoc(room) or "").partition("\n")[0]


def _measured(results: Path) -> str:
    """The benchmark tables, as their scripts wrote them."""
    text = (
        "# Measured\n\nWhat the scripts of `benchmarks/` measured, targets that were missed included. "
        "statkit and its peers alternate in one run, with one BLAS thread each unless said; a ratio is statkit to its "
        "peer; SE are standard errors. `make bench SIZE=full` makes these tables.\n"
    )
    for path in sorted(results.glob("*.json")):
        found = json.loads(path.read_text())
        if "lines" not in found or found.get("size") != "full" or path.stem in ELSEWHERE:
            continue
        about = _tables.machine(found)
        text += f"\n## {path.stem.replace('_', ' ')}\n\n`python benchmarks/{path.stem}.py --size full`, {about}.\n\n"
        text += _tables.measured(path.stem) + "\n"
        notes = {}  # what is said of several lines is said once
        for line in found["lines"].values():
            if line.get("note"):
                notes.setdefault(line["note"], []).append(line["work"])
        text += "".join(f"\n- {'; '.join(works)}: {note}" for note, works in notes.items()) + "\n" * bool(
            notes
        )
    return text
