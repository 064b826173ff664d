"""The vignette runs from its first cell to its last."""

from pathlib import Path

import pytest


@pytest.mark.slow
def test_vignette_runs(tmp_path):
    import jupytext
    from nbclient import NotebookClient

    root = Path(__file__).parents[2]
    notebook = jupytext.read(root / "vignettes" / "twenty_thousand_flights.md")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(root)}}).execute()
    assert any(
        "image/png" in out.get("data", {}) for cell in notebook.cells for out in cell.get("outputs", [])
    )
