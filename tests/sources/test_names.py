"""What is said of a column that does not exist, and what the room exports."""

import pytest

import statkit.sources
from statkit.sources import column_not_found


def test_message():
    error = column_not_found("distanse", ["delay", "distance"], "flights.parquet")
    assert isinstance(error, ValueError)
    expected = "flights.parquet has no column 'distanse'; did you mean 'distance'? Columns: delay, distance"
    assert str(error) == expected
    assert str(column_not_found("q", ["delay"])) == "the data have no column 'q'. Columns: delay"
    assert "did you mean 'Delay'" in str(column_not_found("delay", ["Delay"]))
    assert "no named columns" in str(column_not_found("q", []))
    assert "… (100 in all)" in str(column_not_found("q", [f"c{i}" for i in range(100)]))


def test_exports():
    assert all(getattr(statkit.sources, name) is not None for name in statkit.sources.__all__)
    with pytest.raises(AttributeError):
        _ = statkit.sources.nothing
