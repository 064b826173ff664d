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
    source_only: bool = False  # its licence does not go with this package's: it stays in the repository


SETS: dict[str, DataSet] = {
    "flights": DataSet("flights", "flights_2001h1.parquet", "3,000,000 flights in the United States, 2001"),
    "debian_sections": DataSet(
        "mislabeled_nb", "debian_sections.csv.gz", "5,275 descriptions of Debian packages in 10 sections"
    ),
    "spamassassin": DataSet("mislabeled_nb", "spamassassin_bow.npz", "words of 6,046 e-mails, ham and spam"),
    "vader_ratings": DataSet(
        "mislabeled_nb",
        "vader_ratings_bow.npz",
        "words of 23,703 sentences rated by people, with their errors",
    ),
    "mfeat": DataSet("multiview", "mfeat.npz", "2,000 handwritten digits described in six ways"),
    "leaves100": DataSet("multiview", "leaves100.npz", "1,600 leaves of 100 species: margin, shape, texture"),
    "nutrimouse": DataSet("multiview", "nutrimouse.csv", "genes and lipids of 40 mice: 2 genotypes, 5 diets"),
    "north_america_air_temperature": DataSet(
        "schrodinger_pca", "north_america_air_temperature.npz", "240 years of a climate model, North America"
    ),
    "ozone_midwest": DataSet(
        "schrodinger_pca/ozone_midwest",
        "ozone_midwest_1987.csv",
        "ozone at 153 stations on 89 days, with missing values (source tree only)",
        source_only=True,
    ),
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
    return str(_file(name, find(name).file))


def description_of(name: str) -> str:
    """Return the README of a data set: source, licence, columns, how it was made."""
    return _file(name, "README.md").read_text(encoding="utf-8")


def _file(name: str, file: str) -> Path:
    entry = find(name)
    path = files_root() / entry.folder / file
    if not path.is_file():
        remedy = (
            f"this set is not part of the installed package, because of its licence: it is in the folder "
            f"datasets/{entry.folder} of the source tree; clone the repository and use statkit from there "
            '("pip install -e .")'
            if entry.source_only
            else "install statkit-methods again"
        )
        raise FileNotFoundError(f"{path} is missing: {remedy}")
    return path
