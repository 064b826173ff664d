"""The notebook runs from top to bottom, and its prose is true of what it prints."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def printed():
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(ROOT / "vignettes" / "three_million_flights.md")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    return "\n".join(out.get("text") or out.get("data", {}).get("text/plain", "") for out in outputs)


def test_the_story_holds(printed):
    assert "Logistic regression" in printed and "3,000,000" in printed
    assert "C(origin)[T.ACY]: +inf, its 1 row has the same response (1) and was set aside" in printed
    assert "the response is separated along 'Intercept', 'delay'" in printed
    share = int(printed.split("% of the days lie outside")[0].split()[-1])
    assert share > 50
    assert float(printed.split("largest difference, in standard errors:")[1].split()[0]) < 1e-5
