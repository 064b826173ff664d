"""How many clusters a graph has, by the gaps of its spectrum."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from statkit.cluster._spectral import normalized_affinity, top_eigenvectors

if TYPE_CHECKING:
    import pandas as pd


def suggest_n_clusters(affinity: Any, *, max_clusters: int = 10) -> pd.DataFrame:
    """Rank numbers of clusters by the eigengap of the normalised Laplacian of a graph.

    A graph of k separate parts has k eigenvalues zero; of k nearly separate ones, k small ones and then a
    gap.

    Parameters
    ----------
    affinity : ndarray or sparse array of shape (n_samples, n_samples), or fitted estimator
        Symmetric, non-negative; or what has it as ``affinity_``.
    max_clusters : int, default=10
        Largest number considered, at least 2 and below n_samples.

    Returns
    -------
    pandas.DataFrame
        Index ``n_clusters`` from 2 on, widest gap first; columns ``eigenvalue`` (the k-th smallest of the
        Laplacian) and ``gap`` (to the next one).

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.cluster import suggest_n_clusters
    >>> blocks = np.kron(np.eye(3), np.ones((4, 4))) + 0.01
    >>> int(suggest_n_clusters(blocks, max_clusters=6).index[0])
    3
    """
    import pandas as pd

    W = getattr(affinity, "affinity_", affinity)
    W = check_array(W, accept_sparse="csr", dtype=np.float64, input_name="affinity")
    n = W.shape[0]
    if W.shape[1] != n:
        raise ValueError(f"affinity has shape {W.shape}; it must be square")
    if W.min() < 0:
        raise ValueError("affinity has negative entries; a graph has weights ≥ 0")
    if not isinstance(max_clusters, Integral) or not 2 <= max_clusters < n:
        raise ValueError(f"max_clusters must be from 2 to n_samples - 1 = {n - 1}; got {max_clusters!r}")
    W = 0.5 * (W + W.T)
    values, _ = top_eigenvectors(
        normalized_affinity(sparse.csr_array(W) if sparse.issparse(W) else W), max_clusters + 1
    )
    laplacian = 1.0 - values
    counts = np.arange(2, max_clusters + 1)
    table = pd.DataFrame(
        {"eigenvalue": laplacian[counts - 1], "gap": laplacian[counts] - laplacian[counts - 1]},
        index=pd.Index(counts, name="n_clusters"),
    )
    return table.sort_values("gap", ascending=False, kind="stable")
