"""Samples described several times over: digits, leaves, mice, and Gaussian clusters seen in several views."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.datasets.registry import description_of, path_of

if TYPE_CHECKING:
    from sklearn.utils import Bunch


def load_mfeat(as_frame: bool = False) -> Bunch:
    """Load 2,000 handwritten digits (200 of each) described in six ways.

    Parameters
    ----------
    as_frame : bool, default=False
        Return pandas objects, and all columns together as ``frame``, with two levels of columns.

    Returns
    -------
    Bunch
        ``views`` : dict of float64 arrays or frames: ``fou`` (2000, 76) Fourier coefficients, ``fac`` (2000,
        216) profile correlations, ``kar`` (2000, 64) Karhunen-Loève coefficients, ``pix`` (2000, 240)
        averages of 2 × 3 pixels, ``zer`` (2000, 47) Zernike moments, ``mor`` (2000, 6) morphological
        features. ``target`` : the digit, (2000,), sorted.
        ``frame`` : DataFrame of all 649 columns (view, number), or None.
        ``DESCR`` : the README: source, licence.

    Notes
    -----
    Source: UCI Machine Learning Repository, "Multiple Features" (R. Duin), CC BY 4.0; M. van Breukelen, R.
    Duin, D. Tax, J. den Hartog (1998), Handwritten digit recognition by combined classifiers.

    Examples
    --------
    >>> from statkit.datasets import load_mfeat
    >>> {name: view.shape[1] for name, view in load_mfeat().views.items()}
    {'fou': 76, 'fac': 216, 'kar': 64, 'pix': 240, 'zer': 47, 'mor': 6}
    """
    return _load_arrays("mfeat", ["fou", "fac", "kar", "pix", "zer", "mor"], "digit", as_frame)


def load_leaves100(as_frame: bool = False) -> Bunch:
    """Load 1,600 leaves of 100 plant species (16 each) described by margin, shape and texture.

    Parameters
    ----------
    as_frame : bool, default=False
        Return pandas objects, and all columns together as ``frame``, with two levels of columns.

    Returns
    -------
    Bunch
        ``views`` : dict of float64 arrays or frames ``margin``, ``shape``, ``texture``, (1600, 64) each. Row
        0 of ``texture`` is imputed: the original lacks it.
        ``target`` : the species, 1 … 100, (1600,).
        ``frame`` : DataFrame of all 192 columns (view, number), or None.
        ``DESCR`` : the README: source, licence.

    Notes
    -----
    Source: UCI Machine Learning Repository, "One-hundred plant species leaves", CC BY 4.0; C. Mallah, J.
    Cope, J. Orwell (2013), Plant leaf classification using probabilistic integration of shape, texture and
    margin features.

    Examples
    --------
    >>> from statkit.datasets import load_leaves100
    >>> leaves = load_leaves100()
    >>> leaves.views["margin"].shape, len(set(leaves.target))
    ((1600, 64), 100)
    """
    return _load_arrays("leaves100", ["margin", "shape", "texture"], "species", as_frame)


def load_nutrimouse(as_frame: bool = False) -> Bunch:
    """Load gene expression and hepatic lipids of 40 mice of two genotypes on five diets.

    Parameters
    ----------
    as_frame : bool, default=False
        Return pandas objects, and all columns together as ``frame``, with two levels of columns.

    Returns
    -------
    Bunch
        ``views`` : dict of float64 arrays or frames ``gene`` (40, 120) and ``lipid`` (40, 21).
        ``target`` : the diet, (40,) of str: coc, fish, lin, ref, sun.
        ``genotype`` : (40,) of str: ppar (without the receptor) or wt (wild type).
        ``frame`` : DataFrame of all 141 columns (view, name), or None.
        ``DESCR`` : the README: source, licence.

    Notes
    -----
    Source: P. Martin, H. Guillou, F. Lasserre and others (2007), Novel aspects of PPARα-mediated regulation
    of lipid and xenobiotic metabolism revealed through a nutrigenomic study. Hepatology 45.

    Examples
    --------
    >>> from statkit.datasets import load_nutrimouse
    >>> mice = load_nutrimouse(as_frame=True)
    >>> mice.views["lipid"].shape, sorted(set(mice.genotype))
    ((40, 21), ['ppar', 'wt'])
    """
    import pandas as pd

    table = pd.read_csv(path_of("nutrimouse"))
    frames = {}
    for view in ("gene", "lipid"):
        part = table.filter(regex=f"^{view}_").astype(np.float64)
        frames[view] = part.rename(columns=lambda name, view=view: name.removeprefix(f"{view}_"))
    bunch = _bunch(frames, table["diet"], as_frame, "nutrimouse")
    bunch["genotype"] = table["genotype"] if as_frame else table["genotype"].to_numpy(dtype=str)
    if not as_frame:
        bunch["target"] = bunch["target"].astype(str)
    return bunch


def _load_arrays(name, views, target, as_frame):
    import pandas as pd

    with np.load(path_of(name), allow_pickle=False) as arrays:
        frames = {view: pd.DataFrame(arrays[view].astype(np.float64)) for view in views}
        labels = pd.Series(arrays["y"].astype(np.int64), name=target)
    return _bunch(frames, labels, as_frame, name)


def _bunch(frames, target, as_frame, name):
    import pandas as pd
    from sklearn.utils import Bunch

    return Bunch(
        views=frames if as_frame else {view: frame.to_numpy() for view, frame in frames.items()},
        target=target if as_frame else target.to_numpy(),
        feature_names={view: [str(c) for c in frame.columns] for view, frame in frames.items()},
        frame=pd.concat(frames, axis=1) if as_frame else None,
        DESCR=description_of(name),
    )


def make_multiview_blobs(
    n_samples: int = 500,
    n_clusters: int = 4,
    *,
    n_features: Sequence[int] = (10, 20),
    separations: Sequence[float] = (2.0, 2.0),
    noise_views: int = 0,
    missing: float = 0.0,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> Any:
    """Make Gaussian clusters that are seen in several views, some of them pure noise, some of them missing.

    Parameters
    ----------
    n_samples : int, default=500
        Samples, spread evenly over the clusters.
    n_clusters : int, default=4
        Clusters; all views have the same ones.
    n_features : sequence of int, default=(10, 20)
        Columns of each view.
    separations : sequence of float, default=(2.0, 2.0)
        One a view: the standard deviation s of the coordinates of its cluster centres; the noise has standard
        deviation one. 0 makes a view without information.
    noise_views : int, default=0
        Views of standard normal noise added at the end, as wide as the last one of ``n_features``.
    missing : float, default=0.0
        Share of the (sample, view) blocks that are NaN; every sample keeps at least one view.
    random_state : int, RandomState, Generator or None, default=None
        The global state of numpy is not touched.

    Returns
    -------
    Bunch
        ``views`` : dict ``view0``, …, ``noise0``, … of float64 arrays of shape (n_samples, n_features of the
        view). ``target`` : int64 array of shape (n_samples,), the clusters, in random order.
        ``centers`` : list of arrays of shape (n_clusters, n_features of the view).

    Examples
    --------
    >>> from statkit.datasets import make_multiview_blobs
    >>> blobs = make_multiview_blobs(100, 3, n_features=(4, 6), noise_views=1, random_state=0)
    >>> {name: view.shape for name, view in blobs.views.items()}
    {'view0': (100, 4), 'view1': (100, 6), 'noise0': (100, 6)}
    """
    from sklearn.utils import Bunch, check_random_state

    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be a positive integer; got {n_samples!r}")
    if not isinstance(n_clusters, Integral) or not 1 <= n_clusters <= n_samples:
        raise ValueError(f"n_clusters must be from 1 to n_samples={n_samples}; got {n_clusters!r}")
    if len(n_features) != len(separations) or len(n_features) == 0:
        raise ValueError(
            f"n_features and separations describe the same views; they have {len(n_features)} "
            f"and {len(separations)} entries"
        )
    if not isinstance(missing, Real) or not 0.0 <= missing < 1.0:
        raise ValueError(f"missing is a share from 0 to below 1; got {missing!r}")
    if isinstance(random_state, np.random.Generator):
        rng = random_state
    else:
        rng = np.random.default_rng(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    target = rng.permutation(np.arange(n_samples) % n_clusters)
    views, centers = {}, []
    for v, (d, s) in enumerate(zip(n_features, separations, strict=True)):
        centers.append(s * rng.standard_normal((n_clusters, d)))
        view = rng.standard_normal((n_samples, d))
        view += centers[v][target]
        views[f"view{v}"] = view
    for v in range(noise_views):
        centers.append(np.zeros((n_clusters, n_features[-1])))
        views[f"noise{v}"] = rng.standard_normal((n_samples, n_features[-1]))
    if missing > 0:
        gone = rng.random((n_samples, len(views))) < missing
        everywhere = np.flatnonzero(gone.all(axis=1))
        gone[everywhere, rng.integers(len(views), size=len(everywhere))] = False
        for v, view in enumerate(views.values()):
            view[gone[:, v]] = np.nan
    return Bunch(views=views, target=target, centers=centers)
