"""The notebook runs with whatever engines are installed, and all of them give the same bits."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def printed():
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(ROOT / "vignettes" / "six_engines.md")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    return "\n".join(out.get("text") or out.get("data", {}).get("text/plain", "") for out in outputs)


def test_one_table(printed):
    names = printed.split("engines here: ")[1].splitlines()[0].split(", ")
    assert {"serial", "threads", "processes"} <= set(names)
    assert printed.count("same bits: True") >= len(names) - 1 and "same bits: False" not in printed
    assert "False" not in printed.split("same bits  rounds")[1].split("largest difference")[0]
    moved = float(printed.split("largest difference: ")[1].split()[0])
    assert moved < 1e-4
    far = float(printed.split("distance to the exact fit: ")[1].split()[0])
    assert 0.01 < far < 20 and "heterogeneity_Q" in printed
