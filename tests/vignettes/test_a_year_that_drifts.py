"""The notebook runs from top to bottom, and its prose is true of what it prints."""

import re


def test_the_story_holds(printed):
    assert "-1.7040" in printed and "-0.4670" in printed
    shuffled = [float(x) for x in re.findall(r"shuffled, batches of .*: largest distance ([\d.]+)", printed)]
    assert len(shuffled) == 2 and max(shuffled) < 0.1
    assert int(printed.split("batches with p < 0.01: ")[1].split()[0]) <= 3
    assert "warnings: 1" in printed and "does not follow the model" in printed
    assert 1 < float(printed.split("\nlargest distance ")[1].split()[0]) < 20
    assert float(printed.split("two passes in order of flight: largest distance ")[1].split()[0]) < 0.1
    low, high = re.search(r"intercept between (-[\d.]+) and (-[\d.]+)", printed).groups()
    assert float(high) - float(low) > 0.3
    assert "6 months" in printed
    assert float(printed.split("averaged gradients, in order of flight: largest distance ")[1].split()[0]) > 5
