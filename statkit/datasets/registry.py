"""The shipped data sets: one line each, and where their files are in a checkout or an installed wheel."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple


class DataSet(NamedTuple):
    """A shipped file: its folder holds the README that describes it."""

    folder: str
    file: str
    about: str


SETS: dict[str, DataSet] = {
    "flights": DataSet("flights", "flights_2001h1.parquet", "3,000,000 flights in the United States, 2001"),
    "sachs": DataSet("missdag", "sachs_observational.csv", "11 signalling molecules in 853 immune cells"),
    "airquality": DataSet("missdag", "airquality.csv", "air quality, New York, 1973, with holes"),
}


def files_root() -> Path:
    """Folder of the raw files: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    for root in (package / "_files", package.parents[1] / "datasets"):
        if root.is_dir():
            return root
    raise FileNotFoundError(
        f"the data files of statkit are neither in {package / '_files'} (an installed wheel) "
        f"nor in {package.parents[1] / 'datasets'} (a checkout): install statkit-methods again"
    )


def find(name: str) -> DataSet:
    """Return the entry of a data set; a ``ValueError`` names the nearest match of an unknown name."""
    if name in SETS:
        return SETS[name]
    near = difflib.get_close_matches(name, SETS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(SETS))}"
    raise ValueError(f"no data set is called {name!r}: {hint}")


def path_of(name: str) -> str:
    """Return the path of a data set's file."""
    entry = find(name)
    path = files_root() / entry.folder / entry.file
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install statkit-methods again")
    return str(path)


def description_of(name: str) -> str:
    """Return the README of a data set: source, licence, columns, how it was made."""
    return (files_root() / find(name).folder / "README.md").read_text(encoding="utf-8")
