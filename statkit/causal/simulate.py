"""Random graphs, data that follow them, and holes in the data: the designs of the papers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state

from statkit.causal.acyclicity import topological_order

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


__all__ = ["ampute", "simulate_dag", "simulate_sem"]

_NOISES = ("normal", "exponential", "gumbel", "laplace", "uniform")
_MECHANISMS = {"linear", "mlp", "mim", "gp", "gp-add"}


def simulate_dag(
    n_nodes: int,
    *,
    degree: float = 4.0,
    graph: Literal["er", "sf"] = "er",
    weight_range: tuple[float, float] = (0.5, 2.0),
    random_state: Seed = None,
) -> Any:
    """Draw a random weighted acyclic graph.

    Parameters
    ----------
    n_nodes : int
    degree : float, default=4.0
        Expected number of edges at a node: ``n_nodes * degree / 2`` edges in all.
    graph : {"er", "sf"}, default="er"
        Erdős–Rényi, or scale-free (Barabási–Albert with ``degree // 2`` new edges a node).
    weight_range : (float, float), default=(0.5, 2.0)
        Sizes of the weights are uniform between these; signs are random.
    random_state : int, RandomState or None

    Returns
    -------
    ndarray of shape (n_nodes, n_nodes)
        Weights; nonzero ``W[i, j]`` is an edge from i to j.

    Examples
    --------
    >>> from statkit.causal import simulate_dag
    >>> simulate_dag(5, degree=2, random_state=0).shape
    (5, 5)
    """
    if graph not in ("er", "sf"):
        raise ValueError(f"graph must be 'er' or 'sf', not {graph!r}")
    if n_nodes < 1:
        raise ValueError(f"n_nodes must be at least 1, got {n_nodes}")
    random = check_random_state(random_state)
    d = n_nodes
    A = np.zeros((d, d), dtype=bool)
    if graph == "er" and d > 1:
        A = np.tril(random.uniform(size=(d, d)) < degree / (d - 1), -1)
    elif graph == "sf":
        m = max(1, int(degree // 2))
        ends = list(range(min(m, d)))
        for i in range(m, d):
            targets: set[int] = set()
            while len(targets) < min(m, i):
                targets.add(int(ends[random.randint(len(ends))]))
            A[i, sorted(targets)] = True
            ends += [*sorted(targets), *[i] * len(targets)]
    shuffle = random.permutation(d)
    A = A[np.ix_(shuffle, shuffle)]
    low, high = weight_range
    return A * random.uniform(low, high, size=(d, d)) * random.choice([-1.0, 1.0], size=(d, d))


def simulate_sem(
    W: ArrayLike,
    n_samples: int,
    *,
    noise: Literal["normal", "exponential", "gumbel", "laplace", "uniform"] = "normal",
    noise_scale: float | ArrayLike | tuple[float, float] = 1.0,
    function: Literal["linear", "mlp", "mim", "gp", "gp-add"] = "linear",
    random_state: Seed = None,
) -> Any:
    """Draw rows of a structural equation model along a graph.

    Parameters
    ----------
    W : array-like of shape (d, d)
        Weights of an acyclic graph; only their support counts unless ``function="linear"``.
    n_samples : int
    noise : {"normal", "exponential", "gumbel", "laplace", "uniform"}, default="normal"
        ``uniform`` is on (−scale, scale); ``exponential`` and ``gumbel`` do not have mean 0.
    noise_scale : float, array-like of shape (d,), or (float, float), default=1.0
        Scale of all columns, of each column, or a pair between which each column's is drawn.
    function : {"linear", "mlp", "mim", "gp", "gp-add"}, default="linear"
        How parents act: linearly; through a random network of 100 hidden units; as
        tanh(xw₁) + cos(xw₂) + sin(xw₃); as a draw of a Gaussian process of them jointly or of each one.
    random_state : int, RandomState or None

    Returns
    -------
    ndarray of shape (n_samples, d)

    Examples
    --------
    >>> from statkit.causal import simulate_dag, simulate_sem
    >>> simulate_sem(simulate_dag(5, random_state=0), 100, random_state=1).shape
    (100, 5)
    """
    W = np.asarray(W, dtype=float)
    d = len(W)
    if noise not in _NOISES:
        raise ValueError(f"noise must be one of {', '.join(_NOISES)}, not {noise!r}")
    if function not in _MECHANISMS:
        raise ValueError(f"function must be one of {', '.join(sorted(_MECHANISMS))}, not {function!r}")
    order = topological_order(W)
    if order is None:
        raise ValueError("W has a cycle")
    random = check_random_state(random_state)
    if isinstance(noise_scale, tuple) and len(noise_scale) == 2:
        scale = random.uniform(*noise_scale, size=d)
    else:
        scale = np.broadcast_to(np.asarray(noise_scale, dtype=float), (d,))
    X = np.zeros((n_samples, d))
    for j in order:
        if noise == "uniform":
            z = random.uniform(-scale[j], scale[j], size=n_samples)
        elif noise == "exponential":
            z = random.exponential(scale[j], size=n_samples)
        else:
            z = getattr(random, noise)(0.0, scale[j], size=n_samples)
        parents = np.flatnonzero(W[:, j])
        if len(parents):
            z = z + _effect(X[:, parents], W[parents, j], function, random)
        X[:, j] = z
    return X


def _effect(P, w, function, random):
    _n, p = P.shape

    def weights(*shape):
        return random.uniform(0.5, 2.0, size=shape) * random.choice([-1.0, 1.0], size=shape)

    if function == "linear":
        return P @ w
    if function == "mlp":
        return expit(P @ weights(p, 100)) @ weights(100)
    if function == "mim":
        return np.tanh(P @ weights(p)) + np.cos(P @ weights(p)) + np.sin(P @ weights(p))
    if function == "gp":
        return _gaussian_process(P, random)
    return sum(_gaussian_process(P[:, [k]], random) for k in range(p))


def _gaussian_process(P, random):
    squares = np.square(P).sum(axis=1)
    kernel = np.exp(-0.5 * (squares[:, None] + squares - 2 * P @ P.T))
    values, vectors = np.linalg.eigh(kernel)
    return vectors @ (np.sqrt(np.maximum(values, 0.0)) * random.normal(size=len(P)))


def ampute(
    X: ArrayLike | pd.DataFrame,
    rate: float = 0.3,
    *,
    mechanism: Literal["mcar", "mar", "mnar", "self_masked", "quantile"] = "mcar",
    p_observed: float = 0.1,
    quantile: float = 0.1,
    random_state: Seed = None,
) -> Any:
    """Make holes in a table.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
    rate : float, default=0.3
        Share of missing entries in the columns that get holes.
    mechanism : {"mcar", "mar", "mnar", "self_masked", "quantile"}, default="mcar"
        ``mcar``: each entry by itself, all columns. ``mar``: a share ``p_observed`` of the columns stays
        complete and decides, through a logistic model, what is missing of the others. ``mnar``: the same,
        and then the deciding columns get holes of their own. ``self_masked``: an entry's own value decides.
        ``quantile``: values beyond the ``quantile`` and 1 − ``quantile`` quantiles of a share
        1 − ``p_observed`` of the columns are missing with probability ``rate``.
    p_observed : float, default=0.1
        Share of columns that stay complete or decide; at least one.
    quantile : float, default=0.1
    random_state : int, RandomState or None

    Returns
    -------
    ndarray of shape (n, d), or DataFrame if ``X`` is one
        A copy with NaN in the holes.

    References
    ----------
    B. Muzellec, J. Josse, C. Boyer, M. Cuturi (2020), "Missing data imputation using optimal transport".

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.causal import ampute
    >>> float(np.isnan(ampute(np.zeros((1000, 10)), 0.3, random_state=0)).mean().round(1))
    0.3
    """
    if hasattr(X, "columns") and hasattr(X, "copy"):  # a pandas frame keeps its index and columns
        values = ampute(
            X.to_numpy(dtype=float),
            rate,
            mechanism=mechanism,
            p_observed=p_observed,
            quantile=quantile,
            random_state=random_state,
        )
        return type(X)(values, index=X.index, columns=X.columns)
    X = np.array(X, dtype=float)
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, not {X.ndim}")
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be at least 0 and less than 1, got {rate}")
    random = check_random_state(random_state)
    n, d = X.shape
    if mechanism == "mcar":
        mask = random.uniform(size=X.shape) < rate
    elif mechanism in ("mar", "mnar", "self_masked", "quantile"):
        chosen = random.permutation(d)[: max(1, int(p_observed * d))]
        others = np.setdiff1d(np.arange(d), chosen)
        mask = np.zeros(X.shape, dtype=bool)
        if mechanism == "self_masked":
            for j in range(d):
                mask[:, j] = random.uniform(size=n) < _logistic(X[:, [j]], rate, random)
        elif mechanism == "quantile":
            for j in others:
                low, high = np.quantile(X[:, j], [quantile, 1 - quantile])
                extreme = (X[:, j] <= low) | (X[:, j] >= high)
                mask[:, j] = extreme & (random.uniform(size=n) < rate)
        else:
            for j in others:
                mask[:, j] = random.uniform(size=n) < _logistic(X[:, chosen], rate, random)
            if mechanism == "mnar":
                mask[:, chosen] = random.uniform(size=(n, len(chosen))) < rate
    else:
        raise ValueError(
            f"mechanism must be one of mcar, mar, mnar, self_masked, quantile, not {mechanism!r}"
        )
    X[mask] = np.nan
    return X


def _logistic(P, rate, random):
    """Probabilities with mean ``rate`` from a random combination of columns, scaled to deviation 1."""
    if rate == 0:
        return np.zeros(len(P))
    index = P @ random.normal(size=P.shape[1])
    deviation = index.std()
    index = (index - index.mean()) / (deviation if deviation > 0 else 1.0)
    low, high = -50.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(index + middle).mean() < rate else (low, middle)
    return expit(index + (low + high) / 2)
