"""Folders and globs as file systems have them: links that lead back, roots, parts that cannot be listed."""

import os

import pandas as pd
import pytest

from statkit.sources import as_source
from statkit.sources.paths import find_files


@pytest.fixture
def folder(tmp_path):
    for name in ("a/1.csv", "a/b/2.csv", "a/.hidden/3.csv", "c/4.csv", "c/4.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n1\n")
    return tmp_path


def found(data, folder):
    return [os.path.relpath(file.path, folder) for file in find_files(data).files]


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("**/*.csv", ["a/1.csv", "a/b/2.csv", "c/4.csv"]),
        ("a/**", ["a/1.csv", "a/b/2.csv"]),
        ("**/b/*", ["a/b/2.csv"]),
        ("*/*.csv", ["a/1.csv", "c/4.csv"]),
        ("*/[14].csv", ["a/1.csv", "c/4.csv"]),
    ],
)
def test_globs(folder, monkeypatch, pattern, expected):
    assert found(f"{folder}/{pattern}", folder) == expected
    monkeypatch.chdir(folder)
    assert found(pattern, folder) == expected


def test_a_linked_folder_is_read(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "5.csv").write_text("x\n2\n")
    (folder / "c" / "linked").symlink_to(elsewhere)
    assert found(folder / "c", folder) == ["c/4.csv", "c/linked/5.csv"]


@pytest.mark.parametrize("to", [".", "a", "a/b"])
def test_a_link_that_leads_back(folder, to):
    (folder / "a" / "b" / "back").symlink_to(folder / to)
    for data in (folder, folder / "a", f"{folder}/**/*.csv"):
        with pytest.raises(ValueError, match="back leads back to a folder that holds it"):
            as_source(data)
    assert found(folder / "c", folder) == ["c/4.csv"]
    assert found([folder / "a" / "1.csv", folder / "a" / "b" / "2.csv"], folder) == ["a/1.csv", "a/b/2.csv"]


@pytest.mark.parametrize("root", ["/", "//", "/..", "file:///", "s3://", "gs:///", "/**", "/**/*.parquet"])
def test_the_root_is_refused(root):
    with pytest.raises(ValueError, match="is the root of a file system: give the folder"):
        as_source(root)


def test_a_part_that_cannot_be_listed(folder, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("b"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: .*a/b"):
        as_source(folder)


def test_the_rows_of_a_glob(folder):
    rows = as_source(f"{folder}/**/*.csv")
    tables = [rows.read(p).table for p in rows.partitions()]
    assert sum(t.num_rows for t in tables) == 3 == len(pd.concat(t.to_pandas() for t in tables))
