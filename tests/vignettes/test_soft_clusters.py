"""The vignette on soft clusters runs, and its tables say what its text says."""

from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_soft_clusters(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = jupytext.read(ROOT / "vignettes" / "soft_clusters.md")
    notebook.cells.append(
        nbformat.v4.new_code_cell(
            "assert table['PAC'].std() < 0.005 < table['k-means, one start'].std()\n"
            "assert table['GraphPAC'].min() > 0.92\n"
            "assert collapsed.probabilities_.max() < 0.2\n"
            "assert sizes.loc['unequal', 'PAC'] < sizes.loc['unequal', 'PAC a=1, k-means++ x10']\n"
            "assert sizes.loc['outliers', 'PAC a=.9'] > sizes.loc['outliers', 'KMeans x10']\n"
            "assert million.loc['OnlinePAC', 'ARI'] > 0.95\n",
        )
    )
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
