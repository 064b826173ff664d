"""The notebook runs from top to bottom, and its prose is true of what it prints."""

import pytest


@pytest.mark.slow
def test_the_story_holds(executed):
    assert executed.n_pictures >= 1
    printed = executed.printed
    assert "critical value 6.7473" in printed and "drift: the mean of the first" in printed
    assert "no theory gives the errors of adam" in " ".join(printed.split())
