"""The vignette on six descriptions runs from its text and says what it says."""

from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")


@pytest.mark.slow
def test_six_descriptions(monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))
    notebook = jupytext.read(root / "vignettes" / "six_descriptions.md")
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "view 'mor' holds" in text  # the trap is warned of
    assert "a stack of 3 kernels of 100,000 × 100,000 numbers needs" in text
