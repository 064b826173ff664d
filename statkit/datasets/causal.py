"""Protein signalling and air quality: tables for causal graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statkit.datasets.registry import description_of, files_root

if TYPE_CHECKING:
    from sklearn.utils import Bunch

__all__ = ["load_airquality", "load_sachs"]


def load_sachs(*, as_frame: bool = False, conditions: str = "observational") -> Bunch:
    """Load amounts of 11 phosphorylated proteins and lipids in single human immune cells.

    The consensus network of biologists is known, which makes the table a touchstone of causal discovery. All
    values are positive and skewed: take logarithms.

    Parameters
    ----------
    as_frame : bool, default=False
        Return pandas objects.
    conditions : {"observational", "all"}, default="observational"
        853 cells without intervention, or all 7,466 cells of nine conditions.

    Returns
    -------
    Bunch
        ``data`` : (853, 11) or (7466, 11) ndarray or DataFrame, arbitrary units.
        ``feature_names`` : list of str.
        ``frame`` : DataFrame, or None.
        ``edges`` : list of 17 pairs (cause, effect), the consensus network.
        ``graph`` : (11, 11) bool ndarray, the same as a matrix.
        ``DESCR`` : str, the README.

    Notes
    -----
    Source: K. Sachs, O. Perez, D. Pe'er, D. A. Lauffenburger, G. P. Nolan (2005), "Causal protein-signaling
    networks derived from multiparameter single-cell data".

    Examples
    --------
    >>> from statkit.datasets import load_sachs
    >>> load_sachs(as_frame=True).frame.shape
    (853, 11)
    """
    import numpy as np
    import pandas as pd
    from sklearn.utils import Bunch

    if conditions not in ("observational", "all"):
        raise ValueError(f"conditions must be 'observational' or 'all', not {conditions!r}")
    folder = files_root() / "missdag"
    file = "sachs_observational.csv" if conditions == "observational" else "sachs_full.csv.gz"
    frame = pd.read_csv(folder / file)
    names = list(frame.columns)
    edges = [tuple(pair) for pair in pd.read_csv(folder / "sachs_consensus_edges.csv").to_numpy()]
    graph = np.zeros((len(names), len(names)), dtype=bool)
    for cause, effect in edges:
        graph[names.index(cause), names.index(effect)] = True
    return Bunch(
        data=frame if as_frame else frame.to_numpy(),
        feature_names=names,
        frame=frame if as_frame else None,
        edges=edges,
        graph=graph,
        DESCR=description_of("sachs"),
    )


def load_airquality(*, as_frame: bool = False) -> Bunch:
    """Load daily air quality in New York in the summer of 1973, with its natural holes.

    Parameters
    ----------
    as_frame : bool, default=False
        Return pandas objects.

    Returns
    -------
    Bunch
        ``data`` : (153, 6) ndarray or DataFrame: ozone (ppb), solar radiation (langley), wind (mph),
        temperature (°F), month, day; 37 values of ozone and 7 of radiation are missing.
        ``feature_names`` : list of str.
        ``frame`` : DataFrame, or None.
        ``DESCR`` : str, the README.

    Notes
    -----
    Source: J. M. Chambers, W. S. Cleveland, B. Kleiner, P. A. Tukey (1983), "Graphical methods for data
    analysis".

    Examples
    --------
    >>> from statkit.datasets import load_airquality
    >>> int(load_airquality(as_frame=True).frame["Ozone"].isna().sum())
    37
    """
    import pandas as pd
    from sklearn.utils import Bunch

    frame = pd.read_csv(files_root() / "missdag" / "airquality.csv")
    return Bunch(
        data=frame if as_frame else frame.to_numpy(dtype=float),
        feature_names=list(frame.columns),
        frame=frame if as_frame else None,
        DESCR=description_of("airquality"),
    )
