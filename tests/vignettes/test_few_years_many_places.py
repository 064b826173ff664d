"""The notebook runs from top to bottom and draws its maps."""

import pytest


@pytest.mark.slow
def test_its_pictures(executed):
    assert executed.n_pictures >= 5
