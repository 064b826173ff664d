"""The first example of the guide runs as it stands."""

from pathlib import Path


def test_first_example():
    text = (Path(__file__).parents[2] / "docs" / "guide" / "pac.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    names = {}
    exec(code, names)
    assert names["probabilities"].shape == (1797, 10)
    assert min(names["agreement"]) > 0.95
