"""The notebook runs from top to bottom, and its prose is true of what it prints."""

import pytest


@pytest.mark.slow
def test_the_story_holds(printed):
    assert "adjacency" in printed and "chi2(14) = 35.1" in printed
