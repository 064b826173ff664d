"""Every vignette is run from its text, in a process of its own; its test reads what it printed."""

import os
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


@dataclass
class Executed:
    """What the cells of a vignette gave: text in order, and how many pictures."""

    printed: str
    n_pictures: int


@pytest.fixture(scope="module")
def executed(request):
    """The vignette that the test file is named after, run to its end.

    A test file may add a cell of assertions about the vignette's variables: its ``LAST_CELL``.
    """
    name = Path(request.module.__file__).stem.removeprefix("test_")
    notebook = jupytext.read(ROOT / "vignettes" / f"{name}.md")
    if last := getattr(request.module, "LAST_CELL", None):
        notebook.cells.append(nbformat.v4.new_code_cell(last))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        )
        patch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        client = NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
        )
        client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.get("data", {}) for output in outputs]
    texts = [
        output.get("text") or shown.get("text/plain", "") for output, shown in zip(outputs, data, strict=True)
    ]
    return Executed("\n".join(texts), sum("image/png" in shown for shown in data))


@pytest.fixture
def printed(executed):
    return executed.printed
