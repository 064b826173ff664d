"""Simulated mixtures on which clustering methods differ: sizes, spreads, shapes, tails, dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

if TYPE_CHECKING:
    from statkit._typing import Seed

#: Sizes out of 2000 of the designs that are not of equal sizes.
_SIZES = {"unequal": (800, 600, 300, 200, 100), "very_unequal": (1500, 400, 60, 25, 15)}

DESIGNS = (
    "equal",
    "overlapping",
    "unequal",
    "very_unequal",
    "spreads",
    "shapes",
    "heavy_tails",
    "outliers",
    "high_dimension",
)


def make_cluster_mixture(design: str = "equal", n_samples: int = 2000, *, random_state: Seed = None) -> Any:
    """Draw a mixture of five groups of one of nine designs.

    Centres lie at distance 4 from the origin in uniform directions in 8 dimensions and groups are standard
    normal, except as the design says.

    Parameters
    ----------
    design : str, default="equal"
        "equal" sizes; "overlapping": centres at distance 2.4; "unequal": sizes 40, 30, 15, 10 and 5 per cent;
        "very_unequal": 75, 20, 3, 1.25 and 0.75; "spreads": standard deviations .4, .7, 1, 1.5 and 2;
        "shapes": standard deviations from .2 to 1.8, rotated at random in each group; "heavy_tails": t with
        2.5 degrees of freedom; "outliers": 5 per cent more rows, uniform on (-15, 15), labelled -1;
        "high_dimension": 200 dimensions, centres normal with standard deviation .45.
    n_samples : int, default=2000
        Rows, without the outliers.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
        Group of each row, -1 for outliers. Rows are in random order.

    Raises
    ------
    ValueError
        Unknown design, or fewer rows than groups.

    Examples
    --------
    >>> from statkit.datasets import make_cluster_mixture
    >>> X, y = make_cluster_mixture("outliers", random_state=0)
    >>> X.shape, int((y == -1).sum())
    ((2100, 8), 100)
    """
    if design not in DESIGNS:
        raise ValueError(f"design must be one of {', '.join(DESIGNS)}, got {design!r}")
    if n_samples < 5:
        raise ValueError(f"n_samples={n_samples}: five groups need at least five rows")
    rng = check_random_state(random_state)
    d = 200 if design == "high_dimension" else 8
    centres = rng.standard_normal((5, d))
    if design == "high_dimension":
        centres *= 0.45
    else:
        centres *= (2.4 if design == "overlapping" else 4.0) / np.linalg.norm(centres, axis=1, keepdims=True)
    share = np.array(_SIZES.get(design, (400,) * 5)) / 2000.0
    # Every group has a row; what rounding leaves goes to the first
    sizes = np.maximum(np.floor(share * n_samples).astype(int), 1)
    sizes[0] += n_samples - sizes.sum()
    y = np.repeat(np.arange(5), sizes)
    noise = rng.standard_normal((n_samples, d))
    if design == "spreads":
        noise *= np.array([0.4, 0.7, 1.0, 1.5, 2.0])[y, None]
    elif design == "shapes":
        for k in range(5):
            rotation, _ = np.linalg.qr(rng.standard_normal((d, d)))
            noise[y == k] = (noise[y == k] * np.linspace(0.2, 1.8, d)) @ rotation
    elif design == "heavy_tails":
        noise /= np.sqrt(rng.chisquare(2.5, size=(n_samples, 1)) / 2.5)
    X = centres[y] + noise
    if design == "outliers":
        extra = round(0.05 * n_samples)
        X = np.vstack([X, rng.uniform(-15.0, 15.0, size=(extra, d))])
        y = np.concatenate([y, np.full(extra, -1)])
    order = rng.permutation(len(y))
    return X[order], y[order]
