"""Measured figures in pages: placeholders that are filled from ``benchmarks/results``, or fail the build.

``{{glm/logistic/statkit/cpu|.2f}}`` is a figure of a line, ``{{a : b|.1f}}`` the ratio of two,
``{{streaming/distance/measured}}`` what a line says of itself, ``{{table NAME}}`` a table of ``_tables``,
``{{picture floors}}`` the drawing of ``_floors``.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
PLACEHOLDER = re.compile(r"\{\{\s*(.+?)\s*\}\}", re.DOTALL)
OF_A_LINE = ("work", "target", "measured", "met", "note")


class MissingFigureError(LookupError):
    """A page asks for a figure that no benchmark has written."""


@cache
def results(name: str) -> dict:
    """A results file of a full run."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        raise MissingFigureError(f"there is no {path.name} in benchmarks/results: run benchmarks/{name}.py")
    found = json.loads(path.read_text())
    if found.get("size", "full") != "full":
        raise MissingFigureError(f"{path.name} is of a {found['size']} run; pages show full ones")
    return found


def line(name: str, key: str) -> dict:
    """A line of a results file."""
    lines = results(name).get("lines", {})
    if key not in lines:
        raise MissingFigureError(f"{name}.json has no line {key!r}; it has {', '.join(map(str, lines))}")
    return lines[key]


def figure(address: str):
    """``FILE/LINE/…``: a field of the line, or what lies along the keys of its figures."""
    name, key, *keys = (part.strip() for part in address.split("/"))
    value = line(name, key)
    if keys and keys[0] not in OF_A_LINE:
        value = value["figures"]
    for step in keys:
        value = value[int(step)] if isinstance(value, list) else value.get(step)
        if value is None:
            raise MissingFigureError(f"{name}.json, line {key!r}, has no {'/'.join(keys)}")
    return value


def shown(text: str) -> str:
    """What stands in the place of a placeholder."""
    if text.startswith("table "):
        import _tables

        return _tables.table(text.removeprefix("table ").strip())
    if text == "picture floors":
        import _floors

        return f"```{{raw}} html\n{_floors.picture(Path(__file__).parent)}\n```"
    address, _, form = text.partition("|")
    above, _, below = address.partition(" : ")
    value = figure(above)
    if below:
        value = value / figure(below)
    return format(value, form.strip()) if form else str(value)


def fill(text: str, page: str) -> str:
    """The page with its figures; a placeholder that cannot be filled is an error that names the page."""

    def replaced(match):
        try:
            return shown(match[1])
        except (LookupError, TypeError, ValueError) as error:
            raise MissingFigureError(f"{page}: {{{{{match[1]}}}}}: {error}") from error

    return PLACEHOLDER.sub(replaced, text)
