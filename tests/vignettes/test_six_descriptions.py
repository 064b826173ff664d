"""The notebook runs from top to bottom, and its prose is true of what it prints."""

import pytest


@pytest.mark.slow
def test_the_story_holds(printed):
    assert "view 'mor' holds" in printed  # the trap is warned of
    assert "a stack of 3 kernels of 100,000 × 100,000 numbers needs" in printed
