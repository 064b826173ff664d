"""The flights file is what its README says, from a checkout and from a wheel."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from statkit.datasets import flights_path, load_flights, registry


@pytest.fixture(scope="module")
def flights():
    return load_flights(as_frame=True)


def test_readme_facts(flights):
    frame = flights.frame
    assert len(frame) == 3_000_000
    assert (flights.target > 15).mean() == pytest.approx(0.199685, abs=5e-7)
    assert frame["date"].is_monotonic_increasing
    assert frame["origin"].nunique() == 229
    assert frame["destination"].nunique() == 228
    assert not frame.isna().any().any()
    assert frame["date"].iloc[0] >= pd.Timestamp("2001-01-01")
    assert (frame["date"] >= pd.Timestamp("2001-07-01")).sum() == 6
    assert pq.read_metadata(flights_path()).num_row_groups == 12


def test_bunch(flights):
    assert list(flights.frame) == ["date", "delay", "distance", "origin", "destination"]
    assert flights.feature_names == list(flights.data) == ["date", "distance", "origin", "destination"]
    assert flights.target.name == "delay"
    assert flights.target.dtype == np.int16
    pd.testing.assert_series_equal(flights.target, flights.frame["delay"])
    assert "public domain" in flights.DESCR


def test_arrays(flights, monkeypatch, tmp_path):
    # The first rows alone: three million Python objects a column say nothing more.
    few = tmp_path / "few.parquet"
    pq.write_table(pq.read_table(flights_path()).slice(0, 100), few)
    monkeypatch.setattr("statkit.datasets.flights.flights_path", lambda: str(few))
    bunch = load_flights()
    assert bunch.frame is None
    assert isinstance(bunch.data, np.ndarray) and bunch.data.shape == (100, 4)
    assert bunch.data[0, 2] == flights.data["origin"].iloc[0]
    np.testing.assert_array_equal(bunch.target, flights.target[:100])


def test_path_from_another_folder(tmp_path):
    code = "from statkit.datasets import flights_path; print(flights_path())"
    root = Path(registry.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_absolute() and Path(done.stdout.strip()).is_file()


def test_path_in_a_wheel(monkeypatch, tmp_path):
    # In a wheel the files are in the package; the checkout's folder is not there.
    package = tmp_path / "site-packages" / "statkit" / "datasets"
    (package / "_files" / "flights").mkdir(parents=True)
    (package / "_files" / "flights" / "flights_2001h1.parquet").touch()
    monkeypatch.setattr(registry, "__file__", str(package / "registry.py"))
    assert registry.path_of("flights") == str(package / "_files" / "flights" / "flights_2001h1.parquet")


def test_missing_files(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "a" / "b" / "registry.py"))
    with pytest.raises(FileNotFoundError, match="install statkit-methods again"):
        registry.path_of("flights")


def test_unknown_name_suggests():
    with pytest.raises(ValueError, match="did you mean 'flights'"):
        registry.path_of("flight")
    with pytest.raises(ValueError, match="there are"):
        registry.find("zzz")


@pytest.mark.parametrize("name", registry.SETS)
def test_every_set_has_file_and_readme(name):
    entry = registry.find(name)
    if entry.source_only and not (registry.files_root() / entry.folder).is_dir():
        pytest.skip("an installed package does not have it")
    assert Path(registry.path_of(name)).stat().st_size > 0
    assert entry.file.split(".")[0] in registry.description_of(name)
    assert "Source" in registry.description_of(name)
