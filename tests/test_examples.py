"""Every example in a docstring gives what the docstring says, and warns of nothing."""

import doctest
import importlib
import warnings
from pathlib import Path

import pytest

import statkit

ROOT = Path(statkit.__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "statkit").rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


def test_there_are_examples():
    assert len(MODULES) > 100


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for test in doctest.DocTestFinder().find(importlib.import_module(name)):
            runner.run(test, out=said.append)
    assert runner.tries and not runner.failures, "".join(said)
