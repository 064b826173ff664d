"""The notebook runs from top to bottom, and its prose is true of its tables."""

import pytest

LAST_CELL = """
assert table['PAC'].std() < 0.005 < table['k-means, one start'].std()
assert table['GraphPAC'].min() > 0.92
assert collapsed.probabilities_.max() < 0.2
assert sizes.loc['unequal', 'PAC'] < sizes.loc['unequal', 'PAC a=1, k-means++ x10']
assert sizes.loc['outliers', 'PAC a=.9'] > sizes.loc['outliers', 'KMeans x10']
assert million.loc['OnlinePAC', 'ARI'] > 0.95
print("the story holds")
"""


@pytest.mark.slow
def test_the_story_holds(printed):
    assert printed.endswith("the story holds\n")
